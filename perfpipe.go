// Package perfpipe holds the words that every room of perfpipe shares: what an
// event looks like in the kernel ([Schema], [Field]), one event as it was seen
// ([Record]), rows on their way to a file ([Table], [Batch], [Column]), what was
// lost ([Loss]), and the two ends of a run ([Source], [Sink]).
//
// It imports the standard library alone and builds on every operating system.
package perfpipe

import (
	"fmt"
	"io"
	"time"
)

// Source hands out the records of a capture in time order, in rounds. A live
// perf ring, a recorded perf.data and a test's slice are all sources.
//
// A Source is used by one goroutine at a time; only Stop may be called from another.
type Source interface {
	// Schemas returns the events of the source. Record.Event indexes it. The
	// slice is not changed afterwards.
	Schemas() []*Schema
	// Read hands one round to v: it waits at most wait for something to arrive,
	// then visits what is there in time order. Whatever it gave to v is valid
	// until Read returns. It returns io.EOF when nothing will ever come again.
	Read(wait time.Duration, v Visitor) error
	// Stop ends the making of records. Reads then hand out what is still
	// buffered, and after it io.EOF. It may be called twice.
	Stop() error
	// Close frees the rings and descriptors. It may be called twice.
	io.Closer
}

// Visitor takes what a source reads. Its methods are called in time order, from
// within [Source.Read]; they neither keep r nor the memory that r points to.
type Visitor interface {
	// Record takes one event.
	Record(r *Record)
	// Lost takes a count of events that the kernel or the source could not keep.
	Lost(l Loss)
	// Task takes what is known of a task, once it has ended or the run has.
	Task(t Task)
	// Stack takes a call chain the first time that a record has it, before that
	// record. s and what it points to are the source's again when Stack returns.
	Stack(s *Stack)
	// Frame takes a place in code the first time that a stack goes through it, before
	// that stack.
	Frame(f Frame)
}

// Sink takes batches and makes something lasting of them. One goroutine calls it.
// A Write's batch belongs to the caller again as soon as Write returns.
type Sink interface {
	// Write takes the rows of b. A batch with no rows still makes its table, so
	// that an event that never fired is an empty table and not a missing file.
	// After an error the sink refuses further writes with the same error.
	Write(b *Batch) error
	// Sync brings what was written closer to its reader, as far as op says.
	Sync(op SyncOp) error
	// Bytes returns how many bytes have been handed to the operating system
	// since the sink was opened, all files together.
	Bytes() int64
	// Close finishes every file and gives it its final name. s is what the run
	// came to; sinks that can, write it into the file's metadata. When Write or
	// Sync failed before, Close leaves what was whole before and removes the
	// rest. It may be called twice; the second call does nothing.
	Close(s Summary) error
}

// SyncOp is what [Sink.Sync] is asked to do.
type SyncOp uint8

const (
	// SyncFlush makes rows visible to a live reader of a stream. Formats whose
	// files are read only when whole (Parquet) have nothing to do.
	SyncFlush SyncOp = iota
	// SyncRotate finishes the current files under their final names; the next
	// Write begins new ones.
	SyncRotate
)

// Record is one event as the source saw it. It is a view: Raw points into the
// source's memory and, like Comm, is read only while the visitor runs.
type Record struct {
	// Time is in nanoseconds on CLOCK_MONOTONIC.
	Time int64
	// Raw is the event's data as its format file lays it out, common fields
	// first. It may be longer than the format says (the kernel pads to 8 bytes).
	Raw []byte
	// Comm is the task's name when the event happened, as the kernel has it: up
	// to 15 bytes, of any encoding.
	Comm string
	// Event indexes the source's Schemas.
	Event int
	// PID is the thread group and TID the thread, both in the initial pid
	// namespace; 0 is the idle task. The kernel's common_pid is the TID. PID is
	// -1 where it could not be known.
	PID, TID int32
	// Stack is the ID of the call chain ([Stack]), 0 without one.
	Stack uint64
	// Cgroup is the id of the cgroup v2 that the task was in, the inode of its
	// folder; 0 where it was not asked for.
	Cgroup uint64
	// Emits are the values that a program in the kernel added, little endian: a u64 whose
	// bit i is set where there is value i, and a u64 for each. It belongs to the source,
	// as Raw does; nil without such a program. See [Record.Emitted].
	Emits []byte
	// CPU is the number of the processor that the event happened on.
	CPU uint16
}

// Emitted returns value i of Emits; ok is false where there is none.
func (r *Record) Emitted(i int) (v uint64, ok bool) {
	at := 8 + 8*i
	if i < 0 || i > 63 || at+8 > len(r.Emits) || r.Emits[i/8]>>(i%8)&1 == 0 {
		return 0, false
	}
	return LoadInt(r.Emits[at:at+8], false)
}

// Stack is a call chain: where an event happened, and who called that, the
// innermost first, the kernel's part before the process's.
type Stack struct {
	// Frames are the IDs of the frames, as many as Addrs.
	Frames []uint32
	// Addrs are the addresses as they were when the event happened. Without frame
	// pointers the process's part may be the first address alone.
	Addrs []uint64
	// ID is a hash of the frames; equal chains have equal IDs.
	ID uint64
	// PID is the process (thread group) that was seen with it first, in the initial
	// pid namespace.
	PID int32
}

// FrameKind is what kind of code a [Frame] is in.
type FrameKind uint8

// Kinds of frames.
const (
	// FrameUnknown: no mapping holds the address, or none is known of.
	FrameUnknown FrameKind = iota
	// FrameKernel: the kernel or one of its modules.
	FrameKernel
	// FrameFile: a file that is mapped into the process.
	FrameFile
	// FrameAnon: memory that no file is behind: code made at run time (JIT), the stack.
	FrameAnon
)

var frameKinds = [...]string{"unknown", "kernel", "file", "anon"}

func (k FrameKind) String() string {
	if int(k) < len(frameKinds) {
		return frameKinds[k]
	}
	return fmt.Sprintf("frame(%d)", uint8(k))
}

// Frame is one place in code, the same for all processes that run the same file.
type Frame struct {
	// File is the path of the mapped file as the process saw it, "[vdso]", "[kernel]"
	// or "[module]" for the kernel's, "" where nothing is known.
	File string
	// BuildID is the file's in lower-case hex, "" where it has none or none was seen.
	BuildID string
	// Offset is the offset in the file for FrameFile and the vdso, else the address.
	Offset uint64
	// ID is what [Stack.Frames] holds, from 1 on.
	ID uint32
	// PID is the process for FrameAnon and FrameUnknown, whose addresses mean
	// something there alone, and one that has the file mapped for FrameFile; 0 for
	// the kernel.
	PID int32
	// Kind says where it is.
	Kind FrameKind
}

// Loss is an exact count of events that did not become rows.
type Loss struct {
	// Event is "system:name", or "" where the source cannot tell which.
	Event string
	// CPU is the processor that lost them, -1 where the source cannot tell.
	CPU int32
	// From and To bound the time of the loss in nanoseconds on CLOCK_MONOTONIC.
	// Both are 0 where it is not known.
	From, To int64
	// Count is the number of events, never negative. 0 is nothing lost, but for
	// LostOffline.
	Count uint64
	// Reason is one of the Lost constants.
	Reason string
}

// Reasons of a [Loss].
const (
	// LostRing: the ring was full (PERF_RECORD_LOST, PERF_FORMAT_LOST).
	LostRing = "ring_full"
	// LostSamples: PERF_RECORD_LOST_SAMPLES, dropped by the kernel before the ring.
	LostSamples = "lost_samples"
	// LostCorrupt: the record could not be read: its sizes contradict each other.
	LostCorrupt = "corrupt"
	// LostUnread: still in the ring when the bounded drain at the end gave up.
	LostUnread = "unread"
	// LostReturn: a function was entered whose return was not seen: nested deeper
	// than the kernel follows (64), left by longjmp or by the end of its thread, or
	// still running when the recording ended.
	LostReturn = "return_unseen"
	// LostRecursion: an eBPF program did not see them, as they happened in an interrupt
	// that came while it ran on that processor, or, of programs of the tracepoint type,
	// while any such program did. Where not every task is recorded, the kernel's count
	// is that of all tasks: it is the most that there can have been.
	LostRecursion = "recursion"
	// LostFilterFault: the filter faulted (x/0, an index out of range) and on-fault is drop.
	LostFilterFault = "filter_fault"
	// LostRate and LostCPU: more than the budget of rows a second, or of processor
	// time, allowed. They were chosen, as the budget says.
	LostRate = "over_rate"
	LostCPU  = "over_cpu"
	// LostOffline is a gap, the one reason whose Count is 0: a processor was offline, its
	// events were off when it came back, and from From to To nobody counted what happened.
	LostOffline = "cpu_offline"
	// LostOverwritten: a flight recorder made room for later events, or the time that
	// its dumps shall hold did not take them in. See [Intended].
	LostOverwritten = "overwritten"
	// LostPaused: the rings of a flight recorder take nothing while they are read.
	LostPaused = "paused"
)

// Intended reports whether a loss of this reason is what was asked for: it is told and
// counted as every other, and is no fault of the run.
func Intended(reason string) bool { return reason == LostOverwritten || reason == LostPaused }

// Dump is one time that a flight recorder handed out what its rings held.
type Dump struct {
	// Reason is one of the Dump constants.
	Reason string
	// Event is "system:name" of the record that was the trigger, "" without.
	Event string
	// Time is when it was asked for, the trigger's where there was one; From and To are
	// the times of the first and the last record that was handed out, 0 for none. All
	// are nanoseconds on CLOCK_MONOTONIC.
	Time, From, To int64
	// Rows is how many rows it has.
	Rows uint64
	// CPU and TID are where the trigger was and in which thread, -1 without.
	CPU, TID int32
}

// Reasons of a [Dump].
const (
	// DumpSignal: SIGUSR2.
	DumpSignal = "signal"
	// DumpTrigger: a record that the trigger let through.
	DumpTrigger = "trigger"
	// DumpExit: the end of the run.
	DumpExit = "exit"
)

// Task is one thread's life as far as the capture saw it.
type Task struct {
	// Comm is the last name; Exe the path of the executable, "" if unknown.
	Comm, Exe string
	// Cgroup is the path of the cgroup (v2, else of the first v1 hierarchy), "" if unknown.
	Cgroup string
	// Start and End are nanoseconds on CLOCK_MONOTONIC; 0 is unknown, and for
	// End also "still alive when the capture ended".
	Start, End int64
	// TID, PID and PPID are the thread, its thread group, and the parent's thread group; PPID -1 is unknown.
	TID, PID, PPID int32
	// NSTID and NSPID are the thread and its group as their own pid namespace numbers
	// them, 0 where that is not known. Outside of containers they are TID and PID.
	NSTID, NSPID int32
}

// Clock is one reading of three clocks at the same moment, in nanoseconds.
type Clock struct {
	// Mono is CLOCK_MONOTONIC, Boot CLOCK_BOOTTIME, Real CLOCK_REALTIME (Unix time).
	Mono, Boot, Real int64
	// Reason is "start", "tick", "step" (the wall clock was set) or "stop".
	Reason string
}

// Summary is what a run came to; sinks write it into manifests and metadata.
type Summary struct {
	// Rows is the number of rows of events (tables that begin with "_" do not count).
	Rows uint64
	// Lost is the number of events lost, for all reasons but those that are [Intended].
	Lost uint64
	// Overwritten is the number of those that are.
	Overwritten uint64
	// LostBy splits both by event ("" is unknown), then by reason.
	LostBy map[string]map[string]uint64
	// Gaps counts the times in which an unknown number of events may have been lost
	// (LostOffline). LostBy has their reason with the number 0.
	Gaps uint64
	// Escaped counts strings that were not UTF-8 (or held a backslash) and were escaped.
	Escaped uint64
	// FaultsBy counts the records on which a filter faulted, by event, then by cause,
	// whatever became of them.
	FaultsBy map[string]map[string]uint64
	// Start and Stop are the clocks at both ends of the run.
	Start, Stop Clock
	// Complete is false where the run ended before it could account for everything.
	Complete bool
}
