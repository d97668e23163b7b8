//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
)

// hotplugEnv has the tests that take a processor offline run. Afterwards Linux 6.18 keeps
// every perf event from that processor's idle task until the next boot, if one was being
// taken as it went (perf's guard against recursion stays set): no test may leave a
// machine so that was not asked to.
const hotplugEnv = "PERFPIPE_TEST_HOTPLUG"

// hotCPU returns a processor that can be taken offline, and ends the test where there
// is none: the first one never can.
func hotCPU(t *testing.T) (cpu int, set func(online string)) {
	t.Helper()
	if os.Getenv(hotplugEnv) != "1" {
		t.Skipf("takes a processor offline, after which perf may not see its idle task until the next boot: set %s=1", hotplugEnv)
	}
	cpus, err := perfev.OnlineCPUs()
	if err != nil {
		t.Fatal(err)
	}
	for _, cpu := range cpus {
		path := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/online", cpu)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if cpu == 0 || err != nil {
			continue
		}
		_ = f.Close()
		t.Cleanup(func() {
			if err := os.WriteFile(path, []byte("1"), 0); err != nil {
				t.Errorf("bring cpu %d back: %v", cpu, err)
			}
		})
		return cpu, func(online string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(online), 0); err != nil {
				t.Fatalf("set %s to %s: %v", path, online, err)
			}
		}
	}
	t.Skip("cannot run here: no processor can be taken offline")
	return 0, nil
}

// callOn calls getppid on a processor, with a mark that tells the call from others'.
func callOn(t *testing.T, cpu int, mark uintptr) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatalf("run on cpu %d: %v", cpu, err)
	}
	syscall.RawSyscall(syscall.SYS_GETPPID, mark, 0, 0)
	if err := unix.SchedSetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
}

// marked reports whether a row is of a call with that mark.
func marked(x row, mark int) bool {
	args, _ := x["args"].([]any)
	return len(args) > 0 && fmt.Sprint(args[0]) == fmt.Sprint(mark)
}

// ndjsonTable reads a table of a dataset of ndjson.
func ndjsonTable(t *testing.T, dataset, table string) (rows []row) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataset, table, "*.ndjson"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of %s: %v", table, err)
	}
	for _, f := range files {
		rows = append(rows, readRows(t, readFile(t, f))...)
	}
	return rows
}

// TestProcessorGoesAndComes takes a processor offline twice, once for so short a time
// that its absence is not seen.
func TestProcessorGoesAndComes(t *testing.T) {
	testpriv.Alone(t)
	cpu, set := hotCPU(t)
	eachEngine(t, func(t *testing.T, engine string) {
		for _, tt := range []struct {
			name  string
			scope []string
			gaps  bool
		}{
			{"every task", []string{"-a"}, engine == "perf"},
			{"a process", []string{"-p", fmt.Sprint(os.Getpid())}, false},
		} {
			t.Run(tt.name, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "d")
				args := append([]string{"record", "--fail-on-loss", "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", "id == 110 && args[0] >= 4001 && args[0] <= 4004", "-o", "-", "--format", "ndjson", "-o", out}, tt.scope...)
				r := start(t, args...)
				// seen has the call made until its row is there.
				seen := func(cpu int, mark int) {
					t.Helper()
					eventually(t, fmt.Sprintf("a row of call %d on cpu %d", mark, cpu), func() bool {
						r.alive()
						callOn(t, cpu, uintptr(mark))
						for _, x := range r.rows() {
							if x.num("cpu") == int64(cpu) && marked(x, mark) {
								return true
							}
						}
						return false
					})
				}
				seen(cpu, 4001)
				set("0")
				seen(0, 4002)
				time.Sleep(200 * time.Millisecond)
				set("1")
				seen(cpu, 4003)
				set("0")
				set("1")
				seen(cpu, 4004)
				if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
				r.wait()
				status := exitOK
				if tt.gaps {
					status = exitLoss
				}
				result{stderr: r.errs.String(), status: r.cmd.ProcessState.ExitCode()}.want(t, status)
				gaps := 0
				for _, l := range ndjsonTable(t, out, "_lost") {
					if l.text("reason") != "cpu_offline" || l.num("cpu") != int64(cpu) || l.num("count") != 0 || l.num("from_ts") <= 0 || l.num("to_ts") <= l.num("from_ts") {
						t.Errorf("_lost: got %v", l)
					}
					gaps++
				}
				if tt.gaps && gaps != 2 || !tt.gaps && gaps != 0 {
					t.Errorf("got %d gaps\n%s", gaps, r.errs.String())
				}
				if m := readManifest(t, out); m.Lost.Total != 0 {
					t.Errorf("got %d lost", m.Lost.Total)
				}
			})
		}
	})
}

// TestProcessorThatWasNotThere begins to record while a processor is offline.
func TestProcessorThatWasNotThere(t *testing.T) {
	testpriv.Alone(t)
	cpu, set := hotCPU(t)
	eachEngine(t, func(t *testing.T, engine string) {
		set("0")
		r := record(t, "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", "id == 110 && args[0] == 4005", "-a")
		eventually(t, "a row of cpu 0", func() bool { r.alive(); callOn(t, 0, 4005); return len(r.rows()) > 0 })
		set("1")
		eventually(t, "a row of the processor that came", func() bool {
			r.alive()
			callOn(t, cpu, 4005)
			for _, x := range r.rows() {
				if x.num("cpu") == int64(cpu) {
					return true
				}
			}
			return false
		})
		r.interrupt()
	})
}

// TestClockStep sets the wall clock a second ahead and back: ts goes on as it was, and
// _clock tells of both.
func TestClockStep(t *testing.T) {
	testpriv.Alone(t)
	eachEngine(t, func(t *testing.T, engine string) {
		before := perfev.ReadClock("")
		shift := func(by time.Duration) {
			t.Helper()
			now := perfev.ReadClock("")
			ts := unix.NsecToTimespec(before.Real + now.Mono - before.Mono + int64(by))
			if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
				t.Fatalf("set the clock: %v", err)
			}
		}
		t.Cleanup(func() { shift(0) })
		out := filepath.Join(t.TempDir(), "d")
		r := start(t, "record", "-q", "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", "id == 110 && args[0] >= 5000", "-a", "-o", "-", "--format", "ndjson", "-o", out)
		// rows has a call made until it is a row whose time is off by about so much.
		stepped := func(mark int, by time.Duration) {
			t.Helper()
			eventually(t, fmt.Sprintf("a row whose time is off by %v", by), func() bool {
				r.alive()
				callOn(t, 0, uintptr(mark))
				for _, x := range r.rows() {
					at, err := time.Parse(time.RFC3339Nano, x.text("time"))
					if err != nil {
						t.Fatal(err)
					}
					off := at.UnixNano() - before.Real - (x.num("ts") - before.Mono)
					if marked(x, mark) && max(off-int64(by), int64(by)-off) < int64(300*time.Millisecond) {
						return true
					}
				}
				return false
			})
		}
		stepped(5001, 0)
		shift(time.Second)
		stepped(5002, time.Second)
		shift(0)
		stepped(5003, 0)
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		r.wait()
		after := perfev.ReadClock("")
		last := int64(0)
		for _, x := range r.rows() {
			ts := x.num("ts")
			if ts < before.Mono || ts > after.Mono || ts < last {
				t.Errorf("ts %d is not within %d to %d, or before %d", ts, before.Mono, after.Mono, last)
			}
			last = ts
		}
		var steps []string
		for _, k := range ndjsonTable(t, out, "_clock") {
			if k.text("reason") != "tick" {
				steps = append(steps, k.text("reason"))
			}
		}
		if got := strings.Join(steps, " "); got != "start step step stop" {
			t.Errorf("_clock: got %s", got)
		}
	})
}
