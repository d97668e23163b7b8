//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// writeEvents appends a line to the kernel's list of probes.
func writeEvents(t *testing.T, line string) {
	t.Helper()
	f, err := os.OpenFile(uprobeEvents, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // each write is an order of its own
	if _, err := f.WriteString(line + "\n"); err != nil {
		t.Fatalf("write %q: %v", line, err)
	}
}

// fileOffset is where a function begins in the file, from the definition that
// perfpipe made of it.
func fileOffset(definition string) string {
	_, place, _ := strings.Cut(definition, " ")
	place, _, _ = strings.Cut(place, " ")
	return place
}

func TestKilledRecordingIsSwept(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	r := record(t, "-e", probeOf(path), "-e", "uretprobe:"+path+":work(ret)", "-p", fmt.Sprint(c.pid))
	c.awaitHits(r, "self")
	pid := r.cmd.Process.Pid
	made := definitionsOf(t, pid)
	if len(made) < 2 {
		t.Fatalf("got the definitions %q while recording, want two or more", made)
	}
	// Somebody else's events: of another tool, and of a group that only looks like ours.
	foreign := []string{fmt.Sprintf("ppforeign%d", os.Getpid()), fmt.Sprintf("pp_%d_x", pid)}
	for _, group := range foreign {
		writeEvents(t, fmt.Sprintf("p:%s/e0 %s n=%%di:s32", group, fileOffset(made[0])))
		t.Cleanup(func() { writeEvents(t, "-:"+group+"/e0") })
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.done
	r.over = true
	c.do("self 0 10") // the target lives on
	ours := func() []string {
		return slices.DeleteFunc(definitionsOf(t, pid), func(d string) bool { return strings.Contains(d, foreign[1]+"/") })
	}
	// Another perfpipe of this machine may have swept it by now.
	t.Logf("left by the killed one: %q", ours())
	next := record(t, "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	c.awaitHits(next, "self")
	if left := ours(); len(left) > 0 {
		t.Errorf("the next perfpipe left %q", left)
	}
	for _, group := range foreign {
		if len(definitions(t, ":"+group+"/e0 ")) != 1 {
			t.Errorf("the event of %s, which is not perfpipe's, is gone", group)
		}
	}
	c.do("self 0 10")
	wantNumbers(t, next.interrupt(), 0, 10)
}

func TestTwoRecordingsOfOneFunction(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	one := record(t, "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	two := record(t, "-a", "-e", "uprobe:"+path+":work(who, n)", "-e", "uprobe:"+path+":work+0")
	c.awaitHits(one, "self")
	c.awaitHits(two, "self")
	c.do("self 0 100")
	c.do("thread 100 10")
	wantNumbers(t, one.interrupt(), 0, 110)
	// The end of one is nothing to the other.
	c.do("self 110 10")
	rows := two.interrupt()
	wantNumbers(t, slices.DeleteFunc(slices.Clone(rows), func(w row) bool { _, has := w["n"]; return !has }), 0, 120)
}

// TestNothingIsLeft interrupts recordings at any time of their lives.
func TestNothingIsLeft(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	// start and wait look into tracefs once perfpipe has ended.
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		for n := range 4 {
			r := record(t, "-q", "-e", probeOf(path), "-e", "uretprobe:"+path+":work", "-e", "uprobe:libc.so.6:mem*", "-p", fmt.Sprint(c.pid))
			if n == 0 {
				c.awaitHits(r, "self")
			} else {
				eventually(t, "a definition", func() bool { r.alive(); return len(definitionsOf(t, r.cmd.Process.Pid)) >= n })
			}
			if err := r.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			r.wait()
		}
	}
	// Where the definitions are made and what follows fails.
	full := filepath.Join(t.TempDir(), "no", "such", "folder", "x.ndjson")
	r := start(t, "record", "-e", probeOf(path), "-p", fmt.Sprint(c.pid), "-o", full)
	r.wait()
	r = start(t, "record", "-e", probeOf(path), "--", "/no/such/command")
	r.wait()
	if got := r.cmd.ProcessState.ExitCode(); got != 127 {
		t.Errorf("exit status: got %d, want 127\n%s", got, r.errs.String())
	}
}
