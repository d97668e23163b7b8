package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"github.com/ulikunitz/xz"
)

// tiny writes a small ELF file: a segment of code, .symtab, .dynsym with versions, a
// build id, and what extra sections there are.
func tiny(extra map[string][]byte) []byte { return tinyWith(extra) }

// tinySym is a further symbol of [tinyWith], called "first".
type tinySym struct {
	addr, size uint64
	section    uint16
}

// tinyWith is [tiny] with more symbols, and the address of a section .plt among extra
// being 0x1030.
func tinyWith(extra map[string][]byte, more ...tinySym) []byte {
	le := binary.LittleEndian
	code := bytes.Repeat([]byte{0xc3}, 64)
	strs := []byte("\x00first\x00second\x00third@@V1\x00_ZN2ns1fEi\x00")
	sym := func(name uint32, info byte, value, size uint64) []byte {
		b := le.AppendUint32(nil, name)
		b = append(b, info, 0, 1, 0)
		return le.AppendUint64(le.AppendUint64(b, value), size)
	}
	syms := bytes.Join([][]byte{make([]byte, 24), sym(1, 0x12, 0x1000, 16), sym(7, 0x02, 0x1010, 0), sym(14, 0x1a, 0x1020, 8), sym(24, 0x12, 0x1028, 1<<40)}, nil)
	for _, m := range more {
		b := append(le.AppendUint32(nil, 1), 0x12, 0)
		b = le.AppendUint64(le.AppendUint64(le.AppendUint16(b, m.section), m.addr), m.size)
		syms = append(syms, b...)
	}
	def := le.AppendUint16(le.AppendUint16(le.AppendUint16(le.AppendUint16(nil, 1), 0), 2), 1)
	def = le.AppendUint32(le.AppendUint32(le.AppendUint32(def, 0), 20), 0)
	def = le.AppendUint32(le.AppendUint32(def, 1), 0)
	note := append(le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 4), 4), 3), "GNU\x00\xde\xad\xbe\xef"...)
	type section struct {
		name      string
		typ, link uint32
		addr      uint64
		flags     uint64
		data      []byte
	}
	sections := []section{
		{}, {".text", 1, 0, 0x1000, 6, code}, {".strtab", 3, 0, 0, 0, strs}, {".symtab", 2, 2, 0, 0, syms}, {".dynsym", 11, 2, 0, 0, syms[:72]},
		{".gnu.version", uint32(elf.SHT_GNU_VERSYM), 4, 0, 0, []byte{0, 0, 2, 0, 2, 0x80}}, {".gnu.version_d", uint32(elf.SHT_GNU_VERDEF), 2, 0, 0, def},
		{".note.gnu.build-id", 7, 0, 0, 0, note},
	}
	for name, data := range extra {
		s := section{name: name, typ: 1, data: data}
		if name == ".plt" {
			s.addr, s.flags = 0x1030, 6
		}
		sections = append(sections, s)
	}
	names := []byte{0}
	b := make([]byte, 64+56)
	var heads []byte
	add := func(s section) {
		nameOff := uint32(0)
		if s.name != "" {
			nameOff = uint32(len(names))
			names = append(append(names, s.name...), 0)
		}
		off := uint64(len(b))
		b = append(b, s.data...)
		if s.name == ".text" {
			ph := le.AppendUint32(le.AppendUint32(b[:64:64], 1), 5)
			for _, v := range []uint64{off, 0x1000, 0x1000, uint64(len(code)), uint64(len(code)), 0x1000} {
				ph = le.AppendUint64(ph, v)
			}
			copy(b[64:], ph[64:])
		}
		heads = le.AppendUint32(le.AppendUint32(heads, nameOff), s.typ)
		for _, v := range []uint64{s.flags, s.addr, off, uint64(len(s.data))} {
			heads = le.AppendUint64(heads, v)
		}
		heads = le.AppendUint64(le.AppendUint64(le.AppendUint32(le.AppendUint32(heads, s.link), 0), 1), 0)
	}
	for _, s := range sections {
		add(s)
	}
	// The names' own section must have its name among them.
	last := len(names)
	names = append(names, ".shstrtab\x00"...)
	off := uint64(len(b))
	b = append(b, names...)
	heads = le.AppendUint32(le.AppendUint32(heads, uint32(last)), 3)
	for _, v := range []uint64{0, 0, off, uint64(len(names)), 0, 1, 0} {
		heads = le.AppendUint64(heads, v)
	}
	head := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	head = le.AppendUint32(le.AppendUint16(le.AppendUint16(head, 3), 62), 1)
	head = le.AppendUint64(le.AppendUint64(le.AppendUint64(head, 0x1000), 64), uint64(len(b)))
	head = le.AppendUint32(head, 0)
	for _, v := range []uint16{64, 56, 1, 64, uint16(len(sections) + 1), uint16(len(sections))} {
		head = le.AppendUint16(head, v)
	}
	copy(b, head)
	return append(b, heads...)
}

func reader(t testing.TB, b []byte) (*File, error) {
	t.Helper()
	return OpenReader(bytes.NewReader(b), int64(len(b)), "/f", Options{NoDebug: true})
}

func TestTiny(t *testing.T) {
	f, err := reader(t, tiny(nil))
	if err != nil {
		t.Fatal(err)
	}
	if f.BuildID() != "deadbeef" {
		t.Errorf("got build id %q", f.BuildID())
	}
	got, err := f.Funcs()
	text := f.ELF().Section(".text").Offset
	want := []Func{
		{Name: "first", Version: "first", Default: true, Addr: 0x1000, Size: 16, Offset: text, Source: SourceSymtab},
		{Name: "second", Version: "first", Addr: 0x1010, Offset: text + 0x10, Source: SourceSymtab},
		{Name: "third", Version: "V1", Default: true, IFunc: true, Addr: 0x1020, Size: 8, Offset: text + 0x20, Source: SourceSymtab},
		// Its size, 1 TB, was cut at the segment's end.
		{Name: "_ZN2ns1fEi", Demangled: "ns::f(int)", Lang: LangCPP, Addr: 0x1028, Size: 24, Offset: text + 0x28, Source: SourceSymtab},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	for addr, name := range map[uint64]string{0x1000: "first", 0x100f: "first", 0x1010: "second", 0x101f: "second", 0x1027: "third", 0x103f: "_ZN2ns1fEi", 0xfff: "", 0x1040: ""} {
		if fn, ok := f.At(addr); fn.Name != name || ok != (name != "") {
			t.Errorf("%#x: got %v, %v, want %q", addr, fn, ok, name)
		}
	}
	if code, err := f.Code(got[1]); err != nil || len(code) != 16 {
		t.Errorf("got %d bytes, %v of a function without size, want 16", len(code), err)
	}
}

// Stubs, and functions of other files, are no functions of this one; functions may lie
// within others.
func TestNoFunctions(t *testing.T) {
	b := tinyWith(map[string][]byte{".plt": make([]byte, 16)},
		tinySym{0x1034, 4, 1}, // in .plt
		tinySym{0x1018, 4, 0}, // undefined: where calls go through .plt, it has its address
		tinySym{0x1004, 4, 1}, // within the function at 0x1000
	)
	f, err := reader(t, b)
	if err != nil {
		t.Fatal(err)
	}
	fns, err := f.Lookup("first")
	if err != nil || len(fns) != 2 || fns[0].Addr != 0x1000 || fns[1].Addr != 0x1004 {
		t.Errorf("got %v, %v, want those at 0x1000 and 0x1004", fns, err)
	}
	for addr, want := range map[uint64]uint64{0x1003: 0x1000, 0x1004: 0x1004, 0x1007: 0x1004, 0x1008: 0x1000, 0x100f: 0x1000} {
		if got, ok := f.Start(addr); !ok || got != want {
			t.Errorf("%#x: got %#x, %v, want %#x", addr, got, ok, want)
		}
	}
}

// No beginning of a file is a whole one, and none makes trouble.
func TestEveryBeginning(t *testing.T) {
	b := tiny(nil)
	for n := range b {
		f, err := reader(t, b[:n])
		if err != nil {
			continue
		}
		check(t, f)
	}
}

// check is what holds for whatever could be opened.
func check(t *testing.T, f *File) {
	t.Helper()
	fns, _ := f.Funcs()
	for _, fn := range fns {
		off, ok := f.FileOffset(fn.Addr)
		if !ok || off != fn.Offset {
			t.Fatalf("%+v is in no segment", fn)
		}
		if _, ok := f.FileOffset(fn.Addr + max(fn.Size, 1) - 1); !ok {
			t.Fatalf("%+v leaves its segment", fn)
		}
	}
	for _, fn := range fns[:min(len(fns), 4)] {
		_, _ = f.Code(fn)
		at, ok := f.At(fn.Addr)
		if ok && (at.Addr > fn.Addr || at.Addr+at.Size <= fn.Addr) {
			t.Fatalf("got %+v at %#x", at, fn.Addr)
		}
		f.Implementations(fn)
		if got, err := f.Lookup(fn.Name); err == nil && len(got) == 0 {
			t.Fatalf("got neither a function nor an error for %q", fn.Name)
		}
	}
	_, _ = f.Glob("*x*")
	_, _ = f.Lookup("ns::f")
	_ = f.HasExceptTable()
	_ = f.GoVersion()
}

func FuzzOpen(fz *testing.F) {
	fz.Add(tiny(nil))
	fz.Add(tiny(map[string][]byte{".gnu_debugdata": packed(fz, tiny(nil)), ".gnu_debuglink": []byte("x.debug\x00\x01\x02\x03\x04")}))
	fz.Add(tiny(map[string][]byte{".gopclntab": bytes.Repeat([]byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}, 16), ".go.module": make([]byte, 200)}))
	fz.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f, err := reader(t, b)
		if err != nil {
			return
		}
		check(t, f)
		runtime.ReadMemStats(&after)
		// Other goroutines of the fuzzer allocate as well, and an xz reader takes its
		// dictionary, which is bounded.
		if got := after.TotalAlloc - before.TotalAlloc; got > 4*maxMini+uint64(len(b))*4000 {
			t.Fatalf("allocated %d bytes for a file of %d", got, len(b))
		}
	})
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpackXZ(t *testing.T) {
	plain := bytes.Repeat([]byte("hello, symbols. "), 1000)
	whole := packed(t, plain)
	if got, err := unpackXZ(whole); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if got, err := unpackXZ(append(whole[:len(whole):len(whole)], 0, 0, 0, 0)); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("padded: got %d bytes, %v", len(got), err)
	}
	for n := range whole {
		if _, err := unpackXZ(whole[:n]); err == nil {
			t.Errorf("got no error for the first %d bytes", n)
		}
	}
	// A dictionary of 4 GB is refused before it is made.
	huge := bytes.Clone(whole)
	at := bytes.Index(huge[12:24], []byte{0x21, 1})
	huge[12+at+2] = 40
	if _, err := unpackXZ(huge); err == nil || err.Error() != "it asks for more than 64 MB" {
		t.Errorf("got %v", err)
	}
	if path, err := exec.LookPath("xz"); err == nil {
		name := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(name, plain, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(path, "-9", "-c", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unpackXZ(out); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("xz -9: got %d bytes, %v", len(got), err)
		}
	}
}

func TestParseBuildID(t *testing.T) {
	le := binary.LittleEndian
	note := func(typ uint32, name, desc string) []byte {
		b := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, uint32(len(name))), uint32(len(desc))), typ)
		b = append(b, name...)
		b = append(b, make([]byte, -len(b)&3)...)
		b = append(b, desc...)
		return append(b, make([]byte, -len(b)&3)...)
	}
	whole := bytes.Join([][]byte{note(1, "GNU\x00", "abcdefgh"), note(3, "Go\x00", "xy"), note(3, "GNU\x00", "\x01\x02\xab\xcd")}, nil)
	if got := hex.EncodeToString(parseBuildID(whole, 4, le)); got != "0102abcd" {
		t.Errorf("got %q", got)
	}
	for n := range whole {
		if got := parseBuildID(whole[:n], 4, le); got != nil {
			t.Errorf("got %x of the first %d bytes", got, n)
		}
	}
	if got := parseBuildID(bytes.Repeat([]byte{0xff}, 64), 8, le); got != nil {
		t.Errorf("got %x", got)
	}
}

func TestParseDebugLink(t *testing.T) {
	whole := []byte("prog.debug\x00\x00\x78\x56\x34\x12")
	if name, sum, ok := parseDebugLink(whole, binary.LittleEndian); !ok || name != "prog.debug" || sum != 0x12345678 {
		t.Errorf("got %q, %x, %v", name, sum, ok)
	}
	for n := range whole {
		if name, _, ok := parseDebugLink(whole[:n], binary.LittleEndian); ok {
			t.Errorf("got %q of the first %d bytes", name, n)
		}
	}
	if name, _, ok := parseDebugLink([]byte("../../etc/x\x00\x00\x00\x00\x00"), binary.LittleEndian); ok {
		t.Errorf("got %q, which leaves the folder", name)
	}
}

func FuzzDebugData(f *testing.F) {
	f.Add(packed(f, tiny(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, err := unpackXZ(b); err == nil && len(out) > maxMini {
			t.Fatalf("got %d bytes", len(out))
		}
	})
}
