package perfev

import (
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// Config says what a live source captures.
type Config struct {
	// Events are opened in this order; Record.Event is the index. No event twice.
	Events []Event
	// Target is whose events are taken.
	Target Target
	// RingBytes is the size of each CPU's data ring, rounded up to a power of two
	// of pages; 0 takes DefaultRingBytes.
	RingBytes int
	// Period records every so many-th event of each CPU; 0 and 1 are each.
	Period int
	// KeepSelf keeps the events of the calling process's own threads.
	KeepSelf bool
	// CallChain is which call chains the records have (Record.Stack).
	CallChain CallChain
	// CgroupIDs has the records say which cgroup the task was in (Record.Cgroup):
	// Linux 5.7, and perf_event on the v2 hierarchy.
	CgroupIDs bool
	// Entries are entry events of functions whose returns are among Events, to know
	// how many returns were not seen. See [Entry].
	Entries []Entry
	// Engine is what makes the records.
	Engine Engine
	// Overwrite makes a flight recorder of the source: the rings hold the latest that
	// came, and Read hands it out when [Source.Dump] was asked for and at the end.
	Overwrite bool
	// Before is how far back from what asked for it a dump goes, 0 takes all that the
	// rings hold. After is how much later than what asks for them dumps are made at most.
	Before, After time.Duration
}

// CallChain says which call chains are taken; the zero value takes none.
type CallChain struct {
	// Kernel and User take the kernel's part and the process's.
	Kernel, User bool
	// MaxFrames bounds how many addresses a chain has, 0 is what
	// /proc/sys/kernel/perf_event_max_stack allows, 127 unless it was changed.
	MaxFrames int
	// StackBytes finds the process's part by unwinding a copy of so many bytes of its
	// stack with what the binaries say of their frames (.eh_frame), and not by frame
	// pointers: up to 65528, a multiple of 8. 0 goes by frame pointers. User must be set.
	StackBytes int
}

// on reports whether any chain is taken.
func (c CallChain) on() bool { return c.Kernel || c.User }

// kernelWalks reports whether the kernel is asked for a chain, be it a part of one.
func (c CallChain) kernelWalks() bool { return c.Kernel || c.User && c.StackBytes == 0 }

// check says what is wrong with c.
func (c CallChain) check() error {
	switch {
	case c.MaxFrames < 0 || c.MaxFrames > maxFrames:
		return fmt.Errorf("call chains of %d frames: the number must lie between 1 and %d", c.MaxFrames, maxFrames)
	case c.StackBytes != 0 && !c.User:
		return errors.New("unwind copied stacks: the process's part of the call chains was not asked for")
	case c.StackBytes != 0 && runtime.GOARCH != "amd64":
		return fmt.Errorf("unwind copied stacks: only x86-64 is known, this is %s; go by frame pointers", runtime.GOARCH)
	case c.StackBytes < 0 || c.StackBytes > maxStackBytes || c.StackBytes%8 != 0:
		return fmt.Errorf("copy %d bytes of the stack: the size must be a multiple of 8 up to %d", c.StackBytes, maxStackBytes)
	}
	return nil
}

// Entry is the entry event of a function whose return event is by trampoline. The
// kernel follows 64 returns of a thread at most, and none past a longjmp: entries
// and returns are counted by the kernel, beside the rings and before any filter, and
// at the end of the run entries without a return are a Loss of reason LostReturn.
type Entry struct {
	// Schema is the entry event. It may be among Events as well.
	Schema *perfpipe.Schema
	// Path is the file that the function is in: calls that are under way are looked for
	// in the processes that have it mapped. "" looks into all.
	Path string
	// Of is the index of the return event in Events. Several entries may share it.
	Of int
}

// check says what cannot be asked for.
func (c *Config) check() error {
	if err := c.CallChain.check(); err != nil {
		return err
	}
	if c.Overwrite && c.Period > 1 {
		return errors.New("overwrite the rings: what was overwritten could not be counted where every so many-th event is recorded")
	}
	for _, e := range c.Entries {
		if e.Of < 0 || e.Of >= len(c.Events) {
			return fmt.Errorf("count entries of %s: its return is event %d of %d", e.Schema.Event(), e.Of, len(c.Events))
		}
	}
	t := c.Target
	if len(t.Cgroups) > 0 && len(t.PIDs)+len(t.TIDs) > 0 {
		return errors.New("record cgroups: processes or threads were named as well; take one or the other")
	}
	return nil
}

// Event is one tracepoint with what the kernel is to filter.
type Event struct {
	Schema *perfpipe.Schema
	// Filter is in the kernel's language, "" is none. It must be text that
	// perfpipe made itself: the kernel takes some broken filters without a word.
	Filter string
	// Optional events are left out where the kernel refuses them alone: some, such
	// as irq_vectors:irq_work_exit, may not be sampled (TRACE_EVENT_PERF_PERM),
	// because taking a sample would fire them again. See [Source.LeftOut].
	Optional bool
	// Program describes the program that can record the event in perf's stead: a probe
	// of user space that this process alone uses, as a program takes the event from
	// everybody else. nil is none. Its records are not filtered: see [Source.Choice].
	Program *bpf.Probe
	// User marks a probe of user space.
	User bool
	// KernelFilter says that nobody but the kernel may decide the filter: it means what
	// the kernel makes of it, or reads what only the kernel can.
	KernelFilter bool
	// Code decides in a program what Filter and more say: where a program records the
	// event it runs, and Filter is for the other engines. See [Source.Decides].
	Code *bpf.Filter
	// ReadsContext says that the filter reads common_flags or common_preempt_count, which
	// the records of programs have as 0.
	ReadsContext bool
}

// Target is whose events are taken: those of PIDs and TIDs, those of Cgroups, or of
// every task where all are empty.
type Target struct {
	// PIDs are processes: all their threads, and with inheritance what these start.
	PIDs []int
	// TIDs are single threads.
	TIDs []int
	// Tree takes in the descendants of PIDs that live already.
	Tree bool
	// Cgroups are the folders of cgroups, with those below them, as [CgroupPath] finds
	// them. They exclude PIDs and TIDs.
	Cgroups []string
	// CPUs are the processors to record on; nil is every one that is online.
	CPUs []int
	// EnableOnExec leaves the events of PIDs off until the process calls execve.
	EnableOnExec bool
	// NoInherit leaves out the threads and processes that the targets start later.
	NoInherit bool
}

// perTask reports whether events are opened for threads.
func (t Target) perTask() bool { return len(t.PIDs)+len(t.TIDs) > 0 }

const (
	// ringTotal bounds the memory of all data rings together under the default
	// size, so that a machine of many processors stays modest.
	ringTotal = 128 << 20
	// ringMax is what buys time on a busy processor: 8 MiB are about 50 ms of
	// the fastest event source seen (1.7 million records a second).
	ringMax = 8 << 20
	// ringMin is what perf record takes (128 pages of 4 KiB).
	ringMin = 512 << 10
	// sideBytes is each CPU's side ring: room for some 1,500 forks, names and exits.
	sideBytes = 128 << 10
	// sideBytesMaps is the same with mappings: an exec makes some ten of them, of 150 bytes.
	sideBytesMaps = 512 << 10
	// maxFrames is what perf_event_max_stack may be raised to and a record still hold.
	maxFrames = 8000
	// maxStackBytes is what fits beside the header into the 16 bits of a record's size.
	maxStackBytes = 65528
)

// DefaultRingBytes is the size of a data ring for a machine of cpus processors.
func DefaultRingBytes(cpus int) int {
	n := ringMax
	for n > ringMin && n*cpus > ringTotal {
		n /= 2
	}
	return n
}

// RoundRing rounds n up to a power of two of pages of pageSize bytes.
func RoundRing(n, pageSize int) (int, error) {
	const most = 1 << 30
	if n < 1 || n > most {
		return 0, fmt.Errorf("ring of %d bytes: the size must lie between 1 byte and 1 GiB", n)
	}
	pages := (n + pageSize - 1) / pageSize
	return pageSize << bits.Len(uint(pages-1)), nil
}

// FilterError is a filter that the kernel did not take.
type FilterError struct {
	// Event is "system:name", Filter the text.
	Event, Filter string
	// Err is what the system call said.
	Err error
}

// Error implements error.
func (e *FilterError) Error() string {
	return fmt.Sprintf("set filter of event %s: %q: %v", e.Event, e.Filter, e.Err)
}

// Unwrap returns what the system call said.
func (e *FilterError) Unwrap() error { return e.Err }
