package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Call describes the program for one event of one system call
// (syscalls:sys_enter_openat), which has code of its own that decides.
type Call struct {
	// Exit is of the returns.
	Exit bool
	// Type and PID are as in [Trace].
	Type, PID int
	// Number is the call's, Args is how many arguments the record has, 1 for what is
	// returned.
	Number, Args int
}

// AssembleCall returns the program for c, of type tracing and attach type trace_raw_tp.
func AssembleCall(c *Call, m TraceMaps) (asm.Instructions, error) {
	if c.PID != 4 || c.Number < 0 || c.Number >= MaxCalls || c.Args < 0 || c.Args > MaxCallArgs || c.Exit && c.Args != 1 || c.Type <= 0 || c.Type > 0xffff {
		return nil, fmt.Errorf("system call %d with %d arguments and common_pid at %d", c.Number, c.Args, c.PID)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	a := &tracer{t: &Trace{Type: c.Type, PID: c.PID, Size: CallArgs + 8*c.Args}, m: m}
	a.parts = a.callParts(c)
	a.scope(-1, func() {
		if c.Exit {
			a.arg(asm.R2, 0)
			a.add(asm.LoadMem(asm.R1, asm.R2, int16(m.Task.OrigAX), asm.Word))
		} else {
			a.arg(asm.R1, 1)
		}
		a.add(asm.JNE.Imm(asm.R1, int32(c.Number), "exit"))
	})
	a.add(
		asm.LoadMem(asm.R1, task, int16(m.Task.Status), asm.Word),
		asm.And.Imm(asm.R1, compat),
		asm.JNE.Imm(asm.R1, 0, "exit"),
	)
	a.records()
	a.finish()
	return a.end()
}

// callParts is the record of a call.
func (a *tracer) callParts(c *Call) []part {
	number := func() {
		a.add(asm.Mov.Imm(asm.R1, int32(c.Number)), asm.StoreMem(record, RawOffset+CallNumber, asm.R1, asm.DWord))
	}
	parts := append(a.common(), part{from: CallNumber, size: 8, write: number})
	for i := range c.Args {
		at := int16(RawOffset + CallArgs + 8*i)
		write := func() {
			if c.Exit {
				a.arg(asm.R1, 1)
			} else {
				a.arg(asm.R2, 0)
				a.add(asm.LoadMem(asm.R1, asm.R2, int16(a.m.Task.Regs[i]), asm.DWord))
			}
			a.add(asm.StoreMem(record, at, asm.R1, asm.DWord))
		}
		parts = append(parts, part{from: CallArgs + 8*i, size: 8, write: write})
	}
	return parts
}
