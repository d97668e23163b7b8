package perfev

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/pages"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

const (
	// subbufMost is the size of sub-buffers, where the ring holds subbufCount of them:
	// by 64 KiB a record is read in less than half the time that it takes by 4.
	subbufMost  = 64 << 10
	subbufCount = 16
	// wakePercent is how full a ring is when poll wakes the reader, for sudden floods.
	wakePercent = 25
	// initPIDNamespace is the inode of the first pid namespace: PROC_PID_INIT_INO.
	initPIDNamespace = 0xEFFFFFFC
	// surePoll is the first kernel that wakes at that percentage and no other
	// (Linux 6.9); before it a reader looks every pollUnsure.
	surePoll   = 6<<8 | 9
	pollUnsure = 10 * time.Millisecond
	// pollShort is how long a reader sleeps at least.
	pollShort = time.Millisecond
)

// trace are the events that an instance of tracefs records, on rings of ftrace.
type trace struct {
	in     *tracefs.Instance
	fs     *tracefs.FS
	events []int
	rings  []traceRing
	// scope is nil where every thread is recorded.
	scope *scope
	// polled is where the descriptors of the rings begin in Source.poll.
	polled int
	// unsure is set where poll may not wake.
	unsure bool
	// looked is when the last round was, next how long to sleep until the one that
	// follows, 0 is as long as may be.
	looked int64
	next   time.Duration
	// on is when the events began, counted when the counts were last read.
	on, counted int64
	// overwrite: the rings are those of a flight recorder. ahead is then scope as it is
	// by what the side band has told, of which scope learns when it is applied.
	overwrite bool
	ahead     *scope
}

// traceRing is the ring of a processor.
type traceRing struct {
	cpu, fd int
	mem     *pageMemory
	ring    *ring
	// lost and over are as last reported.
	lost, over uint64
	// cut counts, by event, what a dump of a flight recorder had no time for.
	cut map[int]uint64
}

// openTrace makes the instance for the events that ftrace is to record. What it cannot
// have goes to the next engine.
func (s *Source) openTrace(cpus []int, size int) error {
	chosen := s.by(EngineFtrace)
	if len(chosen) == 0 {
		return nil
	}
	g, err := s.newTrace(chosen, cpus, size)
	if err == nil {
		s.trace = g
		return nil
	}
	err = errors.Join(err, g.Close())
	var fe *FilterError
	if errors.As(err, &fe) {
		return err
	}
	for _, i := range chosen {
		if err := s.refuse(i, err); err != nil {
			return err
		}
	}
	return nil
}

// newTrace makes an instance that records events once it is on. It is not nil with an error.
func (s *Source) newTrace(events, cpus []int, size int) (*trace, error) {
	g := &trace{events: events, counted: sys.Monotonic(), overwrite: s.cfg.Overwrite}
	var err error
	if g.fs, err = tracefs.Open(tracefs.Options{}); err != nil {
		return g, err
	}
	if err := g.check(); err != nil {
		return g, err
	}
	if s.cfg.Target.perTask() && !inFirstNamespace() {
		return g, errors.New("ftrace knows threads by their numbers outside of this pid namespace")
	}
	// What cannot be swept is in nobody's way: the next start tries again.
	_, _ = g.fs.SweepInstances()
	if g.in, err = g.fs.NewInstance(); err != nil {
		return g, err
	}
	if err := g.in.Off(); err != nil {
		return g, err
	}
	sub, err := g.shape(size)
	if err != nil {
		return g, err
	}
	t := s.cfg.Target
	if t.CPUs == nil {
		// A processor that comes online later has its ring then.
		if cpus, err = g.in.CPUs(); err != nil {
			return g, err
		}
	} else if err := g.in.SetCPUs(cpus); err != nil {
		return g, err
	}
	first := make([]byte, sub)
	for _, cpu := range cpus {
		if err := g.openRing(cpu, first, size); err != nil {
			return g, err
		}
	}
	if t.perTask() {
		if err := s.traceTargets(g); err != nil {
			return g, err
		}
	}
	return g, s.traceEvents(g)
}

// check reports what keeps the rings from being read.
func (g *trace) check() error {
	page, err := g.fs.ReadFile("events/header_page")
	if err != nil {
		return err
	}
	event, err := g.fs.ReadFile("events/header_event")
	if err != nil {
		return err
	}
	return pages.Check(page, event)
}

// inFirstNamespace reports whether this process is in the first pid namespace.
func inFirstNamespace() bool {
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == initPIDNamespace
}

// shape sets up the rings and returns the size of their sub-buffers.
func (g *trace) shape(size int) (sub int, err error) {
	if err := g.in.Clock("mono"); err != nil {
		return 0, err
	}
	want := min(subbufMost, size/subbufCount)
	if want > os.Getpagesize() {
		want = 1 << (bits.Len(uint(want)) - 1)
		if err := g.in.SetSubbuf(want); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	if sub, err = g.in.Subbuf(os.Getpagesize()); err != nil {
		return 0, err
	}
	if err := g.in.SetBuffer(max(size, 4*sub)); err != nil {
		return 0, fmt.Errorf("%w: rings of %d KiB a processor; take a smaller one with -m", err, size>>10)
	}
	// An instance begins with what was set for everybody. A stack would be a record of
	// its own behind each, and names of tasks come from the side band: without
	// record-cmd no switch of tasks costs more than it has to. Records that find no room
	// are counted exactly as long as none are overwritten, unless that is asked for.
	full := "nooverwrite"
	if g.overwrite {
		full = "overwrite"
	}
	for _, o := range []string{full, "nostacktrace", "nouserstacktrace", "norecord-cmd", "norecord-tgid"} {
		if err := g.in.Option(o); err != nil && !errors.Is(err, unix.EINVAL) {
			return 0, err
		}
	}
	g.unsure = kernelRelease() < surePoll
	if err := g.in.SetPercent(wakePercent); errors.Is(err, fs.ErrNotExist) {
		g.unsure = true
	} else if err != nil {
		return 0, err
	}
	return sub, nil
}

func (g *trace) openRing(cpu int, first []byte, size int) error {
	sub := len(first)
	fd, err := g.in.OpenRaw(cpu)
	if err != nil {
		return err
	}
	read := func(dst []byte) (int, error) {
		for {
			n, err := unix.Read(fd, dst)
			switch {
			case err == nil:
				return n, nil
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENODEV):
				return 0, nil // nothing, or the processor was never online
			default:
				return 0, fmt.Errorf("read the trace ring of cpu %d: %w", cpu, err)
			}
		}
	}
	mem := &pageMemory{read: read, now: sys.Monotonic, sub: uint64(sub), first: first, capacity: uint64(max(size, 4*sub))}
	g.rings = append(g.rings, traceRing{cpu: cpu, fd: fd, mem: mem, ring: &ring{cpu: uint16(cpu), pages: mem}})
	return nil
}

// traceTargets has the kernel record the target's threads alone, and what they make.
// More threads may come in: see [Source.seed].
func (s *Source) traceTargets(g *trace) error {
	g.scope = newScope()
	g.scope.alone = s.cfg.Target.NoInherit
	fork := "event-fork"
	if g.scope.alone {
		fork = "noevent-fork"
	}
	if err := g.in.Option(fork); err != nil {
		return err
	}
	if _, err := s.threads(); err != nil {
		return err
	}
	return s.seed(g)
}

// seed takes in the threads of the target that there are. With event-fork the kernel
// takes in what these make from then on; one that was made meanwhile by a thread that
// was not in yet is found by looking again. A target that ended has none.
func (s *Source) seed(g *trace) error {
	if !g.any() || g.scope == nil {
		return nil
	}
	const tries = 100
	for range tries {
		tids, err := s.threads()
		if err != nil {
			return nil //nolint:nilerr // all that there was has ended, and its events are over
		}
		news := slices.DeleteFunc(tids, func(tid int) bool { _, in := g.scope.procs[int32(tid)]; return in })
		if len(news) == 0 {
			return nil
		}
		if err := g.in.AddPIDs(news); err != nil {
			return err
		}
		for _, tid := range news {
			g.scope.add(processOf(tid), int32(tid))
		}
	}
	return nil
}

// processOf returns the process of a thread, the thread's own number where it ended.
func processOf(tid int) int32 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return int32(tid)
	}
	pid := int32(tid)
	for line := range strings.Lines(string(b)) {
		if n, _ := fmt.Sscanf(line, "Tgid: %d", &pid); n == 1 {
			break
		}
	}
	return pid
}

// traceEvents sets the filters and enables the events, while the instance is off.
func (s *Source) traceEvents(g *trace) error {
	var names []string
	var probes map[int]string
	for _, i := range g.events {
		ev := &s.cfg.Events[i]
		name := ev.Schema.Event()
		if ev.User {
			// A probe's schema is called as it was asked for.
			if probes == nil {
				var err error
				if probes, err = g.fs.Probes(); err != nil {
					return err
				}
			}
			var ok bool
			if name, ok = probes[ev.Schema.ID]; !ok {
				return fmt.Errorf("enable event %s: no probe has the id %d", ev.Schema.Event(), ev.Schema.ID)
			}
		}
		if ev.Filter != "" {
			if err := g.in.SetFilter(name, ev.Filter); err != nil {
				return &FilterError{Event: ev.Schema.Event(), Filter: ev.Filter, Err: err}
			}
		}
		names = append(names, name)
	}
	return g.in.Enable(names)
}

// follow takes what the side band tells of lives: a FORK, EXIT or COMM record.
func (g *trace) follow(h header, rec []byte) {
	if !g.any() || g.scope == nil {
		return
	}
	if pid, renamed := g.scope.follow(h, rec); renamed && g.ahead == nil {
		g.rename(pid)
	}
}

// foresee is follow as soon as a record is read that is applied later.
func (g *trace) foresee(h header, rec []byte) {
	if !g.any() || g.scope == nil {
		return
	}
	if g.ahead == nil {
		g.ahead = g.scope.clone()
	}
	if pid, renamed := g.ahead.follow(h, rec); renamed {
		g.rename(pid)
	}
}

// rename takes in a thread by the number that its execve gave it. Without it the kernel
// leaves the thread out. It took the number from the list when the first thread ended,
// which was this one's last wait for others.
func (g *trace) rename(pid int32) { _ = g.in.AddPIDs([]int{int(pid)}) }

// again takes in the threads that the kernel has on its list, where records of forks
// found no room.
func (g *trace) again() {
	if !g.any() || g.scope == nil {
		return
	}
	tids, err := g.in.PIDs()
	if err != nil {
		return // what it would have told is among the lost tasks, which are told
	}
	for _, tid := range tids {
		pid := processOf(tid)
		g.scope.add(pid, int32(tid))
		if g.ahead != nil {
			g.ahead.add(pid, int32(tid))
		}
	}
}

// keeps reports whether records of the thread are wanted: what the kernel lets through
// has those of its neighbours too, which switch to it and wake it.
func (g *trace) keeps(tid int32) bool { return g.scope == nil || g.scope.has(tid) }

// any reports whether there is an instance.
func (g *trace) any() bool { return g != nil && g.in != nil }

// files is how many descriptors are open.
func (g *trace) files() int {
	if !g.any() {
		return 0
	}
	return len(g.rings)
}

// readers appends the rings and what is polled for them. A processor that was never
// online has no ring yet: poll says so, and would do it again and again.
func (g *trace) readers(rings []*ring, poll []unix.PollFd) ([]*ring, []unix.PollFd, error) {
	if !g.any() || g.overwrite {
		return rings, poll, nil
	}
	g.polled = len(poll)
	for i := range g.rings {
		rings = append(rings, g.rings[i].ring)
		poll = append(poll, unix.PollFd{Fd: int32(g.rings[i].fd), Events: unix.POLLIN})
	}
	own := poll[g.polled:]
	if _, err := unix.Poll(own, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return rings, poll, os.NewSyscallError("poll", err)
	}
	for i := range own {
		if own[i].Revents&(unix.POLLERR|unix.POLLNVAL) != 0 {
			own[i].Fd = -1
		}
	}
	return rings, poll, nil
}

// enable has the events recorded.
func (g *trace) enable() error {
	if !g.any() {
		return nil
	}
	g.on = sys.Monotonic()
	return g.in.On()
}

// hold has the events of the target's threads begin with their execve.
func (g *trace) hold() {
	if !g.any() || g.scope == nil {
		return
	}
	for tid := range g.scope.procs {
		g.scope.hold(tid)
	}
}

// disable ends the recording and waits for the records that are being written.
func (g *trace) disable() error {
	if !g.any() {
		return nil
	}
	if err := g.in.Off(); err != nil {
		return err
	}
	writersDone()
	return nil
}

// writersDone waits until every processor has left what it was in with preemption off,
// as it is while a record is written: membarrier's global command is synchronize_rcu.
func writersDone() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL, include/uapi/linux/membarrier.h
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		// Not there with nohz_full. Nothing holds a record for so long but a hypervisor.
		time.Sleep(5 * time.Millisecond)
	}
}

// wait returns how long to sleep at most.
func (g *trace) wait(wait time.Duration) time.Duration {
	if !g.any() || g.overwrite {
		return wait
	}
	if g.next > 0 {
		wait = min(wait, g.next)
	}
	if g.unsure {
		// Half a ring at twice the rate of the fastest source seen, 100 bytes a microsecond.
		half := time.Duration(g.rings[0].mem.capacity/2/200) * time.Microsecond
		wait = min(wait, pollUnsure, max(pollShort, half))
	}
	return wait
}

// seen takes what a round found, and reckons how long the next may wait: until the
// rings would be half of the way to where poll wakes, at the rate there was.
func (g *trace) seen(s *Source, now int64) error {
	if !g.any() || g.overwrite {
		return nil
	}
	passed := float64(max(1, now-g.looked))
	g.looked, g.next = now, 0
	for i := range g.rings {
		r := &g.rings[i]
		if r.mem.err != nil {
			return r.mem.err
		}
		if r.mem.moved == 0 {
			continue
		}
		// It has been online, if it was not from the beginning.
		s.poll[g.polled+i].Fd = int32(r.fd)
		room := float64(r.mem.capacity) * wakePercent / 100 / 2
		d := max(pollShort, time.Duration(min(passed*room/float64(r.mem.moved), float64(time.Minute))))
		if g.next == 0 || d < g.next {
			g.next = d
		}
	}
	if now-g.counted < int64(lossEvery) {
		return nil
	}
	return g.countLost(s, now)
}

// countLost reports what found no room on the processors whose rings were full, or on
// all of them at the end.
func (g *trace) countLost(s *Source, now int64) error {
	if !g.any() || g.overwrite {
		return nil // a dump reports it
	}
	event := ""
	if len(g.events) == 1 {
		event = s.schemas[g.events[0]].Event()
	}
	var errs []error
	for i := range g.rings {
		r := &g.rings[i]
		if !r.mem.full && !s.stopped {
			continue
		}
		r.mem.full = false
		st, err := g.in.Stats(r.cpu)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if n := st.Lost(); n > r.lost {
			s.visit.Lost(perfpipe.Loss{Event: event, CPU: int32(r.cpu), From: max(g.on, g.counted), To: now, Count: n - r.lost, Reason: perfpipe.LostRing})
			r.lost = n
		}
	}
	g.counted = now
	return errors.Join(errs...)
}

// Close closes the rings and removes the instance. It may be called twice.
func (g *trace) Close() error {
	if g == nil {
		return nil
	}
	var errs []error
	for _, r := range g.rings {
		errs = append(errs, os.NewSyscallError("close", unix.Close(r.fd)))
	}
	g.rings = nil
	if g.in != nil {
		errs = append(errs, g.in.Close())
	}
	if g.fs != nil {
		errs = append(errs, g.fs.Close())
	}
	return errors.Join(errs...)
}
