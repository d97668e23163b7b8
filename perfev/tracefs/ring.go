package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Stats are the counts of one processor's ring: per_cpu/cpuN/stats,
// tracing_stats_read in kernel/trace/trace.c.
type Stats struct {
	// Entries are records that were written and not read yet.
	Entries uint64
	// Overrun are records that were overwritten by later ones.
	Overrun uint64
	// CommitOverrun are records of interrupts that found the ring full of the record
	// that they interrupted.
	CommitOverrun uint64
	// Dropped are records that found no room in a ring that is not overwritten.
	Dropped uint64
	// Read are records that were read.
	Read uint64
	// Oldest is the time of the oldest record that was not read, in nanoseconds to the
	// microsecond by a clock that counts those; 0 where it is not told.
	Oldest int64
}

// Lost is how many records were lost, for whatever reason.
func (s Stats) Lost() uint64 { return s.Overrun + s.CommitOverrun + s.Dropped }

// ParseStats reads the text of a stats file. Lines that are not known are passed over.
func ParseStats(b []byte) (Stats, error) {
	var s Stats
	seen := 0
	for line := range strings.Lines(string(b)) {
		key, val, ok := strings.Cut(line, ":")
		if key == "oldest event ts" {
			if f, err := strconv.ParseFloat(strings.TrimSpace(val), 64); err == nil && f >= 0 && f < 1e9 {
				s.Oldest = int64(f*1e6) * 1000
			}
		}
		to := s.field(key)
		if !ok || to == nil {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(val), 10, 64)
		if err != nil {
			return s, fmt.Errorf("parse stats of a trace ring: %s is %.30q", key, strings.TrimSpace(val))
		}
		*to = n
		seen++
	}
	if seen < 5 {
		return s, fmt.Errorf("parse stats of a trace ring: %d of 5 counts are there", seen)
	}
	return s, nil
}

func (s *Stats) field(key string) *uint64 {
	switch key {
	case "entries":
		return &s.Entries
	case "overrun":
		return &s.Overrun
	case "commit overrun":
		return &s.CommitOverrun
	case "dropped events":
		return &s.Dropped
	case "read events":
		return &s.Read
	}
	return nil
}

// write writes a file of the instance.
func (in *Instance) write(name, text string, flag int) error {
	return in.fs.WriteFile(in.Name()+"/"+name, text, flag)
}

// ReadFile reads a file of the instance.
func (in *Instance) ReadFile(name string) ([]byte, error) {
	return in.fs.ReadFile(in.Name() + "/" + name)
}

// Path returns where a file of the instance is.
func (in *Instance) Path(name string) string {
	return filepath.Join(in.fs.path, "instances", in.name, filepath.FromSlash(name))
}

// On has the ring take records (tracing_on).
func (in *Instance) On() error { return in.write("tracing_on", "1", 0) }

// Off has it take none. Records that are being written are not waited for.
func (in *Instance) Off() error { return in.write("tracing_on", "0", 0) }

// Option sets an option of the instance, "event-fork", or clears it, "noevent-fork":
// trace_options. One that the kernel does not know is syscall.EINVAL.
func (in *Instance) Option(text string) error { return in.write("trace_options", text, 0) }

// Clock has times be of a clock: "mono" is CLOCK_MONOTONIC.
func (in *Instance) Clock(name string) error { return in.write("trace_clock", name, 0) }

// SetSubbuf sets the size of the ring's sub-buffers in bytes, a power of two of
// pages (Linux 6.8). What the ring holds is lost.
func (in *Instance) SetSubbuf(bytes int) error {
	return in.write("buffer_subbuf_size_kb", strconv.Itoa(bytes>>10), 0)
}

// Subbuf returns the size of the ring's sub-buffers in bytes: of pageSize, as every
// kernel before 6.8 has them, where it does not say.
func (in *Instance) Subbuf(pageSize int) (int, error) {
	b, err := in.ReadFile("buffer_subbuf_size_kb")
	if errors.Is(err, fs.ErrNotExist) {
		return pageSize, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 20)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("read the size of sub-buffers: got %.30q", strings.TrimSpace(string(b)))
	}
	return int(n) << 10, nil
}

// SetBuffer sets the size of each processor's ring in bytes; the kernel rounds up.
func (in *Instance) SetBuffer(bytes int) error {
	return in.write("buffer_size_kb", strconv.Itoa((bytes+1023)>>10), 0)
}

// SetPercent sets how full a processor's ring must be before poll wakes a reader.
func (in *Instance) SetPercent(percent int) error {
	return in.write("buffer_percent", strconv.Itoa(percent), 0)
}

// SetCPUs has only these processors record (tracing_cpumask).
func (in *Instance) SetCPUs(cpus []int) error { return in.write("tracing_cpumask", cpuMask(cpus), 0) }

// cpuMask writes processors as the kernel reads them: groups of 8 hexadecimal digits,
// the highest first.
func cpuMask(cpus []int) string {
	words := make([]uint32, 1)
	for _, c := range cpus {
		for len(words) <= c/32 {
			words = append(words, 0)
		}
		words[c/32] |= 1 << (c % 32)
	}
	text := make([]string, 0, len(words))
	for _, w := range slices.Backward(words) {
		text = append(text, fmt.Sprintf("%08x", w))
	}
	return strings.Join(text, ",")
}

// AddPIDs adds threads to those whose events are recorded (set_event_pid); as long as
// there was none, those of all are. Numbers are of the initial pid namespace.
func (in *Instance) AddPIDs(tids []int) error {
	// The kernel takes a write of any length, as a page of text at once is plenty.
	const most = 400
	for part := range slices.Chunk(tids, most) {
		var b strings.Builder
		for _, tid := range part {
			b.WriteString(strconv.Itoa(tid))
			b.WriteByte(' ')
		}
		if err := in.write("set_event_pid", b.String(), os.O_APPEND); err != nil {
			return err
		}
	}
	return nil
}

// PIDs returns the threads whose events are recorded, none where those of all are.
func (in *Instance) PIDs() ([]int, error) {
	b, err := in.ReadFile("set_event_pid")
	if err != nil {
		return nil, err
	}
	var tids []int
	for _, word := range strings.Fields(string(b)) {
		// Without any it says "no pid".
		if n, err := strconv.Atoi(word); err == nil {
			tids = append(tids, n)
		}
	}
	return tids, nil
}

// SetFilter gives an event "system:name" of the instance a filter, before it is
// enabled. Only text that perfpipe generated may be given. A refusal leaves the event
// unfiltered, so it must not be enabled then.
func (in *Instance) SetFilter(event, filter string) error {
	file, err := in.event(event, "filter")
	if err != nil {
		return err
	}
	if err := in.write(file, filter, 0); err != nil {
		return err
	}
	b, err := in.ReadFile(file)
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(b)); got != strings.TrimSpace(filter) {
		return fmt.Errorf("the kernel has %.200q", got)
	}
	return nil
}

// Probes returns "system:name" of the uprobes that are defined, by id. What is shown of a
// probe may be called otherwise.
func (t *FS) Probes() (map[int]string, error) {
	list, err := t.Uprobes()
	if err != nil {
		return nil, err
	}
	names, last := make(map[int]string), ""
	for _, u := range list {
		event := u.Group + ":" + u.Event
		if event == last {
			continue // another place of the same
		}
		last = event
		b, err := t.ReadFile("events/" + u.Group + "/" + u.Event + "/id")
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody took it away
		}
		if err != nil {
			return nil, err
		}
		if id, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			names[id] = event
		}
	}
	return names, nil
}

func (in *Instance) event(event, file string) (string, error) {
	system, name, ok := strings.Cut(event, ":")
	if !ok || !validHalf(system) || !validHalf(name) {
		return "", &UnknownEventError{Event: event}
	}
	return "events/" + system + "/" + name + "/" + file, nil
}

// Enable enables events "system:name" in the instance. Where all events of a system
// are among them, they are enabled at once, which takes the time of a few.
func (in *Instance) Enable(events []string) error {
	systems := make(map[string][]string)
	var order []string
	for _, ev := range events {
		system, _, _ := strings.Cut(ev, ":")
		if systems[system] == nil {
			order = append(order, system)
		}
		systems[system] = append(systems[system], ev)
	}
	for _, system := range order {
		list := systems[system]
		if len(list) > 1 && in.whole(system, len(list)) {
			file, err := in.event(list[0], "")
			if err != nil {
				return err
			}
			if err := in.write(filepath.Dir(filepath.Dir(file))+"/enable", "1", 0); err == nil {
				continue
			}
			// One of them refuses: which one is told below.
		}
		for _, ev := range list {
			file, err := in.event(ev, "enable")
			if err != nil {
				return err
			}
			if err := in.write(file, "1", 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole reports whether a system has n events and no more.
func (in *Instance) whole(system string, n int) bool {
	dir := in.Path("events/" + system)
	ents, err := within(in.fs, "read", dir, func() ([]fs.DirEntry, error) { return os.ReadDir(dir) })
	if err != nil {
		return false
	}
	have := 0
	for _, e := range ents {
		if e.IsDir() {
			have++
		}
	}
	return have == n
}

// CPUs returns the processors that the instance has a ring for, or would have once
// they are online.
func (in *Instance) CPUs() ([]int, error) {
	dir := in.Path("per_cpu")
	ents, err := within(in.fs, "read", dir, func() ([]fs.DirEntry, error) { return os.ReadDir(dir) })
	if err != nil {
		return nil, err
	}
	var cpus []int
	for _, e := range ents {
		if n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "cpu")); err == nil && n >= 0 {
			cpus = append(cpus, n)
		}
	}
	slices.Sort(cpus)
	return cpus, nil
}

// Stats reads the counts of a processor's ring.
func (in *Instance) Stats(cpu int) (Stats, error) {
	b, err := in.ReadFile(fmt.Sprintf("per_cpu/cpu%d/stats", cpu))
	if err != nil {
		return Stats{}, err
	}
	return ParseStats(b)
}
