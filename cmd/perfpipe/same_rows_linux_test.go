//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// sameLoad makes events of every kind between two marks on each processor: system
// calls of getpgid with an argument that nobody passes.
const sameLoad = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) int named(int n, const char *name) { __asm__ volatile("" ::: "memory"); return n + (name != 0); }
static volatile int caught;
static void on(int sig) { caught = sig; }
static void mark(long phase, int cpus) {
	cpu_set_t all, one;
	sched_getaffinity(0, sizeof all, &all);
	for (int c = 0; c < cpus; c++) {
		CPU_ZERO(&one);
		CPU_SET(c, &one);
		if (sched_setaffinity(0, sizeof one, &one)) continue;
		syscall(SYS_getpgid, 0x5eed0000L + phase);
	}
	sched_setaffinity(0, sizeof all, &all);
}
int main(int argc, char **argv) {
	int cpus = atoi(argv[1]);
	signal(SIGUSR1, on);
	usleep(200000);
	mark(1, cpus);
	for (int i = 0; i < 60; i++) {
		int fd = open(i & 1 ? "/etc/passwd" : "/nowhere", O_RDONLY);
		if (fd >= 0) close(fd);
		kill(getpid(), SIGUSR1);
		named(i, i % 3 ? "text of a probe" : "");
		if (i % 10 == 0 && !fork()) { named(-i, 0); usleep(100); _exit(0); }
		usleep(i % 7 * 300);
		for (int k = 0; k < 200; k++) getuid();
		for (int k = 0; k < 5000; k++) syscall(SYS_getppid); /* the storm that interrupts come in */
		free(malloc(1 << (i % 20)));
	}
	while (wait(0) > 0) {}
	mark(2, cpus);
	usleep(200000);
	return 0;
}`

// TestEnginesSameRows has the three engines record the same events at the same time,
// each within the other, and compares row by row. What is one task's, or one
// interrupt's, stands in the same order; two engines that take an event one after the
// other may have an interrupt's events in between, which then stand before it in one
// and behind it in the other.
func TestEnginesSameRows(t *testing.T) {
	testpriv.Need(t)
	needPrograms(t)
	testpriv.Lock(t)
	load := compileC(t, "same", sameLoad, "-O0", "-w")
	cpus := possibleCPUs()
	dir := t.TempDir()
	events := []string{
		"sched:sched_switch,sched:sched_wakeup,sched:sched_waking,sched:sched_wakeup_new,sched:sched_process_fork",
		"irq:irq_handler_entry,irq:irq_handler_exit,irq:softirq_raise,irq:softirq_entry,irq:softirq_exit",
		"timer:hrtimer_start,timer:hrtimer_cancel,timer:hrtimer_expire_entry,timer:hrtimer_expire_exit,timer:timer_start,timer:timer_expire_entry",
		"raw_syscalls:sys_enter,raw_syscalls:sys_exit", "syscalls:sys_enter_openat,syscalls:sys_exit_openat,syscalls:sys_enter_kill",
		"kmem:kmem_cache_alloc,kmem:kmem_cache_free,kmem:kmalloc,kmem:kfree",
		"signal:signal_generate,signal:signal_deliver",
		"uprobe:" + load + ":named(arg0:s32, arg1:string)",
	}
	engines := []string{"perf", "ftrace", "bpf"}
	out := func(engine string) string { return filepath.Join(dir, engine+".ndjson") }
	line := func(engine string) []string {
		args := []string{"record", "--engine", engine, "--trace-self", "-m", "64M", "-a", "-o", out(engine)}
		for _, e := range events {
			args = append(args, "-e", e)
			if strings.HasPrefix(e, "raw_syscalls:") {
				// What others' loops make by the million.
				args = append(args, "--filter", "id != "+fmt.Sprint(syscall.SYS_GETPPID))
			}
		}
		return append(args, "--")
	}
	args := line(engines[0])
	for _, e := range engines[1:] {
		args = append(append(args, binary), line(e)...)
	}
	r := invoke(t, append(args, load, fmt.Sprint(cpus))...)
	r.want(t, 0)
	if n := strings.Count(r.stderr, "(0 lost)"); n != len(engines) {
		t.Fatalf("%d of %d engines lost nothing\n%s", n, len(engines), r.stderr)
	}
	want := betweenMarks(t, out(engines[0]), cpus)
	kinds := make(map[string]int)
	for _, rows := range want {
		for _, s := range rows {
			kinds[s.event]++
		}
	}
	for e, n := range map[string]int{"sched:sched_switch": 20, "irq:softirq_entry": 5, "timer:hrtimer_start": 20, "raw_syscalls:sys_enter": 10000, "syscalls:sys_enter_openat": 60, "syscalls:sys_exit_openat": 60, "syscalls:sys_enter_kill": 60, "kmem:kmalloc": 20, "signal:signal_deliver": 60} {
		if kinds[e] < n {
			t.Errorf("%s: got %d rows, want at least %d: the load is not what it should be", e, kinds[e], n)
		}
	}
	if len(kinds) < 25 {
		t.Errorf("got rows of %d events: %v", len(kinds), kinds)
	}
	for _, e := range engines[1:] {
		got := betweenMarks(t, out(e), cpus)
		for cpu := range cpus {
			if !slices.ContainsFunc(want[cpu], func(s seen) bool { return s.idle }) {
				// perf does not see this idle task: see TestFidelity.
				got[cpu] = slices.DeleteFunc(got[cpu], func(s seen) bool { return s.idle })
			}
			sameOrder(t, fmt.Sprintf("%s on cpu %d", e, cpu), got[cpu], want[cpu])
		}
	}
}

// seen is a row without its times.
type seen struct {
	event, text string
	// idle: the task is the idle one. passed: a later one was found first.
	idle, passed bool
}

// betweenMarks reads the rows between the marks of each processor.
func betweenMarks(t *testing.T, path string, cpus int) [][]seen {
	t.Helper()
	list := make([][]seen, cpus)
	inside := make([]bool, cpus)
	for line := range strings.Lines(readFile(t, path)) {
		var r map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var cpu int
		var event string
		if err := json.Unmarshal(r["cpu"], &cpu); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := json.Unmarshal(r["event"], &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if event == "raw_syscalls:sys_enter" {
			switch args := string(r["args"]); {
			case strings.HasPrefix(args, fmt.Sprintf("[%d,", 0x5eed0001)):
				inside[cpu] = true
			case strings.HasPrefix(args, fmt.Sprintf("[%d,", 0x5eed0002)):
				inside[cpu] = false
			}
		}
		if !inside[cpu] {
			continue
		}
		delete(r, "ts")
		delete(r, "time")
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		list[cpu] = append(list[cpu], seen{event: event, text: string(b), idle: string(r["tid"]) == "0"})
	}
	return list
}

// sameOrder fails unless got has the rows of want, each as often, and in their order
// but for interrupts within a few rows. At a mark itself such a row may stand outside.
func sameOrder(t *testing.T, what string, got, want []seen) {
	t.Helper()
	const window = 400
	t.Logf("%s: %d rows", what, len(want))
	if len(want) == 0 {
		t.Errorf("%s: no row between the marks", what)
		return
	}
	got = slices.Clone(got)
	moved, missing := 0, 0
	for i, w := range want {
		k := 0
		for k < len(got) && k < window && got[k].text != w.text {
			k++
		}
		if k == len(got) || k == window {
			if i < 40 || i >= len(want)-40 {
				continue // beyond the mark, in the other
			}
			if missing++; missing < 4 {
				t.Errorf("%s: row %d of %d is missing: %s", what, i, len(want), w.text)
				for n := range min(3, len(got)) {
					t.Logf("  next: %s", got[n].text)
				}
			}
			continue
		}
		for n := range k {
			if !got[n].passed {
				got[n].passed = true
				moved++
			}
		}
		copy(got[1:k+1], got[:k])
		got = got[1:]
	}
	if missing > 0 {
		t.Errorf("%s: %d rows of %d are missing", what, missing, len(want))
	}
	if len(got) > 40 {
		t.Errorf("%s: %d rows too many, the first: %s", what, len(got), got[0].text)
	}
	if most := 20 + len(want)/20; moved > most {
		t.Errorf("%s: %d of %d rows stand in another place, at most %d may", what, moved, len(want), most)
	}
}
