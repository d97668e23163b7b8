package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Trace describes the record that a program makes where a tracepoint fires. Offsets
// are bytes from the start of the record, whose layout is that of the event's format
// file.
type Trace struct {
	// Tracepoint is the kernel's name of it: DECLARE_TRACE's.
	Tracepoint string
	// Type goes into common_type, the first two bytes; PID is the offset of common_pid.
	// The other common fields are 0: a program cannot know them all.
	Type, PID int
	// Size is the end of the fields in place; strings follow.
	Size int
	// Values are the fields.
	Values []Value
	// Other is the argument with the task that the event happens to, -1 for none: of a
	// target, what happens to it by others is recorded as well.
	Other int
}

// Kind is how a value comes from a tracepoint's arguments.
type Kind uint8

const (
	// KindArg is the argument itself.
	KindArg Kind = iota
	// KindMember is a member of the struct that the argument points to, or as many bytes
	// of it as the field has.
	KindMember
	// KindMemberText is a text within that struct, of Width bytes, as a __data_loc.
	KindMemberText
	// KindText is a text that a member points to, as a __data_loc.
	KindText
	// KindPointed is what the argument points to, where that is no struct.
	KindPointed
	// KindState is prev_state of sched_switch: whether the task was preempted is the
	// argument, its state is argument Arg2, Member is exit_state in argument Arg3.
	KindState
	// KindJiffies is the kernel's count of ticks.
	KindJiffies
	// KindCall is the number of the system call that the registers in the argument are
	// of, as an int.
	KindCall
	// KindCallArgs are the six arguments of a system call.
	KindCallArgs
	// KindSignal is a member of the kernel_siginfo that the argument points to: Const
	// where that is SEND_SIG_PRIV, 0 where it is SEND_SIG_NOINFO.
	KindSignal
	// KindFlag is whether the argument has any of the bits Const, or the member of the
	// struct in argument Arg2 any of Const2.
	KindFlag
)

// Value is one field of a record.
type Value struct {
	// Offset and Size are the field's, Width is how much is read: where Size is more,
	// the rest is 0.
	Offset, Size, Width int
	Kind                Kind
	// Arg, Arg2 and Arg3 are numbers of arguments, from 0 on.
	Arg, Arg2, Arg3 int
	// Member is the offset of a member.
	Member int
	// Const and Const2 are as the kind says.
	Const, Const2 int32
}

// Task says where the kernel's task_struct has what programs read of it, in bytes.
type Task struct {
	TGID, PID int
	// Status has in its bit 1 (TS_COMPAT) whether the system call is one of 32 bits.
	Status int
	// Regs are the offsets in pt_regs of the six arguments of a system call, Regs32
	// those of one of 32 bits, OrigAX that of its number.
	Regs, Regs32 [6]int
	OrigAX       int
}

// Scope is whose events are recorded.
type Scope struct {
	// Self is a process whose events are not, 0 for none.
	Self int
	// PIDs is the descriptor of a hash of processes, -1 for everybody.
	PIDs int
	// Cgroups is that of an array of cgroups, CgroupCount how many it has.
	Cgroups, CgroupCount int
}

// TraceMaps are what a program on a tracepoint works on.
type TraceMaps struct {
	// Rings and Words are as in [Maps]; of the words, on and wake are read alone.
	Rings, Words, CPUs int
	// Lost is the descriptor of the counters of lost records, Slots how many there are
	// for each processor, Slot which is the program's.
	Lost, Slots, Slot int
	Task              Task
	Scope             Scope
	// Code decides which records are kept; nil takes every one.
	Code *Code
}

// reject is the label that a filter jumps to when a record has its place in the ring.
const reject = "reject"

// lostLine is the granularity of a processor's counters: a cache line, in u64s.
const lostLine = 8

// LostSlots rounds a number of counters up so that each processor has cache lines of
// its own.
func LostSlots(n int) int { return (n + lostLine - 1) / lostLine * lostLine }

// LostSize is how many bytes the counters take; slots is as [LostSlots] has it.
func LostSize(slots, cpus int) int { return slots * cpus * 8 }

// LostAt is the offset of a counter, a u64.
func LostAt(slot, cpu, slots int) int { return (cpu*slots + slot) * 8 }

// Rooms for a text behind the record: at first, and where it did not fit.
const (
	textRoom      = 64
	textRoomLarge = 4096
	maxTraceSize  = 4096
)

// task is the register of the running task's task_struct in programs on tracepoints.
const task = asm.R8

// tracer writes a program on a tracepoint.
type tracer struct {
	code
	t *Trace
	m TraceMaps
	// texts are the rooms behind the record.
	texts []room
	// parts are what the record has in place.
	parts []part
	// process puts the id of the process that runs into a register.
	process func(to asm.Register) asm.Instructions
}

// room is where a text goes.
type room struct {
	value int // in Trace.Values
	small int // as much as there can be of one that is not read up to its NUL
	fixed bool
}

// AssembleTrace returns the program for t, of type tracing and attach type
// trace_raw_tp. It makes no sample and takes nothing from others.
func AssembleTrace(t *Trace, m TraceMaps) (asm.Instructions, error) {
	a := &tracer{t: t, m: m}
	if err := a.check(); err != nil {
		return nil, err
	}
	a.parts = a.inPlace()
	a.scope(t.Other, func() {})
	a.records()
	a.finish()
	return a.end()
}

// records makes the record, and once more where its text did not fit. What has no ring is
// not recorded, so that it must not be decided either: what is kept would know of it.
func (a *tracer) records() {
	a.ring()
	a.early()
	full := ""
	if a.growing() {
		full = "full"
	}
	a.record(textRoom, full)
	if full != "" {
		a.mark(full)
		a.add(asm.Mov.Reg(asm.R1, record), asm.Mov.Imm(asm.R2, noWakeup), asm.FnRingbufDiscard.Call())
		a.record(textRoomLarge, "")
	}
}

// end returns the program.
func (a *tracer) end() (asm.Instructions, error) {
	if a.m.Code == nil || a.err != nil {
		return a.out, a.err
	}
	return Prune(a.out), nil
}

// check says what cannot be.
func (a *tracer) check() error {
	t := a.t
	if t.Type <= 0 || t.Type > 0xffff || t.Size < 8 || t.Size > maxTraceSize || t.PID < 4 || t.PID > t.Size-4 || t.PID%4 != 0 {
		return fmt.Errorf("a record of %d bytes of type %d: its common fields are not within", t.Size, t.Type)
	}
	if err := a.m.check(); err != nil {
		return err
	}
	for i, v := range t.Values {
		if v.Offset < 8 || v.Size < 1 || v.Offset > t.Size-v.Size || v.Offset%alignment(v.Size) != 0 {
			return fmt.Errorf("a field of %d bytes at %d: the record has %d, and the common fields 8", v.Size, v.Offset, t.Size)
		}
		if v.Width > v.Size && v.Kind != KindMemberText || v.Width < 0 || v.Arg < 0 || v.Arg > 11 || v.Arg2 < 0 || v.Arg2 > 11 || v.Arg3 < 0 || v.Arg3 > 11 || v.Member < 0 || v.Member > 1<<15-64 {
			return fmt.Errorf("a field of %d bytes at %d: what it is read from is not within reach", v.Size, v.Offset)
		}
		switch v.Kind {
		case KindMemberText:
			if v.Size != 4 || v.Width < 1 || v.Width > textRoom || v.Width%8 != 0 {
				return fmt.Errorf("a text of %d bytes at %d: it must have a multiple of 8, up to %d", v.Width, v.Offset, textRoom)
			}
			a.texts = append(a.texts, room{value: i, small: v.Width, fixed: true})
		case KindText:
			if v.Size != 4 {
				return fmt.Errorf("a text at %d: its location has %d bytes, want 4", v.Offset, v.Size)
			}
			a.texts = append(a.texts, room{value: i, small: textRoom})
		case KindCallArgs:
			if v.Size != 48 {
				return fmt.Errorf("the arguments of a system call at %d: %d bytes, want 48", v.Offset, v.Size)
			}
		case KindMember:
			if w := v.Width; w > 0 && w < v.Size && (v.Size > 8 || v.Size&(v.Size-1) != 0 || w&(w-1) != 0) {
				return fmt.Errorf("a field of %d bytes at %d: what it is taken from has %d", v.Size, v.Offset, w)
			}
		default:
			if v.Size > 8 || v.Size&(v.Size-1) != 0 || v.Kind == KindSignal && v.Size > 4 {
				return fmt.Errorf("a field of %d bytes at %d: it must be an integer", v.Size, v.Offset)
			}
		}
	}
	return nil
}

func (m *TraceMaps) check() error {
	switch {
	case m.CPUs < 1:
		return errors.New("no processor has a ring")
	case m.Slot < 0 || m.Slot >= m.Slots:
		return fmt.Errorf("counter %d of %d", m.Slot, m.Slots)
	case m.Scope.CgroupCount < 0 || m.Scope.CgroupCount > MaxCgroups:
		return fmt.Errorf("%d cgroups: a program looks for up to %d", m.Scope.CgroupCount, MaxCgroups)
	}
	return nil
}

// MaxCgroups is how many cgroups a program looks for, one after the other.
const MaxCgroups = 64

// alignment is what the kernel gives a field of so many bytes at least, as far as
// instructions need it.
func alignment(size int) int {
	switch {
	case size%8 == 0 && size <= 8, size == 4, size == 2:
		return size
	}
	return 1
}

// growing reports whether a text may not fit into the room that it has at first.
func (a *tracer) growing() bool {
	for _, r := range a.texts {
		if !r.fixed {
			return true
		}
	}
	return false
}

// scope leaves where the event is nobody's of the scope; other is the argument of the
// task that it happens to. What first writes comes before the task is looked at.
func (a *tracer) scope(other int, first func()) {
	a.process = func(to asm.Register) asm.Instructions {
		return asm.Instructions{asm.LoadMem(to, task, int16(a.m.Task.TGID), asm.Word)}
	}
	a.add(
		asm.Mov.Reg(context, asm.R1),
		asm.LoadMapValue(asm.R1, a.m.Words, WordOn),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "exit"),
	)
	first()
	a.add(
		asm.FnGetCurrentTaskBtf.Call(),
		asm.Mov.Reg(task, asm.R0),
	)
	s := a.m.Scope
	if s.Self > 0 || s.PIDs >= 0 {
		a.add(asm.LoadMem(asm.R1, task, int16(a.m.Task.TGID), asm.Word))
	}
	if s.Self > 0 {
		a.add(asm.JEq.Imm(asm.R1, int32(s.Self), "exit"))
	}
	if s.PIDs >= 0 {
		a.member("exit", other)
	}
	a.cgroups()
}

// member leaves to label where neither the process in R1 nor that of the other task is
// in the hash of processes.
func (a *tracer) member(label string, other int) {
	look := func() {
		a.add(
			asm.StoreMem(asm.RFP, slotWord, asm.R1, asm.Word),
			asm.LoadMapPtr(asm.R1, a.m.Scope.PIDs),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, slotWord),
			asm.FnMapLookupElem.Call(),
		)
	}
	look()
	if other < 0 {
		a.add(asm.JEq.Imm(asm.R0, 0, label))
		return
	}
	found := a.label("found")
	a.add(
		asm.JNE.Imm(asm.R0, 0, found),
		asm.LoadMem(asm.R1, context, int16(other*8), asm.DWord),
		asm.LoadMem(asm.R1, asm.R1, int16(a.m.Task.TGID), asm.Word),
	)
	look()
	a.add(asm.JEq.Imm(asm.R0, 0, label))
	a.mark(found)
}

// cgroups leaves where the task is in none of the cgroups.
func (a *tracer) cgroups() {
	n := a.m.Scope.CgroupCount
	if n == 0 {
		return
	}
	inside := a.label("inside")
	for i := range n {
		a.add(
			asm.LoadMapPtr(asm.R1, a.m.Scope.Cgroups),
			asm.Mov.Imm(asm.R2, int32(i)),
			asm.FnCurrentTaskUnderCgroup.Call(),
			asm.JEq.Imm(asm.R0, 1, inside),
		)
	}
	a.add(asm.Ja.Label("exit"))
	a.mark(inside)
}

// ring finds the ring of the processor, and leaves where it has none.
func (a *tracer) ring() {
	a.add(
		asm.FnGetSmpProcessorId.Call(),
		asm.StoreMem(asm.RFP, slotCPU, asm.R0, asm.Word),
		asm.LoadMapPtr(asm.R1, a.m.Rings),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, slotCPU),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
	)
	if a.growing() || a.isEarly() {
		a.add(asm.StoreMem(asm.RFP, slotRing, asm.R0, asm.DWord))
	}
	a.add(asm.Mov.Reg(asm.R1, asm.R0))
}

// reserve takes room for size bytes of the ring in R1 and begins the record with the
// time, when it has its place: of what is reserved behind it, nothing is earlier.
func (c *code) reserve(size int) {
	c.add(
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "lost"),
		asm.Mov.Reg(record, asm.R0),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(record, 0, asm.R0, asm.DWord),
	)
}

// submit hands the record over and wakes a reader that sleeps.
func (c *code) submit(words int) {
	woken := c.label("woken")
	c.add(
		asm.LoadMapValue(asm.R1, words, WordWake),
		asm.Mov.Imm(asm.R2, noWakeup),
		asm.LoadMem(asm.R3, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R3, 0, woken),
		asm.StoreImm(asm.R1, 0, 0, asm.Word),
		asm.Mov.Imm(asm.R2, forceWakeup),
	)
	c.mark(woken)
	c.add(asm.Mov.Reg(asm.R1, record), asm.FnRingbufSubmit.Call(), asm.Ja.Label("exit"))
}

// room is how much is reserved for a text.
func (r room) room(grown int) int {
	if r.fixed {
		return r.small
	}
	return grown
}

// record makes one attempt; full is where to go when a text did not fit.
func (a *tracer) record(grown int, full string) {
	size := a.t.Size
	if len(a.texts) > 0 || a.m.Code != nil {
		size = (size + 7) &^ 7
	}
	for _, r := range a.texts {
		size += r.room(grown)
	}
	if grown != textRoom {
		a.add(asm.LoadMem(asm.R1, asm.RFP, slotRing, asm.DWord))
	}
	a.reserve(a.m.Code.total(RawOffset + size))
	a.rest()
	at := (a.t.Size + 7) &^ 7
	for _, r := range a.texts {
		a.textAt(&a.t.Values[r.value], at, r.room(grown), full)
		at += r.room(grown)
	}
	if a.m.Code != nil {
		if !a.isEarly() {
			a.decide(a.m.Code, a.place(RawOffset+size, HookStack, reject))
		}
		a.emitted(a.m.Code, a.emits(), RawOffset+size)
	}
	a.submit(a.m.Words)
}

// part is a piece of the record and what writes it, behind the register of the record.
type part struct {
	from, size int
	write      func()
	// early is set where it was written to the stack already.
	early bool
}

// common are the fields that every event has.
func (a *tracer) common() []part {
	pid := func() {
		a.add(asm.LoadMem(asm.R1, task, int16(a.m.Task.PID), asm.Word), asm.StoreMem(record, int16(RawOffset+a.t.PID), asm.R1, asm.Word))
	}
	return []part{
		{from: 0, size: 4, write: func() { a.add(asm.StoreImm(record, RawOffset, int64(a.t.Type), asm.Word)) }},
		{from: a.t.PID, size: 4, write: pid},
	}
}

// inPlace is everything but the texts.
func (a *tracer) inPlace() []part {
	parts := append(a.gaps(), a.common()...)
	for i := range a.t.Values {
		v := &a.t.Values[i]
		if v.Kind != KindText && v.Kind != KindMemberText {
			parts = append(parts, part{from: v.Offset, size: v.Size, write: func() { a.value(v) }})
		}
	}
	return parts
}

// gaps are what no field covers: zeroes.
func (a *tracer) gaps() []part {
	end := (a.t.Size + 7) &^ 7
	if len(a.texts) == 0 && a.m.Code == nil {
		end = a.t.Size
	}
	covered := make([]bool, end)
	cover := func(from, n int) {
		for i := from; i < from+n; i++ {
			covered[i] = true
		}
	}
	cover(0, 4)
	cover(a.t.PID, 4)
	for _, v := range a.t.Values {
		cover(v.Offset, v.Size)
	}
	var parts []part
	for at := 0; at < end; {
		if covered[at] {
			at++
			continue
		}
		n := 1
		for n < 4 && at%(2*n) == 0 && at+2*n <= end && !anyOf(covered[at:at+2*n]) {
			n *= 2
		}
		to, size := int16(RawOffset+at), sizeOf(n)
		parts = append(parts, part{from: at, size: n, write: func() { a.add(asm.StoreImm(record, to, 0, size)) }})
		at += n
	}
	return parts
}

func anyOf(list []bool) bool {
	for _, b := range list {
		if b {
			return true
		}
	}
	return false
}

// finish ends the program: what a filter rejects, what found no room, and the end.
func (a *tracer) finish() {
	if a.m.Code != nil && !a.isEarly() {
		a.mark(reject)
		a.add(asm.Mov.Reg(asm.R1, record), asm.Mov.Imm(asm.R2, noWakeup), asm.FnRingbufDiscard.Call(), asm.Ja.Label("exit"))
	}
	a.mark("lost")
	a.lost(func() {})
	a.mark("exit")
	a.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}

// lost counts a record that found no room; slot adds the offset of its counter to R1
// where it is no constant. An interrupt of the same processor may count between: so
// it is one atomic addition.
func (a *tracer) lost(slot func()) {
	a.add(
		asm.LoadMem(asm.R1, asm.RFP, slotCPU, asm.Word),
		asm.JGE.Imm(asm.R1, int32(a.m.CPUs), "exit"),
		asm.Mul.Imm(asm.R1, int32(a.m.Slots*8)),
		asm.LoadMapValue(asm.R2, a.m.Lost, uint32(a.m.Slot*8)),
		asm.Add.Reg(asm.R2, asm.R1),
	)
	slot()
	a.add(asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R2, asm.R1, asm.DWord, 0))
}
