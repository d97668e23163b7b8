// Package perfev makes live events of the running kernel into a perfpipe.Source.
//
// Three engines make records, for each event the one that Config.Choose says.
//
// Perf's has an event a tracepoint, CPU (and task), all events of a CPU writing to one
// ring that is read in place. Samples carry
// the time and the raw data alone, as long as no call chains and cgroups are asked
// for; the event is told by common_type, the thread by common_pid, the processor by
// the ring. Names and thread groups come from a side band of task records (comm,
// fork, exit) in rings of its own, so that a flood of events does not take the
// names with it; with call chains it has the mappings of code as well.
//
// Ftrace's has the rings of an instance of tracefs, a descriptor a CPU for any number of
// events. Their sub-buffers are read whole into memory of ours (internal/pages) and
// handed out from there. The kernel lets through more than a target's events; scope
// keeps what perf would have.
//
// Programs of ours write to BPF rings, read in place.
//
//	sample ──chain──► internal/stacks ──► Record.Stack
//	  └─copied stack─► internal/unwind ─┘       │ first sight: Visitor.Frame, Visitor.Stack
//	side band ───────► internal/maps ───────────┘ which file lies at an address
package perfev
