package perfev_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
)

// lostBy adds up losses of a reason.
func (c *tally) lostBy(reason string) (n uint64) {
	for _, l := range c.losses {
		if l.Reason == reason {
			n += l.Count
		}
	}
	return n
}

// recorder is a flight recorder that is open and on.
type recorder struct {
	*perfev.Source
	t *testing.T
	tally
	dumps []perfpipe.Dump
}

// flightEngines are those that can be a flight recorder.
func flightEngines(t *testing.T, test func(t *testing.T, e perfev.Engine)) {
	for _, e := range []perfev.Engine{perfev.EnginePerf, perfev.EngineFtrace} {
		t.Run(string(e), func(t *testing.T) { test(t, e) })
	}
}

func startFlight(t *testing.T, cfg perfev.Config) *recorder {
	t.Helper()
	testpriv.Need(t)
	cfg.Overwrite = true
	src, err := perfev.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := src.Start(); err != nil {
		t.Fatal(err)
	}
	return &recorder{Source: src, t: t}
}

// read reads once, and reports whether there may be more.
func (r *recorder) read() bool {
	r.t.Helper()
	err := r.Read(0, &r.tally)
	if d, ok := r.Dumped(); ok {
		r.dumps = append(r.dumps, d)
	}
	if errors.Is(err, io.EOF) {
		return false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return true
}

// dump has the rings handed out.
func (r *recorder) dump() {
	r.t.Helper()
	if err := r.Dump(); err != nil {
		r.t.Fatal(err)
	}
	for n := len(r.dumps); len(r.dumps) == n; {
		r.read()
	}
}

func (r *recorder) end() {
	r.t.Helper()
	if err := r.Stop(); err != nil {
		r.t.Fatal(err)
	}
	for r.read() {
	}
}

// TestFlightCounts overflows small rings many times, dumps while the load runs and
// after it, and wants every event to be a record or counted.
func TestFlightCounts(t *testing.T) { flightEngines(t, flightCounts) }

func flightCounts(t *testing.T, e perfev.Engine) {
	sys := schema(t, "raw_syscalls:sys_enter")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 200_000
	r := startFlight(t, perfev.Config{
		Engine: e, RingBytes: 64 << 10, KeepSelf: true,
		Events: []perfev.Event{{Schema: sys, Filter: "id == " + strconv.Itoa(syscall.SYS_GETPPID)}},
		Target: perfev.Target{TIDs: []int{syscall.Gettid()}, NoInherit: true},
	})
	calls(n)
	r.read()
	if len(r.records) != 0 {
		t.Errorf("%d records without a dump", len(r.records))
	}
	r.dump()
	first := len(r.records)
	if first == 0 {
		t.Fatal("the first dump is empty")
	}
	r.dump()
	if len(r.records) != first {
		t.Errorf("a dump with nothing new has %d records", len(r.records)-first)
	}
	calls(10)
	r.dump()
	if got := len(r.records) - first; got != 10 {
		t.Errorf("dump after 10 calls: got %d records", got)
	}
	calls(n)
	r.end()
	over, paused := r.lostBy(perfpipe.LostOverwritten), r.lostBy(perfpipe.LostPaused)
	if got := uint64(len(r.records)) + over + paused; got != 2*n+10 {
		t.Errorf("got %d records + %d overwritten + %d paused = %d, want %d", len(r.records), over, paused, got, 2*n+10)
	}
	if r.lost != over+paused || over == 0 {
		t.Errorf("losses: %v", r.losses)
	}
	if r.backwards > 0 {
		t.Errorf("%d records are older than the one before", r.backwards)
	}
	for i, want := range []string{perfpipe.DumpSignal, perfpipe.DumpSignal, perfpipe.DumpSignal, perfpipe.DumpExit} {
		if len(r.dumps) <= i || r.dumps[i].Reason != want {
			t.Fatalf("dumps: got %+v, want number %d for %s", r.dumps, i+1, want)
		}
	}
}

// TestFlightPaused dumps while another process makes calls as fast as it can.
func TestFlightPaused(t *testing.T) { flightEngines(t, flightPaused) }

func flightPaused(t *testing.T, e perfev.Engine) {
	sys := schema(t, "raw_syscalls:sys_enter")
	const n = 1_500_000
	load := exec.Command(os.Args[0], "-test.run=^TestFlightLoad$")
	load.Env = append(os.Environ(), "PERFPIPE_FLIGHT_LOAD="+strconv.Itoa(n))
	in, err := load.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()
	r := startFlight(t, perfev.Config{
		Engine: e, RingBytes: 256 << 10,
		Events: []perfev.Event{{Schema: sys, Filter: "id == " + strconv.Itoa(syscall.SYS_GETPPID)}},
		Target: perfev.Target{PIDs: []int{load.Process.Pid}},
	})
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
			r.dump()
		}
	}
	r.end()
	over, paused := r.lostBy(perfpipe.LostOverwritten), r.lostBy(perfpipe.LostPaused)
	t.Logf("%d dumps: %d records + %d overwritten + %d paused", len(r.dumps), len(r.records), over, paused)
	if got := uint64(len(r.records)) + over + paused; got != n {
		t.Errorf("got %d records + %d overwritten + %d paused = %d, want %d", len(r.records), over, paused, got, n)
	}
	if (paused > 0) != (e == perfev.EnginePerf) {
		t.Errorf("%d came while the rings were read", paused)
	}
	if over == 0 {
		t.Error("nothing was overwritten")
	}
	if r.lost != over+paused || r.backwards > 0 {
		t.Errorf("losses %v, %d backwards", r.losses, r.backwards)
	}
}

// TestFlightLoad is the load of others: so many getppid calls once a line was read.
func TestFlightLoad(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("PERFPIPE_FLIGHT_LOAD"))
	if err != nil {
		return
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	calls(n)
}

// TestFlightNames wants records of processes that ended long before the dump to bear
// their names.
func TestFlightNames(t *testing.T) { flightEngines(t, flightNames) }

func flightNames(t *testing.T, e perfev.Engine) {
	exec1 := schema(t, "sched:sched_process_exec")
	exit := schema(t, "sched:sched_process_exit")
	r := startFlight(t, perfev.Config{
		Engine: e,
		Events: []perfev.Event{{Schema: exec1}, {Schema: exit}},
	})
	pids := make(map[int32]bool)
	for range 20 {
		cmd := exec.Command("/bin/true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		pids[int32(cmd.Process.Pid)] = true
		r.read()
	}
	r.end()
	seen := 0
	for _, rec := range r.records {
		if !pids[rec.PID] {
			continue
		}
		seen++
		if rec.Comm != "true" || rec.TID != rec.PID {
			t.Errorf("event %d of pid %d, tid %d: comm %q", rec.Event, rec.PID, rec.TID, rec.Comm)
		}
		if k := r.byTID[rec.TID]; k.Exe != "/usr/bin/true" && k.Exe != "/bin/true" && k.Exe != "" {
			t.Errorf("executable of %d: %q", rec.TID, k.Exe)
		}
	}
	if want := 2 * len(pids); seen != want {
		t.Errorf("got %d records of the %d processes, want %d", seen, len(pids), want)
	}
	if n := r.EarlyTasks(); n != 0 {
		t.Errorf("%d task records took effect early", n)
	}
}
