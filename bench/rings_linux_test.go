//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestMain makes the test program the load that the rings are tested with.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == loadCommand {
		if err := runLoad(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// left are the instances of this program in tracefs.
func left(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(tracing, "instances", fmt.Sprintf("%s%d_*", instancePrefix, os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func testBench(t *testing.T) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cpus := onlineCPUs()
	if cpus < 2 {
		t.Skip("the loop and the recorder need a processor each")
	}
	return &bench{o: options{loadCPU: 1, recordCPU: 0}, dir: t.TempDir(), self: self, log: t.Output(), engines: map[string]engine{}}
}

// TestBareRings has each bare ring see all of the loop's calls, and leaves nothing.
func TestBareRings(t *testing.T) {
	testpriv.Need(t)
	b := testBench(t)
	const calls = 20_000
	for name, ring := range map[string]func(context.Context, ...string) (Recording, error){
		"ftrace": b.bareFtrace, "perf": b.barePerf, "bpf": b.bareBPF,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ring(t.Context(), "-calls", fmt.Sprint(calls))
			if err != nil {
				t.Fatal(err)
			}
			if r.Load.Calls != calls || r.Events < calls {
				t.Errorf("got %d calls and %d events, want %d calls and at least as many events", r.Load.Calls, r.Events, calls)
			}
			if r.Load.NS <= 0 || r.Load.MeanNS <= 0 {
				t.Errorf("got %v ns a call, %v on the wall, want both above 0", r.Load.NS, r.Load.MeanNS)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := ring(ctx, "-calls", "1"); !errors.Is(err, context.Canceled) {
				t.Errorf("broken off: got %v, want %v", err, context.Canceled)
			}
		})
	}
	if got := left(t); len(got) != 0 {
		t.Errorf("left behind: got %v, want nothing", got)
	}
}

func TestSweep(t *testing.T) {
	testpriv.Need(t)
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(tracing, "instances", fmt.Sprintf("%s%d_ring", instancePrefix, cmd.Process.Pid))
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	alive, err := newInstance("sweep", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := alive.close(); err != nil {
			t.Error(err)
		}
	}()
	sweep()
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(dead)
		t.Errorf("instance of a dead process: got %v, want it removed", err)
	}
	if _, err := os.Stat(alive.dir); err != nil {
		t.Errorf("instance of a process that runs: got %v, want it there", err)
	}
}

func TestLoadOnTwo(t *testing.T) {
	if onlineCPUs() < 2 {
		t.Skip("it takes two processors")
	}
	var out strings.Builder
	if err := runLoad([]string{"-cpu", "1", "-also", "0", "-calls", "10000"}, &out); err != nil {
		t.Fatal(err)
	}
	l, err := decodeLoad([]byte(out.String()))
	if err != nil || l.Calls != 20_000 || l.NS <= 0 {
		t.Errorf("got %+v, %v, want 20000 calls and their time", l, err)
	}
	if err := runLoad([]string{"-cpu", "1023", "-calls", "1"}, &out); !says(err, "pin to processor 1023") {
		t.Errorf("no such processor: got %v, want an error", err)
	}
}

func TestStandIn(t *testing.T) {
	if err := standIn([]string{"dir", "instance"}); !says(err, "it takes a folder") {
		t.Errorf("no command: got %v, want an error", err)
	}
}
