package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Calls describes the program for events of system calls (syscalls:sys_enter_* or
// sys_exit_*): one for all of them, on the tracepoint that every call passes.
type Calls struct {
	// Exit is of the returns.
	Exit bool
	// PID is the offset of common_pid.
	PID int
	// Table is the descriptor of an array map of one value: a u64 for each number of a
	// system call, as [CallEntry] makes it; what is 0 is not recorded.
	Table int
	// Numbers is how many numbers the table has.
	Numbers int
}

// Layout of the records of system calls, kernel/trace/trace.h: struct
// syscall_trace_enter and syscall_trace_exit.
const (
	// CallNumber is the offset of the number, an int.
	CallNumber = 8
	// CallArgs is that of the arguments, or of what is returned, in 8 bytes each.
	CallArgs = 16
	// MaxCallArgs is how many arguments a system call has at most.
	MaxCallArgs = 6
	// MaxCalls bounds the table.
	MaxCalls = 4096
)

// CallEntry is the value in the table for a call: what goes into common_type, how many
// arguments the record has (1 for what is returned), and the counter of lost records.
func CallEntry(typ uint16, args uint8, slot uint32) uint64 {
	return uint64(typ) | uint64(args)<<16 | uint64(slot)<<32
}

const (
	// entry holds the table's value once the call is known to be wanted.
	entry = asm.R9
)

// AssembleCalls returns the program for c, of type tracing and attach type
// trace_raw_tp. The slot and the code of m are not used.
func AssembleCalls(c *Calls, m TraceMaps) (asm.Instructions, error) {
	if c.PID < 4 || c.PID > CallNumber-4 || c.Numbers < 1 || c.Numbers > MaxCalls {
		return nil, fmt.Errorf("system calls with %d numbers and common_pid at %d", c.Numbers, c.PID)
	}
	m.Slot, m.Code = 0, nil
	if err := m.check(); err != nil {
		return nil, err
	}
	a := &tracer{t: &Trace{PID: c.PID}, m: m}
	a.scope(-1, func() {})
	a.call(c)
	a.ring()
	if c.Exit {
		a.callRecord(c, 1)
	} else {
		a.add(asm.Mov.Reg(asm.R2, entry), asm.RSh.Imm(asm.R2, 16), asm.And.Imm(asm.R2, 0xff))
		for n := range MaxCallArgs {
			a.add(asm.JEq.Imm(asm.R2, int32(n), callLabel(n)))
		}
		for n := MaxCallArgs; n >= 0; n-- {
			if n < MaxCallArgs {
				a.mark(callLabel(n))
			}
			a.callRecord(c, n)
		}
	}
	a.finishCalls()
	return a.out, nil
}

func callLabel(args int) string { return fmt.Sprintf("args%d", args) }

// call finds the call in the table, and leaves where it is not wanted or one of 32 bits,
// for which the numbers mean others.
func (a *tracer) call(c *Calls) {
	a.add(
		asm.LoadMem(asm.R1, task, int16(a.m.Task.Status), asm.Word),
		asm.And.Imm(asm.R1, compat),
		asm.JNE.Imm(asm.R1, 0, "exit"),
	)
	if c.Exit {
		a.arg(asm.R2, 0)
		a.add(asm.LoadMem(entry, asm.R2, int16(a.m.Task.OrigAX), asm.Word))
	} else {
		a.arg(entry, 1)
	}
	a.add(
		asm.JGE.Imm(entry, int32(c.Numbers), "exit"),
		asm.StoreMem(asm.RFP, slotWord, entry, asm.Word),
		asm.LSh.Imm(entry, 3),
		asm.LoadMapValue(asm.R1, c.Table, 0),
		asm.Add.Reg(asm.R1, entry),
		asm.LoadMem(entry, asm.R1, 0, asm.DWord),
		asm.JEq.Imm(entry, 0, "exit"),
	)
}

// callRecord makes the record of a call with so many arguments.
func (a *tracer) callRecord(c *Calls, n int) {
	size := CallArgs + 8*n
	a.reserve(RawOffset + size)
	a.add(
		asm.Mov.Reg(asm.R1, entry), asm.And.Imm(asm.R1, 0xffff),
		asm.StoreMem(record, RawOffset, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, task, int16(a.m.Task.PID), asm.Word),
		asm.StoreMem(record, int16(RawOffset+c.PID), asm.R1, asm.Word),
		// A word of the stack, widened: what lies between the number and the arguments is 0.
		asm.LoadMem(asm.R1, asm.RFP, slotWord, asm.Word),
		asm.StoreMem(record, RawOffset+CallNumber, asm.R1, asm.DWord),
	)
	if c.Exit {
		a.arg(asm.R1, 1)
		a.add(asm.StoreMem(record, RawOffset+CallArgs, asm.R1, asm.DWord))
	} else if n > 0 {
		a.arg(asm.R2, 0)
		for i := range n {
			a.add(asm.LoadMem(asm.R1, asm.R2, int16(a.m.Task.Regs[i]), asm.DWord), asm.StoreMem(record, int16(RawOffset+CallArgs+8*i), asm.R1, asm.DWord))
		}
	}
	a.submit(a.m.Words)
}

// finishCalls ends the program; the counter of lost records is the call's.
func (a *tracer) finishCalls() {
	a.mark("lost")
	a.lost(func() {
		a.add(
			asm.RSh.Imm(entry, 32),
			asm.JGE.Imm(entry, int32(a.m.Slots), "exit"),
			asm.LSh.Imm(entry, 3),
			asm.Add.Reg(asm.R2, entry),
		)
	})
	a.mark("exit")
	a.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}
