package perfev

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// mayGotoRelease is the first kernel that leaves a loop by itself (may_goto, Linux 6.9).
const mayGotoRelease = 6<<8 | 9

// codes are what decides in programs: the code of events and what it keeps.
type codes struct {
	// memory are the maps of what programs keep, by their description.
	memory map[*bpf.Memory]bpf.MemoryMaps
	maps   []*ebpf.Map
	// faults has the counters, words maps them.
	faults *ebpf.Map
	words  *sys.Words
	// events are those with code, by slot; on are those whose code runs, by event.
	events []int
	on     map[int]*bpf.Code
	// refused is why the code of an event does not run.
	refused map[int]error
	// told are the counters as they were last reported, sums the same by event and cause.
	told []uint64
	sums map[int][]uint64
}

// Decides reports whether a program runs [Event.Code] of an event, so that its records
// are those that are kept, with what the code emits ([perfpipe.Record.Emits]).
func (s *Source) Decides(event int) bool {
	return s.programs != nil && s.programs.codes.on[event] != nil
}

// Undecided is why [Event.Code] of an event does not run in the program that records
// it; nil where it does, where there is none, and where no program records the event.
func (s *Source) Undecided(event int) error {
	if s.programs == nil {
		return nil
	}
	return s.programs.codes.refused[event]
}

// Faults returns how often [Event.Code] of an event faulted so far, by cause. What it
// dropped for them is reported as a [perfpipe.Loss].
func (s *Source) Faults(event int) []uint64 {
	if s.programs == nil {
		return nil
	}
	return slices.Clone(s.programs.codes.sums[event])
}

// CodeError is code that the kernel's verifier does not take.
type CodeError struct {
	// Err has the verifier's log.
	Err error
}

// loadOptions are how a program with the code of a filter is loaded, nil for none: without
// the verifier's log. Of code that it gives up on the log has hundreds of megabytes, and
// who wants to read it asks for it apart.
func loadOptions(k *bpf.Code) ebpf.ProgramOptions { return ebpf.ProgramOptions{LogDisabled: k != nil} }

// Error implements error; it leaves the log out.
func (e *CodeError) Error() string {
	var v *ebpf.VerifierError
	if errors.As(e.Err, &v) {
		return fmt.Sprintf("the kernel does not take its filter as a program: %v", v.Cause)
	}
	return e.Err.Error()
}

// Unwrap returns what the kernel said.
func (e *CodeError) Unwrap() error { return e.Err }

// withoutCode gives up the code of an event for which err came of it, and reports
// whether it is to be recorded by a program all the same: where no engine is left that
// would have the kernel filter.
func (s *Source) withoutCode(event int, err error) bool {
	ev := &s.cfg.Events[event]
	if ev.Code == nil || ev.Filter != "" && len(s.choice[event].rest) > 0 || ev.KernelFilter {
		return false
	}
	ev.Code = nil
	c := &s.programs.codes
	if c.refused == nil {
		c.refused = make(map[int]error)
	}
	c.refused[event] = &CodeError{Err: err}
	return true
}

// code makes what the code of an event works on; nil where it has none.
func (s *Source) code(event int) (*bpf.Code, error) {
	f := s.cfg.Events[event].Code
	if f == nil {
		return nil, nil
	}
	g := s.programs
	c := &g.codes
	if c.told == nil {
		n := 0
		for i := range s.cfg.Events {
			if s.cfg.Events[i].Code != nil {
				n++
			}
		}
		if err := c.prepare(n, g.cpus); err != nil {
			return nil, err
		}
	}
	k := &bpf.Code{Filter: f, Faults: c.faults.FD(), CPUs: g.cpus, Slot: slices.Index(c.events, event), Follow: kernelRelease() < mayGotoRelease}
	if k.Slot < 0 {
		k.Slot = len(c.events)
		c.events = append(c.events, event)
	}
	var err error
	if k.Maps, err = c.remember(f.Memory, g.cpus); err != nil {
		return nil, err
	}
	k.Maps.CPUs = g.cpus
	if f.Text > 0 {
		k.Maps.Text, err = c.array("pp_text", make([]byte, f.Text*g.cpus))
	}
	return k, err
}

// prepare makes the counters of faults.
func (c *codes) prepare(n, cpus int) (err error) {
	c.memory, c.on, c.sums = make(map[*bpf.Memory]bpf.MemoryMaps), make(map[int]*bpf.Code), make(map[int][]uint64)
	bytes := bpf.FaultsSize(n, cpus)
	if err := c.faults.Close(); err != nil { // of an attempt that failed
		return fmt.Errorf("close the counters of faults: %w", err)
	}
	if c.faults, err = makeMap(&ebpf.MapSpec{Name: "pp_faults", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(bytes), MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE}); err != nil {
		return fmt.Errorf("make the counters of faults: %w", err)
	}
	if c.words, err = sys.MapWords(c.faults.FD(), bytes); err != nil {
		return fmt.Errorf("map the counters of faults: %w", err)
	}
	c.told = make([]uint64, bytes/8)
	return nil
}

// remember makes the maps of m, once.
func (c *codes) remember(m *bpf.Memory, cpus int) (maps bpf.MemoryMaps, err error) {
	if m == nil {
		return maps, nil
	}
	if maps, ok := c.memory[m]; ok {
		return maps, nil
	}
	if maps.Cells, err = c.array("pp_state", words(m.Cells, 1)); err != nil {
		return maps, err
	}
	if maps.CPUCells, err = c.array("pp_cpustate", words(m.CPUCells, cpus)); err != nil {
		return maps, err
	}
	for _, n := range m.Tables {
		t, err := makeMap(&ebpf.MapSpec{Name: "pp_map", Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: uint32(n)})
		if err != nil {
			return maps, fmt.Errorf("make a map of %d entries: %w", n, err)
		}
		c.maps = append(c.maps, t)
		maps.Tables = append(maps.Tables, t.FD())
	}
	c.memory[m] = maps
	return maps, nil
}

// words are n copies of a list as bytes.
func words(list []uint64, n int) []byte {
	var b []byte
	for range n {
		for _, w := range list {
			for i := range 8 {
				b = append(b, byte(w>>(8*i)))
			}
		}
	}
	return b
}

// array makes an array of one value and returns its descriptor; of nothing it makes none.
func (c *codes) array(name string, value []byte) (int, error) {
	if len(value) == 0 {
		return 0, nil
	}
	m, err := makeMap(&ebpf.MapSpec{Name: name, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1})
	if err != nil {
		return 0, fmt.Errorf("make the memory of a filter, %d bytes: %w", len(value), err)
	}
	c.maps = append(c.maps, m)
	if err := m.Put(uint32(0), value); err != nil {
		return 0, fmt.Errorf("fill the memory of a filter: %w", err)
	}
	return m.FD(), nil
}

// runs notes that the code of an event runs, where it has any.
func (c *codes) runs(event int, k *bpf.Code) {
	if k != nil {
		c.on[event] = k
	}
}

// split takes what was emitted from the end of a record's data.
func (g *programs) split(event int, raw []byte) (data, emits []byte) {
	k := g.codes.on[event]
	if k == nil || k.Filter.Emits == 0 {
		return raw, nil
	}
	at := len(raw) - bpf.EmitsSize(k.Filter.Emits)
	if at < 0 {
		return raw, nil
	}
	return raw[:at:at], raw[at:]
}

// count reports the faults since the last time.
func (c *codes) count(s *Source, now int64) {
	for slot, event := range c.events {
		k := c.on[event]
		if k == nil {
			continue
		}
		for cpu := range k.CPUs {
			fresh := uint64(0)
			for cause := range bpf.Causes {
				at := bpf.FaultsAt(slot, cpu, cause, k.CPUs)
				n := c.words.Load(at)
				d := n - c.told[at/8]
				if d == 0 {
					continue
				}
				c.told[at/8] = n
				fresh += d
				if c.sums[event] == nil {
					c.sums[event] = make([]uint64, bpf.Causes)
				}
				c.sums[event][cause] += d
			}
			if fresh > 0 && !k.Filter.PassFaults {
				s.visit.Lost(perfpipe.Loss{Event: s.schemas[event].Event(), CPU: int32(cpu), From: s.programs.lostFrom, To: now, Count: fresh, Reason: perfpipe.LostFilterFault})
			}
		}
	}
}

// close frees everything.
func (c *codes) close() error {
	var errs []error
	if c.words != nil {
		errs = append(errs, c.words.Unmap())
	}
	for _, m := range append(c.maps, c.faults) {
		errs = append(errs, m.Close()) // of one that was not made it does nothing
	}
	return errors.Join(errs...)
}
