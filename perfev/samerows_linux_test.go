package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// kept is what a source handed out.
type kept struct {
	records []perfpipe.Record
	losses  []perfpipe.Loss
}

func (k *kept) Record(r *perfpipe.Record) {
	c := *r
	c.Raw = slices.Clone(r.Raw)
	c.Emits = slices.Clone(r.Emits)
	k.records = append(k.records, c)
}
func (k *kept) Lost(l perfpipe.Loss) { k.losses = append(k.losses, l) }
func (*kept) Task(perfpipe.Task)     {}
func (*kept) Stack(*perfpipe.Stack)  {}
func (*kept) Frame(perfpipe.Frame)   {}
func (k *kept) lost(reason string) (n uint64) {
	for _, l := range k.losses {
		if reason == "" || l.Reason == reason {
			n += l.Count
		}
	}
	return n
}

// together reads the sources while during runs, to their ends.
func together(t *testing.T, cfgs []Config, during func()) []*kept {
	t.Helper()
	var list []*kept
	var sources []*Source
	for _, cfg := range cfgs {
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		sources, list = append(sources, s), append(list, &kept{})
	}
	for _, s := range sources {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, s := range sources {
		wg.Go(func() {
			for {
				err := s.Read(20*time.Millisecond, list[i])
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	during()
	for _, s := range sources {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	return list
}

// schemasOf reads the formats of the events that the patterns select.
func schemasOf(t *testing.T, patterns ...string) []*perfpipe.Schema {
	t.Helper()
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fs.Close(); err != nil {
			t.Error(err)
		}
	}()
	names, err := fs.Select(patterns, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []*perfpipe.Schema
	for _, n := range names {
		s, err := fs.SchemaOf(n)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func eventsOf(t *testing.T, patterns ...string) []Event {
	t.Helper()
	var list []Event
	for _, s := range schemasOf(t, patterns...) {
		list = append(list, Event{Schema: s})
	}
	return list
}

const (
	// marker is the event that begins and ends what is compared on each processor: a
	// prctl that fails.
	marker = "syscalls:sys_enter_prctl"
	magic  = 0x7e57ab1e
)

// markEach makes a marker on each processor.
func markEach(t *testing.T, cpus []int, what uintptr) {
	t.Helper()
	for _, cpu := range cpus {
		onCPU(t, cpu, func() { _, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, magic, what, uintptr(cpu), 0, 0, 0) })
	}
}

// onCPU runs f in a thread of its own on a processor.
func onCPU(t *testing.T, cpu int, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread ends with the goroutine, as it is bound.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		err := unix.SchedSetaffinity(0, &set)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// line writes what is compared of a record: all but the time, flags and preempt_count,
// and what is read at another moment.
func line(s *perfpipe.Schema, r *perfpipe.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s type %d tid %d pid %d", s.Name, binary.LittleEndian.Uint16(r.Raw), binary.LittleEndian.Uint32(r.Raw[4:]), r.PID)
	for i := range s.Fields {
		f := &s.Fields[i]
		if s.System == "timer" && f.Name == "now" && s.Name != "hrtimer_expire_entry" {
			continue // jiffies
		}
		data, ok := f.Bytes(r.Raw)
		if f.Kind == perfpipe.KindString {
			data, _, _, ok = f.Text(r.Raw)
			fmt.Fprintf(&b, " %s=%q", f.Name, data)
		} else if v, whole := f.Uint(r.Raw); f.Name == "prev_state" && whole && v == 0x20 {
			// Its parent may take it away at this moment, from Z to X.
			b.WriteString(" prev_state=1000000000000000")
		} else {
			fmt.Fprintf(&b, " %s=%x", f.Name, data)
		}
		if !ok {
			b.WriteString("(not within)")
		}
	}
	return b.String()
}

// blind reports whether perf sees nothing of the idle task of a processor: Linux 6.18
// does not any more once the processor was offline while events were recorded, as
// perf's guard against recursion in that task is never let go.
func blind(k *kept, cpu int) bool {
	return !slices.ContainsFunc(k.records, func(r perfpipe.Record) bool { return r.TID == 0 && int(r.CPU) == cpu })
}

// between returns the lines of a processor between its markers, without those of the
// idle task where they are not wanted.
func between(k *kept, schemas []*perfpipe.Schema, cpu int, busy func(tid int32) bool) (all []string, byEvent map[string][]string) {
	byEvent = make(map[string][]string)
	on := false
	for i := range k.records {
		r := &k.records[i]
		if int(r.CPU) != cpu {
			continue
		}
		s := schemas[r.Event]
		if s.Event() == marker {
			if v, _ := s.Fields[1].Uint(r.Raw); v == magic {
				what, _ := s.Fields[2].Uint(r.Raw)
				on = what == 1
				continue
			}
		}
		if on && busy(r.TID) {
			l := line(s, r)
			all = append(all, l)
			byEvent[s.Event()] = append(byEvent[s.Event()], l)
		}
	}
	return all, byEvent
}

// loadEnv has the test binary be the load of TestSameRows.
const loadEnv = "PERFPIPE_TEST_LOAD"

// TestLoad is no test but a process of its own, which makes events of many kinds
// between markers: what perfpipe itself does is not recorded.
func TestLoad(t *testing.T) {
	if os.Getenv(loadEnv) == "" {
		t.Skip("it is the load of another test")
	}
	cpus, err := OnlineCPUs()
	if err != nil {
		t.Fatal(err)
	}
	markEach(t, cpus, 1)
	for range 10 {
		if err := exec.Command("sh", "-c", "true; kill -USR1 $$ 2>/dev/null; true").Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Error(err)
		}
	}
	for range 200 {
		time.Sleep(500 * time.Microsecond)
	}
	for range 2000 {
		syscall.Getppid()
	}
	markEach(t, cpus, 2)
}

// load runs it.
func load(t *testing.T) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestLoad$")
	c.Env = append(os.Environ(), loadEnv+"=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestSameRows: programs on tracepoints make of the same live events the records that
// perf makes of them, on each processor in the same order.
func TestSameRows(t *testing.T) {
	testpriv.Need(t)
	testpriv.Lock(t)
	tests := []struct {
		name     string
		patterns []string
	}{
		{"sched", []string{"sched:sched_switch", "sched:sched_wak*", "sched:sched_migrate_task", "sched:sched_process_*"}},
		{"irq and timer", []string{"irq:*", "timer:*", "irq_vectors:local_timer_*", "irq_vectors:reschedule_*", "irq_vectors:call_function*"}},
		{"syscalls", []string{"raw_syscalls:*", "syscalls:*_getp*", "syscalls:*sleep", "syscalls:*_open*", "syscalls:*_m*", "syscalls:*read*", "syscalls:*write*", "syscalls:*_clone*", "syscalls:*_exec*", "syscalls:*_rt_*", "syscalls:*_exit*", "syscalls:*_new*"}},
		{"kmem", []string{"kmem:kmalloc", "kmem:kfree", "kmem:kmem_cache_*"}},
		{"signal", []string{"signal:*"}},
		{"copied", []string{"task:*", "writeback:writeback_dirty_inode", "kmem:mm_page_*", "kmem:rss_stat", "workqueue:*", "filemap:*", "power:cpu_idle", "cgroup:*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cpus, err := OnlineCPUs()
			if err != nil {
				t.Fatal(err)
			}
			events := eventsOf(t, append(slices.Clone(tt.patterns), marker)...)
			perf := Config{Engine: EnginePerf, Events: events, RingBytes: 32 << 20}
			prog := perf
			prog.Engine = EngineBPF
			// An interrupt may come between the two engines' turns at a marker, and what others
			// on this machine trace may cost perf records: a fault of ours stays.
			const tries = 6
			for n := 1; ; n++ {
				got := together(t, []Config{perf, prog}, func() { load(t) })
				faults := compare(t, got[0], got[1], events, cpus)
				if len(faults) == 0 {
					return
				}
				for _, f := range faults {
					t.Logf("try %d: %s", n, f)
				}
				if n == tries {
					t.Fatalf("the records differ in each of %d tries", tries)
				}
			}
		})
	}
}

// compare says in what the records of programs differ from those of perf.
func compare(t *testing.T, perf, prog *kept, events []Event, cpus []int) (faults []string) {
	t.Helper()
	var schemas []*perfpipe.Schema
	for _, ev := range events {
		schemas = append(schemas, ev.Schema)
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if n := perf.lost("") + prog.lost(perfpipe.LostRing); n > 0 {
		fault("%d events were lost, of rings that should have held them: %v %v", n, perf.losses, prog.losses)
		return faults
	}
	missed := map[string]uint64{}
	for _, l := range prog.losses {
		missed[l.Event] += l.Count
	}
	seen := map[string]bool{}
	for _, cpu := range cpus {
		noIdle := blind(perf, cpu)
		busy := func(tid int32) bool { return tid != 0 || !noIdle }
		want, wantBy := between(perf, schemas, cpu, busy)
		have, haveBy := between(prog, schemas, cpu, busy)
		t.Logf("cpu %d: %d records by perf, %d by programs", cpu, len(want), len(have))
		for ev := range wantBy {
			seen[ev] = true
			n, ok := without(wantBy[ev], haveBy[ev])
			if !ok || n > missed[ev] {
				fault("cpu %d: %s, %d missed: %s", cpu, ev, missed[ev], difference(wantBy[ev], haveBy[ev]))
			}
			missed[ev] -= min(n, missed[ev])
		}
		for ev := range haveBy {
			if wantBy[ev] == nil {
				fault("cpu %d: %d of %s by programs alone", cpu, len(haveBy[ev]), ev)
			}
		}
		// An interrupt between the two engines' turns at an event is before it for one.
		if n := displaced(want, have); len(prog.losses) == 0 && n > len(want)/50+4 {
			fault("cpu %d: %d of %d records are in another order", cpu, n, len(want))
		}
	}
	t.Logf("%d kinds of events, %d missed", len(seen), prog.lost(perfpipe.LostRecursion))
	if len(seen) == 0 {
		fault("no event was seen")
	}
	return faults
}

// without reports whether some is all without n of them, in the same order.
func without(all, some []string) (n uint64, ok bool) {
	at := 0
	for _, l := range all {
		if at < len(some) && some[at] == l {
			at++
			continue
		}
		n++
	}
	return n, at == len(some)
}

func difference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("%d and %d; record %d:\n perf %s\n prog %s", len(a), len(b), i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d, the rest is equal", len(a), len(b))
}

func displaced(a, b []string) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}
