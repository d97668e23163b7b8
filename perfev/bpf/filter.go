package bpf

import "github.com/cilium/ebpf/asm"

// Filter is code that decides within a program whether its record is kept.
type Filter struct {
	// Late has it decide when the record has its place in the ring, its time and the
	// texts behind its fields. Otherwise it decides on a copy of the fields in place
	// before anything is reserved, which costs a record that is rejected much less.
	Late bool
	// Emits is how many values a record that is kept carries behind it.
	Emits int
	// PassFaults keeps a record on which the code faults, without emitted values.
	PassFaults bool
	// Mute says that no record is kept, whatever it is, but by a fault.
	Mute bool
	// Text is how many bytes of memory the code wants for each processor while it runs,
	// a multiple of 8.
	Text int
	// Memory is what is kept from record to record; filters of one program share it.
	// nil is nothing.
	Memory *Memory
	// Write makes the instructions. It is called once for each place that they are put
	// to, and may be called again.
	Write func(p *Place) (asm.Instructions, error)
}

// Memory is what filters keep from record to record.
type Memory struct {
	// Cells are u64 by their first values; CPUCells those that each processor has.
	Cells, CPUCells []uint64
	// Tables are the capacities of hashes of a u64 by a u64.
	Tables []int
}

// MemoryMaps are the descriptors of what a [Memory] describes.
type MemoryMaps struct {
	// Cells is an array of one value: the cells. CPUCells is another: the cells of
	// processor 0, then those of 1, up to CPUs.
	Cells, CPUCells, CPUs int
	// Tables are hashes.
	Tables []int
	// Text is an array of one value: Filter.Text bytes for each of CPUs. Programs do not
	// share it; a program does not run within itself.
	Text int
}

// Place is where the code of a [Filter] goes. The registers and memory there:
//
//	R6, R8  not the code's
//	R7      the record: the time, at RawOffset what the event's format describes
//	R9      free; R0 to R5 as well, which calls change
//	stack   free below Stack down to StackEnd
//
// The code ends by jumps to Accept, to Reject, or with the cause in R1 to Fault, and
// does not go on at its end.
type Place struct {
	// Size is how many bytes may be read from R7 on.
	Size int
	// Stack is an offset from the frame pointer, a multiple of 8.
	Stack int
	// Emits is the offset from the frame pointer of 1 + Filter.Emits u64, all 0 at first:
	// which values there are, one bit each, and the values.
	Emits int
	// PID is the offset from R7 of common_pid.
	PID int
	// Accept, Reject and Fault are labels. Labels of the code begin with Prefix.
	Accept, Reject, Fault, Prefix string
	// Left has the code keep in R9 what is left of its budget, at every end; otherwise it
	// counts where that is needed. Expressions have none.
	Left bool
	// Follow is for kernels older than 6.9, which know no may_goto: their verifier follows
	// loops round by round, and takes a few thousand at most.
	Follow bool
	// Maps are the descriptors of the filter's memory.
	Maps MemoryMaps
	// CPU puts the processor's number into a register and changes R0 to R5; Process does
	// so with the id of the process.
	CPU, Process func(to asm.Register) asm.Instructions
	// Comm writes the task's name, 16 bytes that end with NUL, to an offset from the
	// frame pointer, and changes R0 to R5.
	Comm func(at int) asm.Instructions
}

const (
	// StackEnd is the offset from the frame pointer at which the stack ends,
	// include/linux/filter.h: MAX_BPF_STACK.
	StackEnd = -512
	// Causes is one more than the greatest cause of a fault.
	Causes = 16
)
