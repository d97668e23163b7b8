package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
	"github.com/perfpipe/perfpipe/perfev/internal/tasks"
)

// flight is what makes a flight recorder of a source: rings that the kernel writes
// backwards and overwrites, and that nobody reads until a dump.
//
//	data ring of a CPU ───── findBackward ─┐  at a dump, while the rings are paused
//	data ring of a CPU ───── findBackward ─┼─► merge by time ─► names ─► Visitor
//	side ring of a CPU ─┐                  │                      ▲
//	side ring of a CPU ─┴─ merge, always ──┴─► held ── applied ───┘
//	                                              └── applied when nothing so old can come
//
// A dump pauses the rings, waits for the writers that had begun, finds what is there,
// hands it out in order of time, and resumes. A dump hands out nothing that one before
// it did: since says by position, done by time, where the next begins.
//
// The kernel counts each event (V, before the ring) and what came while the ring was
// paused (L, PERF_FORMAT_LOST). Everything else went into the ring, so that
//
//	overwritten = V - L - handed out - waiting in the ring for a later dump
//
// which is exact where nothing is counted meanwhile: at the end. Within the run V is
// read before the pause and L after it, so that the difference is never too large.
type flight struct {
	held held
	cpus []flightCPU
	// asked is set by Dump, window by DumpFor.
	asked  atomic.Bool
	window *perfpipe.Dump
	// made is the dump that the last Read handed out, where fresh.
	made  perfpipe.Dump
	fresh bool
	// done: no record of this time or an earlier one is handed out any more.
	done int64
	// applying is the held record that the tables are being told.
	applying *heldRecord
	// nowhere stands for the ring of held records.
	nowhere ring
}

// flightCPU is what belongs to one processor. Slices are by event.
type flightCPU struct {
	marks marks
	since uint64
	// count and lost are V and L as they were last read; handed, over and paused are
	// what was handed out and what was reported of either kind.
	count, lost, handed, over, paused []uint64
	// from is until when what was overwritten was reported.
	from int64
}

func newFlight(cpus, events int) *flight {
	f := &flight{cpus: make([]flightCPU, cpus), held: held{limit: maxHeld}}
	now := sys.Monotonic()
	for i := range f.cpus {
		c := &f.cpus[i]
		c.from = now
		for _, p := range []*[]uint64{&c.count, &c.lost, &c.handed, &c.over, &c.paused} {
			*p = make([]uint64, events)
		}
	}
	return f
}

// openFlight opens the event that owns the data ring of a processor. go-perf has no
// write_backward.
func (c *cpuRings) openFlight(size int) error {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_DUMMY,
		Size:        unix.PERF_ATTR_SIZE_VER5,
		Sample_type: unix.PERF_SAMPLE_TIME,
		Clockid:     unix.CLOCK_MONOTONIC,
		Wakeup:      uint32(size),
		Bits: unix.PerfBitDisabled | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID | unix.PerfBitWatermark |
			unix.PerfBitWriteBackward,
	}
	fd, err := unix.PerfEventOpen(&attr, -1, c.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return openError("overwritable ring", c.cpu, os.NewSyscallError("perf_event_open", err))
	}
	c.flightFD = fd
	if c.dataMap, err = sys.MapFlight(fd, size); err != nil {
		return mapError(err, c.cpu, size)
	}
	c.data = &ring{cpu: uint16(c.cpu), mem: ringMemory{data: c.dataMap.Data, head: c.dataMap.Head}}
	return nil
}

// Dump has the next Read hand out what the rings of a flight recorder hold, with
// [perfpipe.DumpSignal] for its reason. It may be called from any goroutine.
func (s *Source) Dump() error {
	s.flight.asked.Store(true)
	return s.rouse()
}

// DumpFor has the next Read hand out those records that the rings hold with times from
// d.From to d.To, 0 for no bound. The goroutine that reads calls it.
func (s *Source) DumpFor(d perfpipe.Dump) { s.flight.window = &d }

// Dumped returns the dump that the last Read handed out, if it did. Its Rows are not
// counted.
func (s *Source) Dumped() (perfpipe.Dump, bool) {
	if s.flight == nil {
		return perfpipe.Dump{}, false
	}
	return s.flight.made, s.flight.fresh
}

// EarlyTasks returns how many records of names, forks, exits and mappings took effect
// before their time, as more of them came than are held back (16 MiB): so often pid
// and comm of records before may be those of later.
func (s *Source) EarlyTasks() uint64 {
	if s.flight == nil {
		return 0
	}
	return s.flight.held.early
}

// hold takes a record of a task to be applied later, and reports whether it is one.
func (f *flight) hold(at int64, h header, rec []byte, cpu uint16) bool {
	switch h.kind {
	case recordComm, recordFork, recordExit, recordMMAP2:
	default:
		return false
	}
	r := heldRecord{time: at, h: h, rec: rec, cpu: cpu}
	if h.kind == recordComm && h.misc&miscCommExec != 0 {
		if pid, _, _, ok := decodeComm(rec); ok {
			r.exe, r.space = tasks.ExeOf(pid), uint8(tasks.SpaceOf(pid))
		}
	}
	f.held.add(r)
	return true
}

// exeOf is [tasks.ExeOf], of a held record what it said when the record came.
func (s *Source) exeOf(pid int32) string {
	if s.flight != nil && s.flight.applying != nil {
		return s.flight.applying.exe
	}
	return tasks.ExeOf(pid)
}

// spaceOf is the same of [tasks.SpaceOf].
func (s *Source) spaceOf(pid int32) tasks.Space {
	if s.flight != nil && s.flight.applying != nil {
		return tasks.Space(s.flight.applying.space)
	}
	return tasks.SpaceOf(pid)
}

// apply tells the tables what the held records before until say.
func (s *Source) apply(until int64) {
	f := s.flight
	f.held.apply(until, func(r *heldRecord) {
		f.applying = r
		f.nowhere.cpu = r.cpu
		s.take(&f.nowhere, entry{time: r.time}, r.h, r.rec)
		f.applying = nil
	})
}

// horizon is before when no record can come out of a ring any more.
func (s *Source) horizon(now int64) int64 {
	// margin is for what lies between an event and the dump that it asks for.
	const margin = int64(time.Second)
	f := s.flight
	h := int64(math.MaxInt64)
	for i := range f.cpus {
		h = min(h, f.cpus[i].marks.gone-int64(slack))
	}
	if b := s.cfg.Before; b > 0 {
		h = max(h, now-int64(b)-int64(s.cfg.After)-margin)
	}
	return max(h, f.done)
}

// flightFill returns how full the fullest ring is, 0 to 1.
func (s *Source) flightFill() float64 {
	f := 0.0
	for i := range s.cpus {
		m := &s.cpus[i].data.mem
		// Heads count down from 0.
		f = max(f, min(1, float64(-m.head())/float64(m.size())))
	}
	return f
}

// flightRound makes the dump that is due. again says that another Read must follow.
func (s *Source) flightRound() (again bool, err error) {
	f := s.flight
	f.fresh = false
	if s.backlog {
		return true, nil
	}
	for i := range s.cpus {
		m := &f.cpus[i].marks
		m.size = s.cpus[i].data.mem.size()
		head := s.cpus[i].data.mem.head()
		m.see(sys.Monotonic(), head)
	}
	now := sys.Monotonic()
	switch {
	case f.window != nil:
		d := *f.window
		f.window = nil
		return true, s.dump(d)
	case s.stopped:
		err := s.dump(s.dumpNow(perfpipe.DumpExit, now))
		s.apply(math.MaxInt64)
		return false, err
	case f.asked.Swap(false):
		return true, s.dump(s.dumpNow(perfpipe.DumpSignal, now))
	}
	s.apply(s.horizon(now))
	return true, nil
}

// dumpNow is a dump of all that Before takes in.
func (s *Source) dumpNow(reason string, now int64) perfpipe.Dump {
	d := perfpipe.Dump{Reason: reason, Time: now, CPU: -1, TID: -1}
	if s.cfg.Before > 0 {
		d.From = now - int64(s.cfg.Before)
	}
	return d
}

// dump hands out what the rings hold.
func (s *Source) dump(d perfpipe.Dump) error {
	f := s.flight
	lo, hi := max(d.From, f.done+1), d.To
	paused := sys.Monotonic()
	f.done = max(f.done, hi)
	if hi == 0 {
		hi = math.MaxInt64
		f.done = max(f.done, paused-1)
	}
	if !s.stopped {
		for i := range f.cpus {
			f.cpus[i].count, _ = s.readCounts(i)
		}
		if err := s.eachFlight(sys.Pause); err != nil {
			return err
		}
	}
	sys.Grace()
	if s.stopped {
		for i := range f.cpus {
			f.cpus[i].count, f.cpus[i].lost = s.readCounts(i)
			s.countPaused(i, paused, paused)
		}
	}
	s.drainSide()
	var rings []*ring
	for i := range s.cpus {
		s.findFlight(i, lo, hi, paused)
		rings = append(rings, s.cpus[i].data)
	}
	d.From, d.To = 0, 0
	s.merger.merge(rings, math.MaxInt64, func(r *ring, e entry) {
		s.apply(e.time + 1)
		h, rec := r.record(e.pos)
		if h.kind != recordSample {
			return // a count of what was lost, which the events tell
		}
		if d.From == 0 {
			d.From = e.time
		}
		d.To = e.time
		s.take(r, e, h, rec)
	})
	for _, r := range rings {
		// An index of the whole ring takes a third of its memory.
		r.idx, r.at = nil, 0
		if r.corrupt > 0 {
			s.visit.Lost(perfpipe.Loss{CPU: int32(r.cpu), From: d.From, To: d.To, Count: r.corrupt, Reason: perfpipe.LostCorrupt})
			r.corrupt = 0
		}
	}
	f.made, f.fresh = d, true
	if s.stopped {
		return nil
	}
	if err := s.eachFlight(sys.Resume); err != nil {
		return err
	}
	resumed := sys.Monotonic()
	// Whoever found the ring paused has said so by then.
	sys.Grace()
	for i := range f.cpus {
		_, f.cpus[i].lost = s.readCounts(i)
		s.countPaused(i, paused, resumed)
	}
	return nil
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
	count, lost = make([]uint64, len(s.schemas)), make([]uint64, len(s.schemas))
	for _, tp := range s.cpus[i].events {
		if n, l, err := sys.ReadCounts(tp.fd); err == nil {
			count[tp.event] += n
			lost[tp.event] += l
		}
	}
	return count, lost
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

// findFlight finds what a processor's ring holds from lo to hi, and reports what of
// the rest is there no more. now is the time of the dump.
func (s *Source) findFlight(i int, lo, hi, now int64) {
	c, r := &s.flight.cpus[i], s.cpus[i].data
	head := r.findBackward(c.since)
	later := r.between(lo, hi)
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
	to := now
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
	c.from = max(c.from, min(now, hi))
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
	if h.kind != recordSample {
		return -1
	}
	var raw []byte
	if s.lean {
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
