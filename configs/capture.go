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
	// Programs are texts with on clauses: they name events of their own, and say what
	// becomes of their records.
	Programs []string
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
	// MaxRate is the most rows a second, and MaxCPU the most of one processor that
	// perfpipe may take, in percent; 0 is no limit. What is over it is counted as lost.
	MaxRate uint64
	MaxCPU  float64
	// Over is what is left out beyond them: "sample" (default), "threads" or "events".
	Over string
	// Duration ends the recording; 0 is no limit.
	Duration time.Duration
	// Delay is waited before events are enabled.
	Delay time.Duration
	// RingBytes is the size of each CPU's ring, a power of two of pages; 0 takes the default.
	RingBytes int
	// Period records every so many-th event; 0 and 1 are each.
	Period int
	// FilterBudget is how many predicates, calls and rounds of loops a filter with
	// statements may use on one record; 0 takes the default.
	FilterBudget int
	// OnFault is "drop" (default) or "pass": the verdict on a record whose filter faults.
	OnFault string
	// Tier is where filters decide: "auto" (default), "kernel", "bpf" or "process".
	Tier string
	// KernelCompat makes filters mean exactly what the kernel's engine makes of them, quirks included.
	KernelCompat bool
	// TraceSelf keeps events of perfpipe's own threads.
	TraceSelf bool
	// FailOnLoss makes the exit status 3 when anything was lost.
	FailOnLoss bool
	// Engine is what makes the records: "auto" (default), "perf", "ftrace" or "bpf".
	Engine string
	// Overwrite makes a flight recorder: rings hold the latest, and are written out by
	// dumps, at SIGUSR2, at the trigger and at the end.
	Overwrite bool
	// Trigger is a filter: a record of an event that has its fields, and that it lets
	// through, asks for a dump. "" is none.
	Trigger string
	// Before is how far back a dump goes, 0 is all that the rings hold; After is how far
	// it goes on behind a trigger.
	Before, After time.Duration
	// RetMode is how returns are seen: "auto" (default), "sites" or "trampoline".
	RetMode string
	// UnsafeUretprobe takes trampolines even where they can crash the program.
	UnsafeUretprobe bool
	// Stacks are the call chains that each event gets.
	Stacks Stacks
	// CgroupIDs adds the id of the task's cgroup to each row.
	CgroupIDs bool
	// Decode adds a <field>_name column beside enums and flags.
	Decode bool
	// Threads is how many threads encode and compress the outputs; 0 goes by the processors.
	Threads int
	// Types is "kernel" (default) or "portable" (unsigned columns widened).
	Types string
}

// MaxThreads is the most that Capture.Threads may be.
const MaxThreads = 64

// Event is one -e with its filters.
type Event struct {
	// Select are event names, globs and probes ("uprobe:/bin/bash:readline",
	// "lifecycle"), "!name" takes away. Beside a Binary they are its functions.
	Select []string
	// Binary is the file whose functions Select names, "func%return" for their
	// returns; "" is none. It is perf's -x.
	Binary string
	// Filter is the expression for all of them, "" is none; several --filter are joined by &&.
	Filter string
}

// Target is whose events are recorded. Without PIDs, TIDs, User, Comm, Cgroup and Command it is every task.
type Target struct {
	// PIDs are processes with all their threads, TIDs single threads.
	PIDs, TIDs []int
	// User is a name or number: every process of that user at the start.
	User string
	// Comm is a task's name or a glob of it: events of tasks that bear it when the event
	// happens. It is a filter, and goes with every target.
	Comm string
	// Cgroup is a cgroup, by its folder or by its name in /proc/PID/cgroup: the tasks in
	// it and below it.
	Cgroup string
	// Tree takes in the descendants that PIDs and the processes of User have already.
	Tree bool
	// CPUs is a list as the kernel writes it ("0,2-4"), "" is all that are online.
	// Beside a command it means every task on these processors, as with perf.
	CPUs string
	// Command is started by the run and ends it.
	Command []string
	// All takes every task even where Command is given.
	All bool
	// NoInherit leaves out children that start later.
	NoInherit bool
}

// Stacks are how call chains are taken.
type Stacks struct {
	// Mode is "" for none, "fp" by frame pointers, or "dwarf" by a copy of the stack.
	Mode string
	// Kernel and User are the two parts that are taken.
	Kernel, User bool
	// Inline adds the frames' names to each row.
	Inline bool
	// Size is how much of the stack is copied under "dwarf", in bytes; 0 takes the default.
	Size int
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
