//go:build linux

package perfev_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// tally counts what a source hands out.
type tally struct {
	records   []perfpipe.Record
	lost      uint64
	tasks     int
	backwards int
	last      int64
	stacks    map[uint64]perfpipe.Stack
	frames    map[uint32]perfpipe.Frame
	losses    []perfpipe.Loss
	byTID     map[int32]perfpipe.Task
	// untold counts records and stacks that name what was not told before.
	untold int
}

func (c *tally) Record(r *perfpipe.Record) {
	k := *r
	k.Raw = append([]byte(nil), r.Raw...)
	k.Emits = append([]byte(nil), r.Emits...)
	c.records = append(c.records, k)
	if _, ok := c.stacks[r.Stack]; r.Stack != 0 && !ok {
		c.untold++
	}
	if r.Time < c.last {
		c.backwards++
	}
	c.last = r.Time
}
func (c *tally) Lost(l perfpipe.Loss) {
	c.lost += l.Count
	c.losses = append(c.losses, l)
}

func (c *tally) Task(k perfpipe.Task) {
	c.tasks++
	if c.byTID == nil {
		c.byTID = map[int32]perfpipe.Task{}
	}
	c.byTID[k.TID] = k
}

func (c *tally) Stack(s *perfpipe.Stack) {
	if c.stacks == nil {
		c.stacks = map[uint64]perfpipe.Stack{}
	}
	k := *s
	k.Frames, k.Addrs = slices.Clone(s.Frames), slices.Clone(s.Addrs)
	if len(k.Frames) != len(k.Addrs) {
		c.untold++
	}
	for _, f := range k.Frames {
		if _, ok := c.frames[f]; !ok {
			c.untold++
		}
	}
	c.stacks[s.ID] = k
}

func (c *tally) Frame(f perfpipe.Frame) {
	if c.frames == nil {
		c.frames = map[uint32]perfpipe.Frame{}
	}
	c.frames[f.ID] = f
}

func schema(t *testing.T, event string) *perfpipe.Schema {
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
	s, err := fs.SchemaOf(event)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// capture reads cfg while during runs, to the end.
func capture(t *testing.T, cfg perfev.Config, during func()) *tally {
	t.Helper()
	src, err := perfev.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(src.Close(), src.Close()); err != nil {
			t.Error(err)
		}
	}()
	if err := src.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		during()
		if err := errors.Join(src.Stop(), src.Stop()); err != nil {
			t.Error(err)
		}
	}()
	c := &tally{}
	for {
		err := src.Read(50*time.Millisecond, c)
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// calls makes n getppid calls.
func calls(n int) {
	for range n {
		syscall.Getppid()
	}
}

func TestEveryCallOfThisProcess(t *testing.T) {
	testpriv.Need(t)
	cfg := perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "syscalls:sys_enter_getppid")}}, KeepSelf: true,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}
	c := capture(t, cfg, func() { calls(5000) })
	if len(c.records) != 5000 || c.lost != 0 {
		t.Errorf("got %d records, %d lost, want 5000, 0", len(c.records), c.lost)
	}
	for _, r := range c.records {
		if r.PID != int32(os.Getpid()) {
			t.Fatalf("pid: got %d, want %d", r.PID, os.Getpid())
		}
	}
	if c.tasks == 0 {
		t.Error("no task was handed over at the end")
	}
	// Without KeepSelf there is nothing to see.
	cfg.KeepSelf = false
	if c := capture(t, cfg, func() { calls(100) }); len(c.records) != 0 {
		t.Errorf("own records: got %d, want none", len(c.records))
	}
}

func TestPeriod(t *testing.T) {
	testpriv.Need(t)
	c := capture(t, perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "syscalls:sys_enter_getppid")}}, KeepSelf: true, Period: 100,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}, func() { calls(5000) })
	// Each thread and processor counts for itself.
	if n := len(c.records); n == 0 || n > 50 {
		t.Errorf("got %d records of 5000 calls, want about 50", n)
	}
}

func TestKernelFilter(t *testing.T) {
	testpriv.Need(t)
	c := capture(t, perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "raw_syscalls:sys_enter"), Filter: "id == 110"}}, KeepSelf: true,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}, func() { calls(300) })
	id := schema(t, "raw_syscalls:sys_enter").Field("id")
	for _, r := range c.records {
		if v, _ := id.Uint(r.Raw); v != 110 {
			t.Fatalf("got a record of call %d", v)
		}
	}
	if runtime.GOARCH == "amd64" && len(c.records) != 300 {
		t.Errorf("got %d records, want 300", len(c.records))
	}
	_, err := perfev.Open(perfev.Config{Events: []perfev.Event{{Schema: schema(t, "raw_syscalls:sys_enter"), Filter: "no_such == 1"}}})
	var fe *perfev.FilterError
	if !errors.As(err, &fe) || fe.Event != "raw_syscalls:sys_enter" {
		t.Errorf("bad filter: got %v, want a FilterError", err)
	}
}

func TestOneProcessor(t *testing.T) {
	testpriv.Need(t)
	c := capture(t, perfev.Config{Events: []perfev.Event{{Schema: schema(t, "sched:sched_switch")}}, KeepSelf: true, Target: perfev.Target{CPUs: []int{0}}},
		func() { time.Sleep(300 * time.Millisecond) })
	for _, r := range c.records {
		if r.CPU != 0 {
			t.Fatalf("got a record of cpu %d", r.CPU)
		}
	}
	if len(c.records) == 0 || c.backwards != 0 {
		t.Errorf("got %d records, %d of them earlier than the one before", len(c.records), c.backwards)
	}
}

func TestTimeOrderAcrossProcessors(t *testing.T) {
	testpriv.Need(t)
	c := capture(t, perfev.Config{Events: []perfev.Event{{Schema: schema(t, "sched:sched_switch")}, {Schema: schema(t, "sched:sched_wakeup")}}, KeepSelf: true}, func() {
		for range 30 {
			if err := exec.Command("true").Run(); err != nil {
				t.Error(err)
			}
		}
	})
	events, cpus := map[int]int{}, map[uint16]int{}
	for _, r := range c.records {
		events[r.Event]++
		cpus[r.CPU]++
	}
	if c.backwards != 0 || len(events) != 2 {
		t.Errorf("%d of %d records are earlier than the one before; by event %v, by cpu %v", c.backwards, len(c.records), events, cpus)
	}
}

func TestThreadsOfAProcess(t *testing.T) {
	testpriv.Need(t)
	// This process has several threads, and the pinned ones make calls of their own.
	c := capture(t, perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "syscalls:sys_enter_getppid")}}, KeepSelf: true,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}, func() {
		done := make(chan struct{})
		for range 3 {
			go func() {
				runtime.LockOSThread()
				calls(100)
				done <- struct{}{}
			}()
		}
		for range 3 {
			<-done
		}
	})
	tids := map[int32]int{}
	for _, r := range c.records {
		tids[r.TID]++
	}
	if len(c.records) != 300 || len(tids) < 3 {
		t.Errorf("got %d records of threads %v, want 300 of three", len(c.records), tids)
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	testpriv.Need(t)
	cfg := perfev.Config{Engine: perfev.EnginePerf, Events: []perfev.Event{{Schema: schema(t, "sched:sched_switch")}, {Schema: schema(t, "irq:softirq_entry")}}}
	capture(t, cfg, func() {}) // what the runtime opens for itself
	before, routines := openFiles(t), runtime.NumGoroutine()
	for range 5 {
		capture(t, cfg, func() { time.Sleep(10 * time.Millisecond) })
		// An open that fails in the middle closes what it had.
		bad := cfg
		bad.Events = append(bad.Events[:2:2], perfev.Event{Schema: schema(t, "irq_vectors:irq_work_exit")})
		if _, err := perfev.Open(bad); err == nil {
			t.Fatal("an event that may not be sampled was opened")
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("open files: got %d, want %d", after, before)
	}
	time.Sleep(20 * time.Millisecond)
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("goroutines: got %d, want %d", n, routines)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	ents, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(ents)
}

func TestOpenErrors(t *testing.T) {
	testpriv.Need(t)
	sw := perfev.Event{Schema: schema(t, "sched:sched_switch")}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cfg  perfev.Config
	}{
		{"no event", perfev.Config{}},
		{"the same twice", perfev.Config{Events: []perfev.Event{sw, sw}}},
		{"no such process", perfev.Config{Events: []perfev.Event{sw}, Target: perfev.Target{PIDs: []int{gone.Process.Pid}}}},
		{"no such thread", perfev.Config{Events: []perfev.Event{sw}, Target: perfev.Target{TIDs: []int{gone.Process.Pid}}}},
		{"no such processor", perfev.Config{Events: []perfev.Event{sw}, Target: perfev.Target{CPUs: []int{8000}}}},
		{"ring too large", perfev.Config{Events: []perfev.Event{sw}, RingBytes: 4 << 30}},
	}
	for _, tt := range tests {
		if src, err := perfev.Open(tt.cfg); err == nil {
			t.Errorf("%s: no error", tt.name)
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if perfev.Alive(gone.Process.Pid) || !perfev.Alive(os.Getpid()) {
		t.Errorf("Alive: got %v for %s, %v for this process", perfev.Alive(gone.Process.Pid), strconv.Itoa(gone.Process.Pid), perfev.Alive(os.Getpid()))
	}
}
