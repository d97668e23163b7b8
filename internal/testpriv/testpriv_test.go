package testpriv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recorder is a testing.TB that keeps how it was ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper() {}
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
}

func TestNeedTool(t *testing.T) {
	dir := t.TempDir()
	here := filepath.Join(dir, "here")
	if err := os.WriteFile(here, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	tests := []struct {
		name, tool, require, path string
		skipped, failed           string
	}{
		{name: "there", tool: "here", path: here},
		{name: "there and required", tool: "here", require: "1", path: here},
		{name: "missing", tool: "perf", skipped: "apt-get install linux-perf"},
		{name: "missing and required", tool: "perf", require: "1", failed: "apt-get install linux-perf"},
		{name: "not required", tool: "gcc", require: "0", skipped: "apt-get install gcc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(RequireEnv, tt.require)
			r := &recorder{TB: t}
			if got := NeedTool(r, tt.tool); got != tt.path {
				t.Errorf("path: got %q, want %q", got, tt.path)
			}
			checkEnd(t, "skipped", r.skipped, tt.skipped)
			checkEnd(t, "failed", r.failed, tt.failed)
		})
	}
}

func TestUnmet(t *testing.T) {
	for _, tt := range []struct{ require, skipped, failed string }{
		{"", "cannot run here: no luck", ""},
		{"0", "cannot run here: no luck", ""},
		{"1", "", RequireEnv + "=1, but the test cannot run: no luck"},
	} {
		t.Run("require "+tt.require, func(t *testing.T) {
			t.Setenv(RequireEnv, tt.require)
			r := &recorder{TB: t}
			unmet(r, fmt.Errorf("no luck"))
			if r.skipped != tt.skipped || r.failed != tt.failed {
				t.Errorf("got skipped %q, failed %q, want %q, %q", r.skipped, r.failed, tt.skipped, tt.failed)
			}
		})
	}
}

// TestNeed runs where the need is met and where it is not: Need has to agree
// with what the file system says.
func TestNeed(t *testing.T) {
	t.Setenv(RequireEnv, "")
	r := &recorder{TB: t}
	Need(r)
	if r.failed != "" {
		t.Fatalf("failed though nothing was required: %s", r.failed)
	}
	_, err := os.Stat("/sys/kernel/tracing/events")
	if may, met := os.Geteuid() == 0 && err == nil, r.skipped == ""; may != met {
		t.Errorf("got met %v (%q), want %v", met, r.skipped, may)
	}
}

// TestLock starts a second process that wants the lock while this one holds it.
func TestLock(t *testing.T) {
	const child = "TESTPRIV_LOCK_CHILD"
	if os.Getenv(child) == "1" {
		fmt.Println("waiting")
		Lock(t)
		fmt.Println("locked")
		return
	}
	t.Setenv("TMPDIR", t.TempDir())
	out := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	read := func() string {
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var cmd *exec.Cmd
	t.Run("held", func(t *testing.T) {
		Lock(t)
		cmd = exec.Command(os.Args[0], "-test.run=^TestLock$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		cmd.Stdout = f
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); !strings.Contains(read(), "waiting"); {
			if time.Now().After(end) {
				t.Fatal("the child never asked for the lock")
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		if got := read(); strings.Contains(got, "locked") {
			t.Errorf("child while the lock is held: got %q, want it to wait", got)
		}
	})
	if cmd == nil || cmd.Process == nil {
		return
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
	if got := read(); !strings.Contains(got, "locked") {
		t.Errorf("child after the release: got %q, want it to have the lock", got)
	}
}

// TestAlone starts a second process whose test needs the machine while this one has it
// alone, and then one that wants it alone while this one uses it.
func TestAlone(t *testing.T) {
	const child = "TESTPRIV_ALONE_CHILD"
	switch os.Getenv(child) {
	case "need":
		fmt.Println("waiting")
		Need(t)
		Need(t)
		fmt.Println("locked")
		return
	case "alone":
		fmt.Println("waiting")
		Alone(t)
		fmt.Println("locked")
		return
	}
	if err := privilege(); err != nil {
		unmet(t, err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	for _, tt := range []struct {
		name, child string
		hold        func(testing.TB)
	}{
		{"alone", "need", Alone},
		{"used", "alone", Need},
		{"alone twice", "alone", Alone},
	} {
		out := filepath.Join(t.TempDir(), "out")
		f, err := os.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		var cmd *exec.Cmd
		t.Run(tt.name, func(t *testing.T) {
			tt.hold(t)
			cmd = exec.Command(os.Args[0], "-test.run=^TestAlone$", "-test.v")
			cmd.Env = append(os.Environ(), child+"="+tt.child)
			cmd.Stdout = f
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); !strings.Contains(readText(t, out), "waiting"); {
				if time.Now().After(end) {
					t.Fatal("the child never asked for the machine")
				}
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(50 * time.Millisecond)
			if got := readText(t, out); strings.Contains(got, "locked") {
				t.Errorf("child while the machine is taken: got %q, want it to wait", got)
			}
			if tt.name == "used" {
				Need(t) // a second use of the same process does not wait behind the child
			}
		})
		if cmd == nil || cmd.Process == nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
		if got := readText(t, out); !strings.Contains(got, "locked") {
			t.Errorf("child after the release: got %q, want it to have the machine", got)
		}
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// checkEnd wants got to contain want, or to be empty where want is.
func checkEnd(t *testing.T, what, got, want string) {
	t.Helper()
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("%s: got %q, want %q in it", what, got, want)
	}
}
