package symbolize

import (
	"fmt"
	"strings"
	"testing"
)

const kallsymsText = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000010 t first
ffffffff81000010 T alias
ffffffff81000040 D data
ffffffffc0001000 t helper	[ext4]
ffffffff81000020 W weak
not a line
ffffffffc0002000 t bpf_prog_1234_x	[bpf]
`

func TestParseKallsyms(t *testing.T) {
	k := parseKallsyms([]byte(kallsymsText))
	for addr, want := range map[uint64]string{
		0xffffffff80ffffff: "", 0xffffffff81000000: "_stext+0 ", 0xffffffff8100001f: "first+15 ", 0xffffffff81000021: "weak+1 ",
		0xffffffffc0001001: "helper+1 [ext4]", 0xffffffffc0002001: "bpf_prog_1234_x+1 [bpf]", 0xffffffffd0000000: "",
	} {
		got := ""
		if s, ok := k.find(addr); ok {
			got = fmt.Sprintf("%s+%d %s", s.Name, s.Offset, s.File)
		}
		if got != want {
			t.Errorf("%#x: got %q, want %q", addr, got, want)
		}
	}
	for n := range len(kallsymsText) {
		if k := parseKallsyms([]byte(kallsymsText[:n])); k != nil && len(k.funcs) > 5 {
			t.Errorf("got %d functions of the first %d bytes", len(k.funcs), n)
		}
	}
	if k := parseKallsyms([]byte("0000000000000000 T _stext\n")); k != nil {
		t.Errorf("got %+v where the addresses are hidden", k)
	}
}

const jitText = `7f00001000 100 first
0x7f00002000 0x20 with spaces in it
7f00001000 80 later at the same place
7f00003000 1000 outer
7f00003100 10 inner
7f00004800 10 before
7f00004000 1000 over it
7f00009000 0 empty
garbage
7f0000a000 zz x
7f0000b000 10
ffffffffffffffff ff beyond
7f0000c000 10 last`

func TestParseJIT(t *testing.T) {
	m := &jitMap{}
	m.parse([]byte(jitText))
	for addr, want := range map[uint64]string{
		0x7f00001000: "later at the same place+0", 0x7f0000107f: "later at the same place+127", 0x7f00001080: "", 0x7f00002001: "with spaces in it+1",
		0x7f00003001: "outer+1", 0x7f00003105: "inner+5", 0x7f00003110: "outer+272", 0x7f00004805: "over it+2053", 0x7f00009000: "", 0x7f0000b000: "",
		0x7f0000c00f: "last+15", 0x7f0000c010: "", 0: "",
	} {
		got := ""
		if s, ok := m.find(addr); ok {
			got = fmt.Sprintf("%s+%d", s.Name, s.Offset)
		}
		if got != want {
			t.Errorf("%#x: got %q, want %q", addr, got, want)
		}
	}
	for n := range len(jitText) {
		m := &jitMap{}
		m.parse([]byte(jitText[:n]))
		if got, ok := m.find(0x7f00002001); ok && !strings.HasPrefix("with spaces in it", got.Name) {
			t.Errorf("got %+v of the first %d bytes", got, n)
		}
	}
}

func TestParseNSPID(t *testing.T) {
	for status, want := range map[string]int32{
		"Name:\tx\nNSpid:\t1234\n": 1234, "NSpid:\t1234\t56\t7\nNSpgid:\t9\n": 7, "": 42, "NSpid:\n": 42, "NSpid:\tx\n": 42, "NSpid:\t99999999999\n": 42,
	} {
		if got := parseNSPID(status, 42); got != want {
			t.Errorf("%q: got %d, want %d", status, got, want)
		}
	}
}

func FuzzJIT(f *testing.F) {
	f.Add([]byte(jitText), uint64(0x7f00003105))
	f.Add([]byte("0 1 x"), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, addr uint64) {
		m := &jitMap{}
		m.parse(b)
		for i, c := range m.code {
			if c.end <= c.addr || uint64(c.name)+uint64(c.len) > uint64(len(b)) || i > 0 && c.addr <= m.code[i-1].addr {
				t.Fatalf("got %+v of %d bytes", c, len(b))
			}
			if s, ok := m.find(c.addr); !ok || s.Offset >= 1<<63 {
				t.Fatalf("got %+v, %v for %#x", s, ok, c.addr)
			}
		}
		if s, ok := m.find(addr); ok && strings.Contains(s.Name, "\n") {
			t.Fatalf("got %q", s.Name)
		}
	})
}

func FuzzKallsyms(f *testing.F) {
	f.Add([]byte(kallsymsText), uint64(0xffffffff81000015))
	f.Fuzz(func(t *testing.T, b []byte, addr uint64) {
		k := parseKallsyms(b)
		if s, ok := k.find(addr); ok && (s.Name == "" || strings.ContainsAny(s.Name, " \n") || s.Offset > addr) {
			t.Fatalf("got %+v for %#x", s, addr)
		}
	})
}

// Sequences may come in any order, and one may begin where another ends.
func TestLineRows(t *testing.T) {
	u := &unitLines{files: []string{"a.c"}, rows: []lineRow{
		{addr: 0x20, line: 5}, {addr: 0x28, line: 6}, {addr: 0x28, line: 7}, {addr: 0x30},
		{addr: 0x10, line: 1}, {addr: 0x20},
	}}
	u.sort()
	lt := &lineTable{ranges: []unitRange{{0x10, 0x40, 0}}, rows: map[int]*unitLines{0: u}}
	for addr, want := range map[uint64]int{0x0f: 0, 0x10: 1, 0x1f: 1, 0x20: 5, 0x28: 7, 0x2f: 7, 0x30: 0, 0x3f: 0, 0x40: 0} {
		if file, line := lt.find(addr); line != want || (file == "a.c") != (want != 0) {
			t.Errorf("%#x: got %s:%d, want line %d", addr, file, line, want)
		}
	}
}
