package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
)

// fakeTypes are a kernel's types without a kernel.
type fakeTypes struct {
	args    map[string]string
	members map[string]int // "struct.path": the offset, 4 bytes each but those below
}

var errNoType = errors.New("no such type")

func (f fakeTypes) Args(name string) ([]string, error) {
	a, ok := f.args[name]
	if !ok {
		return nil, errNoType
	}
	return strings.Fields(a), nil
}

func (f fakeTypes) Member(structName, path string) (offset, size int, err error) {
	off, ok := f.members[structName+"."+path]
	if !ok {
		return 0, 0, errNoType
	}
	switch path {
	case "comm":
		return off, 16, nil
	case "name", "filename", "function":
		return off, 8, nil
	}
	return off, 4, nil
}

func (fakeTypes) Value(_, name string) (uint64, error) {
	return map[string]uint64{"___GFP_ACCOUNT_BIT": 22, "_SLAB_ACCOUNT": 13}[name], nil
}

func kernel() fakeTypes {
	return fakeTypes{
		args: map[string]string{
			"sched_switch": "1 task_struct* task_struct* 4", "sched_stat_runtime": "task_struct* 8", "irq_handler_entry": "4 irqaction*",
			"sys_enter": "pt_regs* 8", "kmem_cache_alloc": "8 * kmem_cache* 4 4", "signal_deliver": "4 kernel_siginfo* k_sigaction*",
		},
		members: map[string]int{
			"task_struct.comm": 1752, "task_struct.pid": 1264, "task_struct.prio": 108, "task_struct.exit_state": 1160, "irqaction.name": 80,
			"kernel_siginfo.si_errno": 4, "kernel_siginfo.si_code": 8,
		},
	}
}

func testMaps() TraceMaps {
	return TraceMaps{Rings: 3, Words: 4, CPUs: 2, Lost: 5, Slots: 8, Slot: 1, Task: Task{TGID: 1268, PID: 1264, Status: 16}, Scope: Scope{PIDs: -1}}
}

// number is a field in place.
func number(name string, offset, size int, signed bool) perfpipe.Field {
	k := perfpipe.KindUint
	if signed {
		k = perfpipe.KindInt
	}
	return perfpipe.Field{Name: name, Offset: offset, Size: size, ElemSize: size, Count: 1, Kind: k, Signed: signed}
}

// words is a text: in place where size is not 4.
func words(name string, offset, size int) perfpipe.Field {
	f := perfpipe.Field{Name: name, Offset: offset, Size: size, ElemSize: 1, Count: size, Kind: perfpipe.KindString}
	if size == 4 {
		f.Loc = perfpipe.LocData
	}
	return f
}

func event(system, name string, size int, fields ...perfpipe.Field) *perfpipe.Schema {
	return &perfpipe.Schema{System: system, Name: name, ID: 372, Size: size, Fields: fields, Common: []perfpipe.Field{
		number("common_type", 0, 2, false), number("common_flags", 2, 1, false), number("common_preempt_count", 3, 1, false), number("common_pid", 4, 4, true),
	}}
}

func schedSwitch() *perfpipe.Schema {
	return event("sched", "sched_switch", 64,
		words("prev_comm", 8, 16), number("prev_pid", 24, 4, true), number("prev_prio", 28, 4, true), number("prev_state", 32, 8, true),
		words("next_comm", 40, 16), number("next_pid", 56, 4, true), number("next_prio", 60, 4, true))
}

func irqEntry() *perfpipe.Schema {
	return event("irq", "irq_handler_entry", 16, number("irq", 8, 4, true), words("name", 12, 4))
}

// golden compares a program with a file.
func golden(t *testing.T, code asm.Instructions, path string) {
	t.Helper()
	got := fmt.Sprintf("%v", code)
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

// testCode is a filter that is made by write.
func testCode(late bool, write func(p *Place) asm.Instructions) *Code {
	return &Code{Faults: 11, CPUs: 4, Filter: &Filter{Late: late, Emits: 1, Write: func(p *Place) (asm.Instructions, error) { return write(p), nil }}}
}

// keepSome keeps records whose u32 at 24 is not 0.
func keepSome(p *Place) asm.Instructions {
	return asm.Instructions{asm.LoadMem(asm.R1, record, RawOffset+24, asm.Word), asm.JEq.Imm(asm.R1, 0, p.Reject), asm.Ja.Label(p.Accept)}
}

func TestTraceGolden(t *testing.T) {
	scoped := testMaps()
	scoped.Scope = Scope{Self: 77, PIDs: 6}
	scoped.Code = testCode(true, keepSome)
	tests := []struct {
		path   string
		schema *perfpipe.Schema
		maps   TraceMaps
	}{
		{"testdata/sched_switch.golden", schedSwitch(), testMaps()},
		{"testdata/irq_handler_entry.golden", irqEntry(), testMaps()},
		{"testdata/scoped.golden", schedSwitch(), scoped},
	}
	for _, tt := range tests {
		tr, err := MapTrace(tt.schema, kernel(), frozenRelease)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		code, err := AssembleTrace(tr, tt.maps)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		whole(t, code)
		golden(t, code, tt.path)
	}
}

func TestOtherProgramsGolden(t *testing.T) {
	task := testMaps().Task
	calls := func(exit bool) asm.Instructions {
		code, err := AssembleCalls(&Calls{Exit: exit, PID: 4, Table: 9, Numbers: 400}, testMaps())
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	generic, err := AssembleGeneric(&Generic{Type: 9, PID: 4, Size: 30, Located: []Located{{Offset: 8}, {Offset: 12, Rel: true}}}, testMaps())
	if err != nil {
		t.Fatal(err)
	}
	f := Follow{PIDs: 6, Waiting: 7, Task: task}
	for path, code := range map[string]asm.Instructions{
		"testdata/sys_enter.golden": calls(false), "testdata/sys_exit.golden": calls(true), "testdata/generic.golden": generic,
		"testdata/fork.golden": AssembleFork(f), "testdata/free.golden": AssembleFree(f), "testdata/exec.golden": AssembleExec(f),
	} {
		whole(t, code)
		golden(t, code, path)
	}
}

// count is how often a program calls a helper.
func count(code asm.Instructions, fn asm.BuiltinFunc) (n int) {
	for _, in := range code {
		if in.IsBuiltinCall() && in.Constant == fn.Call().Constant {
			n++
		}
	}
	return n
}

// TestTraceReserves: a record is reserved once and submitted once; one whose text may be
// long is made again with much room.
func TestTraceReserves(t *testing.T) {
	filter := testMaps()
	filter.Code = testCode(true, keepSome)
	early := testMaps()
	early.Code = testCode(false, keepSome)
	tests := []struct {
		name                     string
		schema                   *perfpipe.Schema
		maps                     TraceMaps
		reserve, submit, discard int
	}{
		{"numbers", schedSwitch(), testMaps(), 1, 1, 0},
		{"a name of a task", event("sched", "sched_stat_runtime", 24, words("comm", 8, 4), number("pid", 12, 4, true), number("runtime", 16, 8, false)), testMaps(), 1, 1, 0},
		{"a text of any length", irqEntry(), testMaps(), 2, 2, 1},
		{"a filter on the ring", schedSwitch(), filter, 1, 1, 1},
		{"a filter before it", schedSwitch(), early, 1, 1, 0},
	}
	for _, tt := range tests {
		tr, err := MapTrace(tt.schema, kernel(), frozenRelease)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		code, err := AssembleTrace(tr, tt.maps)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		whole(t, code)
		if r, s, d := count(code, asm.FnRingbufReserve), count(code, asm.FnRingbufSubmit), count(code, asm.FnRingbufDiscard); r != tt.reserve || s != tt.submit || d != tt.discard {
			t.Errorf("%s: got %d reserves, %d submits, %d discards, want %d, %d, %d", tt.name, r, s, d, tt.reserve, tt.submit, tt.discard)
		}
	}
}

func TestMapTraceRefuses(t *testing.T) {
	other := kernel()
	other.args["sched_switch"] = "1 task_struct* task_struct*"
	tests := []struct {
		name, want string
		schema     *perfpipe.Schema
		types      Types
		release    int
	}{
		{"an unknown event", "no program of ours", event("sched", "sched_none", 8), kernel(), frozenRelease},
		{"an event of another system", "no program of ours", event("other", "sched_switch", 8), kernel(), frozenRelease},
		{"a kernel without its type", "no such type", event("sched", "sched_waking", 8), kernel(), frozenRelease},
		{"other arguments", "other arguments", schedSwitch(), other, frozenRelease},
		{"an older kernel", "assigns them otherwise", schedSwitch(), kernel(), frozenRelease - 1},
		{"a field that is not known", "prev_flavour", event("sched", "sched_switch", 16, number("prev_flavour", 8, 4, true)), kernel(), frozenRelease},
		{"a member that is not there", "prev_state", schedSwitch(), fakeTypes{args: kernel().args, members: map[string]int{"task_struct.comm": 8, "task_struct.pid": 24, "task_struct.prio": 28}}, frozenRelease},
		{"a text where a number is", "any length", event("sched", "sched_stat_runtime", 24, words("runtime", 8, 4)), kernel(), frozenRelease},
		{"a field smaller than its member", "2 bytes", event("sched", "sched_stat_runtime", 24, number("pid", 8, 2, true)), kernel(), frozenRelease},
		{"a field wider than its member, with a sign", "with a sign", event("sched", "sched_stat_runtime", 24, number("pid", 8, 8, true)), kernel(), frozenRelease},
	}
	for _, tt := range tests {
		if tr, err := MapTrace(tt.schema, tt.types, tt.release); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %+v, %v, want %q", tt.name, tr, err, tt.want)
		}
	}
}

func TestAssembleTraceRefuses(t *testing.T) {
	none, slot := testMaps(), testMaps()
	none.CPUs = 0
	slot.Slot = 8
	tests := []struct {
		name, want string
		t          Trace
		m          TraceMaps
	}{
		{"no type", "common fields", Trace{PID: 4, Size: 16}, testMaps()},
		{"a pid outside", "common fields", Trace{Type: 1, PID: 6, Size: 8}, testMaps()},
		{"no processor", "no processor", Trace{Type: 1, PID: 4, Size: 8}, none},
		{"no counter", "counter", Trace{Type: 1, PID: 4, Size: 8}, slot},
		{"a field over the end", "16", Trace{Type: 1, PID: 4, Size: 16, Values: []Value{{Offset: 16, Size: 4}}}, testMaps()},
		{"a field in the common ones", "common", Trace{Type: 1, PID: 4, Size: 16, Values: []Value{{Offset: 4, Size: 4}}}, testMaps()},
		{"an odd integer", "integer", Trace{Type: 1, PID: 4, Size: 16, Values: []Value{{Offset: 8, Size: 3}}}, testMaps()},
		{"an argument out of reach", "reach", Trace{Type: 1, PID: 4, Size: 16, Values: []Value{{Offset: 8, Size: 4, Arg: 12}}}, testMaps()},
		{"a long text of a task", "text", Trace{Type: 1, PID: 4, Size: 16, Values: []Value{{Offset: 8, Size: 4, Kind: KindMemberText, Width: 72}}}, testMaps()},
	}
	for _, tt := range tests {
		if _, err := AssembleTrace(&tt.t, tt.m); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestCallNumber64(t *testing.T) {
	for name, want := range map[string]int{"read": 0, "newfstat": 5, "getppid": 110, "newuname": 63, "umount": 166, "openat": 257, "clone3": 435, "sendfile64": 40} {
		if got, ok := CallNumber64(name); !ok || got != want {
			t.Errorf("%s: got %d, %v, want %d", name, got, ok, want)
		}
	}
	if n, ok := CallNumber64("fstat"); ok {
		t.Errorf("fstat: got %d, want none: its function is newfstat", n)
	}
	seen := map[string]bool{}
	for _, r := range callRuns() {
		for name := range strings.FieldsSeq(r.names) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
}

// FuzzTrace: whatever is described, the program is refused or whole, and writes to no
// more than it reserves.
func FuzzTrace(f *testing.F) {
	f.Add(uint8(0), 8, 4, 4, 0, 0, 16)
	f.Add(uint8(1), 8, 16, 16, 1752, 1, 64)
	f.Add(uint8(2), 12, 4, 16, 1752, 2, 24)
	f.Add(uint8(3), 12, 4, 8, 80, 1, 16)
	f.Add(uint8(8), 16, 48, 0, 0, 0, 64)
	f.Add(uint8(9), 12, 4, 4, 4, 1, 20)
	f.Fuzz(func(t *testing.T, kind uint8, offset, size, width, member, arg, end int) {
		tr := &Trace{Type: 7, PID: 4, Size: end, Other: -1, Values: []Value{
			{Kind: Kind(kind % 11), Offset: offset, Size: size, Width: width, Member: member, Arg: arg},
		}}
		code, err := AssembleTrace(tr, testMaps())
		if err != nil {
			return
		}
		whole(t, code)
		within(t, code)
	})
}

// within fails where a store to the record goes over what was reserved last.
func within(t *testing.T, code asm.Instructions) {
	t.Helper()
	room := int64(0)
	for i, in := range code {
		if in.IsBuiltinCall() && in.Constant == asm.FnRingbufReserve.Call().Constant {
			room = code[i-2].Constant
		}
		if in.OpCode.Class().IsStore() && in.Dst == record {
			if n := int64(in.Offset) + int64(in.OpCode.Size().Sizeof()); in.Offset < 0 || n > room {
				t.Fatalf("instruction %d stores up to %d of %d bytes", i, n, room)
			}
		}
	}
}

// FuzzGeneric: the same of programs that copy.
func FuzzGeneric(f *testing.F) {
	f.Add(64, 8, 12, false)
	f.Add(30, 8, 24, true)
	f.Add(8, 0, 0, false)
	f.Fuzz(func(t *testing.T, size, a, b int, rel bool) {
		code, err := AssembleGeneric(&Generic{Type: 7, PID: 4, Size: size, Located: []Located{{Offset: a}, {Offset: b, Rel: rel}}}, testMaps())
		if err != nil {
			return
		}
		whole(t, code)
		within(t, code)
	})
}
