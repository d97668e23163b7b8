package perfev

import (
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
//	perf ring of a CPU ───── findBackward ─┐  at a dump, while they are paused
//	ftrace ring of a CPU ─── findPages ────┼─► merge by time ─► names ─► Visitor
//	side ring of a CPU ─┐                  │                      ▲
//	side ring of a CPU ─┴─ merge, always ──┴─► held ── applied ───┘
//	                                              └── applied when nothing so old can come
//
// A dump pauses the perf rings, waits for the writers that had begun, finds what is
// there, hands it out in order of time, and resumes. It hands out nothing that one
// before it did: since says by position, done by time, where the next begins. A ring of
// ftrace is read from its oldest page on, and goes on meanwhile; what is read is gone
// from it, and of the last page what is later than the dump stays with us for the next.
//
// Of perf the kernel counts each event (V, before the ring) and what came while the ring
// was paused (L, PERF_FORMAT_LOST). Everything else went into the ring, so that
//
//	overwritten = V - L - handed out - waiting in the ring for a later dump
//
// which is exact where nothing is counted meanwhile: at the end. Within the run V is
// read before the pause and L after it, so that the difference is never too large. Of
// ftrace the ring counts what it overwrote, of all events together, and what of its
// records a dump has no time for is counted as it is read.
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
	// goneCount and goneLost are V and L of events that were closed, as their processor
	// was offline.
	goneCount, goneLost []uint64
	// from is until when what was overwritten was reported, at first when the first Read was.
	from int64
}

func newFlight(cpus, events int) *flight {
	f := &flight{held: held{limit: maxHeld}}
	for range cpus {
		f.add(events)
	}
	return f
}

// add takes in a processor.
func (f *flight) add(events int) {
	list := func() []uint64 { return make([]uint64, events) }
	f.cpus = append(f.cpus, flightCPU{
		count: list(), lost: list(), handed: list(), over: list(), paused: list(), goneCount: list(), goneLost: list(),
	})
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
	h := s.trace.oldest()
	if len(s.by(EnginePerf)) > 0 {
		for i := range f.cpus {
			h = min(h, f.cpus[i].marks.gone-int64(slack))
		}
	}
	if b := s.cfg.Before; b > 0 {
		h = max(h, now-int64(b)-int64(s.cfg.After)-margin)
	}
	return max(h, min(f.done, s.trace.firstPending()))
}

// oldest is a time that no record of the rings of ftrace is before.
func (g *trace) oldest() int64 {
	t := g.firstPending()
	if !g.any() {
		return t
	}
	for i := range g.rings {
		st, err := g.in.Stats(g.rings[i].cpu)
		if err != nil {
			return 0
		}
		if st.Entries > 0 {
			t = min(t, st.Oldest-int64(slack))
		}
	}
	return t
}

// firstPending is the time of the first record that was read and not handed out.
func (g *trace) firstPending() int64 {
	t := int64(math.MaxInt64)
	if !g.any() {
		return t
	}
	for i := range g.rings {
		if r := g.rings[i].ring; r.pending() {
			t = min(t, r.idx[r.at].time)
		}
	}
	return t
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
		c, mem := &f.cpus[i], &s.cpus[i].data.mem
		c.marks.size = mem.size()
		head := mem.head()
		now := sys.Monotonic()
		c.marks.see(now, head)
		if c.from == 0 {
			c.from = now
		}
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
	// As long as little is held it may as well stay: to ask for the horizon takes a look
	// at each ring.
	if f.held.size > f.held.limit/16 {
		s.apply(s.horizon(now))
	}
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
