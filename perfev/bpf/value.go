package bpf

import "github.com/cilium/ebpf/asm"

// compat is TS_COMPAT, arch/x86/include/asm/thread_info.h: the system call that runs
// is one of 32 bits.
const compat = 2

// States of a task as sched_switch tells them, include/linux/sched.h.
const (
	stateReport    = 0x7f            // TASK_REPORT
	stateIdle      = 0x402           // TASK_IDLE
	stateReportMax = 0x100           // TASK_REPORT_MAX
	stateLied      = 0x1000 | 0x8000 // TASK_RTLOCK_WAIT, TASK_FROZEN: told as uninterruptible
)

// value writes one field that is in place.
func (a *tracer) value(v *Value) {
	to := int16(RawOffset + v.Offset)
	size := sizeOf(v.Size)
	switch v.Kind {
	case KindArg:
		a.arg(asm.R1, v.Arg)
		a.add(asm.StoreMem(record, to, asm.R1, size))
	case KindMember:
		a.arg(asm.R2, v.Arg)
		a.copyFrom(asm.R2, v)
	case KindPointed:
		a.add(
			asm.Mov.Reg(asm.R1, record), asm.Add.Imm(asm.R1, int32(to)),
			asm.Mov.Imm(asm.R2, int32(v.Size)),
			asm.LoadMem(asm.R3, context, int16(v.Arg*8), asm.DWord),
			asm.FnProbeReadKernel.Call(),
		)
	case KindState:
		a.state(v)
	case KindJiffies:
		a.add(asm.FnJiffies64.Call(), asm.StoreMem(record, to, asm.R0, size))
	case KindCall:
		a.arg(asm.R2, v.Arg)
		a.add(
			asm.LoadMem(asm.R1, asm.R2, int16(a.m.Task.OrigAX), asm.DWord),
			asm.LSh.Imm(asm.R1, 32), asm.ArSh.Imm(asm.R1, 32),
			asm.StoreMem(record, to, asm.R1, size),
		)
	case KindCallArgs:
		a.callArgs(v)
	case KindSignal:
		a.signal(v)
	case KindFlag:
		a.flag(v)
	case KindMemberText, KindText:
		// They follow when all rooms are known.
	}
}

func (a *tracer) arg(to asm.Register, n int) {
	a.add(asm.LoadMem(to, context, int16(n*8), asm.DWord))
}

// copyFrom copies a member, or as many bytes as it has, from the struct in a register.
func (a *tracer) copyFrom(from asm.Register, v *Value) {
	width := v.Width
	if width == 0 {
		width = v.Size
	}
	if width < v.Size && v.Size <= 8 {
		// A load widens with zeroes.
		a.add(asm.LoadMem(asm.R1, from, int16(v.Member), sizeOf(width)), asm.StoreMem(record, int16(RawOffset+v.Offset), asm.R1, sizeOf(v.Size)))
		return
	}
	a.words(from, v.Member, RawOffset+v.Offset, min(width, v.Size))
}

// words copies n bytes in as large pieces as the kernel's and the record's place allow.
func (a *tracer) words(from asm.Register, member, to, n int) {
	for at := 0; at < n; {
		k := 8
		for k > 1 && (at+k > n || (member+at)%k != 0 || (to+at)%k != 0) {
			k /= 2
		}
		a.add(asm.LoadMem(asm.R1, from, int16(member+at), sizeOf(k)), asm.StoreMem(record, int16(to+at), asm.R1, sizeOf(k)))
		at += k
	}
}

// textAt writes a text to its room at, and its location.
func (a *tracer) textAt(v *Value, at, room int, full string) {
	loc := int16(RawOffset + v.Offset)
	if v.Kind == KindMemberText {
		a.arg(asm.R2, v.Arg)
		a.words(asm.R2, v.Member, RawOffset+at, v.Width)
		a.add(asm.StoreImm(record, loc, int64(v.Width)<<16|int64(at), asm.Word))
		return
	}
	a.arg(asm.R2, v.Arg)
	a.add(
		asm.LoadMem(asm.R3, asm.R2, int16(v.Member), asm.DWord),
		asm.Mov.Reg(asm.R1, record), asm.Add.Imm(asm.R1, int32(RawOffset+at)),
		asm.Mov.Imm(asm.R2, int32(room)),
		asm.FnProbeReadKernelStr.Call(),
	)
	if full != "" {
		a.add(asm.JEq.Imm(asm.R0, int32(room), full))
	}
	read := a.label("read")
	a.add(asm.JSGT.Imm(asm.R0, 0, read), asm.Mov.Imm(asm.R0, 0))
	a.mark(read)
	a.add(asm.LSh.Imm(asm.R0, 16), asm.Or.Imm(asm.R0, int32(at)), asm.StoreMem(record, loc, asm.R0, asm.Word))
}

// state is __trace_sched_switch_state, include/trace/events/sched.h.
func (a *tracer) state(v *Value) {
	done, idle, lied := a.label("done"), a.label("idle"), a.label("lied")
	a.arg(asm.R2, v.Arg)
	a.add(
		asm.Mov.Imm(asm.R1, stateReportMax),
		asm.And.Imm(asm.R2, 0xff), // a bool
		asm.JNE.Imm(asm.R2, 0, done),
	)
	a.arg(asm.R3, v.Arg3)
	a.add(asm.LoadMem(asm.R3, asm.R3, int16(v.Member), asm.Word))
	a.arg(asm.R2, v.Arg2)
	a.add(
		asm.Mov.Reg(asm.R1, asm.R2),
		asm.Or.Reg(asm.R1, asm.R3),
		asm.And.Imm(asm.R1, stateReport),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.And.Imm(asm.R3, stateIdle),
		asm.JNE.Imm(asm.R3, stateIdle, idle),
		asm.Mov.Imm(asm.R1, stateReport+1),
	)
	a.mark(idle)
	a.add(
		asm.And.Imm(asm.R2, stateLied),
		asm.JEq.Imm(asm.R2, 0, lied),
		asm.Mov.Imm(asm.R1, 2),
	)
	a.mark(lied)
	// 1 << (fls(state) - 1): the highest bit alone.
	for _, n := range [...]int32{1, 2, 4} {
		a.add(asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, n), asm.Or.Reg(asm.R1, asm.R2))
	}
	a.add(asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, 1), asm.Sub.Reg(asm.R1, asm.R2))
	a.mark(done)
	a.add(asm.StoreMem(record, int16(RawOffset+v.Offset), asm.R1, sizeOf(v.Size)))
}

// callArgs is syscall_get_arguments, arch/x86/include/asm/syscall.h.
func (a *tracer) callArgs(v *Value) {
	wide, done := a.label("wide"), a.label("done")
	copyAll := func(regs [6]int) {
		for i, off := range regs {
			a.add(asm.LoadMem(asm.R1, asm.R2, int16(off), asm.DWord), asm.StoreMem(record, int16(RawOffset+v.Offset+8*i), asm.R1, asm.DWord))
		}
	}
	a.arg(asm.R2, v.Arg)
	a.add(
		asm.LoadMem(asm.R1, task, int16(a.m.Task.Status), asm.Word),
		asm.And.Imm(asm.R1, compat),
		asm.JEq.Imm(asm.R1, 0, wide),
	)
	copyAll(a.m.Task.Regs32)
	a.add(asm.Ja.Label(done))
	a.mark(wide)
	copyAll(a.m.Task.Regs)
	a.mark(done)
}

// signal is TP_STORE_SIGINFO, include/trace/events/signal.h.
func (a *tracer) signal(v *Value) {
	done := a.label("done")
	a.add(asm.StoreImm(record, int16(RawOffset+v.Offset), 0, sizeOf(v.Size)))
	a.arg(asm.R3, v.Arg)
	a.add(
		asm.JEq.Imm(asm.R3, 0, done),
		asm.StoreImm(record, int16(RawOffset+v.Offset), int64(v.Const), sizeOf(v.Size)),
		asm.JEq.Imm(asm.R3, 1, done),
		asm.Mov.Reg(asm.R1, record), asm.Add.Imm(asm.R1, int32(RawOffset+v.Offset)),
		asm.Mov.Imm(asm.R2, int32(v.Size)),
		asm.Add.Imm(asm.R3, int32(v.Member)),
		asm.FnProbeReadKernel.Call(),
	)
	a.mark(done)
}

// flag is whether the argument has the bits of Const, or the member of the struct in
// Arg2 those of Const2.
func (a *tracer) flag(v *Value) {
	yes, done := a.label("yes"), a.label("done")
	a.arg(asm.R2, v.Arg)
	a.add(asm.And.Imm(asm.R2, v.Const), asm.JNE.Imm(asm.R2, 0, yes))
	a.arg(asm.R2, v.Arg2)
	a.add(
		asm.LoadMem(asm.R2, asm.R2, int16(v.Member), asm.Word),
		asm.And.Imm(asm.R2, v.Const2), asm.JNE.Imm(asm.R2, 0, yes),
		asm.Mov.Imm(asm.R1, 0), asm.Ja.Label(done),
	)
	a.mark(yes)
	a.add(asm.Mov.Imm(asm.R1, 1))
	a.mark(done)
	a.add(asm.StoreMem(record, int16(RawOffset+v.Offset), asm.R1, sizeOf(v.Size)))
}
