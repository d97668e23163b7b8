package perfev

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

const (
	// pollEvery is how often the rings of programs are looked at while records come:
	// waking the reader would cost more than the record.
	pollEvery = 2 * time.Millisecond
	// quietRounds is after how many empty looks, each twice as long as the one before,
	// the reader sleeps until a program wakes it.
	quietRounds = 4
	// patience is how long a record that is reserved and not committed holds up others,
	// and how long the end waits for programs that run.
	patience = time.Second
	// idleRing is the size of the perf ring of a processor to which no event writes.
	idleRing = 64 << 10
	// funcIPRelease is the first kernel that is sure to tell the function of a return
	// to a program (bpf_get_func_ip, Linux 6.6).
	funcIPRelease = 6<<8 | 7
)

// programs are the events that programs of ours record.
type programs struct {
	// events are the programs by number, an event of Config.Events each; number is the
	// reverse, -1 for those of perf.
	events []int
	number []int
	words  *sys.Words
	cpus   int // one more than the highest processor's number
	// ringBytes is the size of each ring.
	ringBytes int
	// shared and index are the maps of the words and of the rings.
	shared, index *ebpf.Map
	rings         []programRing
	// anchors are the descriptors that the programs are attached to: events of our own
	// process that are never on. They are inherited by nobody, as the end of a task that
	// inherited one would take the program away from everybody.
	// places are those that have the kernel place the breakpoints.
	anchors, places []int
	// idle is what is polled while the reader sleeps.
	idle []unix.PollFd
	// quiet counts looks that found nothing.
	quiet int
	// points are those on tracepoints of the kernel, codes what decides in programs.
	points *tracepoints
	codes  codes
	// lost are the counts as they were last reported, by program and processor.
	lost     []uint64
	lostFrom int64
}

// programRing is the ring of a processor.
type programRing struct {
	buf *ebpf.Map
	mem *sys.BPFRing
	cpu int
}

// openPrograms loads the programs of the events that programs are to record. What
// cannot be loaded goes to the next engine.
func (s *Source) openPrograms(cpus []int, size int) error {
	g := &programs{number: slices.Repeat([]int{-1}, len(s.cfg.Events)), cpus: s.cpusToCome(), ringBytes: size}
	s.programs = g
	chosen := s.by(EngineBPF)
	if len(chosen) == 0 {
		return nil
	}
	failed := g.prepare(cpus, size, len(chosen))
	var points []int
	for _, i := range chosen {
		if failed == nil && s.cfg.Events[i].Program == nil {
			points = append(points, i)
			continue
		}
		err := failed
		if err == nil {
			err = s.addProgram(i)
			if err != nil && s.withoutCode(i, err) {
				err = s.addProgram(i)
			}
		}
		if err == nil {
			continue
		}
		if err := s.refuse(i, err); err != nil {
			return err
		}
	}
	return s.openTracepoints(points)
}

// prepare makes the maps: the words, and a ring for each processor.
func (g *programs) prepare(cpus []int, size, most int) error {
	g.cpus = max(g.cpus, slices.Max(cpus)+1)
	bytes := bpf.WordsSize(most, g.cpus)
	var err error
	if g.shared, err = makeMap(&ebpf.MapSpec{Name: "pp_words", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(bytes), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}); err != nil {
		return fmt.Errorf("make the words of programs: %w", err)
	}
	if g.words, err = sys.MapWords(g.shared.FD(), bytes); err != nil {
		return fmt.Errorf("map the words of programs: %w", err)
	}
	g.lost = make([]uint64, most*g.cpus)
	spec := ringSpec(size)
	if g.index, err = makeMap(&ebpf.MapSpec{Name: "pp_rings", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: uint32(g.cpus), InnerMap: spec}); err != nil {
		return fmt.Errorf("make the list of rings: %w", err)
	}
	for _, cpu := range cpus {
		if err := g.makeRing(cpu); err != nil {
			return err
		}
	}
	return g.setRings(g.rings)
}

func ringSpec(size int) *ebpf.MapSpec {
	return &ebpf.MapSpec{Name: "pp_ring", Type: ebpf.RingBuf, MaxEntries: uint32(size)}
}

// addRing makes the ring of a processor, and has the programs write to it.
func (g *programs) addRing(cpu int) error {
	if err := g.makeRing(cpu); err != nil {
		return err
	}
	return g.setRings(g.rings[len(g.rings)-1:])
}

// setRings has the programs write to rings. The kernel waits at the end of each update
// until no program runs that may have seen the map before it, some 10 ms: so all are
// one update, where the kernel takes that (Linux 5.19).
func (g *programs) setRings(rings []programRing) error {
	var cpus, fds []uint32
	for _, r := range rings {
		cpus, fds = append(cpus, uint32(r.cpu)), append(fds, uint32(r.buf.FD()))
	}
	if _, err := g.index.BatchUpdate(cpus, fds, nil); err == nil {
		return nil
	}
	for _, r := range rings {
		if err := g.index.Put(uint32(r.cpu), r.buf); err != nil {
			return fmt.Errorf("set ring of cpu %d: %w", r.cpu, err)
		}
	}
	return nil
}

// makeRing makes the ring of a processor.
func (g *programs) makeRing(cpu int) error {
	m, err := makeMap(ringSpec(g.ringBytes))
	if err != nil {
		return fmt.Errorf("make ring of cpu %d: %w", cpu, err)
	}
	g.rings = append(g.rings, programRing{buf: m, cpu: cpu})
	r := &g.rings[len(g.rings)-1]
	if r.mem, err = sys.MapBPFRing(m.FD(), g.ringBytes); err != nil {
		return fmt.Errorf("map ring of cpu %d: %w", cpu, err)
	}
	return nil
}

// makeMap makes a map; before Linux 5.11 it takes memory that may be locked.
func makeMap(spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if errors.Is(err, unix.EPERM) && rlimit.RemoveMemlock() == nil {
		m, err = ebpf.NewMap(spec)
	}
	return m, err
}

// addProgram loads the program of an event and attaches it.
func (s *Source) addProgram(event int) error {
	g, p := s.programs, *s.cfg.Events[event].Program
	if p.Func >= 0 && kernelRelease() < funcIPRelease {
		return errors.New("this kernel may not tell a program which function returned (Linux 6.6)")
	}
	for _, e := range s.cfg.Entries {
		p.Counted = p.Counted || e.Of == event
	}
	code, err := s.code(event)
	if err != nil {
		return err
	}
	return g.load(&p, event, code)
}

func (g *programs) load(p *bpf.Probe, event int, decides *bpf.Code) error {
	n := len(g.events)
	code, err := bpf.Assemble(p, bpf.Maps{Rings: g.index.FD(), Words: g.shared.FD(), CPUs: g.cpus, Program: n, Code: decides})
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{
		Name: "perfpipe", Type: ebpf.Kprobe, Instructions: code, License: "GPL", Flags: unix.BPF_F_SLEEPABLE,
	}, loadOptions(decides))
	if err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	// The descriptor that it is attached to holds it.
	defer func() { _ = prog.Close() }()
	attr := placing(p.Type)
	fd, err := unix.PerfEventOpen(&attr, os.Getpid(), -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("perf_event_open", err)
	}
	if err := sys.SetBPF(fd, prog.FD()); err != nil {
		_ = unix.Close(fd) // it never counted anything
		return fmt.Errorf("attach program: %w", err)
	}
	g.anchors = append(g.anchors, fd)
	g.events = append(g.events, event)
	g.number[event] = n
	g.codes.runs(event, decides)
	return nil
}

// placing is an event that has the breakpoints placed and counts nothing.
func placing(id int) unix.PerfEventAttr {
	return unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Size: unix.PERF_ATTR_SIZE_VER5, Config: uint64(id), Bits: unix.PerfBitDisabled}
}

// kernelRelease is the running kernel's as major<<8 | minor, 0 where it is not told.
func kernelRelease() int {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return 0
	}
	var major, minor int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); n != 2 {
		return 0
	}
	return major<<8 | min(minor, 255)
}

// any reports whether programs record anything.
func (g *programs) any() bool {
	return g != nil && (len(g.events) > 0 || g.points != nil && len(g.points.progs) > 0)
}

// traces reports whether a program on a tracepoint records the event.
func (g *programs) traces(event int) bool { return g != nil && g.points != nil && g.points.has[event] }

// has reports whether a program on our own event records it: on a probe.
func (g *programs) has(event int) bool { return g != nil && g.number[event] >= 0 }

// reader makes the ring as it is read.
func (r *programRing) reader() *ring {
	return &ring{cpu: uint16(r.cpu), mem: ringMemory{data: r.mem.Data, head: r.mem.Head, setTail: r.mem.SetTail, word: r.mem.Word}}
}

// readers makes the rings as they are read, and what is polled in idle times.
func (g *programs) readers(poll []unix.PollFd) []*ring {
	if !g.any() {
		return nil
	}
	var list []*ring
	g.idle = slices.Clone(poll)
	for _, r := range g.rings {
		list = append(list, r.reader())
		g.idle = append(g.idle, unix.PollFd{Fd: int32(r.buf.FD()), Events: unix.POLLIN})
	}
	return list
}

// enable has the programs record.
func (g *programs) enable() {
	if g.any() {
		g.points.begin()
		g.words.Store(bpf.WordOn, 1)
	}
}

// disable ends it, and waits for the programs that run. A task that was stopped
// within one longer than patience is left behind.
func (g *programs) disable(rings []*ring) {
	if !g.any() {
		return
	}
	g.words.Store(bpf.WordOn, 0)
	for end := time.Now().Add(patience); g.running() > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
	g.settle()
	for _, r := range rings {
		r.pass = true
	}
}

// settle waits for the programs on tracepoints that run. They do not sleep, and the
// kernel returns from an update of a map of maps when none of those runs any more that
// may have seen it before (maybe_wait_bpf_programs, kernel/bpf/syscall.c): so nothing
// needs to be counted at every hit.
func (g *programs) settle() {
	if g.points == nil || len(g.points.progs) == 0 || len(g.rings) == 0 {
		return
	}
	// It is there already: nothing but the waiting can come of it.
	_ = g.index.Put(uint32(g.rings[0].cpu), g.rings[0].buf)
}

// running is how many runs of programs have not ended. Those that ended are counted
// first, so that it is never too few.
func (g *programs) running() uint64 {
	done := uint64(0)
	for k := range g.events {
		done += g.sum(k, bpf.WordDone)
	}
	started := uint64(0)
	for k := range g.events {
		started += g.sum(k, bpf.WordStarted)
	}
	return started - done
}

// sum adds up a counter of a program.
func (g *programs) sum(program, word int) (n uint64) {
	for cpu := range g.cpus {
		n += g.words.Load(bpf.Counters(program, cpu, g.cpus) + word)
	}
	return n
}

// hits is how often the place of an event was hit while it was on.
func (g *programs) hits(event int) uint64 { return g.sum(g.number[event], bpf.WordHits) }

// wait returns how long to sleep at most and what is polled meanwhile.
func (g *programs) wait(wait time.Duration, poll []unix.PollFd) (time.Duration, []unix.PollFd) {
	if !g.any() {
		return wait, poll
	}
	if g.quiet < quietRounds {
		return min(wait, pollEvery<<g.quiet), poll
	}
	// A record that a program commits before it sees this is there when poll looks.
	g.words.Store(bpf.WordWake, 1)
	return wait, g.idle
}

// seen notes whether a round found something.
func (g *programs) seen(moved bool) {
	if moved {
		g.quiet = 0
		return
	}
	g.quiet = min(g.quiet+1, quietRounds)
}

// countLost reports what found no room since the last time.
func (g *programs) countLost(s *Source, now int64) {
	if !g.any() {
		return
	}
	for k, event := range g.events {
		for cpu := range g.cpus {
			i := k*g.cpus + cpu
			n := g.words.Load(bpf.Counters(k, cpu, g.cpus) + bpf.WordLost)
			if n == g.lost[i] {
				continue
			}
			s.visit.Lost(perfpipe.Loss{Event: s.schemas[event].Event(), CPU: int32(cpu), From: g.lostFrom, To: now, Count: n - g.lost[i], Reason: perfpipe.LostRing})
			g.lost[i] = n
		}
	}
	g.points.countLost(s, now)
	g.codes.count(s, now)
	g.lostFrom = now
}

// countStuck reports the runs that had not ended when the recording did.
func (g *programs) countStuck(s *Source, now int64) {
	if g == nil || len(g.events) == 0 {
		return
	}
	if n := g.running(); n > 0 {
		s.visit.Lost(perfpipe.Loss{CPU: -1, From: g.lostFrom, To: now, Count: n, Reason: perfpipe.LostUnread})
	}
}

// Close frees everything.
func (g *programs) Close() error {
	if g == nil {
		return nil
	}
	errs := []error{g.points.close()}
	for _, fd := range append(g.places, g.anchors...) {
		errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
	}
	for _, r := range g.rings {
		if r.mem != nil {
			errs = append(errs, r.mem.Unmap())
		}
		errs = append(errs, r.buf.Close())
	}
	if g.words != nil {
		errs = append(errs, g.words.Unmap())
	}
	// Close of a map that was not made does nothing.
	errs = append(errs, g.index.Close(), g.shared.Close(), g.codes.close())
	return errors.Join(errs...)
}
