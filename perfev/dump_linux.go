package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// dump hands out what the rings hold.
func (s *Source) dump(d perfpipe.Dump) error {
	f := s.flight
	asked := sys.Monotonic()
	w := dumpWindow{from: d.From, lo: max(d.From, f.done+1), hi: d.To, now: asked}
	switch {
	case w.hi != 0:
	case s.stopped:
		w.hi = math.MaxInt64
	default:
		w.hi = asked
	}
	f.done = max(f.done, w.hi)
	if err := s.pauseFlight(asked); err != nil {
		return err
	}
	s.drainSide()
	err := s.trace.countOver(s, w)
	var rings []*ring
	for i := range s.cpus {
		s.findFlight(i, w)
		rings = append(rings, s.cpus[i].data)
	}
	d.From, d.To = 0, 0
	visit := func(r *ring, e entry) {
		s.apply(e.time + 1)
		h, rec := r.record(e.pos)
		switch {
		case h.kind == recordPage && e.time < w.from:
			s.trace.cut(s.eventAt(r, e.pos), r)
			return
		case h.kind != recordSample && h.kind != recordPage:
			return // a count of what was lost, which the events tell
		}
		if d.From == 0 {
			d.From = e.time
		}
		d.To = max(d.To, e.time)
		s.take(r, e, h, rec)
	}
	err = errors.Join(err, s.trace.drain(s, rings, w.hi, visit))
	for _, r := range rings {
		// An index of the whole ring takes a third of its memory.
		r.idx, r.at = nil, 0
		s.countCorrupt(r, d)
	}
	s.trace.countCut(s, w)
	f.made, f.fresh = d, true
	return errors.Join(err, s.resumeFlight(asked))
}

// dumpWindow is which records a dump takes: those from lo to hi, both included, and of
// rings whose records are gone when they are read, those from from on. now is the time of
// the dump.
type dumpWindow struct{ from, lo, hi, now int64 }

// pauseFlight has nothing written into the perf rings, and reads the counts before it.
// At the end the events are off.
func (s *Source) pauseFlight(now int64) error {
	f := s.flight
	if len(s.by(EnginePerf)) == 0 {
		return nil
	}
	if !s.stopped {
		for i := range f.cpus {
			f.cpus[i].count, _ = s.readCounts(i)
		}
		if err := s.eachFlight(sys.Pause); err != nil {
			return err
		}
	}
	writersDone()
	if !s.stopped {
		return nil
	}
	for i := range f.cpus {
		f.cpus[i].count, f.cpus[i].lost = s.readCounts(i)
		s.countPaused(i, now, now)
	}
	return nil
}

// resumeFlight has the perf rings written to again, and reports what came since they
// were paused.
func (s *Source) resumeFlight(paused int64) error {
	if s.stopped || len(s.by(EnginePerf)) == 0 {
		return nil
	}
	if err := s.eachFlight(sys.Resume); err != nil {
		return err
	}
	resumed := sys.Monotonic()
	// Whoever found the ring paused has said so by then.
	writersDone()
	for i := range s.flight.cpus {
		_, s.flight.cpus[i].lost = s.readCounts(i)
		s.countPaused(i, paused, resumed)
	}
	return nil
}

// countCorrupt reports what of a ring could not be read.
func (s *Source) countCorrupt(r *ring, d perfpipe.Dump) {
	if r.corrupt == 0 {
		return
	}
	s.visit.Lost(perfpipe.Loss{CPU: int32(r.cpu), From: d.From, To: d.To, Count: r.corrupt, Reason: perfpipe.LostCorrupt})
	r.corrupt = 0
}

// drain reads the rings of ftrace up to time hi, and hands their records out together
// with those that were found in the perf rings, in order of time.
func (g *trace) drain(s *Source, perf []*ring, hi int64, visit func(*ring, entry)) error {
	if !g.any() {
		s.merger.merge(perf, math.MaxInt64, visit)
		return nil
	}
	rings := perf
	for i := range g.rings {
		rings = append(rings, g.rings[i].ring)
		g.rings[i].mem.until = hi
	}
	behind := hi
	if hi < math.MaxInt64 {
		behind++
	}
	var errs []error
	for more := true; more; {
		more = false
		bound := behind
		for i := range g.rings {
			r := g.rings[i].ring
			if r.find(roundBytes) {
				more = true
			}
			if t, ok := r.unread(); ok {
				bound = min(bound, t)
			}
		}
		s.merger.merge(rings, bound, visit)
		for i := range g.rings {
			g.rings[i].ring.release()
		}
	}
	for i := range g.rings {
		p := g.rings[i].mem
		errs = append(errs, p.err)
		s.countCorrupt(g.rings[i].ring, perfpipe.Dump{From: g.counted, To: s.flight.done})
		if p.head == p.tail {
			p.slots = nil // until the next dump
		}
	}
	return errors.Join(errs...)
}

// countOver reports what the rings of ftrace overwrote since the last dump.
func (g *trace) countOver(s *Source, w dumpWindow) error {
	if !g.any() {
		return nil
	}
	event := ""
	if len(g.events) == 1 {
		event = s.schemas[g.events[0]].Event()
	}
	var errs []error
	for i := range g.rings {
		r := &g.rings[i]
		st, err := g.in.Stats(r.cpu)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l := perfpipe.Loss{Event: event, CPU: int32(r.cpu), From: max(g.on, g.counted), To: w.now, Count: st.Overrun - r.over, Reason: perfpipe.LostOverwritten}
		if st.Oldest > l.From {
			l.To = min(l.To, st.Oldest) // what is overwritten is older than what is there
		}
		if l.Count > 0 {
			s.visit.Lost(l)
		}
		r.over = st.Overrun
		if n := st.CommitOverrun + st.Dropped; n > r.lost {
			l.To, l.Count, l.Reason = w.now, n-r.lost, perfpipe.LostRing
			s.visit.Lost(l)
			r.lost = n
		}
	}
	return errors.Join(errs...)
}

// cut counts a record that the dump does not go back to.
func (g *trace) cut(event int, r *ring) {
	for i := range g.rings {
		if t := &g.rings[i]; t.ring == r && event >= 0 {
			if t.cut == nil {
				t.cut = make(map[int]uint64)
			}
			t.cut[event]++
		}
	}
}

// countCut reports those.
func (g *trace) countCut(s *Source, w dumpWindow) {
	if !g.any() {
		return
	}
	for i := range g.rings {
		r := &g.rings[i]
		for ev, sc := range s.schemas {
			if n := r.cut[ev]; n > 0 {
				s.visit.Lost(perfpipe.Loss{Event: sc.Event(), CPU: int32(r.cpu), From: min(max(g.on, g.counted), w.from), To: w.from, Count: n, Reason: perfpipe.LostOverwritten})
			}
		}
		r.cut = nil
	}
	g.counted = w.now
}

// eachFlight does the same with the ring of each processor.
func (s *Source) eachFlight(do func(fd int) error) error {
	var errs []error
	for i := range s.cpus {
		if err := do(s.cpus[i].flightFD); err != nil {
			errs = append(errs, fmt.Errorf("dump ring of cpu %d: %w", s.cpus[i].cpu, err))
		}
	}
	return errors.Join(errs...)
}

// readCounts reads the kernel's counts of the events on one processor.
func (s *Source) readCounts(i int) (count, lost []uint64) {
	count, lost = slices.Clone(s.flight.cpus[i].goneCount), slices.Clone(s.flight.cpus[i].goneLost)
	for _, tp := range s.cpus[i].events {
		if n, l, err := sys.ReadCounts(tp.fd); err == nil {
			count[tp.event] += n
			lost[tp.event] += l
		}
	}
	return count, lost
}

// keepCounts keeps the counts of a processor's events that are about to be closed.
func (f *flight) keepCounts(s *Source, i int) {
	f.cpus[i].goneCount, f.cpus[i].goneLost = s.readCounts(i)
}

// drainSide takes all that the side rings have.
func (s *Source) drainSide() {
	for _, r := range s.rings {
		r.find(roundBytes)
	}
	s.merger.merge(s.rings, math.MaxInt64, s.one)
	for _, r := range s.rings {
		r.release()
	}
}

// findFlight finds what a processor's ring holds for a dump, and reports what of the
// rest is there no more.
func (s *Source) findFlight(i int, w dumpWindow) {
	c, r := &s.flight.cpus[i], s.cpus[i].data
	head := r.findBackward(c.since)
	later := r.between(w.lo, w.hi)
	for _, e := range r.idx[r.at:] {
		if ev := s.eventAt(r, e.pos); ev >= 0 {
			c.handed[ev]++
		}
	}
	c.since = head
	waiting := make([]uint64, len(s.schemas))
	for _, e := range later {
		if ev := s.eventAt(r, e.pos); ev >= 0 {
			waiting[ev]++
		}
		h, _ := r.record(e.pos)
		if end := e.pos + uint64(h.size); end-head > c.since-head {
			c.since = end
		}
	}
	to := w.now
	if r.pending() {
		to = r.idx[r.at].time
	}
	for ev, sc := range s.schemas {
		gone := int64(c.count[ev] - c.lost[ev] - c.handed[ev] - waiting[ev] - c.over[ev])
		if gone <= 0 {
			continue // read before the pause, the count may lag behind what was found
		}
		c.over[ev] += uint64(gone)
		s.visit.Lost(perfpipe.Loss{Event: sc.Event(), CPU: int32(s.cpus[i].cpu), From: c.from, To: max(c.from, to), Count: uint64(gone), Reason: perfpipe.LostOverwritten})
	}
	c.from = max(c.from, min(w.now, w.hi))
}

// countPaused reports what came while the ring of a processor took nothing.
func (s *Source) countPaused(i int, from, to int64) {
	c := &s.flight.cpus[i]
	for ev, sc := range s.schemas {
		if n := c.lost[ev]; n > c.paused[ev] {
			s.visit.Lost(perfpipe.Loss{Event: sc.Event(), CPU: int32(s.cpus[i].cpu), From: from, To: to, Count: n - c.paused[ev], Reason: perfpipe.LostPaused})
			c.paused[ev] = n
		}
	}
}

// eventAt is the event of the record at a position, -1 for none.
func (s *Source) eventAt(r *ring, pos uint64) int {
	h, rec := r.record(pos)
	var raw []byte
	if h.kind == recordPage {
		raw = rec
	} else if h.kind != recordSample {
		return -1
	} else if s.lean {
		raw = sampleRaw(rec)
	} else if v, ok := s.layout.decode(rec); ok {
		raw = v.raw
	}
	if len(raw) < 2 {
		return -1
	}
	typ := int(binary.LittleEndian.Uint16(raw))
	if typ >= len(s.byType) {
		return -1
	}
	return int(s.byType[typ])
}
