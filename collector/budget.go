package collector

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/perfpipe/perfpipe"
)

// Budget bounds what a run may cost. What goes beyond it does not become rows, and
// is a [perfpipe.Loss] of reason LostRate or LostCPU, by event and processor. The
// zero value bounds nothing.
type Budget struct {
	// MaxRate is the most rows a second, 0 is any number. The second is one of the
	// records' own time, so that the same records make the same rows.
	MaxRate uint64
	// MaxCPU is the most that the process may take, in percent of one processor, 0 is
	// any. It is held on average over some seconds by making fewer rows.
	MaxCPU float64
	// Meter reads how long the process has run on processors, and a clock that never
	// steps; it is needed with MaxCPU.
	Meter func() (cpu, now time.Duration)
	// Over says which records are left out.
	Over Over
}

// Over is how the records beyond a [Budget] are chosen.
type Over uint8

const (
	// OverSample keeps one in 2^k slices of time of each thread, chosen by a hash of
	// both: what a thread did within a slice is there as a whole, over all events.
	OverSample Over = iota
	// OverThreads keeps one in 2^k threads, chosen by a hash of the id: what is there
	// of a thread is there as a whole, for as long as k is the same.
	OverThreads
	// OverEvents cuts the noisiest events first: each gets an equal share, and what
	// quiet ones leave of theirs goes to the others.
	OverEvents
)

// ParseOver reads "sample", "threads" or "events"; "" is sample.
func ParseOver(s string) (Over, error) {
	switch s {
	case "", "sample":
		return OverSample, nil
	case "threads":
		return OverThreads, nil
	case "events":
		return OverEvents, nil
	}
	return 0, fmt.Errorf("%q is none of sample, threads and events", s)
}

// check says what cannot be asked for.
func (b *Budget) check() error {
	switch {
	case b.MaxCPU < 0 || math.IsNaN(b.MaxCPU):
		return fmt.Errorf("budget of %v%% of a processor: it cannot be negative", b.MaxCPU)
	case b.MaxCPU > 0 && b.Meter == nil:
		return errors.New("budget of processor time: nothing measures it")
	case b.Over > OverEvents:
		return fmt.Errorf("budget: there is no way %d to choose records", b.Over)
	}
	return nil
}

const (
	// interval is the time for which rows are allotted and after which the part that is
	// kept is decided anew, in nanoseconds: short beside the second that the rate is of,
	// long beside a round of the source.
	interval = 100_000_000
	// sliceBits is the length of a thread's slice of time where one in two is kept, 2^25
	// ns. Each halving of that part halves the slice as well, so that a slice of one
	// thread that alone makes more than the budget never has more rows than an interval may.
	sliceBits = 26
	// maxShift is the smallest part that is kept: one in 2^20.
	maxShift = 20
	// calm is how many intervals a larger part must have fitted before it is taken.
	calm = 3
	// reportEvery is how much time one row of _lost sums up, in nanoseconds, and
	// reportCells of how many events and processors; more take as many times as long.
	reportEvery = 1_000_000_000
	reportCells = 256
)

// budget holds a run to its Budget. It belongs to the reading goroutine, and
// allocates for no record but the first of an event and processor.
type budget struct {
	cfg    Budget
	events []string
	lost   func(perfpipe.Loss)
	cpu    *cpuBudget // nil without MaxCPU
	// begin and end bound the interval, in the records' time.
	begin, end int64
	// credit are the rows that may be made, allotted and not used before this interval.
	credit float64
	// room is what is left of them, kept what was made and offered what there was.
	room, kept, offered uint64
	// shift: one in 2^shift is kept. still counts the intervals in which one less
	// would have done.
	shift, still uint
	// counts are by event in this interval; share bounds each. OverEvents alone.
	counts, sorted []uint64
	share          uint64
	// cells count what was left out since the last report, by event and processor.
	cells   [][]uint64
	touched []eventCPU
	// from and to are the first and last record since then, reason why, rolled whether
	// an interval ended since the last idle.
	from, to int64
	reason   string
	rolled   bool
}

type eventCPU struct {
	event int32
	cpu   uint16
}

// newBudget returns nil where nothing is bounded.
func newBudget(cfg Budget, schemas []*perfpipe.Schema, lost func(perfpipe.Loss)) (*budget, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MaxRate == 0 && cfg.MaxCPU == 0 {
		return nil, nil
	}
	b := &budget{cfg: cfg, lost: lost, cells: make([][]uint64, len(schemas)), end: math.MinInt64, share: math.MaxUint64}
	for _, s := range schemas {
		b.events = append(b.events, s.Event())
	}
	if cfg.Over == OverEvents {
		b.counts, b.sorted = make([]uint64, len(schemas)), make([]uint64, 0, len(schemas))
	}
	if cfg.MaxCPU > 0 {
		b.cpu = newCPUBudget(cfg.MaxCPU, cfg.Meter)
	}
	return b, nil
}

// keep reports whether rec may become a row, and counts it where it may not.
func (b *budget) keep(rec *perfpipe.Record) bool {
	if rec.Time >= b.end {
		b.roll(rec.Time)
	}
	b.offered++
	b.to = rec.Time
	if b.chosen(rec) && b.room > 0 {
		b.room--
		b.kept++
		return true
	}
	c := b.cells[rec.Event]
	if int(rec.CPU) >= len(c) {
		c = append(c, make([]uint64, int(rec.CPU)+1-len(c))...)
		b.cells[rec.Event] = c
	}
	if c[rec.CPU] == 0 {
		b.touched = append(b.touched, eventCPU{int32(rec.Event), rec.CPU})
	}
	c[rec.CPU]++
	return false
}

// chosen reports whether rec belongs to the part that is kept.
func (b *budget) chosen(rec *perfpipe.Record) bool {
	switch {
	case b.cfg.Over == OverEvents:
		b.counts[rec.Event]++
		return b.counts[rec.Event] <= b.share
	case b.shift == 0:
		return true
	}
	key := uint64(uint32(rec.TID))
	if key == 0 {
		// The idle tasks are one a processor, all with the id 0.
		key = 1<<32 + uint64(rec.CPU)
	}
	if b.cfg.Over == OverSample {
		key += uint64(rec.Time) >> (sliceBits - b.shift) << 33
	}
	return mix(key)&(1<<b.shift-1) == 0
}

// mix is the finalizer of splitmix64: every bit of x moves every bit of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// roll ends the interval and begins the one that has time t.
func (b *budget) roll(t int64) {
	b.rolled = true
	passed := 1.0
	if b.end == math.MinInt64 {
		b.begin, b.from = t, t
	} else {
		n := (t - b.begin) / interval
		b.begin += n * interval
		passed = float64(n)
	}
	b.end = b.begin + interval

	if b.cpu != nil {
		b.cpu.roll(b.kept, b.offered)
	}
	// A reason's losses are told before those of another begin, and each row of _lost
	// is of intervals in which something was left out.
	if reason := b.limit(); reason != b.reason || t-b.from >= b.reportAfter() {
		b.report()
		b.reason = reason
	}
	if len(b.touched) == 0 {
		b.from = t
	}
	allot := b.rate() * interval / 1e9
	b.credit = min(b.credit-float64(b.kept)+passed*allot, max(1, 2*allot))
	// Without a bound the credit is endless, and less what was kept it still is.
	b.room = math.MaxUint64
	if b.credit < math.MaxInt64 {
		b.room = uint64(max(0, b.credit))
	}
	b.choose(allot, passed)
	b.kept, b.offered = 0, 0
}

// rate is the most rows a second that may be made now.
func (b *budget) rate() float64 {
	r := math.Inf(1)
	if b.cfg.MaxRate > 0 {
		r = float64(b.cfg.MaxRate)
	}
	if b.cpu != nil {
		r = min(r, b.cpu.rate)
	}
	return r
}

// limit is the reason of what is left out now.
func (b *budget) limit() string {
	if b.cpu != nil && (b.cfg.MaxRate == 0 || b.cpu.rate < float64(b.cfg.MaxRate)) {
		return perfpipe.LostCPU
	}
	return perfpipe.LostRate
}

// choose sets which part is kept of as many records an interval as there were in the
// last, where allot may become rows.
func (b *budget) choose(allot, passed float64) {
	if b.cfg.Over == OverEvents {
		b.sorted = append(b.sorted[:0], b.counts...)
		b.share = fairShare(b.sorted, allot)
		clear(b.counts)
		return
	}
	offered := float64(b.offered) / passed
	want := uint(0)
	for want < maxShift && offered > allot {
		offered /= 2
		want++
	}
	switch {
	case want > b.shift:
		b.shift, b.still = want, 0
	case want == b.shift:
		b.still = 0
	default:
		if b.still++; b.still >= calm {
			b.shift--
			b.still = 0
		}
	}
}

// fairShare returns the bound that, put on each of counts, makes their sum total. It
// sorts counts.
func fairShare(counts []uint64, total float64) uint64 {
	slices.Sort(counts)
	for i, n := range counts {
		if each := total / float64(len(counts)-i); float64(n) > each {
			return max(1, uint64(each))
		}
		total -= float64(n)
	}
	return math.MaxUint64
}

// reportAfter is how much time a report is of.
func (b *budget) reportAfter() int64 {
	return reportEvery * (1 + int64(len(b.touched))/reportCells)
}

// idle reports what was left out where no record came since it was last called: then
// no interval ends.
func (b *budget) idle() {
	if !b.rolled {
		b.report()
	}
	b.rolled = false
}

// report tells what was left out since the last report. Of a time from From to To, the
// rows of an event and processor and what is told of them are all that there was.
func (b *budget) report() {
	for _, p := range b.touched {
		n := &b.cells[p.event][p.cpu]
		b.lost(perfpipe.Loss{Event: b.events[p.event], CPU: int32(p.cpu), From: b.from, To: max(b.from, b.to), Count: *n, Reason: b.reason})
		*n = 0
	}
	b.touched = b.touched[:0]
	b.from = b.to + 1
}

// overCPU reports whether the processor time was over the budget with hardly any row made.
func (b *budget) overCPU() bool { return b != nil && b.cpu != nil && b.cpu.missed > 0 }
