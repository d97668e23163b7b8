// Package configs reads job files: the same capture that the command line
// describes, written down in YAML, strictly decoded and validated.
package configs

import "time"

// Capture is what to record, of what, and where to. The record command fills it
// from flags, the run command from a job file; both hand it to the same run.
type Capture struct {
	// Name is the job's name, "" on the command line.
	Name string
	// Events are the selections in their order, each with the filter that belongs to it.
	Events []Event
	// Exclude takes events away from all selections: names and globs.
	Exclude []string
	// Target says whose events are taken.
	Target Target
	// Outputs are files, folders, or "-"; at least one.
	Outputs []Output
	// Rotate says when files are finished and new ones begun.
	Rotate Rotate
	// MaxSize ends the recording when so many bytes were written; 0 is no limit.
	MaxSize int64
	// Duration ends the recording; 0 is no limit.
	Duration time.Duration
	// Delay is waited before events are enabled.
	Delay time.Duration
	// RingBytes is the size of each CPU's ring, a power of two of pages; 0 takes the default.
	RingBytes int
	// Period records every so many-th event; 0 and 1 are each.
	Period int
	// OnFault is "drop" (default) or "pass": the verdict on a record whose filter faults.
	OnFault string
	// KernelCompat makes filters mean exactly what the kernel's engine makes of them, quirks included.
	KernelCompat bool
	// TraceSelf keeps events of perfpipe's own threads.
	TraceSelf bool
	// FailOnLoss makes the exit status 3 when anything was lost.
	FailOnLoss bool
	// Decode adds a <field>_name column beside enums and flags.
	Decode bool
	// RetMode is "auto" (default), "sites" or "trampoline": how returns of functions are found.
	RetMode string
	// UnsafeUretprobe allows trampolines where they are known to kill the target.
	UnsafeUretprobe bool
	// Stacks is what of call chains is recorded.
	Stacks Stacks
	// CgroupIDs adds a column with the cgroup that the task was in.
	CgroupIDs bool
	// Types is "kernel" (default) or "portable" (unsigned columns widened).
	Types string
}

// Stacks is what of call chains is recorded.
type Stacks struct {
	// Mode is "" for none, "fp" for frame pointers, "dwarf" for copied stacks.
	Mode string
	// Kernel and User are the parts that are taken.
	Kernel, User bool
	// Inline adds a column with the names of the frames to every row.
	Inline bool
	// Size is how many bytes of the stack are copied under "dwarf"; 0 is the default.
	Size int
}

// Event is one -e with its filters.
type Event struct {
	// Binary is the file whose functions Select names; "" where Select says all.
	Binary string
	// Select are event names and globs, "!name" takes away.
	Select []string
	// Filter is the expression for all of them, "" is none; several --filter are joined by &&.
	Filter string
}

// Target is whose events are recorded. Without PIDs, TIDs, Users and Command it is every task.
type Target struct {
	// PIDs are processes with all their threads, TIDs single threads.
	PIDs, TIDs []int
	// User is a name or number: every process of that user at the start.
	User string
	// CPUs is a list as the kernel writes it ("0,2-4"), "" is all that are online.
	// Beside a command it means every task on these processors, as with perf.
	CPUs string
	// Command is started by the run and ends it.
	Command []string
	// All takes every task even where Command is given.
	All bool
	// Tree takes in the descendants that PIDs have already.
	Tree bool
	// Cgroup is the name of a cgroup, whose tasks are recorded.
	Cgroup string
	// Comm is a name or glob that the task must bear.
	Comm string
	// NoInherit leaves out children that start later.
	NoInherit bool
}

// Output is one place that rows go to.
type Output struct {
	// Path is a folder (a dataset), a file, or "-" for standard output.
	Path string
	// Format is parquet, arrow, arrows, csv, ndjson or txt; "" goes by the path's ending, and
	// is parquet in a dataset.
	Format string
	// Compression is zstd (default), snappy, gzip or none; Level is the codec's, 0 its default.
	Compression string
	Level       int
}

// Rotate is when a file is finished and the next begun; the first that holds.
type Rotate struct {
	// Size in bytes, 0 is never.
	Size int64
	// Every so much time, 0 is never.
	Every time.Duration
	// OnSignal rotates at SIGUSR2.
	OnSignal bool
	// MaxFiles keeps the newest so many, 0 keeps all.
	MaxFiles int
}
