package unwind

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func u32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// entry puts a length before an entry, padded with nops.
func entry(body []byte) []byte {
	for (len(body)+4)%8 != 0 {
		body = append(body, 0)
	}
	return append(u32(uint32(len(body))), body...)
}

// section is an .eh_frame at address 0x2000: a CIE as gcc makes it, and FDEs with
// the given programs for 16 bytes each from 0x1000 on.
func section(aug string, programs ...[]byte) []byte {
	cieBody := join(u32(0), []byte{1}, []byte(aug), []byte{0, 1, 0x78, 16, 1, 0x1b}, []byte{0x0c, 7, 8, 0x90, 1})
	b := entry(cieBody)
	for i, p := range programs {
		at := len(b)
		begin := uint32(0x1000 + 16*i - (0x2000 + at + 8))
		b = append(b, entry(join(u32(uint32(at+4)), u32(begin), u32(16), []byte{0}, p))...)
	}
	return append(b, 0, 0, 0, 0)
}

// push is push %rbp; mov %rsp,%rbp; ...; pop %rbp; ret, after which the function goes on.
var push = []byte{
	0x41,     // advance 1
	0x0e, 16, // def_cfa_offset 16
	0x86, 2, // offset rbp at cfa-16
	0x43,        // advance 3
	0x0d, regBP, // def_cfa_register rbp
	0x44,       // advance 4
	0x0a,       // remember_state
	0x0c, 7, 8, // def_cfa rsp+8
	0xc6, // restore rbp
	0x41, // advance 1
	0x0b, // restore_state
}

func TestRows(t *testing.T) {
	tab := parse(section("zR", push, []byte{0x07, 16}), 0x2000)
	if len(tab.fdes) != 2 {
		t.Fatalf("got %d functions, want 2", len(tab.fdes))
	}
	tests := []struct {
		addr   uint64
		reg    uint64
		off    int64
		bpKind ruleKind
	}{
		{0x1000, regSP, 8, ruleSame}, {0x1001, regSP, 16, ruleOffset}, {0x1003, regSP, 16, ruleOffset}, {0x1004, regBP, 16, ruleOffset},
		{0x1007, regBP, 16, ruleOffset}, {0x1008, regSP, 8, ruleSame}, {0x1009, regBP, 16, ruleOffset}, {0x100f, regBP, 16, ruleOffset},
	}
	for _, tt := range tests {
		f, ok := tab.find(tt.addr)
		if !ok {
			t.Fatalf("%#x: no function", tt.addr)
		}
		r, ok := f.rowAt(tt.addr)
		if !ok || r.cfaReg != tt.reg || r.cfaOff != tt.off || r.regs[regBP].kind != tt.bpKind || !r.regs[regRA].equal(rule{kind: ruleOffset, off: -8}) {
			t.Errorf("%#x: got %+v %v, want cfa r%d%+d, rbp %d", tt.addr, r, ok, tt.reg, tt.off, tt.bpKind)
		}
	}
	if f, ok := tab.find(0x1010); !ok {
		t.Error("the second function is not found")
	} else if r, ok := f.rowAt(0x1010); !ok || r.regs[regRA].kind != ruleUndefined {
		t.Errorf("the outermost function: got %+v %v, want no return address", r, ok)
	}
	for _, a := range []uint64{0, 0xfff, 0x1020} {
		if _, ok := tab.find(a); ok {
			t.Errorf("%#x: found a function", a)
		}
	}
	if tab := parse(section("zR", push)[:40], 0x2000); len(tab.fdes) != 0 {
		t.Error("a function that is cut off was taken")
	}
	whole := section("zRS", push)
	for i := range whole {
		parse(whole[:i], 0x2000)
	}
}

func TestPrograms(t *testing.T) {
	tests := []struct {
		name    string
		program []byte
		ok      bool
		check   func(r row) bool
	}{
		{"same value", []byte{0x08, 3}, true, func(r row) bool { return r.regs[3].kind == ruleSame }},
		{"register", []byte{0x09, 3, 1}, true, func(r row) bool { return r.regs[3].equal(rule{kind: ruleRegister, reg: 1}) }},
		{"offset_extended_sf", []byte{0x11, 3, 0x7f}, true, func(r row) bool { return r.regs[3].off == 8 }},
		{"offset_extended", []byte{0x05, 3, 4}, true, func(r row) bool { return r.regs[3].off == -32 }},
		{"restore_extended", []byte{0x05, 16, 4, 0x06, 16}, true, func(r row) bool { return r.regs[16].off == -8 }},
		{"val_offset", []byte{0x14, 3, 2}, true, func(r row) bool { return r.regs[3].kind == ruleValOffset && r.regs[3].off == -16 }},
		{"val_offset_sf", []byte{0x15, 3, 0x7e}, true, func(r row) bool { return r.regs[3].off == 16 }},
		{"def_cfa_sf", []byte{0x12, 6, 0x7e}, true, func(r row) bool { return r.cfaReg == 6 && r.cfaOff == 16 }},
		{"def_cfa_offset_sf", []byte{0x13, 0x7d}, true, func(r row) bool { return r.cfaOff == 24 }},
		{"cfa by expression", []byte{0x0f, 2, 0x77, 8}, true, func(r row) bool { return bytes.Equal(r.cfaExpr, []byte{0x77, 8}) }},
		{"expression", []byte{0x10, 3, 1, 0x30}, true, func(r row) bool { return r.regs[3].kind == ruleExpr }},
		{"args_size", []byte{0x2e, 16}, true, func(row) bool { return true }},
		{"a vector register", []byte{0x05, 17, 4}, true, func(row) bool { return true }},
		{"advance_loc1 past", []byte{0x02, 200, 0x0e, 99}, true, func(r row) bool { return r.cfaOff == 8 }},
		{"advance_loc2 past", []byte{0x03, 200, 0, 0x0e, 99}, true, func(r row) bool { return r.cfaOff == 8 }},
		{"advance_loc4 past", []byte{0x04, 200, 0, 0, 0, 0x0e, 99}, true, func(r row) bool { return r.cfaOff == 8 }},
		{"unknown", []byte{0x3e}, false, nil},
		{"nothing remembered", []byte{0x0b}, false, nil},
		{"cut off", []byte{0x05, 3}, false, nil},
		{"expression that is cut off", []byte{0x0f, 100, 1}, false, nil},
		{"cfa of an unknown register", []byte{0x0c, 40, 8}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fde{begin: 0x1000, end: 0x1010, program: tt.program, cie: &cie{code: 1, data: -8, ra: 16, init: []byte{0x0c, 7, 8, 0x90, 1}}}
			r, ok := f.rowAt(0x1004)
			if ok != tt.ok || ok && !tt.check(r) {
				t.Errorf("got %+v, %v", r, ok)
			}
		})
	}
}

func (r rule) equal(o rule) bool {
	return r.kind == o.kind && r.off == o.off && r.reg == o.reg && bytes.Equal(r.expr, o.expr)
}

func TestEval(t *testing.T) {
	rg := &Regs{regSP: 0x1000, regRA: 0x401005}
	mem := &Stack{Base: 0x1000, Data: join(u32(7), u32(0), u32(9), u32(0))}
	tests := []struct {
		name string
		expr []byte
		push []uint64
		want uint64
		ok   bool
	}{
		// DW_OP_breg7 8, breg16 0, lit15, and, lit11, ge, lit3, shl, plus: the PLT of x86-64.
		{"PLT", []byte{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, nil, 0x1008, true},
		{"deref", []byte{0x77, 8, 0x06}, nil, 9, true},
		{"pushed", []byte{0x23, 5}, []uint64{10}, 15, true},
		{"constants", []byte{0x09, 0xff, 0x0a, 2, 0, 0x1e}, nil, ^uint64(1), true},
		{"deref outside", []byte{0x30, 0x06}, nil, 0, false},
		{"empty", nil, nil, 0, false},
		{"too few", []byte{0x31, 0x22}, nil, 0, false},
		{"unknown", []byte{0xe0}, nil, 0, false},
		{"cut off", []byte{0x0e, 1}, nil, 0, false},
		{"endless", bytes.Repeat([]byte{0x31}, 2000), nil, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := eval(tt.expr, rg, mem, tt.push...); ok != tt.ok || ok && got != tt.want {
				t.Errorf("got %#x %v, want %#x %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// oneModule maps a table's addresses at a bias.
type oneModule struct {
	t    *Table
	bias uint64
}

func (m oneModule) Module(addr uint64) (*Table, uint64, bool) {
	return m.t, addr - m.bias, addr >= m.bias && addr < m.bias+0x3000
}

// stackOf is a stack at 0x7000 of 8-byte words.
func stackOf(words ...uint64) *Stack {
	s := &Stack{Base: 0x7000}
	for _, w := range words {
		s.Data = binary.LittleEndian.AppendUint64(s.Data, w)
	}
	return s
}

func TestWalk(t *testing.T) {
	tab := parse(section("zR", push, push, []byte{0x07, 16}), 0x2000)
	tab.loads = []load{{size: 0x3000}}
	m := oneModule{tab, 0x50000}
	// In the first function after its push; its caller is in the second, whose is
	// the third, which has no caller.
	mem := stackOf(0x7010, 0x51018, 0x7020, 0x51025, 0, 0x51005)
	rg := Regs{regSP: 0x7000, regBP: 0x7000, regRA: 0x51005}
	tests := []struct {
		name string
		rg   Regs
		mem  *Stack
		most int
		want []uint64
	}{
		{"whole", rg, mem, 99, []uint64{0x51005, 0x51018, 0x51025}},
		{"two frames", rg, mem, 2, []uint64{0x51005, 0x51018}},
		{"stack cut off", rg, stackOf(0x7010, 0x51018), 99, []uint64{0x51005, 0x51018}},
		{"no stack", rg, stackOf(), 99, []uint64{0x51005}},
		{"a caller that is nowhere", rg, stackOf(0x7010, 0x99999), 99, []uint64{0x51005}},
		{"a frame that does not grow", Regs{regSP: 0x7000, regBP: 0x6000, regRA: 0x51005}, mem, 99, []uint64{0x51005}},
		{"by frame pointer", Regs{regSP: 0x7000, regBP: 0x7000, regRA: 0x51f00}, mem, 99, []uint64{0x51f00, 0x51018, 0x51025}},
		{"nowhere", Regs{}, mem, 99, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := NewWalker().Walk(nil, tt.rg, tt.mem, m, tt.most); !slices.Equal(got, tt.want) {
				t.Errorf("got %#x, want %#x", got, tt.want)
			}
		})
	}
}

// TestAgainstReadelf compares every row of real binaries with what readelf makes of it.
func TestAgainstReadelf(t *testing.T) {
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		t.Skip("needs binaries of x86-64 Linux")
	}
	readelf := testpriv.NeedTool(t, "readelf")
	libc, err := exec.Command(testpriv.NeedTool(t, "gcc"), "-print-file-name=libc.so.6").Output()
	if err != nil {
		t.Fatal(err)
	}
	bins := []string{"/bin/sh", compile(t), strings.TrimSpace(string(libc))}
	for _, bin := range bins {
		f, err := os.Open(bin)
		if err != nil {
			t.Fatal(err)
		}
		tab, err := Read(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		// It ends with 1 where there is a link to a file of debugging data that is not there.
		out, err := exec.Command(readelf, "-wF", bin).Output()
		if err != nil && len(out) == 0 {
			t.Fatal(err)
		}
		rows := 0
		var cols []string
		var at *fde
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if i := strings.Index(line, "pc="); i >= 0 {
				begin, err := strconv.ParseUint(line[i+3:i+19], 16, 64)
				fde, ok := tab.find(begin)
				if err != nil || !ok || fde.begin != begin {
					t.Fatalf("%s: no function at %s", bin, line)
				}
				at = fde
			}
			if strings.Contains(line, " CIE ") {
				at = nil
			}
			if len(f) > 1 && f[0] == "LOC" {
				cols = f
				continue
			}
			addr, err := strconv.ParseUint(f0(f), 16, 64)
			if err != nil || at == nil || len(f) != len(cols) || len(f0(f)) != 16 || addr >= at.end {
				continue
			}
			r, ok := at.rowAt(addr)
			if !ok {
				t.Fatalf("%s: no row at %#x", bin, addr)
			}
			rows++
			for i, c := range cols[1:] {
				if got, ok := r.text(c); ok && got != f[i+1] {
					t.Errorf("%s at %#x: %s: got %s, want %s", bin, addr, c, got, f[i+1])
				}
			}
		}
		if rows < 10 {
			t.Errorf("%s: compared %d rows", bin, rows)
		}
		t.Logf("%s: %d rows of %d functions", bin, rows, len(tab.fdes))
	}
}

func f0(f []string) string {
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// text is a column as readelf writes it; ok is false for columns that are not compared.
func (w row) text(col string) (s string, ok bool) {
	names := []string{"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "ra"}
	if col == "CFA" {
		if w.cfaExpr != nil {
			return "exp", true
		}
		return fmt.Sprintf("%s+%d", names[w.cfaReg], w.cfaOff), true
	}
	i := slices.Index(names, col)
	if i < 0 {
		return "", false
	}
	switch r := w.regs[i]; r.kind {
	case ruleOffset:
		return fmt.Sprintf("c%+d", r.off), true
	case ruleExpr, ruleValExpr:
		return "", false
	}
	return "u", true
}

// compile builds a program with frames of all kinds.
func compile(t *testing.T) string {
	t.Helper()
	gcc := testpriv.NeedTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	const text = `
#include <stdlib.h>
#include <string.h>
int g(int, ...);
__attribute__((noinline)) int f(int n, int *p) { char v[n]; memset(v, n, n); if (!n) return 3; return g(n - 1, v, p, p[n], p[n + 1], p[n + 2]) * p[2 * n] + v[1]; }
__attribute__((noinline)) int g(int n, ...) { int x[100]; x[n] = n; return f(n, x) + x[1]; }
int main(int c, char **v) { return f(c, (int *)v); }`
	if err := os.WriteFile(src, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O2", "-w", "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// FuzzWalk: whatever the section and the stack, reading them ends, every address
// but the first is mapped, and there are no more than asked for.
func FuzzWalk(f *testing.F) {
	stack := stackOf(0x7010, 0x51018, 0x7020, 0x51025, 0, 0x51005).Data
	f.Add(section("zR", push, push, []byte{0x07, 16}), stack, uint64(0x51005), uint64(0x7000))
	f.Add(section("zRS", []byte{0x0f, 5, 0x77, 8, 0x06, 0x23, 1}), stack, uint64(0x51003), uint64(0x7000))
	f.Fuzz(func(t *testing.T, b, stack []byte, pc, bp uint64) {
		tab := parse(b, 0x2000)
		tab.loads = []load{{size: 0x3000}}
		for i := range tab.fdes {
			fd := &tab.fdes[i]
			if fd.end <= fd.begin {
				t.Fatalf("function %#x-%#x", fd.begin, fd.end)
			}
			if i > 0 && tab.fdes[i-1].begin > fd.begin {
				t.Fatal("functions are not in order")
			}
		}
		m := oneModule{tab, 0x50000}
		got := NewWalker().Walk(nil, Regs{regSP: 0x7000, regBP: bp, regRA: pc}, &Stack{Base: 0x7000, Data: stack}, m, 50)
		if len(got) > 50 || len(got) > 0 && got[0] != pc {
			t.Fatalf("got %#x", got)
		}
		for _, a := range got[min(1, len(got)):] {
			if a < 0x50000 || a > 0x53000 {
				t.Fatalf("got %#x, which is not mapped", a)
			}
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	tab := parse(section("zR", push), 0x2000)
	tab.loads = []load{{size: 0x3000}}
	m := oneModule{tab, 0x50000}
	var words []uint64
	for i := range uint64(20) {
		words = append(words, 0x7000+16*(i+1), 0x51005)
	}
	mem, w, to := stackOf(words...), NewWalker(), make([]uint64, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		to = w.Walk(to[:0], Regs{regSP: 0x7000, regBP: 0x7000, regRA: 0x51005}, mem, m, 20)
	}
}
