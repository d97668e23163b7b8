package collector

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// offer gives b records until now is end, as many a second as each of hz says, of the
// thread and event of that index, and returns those that were kept.
func offer(b *budget, begin, end time.Duration, hz ...int) (kept []perfpipe.Record, total uint64) {
	next := make([]int64, len(hz))
	for i := range next {
		next[i] = int64(begin) + int64(i)
	}
	for {
		at := -1
		for i, t := range next {
			if hz[i] > 0 && t < int64(end) && (at < 0 || t < next[at]) {
				at = i
			}
		}
		if at < 0 {
			return kept, total
		}
		rec := perfpipe.Record{Time: next[at], Event: at, TID: int32(100 + at), CPU: uint16(at % 2)}
		next[at] += int64(time.Second) / int64(hz[at])
		total++
		if b.keep(&rec) {
			kept = append(kept, rec)
		}
	}
}

// told sums losses, and checks what each must be.
type told struct {
	t       *testing.T
	list    []perfpipe.Loss
	n       uint64
	byEvent map[string]uint64
}

func (l *told) lost(x perfpipe.Loss) {
	if x.Count == 0 || x.From > x.To {
		l.t.Errorf("got loss %+v", x)
	}
	l.list = append(l.list, x)
	l.n += x.Count
	if l.byEvent == nil {
		l.byEvent = map[string]uint64{}
	}
	l.byEvent[x.Event] += x.Count
}

func testBudget(t *testing.T, cfg Budget, events int) (*budget, *told) {
	t.Helper()
	l := &told{t: t}
	var schemas []*perfpipe.Schema
	for i := range events {
		schemas = append(schemas, &perfpipe.Schema{System: "s", Name: fmt.Sprint(i)})
	}
	b, err := newBudget(cfg, schemas, l.lost)
	if err != nil {
		t.Fatal(err)
	}
	return b, l
}

func TestBudgetOff(t *testing.T) {
	if b, err := newBudget(Budget{Over: OverEvents}, nil, nil); b != nil || err != nil {
		t.Errorf("got %v, %v", b, err)
	}
	for _, c := range []Budget{{MaxCPU: 5}, {MaxCPU: -1}, {MaxCPU: math.NaN()}, {MaxRate: 1, Over: 3}} {
		if _, err := newBudget(c, nil, nil); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestBudgetRate(t *testing.T) {
	many := make([]int, 200)
	for i := range many {
		many[i] = 1000
	}
	for _, tt := range []struct {
		name string
		rate uint64
		over Over
		hz   []int
		// least is how many rows a second there must be on average.
		least uint64
	}{
		{"below", 10_000, OverSample, []int{4000, 5000}, 9000},
		{"one hot thread", 1000, OverSample, []int{400_000}, 250},
		{"many threads", 10_000, OverSample, many, 3500},
		{"one row a second", 1, OverSample, []int{1000}, 0},
		{"whole threads", 10_000, OverThreads, many, 3000},
		{"by event", 1000, OverEvents, []int{100, 200_000, 50}, 900},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const seconds = 5
			b, l := testBudget(t, Budget{MaxRate: tt.rate, Over: tt.over}, len(tt.hz))
			kept, total := offer(b, 0, seconds*time.Second, tt.hz...)
			b.report()
			if n := uint64(len(kept)); n+l.n != total {
				t.Errorf("%d rows and %d lost, want %d together", n, l.n, total)
			} else if most := max(1, tt.rate/10) + tt.rate*seconds; n > most {
				t.Errorf("got %d rows in %d s, want at most %d", n, seconds, most)
			} else if n < tt.least*seconds {
				t.Errorf("got %d rows in %d s, want at least %d", n, seconds, tt.least*seconds)
			}
			for _, x := range l.list {
				if x.Reason != perfpipe.LostRate {
					t.Errorf("got reason %s", x.Reason)
				}
			}
		})
	}
}

// TestBudgetScales: from a row of _lost and the rows of its time the number of events
// is had again, whatever part was kept.
func TestBudgetScales(t *testing.T) {
	b, l := testBudget(t, Budget{MaxRate: 5000}, 1)
	kept, total := offer(b, 0, 3*time.Second, 100_000)
	b.report()
	var sum uint64
	for i, x := range l.list {
		sum += x.Count
		if i > 0 && x.From <= l.list[i-1].To {
			t.Errorf("the times of two losses overlap: %+v, %+v", l.list[i-1], x)
		}
		for _, r := range kept {
			if r.Time >= x.From && r.Time <= x.To {
				sum++
			}
		}
	}
	if sum != total {
		t.Errorf("rows and losses within the times of losses: got %d, want %d", sum, total)
	}
}

// TestBudgetKeepsTogether: events of one thread within a slice are kept or left out
// alike, and a second run decides as the first.
func TestBudgetKeepsTogether(t *testing.T) {
	b, _ := testBudget(t, Budget{MaxRate: 1000}, 2)
	b.end = math.MaxInt64
	again, _ := testBudget(t, Budget{MaxRate: 1000}, 2)
	again.end = math.MaxInt64
	for _, shift := range []uint{1, 3, 9} {
		b.shift, again.shift = shift, shift
		in, n := 0, 200_000
		for i := range n {
			slice := int64(i) << (sliceBits - shift)
			enter := perfpipe.Record{Time: slice, TID: int32(i % 37)}
			exit := perfpipe.Record{Time: slice + 1<<(sliceBits-shift) - 1, Event: 1, TID: int32(i % 37), CPU: 3}
			if enter.TID == 0 {
				exit.CPU = enter.CPU
			}
			k := b.chosen(&enter)
			if k != b.chosen(&exit) || k != again.chosen(&enter) {
				t.Fatalf("one in %d: record %d is chosen and its pair is not", 1<<shift, i)
			}
			if k {
				in++
			}
		}
		if want := n >> shift; in < want*8/10 || in > want*12/10 {
			t.Errorf("one in %d: got %d of %d", 1<<shift, in, n)
		}
	}
}

func TestBudgetQuietEventsStay(t *testing.T) {
	b, l := testBudget(t, Budget{MaxRate: 10_000, Over: OverEvents}, 3)
	offer(b, 0, time.Second, 300, 100_000, 2000)
	b.report()
	begun := l.byEvent["s:0"] + l.byEvent["s:2"] // while nothing was known of them
	offer(b, time.Second, 4*time.Second, 300, 100_000, 2000)
	b.report()
	if n := l.byEvent["s:0"] + l.byEvent["s:2"]; n != begun || l.byEvent["s:1"] < 250_000 {
		t.Errorf("lost %v, %d of quiet events in the first second", l.byEvent, begun)
	}
}

// TestBudgetRecovers: when the storm is over, everything is kept again, slowly.
func TestBudgetRecovers(t *testing.T) {
	b, l := testBudget(t, Budget{MaxRate: 10_000}, 1)
	offer(b, 0, 2*time.Second, 500_000)
	if b.shift < 5 {
		t.Errorf("in the storm: got one in %d", 1<<b.shift)
	}
	offer(b, 2*time.Second, 5*time.Second, 5000)
	b.report()
	before := l.n
	kept, total := offer(b, 5*time.Second, 6*time.Second, 5000)
	b.report()
	if uint64(len(kept)) != total || l.n != before {
		t.Errorf("after it: kept %d of %d", len(kept), total)
	}
}

func TestFairShare(t *testing.T) {
	for _, tt := range []struct {
		counts []uint64
		total  float64
		want   uint64
	}{
		{[]uint64{1, 2, 3}, 6, math.MaxUint64},
		{[]uint64{1, 200, 3}, 10, 6},
		{[]uint64{9, 9, 9}, 9, 3},
		{[]uint64{9, 9, 9}, 1, 1},
		{nil, 1, math.MaxUint64},
		{[]uint64{5}, math.Inf(1), math.MaxUint64},
	} {
		if got := fairShare(tt.counts, tt.total); got != tt.want {
			t.Errorf("%v, %v: got %d, want %d", tt.counts, tt.total, got, tt.want)
		}
	}
}

// machine is a clock and a meter of processor time that records drive.
type machine struct {
	now time.Duration
	cpu float64 // ns
}

// TestBudgetCPU: a record costs 0.5 us and a row 5 us more, 100,000 come a second: all
// of them would take 55 %.
func TestBudgetCPU(t *testing.T) {
	for _, tt := range []struct {
		name   string
		max    float64
		missed bool
		least  int
	}{
		{"enough", 60, false, 100_000},
		{"a third", 20, false, 15_000},
		{"less than reading takes", 3, true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m machine
			b, l := testBudget(t, Budget{MaxCPU: tt.max, Meter: func() (time.Duration, time.Duration) {
				return time.Duration(m.cpu), m.now
			}}, 1)
			var rows, total uint64
			second := func(hz int64) (percent float64, made int) {
				before := m.cpu
				for range hz {
					m.now += time.Second / time.Duration(hz)
					rec := perfpipe.Record{Time: int64(m.now), TID: int32(total % 500)}
					m.cpu += 500
					total++
					if b.keep(&rec) {
						m.cpu += 5000
						made++
					}
				}
				rows += uint64(made)
				return (m.cpu - before) / 1e7, made
			}
			for range 20 {
				second(100_000)
			}
			percent, made := 0.0, 0
			for range 10 {
				p, n := second(100_000)
				percent, made = percent+p/10, made+n
			}
			made /= 10
			if !tt.missed && percent > tt.max*1.05 || made < tt.least {
				t.Errorf("got %.1f %% and %d rows a second, want at most %v and at least %d", percent, made, tt.max, tt.least)
			}
			if b.overCPU() != tt.missed {
				t.Errorf("the budget was missed: got %v, want %v", b.overCPU(), tt.missed)
			}
			// A quiet time lifts the bound again.
			for range 60 {
				second(1000)
			}
			if !math.IsInf(b.rate(), 1) {
				t.Errorf("after a quiet minute: got %v rows a second", b.rate())
			}
			b.report()
			if rows+l.n != total {
				t.Errorf("%d rows and %d lost, want %d together", rows, l.n, total)
			}
			for _, x := range l.list {
				if x.Reason != perfpipe.LostCPU {
					t.Errorf("got reason %s", x.Reason)
				}
			}
		})
	}
}

func TestBudgetAllocatesNothing(t *testing.T) {
	for _, over := range []Over{OverSample, OverThreads, OverEvents} {
		b, _ := testBudget(t, Budget{MaxRate: 1000, Over: over}, 4)
		b.lost = func(perfpipe.Loss) {}
		rec := perfpipe.Record{TID: 7, CPU: 3}
		step := func() {
			for range 1000 {
				rec.Time += 10_000
				rec.Event = (rec.Event + 1) % 4
				b.keep(&rec)
			}
		}
		for range 200 {
			step()
		}
		if n := testing.AllocsPerRun(300, step); n != 0 {
			t.Errorf("over %d: got %v allocations", over, n)
		}
	}
}

// TestRunBudget: the losses of a budget go the way of all others.
func TestRunBudget(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}}
	const n = 5000
	for i := range int64(n) {
		src.rounds = append(src.rounds, one(0, i*100_000, rawWakeup("x", 1, 1, 1, 1)))
	}
	res, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, Budget: Budget{MaxRate: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Rows+res.Lost != n || res.Rows > 600 || res.Rows == 0 || res.LostBy["sched:wakeup"][perfpipe.LostRate] != res.Lost {
		t.Errorf("got %d rows, %d lost, %v", res.Rows, res.Lost, res.LostBy)
	}
	if len(m.rows["_lost"]) == 0 || int(res.Rows) != len(m.rows["sched.wakeup"]) {
		t.Errorf("got %d rows of _lost, %d rows", len(m.rows["_lost"]), len(m.rows["sched.wakeup"]))
	}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, Budget: Budget{MaxCPU: 1}}); err == nil {
		t.Error("a budget of processor time without a meter was taken")
	}
}

func TestRunGap(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		v.Lost(perfpipe.Loss{CPU: 1, From: 5, To: 9, Reason: perfpipe.LostOffline})
		v.Lost(perfpipe.Loss{CPU: 1, From: 5, To: 9, Reason: perfpipe.LostRing})
	}}}
	res, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := res.LostBy[""][perfpipe.LostOffline]; res.Lost != 0 || res.Gaps != 1 || !there || len(m.rows["_lost"]) != 1 {
		t.Errorf("got %d lost, %d gaps, %v, _lost %v", res.Lost, res.Gaps, res.LostBy, m.rows["_lost"])
	}
}

func BenchmarkBudget(b *testing.B) {
	for _, over := range []Over{OverSample, OverEvents} {
		for _, rate := range []uint64{1 << 40, 1000} {
			b.Run(fmt.Sprintf("over %d, rate %d", over, rate), func(b *testing.B) {
				x, err := newBudget(Budget{MaxRate: rate, Over: over}, []*perfpipe.Schema{{}}, func(perfpipe.Loss) {})
				if err != nil {
					b.Fatal(err)
				}
				rec := perfpipe.Record{TID: 7}
				b.ReportAllocs()
				for b.Loop() {
					rec.Time += 1000
					x.keep(&rec)
				}
			})
		}
	}
}
