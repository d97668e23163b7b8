//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// enterSource makes a root of its own in memory, which nobody outside of its mount
// namespace sees, puts a program there as /app, and becomes it.
const enterSource = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static int copy(const char *from, const char *to) {
	char b[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	if (in < 0 || out < 0) return -1;
	for (ssize_t n; (n = read(in, b, sizeof b)) != 0;)
		if (n < 0 || write(out, b, n) != n) return -1;
	return close(in) | close(out);
}
int main(int argc, char **argv) {
	if (argc != 3) return 2;
	if (mount("none", "/", 0, MS_REC | MS_PRIVATE, 0) || mount("none", argv[1], "tmpfs", 0, "mode=0755") || chdir(argv[1])) { perror("mount"); return 3; }
	if (copy(argv[2], "app") || mkdir("old", 0755)) { perror("copy"); return 3; }
	if (syscall(SYS_pivot_root, ".", "old") || chdir("/") || umount2("/old", MNT_DETACH) || rmdir("/old")) { perror("pivot_root"); return 3; }
	execl("/app", "/app", (char *)0);
	perror("exec");
	return 3;
}
`

// contain starts the crew in pid and mount namespaces of its own, as /app there.
func contain(t *testing.T) *crew {
	t.Helper()
	app := compileC(t, "crew", crewSource, "-O1", "-fno-omit-frame-pointer", "-static")
	cmd := exec.Command(compileC(t, "enter", enterSource), t.TempDir(), app)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return hireBy(t, cmd)
}

func TestContainer(t *testing.T) {
	testpriv.Need(t)
	if _, err := os.Stat("/app"); err == nil {
		t.Skip("this machine has an /app of its own")
	}
	c := contain(t)
	dir := filepath.Join(t.TempDir(), "set")
	r := record(t, "-g", "-p", fmt.Sprint(c.pid), "-e", "uprobe:/app:work(n, who)", "-o", dir)
	c.awaitHits(r, "self")
	c.do("self 0 10")
	c.do("standing 10 10")
	c.do("child 20 10")
	rows := r.interrupt()
	wantNumbers(t, rows, 0, 40)
	// pid and tid are the ones that this test sees.
	children := map[int64]bool{}
	for _, w := range rows {
		switch n := w.num("n"); {
		case n < 20 && w.num("pid") != int64(c.pid):
			t.Errorf("call %d: got process %d, want %d", n, w.num("pid"), c.pid)
		case n >= 20:
			children[w.num("pid")] = true
		}
	}
	if len(children) != 1 || children[int64(c.pid)] {
		t.Errorf("got the processes %v, want one child", children)
	}
	// _tasks has their numbers within as well.
	seen := map[string]bool{}
	for _, w := range readTable(t, dir, "_tasks") {
		pid, tid, inPID, inTID := w.num("pid"), w.num("tid"), w.num("ns_pid"), w.num("ns_tid")
		switch {
		case pid == int64(c.pid) && tid == pid:
			seen["first"] = true
			if inPID != 1 || inTID != 1 {
				t.Errorf("the first task of the container: got %d and %d within, want 1 and 1", inPID, inTID)
			}
		case pid == int64(c.pid):
			seen["thread"] = true
			if inPID != 1 || inTID < 2 || inTID > 20 {
				t.Errorf("a thread of the container: got %d and %d within, want 1 and a small number", inPID, inTID)
			}
		case pid == int64(os.Getpid()) && tid == pid:
			seen["outside"] = true
			if inPID != pid || inTID != tid {
				t.Errorf("a task outside: got %d and %d, want %d twice", inPID, inTID, pid)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("_tasks has %v, want the first task and a thread of the container, and one outside", seen)
	}
	// The symbols of call chains are those of its file.
	all := readChains(t, dir)
	for _, w := range rows {
		frames := all.of(t, w)
		if len(frames) == 0 || frames[0].text("symbol") != "work" || frames[0].text("file") != "/app" {
			t.Errorf("call chain of %d: got %v, want work of /app", w.num("n"), frames)
			break
		}
	}
}

func TestContainerRefusals(t *testing.T) {
	testpriv.Need(t)
	c := contain(t)
	invoke(t, "record", "-p", fmt.Sprint(c.pid), "-e", "uprobe:/none:work", "--duration", "1s").want(t, 2, "/none")
	invoke(t, "record", "-p", fmt.Sprint(c.pid), "-e", "uprobe:/app:wrk", "--duration", "1s").want(t, 2, "wrk", "did you mean", "work?")
}
