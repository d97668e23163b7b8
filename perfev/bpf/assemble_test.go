package bpf

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
)

var update = flag.Bool("update", false, "write the golden files")

// whole fails where a jump leads nowhere or back, or the program does not end.
func whole(t *testing.T, code asm.Instructions) {
	t.Helper()
	at := map[string]int{}
	for i, in := range code {
		if s := in.Symbol(); s != "" {
			if _, twice := at[s]; twice {
				t.Fatalf("label %s is there twice", s)
			}
			at[s] = i
		}
		if in.OpCode == asm.InvalidOpCode {
			t.Fatalf("instruction %d is none", i)
		}
	}
	for i, in := range code {
		if ref := in.Reference(); ref != "" {
			if to, ok := at[ref]; !ok || to <= i {
				t.Fatalf("instruction %d jumps to %s at %d, %v", i, ref, to, ok)
			}
		}
	}
	if last := code[len(code)-1]; last.OpCode.JumpOp() != asm.Exit {
		t.Fatalf("the last instruction is %v", last)
	}
}

// work is work(int id, struct *r, char *path): r->n, and the flag at r->p->f.
func work() *Probe {
	return &Probe{Type: 1500, PID: 4, IP: 8, Func: -1, Size: 40, Fields: []Field{
		{Expr: "%di", Type: "s32", Offset: 24, Check: -1},
		{Expr: "+8(%si)", Type: "u64", Offset: 28, Check: 16},
		{Expr: "+1(+16(%si))", Type: "b3@1/8", Offset: 36, Check: -1},
		{Expr: "+0(%dx)", Type: "string", Offset: 20, Check: -1},
	}}
}

// TestAssembleGolden keeps a whole program: a change of it is to be seen.
func TestAssembleGolden(t *testing.T) {
	code, err := Assemble(work(), Maps{Rings: 3, Words: 4, CPUs: 2, Program: 1})
	if err != nil {
		t.Fatal(err)
	}
	whole(t, code)
	got := fmt.Sprintf("%v", code)
	const path = "testdata/work.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the program differs from %s; -update writes it\n%s", path, got)
	}
}

func TestAssembleReserves(t *testing.T) {
	// Fixed fields alone: no memory is touched and one record reserved.
	tests := []struct {
		name                      string
		fields                    []Field
		reserve, text, read, copy int
	}{
		{"no field", nil, 1, 0, 0, 0},
		{"registers", []Field{{Expr: "%di", Type: "u32", Offset: 16, Check: -1}}, 1, 0, 0, 0},
		{"memory", []Field{{Expr: "+0(%di)", Type: "u32", Offset: 16, Check: -1}}, 2, 0, 2, 1},
		{"an array, element by element the second time", []Field{{Expr: "+0(%di)", Type: "u32[3]", Offset: 16, Check: -1}}, 2, 0, 5, 2},
		{"a string, with much room the third time", []Field{{Expr: "+0(%di)", Type: "string", Offset: 16, Check: -1}}, 3, 3, 0, 2},
	}
	for _, tt := range tests {
		code, err := Assemble(&Probe{Type: 7, PID: 4, IP: 8, Func: -1, Size: 64, Fields: tt.fields}, Maps{CPUs: 1})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		whole(t, code)
		n := func(fn asm.BuiltinFunc) (n int) {
			for _, in := range code {
				if in.IsBuiltinCall() && in.Constant == fn.Call().Constant {
					n++
				}
			}
			return n
		}
		if r, s, u, c := n(asm.FnRingbufReserve), n(asm.FnProbeReadUserStr), n(asm.FnProbeReadUser), n(asm.FnCopyFromUser); r != tt.reserve || s != tt.text || u != tt.read || c != tt.copy {
			t.Errorf("%s: got %d reserves, %d strings, %d reads, %d copies, want %d, %d, %d, %d", tt.name, r, s, u, c, tt.reserve, tt.text, tt.read, tt.copy)
		}
		if in, out := tt.reserve, n(asm.FnRingbufSubmit)+n(asm.FnRingbufDiscard); out < in {
			t.Errorf("%s: %d reserved, %d given back", tt.name, in, out)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	many := make([]Field, 16)
	for i := range many {
		many[i] = Field{Expr: "+0(%di)", Type: "string", Offset: 16 + 4*i, Check: -1}
	}
	one := func(f Field) []Field { return []Field{f} }
	tests := []struct {
		name, want string
		p          Probe
		cpus       int
	}{
		{"a global", "cannot say", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1, Fields: one(Field{Expr: "@+8", Type: "u8", Offset: 16, Check: -1})}, 1},
		{"an unknown type", "none of that name", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1, Fields: one(Field{Expr: "%di", Type: "ustring", Offset: 16, Check: -1})}, 1},
		{"an array of registers", "reads no memory", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1, Fields: one(Field{Expr: "%di", Type: "u8[4]", Offset: 16, Check: -1})}, 1},
		{"a field over the end", "64 bytes", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1, Fields: one(Field{Expr: "%di", Type: "u64", Offset: 57, Check: -1})}, 1},
		{"a check over the end", "64 bytes", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1, Fields: one(Field{Expr: "+0(%di)", Type: "u64", Offset: 16, Check: 61})}, 1},
		{"more strings than a location can say", "64 KiB", Probe{Type: 1, PID: 4, IP: 8, Size: 96, Func: -1, Fields: many}, 1},
		{"no processor", "no processor", Probe{Type: 1, PID: 4, IP: 8, Size: 64, Func: -1}, 0},
		{"common fields outside", "common fields", Probe{Type: 1, PID: 6, IP: 8, Size: 8, Func: -1}, 1},
		{"a record that no instruction reaches", "common fields", Probe{Type: 1, PID: 4, IP: 8, Size: 40000, Func: -1}, 1},
	}
	for _, tt := range tests {
		_, err := Assemble(&tt.p, Maps{CPUs: tt.cpus})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
