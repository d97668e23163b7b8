package perfev

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// missEvery bounds how often the kernel is asked what programs missed: a system call each.
const missEvery = time.Second

// genericRelease is the first kernel that counts what programs of the tracepoint type
// did not see (Linux 6.7).
const genericRelease = 6<<8 | 7

// tracepoints are the events of the kernel that programs record, on tracepoints of
// which nothing is taken from others.
type tracepoints struct {
	maps bpf.TraceMaps
	// lost has the counters, words maps them: by slot and processor.
	lost  *ebpf.Map
	words *sys.Words
	// events are the events by slot, told what was reported of each counter.
	events []int
	told   []uint64
	has    map[int]bool
	progs  []tracepointProgram
	// tables are of system calls.
	tables []*ebpf.Map
	scope  processScope
	// missesRead is when misses were asked for last.
	missesRead int64
}

// tracepointProgram is one program on one tracepoint.
type tracepointProgram struct {
	prog *ebpf.Program
	// at is what holds it to its tracepoint.
	at io.Closer
	// event is the event that it records, -1 for several.
	event int
	// misses are the runs that the kernel skipped, as they were last reported.
	misses uint64
}

// tracing is a program that is to be loaded and attached to a tracepoint of the kernel.
type tracing struct {
	tracepoint string
	code       asm.Instructions
	// events are those that it records; a program that keeps the scope has none.
	events []int
	// decides is what decides in it.
	decides *bpf.Code
}

// openTracepoints loads the programs of the events in list. What cannot be loaded goes
// to the next engine.
func (s *Source) openTracepoints(list []int) error {
	t := &tracepoints{has: make(map[int]bool)}
	s.programs.points = t
	if len(list) == 0 {
		return nil
	}
	k, plan, err := s.prepareTracepoints(list)
	if err != nil {
		return s.refuseAll(list, err)
	}
	calls := callGroups{}
	for _, i := range list {
		if s.cfg.Events[i].Code == nil && calls.add(t, i, s.schemas[i]) {
			continue
		}
		p, err := s.addTracepoint(i, k)
		if err != nil && s.withoutCode(i, err) {
			p, err = s.addTracepoint(i, k)
		}
		if err != nil {
			if err := s.refuse(i, err); err != nil {
				return err
			}
			continue
		}
		if p.code != nil {
			plan = append(plan, p)
		}
	}
	for _, exit := range [...]bool{false, true} {
		events := calls.events(exit)
		if len(events) == 0 {
			continue
		}
		p, err := s.addCalls(&calls, exit)
		if err != nil {
			if err := s.refuseAll(events, err); err != nil {
				return err
			}
			continue
		}
		plan = append(plan, p)
	}
	if err := s.attachAll(list, plan, k); err != nil {
		return err
	}
	return s.seedScope()
}

// refuseAll hands events to their next engines.
func (s *Source) refuseAll(events []int, err error) error {
	for _, i := range events {
		if err := s.refuse(i, err); err != nil {
			return err
		}
	}
	return nil
}

// attachAll loads what is planned and attaches it in order: what keeps the scope comes
// first, and without it nothing of list can be recorded.
func (s *Source) attachAll(list []int, plan []tracing, k *bpf.Kernel) error {
	t := s.programs.points
	progs, errs := loadTracing(plan, k)
	for i, p := range plan {
		err := errs[i]
		var at io.Closer
		if err == nil {
			if at, err = link.AttachTracing(link.TracingOptions{Program: progs[i], AttachType: ebpf.AttachTraceRawTp}); err != nil {
				err = errors.Join(fmt.Errorf("attach program: %w", err), progs[i].Close())
			}
		}
		if err != nil && p.decides != nil && s.withoutCode(p.events[0], err) {
			if p, err = s.addTracepoint(p.events[0], k); err == nil && p.code != nil {
				if err = s.attachAll(list, []tracing{p}, k); err != nil {
					return err
				}
			}
			if err == nil {
				continue
			}
		}
		switch {
		case err != nil && len(p.events) > 0:
			if err := s.refuseAll(p.events, err); err != nil {
				return err
			}
		case err != nil:
			for _, rest := range progs[i+1:] {
				_ = rest.Close() // what is nil needs nothing
			}
			return s.refuseAll(list, fmt.Errorf("follow processes: %w", err))
		case len(p.events) == 0:
			t.scope.progs = append(t.scope.progs, tracepointProgram{prog: progs[i], at: at, event: -1})
		default:
			own := tracepointProgram{prog: progs[i], at: at, event: -1}
			if len(p.events) == 1 {
				own.event = p.events[0]
			}
			t.progs = append(t.progs, own)
			for _, ev := range p.events {
				t.has[ev] = true
				s.programs.codes.runs(ev, p.decides)
			}
		}
	}
	return nil
}

// loadTracing loads programs, each with its error. Together they share the reading of
// the kernel's types that k is; one by one each takes its own, of some 20 ms.
func loadTracing(plan []tracing, k *bpf.Kernel) (progs []*ebpf.Program, errs []error) {
	progs, errs = make([]*ebpf.Program, len(plan)), make([]error, len(plan))
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	all := &ebpf.CollectionSpec{Programs: make(map[string]*ebpf.ProgramSpec)}
	var o ebpf.ProgramOptions
	for i, p := range plan {
		all.Programs[name(i)] = tracingSpec(p)
		o.LogDisabled = o.LogDisabled || loadOptions(p.decides).LogDisabled
	}
	c, err := ebpf.NewCollectionWithOptions(all, ebpf.CollectionOptions{Programs: o, Cache: k.Cache()})
	if err == nil {
		for i := range plan {
			progs[i] = c.DetachProgram(name(i))
		}
		c.Close()
		return progs, errs
	}
	for i, p := range plan {
		if progs[i], errs[i] = ebpf.NewProgramWithOptions(tracingSpec(p), loadOptions(p.decides)); errs[i] != nil {
			errs[i] = loadError(errs[i])
		}
	}
	return progs, errs
}

func tracingSpec(p tracing) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: "perfpipe", Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: p.tracepoint, Instructions: slices.Clone(p.code), License: "GPL",
	}
}

// prepareTracepoints makes what all programs on tracepoints share, and plans those that
// keep the scope.
func (s *Source) prepareTracepoints(list []int) (k *bpf.Kernel, plan []tracing, err error) {
	g, t := s.programs, s.programs.points
	if k, err = bpf.LoadKernel(); err != nil {
		return nil, nil, err
	}
	task, err := bpf.ReadTask(k)
	if err != nil {
		return nil, nil, err
	}
	slots := bpf.LostSlots(len(list))
	bytes := bpf.LostSize(slots, g.cpus)
	if t.lost, err = makeMap(&ebpf.MapSpec{Name: "pp_lost", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(bytes), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}); err != nil {
		return nil, nil, fmt.Errorf("make the counters of programs: %w", err)
	}
	if t.words, err = sys.MapWords(t.lost.FD(), bytes); err != nil {
		return nil, nil, fmt.Errorf("map the counters of programs: %w", err)
	}
	t.told = make([]uint64, slots*g.cpus)
	t.maps = bpf.TraceMaps{
		Rings: g.index.FD(), Words: g.shared.FD(), CPUs: g.cpus, Lost: t.lost.FD(), Slots: slots, Task: task,
		Scope: bpf.Scope{PIDs: -1},
	}
	if !s.cfg.KeepSelf {
		t.maps.Scope.Self = int(s.self)
	}
	plan, err = s.prepareScope(k, task)
	return k, plan, err
}

// slot gives an event a counter.
func (t *tracepoints) slot(event int) int {
	if i := slices.Index(t.events, event); i >= 0 {
		return i // it was tried before
	}
	t.events = append(t.events, event)
	return len(t.events) - 1
}

// addTracepoint makes the program of an event: one that knows the arguments of its
// tracepoint, or where programs were asked for, one that copies the record, which is
// attached at once and has no code to be loaded.
func (s *Source) addTracepoint(event int, k *bpf.Kernel) (p tracing, err error) {
	t, sc := s.programs.points, s.schemas[event]
	m := t.maps
	if m.Code, err = s.code(event); err != nil {
		return p, err
	}
	if c, ok := callOf(sc, int(s.pidOff)); ok {
		m.Slot = t.slot(event)
		code, err := bpf.AssembleCall(c, m)
		return tracing{tracepoint: callTracepoint(c.Exit), code: code, events: []int{event}, decides: m.Code}, err
	}
	trace, err := bpf.MapTrace(sc, k, kernelRelease())
	if err != nil && s.cfg.Engine != EngineBPF {
		return p, err
	}
	m.Slot = t.slot(event)
	if err != nil {
		return p, s.addGeneric(event, m, err)
	}
	code, err := bpf.AssembleTrace(trace, m)
	return tracing{tracepoint: trace.Tracepoint, code: code, events: []int{event}, decides: m.Code}, err
}

// loadError says what a program that was not loaded means.
func loadError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("load program: %w: run as root, or give the binary CAP_BPF and CAP_PERFMON", err)
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("load program: %w: this kernel is too old or was built without it", err)
	}
	return fmt.Errorf("load program: %w", err)
}

// addGeneric loads the program that copies the record of any tracepoint; unmapped is why
// there is no better one.
func (s *Source) addGeneric(event int, m bpf.TraceMaps, unmapped error) error {
	if kernelRelease() < genericRelease {
		return fmt.Errorf("%w; one that copies its record would not count what it does not see on this kernel (Linux 6.7)", unmapped)
	}
	t, sc := s.programs.points, s.schemas[event]
	g := &bpf.Generic{Type: sc.ID, PID: int(s.pidOff), Size: sc.Size}
	for i := range sc.Fields {
		if f := &sc.Fields[i]; f.Loc != perfpipe.LocStatic {
			g.Located = append(g.Located, bpf.Located{Offset: f.Offset, Rel: f.Loc == perfpipe.LocRel})
		}
	}
	code, err := bpf.AssembleGeneric(g, m)
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{Name: "perfpipe", Type: ebpf.TracePoint, Instructions: code, License: "GPL"}, loadOptions(m.Code))
	if err != nil {
		return loadError(err)
	}
	attr := placing(sc.ID)
	fd, err := unix.PerfEventOpen(&attr, os.Getpid(), -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return errors.Join(os.NewSyscallError("perf_event_open", err), prog.Close())
	}
	at := descriptor(fd)
	if err := sys.SetBPF(fd, prog.FD()); err != nil {
		return errors.Join(fmt.Errorf("attach program: %w", err), at.Close(), prog.Close())
	}
	t.progs = append(t.progs, tracepointProgram{prog: prog, at: at, event: event})
	t.has[event] = true
	s.programs.codes.runs(event, m.Code)
	return nil
}

// descriptor is one to be closed.
type descriptor int

// Close closes it.
func (d descriptor) Close() error { return os.NewSyscallError("close", unix.Close(int(d))) }

// begin notes what was missed before records are wanted.
func (t *tracepoints) begin() {
	if t == nil {
		return
	}
	for i := range t.progs {
		p := &t.progs[i]
		if st, err := p.prog.Stats(); err == nil {
			p.misses = st.RecursionMisses
		}
	}
}

// countLost reports what found no room since the last time, and what was missed.
func (t *tracepoints) countLost(s *Source, now int64) {
	if t == nil {
		return
	}
	g := s.programs
	for slot, event := range t.events {
		for cpu := range g.cpus {
			i := cpu*t.maps.Slots + slot
			n := t.words.Load(bpf.LostAt(slot, cpu, t.maps.Slots))
			if n == t.told[i] {
				continue
			}
			s.visit.Lost(perfpipe.Loss{Event: s.schemas[event].Event(), CPU: int32(cpu), From: g.lostFrom, To: now, Count: n - t.told[i], Reason: perfpipe.LostRing})
			t.told[i] = n
		}
	}
	if !s.stopped && now-t.missesRead < int64(missEvery) {
		return
	}
	for i := range t.progs {
		p := &t.progs[i]
		st, err := p.prog.Stats()
		if err != nil || st.RecursionMisses <= p.misses {
			continue
		}
		l := perfpipe.Loss{CPU: -1, From: t.missesRead, To: now, Count: st.RecursionMisses - p.misses, Reason: perfpipe.LostRecursion}
		if p.event >= 0 {
			l.Event = s.schemas[p.event].Event()
		}
		p.misses = st.RecursionMisses
		s.visit.Lost(l)
	}
	t.missesRead = now
}

// close takes the programs from their tracepoints and frees everything.
func (t *tracepoints) close() error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, p := range slices.Concat(t.progs, t.scope.progs) {
		errs = append(errs, p.at.Close(), p.prog.Close())
	}
	if t.words != nil {
		errs = append(errs, t.words.Unmap())
	}
	for _, m := range t.tables {
		errs = append(errs, m.Close())
	}
	// Close of a map that was not made does nothing.
	errs = append(errs, t.lost.Close(), t.scope.close())
	return errors.Join(errs...)
}
