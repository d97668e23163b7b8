//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestHundredsOfFunctions: a glob over much of libc is one event, one descriptor a
// processor, and every row tells its function.
func TestHundredsOfFunctions(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	target := background(t, prog, "on")
	const glob = "uprobe:libc.so.6:[a-z]*"
	r := invoke(t, "record", "--dry-run", "-e", glob, "true")
	r.want(t, 0)
	m := regexp.MustCompile(`places: (\d+)`).FindStringSubmatch(r.stderr)
	if m == nil {
		t.Fatalf("no number of places:\n%s", r.stderr)
	}
	if n, _ := strconv.Atoi(m[1]); n < 400 {
		t.Errorf("got %d places, want 400 and more", n)
	}

	out := filepath.Join(t.TempDir(), "x.ndjson")
	cmd := exec.Command(binary, "record", "-p", fmt.Sprint(target.Pid), "-e", glob, "-o", out, "--duration", "1s")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	most := 0
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			running = false
		case <-time.After(20 * time.Millisecond):
			// Where it has just ended there is no such folder.
			fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
			most = max(most, len(fds))
		}
	}
	noProbesLeft(t, cmd.Process.Pid)
	if limit := 30 + 6*runtime.NumCPU(); most == 0 || most > limit {
		t.Errorf("it had %d descriptors open, want at most %d", most, limit)
	}
	rows := readRows(t, readFile(t, out))
	if len(rows) == 0 {
		t.Error("no rows")
	}
	for _, r := range rows {
		// usleep, and what it calls.
		if f := r.text("func"); !strings.Contains(f, "sleep") {
			t.Fatalf("func: got %q", f)
		}
	}
}
