//go:build linux

package perfev

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
	"github.com/perfpipe/perfpipe/perfev/internal/tasks"
)

// Open opens the events of cfg, turned off, and maps the rings; [Source.Start]
// turns them on. What was opened is closed again when it fails. Errors satisfy
// errors.Is(err, fs.ErrPermission) where a privilege is missing.
func Open(cfg Config) (*Source, error) {
	if len(cfg.Events) == 0 {
		return nil, errors.New("open events: none are named")
	}
	cfg.Events = slices.Clone(cfg.Events) // code that does not run is taken out
	s := &Source{cfg: cfg, wake: -1, leftOut: make(map[int]bool), exact: true, self: int32(os.Getpid())}
	if err := s.cfg.check(); err != nil {
		return nil, err
	}
	if err := s.index(); err != nil {
		return nil, err
	}
	s.choice = s.cfg.Choose()
	for i, ch := range s.choice {
		// Only the engine that was named is refused without another.
		if err := s.cfg.unable(ch.Engine, i); err != nil {
			return nil, fmt.Errorf("record %s by %s: %w", s.schemas[i].Event(), ch.Engine, err)
		}
	}
	s.layout = layout{chain: cfg.CallChain.kernelWalks(), cgroup: cfg.CgroupIDs}
	if cfg.CallChain.StackBytes > 0 {
		s.layout.regs = bits.OnesCount64(userRegs)
	}
	s.lean = s.layout.lean()
	s.prepareChains()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// index prepares the look-up from common_type and checks what every event shares.
func (s *Source) index() error {
	for i, ev := range s.cfg.Events {
		sc := ev.Schema
		typ, pid := sc.Field("common_type"), sc.Field("common_pid")
		if typ == nil || typ.Offset != 0 || typ.Size != 2 || pid == nil || pid.Size != 4 {
			return fmt.Errorf("open event %s: its format has no common_type and common_pid where every kernel has them", sc.Event())
		}
		if i > 0 && int32(pid.Offset) != s.pidOff {
			return fmt.Errorf("open event %s: common_pid is at %d, in the events before at %d", sc.Event(), pid.Offset, s.pidOff)
		}
		s.pidOff = int32(pid.Offset)
		for len(s.byType) <= sc.ID {
			s.byType = append(s.byType, -1)
		}
		if s.byType[sc.ID] >= 0 {
			return fmt.Errorf("open event %s: named twice", sc.Event())
		}
		s.byType[sc.ID] = int32(i)
		s.schemas = append(s.schemas, sc)
	}
	return nil
}

func (s *Source) open() error {
	cpus := s.cfg.Target.CPUs
	if cpus == nil {
		var err error
		if cpus, err = OnlineCPUs(); err != nil {
			return err
		}
	}
	size := s.cfg.RingBytes
	if size == 0 {
		size = DefaultRingBytes(len(cpus))
	}
	size, err := RoundRing(size, os.Getpagesize())
	if err != nil {
		return err
	}
	targets, err := s.targetCount()
	if err != nil {
		return err
	}
	if err := s.openPrograms(cpus, size); err != nil {
		return err
	}
	if err := s.openTrace(cpus, size); err != nil {
		return err
	}
	if len(s.by(EnginePerf)) == 0 {
		size = idleRing
	}
	// The count may change until the events are opened: then the kernel says so.
	files := len(s.cfg.Events) - len(s.by(EngineFtrace)) + len(s.counters())
	if err := checkFiles(files, len(cpus), targets, s.trace.files()); err != nil {
		return err
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		s.wake = -1
		return os.NewSyscallError("eventfd", err)
	}
	s.watchCPUs(cpus)
	s.poll = append(s.poll, unix.PollFd{Fd: int32(s.wake), Events: unix.POLLIN})
	if s.cfg.Overwrite {
		s.flight = newFlight(len(cpus), len(s.cfg.Events))
	}
	s.tasks = tasks.New(tasks.Options{Exe: s.exeOf, Space: s.spaceOf, Inside: tasks.InsideOf, Alive: tasks.AliveIn, Done: func(t perfpipe.Task) {
		if s.visit != nil {
			s.visit.Task(t)
		}
	}})
	for _, cpu := range cpus {
		s.cpus = append(s.cpus, cpuRings{cpu: cpu, mapFD: -1, flightFD: -1})
		if err := s.openRings(&s.cpus[len(s.cpus)-1], size); err != nil {
			return err
		}
	}
	if err := s.openEvents(); err != nil {
		return err
	}
	for i := range s.cpus {
		if s.flight == nil {
			s.rings = append(s.rings, s.cpus[i].data)
		}
		s.rings = append(s.rings, s.cpus[i].side)
	}
	if s.rings, s.poll, err = s.trace.readers(s.rings, s.poll); err != nil {
		return err
	}
	s.programRings = s.programs.readers(s.poll)
	s.rings = append(s.rings, s.programRings...)
	return nil
}

// openRings opens the two events that own the rings of a processor: one that
// never fires, whose ring the tracepoints write to, and one that tells of tasks.
func (s *Source) openRings(c *cpuRings, size int) error {
	dummy, side := dummyAttr(), sideAttr()
	dummy.SetWakeupWatermark(uint32(size / 4))
	sideSize := sideBytes
	if s.cfg.CallChain.User {
		sideSize = sideBytesMaps
	}
	side.SetWakeupWatermark(uint32(sideSize / 4))

	var err error
	if s.flight != nil {
		err = c.openFlight(size)
	} else {
		c.dataEv, c.dataMap, err = openRing(&dummy, c.cpu, size)
	}
	if err != nil {
		return err
	}
	if c.sideEv, c.sideMap, err = openRing(&side, c.cpu, sideSize); err != nil {
		return err
	}
	for _, m := range []struct {
		ev  *perf.Event
		mem *sys.Ring
		to  **ring
	}{{c.dataEv, c.dataMap, &c.data}, {c.sideEv, c.sideMap, &c.side}} {
		if m.ev == nil {
			continue // nobody waits for a ring that is overwritten
		}
		fd, err := m.ev.FD()
		if err != nil {
			return fmt.Errorf("open ring on cpu %d: %w", c.cpu, err)
		}
		*m.to = &ring{cpu: uint16(c.cpu), mem: ringMemory{data: m.mem.Data, head: m.mem.Head, setTail: m.mem.SetTail}}
		s.poll = append(s.poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if s.cfg.CallChain.User {
		return c.openMaps()
	}
	return nil
}

// dummyAttr is an event that never fires.
func dummyAttr() perf.Attr {
	return perf.Attr{
		Type:         perf.SoftwareEvent,
		Config:       unix.PERF_COUNT_SW_DUMMY,
		SampleFormat: perf.SampleFormat{Time: true},
		ClockID:      unix.CLOCK_MONOTONIC,
		Options:      perf.Options{Disabled: true, SampleIDAll: true, UseClockID: true},
	}
}

// sideAttr is what tells of names, forks and ends of tasks.
func sideAttr() perf.Attr {
	a := dummyAttr()
	a.Options.Comm, a.Options.CommExec, a.Options.Task = true, true, true
	return a
}

func openRing(a *perf.Attr, cpu, size int) (*perf.Event, *sys.Ring, error) {
	ev, err := perf.Open(a, perf.AllThreads, cpu, nil)
	if err != nil {
		return nil, nil, openError("task records", cpu, err)
	}
	fd, err := ev.FD()
	if err != nil {
		return ev, nil, fmt.Errorf("open ring on cpu %d: %w", cpu, err)
	}
	m, err := sys.MapRing(fd, size)
	return ev, m, mapError(err, cpu, size)
}

// mapError says what a failed mapping of a ring of size bytes means, nil for nil.
func mapError(err error, cpu, size int) error {
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w: rings of %d KiB a processor go over what may be locked in memory; take a smaller one with -m, raise /proc/sys/kernel/perf_event_mlock_kb, or run with CAP_IPC_LOCK", err, size>>10)
	}
	if err != nil {
		return fmt.Errorf("map ring on cpu %d: %w", cpu, err)
	}
	return nil
}

// openEvents opens every tracepoint on every processor, for every target, all
// writing to the processor's data ring. go-perf has no bit for PERF_FORMAT_LOST,
// so these are opened with x/sys.
//
// The first event on a tracepoint makes the kernel patch it in and wait for every
// processor, some 20 ms; one that is there already takes microseconds. So each
// tracepoint is taken once on this thread before the target's threads are listed:
// a thread that one of them starts between the listing and the opening would
// inherit nothing, and that time must be short. What starts within it all the same
// is told by its FORK record and opened then: see openLate.
func (s *Source) openEvents() error {
	o := &opening{s: s, slots: s.slots(), times: make(map[int][]int64)}
	perTask := s.cfg.Target.perTask()
	if len(o.slots) == 0 {
		// Whether there are such threads is to be said all the same.
		_, err := s.targetCount()
		return err
	}
	late := perTask && !s.cfg.Target.NoInherit
	if perTask {
		taken := make(map[uint64]bool)
		for i := range o.slots {
			attr := o.slots[i].attr
			if taken[attr.Config] {
				continue
			}
			taken[attr.Config] = true
			attr.Bits &^= unix.PerfBitInherit
			if fd, err := s.perfEventOpen(&attr, whose{}, -1); err == nil {
				defer func() { _ = unix.Close(fd) }() // it never counted anything
			}
		}
	}
	if late {
		if err := s.watchForks(); err != nil {
			return err
		}
	}
	targets, err := s.targets()
	defer func() {
		for _, w := range targets {
			if w.flags&unix.PERF_FLAG_PID_CGROUP != 0 {
				_ = unix.Close(w.id)
			}
		}
	}()
	if err != nil {
		return err
	}
	for _, w := range targets {
		if err := o.open(w, nil); err != nil {
			return err
		}
	}
	if late {
		if err := o.openLate(); err != nil {
			return err
		}
	}
	if n := len(s.by(EnginePerf)); n > 0 && len(s.leftOut) == n && n == len(s.cfg.Events) {
		return fmt.Errorf("open events: the kernel lets nobody sample any of them, as taking a sample would fire them again: %s", strings.Join(s.LeftOut(), ", "))
	}
	if perTask && o.opened == 0 {
		return fmt.Errorf("open events: none of the %d threads to be recorded is alive any more", len(targets))
	}
	return nil
}

// slot is one event to be opened for each target.
type slot struct {
	attr unix.PerfEventAttr
	// event indexes Config.Events; counters have -1.
	event int
	// counter is what it counts for, on its own.
	counter counter
	// ci indexes the processors, -1 is all at once.
	ci int
	// place: the event only has the breakpoints placed, a program makes the records.
	place bool
}

// slots lists what is opened for each target.
func (s *Source) slots() []slot {
	t := s.cfg.Target
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_TRACEPOINT,
		Size:        unix.PERF_ATTR_SIZE_VER5,
		Sample:      uint64(max(1, s.cfg.Period)),
		Sample_type: unix.PERF_SAMPLE_TIME | unix.PERF_SAMPLE_RAW,
		Read_format: unix.PERF_FORMAT_LOST,
		Clockid:     unix.CLOCK_MONOTONIC,
		Bits:        unix.PerfBitDisabled | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID | unix.PerfBitWatermark,
	}
	count := unix.PerfEventAttr{Type: attr.Type, Size: attr.Size, Bits: unix.PerfBitDisabled}
	s.cfg.sampleMore(&attr)
	if s.flight != nil {
		attr.Bits |= unix.PerfBitWriteBackward
	}
	for _, a := range []*unix.PerfEventAttr{&attr, &count} {
		if t.perTask() && !t.NoInherit {
			a.Bits |= unix.PerfBitInherit
		}
		if t.EnableOnExec {
			a.Bits |= unix.PerfBitEnableOnExec
		}
	}
	var list []slot
	for ei := range s.cfg.Events {
		if s.choice[ei].Engine == EngineFtrace || s.programs.traces(ei) {
			continue
		}
		if s.programs.has(ei) {
			place := placing(s.cfg.Events[ei].Schema.ID)
			place.Bits |= count.Bits & unix.PerfBitInherit
			// Where every task is recorded, one processor's event places it for all.
			ci := -1
			if !t.perTask() {
				ci = 0
			}
			list = append(list, slot{attr: place, event: ei, ci: ci, place: true})
			continue
		}
		attr.Config = uint64(s.cfg.Events[ei].Schema.ID)
		for ci := range s.cpus {
			attr.Wakeup = uint32(len(s.cpus[ci].dataMap.Data) / 4)
			list = append(list, slot{attr: attr, event: ei, ci: ci})
		}
	}
	for _, c := range s.counters() {
		count.Config = c.id
		if t.perTask() && t.CPUs == nil {
			list = append(list, slot{attr: count, event: -1, counter: c, ci: -1})
			continue
		}
		for ci := range s.cpus {
			list = append(list, slot{attr: count, event: -1, counter: c, ci: ci})
		}
	}
	return list
}

// opening is the opening of all slots for all targets.
type opening struct {
	s     *Source
	slots []slot
	// times is, by thread, when the opening of each slot began.
	times map[int][]int64
	// opened is the number of targets for which a slot is open.
	opened int
}

// open opens the slots for w; those that have a time in inherited are w's already.
func (o *opening) open(w whose, inherited []int64) error {
	s := o.s
	times := make([]int64, len(o.slots))
	o.times[w.id] = times
	any := false
	for k := range o.slots {
		if inherited != nil && inherited[k] > 0 {
			times[k], any = inherited[k], true
			continue
		}
		times[k] = sys.Monotonic()
		sl := &o.slots[k]
		if sl.event >= 0 && s.leftOut[sl.event] {
			continue
		}
		cpu := -1
		if sl.ci >= 0 {
			cpu = s.cpus[sl.ci].cpu
		}
		fd, err := s.perfEventOpen(&sl.attr, w, cpu)
		if s.cfg.Target.perTask() && errors.Is(err, unix.ESRCH) {
			continue // the thread ended in the meantime
		}
		if sl.event < 0 {
			if err != nil {
				return openError("count of event "+sl.counter.name, cpu, err)
			}
			s.counts = append(s.counts, count{fd: fd, counter: sl.counter})
			any = true
			continue
		}
		any = true
		if sl.place {
			if err != nil {
				return openError("event "+s.schemas[sl.event].Event(), cpu, err)
			}
			s.programs.places = append(s.programs.places, fd)
			continue
		}
		if err := s.keep(sl, fd, err); err != nil {
			return err
		}
	}
	if any {
		o.opened++
	}
	return nil
}

// keep takes the event that was opened for a slot, or says why it was not.
func (s *Source) keep(sl *slot, fd int, err error) error {
	ev, c := &s.cfg.Events[sl.event], &s.cpus[sl.ci]
	if refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES); refused && ev.Optional {
		s.leftOut[sl.event] = true
		return nil
	} else if refused && os.Geteuid() == 0 {
		return fmt.Errorf("open event %s on cpu %d: %w: the kernel lets nobody sample this event, as taking a sample would fire it again", ev.Schema.Event(), c.cpu, stripped(err))
	}
	if err != nil {
		return openError("event "+ev.Schema.Event(), c.cpu, s.explain(err))
	}
	c.events = append(c.events, tracepoint{fd: fd, event: sl.event})
	ring := c.flightFD
	if s.flight == nil {
		if ring, err = c.dataEv.FD(); err != nil {
			return err
		}
	}
	if err := sys.SetOutput(fd, ring); err != nil {
		return fmt.Errorf("open event %s on cpu %d: %w", ev.Schema.Event(), c.cpu, err)
	}
	if ev.Filter == "" {
		return nil
	}
	if err := sys.SetFilter(fd, ev.Filter); err != nil {
		return &FilterError{Event: ev.Schema.Event(), Filter: ev.Filter, Err: err}
	}
	return nil
}

// stripped is err without its kind, so that it is not taken for a missing privilege.
func stripped(err error) error { return errors.New(err.Error()) }

// LeftOut names the optional events that the kernel does not let be sampled.
func (s *Source) LeftOut() []string {
	var names []string
	for i, sc := range s.schemas {
		if s.leftOut[i] {
			names = append(names, sc.Event())
		}
	}
	return names
}

// perfEventOpen opens attr, without PERF_FORMAT_LOST where the kernel does not
// know it (before 6.0).
func (s *Source) perfEventOpen(attr *unix.PerfEventAttr, w whose, cpu int) (int, error) {
	fd, err := unix.PerfEventOpen(attr, w.id, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC|w.flags)
	if errors.Is(err, unix.EINVAL) && attr.Read_format != 0 {
		attr.Read_format = 0
		if fd, err = unix.PerfEventOpen(attr, w.id, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC|w.flags); err == nil {
			s.exact = false
		}
	}
	return fd, os.NewSyscallError("perf_event_open", err)
}

// enotsupp is the kernel's own ENOTSUPP (include/linux/errno.h), which is not for user
// space and comes all the same: of a uprobe on an instruction that it cannot step.
const enotsupp = unix.Errno(524)

// openError says what a failed open of what on cpu means for the person at the terminal.
func openError(what string, cpu int, err error) error {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("open %s on cpu %d: %w: run as root, or give the binary CAP_PERFMON (and read access to tracefs); /proc/sys/kernel/perf_event_paranoid is %s",
			what, cpu, err, paranoid())
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("open %s on cpu %d: %w: raise the limit with 'ulimit -n' or record fewer events or processors", what, cpu, err)
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("open %s on cpu %d: %w: the processor is not online; -C names those to record on", what, cpu, err)
	case errors.Is(err, enotsupp):
		return fmt.Errorf("open %s on cpu %d: %w: the kernel takes no probe on the instruction at one of its places; name another place with +OFFSET", what, cpu, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("open %s on cpu %d: %w: this kernel was built without it", what, cpu, err)
	}
	return fmt.Errorf("open %s on cpu %d: %w", what, cpu, err)
}
