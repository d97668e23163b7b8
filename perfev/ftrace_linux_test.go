//go:build linux

package perfev_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// traceOf is what an instance records of one event for this process.
func traceOf(t *testing.T, event string) perfev.Config {
	t.Helper()
	return perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, event)}}, KeepSelf: true, Engine: perfev.EngineFtrace,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}
}

func TestTraceEveryCallOfThisProcess(t *testing.T) {
	testpriv.Need(t)
	cfg := traceOf(t, "syscalls:sys_enter_getppid")
	c := capture(t, cfg, func() { calls(5000) })
	if len(c.records) != 5000 || c.lost != 0 {
		t.Errorf("got %d records, %d lost, want 5000, 0", len(c.records), c.lost)
	}
	for _, r := range c.records {
		if r.PID != int32(os.Getpid()) {
			t.Fatalf("pid: got %d, want %d", r.PID, os.Getpid())
		}
	}
	if c.tasks == 0 || c.backwards != 0 {
		t.Errorf("%d tasks were handed over at the end, %d records are earlier than the one before", c.tasks, c.backwards)
	}
	cfg.KeepSelf = false
	if c := capture(t, cfg, func() { calls(100) }); len(c.records) != 0 {
		t.Errorf("own records: got %d, want none", len(c.records))
	}
}

// What found no room in a ring that is much too small is counted, to the last record.
func TestTraceLossIsExact(t *testing.T) {
	testpriv.Need(t)
	for _, size := range []int{4 << 10, 64 << 10, 512 << 10} {
		cfg := traceOf(t, "syscalls:sys_enter_getppid")
		cfg.RingBytes = size
		src, err := perfev.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		if err := src.Start(); err != nil {
			t.Fatal(err)
		}
		c := &tally{}
		read := func() error {
			err := src.Read(0, c)
			if err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return err
		}
		const rounds, each = 5, 40000
		for range rounds {
			calls(each) // nobody reads meanwhile
			for range 3 {
				read()
			}
		}
		if err := src.Stop(); err != nil {
			t.Fatal(err)
		}
		for read() == nil {
		}
		if got := uint64(len(c.records)) + c.lost; got != rounds*each || c.lost == 0 || len(c.records) == 0 {
			t.Errorf("ring of %d KiB: %d records and %d lost are %d, want %d", size>>10, len(c.records), c.lost, got, rounds*each)
		}
		for _, l := range c.losses {
			if l.Event != "syscalls:sys_enter_getppid" || l.Reason != perfpipe.LostRing || l.From >= l.To || l.From == 0 {
				t.Errorf("ring of %d KiB: got loss %+v", size>>10, l)
			}
		}
	}
}

func TestTraceFilter(t *testing.T) {
	testpriv.Need(t)
	cfg := traceOf(t, "raw_syscalls:sys_enter")
	cfg.Events[0].Filter = "id == 110"
	c := capture(t, cfg, func() { calls(300) })
	id := cfg.Events[0].Schema.Field("id")
	for _, r := range c.records {
		if v, _ := id.Uint(r.Raw); v != 110 {
			t.Fatalf("got a record of call %d", v)
		}
	}
	if runtime.GOARCH == "amd64" && len(c.records) != 300 {
		t.Errorf("got %d records, want 300", len(c.records))
	}
	for _, bad := range []string{"no_such == 1", strings.Repeat("id == 110 || ", 400) + "id == 1"} {
		cfg.Events[0].Filter = bad
		_, err := perfev.Open(cfg)
		var fe *perfev.FilterError
		if !errors.As(err, &fe) || fe.Event != "raw_syscalls:sys_enter" {
			t.Errorf("filter of %d bytes: got %v, want a FilterError", len(bad), err)
		}
	}
}

func TestTraceOneProcessor(t *testing.T) {
	testpriv.Need(t)
	c := capture(t, perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "sched:sched_switch")}, {Schema: schema(t, "sched:sched_wakeup")}},
		Engine: perfev.EngineFtrace, KeepSelf: true, Target: perfev.Target{CPUs: []int{0}},
	}, func() {
		for range 30 {
			if err := exec.Command("true").Run(); err != nil {
				t.Error(err)
			}
		}
	})
	for _, r := range c.records {
		if r.CPU != 0 {
			t.Fatalf("got a record of cpu %d", r.CPU)
		}
	}
	if len(c.records) == 0 || c.backwards != 0 {
		t.Errorf("got %d records, %d of them earlier than the one before", len(c.records), c.backwards)
	}
}

// Records of all processors come in order of time, at a rate at which the rings are
// read while they are written.
func TestTraceOrderUnderLoad(t *testing.T) {
	testpriv.Need(t)
	cfg := perfev.Config{Engine: perfev.EngineFtrace, KeepSelf: true}
	for _, ev := range []string{"raw_syscalls:sys_enter", "raw_syscalls:sys_exit", "sched:sched_switch", "sched:sched_waking", "irq:softirq_entry", "timer:hrtimer_start"} {
		cfg.Events = append(cfg.Events, perfev.Event{Schema: schema(t, ev)})
	}
	c := capture(t, cfg, func() {
		done := make(chan struct{})
		for range 2 {
			go func() {
				calls(150000)
				done <- struct{}{}
			}()
		}
		<-done
		<-done
	})
	own := 0
	for _, r := range c.records {
		if r.Event < 2 && r.PID == int32(os.Getpid()) {
			own++
		}
	}
	if c.backwards != 0 || uint64(own)+c.lost < 600000 {
		t.Errorf("%d of %d records are earlier than the one before, %d are calls of this process, %d lost", c.backwards, len(c.records), own, c.lost)
	}
}

// Threads and processes that the target makes later are recorded as perf has them.
func TestTraceFollowsWhatIsMade(t *testing.T) {
	testpriv.Need(t)
	sh := testpriv.NeedTool(t, "sh")
	const script = "read a; for i in 1 2 3 4 5; do (exec sh -c 'kill -0 $$; kill -0 $$'); kill -0 $$; done; read a"
	got := map[perfev.Engine]int{}
	for _, engine := range []perfev.Engine{perfev.EnginePerf, perfev.EngineFtrace} {
		cmd := exec.Command(sh, "-c", script)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c := capture(t, perfev.Config{
			Events: []perfev.Event{{Schema: schema(t, "syscalls:sys_enter_kill")}}, Engine: engine, Target: perfev.Target{PIDs: []int{cmd.Process.Pid}},
		}, func() {
			_, _ = in.Write([]byte("go\ngo\n"))
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
		got[engine] = len(c.records)
	}
	if got[perfev.EngineFtrace] != 15 || got[perfev.EnginePerf] != 15 {
		t.Errorf("got %v records, want 15 of each", got)
	}
}

// A thread is recorded alone, without its neighbours, and what it makes unless that is
// not wanted.
func TestTraceThread(t *testing.T) {
	testpriv.Need(t)
	dash := testpriv.NeedTool(t, "dash")
	for _, tt := range []struct {
		name  string
		alone bool
		want  int
	}{{"with what it makes", false, 104}, {"alone", true, 100}} {
		cfg := traceOf(t, "syscalls:sys_enter_getppid")
		cfg.Target = perfev.Target{NoInherit: tt.alone}
		tid, start, done := make(chan int), make(chan struct{}), make(chan struct{})
		go func() {
			runtime.LockOSThread()
			tid <- syscall.Gettid()
			<-start
			calls(100)
			// dash asks for its parent once as it starts.
			for range 4 {
				if err := exec.Command(dash, "-c", "true").Run(); err != nil {
					t.Error(err)
				}
			}
			close(done)
		}()
		cfg.Target.TIDs = []int{<-tid}
		c := capture(t, cfg, func() {
			calls(50)
			close(start)
			<-done
		})
		if len(c.records) != tt.want {
			t.Errorf("%s: got %d records, want %d", tt.name, len(c.records), tt.want)
		}
	}
}

// The events of a command begin with its execve, as perf's do.
func TestTraceCommand(t *testing.T) {
	testpriv.Need(t)
	got := map[perfev.Engine][]int64{}
	id := schema(t, "raw_syscalls:sys_exit").Field("id")
	for _, engine := range []perfev.Engine{perfev.EnginePerf, perfev.EngineFtrace} {
		// The shell waits for a line before it becomes the command.
		cmd := exec.Command("sh", "-c", "read a; exec true")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c := capture(t, perfev.Config{
			Events: []perfev.Event{{Schema: schema(t, "raw_syscalls:sys_exit")}}, Engine: engine,
			Target: perfev.Target{PIDs: []int{cmd.Process.Pid}, EnableOnExec: true},
		}, func() {
			_, _ = in.Write([]byte("go\n"))
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
		for _, r := range c.records {
			v, _ := id.Uint(r.Raw)
			got[engine] = append(got[engine], int64(v))
		}
	}
	if !slices.Equal(got[perfev.EnginePerf], got[perfev.EngineFtrace]) || len(got[perfev.EngineFtrace]) == 0 {
		t.Errorf("calls by perf: %v\nby ftrace:     %v", got[perfev.EnginePerf], got[perfev.EngineFtrace])
	}
}

// instances lists the instances of this process.
func instances(t *testing.T) []string {
	t.Helper()
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(fs.Path(), "instances", fmt.Sprintf("perfpipe_%d_*", os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTraceLeavesNothing(t *testing.T) {
	testpriv.Need(t)
	cfg := perfev.Config{Engine: perfev.EngineFtrace, Events: []perfev.Event{{Schema: schema(t, "sched:sched_switch")}, {Schema: schema(t, "irq:softirq_entry")}}}
	capture(t, cfg, func() {})
	before, routines := openFiles(t), runtime.NumGoroutine()
	for range 3 {
		capture(t, cfg, func() { time.Sleep(10 * time.Millisecond) })
		bad := cfg
		bad.Events = append(bad.Events[:2:2], perfev.Event{Schema: schema(t, "sched:sched_waking"), Filter: "none == 1"})
		if _, err := perfev.Open(bad); err == nil {
			t.Fatal("a filter of no field was taken")
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("open files: got %d, want %d", after, before)
	}
	if list := instances(t); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	time.Sleep(20 * time.Millisecond)
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("goroutines: got %d, want %d", n, routines)
	}
}

// Where ftrace cannot have an event, perf takes it; unless ftrace was named.
func TestTraceGivesUp(t *testing.T) {
	testpriv.Need(t)
	cfg := traceOf(t, "sched:sched_switch")
	cfg.CallChain.Kernel = true
	if _, err := perfev.Open(cfg); err == nil || !strings.Contains(err.Error(), "ftrace") {
		t.Errorf("call chains by ftrace: got %v", err)
	}
}

// A probe is recorded by the kernel's name of it, whatever its schema is called, beside
// events that perf records, in one order of time.
func TestTraceOfAProbe(t *testing.T) {
	p := compile(t, `
#include <stdio.h>
__attribute__((noinline)) int work(int n, const char *s) { __asm__ volatile(""); return n + s[0]; }
int main(void) { int t = 0; getchar(); for (int i = 0; i < 100; i++) t += work(i, "hello"); printf("%d\n", t); return 0; }
`, "-O1")
	sc := *p.probe(t, "p work work n=%di:s32 s=+0(%si):string")[0]
	sc.System, sc.Name = "uprobe", "target:work"
	cmd := exec.Command(p.path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := capture(t, perfev.Config{
		Events: []perfev.Event{{Schema: &sc, User: true, Filter: "n > 9"}}, Engine: perfev.EngineFtrace,
		Target: perfev.Target{PIDs: []int{cmd.Process.Pid}},
	}, func() {
		_, _ = in.Write([]byte("\n"))
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	n := sc.Field("n")
	for i, r := range c.records {
		if v, _ := n.Uint(r.Raw); v != uint64(i+10) {
			t.Fatalf("record %d: n is %d, want %d", i, v, i+10)
		}
	}
	if len(c.records) != 90 || c.lost != 0 {
		t.Errorf("got %d records, %d lost, want 90, 0", len(c.records), c.lost)
	}
}

// Of events some of which only perf may count, each has the engine that it can have,
// and all records come in one order of time.
func TestTraceBesideOthers(t *testing.T) {
	testpriv.Need(t)
	// Only what the kernel filters is ftrace's of its own accord.
	cfg := perfev.Config{KeepSelf: true, Events: []perfev.Event{
		{Schema: schema(t, "syscalls:sys_enter_getppid"), Filter: fmt.Sprintf("common_pid != %d", os.Getppid())},
		{Schema: schema(t, "sched:sched_switch")},
	}}
	src, err := perfev.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	first, second := src.Choice(0).Engine, src.Choice(1).Engine
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if first != perfev.EngineFtrace || second == perfev.EngineFtrace {
		t.Errorf("engines: got %q and %q, want ftrace and another", first, second)
	}
	c := capture(t, cfg, func() {
		for range 50 {
			calls(20)
			time.Sleep(time.Millisecond)
		}
	})
	events := map[int]int{}
	for _, r := range c.records {
		if r.Event == 1 || r.PID == int32(os.Getpid()) {
			events[r.Event]++
		}
	}
	if events[0] != 1000 || events[1] == 0 || c.backwards != 0 {
		t.Errorf("got %v records, %d earlier than the one before", events, c.backwards)
	}
}

// What a killed process left is taken away by the next.
func TestTraceSweeps(t *testing.T) {
	testpriv.Need(t)
	testpriv.Lock(t) // another test's sweep would take it first
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := fs.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	// Ours but for the pid and its time, which no process can have.
	part := strings.Split(filepath.Base(in.Name()), "_")
	part[1], part[2] = fmt.Sprint(1<<30), "1"
	dead := filepath.Join(fs.Path(), "instances", strings.Join(part, "_"))
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dead)
	if err := os.WriteFile(filepath.Join(dead, "events/sched/sched_switch/enable"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	capture(t, traceOf(t, "syscalls:sys_enter_getppid"), func() {})
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dead, err)
	}
}
