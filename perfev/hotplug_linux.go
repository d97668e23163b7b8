package perfev

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-perf"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// lookEvery is how often it is looked whether a processor went or came: two system
// calls of a microsecond.
const lookEvery = 50 * time.Millisecond

// hotplug opens events again whose processor was offline.
type hotplug struct {
	*presence
	// online lists the processors that are, left those that went since it was asked last.
	online func() ([]int, error)
	left   func() []int
	// uevents is the socket of left, -1 without: then a processor that goes and comes
	// between two looks is not noticed.
	uevents int
	// failed is why a processor could not be opened again, for as long as it cannot.
	failed map[int]error
}

// watchCPUs begins to follow which processors are online.
func (s *Source) watchCPUs(cpus []int) {
	h := &hotplug{presence: newPresence(sys.Monotonic(), cpus), online: OnlineCPUs, uevents: -1, failed: make(map[int]error)}
	// A flight recorder has room for the rings that there are.
	h.more = s.cfg.Target.CPUs == nil && !s.cfg.Overwrite
	h.left = func() []int { return nil }
	s.hotplug = h
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return
	}
	// Group 1 is the kernel's own messages; 2 is udev's.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		_ = unix.Close(fd)
		return
	}
	h.uevents, h.left = fd, func() []int { return readLeft(fd) }
}

// readLeft empties the socket, and returns the processors that went offline. Where
// messages were dropped the mask tells what it can.
func readLeft(fd int) (cpus []int) {
	var buf [4096]byte
	for {
		n, from, err := unix.Recvfrom(fd, buf[:], 0)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) {
			continue
		}
		if err != nil {
			return cpus
		}
		// Others may send to the group if they are privileged; the kernel's port is 0.
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		if cpu, ok := cpuLeft(buf[:n]); ok {
			cpus = append(cpus, cpu)
		}
	}
}

// follow looks whether processors went or came, and opens what has to be.
func (h *hotplug) follow(s *Source, now int64) {
	if h == nil || now-h.at < int64(lookEvery) || s.stopped {
		return
	}
	online, err := h.online()
	if err != nil {
		return // it could be read at the start; the next look may
	}
	for _, cpu := range h.look(now, online, h.left()) {
		fresh := s.indexOf(cpu) < 0
		if err := s.openAgain(cpu); err != nil {
			// It may have gone once more; the next look tries again.
			h.failed[cpu] = err
			continue
		}
		delete(h.failed, cpu)
		since := h.opened(cpu)
		s.gap(cpu, fresh, since, sys.Monotonic())
	}
}

// indexOf is where a processor is in cpus, -1 is nowhere.
func (s *Source) indexOf(cpu int) int {
	return slices.IndexFunc(s.cpus, func(c cpuRings) bool { return c.cpu == cpu })
}

// cpusToCome is one more than the highest number that a processor may have which comes
// online later and is recorded then, 0 where none is.
func (s *Source) cpusToCome() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil || s.cfg.Target.CPUs != nil {
		return 0
	}
	cpus, err := ParseCPUs(strings.TrimSpace(string(b)))
	if err != nil || len(cpus) == 0 {
		return 0
	}
	return slices.Max(cpus) + 1
}

// gap tells that the events of a processor were off. perf's of threads never are, and
// programs and ftrace go on as the processor does. On one that was not there before,
// programs have had no ring.
func (s *Source) gap(cpu int, fresh bool, from, to int64) {
	perf := len(s.by(EnginePerf)) > 0
	if fresh && !perf && !s.programs.any() || !fresh && (!perf || s.cfg.Target.perTask()) {
		return
	}
	s.visit.Lost(perfpipe.Loss{CPU: int32(cpu), From: from, To: to, Reason: perfpipe.LostOffline})
}

// finish tells of the processors that are still away.
func (h *hotplug) finish(s *Source, now int64) {
	if h == nil {
		return
	}
	for cpu, since := range h.away {
		s.gap(cpu, s.indexOf(cpu) < 0, since, now)
	}
}

// Away says, for each processor that is online whose events could not be opened
// again after it was offline, why. It is asked after the last Read.
func (s *Source) Away() error {
	if s.hotplug == nil {
		return nil
	}
	var errs []error
	for cpu, err := range s.hotplug.failed {
		errs = append(errs, fmt.Errorf("record on cpu %d again: %w", cpu, err))
	}
	return errors.Join(errs...)
}

func (h *hotplug) close() error {
	if h == nil || h.uevents < 0 {
		return nil
	}
	fd := h.uevents
	h.uevents, h.left = -1, func() []int { return nil }
	return os.NewSyscallError("close", unix.Close(fd))
}

// openAgain opens the events of a processor that came. They write to the rings that it
// had, whose mappings outlive the events that they were made of.
func (s *Source) openAgain(cpu int) (err error) {
	ci := s.indexOf(cpu)
	fresh := ci < 0
	if fresh && s.cfg.Target.perTask() && len(s.by(EnginePerf)) > 0 {
		// What the targets' threads have made meanwhile inherited nothing for it.
		return errors.New("it was offline at the start, and perf's events of threads are opened for the processors that there are")
	}
	if fresh {
		if ci, err = s.addCPU(cpu); err != nil {
			return err
		}
	}
	c := &s.cpus[ci]
	if !fresh {
		if err := s.openSide(c); err != nil {
			return err
		}
	}
	if err := s.addProgramRing(cpu); err != nil {
		return err
	}
	if err := s.openSlots(ci); err != nil {
		return err
	}
	// Tasks that began before the records of their begin were on again are in /proc.
	if err := s.tasks.Scan(); err != nil {
		return err
	}
	s.scanMaps()
	return nil
}

// addCPU makes the rings of a processor that was not there at the start.
func (s *Source) addCPU(cpu int) (ci int, err error) {
	c := cpuRings{cpu: cpu, mapFD: -1, flightFD: -1}
	polled := len(s.poll)
	if err := s.openRings(&c, len(s.cpus[0].dataMap.Data)); err != nil {
		s.poll = s.poll[:polled]
		return 0, errors.Join(err, c.close())
	}
	if g := s.programs; g.any() {
		g.idle = append(g.idle, s.poll[polled:]...)
		if err := s.addProgramRing(cpu); err != nil {
			s.poll = s.poll[:polled]
			return 0, errors.Join(err, c.close())
		}
	}
	s.cpus = append(s.cpus, c)
	if s.flight != nil {
		s.flight.add(len(s.schemas))
	} else {
		s.rings = append(s.rings, c.data)
	}
	s.rings = append(s.rings, c.side)
	if err := c.sideEv.Enable(); err != nil {
		return 0, fmt.Errorf("enable task records on cpu %d: %w", cpu, err)
	}
	if c.mapFD >= 0 {
		return len(s.cpus) - 1, sys.Enable(c.mapFD)
	}
	return len(s.cpus) - 1, nil
}

// addProgramRing gives programs a ring of the processor, where they have none.
func (s *Source) addProgramRing(cpu int) error {
	g := s.programs
	if !g.any() || slices.ContainsFunc(s.programRings, func(r *ring) bool { return int(r.cpu) == cpu }) {
		return nil
	}
	if err := g.addRing(cpu); err != nil {
		return err
	}
	r := &g.rings[len(g.rings)-1]
	g.idle = append(g.idle, unix.PollFd{Fd: int32(r.buf.FD()), Events: unix.POLLIN})
	s.programRings = append(s.programRings, r.reader())
	s.rings = append(s.rings, s.programRings[len(s.programRings)-1])
	return nil
}

// openSide opens what tells of tasks once more.
func (s *Source) openSide(c *cpuRings) error {
	again := sideAttr()
	again.SetWakeupWatermark(uint32(len(c.sideMap.Data) / 4))
	ev, err := perf.Open(&again, perf.AllThreads, c.cpu, nil)
	if err != nil {
		return openError("task records", c.cpu, err)
	}
	if err := ev.SetOutput(c.sideEv); err != nil {
		return errors.Join(fmt.Errorf("open task records on cpu %d: %w", c.cpu, err), ev.Close())
	}
	if err := ev.Enable(); err != nil {
		return errors.Join(fmt.Errorf("enable task records on cpu %d: %w", c.cpu, err), ev.Close())
	}
	old := c.sideAgain
	if c.sideAgain = ev; old != nil {
		if err := old.Close(); err != nil {
			return err
		}
	}
	if c.mapFD < 0 {
		return nil
	}
	if err := unix.Close(c.mapFD); err != nil {
		return os.NewSyscallError("close", err)
	}
	c.mapFD = -1
	if err := c.openMaps(); err != nil {
		return err
	}
	return sys.Enable(c.mapFD)
}

// openSlots opens the processor's events of every target, in place of those that are off.
func (s *Source) openSlots(ci int) error {
	if s.cfg.Target.perTask() {
		return nil
	}
	c := &s.cpus[ci]
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
	// What the old ones lost is counted before they go.
	if s.flight != nil {
		s.flight.keepCounts(s, ci)
	} else if s.exact && len(c.events) > 0 {
		if !c.lossSeen {
			c.lossFrom, c.lossTo = c.data.last, sys.Monotonic()
		}
		s.countLost(c)
	}
	for _, tp := range c.events {
		_ = unix.Close(tp.fd) // off, and counted
	}
	c.events = c.events[:0]
	for _, w := range targets {
		for _, sl := range s.slots() {
			if sl.ci != ci || sl.place || sl.event >= 0 && s.leftOut[sl.event] {
				continue
			}
			fd, err := s.perfEventOpen(&sl.attr, w, c.cpu)
			if sl.event >= 0 {
				err = s.keep(&sl, fd, err)
			} else if err == nil {
				s.counts = append(s.counts, count{fd: fd, counter: sl.counter})
			}
			if err != nil {
				return err
			}
			if s.on {
				if err := sys.Enable(fd); err != nil {
					return fmt.Errorf("enable events on cpu %d: %w", c.cpu, err)
				}
			}
		}
	}
	return nil
}
