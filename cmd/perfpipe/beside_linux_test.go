//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// patience is how long the tests wait for what has to happen. It is never reached
// but where something is wrong.
const patience = 60 * time.Second

// eventually waits until cond holds and fails the test where it never does.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// compileC makes a program of source by gcc and returns its path.
func compileC(t *testing.T, name, source string, flags ...string) string {
	t.Helper()
	gcc := testpriv.NeedTool(t, "gcc")
	dir := t.TempDir()
	file, out := filepath.Join(dir, name+".c"), filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-g", "-pthread", "-o", out, file}, flags...)
	if text, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v\n%s", args, err, text)
	}
	return out
}

// safeBuffer may be read while a process writes to it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// recording is a run of perfpipe record that goes on while the test does something.
type recording struct {
	t    *testing.T
	cmd  *exec.Cmd
	errs safeBuffer
	out  safeBuffer
	done chan error
	over bool
}

// record starts perfpipe record with ndjson on its standard output.
func record(t *testing.T, args ...string) *recording {
	t.Helper()
	return start(t, append([]string{"record", "-o", "-", "--format", "ndjson"}, args...)...)
}

// start starts perfpipe; the end of the test ends it where nothing did before.
func start(t *testing.T, args ...string) *recording {
	t.Helper()
	r := &recording{t: t, cmd: exec.Command(binary, args...), done: make(chan error, 1)}
	r.cmd.Dir = t.TempDir()
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	r.cmd.WaitDelay = 5 * time.Second
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() {
		if !r.over {
			_ = r.cmd.Process.Signal(syscall.SIGINT)
			r.wait()
		}
	})
	return r
}

// rows are those that were written so far; a line that is not whole is left out.
func (r *recording) rows() []row {
	r.t.Helper()
	text := r.out.String()
	return readRows(r.t, text[:strings.LastIndexByte(text, '\n')+1])
}

// wait waits for the end of perfpipe, and for nothing of it in tracefs.
func (r *recording) wait() {
	r.t.Helper()
	if r.over {
		return
	}
	r.over = true
	select {
	case <-r.done:
	case <-time.After(patience):
		_ = r.cmd.Process.Kill()
		<-r.done
		r.t.Errorf("perfpipe %q does not end\n%s", r.cmd.Args, r.errs.String())
	}
	if left := definitionsOf(r.t, r.cmd.Process.Pid); len(left) > 0 {
		r.t.Errorf("left in tracefs: %d definitions, the first is %q", len(left), left[0])
	}
}

// interrupt ends the recording as Ctrl-C does and returns all of its rows.
func (r *recording) interrupt() []row {
	r.t.Helper()
	if !r.over {
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			r.t.Fatalf("%v\n%s", err, r.errs.String())
		}
	}
	return r.finish()
}

// finish waits for an end that comes of itself and returns all rows.
func (r *recording) finish() []row {
	r.t.Helper()
	r.wait()
	result{stderr: r.errs.String(), status: r.cmd.ProcessState.ExitCode()}.want(r.t, 0)
	return r.rows()
}

// alive fails the test where perfpipe has ended already.
func (r *recording) alive() {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		r.t.Fatalf("perfpipe ended too early: %v\n%s", err, r.errs.String())
	default:
	}
}

// definitionsOf are the probes in the kernel that the perfpipe of that process made.
func definitionsOf(t *testing.T, pid int) []string {
	t.Helper()
	return definitions(t, fmt.Sprintf(":pp_%d_", pid))
}

// definitions are the lines of tracefs's list of probes that have word.
func definitions(t *testing.T, word string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(readFile(t, uprobeEvents)) {
		if strings.Contains(line, word) {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}

const uprobeEvents = "/sys/kernel/tracing/uprobe_events"

// crewSource is a program that does what it is told, line by line: who calls work
// how often. work's first argument is the number of the call, from the one given.
const crewSource = `
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct job { int from, count; };
static sem_t begin, end;
static struct job standing;
static pid_t helper;
static int orders[2], answers[2];

__attribute__((noinline, noclone)) int work(int n, const char *who) {
	__asm__ volatile("" ::: "memory");
	return n + (who != 0);
}

__attribute__((noinline, noclone)) int other(int n) {
	__asm__ volatile("" ::: "memory");
	return n;
}

static void run(struct job j, const char *who) {
	for (int i = 0; i < j.count; i++) work(j.from + i, who);
}

static void *once(void *p) { run(*(struct job *)p, "thread"); return 0; }

static void *stand(void *p) {
	(void)p;
	for (;;) {
		sem_wait(&begin);
		run(standing, "standing");
		sem_post(&end);
	}
}

static void thread(struct job j) {
	pthread_t t;
	if (pthread_create(&t, 0, once, &j)) exit(3);
	pthread_join(t, 0);
}

static void child(struct job j, int deep) {
	pid_t p = fork();
	if (p < 0) exit(3);
	if (p == 0) {
		if (deep > 0) { child(j, deep - 1); _exit(0); }
		run(j, "child");
		thread((struct job){j.from + j.count, j.count});
		_exit(0);
	}
	int status;
	if (waitpid(p, &status, 0) != p || status) exit(3);
}

/* A child from the start, which waits for orders. */
static void assistant(void) {
	if (pipe(orders) || pipe(answers)) exit(3);
	helper = fork();
	if (helper) return;
	prctl(PR_SET_PDEATHSIG, 9);
	close(orders[1]);
	struct job j;
	while (read(orders[0], &j, sizeof j) == sizeof j) {
		run(j, "assistant");
		write(answers[1], "", 1);
	}
	_exit(0);
}

int main(int argc, char **argv) {
	char line[256], word[64], name[64];
	struct job j;
	FILE *in = stdin;
	assistant();
	pthread_t t;
	sem_init(&begin, 0, 0);
	sem_init(&end, 0, 0);
	if (pthread_create(&t, 0, stand, 0)) return 3;
	if (argc > 1) {
		char *all = argv[1];
		for (char *p = all; *p; p++) if (*p == ';') *p = '\n';
		in = fmemopen(all, strlen(all), "r");
	}
	if (argc <= 1) { printf("ready\n"); fflush(stdout); }
	while (fgets(line, sizeof line, in)) {
		if (sscanf(line, "%63s %d %d %63s", word, &j.from, &j.count, name) < 3) return 2;
		if (!strcmp(word, "self")) run(j, "self");
		else if (!strcmp(word, "thread")) thread(j);
		else if (!strcmp(word, "child")) child(j, 0);
		else if (!strcmp(word, "deep")) child(j, 2);
		else if (!strcmp(word, "standing")) { standing = j; sem_post(&begin); sem_wait(&end); }
		else if (!strcmp(word, "assistant")) { char c; write(orders[1], &j, sizeof j); if (read(answers[0], &c, 1) != 1) return 3; }
		else if (!strcmp(word, "pair"))
			for (int i = j.from; i < j.from + j.count; i++) { work(i, "pair"); other(i); syscall(SYS_getppid); }
		else if (!strcmp(word, "name")) { prctl(PR_SET_NAME, name); run(j, "self"); }
		else return 2;
		printf("done\n");
		fflush(stdout);
	}
	close(orders[1]);
	waitpid(helper, 0, 0);
	return 0;
}
`

// crew is a running program of crewSource.
type crew struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	pipe   *os.File
	pid    int
	closed bool
}

// hire starts the program at path; the end of the test ends it.
func hire(t *testing.T, path string) *crew {
	t.Helper()
	return hireBy(t, exec.Command(path))
}

func hireBy(t *testing.T, cmd *exec.Cmd) *crew {
	t.Helper()
	c := &crew{t: t, cmd: cmd}
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	var theirs *os.File
	if c.pipe, theirs, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = theirs
	c.out = bufio.NewReader(c.pipe)
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.pid = cmd.Process.Pid
	t.Cleanup(c.dismiss)
	c.answer("ready\n")
	return c
}

// dismiss ends the program and waits for it.
func (c *crew) dismiss() {
	if c.closed {
		return
	}
	c.closed = true
	_ = c.in.Close()
	stop := time.AfterFunc(patience, func() { _ = c.cmd.Process.Kill() })
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the target ended with %v", err)
	}
	stop.Stop()
	_ = c.pipe.Close()
}

func (c *crew) answer(want string) {
	c.t.Helper()
	if err := c.pipe.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	got, err := c.out.ReadString('\n')
	if err != nil || got != want {
		c.t.Fatalf("the target said %q, %v, want %q", got, err, want)
	}
}

// do has the program do a job and waits until it is done.
func (c *crew) do(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.t.Fatal(err)
	}
	c.answer("done\n")
}

// warm is the number of the calls that say nothing but that a recording has begun.
const warm = -1

// awaitHits has the program do job, which calls work(warm), until a row of it was seen.
func (c *crew) awaitHits(r *recording, job string) {
	c.t.Helper()
	eventually(c.t, "a first row of "+job+"\n"+r.errs.String(), func() bool {
		r.alive()
		c.do("%s %d 1", job, warm)
		return slices.ContainsFunc(r.rows(), func(w row) bool { return w.num("n") == warm })
	})
}

// numbers are the values of column n, in order and without the warm-ups.
func numbers(rows []row) []int64 {
	var list []int64
	for _, r := range rows {
		if n := r.num("n"); n != warm {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// wantNumbers fails the test unless the rows are those of the calls from..to-1, each
// once.
func wantNumbers(t *testing.T, rows []row, from, to int64) {
	t.Helper()
	got := numbers(rows)
	var want []int64
	for n := from; n < to; n++ {
		want = append(want, n)
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls that were seen: got %v, want %d to %d, each once", got, from, to-1)
	}
}

// probeOf is the probe of the crew's function work in the file at path.
func probeOf(path string) string { return "uprobe:" + path + ":work(n, who)" }

func inode(fi os.FileInfo) uint64 {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
