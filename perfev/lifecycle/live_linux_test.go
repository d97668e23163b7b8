//go:build linux

package lifecycle

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// program does each of the things that the table tells of: one after the other, or,
// with an argument, those that several threads have part in.
const program = `
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void settle(void) { usleep(30000); }
static void take(int s) { (void)s; }
static void *five(void *p) { syscall(SYS_exit, 5); return p; }
static void *wait_for_ever(void *p) { for (;;) pause(); return p; }
static void *exec_true(void *p) { execl("/bin/true", "true", (char *)0); return p; }
static void reap(void) { while (wait(0) < 0) ; settle(); }
static void threads(void) {
	pthread_t t;
	if (!fork()) { pthread_create(&t, 0, wait_for_ever, 0); settle(); _exit(4); }
	reap();
	if (!fork()) { pthread_create(&t, 0, exec_true, 0); for (;;) pause(); }
	reap();
	pid_t c = fork();
	if (!c) { pthread_create(&t, 0, wait_for_ever, 0); for (;;) pause(); }
	settle();
	kill(c, SIGTERM);
	reap();
}
int main(int argc, char **argv) {
	if (argc > 1) { threads(); return 0; }
	prctl(PR_SET_NAME, "lifemain");
	pthread_t t;
	pthread_create(&t, 0, five, 0);
	pthread_join(t, 0);
	settle();
	if (!fork()) { execl("/no/such/program", "x", (char *)0); _exit(3); }
	reap();
	if (!fork()) { execl("/bin/true", "true", (char *)0); _exit(9); }
	reap();
	int sigs[] = {SIGKILL, SIGTERM};
	for (int i = 0; i < 2; i++) {
		pid_t c = fork();
		if (!c) for (;;) pause();
		settle();
		kill(c, sigs[i]);
		reap();
	}
	if (!fork()) { prctl(PR_SET_DUMPABLE, 0); *(volatile int *)0 = 1; }
	reap();
	signal(SIGUSR1, take);
	kill(getpid(), SIGUSR1);
	return 7;
}
`

// watch records the table system-wide while the program runs, and returns the rows of
// its own tasks and its process id.
func watch(t *testing.T, args ...string) (rows []perfpipe.Record, schema *perfpipe.Schema, main int32) {
	t.Helper()
	testpriv.Need(t)
	gcc := testpriv.NeedTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "life.c"), filepath.Join(dir, "life")
	if err := os.WriteFile(src, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O1", "-w", "-pthread", "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	tr, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tr.Close() }()
	events, missing, err := Events(tr.SchemaOf)
	if err != nil || len(missing) != 0 {
		t.Fatalf("events: got %v, missing %v, %v", events, missing, err)
	}
	cfg := perfev.Config{}
	for _, e := range events {
		s, err := tr.SchemaOf(e)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Events = append(cfg.Events, perfev.Event{Schema: s})
	}
	live, err := perfev.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := Wrap(live, Options{Events: events})
	if err != nil {
		t.Fatal(errors.Join(err, live.Close()))
	}
	defer func() {
		if err := wrapped.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := live.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	main = int32(cmd.Process.Pid)
	done := make(chan error, 1)
	go func() {
		_ = cmd.Wait() // the program ends with a status of its own
		done <- wrapped.Stop()
	}()
	c := &collected{family: map[int32]bool{main: true}, schemas: wrapped.Schemas()}
	for err = nil; err == nil; {
		err = wrapped.Read(50*time.Millisecond, c)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.lost > 0 || c.backwards > 0 {
		t.Errorf("got %d lost, %d earlier than the one before", c.lost, c.backwards)
	}
	return c.rows, wrapped.Schemas()[0], main
}

// collected keeps the rows of a family of processes.
type collected struct {
	family    map[int32]bool
	schemas   []*perfpipe.Schema
	rows      []perfpipe.Record
	lost      uint64
	backwards int
	last      int64
}

func (c *collected) Record(r *perfpipe.Record) {
	if r.Time < c.last {
		c.backwards++
	}
	c.last = r.Time
	if !c.family[r.PID] {
		return
	}
	k := *r
	k.Raw = append([]byte(nil), r.Raw...)
	c.rows = append(c.rows, k)
	if f := c.schemas[r.Event].Field("child_pid"); true {
		if present, _ := f.Present(r.Raw); present {
			pid, _ := f.Uint(r.Raw)
			c.family[int32(pid)] = true
		}
	}
}
func (c *collected) Lost(l perfpipe.Loss)  { c.lost += l.Count }
func (c *collected) Task(perfpipe.Task)    {}
func (c *collected) Stack(*perfpipe.Stack) {}
func (c *collected) Frame(perfpipe.Frame)  {}

var (
	numbered = regexp.MustCompile(`(child_pid|child_tid|target|old_tid)=(\d+)`)
	address  = regexp.MustCompile(`handler=0x[0-9a-f]{3,}`)
	flags    = regexp.MustCompile(` clone_flags=\S+`)
)

// tell writes rows with names for numbers: M the program, then A, B, C as they come.
func tell(t *testing.T, rows []perfpipe.Record, s *perfpipe.Schema, main int32) []string {
	t.Helper()
	names := map[string]string{fmt.Sprint(main): "M"}
	name := func(n string) string {
		if names[n] == "" {
			names[n] = string(rune('A' + len(names) - 1))
		}
		return names[n]
	}
	var out []string
	for _, r := range rows {
		text := show(t, s, r.Raw)
		text = numbered.ReplaceAllStringFunc(text, func(w string) string {
			key, n, _ := strings.Cut(w, "=")
			return key + "=" + name(n)
		})
		text = address.ReplaceAllString(flags.ReplaceAllString(text, ""), "handler=H")
		text = strings.NewReplacer(" errno=0", "", " signal_code=0", "", " core=0", "", " to_group=1", "").Replace(text)
		out = append(out, name(fmt.Sprint(r.PID))+"/"+name(fmt.Sprint(r.TID))+" "+text)
	}
	return out
}

func TestLive(t *testing.T) {
	rows, s, main := watch(t)
	got := tell(t, rows, s, main)
	want := lines(`
		M/M rename target=M old_comm="OLD" new_comm="life"
		M/M exec filename="DIR/life" old_tid=M
		M/M rename target=M old_comm="life" new_comm="lifemain"
		M/M clone child_pid=M child_tid=A
		M/A exit exit_code=5 group_dead=0
		M/M fork child_pid=B child_tid=B
		B/B exec_failure errno=2
		B/B exit exit_code=3 group_dead=1
		B/B signal_sent signal=17 signal_code=1 target=M target_comm="lifemain" result=ignored
		M/M fork child_pid=C child_tid=C
		C/C rename target=C old_comm="lifemain" new_comm="true"
		C/C exec filename="/bin/true" old_tid=C
		C/C exit exit_code=0 group_dead=1
		C/C signal_sent signal=17 signal_code=1 target=M target_comm="lifemain" result=ignored
		M/M fork child_pid=D child_tid=D
		M/M signal_sent signal=9 target=D target_comm="lifemain" result=delivered
		D/D signal_delivered signal=9 handler=0x0
		D/D exit group_dead=1 signal=9
		D/D signal_sent signal=17 signal_code=2 target=M target_comm="lifemain" result=ignored
		M/M fork child_pid=E child_tid=E
		M/M signal_sent signal=15 target=E target_comm="lifemain" result=delivered
		E/E signal_delivered signal=9 handler=0x0
		E/E exit group_dead=1 signal=15
		E/E signal_sent signal=17 signal_code=2 target=M target_comm="lifemain" result=ignored
		M/M fork child_pid=F child_tid=F
		F/F signal_sent signal=11 signal_code=1 target=F target_comm="lifemain" to_group=0 result=delivered
		F/F signal_delivered signal=11 signal_code=1 handler=0x0
		F/F exit core=1 group_dead=1 signal=11
		F/F signal_sent signal=17 signal_code=2 target=M target_comm="lifemain" result=ignored
		M/M signal_sent signal=10 target=M target_comm="lifemain" result=delivered
		M/M signal_delivered signal=10 handler=H
		M/M exit exit_code=7 group_dead=1
		M/M signal_sent signal=17 signal_code=1 target=test target_comm="OLD" result=delivered`)
	compare(t, got, want)
}

// TestLiveThreads compares what each thread did: between threads there is no order.
func TestLiveThreads(t *testing.T) {
	rows, s, main := watch(t, "threads")
	var got []string
	for _, l := range tell(t, rows, s, main) {
		// Of M and of signals to parents the other test tells.
		if !strings.HasPrefix(l, "M/") && !strings.Contains(l, "signal=17") {
			got = append(got, l)
		}
	}
	want := []string{
		`A/A clone child_pid=A child_tid=B`, `A/A exit exit_code=4`,
		`A/B signal_delivered signal=9 handler=0x0`, `A/B exit exit_code=4`,
		`C/C clone child_pid=C child_tid=D`, `C/C signal_delivered signal=9 handler=0x0`, `C/C exit group_dead=0`,
		`C/C rename target=C old_comm="life" new_comm="true"`, `C/C exec filename="/bin/true" old_tid=D`, `C/C exit exit_code=0 group_dead=1`,
		`E/E clone child_pid=E child_tid=F`, `E/E signal_delivered signal=9 handler=0x0`, `E/E exit signal=15`,
		`E/F signal_delivered signal=9 handler=0x0`, `E/F exit signal=15`,
	}
	for i, l := range got {
		// Which of two threads is the last is chance.
		if !strings.HasPrefix(l, "C/") {
			got[i] = strings.NewReplacer(" group_dead=0", "", " group_dead=1", "").Replace(l)
		}
	}
	compare(t, byThread(got), byThread(want))
}

// byThread orders lines by thread, each thread's as they were.
func byThread(in []string) []string {
	var out []string
	for _, tid := range "ABCDEF" {
		for _, l := range in {
			if strings.HasPrefix(l[2:], string(tid)) {
				out = append(out, l)
			}
		}
	}
	return out
}

var (
	folder = regexp.MustCompile(`filename="/[^"]*/life"`)
	comms  = regexp.MustCompile(`old_comm="[^"]*" new_comm="life"`)
	// The parent is whichever thread of the test started the program.
	testComm = regexp.MustCompile(`^(M/M signal_sent signal=17 .*)target=\w+ target_comm="[^"]*"`)
)

func compare(t *testing.T, got, want []string) {
	t.Helper()
	for i, l := range got {
		l = folder.ReplaceAllString(l, `filename="DIR/life"`)
		l = comms.ReplaceAllString(l, `old_comm="OLD" new_comm="life"`)
		got[i] = sorted(testComm.ReplaceAllString(l, `${1}target=test target_comm="OLD"`))
	}
	for i := range want {
		want[i] = sorted(want[i])
	}
	for i := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("row %d: got %s\nwant %s\nall:\n%s", i, g, w, strings.Join(got, "\n"))
			return
		}
	}
}
