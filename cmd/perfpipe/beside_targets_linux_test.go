//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func TestProbeTree(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	r := record(t, "-e", probeOf(path), "-p", fmt.Sprint(c.pid), "--tree")
	c.awaitHits(r, "self")
	// Those that were there before: a thread and a child.
	c.do("self 0 10")
	c.do("standing 10 10")
	c.do("assistant 20 10")
	// Those that come: threads, children with threads, grandchildren.
	for n := 30; n < 90; n += 20 {
		c.do("thread %d 10", n)
		c.do("thread %d 10", n+10)
	}
	for n := 90; n < 210; n += 20 {
		c.do("child %d 10", n)
	}
	c.do("deep 210 10")
	c.dismiss()
	rows := r.finish() // ends with the target
	wantNumbers(t, rows, 0, 230)
	for _, w := range rows {
		if n, who := w.num("n"), w.text("who"); n >= 20 && n < 30 && (who != "assistant" || w.num("pid") == int64(c.pid)) {
			t.Errorf("call %d: got %q of process %d, want the assistant, another than %d", n, who, w.num("pid"), c.pid)
		}
	}
}

func TestProbeProcess(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	r := record(t, "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	c.awaitHits(r, "self")
	c.do("self 0 10")
	c.do("standing 10 10")
	c.do("thread 20 10")
	// The child that was there is no part of the process; what it forks later is,
	// as with perf.
	c.do("assistant 1000 10")
	c.do("child 30 10")
	rows := r.interrupt()
	wantNumbers(t, rows, 0, 50)
	tids := map[int64]bool{}
	for _, w := range rows {
		if n := w.num("n"); n >= 0 && n < 30 {
			tids[w.num("tid")] = true
			if w.num("pid") != int64(c.pid) {
				t.Errorf("call %d: got process %d, want %d", n, w.num("pid"), c.pid)
			}
		}
	}
	if len(tids) != 3 {
		t.Errorf("got the threads %v, want three", tids)
	}
}

func TestProbeThread(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	// The thread that stands by is the one that is not the first.
	ents, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", c.pid))
	if err != nil || len(ents) != 2 {
		t.Fatalf("got %v, %v, want two threads", ents, err)
	}
	tid := ents[0].Name()
	if tid == fmt.Sprint(c.pid) {
		tid = ents[1].Name()
	}
	r := record(t, "-e", probeOf(path), "-t", tid)
	c.awaitHits(r, "standing")
	c.do("self 1000 10")
	c.do("thread 1010 10")
	c.do("standing 0 10")
	rows := r.interrupt()
	wantNumbers(t, rows, 0, 10)
	for _, w := range rows {
		if w.num("pid") != int64(c.pid) || strconv.FormatInt(w.num("tid"), 10) != tid {
			t.Errorf("got a row of thread %d in process %d, want %s in %d", w.num("tid"), w.num("pid"), tid, c.pid)
		}
	}
}

func TestProbeCommand(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-e", probeOf(path), "-o", out, "--", path,
		"self 0 10; standing 10 10; assistant 20 10; thread 30 10; child 40 10; deep 60 10").want(t, 0)
	wantNumbers(t, readRows(t, readFile(t, out)), 0, 80)
	// Without inheritance it is the first thread alone.
	out = filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-i", "-e", probeOf(path), "-o", out, "--", path, "standing 1000 10; child 1010 10; self 0 10").want(t, 0)
	wantNumbers(t, readRows(t, readFile(t, out)), 0, 10)
}

func TestProbeComm(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	for _, name := range []string{"bosun", "bos*", "b?sun", "[ab]osun"} {
		t.Run(name, func(t *testing.T) {
			c := hire(t, path)
			r := record(t, "-a", "-e", probeOf(path), "--comm", name)
			c.do("name 1000 0 bosun")
			c.awaitHits(r, "self")
			c.do("self 0 10")
			c.do("name 1000 10 mate")
			c.do("name 1000 10 bo")
			c.do("name 10 10 bosun")
			rows := r.interrupt()
			wantNumbers(t, rows, 0, 20)
			for _, w := range rows {
				if w.text("comm") != "bosun" {
					t.Errorf("got a row of %q", w.text("comm"))
				}
			}
		})
	}
}

// cgroupRoot is where the hierarchy of version 2 is mounted, as this process sees it.
func cgroupRoot(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/proc/self/mountinfo")) {
		f := strings.Fields(line)
		if i := slices.Index(f, "-"); i >= 5 && i+1 < len(f) && f[i+1] == "cgroup2" {
			return f[4]
		}
	}
	t.Skip("no hierarchy of cgroups of version 2 is mounted")
	return ""
}

func TestProbeCgroup(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	root := cgroupRoot(t)
	name := fmt.Sprintf("perfpipe-test-%d", os.Getpid())
	for _, dir := range []string{name, name + "/below"} {
		full := filepath.Join(root, dir)
		if err := os.Mkdir(full, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			// The tasks that were in it have ended; the kernel may not be through with them.
			eventually(t, "removing "+full, func() bool { return os.Remove(full) == nil })
		})
	}
	enter := func(c *crew, dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), []byte(fmt.Sprint(c.pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	in, below, out := hire(t, path), hire(t, path), hire(t, path)
	enter(in, name)
	enter(below, name+"/below")
	r := record(t, "-e", probeOf(path), "--cgroup", name, "--cgroup-id")
	in.awaitHits(r, "self")
	in.do("self 0 10")
	in.do("child 10 10")
	below.do("self 30 10")
	out.do("self 1000 10")
	enter(out, name) // from here on it is one of them
	out.do("self 40 10")
	rows := r.interrupt()
	wantNumbers(t, rows, 0, 50)
	fi, err := os.Stat(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range rows {
		n, id := w.num("n"), w.num("cgroup")
		if own := id == int64(inode(fi)); own == (n >= 30 && n < 40) {
			t.Errorf("call %d: got cgroup %d; %s has %d", n, id, name, inode(fi))
		}
	}
}
