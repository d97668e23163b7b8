package perfev

import (
	"fmt"
	"math/bits"

	"github.com/perfpipe/perfpipe"
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
}

// Target is whose events are taken: those of PIDs and TIDs, or of every task where both are empty.
type Target struct {
	// PIDs are processes: all their threads, and with inheritance what these start.
	PIDs []int
	// TIDs are single threads.
	TIDs []int
	// CPUs are the processors to record on; nil is every one that is online.
	CPUs []int
	// EnableOnExec leaves the events of PIDs off until the process calls execve.
	EnableOnExec bool
	// NoInherit leaves out the threads and processes that the targets start later.
	NoInherit bool
}

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
