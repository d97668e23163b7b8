package bpf

import "github.com/cilium/ebpf/asm"

// Follow is how the processes of a scope are followed: programs that keep the hash of
// processes, by thread group, with the address of the first thread's task_struct, 0
// where it is not known.
type Follow struct {
	// PIDs is the descriptor of that hash, Waiting that of a hash of processes that come
	// into it when they call execve, -1 for none.
	PIDs, Waiting int
	Task          Task
}

// AssembleFork returns the program for sched_process_fork: what a member makes is one;
// what another makes under the number of one is none.
func AssembleFork(f Follow) asm.Instructions {
	c := &code{}
	c.add(
		asm.Mov.Reg(context, asm.R1),
		asm.LoadMem(asm.R7, context, 8, asm.DWord), // the child
		asm.LoadMem(asm.R8, asm.R7, int16(f.Task.TGID), asm.Word),
		asm.LoadMem(asm.R1, context, 0, asm.DWord), // its maker
		asm.LoadMem(asm.R1, asm.R1, int16(f.Task.TGID), asm.Word),
		// Another thread of the same process.
		asm.JEq.Reg(asm.R1, asm.R8, "exit"),
		asm.StoreMem(asm.RFP, -8, asm.R8, asm.Word),
		asm.StoreMem(asm.RFP, -16, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -16),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "none"),
		asm.StoreMem(asm.RFP, -24, asm.R7, asm.DWord),
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -24),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.Ja.Label("exit"),
	)
	c.mark("none")
	c.add(
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapDeleteElem.Call(),
	)
	c.mark("exit")
	c.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return c.out
}

// AssembleFree returns the program for sched_process_free: a process is no member any
// more when its first thread's task_struct goes, which is after its last event.
func AssembleFree(f Follow) asm.Instructions {
	c := &code{}
	c.add(
		asm.LoadMem(asm.R7, asm.R1, 0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R7, int16(f.Task.TGID), asm.Word),
		asm.LoadMem(asm.R2, asm.R7, int16(f.Task.PID), asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, "exit"),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "drop"),
		// The number may be another's already.
		asm.JNE.Reg(asm.R1, asm.R7, "exit"),
	)
	c.mark("drop")
	c.add(
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapDeleteElem.Call(),
	)
	c.mark("exit")
	c.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return c.out
}

// AssembleExec returns the program for sched_prepare_exec and sched_process_exec: a
// process that waits is a member from its execve on.
func AssembleExec(f Follow) asm.Instructions {
	c := &code{}
	c.add(
		asm.FnGetCurrentPidTgid.Call(),
		asm.RSh.Imm(asm.R0, 32),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.Word),
		asm.LoadMapPtr(asm.R1, f.Waiting),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "exit"),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, f.PIDs),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, -16),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnMapUpdateElem.Call(),
		asm.LoadMapPtr(asm.R1, f.Waiting),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -8),
		asm.FnMapDeleteElem.Call(),
	)
	c.mark("exit")
	c.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return c.out
}
