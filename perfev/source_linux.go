//go:build linux

package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/internal/maps"
	"github.com/perfpipe/perfpipe/perfev/internal/stacks"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
	"github.com/perfpipe/perfpipe/perfev/internal/tasks"
)

const (
	// slack is how far behind the present a round stops. A record's time is taken
	// before its room in the ring, and in between an interrupt or the hypervisor
	// may hold the processor; what lies further back than this is taken as complete.
	slack = 2 * time.Millisecond
	// lossEvery bounds how often the exact counts are read while records are lost:
	// it takes a system call an event and processor.
	lossEvery = 100 * time.Millisecond
)

// Source is a live capture. See [Open].
type Source struct {
	schemas []*perfpipe.Schema
	cfg     Config
	cpus    []cpuRings
	rings   []*ring // data and side of every cpu, then those of trace and programs
	merger  merger
	counts  []count  // in the order of counters, one or more each
	choice  []Choice // by event
	// awaiting is the process whose execve begins the events, 0 when it has been: programs
	// see what it does on the way there, the ends of its other threads, as perf does not.
	awaiting int32
	// programs record some of the events, into programRings.
	programs     *programs
	programRings []*ring
	// trace records others, nil where it has none.
	trace *trace
	tasks *tasks.Table
	// byType maps common_type to the index of the event, -1 for none of ours.
	byType []int32
	poll   []unix.PollFd
	wake   int // eventfd that Stop writes to
	visit  perfpipe.Visitor
	rec    perfpipe.Record
	// pidOff is where common_pid stands in every event's raw data.
	pidOff, self int32
	// layout is what the samples have, lean where that is time and raw data alone.
	layout layout
	lean   bool
	// chains is nil where no call chains are taken.
	chains *stacks.Table
	// maps is nil where their user part is not taken.
	maps *maps.Table
	// unwinder is nil where chains go by frame pointers.
	unwinder *unwinder
	// wanted are the processes of the target when it was opened, nil is all.
	wanted map[int32]bool
	// hotplug follows processors that go offline and come.
	hotplug *hotplug
	// on: the events were turned on.
	on bool
	// leftOut are the events that the kernel refused.
	leftOut map[int]bool

	// stopping and enabling are asked for by other goroutines.
	stopping, enabling atomic.Bool
	stopped            bool // events are disabled, final heads are known
	ended              bool // io.EOF was returned
	closed             bool
	backlog            bool // the last round left something behind
	lostRead           int64
	fillMax            float64
	// unseen are entries less returns by event, pending the calls under way, both as
	// the counts were turned off; underWay is what of pending explains unseen.
	unseen            map[int]int64
	pending, underWay uint64
	// sideLost counts the task records that found no room.
	sideLost uint64
	// exact is false where the kernel lacks PERF_FORMAT_LOST (before 6.0).
	exact bool
	// flight is nil where the rings are read as they fill.
	flight *flight
}

// cpuRings is what belongs to one processor.
type cpuRings struct {
	data, side *ring
	// flightFD owns the data ring of a flight recorder in dataEv's stead, -1 without.
	flightFD       int
	dataMap        *sys.Ring
	sideMap        *sys.Ring
	dataEv, sideEv *perf.Event
	// sideAgain is what sideEv was, since the processor was offline; nil before.
	sideAgain *perf.Event
	events    []tracepoint
	// mapFD tells of mappings into the side ring, -1 without.
	mapFD int
	// lossSeen is set by a LOST record: the counts of events are to be read.
	lossSeen bool
	// lossFrom and lossTo bound the time in which the ring was full.
	lossFrom, lossTo int64
	cpu              int
}

// tracepoint is an open event of one processor (and task or cgroup).
type tracepoint struct {
	fd    int
	event int
	lost  uint64 // as last reported
}

var _ perfpipe.Source = (*Source)(nil)

// Schemas returns the events in the order of Config.Events.
func (s *Source) Schemas() []*perfpipe.Schema { return s.schemas }

// LostTasks returns how many records of names, forks, exits and mappings found no
// room in the side rings: so often pid and comm may be those of before, and frames
// unknown. It is asked after the last Read.
func (s *Source) LostTasks() uint64 { return s.sideLost }

// StacksRetold returns how often there were more call chains or frames than are
// remembered (1048576 of each): from then on chains are told to the visitor again,
// and after too many frames, under other numbers.
func (s *Source) StacksRetold() int {
	if s.chains == nil {
		return 0
	}
	return s.chains.Retold()
}

// Start turns the events on. With Target.EnableOnExec only the names and lives of
// tasks are followed from here, and execve turns the events on.
func (s *Source) Start() error {
	if err := s.StartTasks(); err != nil {
		return err
	}
	if s.cfg.Target.EnableOnExec {
		if t := s.cfg.Target; len(t.TIDs) == 1 && len(t.PIDs) == 0 {
			s.awaiting = int32(t.TIDs[0])
		}
		// What programs record is hit by nobody before.
		s.programs.enable()
		s.trace.hold()
		return s.trace.enable()
	}
	return s.enable()
}

// StartTasks begins to follow names and lives of tasks, and leaves the events off
// until EnableLater.
func (s *Source) StartTasks() error {
	// Once before as well: a task that ends while the second scan runs is in its
	// records only by its end.
	if err := s.tasks.Scan(); err != nil {
		return err
	}
	for i := range s.cpus {
		c := &s.cpus[i]
		if err := c.sideEv.Enable(); err != nil {
			return fmt.Errorf("enable task records on cpu %d: %w", c.cpu, err)
		}
		if c.mapFD < 0 {
			continue
		}
		if err := sys.Enable(c.mapFD); err != nil {
			return fmt.Errorf("enable mapping records on cpu %d: %w", c.cpu, err)
		}
	}
	// The side band runs: whatever starts from here is seen, the rest is in /proc.
	if err := s.tasks.Scan(); err != nil {
		return err
	}
	s.scanMaps()
	return s.seed(s.trace)
}

// EnableLater has the next Read turn the events on. It may be called from any goroutine.
func (s *Source) EnableLater() error {
	s.enabling.Store(true)
	return s.rouse()
}

// enable turns the tracepoints themselves on.
func (s *Source) enable() error {
	s.on = true
	for i := range s.cpus {
		for _, tp := range s.cpus[i].events {
			if err := sys.Enable(tp.fd); err != nil {
				return fmt.Errorf("enable event %s on cpu %d: %w", s.schemas[tp.event].Event(), s.cpus[i].cpu, err)
			}
		}
	}
	s.programs.enable()
	if err := s.trace.enable(); err != nil {
		return err
	}
	return s.enableCounts()
}

// Stop turns the events off at the next Read, which then hands out what the rings
// hold at that moment and no more. It may be called from any goroutine.
func (s *Source) Stop() error {
	if s.stopping.Swap(true) {
		return nil
	}
	return s.rouse()
}

// rouse ends the sleep of a Read.
func (s *Source) rouse() error {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	if _, err := unix.Write(s.wake, one); err != nil {
		return os.NewSyscallError("write eventfd", err)
	}
	return nil
}

// RingFill returns how full the fullest ring was, 0 to 1, since the last call.
func (s *Source) RingFill() float64 {
	if s.flight != nil {
		return s.flightFill()
	}
	f := s.fillMax
	s.fillMax = 0
	return f
}

// Read implements [perfpipe.Source].
func (s *Source) Read(wait time.Duration, v perfpipe.Visitor) error {
	if s.ended {
		return io.EOF
	}
	if s.stopping.Load() && !s.stopped {
		if err := s.disable(); err != nil {
			return err
		}
	}
	if !s.stopped && !s.backlog {
		if err := s.sleep(wait); err != nil {
			return err
		}
		if s.enabling.CompareAndSwap(true, false) {
			if err := s.enable(); err != nil {
				return err
			}
		}
		if s.stopping.Load() {
			if err := s.disable(); err != nil {
				return err
			}
		}
	}
	s.visit = v
	defer func() { s.visit = nil }()
	if err := s.round(); err != nil {
		return err
	}
	if s.flight != nil {
		if again, err := s.flightRound(); again || err != nil {
			return err
		}
	}
	if s.stopped && !s.backlog {
		s.ended = true
		if err := s.finish(); err != nil {
			return err
		}
		return io.EOF
	}
	return nil
}

// sleep waits until a ring has something, Stop was called, or wait is over.
func (s *Source) sleep(wait time.Duration) error {
	wait, poll := s.programs.wait(s.trace.wait(wait), s.poll)
	for i := range poll {
		poll[i].Revents = 0
	}
	_, err := unix.Poll(poll, int(wait.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("poll", err)
	}
	if poll[0].Revents != 0 {
		var b [8]byte
		// Only to empty it: what was asked for stands in the flags.
		_, _ = unix.Read(s.wake, b[:])
	}
	return nil
}

// round finds what is there, hands out what is complete, gives the space back.
func (s *Source) round() error {
	now := sys.Monotonic()
	s.hotplug.follow(s, now)
	bound := now - int64(slack)
	if s.stopped {
		bound = math.MaxInt64
	}
	s.backlog = false
	moved, held := false, int64(math.MaxInt64)
	for _, r := range s.rings {
		from := r.next
		more := r.find(roundBytes)
		if f := r.fill(); f > s.fillMax {
			s.fillMax = f
		}
		if r.pressed() && !s.stopped {
			// No time to wait for stragglers: the ring is about to overflow.
			bound = max(bound, now)
		}
		if more {
			s.backlog = true
		}
		switch {
		case r.mem.word == nil:
			continue
		case r.busy:
			// What is not committed was not there yet when the ring was last seen clear.
			held = min(held, max(r.clear, now-int64(patience)))
		case !more:
			r.clear = now
		}
		moved = moved || r.next != from || r.busy || r.pending()
	}
	s.programs.seen(moved)
	bound = min(bound, held)
	for _, r := range s.rings {
		// What was not found yet of a ring is not earlier than what was.
		if t, ok := r.unread(); ok {
			bound = min(bound, t)
		}
	}
	s.merger.merge(s.rings, bound, s.one)
	for _, r := range s.rings {
		r.release()
		if r.corrupt > 0 {
			s.visit.Lost(perfpipe.Loss{CPU: int32(r.cpu), From: r.last, To: now, Count: r.corrupt, Reason: perfpipe.LostCorrupt})
			r.corrupt = 0
		}
	}
	if now-s.programs.lostFrom >= int64(lossEvery) {
		s.programs.countLost(s, now)
	}
	if s.exact && now-s.lostRead >= int64(lossEvery) {
		for i := range s.cpus {
			if c := &s.cpus[i]; c.lossSeen {
				s.countLost(c)
				s.lostRead = now
			}
		}
	}
	return s.trace.seen(s, now)
}

// one hands out one record.
func (s *Source) one(r *ring, e entry) {
	h, rec := r.record(e.pos)
	if s.flight != nil && s.flight.hold(e.time, h, rec, r.cpu) {
		s.trace.foresee(h, rec)
		return
	}
	s.take(r, e, h, rec)
}

// take hands out one record, or applies what it says of a task.
func (s *Source) take(r *ring, e entry, h header, rec []byte) {
	switch h.kind {
	case recordSample, recordProgram, recordPage:
		r.last = e.time
		var more sampleView
		var raw []byte
		if h.kind == recordPage {
			raw = rec
		} else if h.kind == recordProgram {
			raw = rec[bpf.RawOffset:]
		} else if s.lean {
			raw = sampleRaw(rec)
		} else if v, ok := s.layout.decode(rec); ok {
			more, raw = v, v.raw
		}
		if int(s.pidOff)+4 > len(raw) {
			r.corrupt++
			return
		}
		typ := int(binary.LittleEndian.Uint16(raw))
		if typ >= len(s.byType) || s.byType[typ] < 0 {
			r.corrupt++
			return
		}
		tid := int32(binary.LittleEndian.Uint32(raw[s.pidOff:]))
		if h.kind == recordPage && !s.trace.keeps(tid) || h.kind == recordProgram && s.awaiting != 0 && s.sideLost == 0 {
			return
		}
		event := int(s.byType[typ])
		var emits []byte
		if h.kind == recordProgram {
			raw, emits = s.programs.split(event, raw)
		}
		pid, comm := s.tasks.Lookup(tid, r.cpu)
		if pid == s.self && !s.cfg.KeepSelf {
			return
		}
		s.rec = perfpipe.Record{Time: e.time, Raw: raw, Comm: comm, Event: event, PID: pid, TID: tid, Emits: emits, CPU: r.cpu, Cgroup: more.cgroup}
		if s.chains != nil {
			s.rec.Stack = s.chainID(more, pid, e.time)
		}
		s.visit.Record(&s.rec)
	case recordFork:
		s.trace.follow(h, rec)
		if t, ok := decodeTask(rec); ok {
			s.tasks.Fork(e.time, t.pid, t.ppid, t.tid, t.ptid)
			if m := s.maps; m != nil && t.pid != t.ppid {
				m.Fork(t.pid, t.ppid, e.time)
			}
		}
	case recordExit:
		s.trace.follow(h, rec)
		if t, ok := decodeTask(rec); ok {
			s.tasks.Exit(e.time, t.pid, t.tid)
			if m := s.maps; m != nil && !s.tasks.HasProcess(t.pid) {
				m.Exit(t.pid)
			}
		}
	case recordComm:
		s.trace.follow(h, rec)
		if pid, tid, name, ok := decodeComm(rec); ok {
			if h.misc&miscCommExec != 0 {
				if pid == s.awaiting {
					s.awaiting = 0
				}
				s.tasks.Exec(e.time, pid, tid, name)
				if s.maps != nil {
					s.maps.Exec(pid, e.time)
				}
			} else {
				s.tasks.Comm(e.time, pid, tid, name)
			}
		}
	case recordMMAP2:
		if s.maps == nil || len(rec) < headerSize+8 {
			return
		}
		if pid, region, ok := maps.DecodeMMAP2(rec[headerSize:len(rec)-8], h.misc); ok {
			s.maps.Map(pid, region, e.time)
		}
	case recordLost:
		s.lost(r, e.time, rec)
	case recordLostSamples:
		if len(rec) >= headerSize+8 {
			n := binary.LittleEndian.Uint64(rec[headerSize:])
			s.visit.Lost(perfpipe.Loss{CPU: int32(r.cpu), From: r.last, To: e.time, Count: n, Reason: perfpipe.LostSamples})
		}
	}
}

// disable turns the events off and notes where every ring ends.
func (s *Source) disable() error {
	if s.stopped {
		return nil
	}
	errs := []error{s.disableCounts(), s.trace.disable()}
	for i := range s.cpus {
		for _, tp := range s.cpus[i].events {
			if err := sys.Disable(tp.fd); err != nil {
				errs = append(errs, fmt.Errorf("disable event %s on cpu %d: %w", s.schemas[tp.event].Event(), s.cpus[i].cpu, err))
			}
		}
		if err := s.cpus[i].sideEv.Disable(); err != nil {
			errs = append(errs, fmt.Errorf("disable task records on cpu %d: %w", s.cpus[i].cpu, err))
		}
		if ev := s.cpus[i].sideAgain; ev != nil {
			errs = append(errs, ev.Disable())
		}
		if fd := s.cpus[i].mapFD; fd >= 0 {
			errs = append(errs, sys.Disable(fd))
		}
	}
	s.programs.disable(s.programRings)
	s.stopped = true
	if len(s.counts) > 0 {
		s.balanceReturns()
	}
	return errors.Join(errs...)
}

// finish hands over the last counts and the tasks that are still alive.
func (s *Source) finish() error {
	now := sys.Monotonic()
	for i := range s.cpus {
		c := &s.cpus[i]
		if !s.exact || s.flight != nil {
			continue
		}
		if !c.lossSeen {
			// Lost with no later record that could have told of it.
			c.lossFrom, c.lossTo = c.data.last, now
		}
		s.countLost(c)
	}
	s.hotplug.finish(s, now)
	s.programs.countLost(s, now)
	s.programs.countStuck(s, now)
	s.countReturns()
	err := s.trace.countLost(s, now)
	s.tasks.Close()
	return err
}

// Close frees everything. Nothing may be read afterwards.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, c := range s.counts {
		errs = append(errs, os.NewSyscallError("close", unix.Close(c.fd)))
	}
	for i := range s.cpus {
		errs = append(errs, s.cpus[i].close())
	}
	errs = append(errs, s.programs.Close(), s.trace.Close(), s.hotplug.close())
	if s.wake >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(s.wake)))
	}
	return errors.Join(errs...)
}

func (c *cpuRings) close() error {
	var errs []error
	for _, tp := range c.events {
		errs = append(errs, os.NewSyscallError("close", unix.Close(tp.fd)))
	}
	if c.mapFD >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(c.mapFD)))
	}
	for _, m := range []*sys.Ring{c.dataMap, c.sideMap} {
		if m != nil {
			errs = append(errs, m.Unmap())
		}
	}
	if c.flightFD >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(c.flightFD)))
	}
	for _, ev := range []*perf.Event{c.dataEv, c.sideEv, c.sideAgain} {
		if ev != nil {
			errs = append(errs, ev.Close())
		}
	}
	return errors.Join(errs...)
}
