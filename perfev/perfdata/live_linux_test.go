package perfdata

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// recordLive runs perf record on the live kernel and returns the file.
func recordLive(t *testing.T, args ...string) string {
	t.Helper()
	testpriv.Need(t)
	perf := testpriv.NeedTool(t, "perf")
	path := filepath.Join(t.TempDir(), "perf.data")
	args = append([]string{"record", "-q", "-B", "-N", "-o", path}, args...)
	if out, err := exec.Command(perf, args...).CombinedOutput(); err != nil {
		t.Fatalf("perf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return path
}

// load makes forks, execs, signals, files and switches for a moment.
const load = "for i in 1 2 3 4 5; do ls / >/dev/null; sleep 0.01; (exit 3) & wait; done; kill -WINCH $$"

func TestLiveRecordingIsWhatPerfScriptSays(t *testing.T) {
	path := recordLive(t, "-k", "CLOCK_MONOTONIC", "-a", "-e",
		"sched:*,syscalls:sys_enter_openat,irq:*,timer:*,kmem:kmalloc,signal:*,task:*", "--", "sh", "-c", load)
	perf := testpriv.NeedTool(t, "perf")
	script, err := filepath.Abs("testdata/dump.py")
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(perf, "script", "-i", path, "-s", script)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("perf script: %v\n%s", err, stderr.String())
	}
	want := golden(t, bytes.NewReader(out))
	pids, err := exec.Command(perf, "script", "-i", path, "-F", "pid,tid").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(strings.ReplaceAll(string(pids), "/", " "))
	if len(lines) != 2*len(want) {
		t.Fatalf("perf script gives %d numbers of processes and threads for %d samples", len(lines), len(want))
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if want[i].PID, err = strconv.Atoi(lines[2*i]); err != nil {
			t.Fatal(err)
		}
		// A thread past its exit has the number -1 for perf, and no name; we have its
		// number from common_pid, and the name that it had. A task that perf knows
		// nothing of is called by its number.
		if i < len(got.rows) {
			if lines[2*i+1] == "-1" && want[i].Comm == ":-1" {
				want[i].Comm = got.rows[i].Comm
				if lines[2*i] == "-1" {
					want[i].PID = got.rows[i].PID
				}
			} else if strings.HasPrefix(want[i].Comm, ":") && got.rows[i].Comm == "" {
				want[i].Comm = ""
			}
		}
	}
	if len(want) < 100 {
		t.Fatalf("perf saw %d events", len(want))
	}
	numbers(got.rows, want)
	compare(t, got.rows, want)
}

// numbers makes perf's reading of negative numbers ours: its Python is given the
// zero-extended bytes of signed fields of 1, 2 and 4 bytes (node=-1 is 4294967295).
func numbers(got, want []row) {
	for i := range min(len(got), len(want)) {
		for name, g := range got[i].Fields {
			gn, ok := g.(json.Number)
			wn, ok2 := want[i].Fields[name].(json.Number)
			if !ok || !ok2 || gn == wn {
				continue
			}
			ours, err := strconv.ParseInt(gn.String(), 10, 64)
			perfs, err2 := strconv.ParseInt(wn.String(), 10, 64)
			if err != nil || err2 != nil || ours >= 0 {
				continue
			}
			for _, bits := range []uint{8, 16, 32} {
				if ours >= -1<<(bits-1) && perfs == ours+1<<bits {
					want[i].Fields[name] = gn
				}
			}
		}
	}
}

func TestLiveFilesThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, flag, want string }{
		{"compressed", "-z", "without -z"},
		{"threads", "--threads", "without --threads"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := recordLive(t, tt.flag, "-a", "-e", "sched:sched_switch", "--", "sleep", "0.05")
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("pipe", func(t *testing.T) {
		testpriv.Need(t)
		perf := testpriv.NeedTool(t, "perf")
		out, err := exec.Command(perf, "record", "-q", "-e", "sched:sched_switch", "-a", "-o", "-", "--", "sleep", "0.05").Output()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "pipe.data")
		if err := os.WriteFile(path, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "perf record -o FILE") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no tracepoint", func(t *testing.T) {
		path := recordLive(t, "-e", "cpu-clock", "--", "true")
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "no tracepoint") {
			t.Errorf("got %v", err)
		}
	})
}

// A file with samples that are no tracepoint's, call chains and several clocks.
func TestLiveMixedFile(t *testing.T) {
	path := recordLive(t, "-g", "-a", "-e", "cpu-clock,sched:sched_switch", "--", "sleep", "0.1")
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.rows) == 0 || len(got.lost) != 0 || r.Info().Foreign != 1 || r.Info().ClockID != -1 {
		t.Errorf("%d rows, lost %v, %d foreign, clock %d; want some, none, 1, -1", len(got.rows), got.lost, r.Info().Foreign, r.Info().ClockID)
	}
	for _, w := range got.rows {
		if w.Fields["prev_pid"] != json.Number(strconv.Itoa(w.TID)) {
			t.Errorf("tid %d, prev_pid %v: want equal", w.TID, w.Fields["prev_pid"])
			break
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
