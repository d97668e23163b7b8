//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// livesSource goes through every kind of event in the life of a task, one after the
// other, and calls step before each.
const livesSource = `
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline, noclone)) void step(int n) { __asm__ volatile("" :: "r"(n) : "memory"); }
static void take(int s) { (void)s; }
static void *nothing(void *p) { return p; }
static void reap(void) { while (wait(0) < 0); }
int main(void) {
	pthread_t t;
	step(1);
	prctl(PR_SET_NAME, "bosun");
	step(2);
	pthread_create(&t, 0, nothing, 0);
	pthread_join(t, 0);
	usleep(50000); /* older kernels tell of its end after the join */
	step(3);
	if (!fork()) { execl("/no/such/program", "x", (char *)0); _exit(42); }
	reap();
	step(4);
	if (!fork()) { execl("/bin/true", "true", (char *)0); _exit(9); }
	reap();
	step(5);
	pid_t c = fork();
	if (!c) for (;;) pause();
	kill(c, SIGTERM);
	reap();
	step(6);
	signal(SIGUSR1, take);
	raise(SIGUSR1);
	return 7;
}
`

func TestLifecycle(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "lives", livesSource, "-O1")
	dir := t.TempDir()
	runIn(t, dir, "record", "-e", "lifecycle", "-e", "uprobe:"+path+":step(n)", "-o", "set", "-o", "x.ndjson", "--", path).want(t, 7)
	rows := readRows(t, readFile(t, filepath.Join(dir, "x.ndjson")))
	// What happened, in the words that matter, between one step and the next.
	var steps [][]string
	for _, w := range rows {
		if w.num("n") > 0 {
			steps = append(steps, nil)
			continue
		}
		if len(steps) == 0 {
			continue // what led to the program
		}
		n := len(steps) - 1
		if w.num("signal") == 17 { // SIGCHLD comes whenever a child ends
			continue
		}
		steps[n] = append(steps[n], lifeLine(w))
	}
	want := []struct {
		what string
		rows []string
	}{
		{"rename", []string{"rename lives bosun"}},
		{"a thread", []string{"clone", "exit of a thread 0"}},
		{"an exec that fails", []string{"fork", "exec_failure 2", "exit 42"}},
		{"an exec", []string{"fork", "rename bosun true", "exec /bin/true", "exit 0"}},
		{"killed", []string{"fork", "signal_sent 15 delivered", "signal_delivered 9", "exit by 15"}},
		{"a handled signal", []string{"signal_sent 10 delivered", "signal_delivered 10", "exit 7"}},
	}
	if len(steps) != len(want) {
		t.Fatalf("got %d steps, want %d\n%v", len(steps), len(want), steps)
	}
	for i, tt := range want {
		if !slices.Equal(steps[i], tt.rows) {
			t.Errorf("%s: got %q, want %q", tt.what, steps[i], tt.rows)
		}
	}
	if got := readTable(t, filepath.Join(dir, "set"), "_lifecycle"); len(got) != len(rows)-6 {
		t.Errorf("_lifecycle has %d rows, want %d", len(got), len(rows)-6)
	}
}

// lifeLine is a row of the table of lives without what differs from run to run.
func lifeLine(w row) string {
	line := w.text("kind")
	switch line {
	case "rename":
		line += " " + w.text("old_comm") + " " + w.text("new_comm")
	case "exec":
		line += " " + w.text("filename")
	case "exec_failure":
		line += fmt.Sprint(" ", w.num("errno"))
	case "signal_sent":
		line += fmt.Sprint(" ", w.num("signal"), " ", w.text("result"))
	case "signal_delivered":
		line += fmt.Sprint(" ", w.num("signal"))
	case "exit":
		if w["group_dead"] == false {
			line += " of a thread"
		}
		if _, by := w["signal"]; by {
			line += fmt.Sprint(" by ", w.num("signal"))
		} else {
			line += fmt.Sprint(" ", w.num("exit_code"))
		}
	}
	return strings.TrimSpace(line)
}

func TestLifecycleFilter(t *testing.T) {
	testpriv.Need(t)
	for filter, want := range map[string][]string{
		"kind == exit && exit_code == 3":          {"exit 3"},
		`kind == exec && filename ~ "*true"`:      {"exec /bin/true"},
		"errno == ENOENT && kind == exec_failure": {"exec_failure 2"},
	} {
		t.Run(filter, func(t *testing.T) {
			r := invoke(t, "record", "-q", "-e", "lifecycle", "--filter", filter, "-o", "-", "--format", "ndjson", "--", "sh", "-c", "/bin/true; (exec /no/such/program) 2>/dev/null; (exit 3); :")
			r.want(t, 0)
			var got []string
			for _, w := range readRows(t, r.stdout) {
				got = append(got, lifeLine(w))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q\n%s", got, want, r.stderr)
			}
		})
	}
}
