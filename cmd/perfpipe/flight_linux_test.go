package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// flightRun is the binary as it runs, with what it says.
type flightRun struct {
	t   *testing.T
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

// Write implements io.Writer for standard error.
func (f *flightRun) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.Write(b)
}

func (f *flightRun) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out.String()
}

// startRecord starts record and waits until its events are on.
func startRecord(t *testing.T, args ...string) *flightRun {
	t.Helper()
	f := &flightRun{t: t, cmd: exec.Command(binary, args...)}
	f.cmd.Dir, f.cmd.Stderr = t.TempDir(), f
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if f.cmd.ProcessState == nil {
			_ = f.cmd.Process.Kill()
			_ = f.cmd.Wait()
		}
	})
	f.wait("the rings keep the latest")
	return f
}

// wait waits until it says text.
func (f *flightRun) wait(text string) {
	f.t.Helper()
	for end := time.Now().Add(60 * time.Second); !strings.Contains(f.said(), text); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("it does not say %q:\n%s", text, f.said())
		}
	}
}

func (f *flightRun) signal(s os.Signal) {
	f.t.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}

// end ends it as Ctrl-C does.
func (f *flightRun) end() result {
	f.t.Helper()
	f.signal(syscall.SIGINT)
	// How it ended stands in the state.
	_ = f.cmd.Wait()
	return result{stderr: f.said(), status: f.cmd.ProcessState.ExitCode()}
}

// table reads a table of a dataset.
func table(t *testing.T, dir, name string) []row {
	t.Helper()
	r := invoke(t, "cat", "--format", "ndjson", "--table", name, dir)
	r.want(t, 0)
	return readRows(t, r.stdout)
}

// partRows are the rows of each file of a table, in the order of the files.
func partRows(t *testing.T, dir, name string) (list []int64) {
	t.Helper()
	var m struct {
		Files []struct {
			Table string
			Rows  int64
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "manifest.json"))), &m); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		if f.Table == name {
			list = append(list, f.Rows)
		}
	}
	return list
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano()
}

func getppids(n int) {
	for range n {
		syscall.Getppid()
	}
}

func flightEngines(t *testing.T, test func(t *testing.T, engine string)) {
	testpriv.Need(t)
	for _, e := range []string{"perf", "ftrace"} {
		t.Run(e, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			test(t, e)
		})
	}
}

var onlyGetppid = "id == " + strconv.Itoa(syscall.SYS_GETPPID)

// TestFlightDumps has rings that are overwritten many times dumped twice by a signal and
// at the end, each into files of its own, and every call accounted for.
func TestFlightDumps(t *testing.T) { flightEngines(t, flightDumps) }

func flightDumps(t *testing.T, engine string) {
	dir := filepath.Join(t.TempDir(), "out")
	f := startRecord(t, "record", "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", onlyGetppid,
		"-p", strconv.Itoa(os.Getpid()), "--overwrite", "-m", "64K", "--switch-output", "--fail-on-loss", "-o", dir)
	const first, second, third = 50_000, 100_000, 100
	getppids(first)
	f.signal(syscall.SIGUSR2)
	f.wait("dump 1: SIGUSR2: ")
	getppids(second)
	f.signal(syscall.SIGUSR2)
	f.wait("dump 2: SIGUSR2: ")
	getppids(third)
	r := f.end()
	r.want(t, 0, "dump 3: the end: ", "(0 lost, ")

	rows := table(t, dir, "raw_syscalls.sys_enter")
	missing := int64(0)
	for _, l := range table(t, dir, "_lost") {
		if why := l.text("reason"); why != "overwritten" && why != "paused" || l.text("event") != "raw_syscalls:sys_enter" {
			t.Errorf("lost: %v", l)
		}
		if l.num("from_ts") > l.num("to_ts") {
			t.Errorf("a loss ends before it begins: %v", l)
		}
		missing += l.num("count")
	}
	if got := int64(len(rows)) + missing; got != first+second+third {
		t.Errorf("got %d rows + %d that are accounted for = %d, want %d", len(rows), missing, got, first+second+third)
	}
	if missing < first/2 {
		t.Errorf("the rings were not overwritten: %d rows of %d calls", len(rows), first+second+third)
	}
	for i := range rows {
		if i > 0 && rows[i].num("ts") <= rows[i-1].num("ts") {
			t.Fatalf("row %d: ts %d is not after %d", i, rows[i].num("ts"), rows[i-1].num("ts"))
		}
	}
	dumps := table(t, dir, "_dumps")
	if len(dumps) != 3 {
		t.Fatalf("got %d dumps, want 3: %v", len(dumps), dumps)
	}
	parts := partRows(t, dir, "raw_syscalls.sys_enter")
	at := 0
	for i, d := range dumps {
		n := int(d.num("rows"))
		if want := []string{"signal", "signal", "exit"}[i]; d.text("reason") != want || n == 0 || at+n > len(rows) {
			t.Fatalf("dump %d: got %v, want rows and the reason %s", i, d, want)
		}
		if d.num("from_ts") != rows[at].num("ts") || d.num("to_ts") != rows[at+n-1].num("ts") {
			t.Errorf("dump %d: got %v, its rows are from %d to %d", i, d, rows[at].num("ts"), rows[at+n-1].num("ts"))
		}
		at += n
		if i < len(parts) && parts[i] != int64(n) {
			t.Errorf("file %d has %d rows, its dump %d", i, parts[i], n)
		}
	}
	if len(parts) != 3 {
		t.Errorf("the rows are in %d files, want one a dump", len(parts))
	}
	if got := dumps[2].num("rows"); got != third {
		t.Errorf("the last dump has %d rows, want %d", got, third)
	}
	noLeftovers(t, dir)
}

// TestFlightTrigger makes calls all the time and now and then the one that is the
// trigger: each time the calls around it are there, all of them, and no others.
func TestFlightTrigger(t *testing.T) { flightEngines(t, flightTrigger) }

func flightTrigger(t *testing.T, engine string) {
	const before, after = 300 * time.Millisecond, 200 * time.Millisecond
	dir := filepath.Join(t.TempDir(), "out")
	both := fmt.Sprintf("id == %d || id == %d", syscall.SYS_GETPPID, syscall.SYS_GETPGID)
	f := startRecord(t, "record", "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", both,
		"-p", strconv.Itoa(os.Getpid()), "--overwrite", "--trigger", "id == "+strconv.Itoa(syscall.SYS_GETPGID),
		"--before", before.String(), "--after", after.String(), "-o", dir)
	var times, triggers []int64
	run := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
			times = append(times, monotonic(t))
			syscall.Getppid()
		}
	}
	trigger := func() {
		triggers = append(triggers, monotonic(t))
		_, _ = syscall.Getpgid(0)
	}
	run(600 * time.Millisecond)
	trigger()
	run(50 * time.Millisecond)
	_, _ = syscall.Getpgid(0) // within the first one's time: it asks for nothing
	run(150 * time.Millisecond)
	f.wait("dump 1: trigger raw_syscalls:sys_enter on cpu ")
	run(800 * time.Millisecond)
	trigger()
	run(250 * time.Millisecond)
	f.wait("dump 2: trigger raw_syscalls:sys_enter on cpu ")
	run(600 * time.Millisecond)
	end := monotonic(t)
	f.end().want(t, 0, "dump 3: the end: ")

	rows, dumps := table(t, dir, "raw_syscalls.sys_enter"), table(t, dir, "_dumps")
	if len(dumps) != 3 {
		t.Fatalf("got %d dumps, want 3: %v\n%s", len(dumps), dumps, f.said())
	}
	at := 0
	for i, d := range dumps {
		from, to := d.num("ts")-int64(before), d.num("ts")+int64(after)
		if i == 2 {
			to = d.num("ts")
			if d.num("ts") < end {
				t.Errorf("the end is at %d, before %d", d.num("ts"), end)
			}
		} else if near := d.num("ts") - triggers[i]; near < 0 || near > int64(50*time.Millisecond) {
			t.Errorf("dump %d: the trigger is at %d, the call was at %d", i, d.num("ts"), triggers[i])
		}
		n := int(d.num("rows"))
		if at+n > len(rows) {
			t.Fatalf("dumps have more rows than there are: %v", dumps)
		}
		got := 0
		for _, r := range rows[at : at+n] {
			if ts := r.num("ts"); ts < from || ts > to {
				t.Errorf("dump %d: a row of %d is not between %d and %d", i, ts, from, to)
			}
			if r.num("id") == syscall.SYS_GETPPID {
				got++
			}
		}
		at += n
		// The call follows the reading of the clock by microseconds, or, where the thread
		// is held up, by more: the ends may be one off, the middle not.
		want := 0
		for _, ts := range times {
			if ts >= from && ts <= to {
				want++
			}
		}
		if got < want-1 || got > want+1 {
			t.Errorf("dump %d: got %d calls, want %d", i, got, want)
		}
	}
	if at != len(rows) {
		t.Errorf("%d rows are of no dump", len(rows)-at)
	}
	total := int64(len(rows))
	for _, l := range table(t, dir, "_lost") {
		total += l.num("count")
	}
	if want := int64(len(times) + 3); total != want {
		t.Errorf("got %d rows and what is accounted for, want %d", total, want)
	}
}

// TestFlightMemory samples the memory of a recorder that looks at everything.
func TestFlightMemory(t *testing.T) {
	flightEngines(t, func(t *testing.T, engine string) {
		dir := filepath.Join(t.TempDir(), "out")
		f := startRecord(t, "record", "--engine", engine, "-e", "raw_syscalls:*,sched:*", "-a", "--overwrite", "-m", "2M", "-o", dir)
		most := 0
		for i := range 12 {
			getppids(100_000)
			if i%4 == 3 {
				f.signal(syscall.SIGUSR2)
				f.wait(fmt.Sprintf("dump %d: ", i/4+1))
			}
			if err := exec.Command("/bin/true").Run(); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))) {
				var kb int
				if n, _ := fmt.Sscanf(line, "VmRSS: %d", &kb); n == 1 {
					most = max(most, kb)
				}
			}
		}
		f.end().want(t, 0)
		t.Logf("at most %d KiB", most)
		if most == 0 || most > 150<<10 {
			t.Errorf("it took %d KiB, want at most 150 MiB", most)
		}
	})
}

func TestFlightRefusals(t *testing.T) {
	testpriv.Need(t)
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"trigger alone", "it needs overwrite", []string{"--trigger", "prev_pid == 1"}},
		{"before alone", "it needs overwrite", []string{"--before", "1s"}},
		{"after alone", "it needs trigger", []string{"--overwrite", "--after", "1s"}},
		{"negative", "must not be negative", []string{"--overwrite", "--before", "-1s"}},
		{"period", "could not be counted", []string{"--overwrite", "-c", "10"}},
		{"rotation by time", "rotate by signal", []string{"--overwrite", "--switch-output=10s"}},
		{"bpf", "cannot overwrite what was not read", []string{"--overwrite", "--engine", "bpf"}},
		{"no such field", "did you mean prev_pid?", []string{"--overwrite", "--trigger", "prev_pit == 1"}},
		{"bad words", "--trigger", []string{"--overwrite", "--trigger", "prev_pid =="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := invoke(t, append(append([]string{"record", "-e", "sched:sched_switch"}, c.args...), "true")...)
			if want := []int{exitUsage, exitRuntime}; !slices.Contains(want, r.status) || !strings.Contains(r.stderr, c.want) {
				t.Errorf("got status %d, want one of %v and %q in\n%s", r.status, want, c.want, r.stderr)
			}
		})
	}
}

func TestFlightJob(t *testing.T) {
	testpriv.Need(t)
	job := filepath.Join(t.TempDir(), "job.yaml")
	write := func(text string) {
		if err := os.WriteFile(job, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	write(`events: [sched:sched_process_exec, sched:sched_process_exit]
overwrite: true
trigger: comm == "true"
before: 10s
after: 10ms
target:
  command: sh -c 'sleep 0.05; /bin/true; sleep 0.3'
outputs: [` + dir + `]
`)
	invoke(t, "check", job).want(t, 0)
	invoke(t, "run", job).want(t, 0, "dump 1: trigger sched:sched_process_ex", "the end: ")
	found := false
	for _, r := range table(t, dir, "sched.sched_process_exec") {
		found = found || r.text("comm") == "true"
	}
	if !found {
		t.Error("the exec that was the trigger is not there")
	}
	write("events: [sched:sched_switch]\noverwrite: true\ntrigger: next_comm == \"x\" && next_pit == 3\n")
	r := invoke(t, "check", job)
	if r.status != exitJob || !strings.Contains(r.stdout+r.stderr, ":3:30: ") {
		t.Errorf("check: status %d, want %d and the place 3:30:\n%s%s", r.status, exitJob, r.stdout, r.stderr)
	}
	write("events: [sched:sched_switch]\nbefore: 1s\n")
	r = invoke(t, "check", job)
	if r.status != exitJob || !strings.Contains(r.stdout+r.stderr, ":2:9: ") {
		t.Errorf("check: status %d, want %d and the place 2:9:\n%s%s", r.status, exitJob, r.stdout, r.stderr)
	}
}
