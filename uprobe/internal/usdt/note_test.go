package usdt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// rawNote is the bytes of one note.
func rawNote(owner string, typ uint32, desc []byte) []byte {
	var b bytes.Buffer
	for _, v := range []uint32{uint32(len(owner) + 1), uint32(len(desc)), typ} {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString(owner + "\x00")
	b.Write(make([]byte, -b.Len()&3))
	b.Write(desc)
	b.Write(make([]byte, -b.Len()&3))
	return b.Bytes()
}

func rawProbe(pc, base, semaphore uint64, names ...string) []byte {
	var b []byte
	for _, v := range []uint64{pc, base, semaphore} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return append(b, strings.Join(names, "\x00")+"\x00"...)
}

// goldenNote is the first note of a program of gcc 12 with systemtap-sdt-dev 4.8, as
// readelf -x .note.stapsdt shows it.
const goldenNote = "\x08\x00\x00\x00\x4f\x00\x00\x00\x03\x00\x00\x00stapsdt\x00" +
	"\xa6\x10\x00\x00\x00\x00\x00\x00\x10\x20\x00\x00\x00\x00\x00\x00\x1a\x40\x00\x00\x00\x00\x00\x00" +
	"pp\x00req\x00-1@%dil 1@%r8b -2@%r9w -8@%r10 8@(%rsi) -4@%edx\x00\x00"

func TestParseNotes(t *testing.T) {
	golden := note{0x10a6, 0x2010, 0x401a, "pp", "req", "-1@%dil 1@%r8b -2@%r9w -8@%r10 8@(%rsi) -4@%edx"}
	none := note{0x1000, 0x2010, 0, "pp", "none", ""}
	noneRaw := rawNote("stapsdt", 3, rawProbe(0x1000, 0x2010, 0, "pp", "none", ""))
	tests := []struct {
		name string
		raw  string
		want []note
		err  string
	}{
		{"empty", "", nil, ""},
		{"golden", goldenNote, []note{golden}, ""},
		{"two", goldenNote + string(noneRaw), []note{golden, none}, ""},
		{"last one not padded", goldenNote[:len(goldenNote)-1], []note{golden}, ""},
		{"zeroes behind", goldenNote + "\x00\x00\x00\x00", []note{golden}, ""},
		{"other owner", string(rawNote("GNU", 3, []byte("build id"))) + goldenNote, []note{golden}, ""},
		{"other type", string(rawNote("stapsdt", 2, []byte("old"))) + goldenNote, []note{golden}, ""},
		{"no addresses", string(rawNote("stapsdt", 3, make([]byte, 23))), nil, "three addresses"},
		{"no end", string(rawNote("stapsdt", 3, rawProbe(1, 2, 3, "a", "b")[:27])), nil, "string 2 of 3"},
		{"no name", string(rawNote("stapsdt", 3, rawProbe(1, 2, 3, "a", "", ""))), nil, "has no name"},
		{"sizes beyond the end", "\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00\x00", nil, "cut short"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseNotes([]byte(tt.raw), binary.LittleEndian, 8)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error: got %v, want %q in it", err, tt.err)
			}
		})
	}
	// 32-bit, as the same note would be there.
	desc := []byte("\xa6\x10\x00\x00\x10\x20\x00\x00\x00\x00\x00\x00pp\x00req\x004@4(%ebp)\x00")
	got, err := parseNotes(rawNote("stapsdt", 3, desc), binary.LittleEndian, 4)
	if want := (note{0x10a6, 0x2010, 0, "pp", "req", "4@4(%ebp)"}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("32-bit: got %+v, %v, want %+v", got, err, want)
	}
}

func TestParseNotesEveryPrefix(t *testing.T) {
	whole := goldenNote + string(rawNote("stapsdt", 3, rawProbe(0x1000, 0x2010, 0, "pp", "none", "")))
	for n := range len(whole) {
		got, err := parseNotes([]byte(whole[:n]), binary.LittleEndian, 8)
		want := 0
		if n >= len(goldenNote)-1 {
			want = 1
		}
		// Behind the second note's last byte only its padding of 3 is missing.
		if n >= len(whole)-3 {
			want = 2
		}
		if len(got) != want {
			t.Errorf("%d bytes: got %d notes, want %d", n, len(got), want)
		}
		whole1 := n == 0 || n == len(goldenNote) || n == len(goldenNote)-1 || want == 2
		if zeroes := n > len(goldenNote) && strings.Trim(whole[len(goldenNote):n], "\x00") == ""; (err == nil) != (whole1 || zeroes) {
			t.Errorf("%d bytes: got error %v", n, err)
		}
	}
}

// section and segment are what elfFile needs to know of each.
type section struct {
	name string
	typ  elf.SectionType
	addr uint64
	data []byte
}

// elfFile makes a 64-bit ELF file of segments and sections; the sections' bytes lie
// behind 64 KiB, where no segment reaches.
func elfFile(machine elf.Machine, progs []elf.Prog64, sections []section) []byte {
	names := []byte{0}
	heads := []elf.Section64{{}}
	data := make([]byte, 0x10000)
	for _, s := range append(sections, section{name: ".shstrtab", typ: elf.SHT_STRTAB}) {
		h := elf.Section64{Name: uint32(len(names)), Type: uint32(s.typ), Addr: s.addr, Off: uint64(len(data)), Size: uint64(len(s.data)), Addralign: 4}
		names = append(names, s.name+"\x00"...)
		switch s.typ {
		case elf.SHT_SYMTAB:
			h.Link, h.Entsize = uint32(len(heads)+1), 24
		case elf.SHT_STRTAB:
			if s.name == ".shstrtab" {
				s.data, h.Size = names, uint64(len(names))
			}
		}
		data = append(data, s.data...)
		heads = append(heads, h)
	}
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(len(progs)),
		Shoff: uint64(len(data)), Shentsize: 64, Shnum: uint16(len(heads)), Shstrndx: uint16(len(heads) - 1),
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	var head bytes.Buffer
	_ = binary.Write(&head, binary.LittleEndian, h)
	_ = binary.Write(&head, binary.LittleEndian, progs)
	copy(data, head.Bytes())
	tail := bytes.NewBuffer(data)
	_ = binary.Write(tail, binary.LittleEndian, heads)
	return tail.Bytes()
}

// symtab makes .symtab and its strings.
func symtab(values map[string]uint64, order ...string) []section {
	strs, syms := []byte{0}, make([]byte, 24)
	for _, name := range order {
		var b bytes.Buffer
		_ = binary.Write(&b, binary.LittleEndian, elf.Sym64{Name: uint32(len(strs)), Info: uint8(elf.STT_OBJECT), Shndx: 1, Value: values[name]})
		strs = append(strs, strings.TrimSuffix(name, "'")+"\x00"...)
		syms = append(syms, b.Bytes()...)
	}
	return []section{{".symtab", elf.SHT_SYMTAB, 0, syms}, {".strtab", elf.SHT_STRTAB, 0, strs}}
}

// progs are segments as ld makes them: the data's distance to its offset is not the code's.
var progs = []elf.Prog64{
	{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: 0x1000, Vaddr: 0x1000, Filesz: 0x1000, Memsz: 0x1000},
	{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: 0x2e00, Vaddr: 0x3e00, Filesz: 0x300, Memsz: 0x900},
}

func open(t testing.TB, b []byte) *elf.File {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func notes(raw ...[]byte) section {
	return section{".note.stapsdt", elf.SHT_NOTE, 0, bytes.Join(raw, nil)}
}

// show writes probes in one line each.
func show(probes []Probe) string {
	var b strings.Builder
	for _, p := range probes {
		fmt.Fprintf(&b, "%s:%s", p.Provider, p.Name)
		for _, s := range p.Sites {
			fmt.Fprintf(&b, " %#x@%#x(%#x@%#x)", s.Vaddr, s.Offset, s.SemaphoreVaddr, s.SemaphoreOffset)
			for _, a := range s.Args {
				fmt.Fprintf(&b, " %s=%q", a.Text, a.Expr)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestRead(t *testing.T) {
	probe := func(pc, base, sem uint64, names ...string) []byte {
		return rawNote("stapsdt", 3, rawProbe(pc, base, sem, names...))
	}
	base := section{".stapsdt.base", elf.SHT_PROGBITS, 0x2010, []byte{0}}
	globals := symtab(map[string]uint64{"g": 0x4010, "bss": 0x4600, "twice": 1, "twice'": 2}, "g", "bss", "twice", "twice'")
	tests := []struct {
		name     string
		machine  elf.Machine
		sections []section
		want     string
		err      string
	}{
		{"no notes", elf.EM_X86_64, nil, "", ""},
		{"golden", elf.EM_X86_64, []section{base, notes([]byte(goldenNote))},
			`pp:req 0x10a6@0x10a6(0x401a@0x301a) -1@%dil="%di" 1@%r8b="%r8" -2@%r9w="%r9" -8@%r10="%r10" 8@(%rsi)="+0(%si)" -4@%edx="%dx"` + "\n", ""},
		{"prelinked", elf.EM_X86_64, []section{base, notes(probe(0xf00, 0x1f10, 0x3f1a, "pp", "a", ""), probe(0xf08, 0x1f10, 0, "pp", "b", ""))},
			"pp:a 0x1000@0x1000(0x401a@0x301a)\npp:b 0x1008@0x1008(0x0@0x0)\n", ""},
		{"no base section", elf.EM_X86_64, []section{notes(probe(0x1100, 0x1f10, 0x4000, "pp", "a", ""))},
			"pp:a 0x1100@0x1100(0x4000@0x3000)\n", ""},
		{"sites and order", elf.EM_X86_64, []section{notes(
			probe(0x1300, 0, 0, "z", "b", "8@%rax"), probe(0x1200, 0, 0, "a", "z", ""), probe(0x1100, 0, 0, "z", "b", "4@$5"), probe(0x1400, 0, 0, "a", "c", ""))},
			"a:c 0x1400@0x1400(0x0@0x0)\na:z 0x1200@0x1200(0x0@0x0)\n" + `z:b 0x1100@0x1100(0x0@0x0) 4@$5="\\5" 0x1300@0x1300(0x0@0x0) 8@%rax="%ax"` + "\n", ""},
		{"globals", elf.EM_X86_64, append([]section{notes(probe(0x1100, 0, 0, "pp", "g", "4@g(%rip) 4@4+bss(%rip) 4@twice(%rip) 4@none(%rip)"))}, globals...),
			`pp:g 0x1100@0x1100(0x0@0x0) 4@g(%rip)="@+0x4010" 4@4+bss(%rip)="@+0x4604" 4@twice(%rip)="" 4@none(%rip)=""` + "\n", ""},
		{"semaphore outside of the file", elf.EM_X86_64, []section{notes(probe(0x1100, 0, 0x4600, "pp", "a", ""))},
			"pp:a 0x1100@0x1100(0x4600@0x0)\n", ""},
		{"no code there", elf.EM_X86_64, []section{notes(probe(0x4000, 0, 0, "pp", "data", ""), probe(0x1100, 0, 0, "pp", "a", ""))},
			"pp:a 0x1100@0x1100(0x0@0x0)\n", "pp:data"},
		{"broken after one", elf.EM_X86_64, []section{notes(probe(0x1100, 0, 0, "pp", "a", ""), []byte("abc"))},
			"pp:a 0x1100@0x1100(0x0@0x0)\n", "cut short"},
		{"operands that do not split", elf.EM_X86_64, []section{notes(probe(0x1100, 0, 0, "pp", "a", "8@(%rax"))},
			`pp:a 0x1100@0x1100(0x0@0x0) 8@(%rax=""` + "\n", ""},
		{"another machine", elf.EM_AARCH64, []section{notes(probe(0x1100, 0, 0, "pp", "a", "4@[sp, 8] 8@x1"))},
			`pp:a 0x1100@0x1100(0x0@0x0) 4@[sp, 8]="" 8@x1=""` + "\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(open(t, elfFile(tt.machine, progs, tt.sections)))
			if show(got) != tt.want {
				t.Errorf("got\n%swant\n%s", show(got), tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error: got %v, want %q in it", err, tt.err)
			}
		})
	}
}

// FuzzParseNotes holds that every note read can be written again and read as the same.
func FuzzParseNotes(f *testing.F) {
	f.Add([]byte(goldenNote))
	f.Add(rawNote("GNU", 3, []byte("x")))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x03\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseNotes(b, binary.LittleEndian, 8)
		if len(got)*12 > len(b) {
			t.Fatalf("%d notes of %d bytes", len(got), len(b))
		}
		var again []byte
		for _, n := range got {
			again = append(again, rawNote("stapsdt", 3, rawProbe(n.pc, n.base, n.semaphore, n.provider, n.name, n.args))...)
		}
		same, err2 := parseNotes(again, binary.LittleEndian, 8)
		if err2 != nil || fmt.Sprint(same) != fmt.Sprint(got) {
			t.Fatalf("got %v (%v), written and read again %v (%v)", got, err, same, err2)
		}
		_, _ = parseNotes(b, binary.BigEndian, 4)
	})
}

// FuzzRead holds that each site of an arbitrary file lies in its code, and each
// semaphore in its data.
func FuzzRead(f *testing.F) {
	f.Add(elfFile(elf.EM_X86_64, progs, []section{notes([]byte(goldenNote))})[:0x400], []byte(goldenNote))
	f.Fuzz(func(t *testing.T, head, raw []byte) {
		whole := elfFile(elf.EM_X86_64, progs, []section{notes(raw)})
		// The segments may be arbitrary, the headers behind them are whole.
		if len(head) > 64 {
			copy(whole[64:0x10000], head[64:])
		}
		file, err := elf.NewFile(bytes.NewReader(whole))
		if err != nil {
			return
		}
		probes, _ := Read(file)
		for _, p := range probes {
			if p.Provider == "" || p.Name == "" || len(p.Sites) == 0 {
				t.Fatalf("got %+v", p)
			}
			for _, s := range p.Sites {
				if segmentAt(file, s.Vaddr, elf.PF_X) == nil {
					t.Fatalf("%s:%s: address %#x is in no code", p.Provider, p.Name, s.Vaddr)
				}
			}
		}
	})
}

// TestGlobalsAtFixedAddresses has code whose address is not its offset, as a program
// that is not position-independent has it: the kernel adds @+N to where the file's
// offset 0 would be mapped with the code.
func TestGlobalsAtFixedAddresses(t *testing.T) {
	fixed := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: 0x1000, Vaddr: 0x401000, Filesz: 0x1000, Memsz: 0x1000},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: 0x2e00, Vaddr: 0x403e00, Filesz: 0x300, Memsz: 0x900},
	}
	sections := append([]section{notes(rawNote("stapsdt", 3, rawProbe(0x401100, 0, 0x404000, "pp", "g", "4@g(%rip)")))},
		symtab(map[string]uint64{"g": 0x404010}, "g")...)
	got, err := Read(open(t, elfFile(elf.EM_X86_64, fixed, sections)))
	if want := `pp:g 0x401100@0x1100(0x404000@0x3000) 4@g(%rip)="@+0x4010"` + "\n"; err != nil || show(got) != want {
		t.Errorf("got %s, %v, want %s", show(got), err, want)
	}
}
