//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// needPrograms skips where the kernel runs no program at a probe that may wait.
func needPrograms(t *testing.T) {
	t.Helper()
	testpriv.Need(t)
	prog := compile(t, "strings.c", "-g", "-O2", "-w")
	if r := recordProbes(t, "--engine", "bpf", "-e", "uprobe:"+prog+":one(s)", "-o", "-", "--format", "ndjson", "--", prog); r.status != 0 {
		if testpriv.Required() {
			t.Fatalf("no programs on this kernel: %s", r.stderr)
		}
		t.Skipf("no programs on this kernel: %s", r.stderr)
	}
}

// TestEnginesAgree records every type of field by samples and by programs: the rows are
// the same but for what tells one run from another.
func TestEnginesAgree(t *testing.T) {
	needPrograms(t)
	strs := compile(t, "strings.c", "-g", "-O2", "-w")
	values := compile(t, "values.c", "-g", "-O2", "-w")
	recurse := compile(t, "recurse.c", "-g", "-O2")
	goprog := compileGo(t)
	tests := []struct {
		name string
		args []string
	}{
		{"strings", []string{"-e", "uprobe:" + strs + ":one(s)", "--", strs}},
		{"nulls", []string{"-e", "uprobe:" + strs + ":boxed(p->a, p->b, p->c, p->s, *q, deep=pp[0]->a, text=pp[0]->s)", "--", strs}},
		{"values", append(fetchAll(values, fetchedValues), "--", values)},
		{"returns by sites", []string{"--ret-mode", "sites", "-e", "uretprobe:" + recurse + ":down(ret)", "--", recurse}},
		{"returns by trampoline", []string{"--ret-mode", "trampoline", "-e", "uretprobe:" + values + ":rettext(ret),uretprobe:" + values + ":ret64(ret)", "--", values}},
		{"go", []string{"-m", "32M", "-e", "uprobe:" + goprog + ":main.(*thing).rename(t.id, name, n)", "-e", "uretprobe:" + goprog + ":main.(*thing).rename", "--", goprog}},
		{"a filter", []string{"-e", "uprobe:" + strs + ":one(s)", "--filter", `s ~ "4*"`, "--", strs}},
		{"a filter of numbers", []string{"-e", "uprobe:" + values + ":eleven(a, e, k)", "--filter", "e < 0", "--", values}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows := func(engine string) []row {
				// Targets write to standard output themselves.
				out := filepath.Join(t.TempDir(), "rows.ndjson")
				recordProbes(t, append([]string{"--engine", engine, "-o", out}, tt.args...)...).want(t, 0, "(0 lost)")
				return readRows(t, readFile(t, out))
			}
			byPerf, byProgram := rows("perf"), rows("bpf")
			if len(byPerf) == 0 || len(byPerf) != len(byProgram) {
				t.Fatalf("got %d rows by samples and %d by programs", len(byPerf), len(byProgram))
			}
			for i := range byPerf {
				sameRow(t, i, byPerf[i], byProgram[i])
			}
		})
	}
}

// sameRow compares two rows. A text that the samples have the beginning of, the
// program has more of.
func sameRow(t *testing.T, n int, byPerf, byProgram row) {
	t.Helper()
	for _, r := range []row{byPerf, byProgram} {
		for _, name := range []string{"time", "ts", "cpu", "pid", "tid"} {
			if _, ok := r[name]; !ok {
				t.Errorf("row %d: no column %s", n, name)
			}
			delete(r, name)
		}
		for _, name := range []string{"__probe_ip", "__probe_func", "__probe_ret_ip"} {
			if v, ok := r[name]; ok && fmt.Sprint(v) == "0" {
				t.Errorf("row %d: %s is 0", n, name)
			}
			// Where the program was loaded; what is within a page stays.
			if v, err := strconv.ParseUint(fmt.Sprint(r[name]), 10, 64); err == nil {
				r[name] = fmt.Sprint(v & 0xfff)
			}
		}
	}
	cut := byPerf.value("truncated") == "true"
	for name := range byPerf {
		was, text := byPerf[name].(string)
		is, _ := byProgram[name].(string)
		if cut && text && strings.HasPrefix(is, was) && len(is) <= 4096 {
			continue
		}
		if name == "truncated" && cut {
			continue
		}
		if byPerf.value(name) != byProgram.value(name) {
			t.Errorf("row %d: %s: got %.80s by samples, %.80s by a program", n, name, byPerf.value(name), byProgram.value(name))
		}
	}
	for name := range byProgram {
		if _, ok := byPerf[name]; !ok {
			t.Errorf("row %d: %s: got %.80s by a program, none by samples", n, name, byProgram.value(name))
		}
	}
}

// TestEngineChosen: what a program cannot do exactly is perf's, and asked for, refused.
func TestEngineChosen(t *testing.T) {
	needPrograms(t)
	prog := compile(t, "strings.c", "-g", "-O2", "-w")
	one := "uprobe:" + prog + ":one(s)"
	tests := []struct {
		name   string
		args   []string
		engine string
	}{
		{"a command", nil, "bpf"},
		{"every task", []string{"-a"}, "bpf"},
		{"one processor", []string{"-C", "0"}, "bpf"},
		{"a process", []string{"-p", strconv.Itoa(os.Getpid())}, "bpf"},
		{"perf", []string{"--engine", "perf"}, "perf"},
		{"a thread", []string{"-t", strconv.Itoa(os.Getpid())}, "perf"},
		{"no inheritance", []string{"-i"}, "perf"},
		{"call chains", []string{"-g"}, "perf"},
		{"a period", []string{"-c", "2"}, "perf"},
		{"ids of cgroups", []string{"--cgroup-id"}, "perf"},
	}
	for _, tt := range tests {
		args := append([]string{"-v", "-e", one, "-o", filepath.Join(t.TempDir(), "d")}, tt.args...)
		recordProbes(t, append(args, "--", prog)...).want(t, 0, "event uprobe:strings:one: engine: "+tt.engine)
		if tt.engine == "bpf" || tt.name == "perf" {
			continue
		}
		args = append(args, "--engine", "bpf")
		recordProbes(t, append(args, "--", prog)...).want(t, exitRuntime, "record uprobe:strings:one by bpf: ")
	}
	two := recordProbes(t, "-v", "-e", "uprobe:"+prog+":*o[nx]e*", "-o", filepath.Join(t.TempDir(), "d"), "--", prog)
	two.want(t, 0, "engine: perf")
	recordProbes(t, "--engine", "none", "-e", one, "--", prog).want(t, exitUsage, `--engine "none" is none of auto, perf, ftrace and bpf`)
}

// loopSource calls work so many times from each of so many threads.
const loopSource = `
#include <pthread.h>
#include <stdlib.h>
static long calls;
__attribute__((noinline, noipa)) void work(long n, const char *text) { __asm__ volatile("" ::"r"(n), "r"(text)); }
static void *loop(void *base) {
	for (long i = 0; i < calls; i++)
		work((long)base * calls + i, "a text that is some forty bytes long ...");
	return NULL;
}
int main(int argc, char **argv) {
	pthread_t t[16];
	int threads = atoi(argv[1]);
	calls = atol(argv[2]);
	for (long i = 0; i < threads; i++) pthread_create(&t[i], NULL, loop, (void *)i);
	for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
}
`

// TestProgramsLoseExactly: with a ring that is far too small, rows and losses add up to
// the calls that were made.
func TestProgramsLoseExactly(t *testing.T) {
	needPrograms(t)
	prog := compileC(t, "loop", loopSource, "-O2")
	for _, tt := range []struct {
		ring string
		lose bool
	}{{"1", true}, {"64M", false}} {
		out := filepath.Join(t.TempDir(), "d")
		r := recordProbes(t, "--engine", "bpf", "-m", tt.ring, "-e", "uprobe:"+prog+":work(n, text)", "-o", out, "--", prog, "4", "50000")
		r.want(t, 0)
		rows, lost := closingLine(t, r.stderr)
		if rows+lost != 200_000 || (lost > 0) != tt.lose || rows == 0 {
			t.Errorf("-m %s: got %d rows and %d lost, want 200000 together\n%s", tt.ring, rows, lost, r.stderr)
		}
		if tt.lose && !strings.Contains(r.stderr, fmt.Sprintf("lost %s of uprobe:loop:work: ring_full", commas(uint64(lost)))) {
			t.Errorf("-m %s: the loss has no event or reason\n%s", tt.ring, r.stderr)
		}
	}
}

// closingLine reads the numbers of the last line of a recording.
func closingLine(t *testing.T, text string) (rows, lost int) {
	t.Helper()
	m := regexp.MustCompile(`wrote ([0-9,]+) rows.*\(([0-9,]+) lost\)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no closing line in %q", text)
	}
	rows, _ = strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
	lost, _ = strconv.Atoi(strings.ReplaceAll(m[2], ",", ""))
	return rows, lost
}

// TestProgramsOrder: rows of threads that preempt each other come in order of time,
// each call once.
func TestProgramsOrder(t *testing.T) {
	needPrograms(t)
	prog := compileC(t, "loop", loopSource, "-O2")
	rows := recordRows(t, "--engine", "bpf", "-m", "64M", "-e", "uprobe:"+prog+":work(n)", "--", prog, "8", "4000")
	last, backwards := int64(0), 0
	for _, r := range rows {
		if ts := r.num("ts"); ts < last {
			backwards++
		} else {
			last = ts
		}
	}
	if backwards > 0 {
		t.Errorf("%d of %d rows are earlier than the one before", backwards, len(rows))
	}
	wantNumbers(t, rows, 0, 32_000)
}

// coldSource hands out pointers into pages of a file that are not in the process's
// memory, which reading brings in.
const coldSource = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
struct box { long n; const char *text; };
__attribute__((noinline, noipa)) void see(const char *s, int *n, struct box *b, const char *bytes) { __asm__ volatile("" ::"r"(s), "r"(n), "r"(b), "r"(bytes)); }
int main(int argc, char **argv) {
	int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	ftruncate(fd, 8 * 4096);
	char *m = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(m + 4096 - 2000, 'c', 4000);
	*(int *)(m + 3 * 4096) = 42;
	struct box *b = (struct box *)(m + 4 * 4096);
	b->n = 43;
	b->text = m + 5 * 4096;
	strcpy(m + 5 * 4096, "behind two pointers");
	memset(m + 7 * 4096 - 4, 7, 8);
	for (int i = 0; i < 3; i++) {
		madvise(m, 8 * 4096, MADV_DONTNEED);
		see(m + 4096 - 2000, (int *)(m + 3 * 4096), b, m + 7 * 4096 - 4);
	}
}
`

// TestProgramsFetchPages: what is not in memory is fetched, as the kernel's own fetch does.
func TestProgramsFetchPages(t *testing.T) {
	needPrograms(t)
	prog := compileC(t, "cold", coldSource, "-O2")
	rows := recordRows(t, "--engine", "bpf", "-e", "uprobe:"+prog+":see(s, *n, b->n, b->text, arg3:buf[8])", "--", prog, filepath.Join(t.TempDir(), "cold"))
	if len(rows) != 3 {
		t.Fatalf("got %d rows, want 3", len(rows))
	}
	for i, r := range rows {
		if got, want := r["s"], strings.Repeat("c", 4000); got != want {
			t.Errorf("row %d: s: got %.20v, want 4000 times c", i, got)
		}
		if got, want := r.value("text"), `"behind two pointers"`; got != want {
			t.Errorf("row %d: text: got %s, want %s", i, got, want)
		}
		if got, want := r.value("arg3"), "[7,7,7,7,7,7,7,7]"; got != want {
			t.Errorf("row %d: arg3: got %s, want %s", i, got, want)
		}
	}
}

// TestEnginesSideBySide: two recordings of one function, each by its own engine, and
// perf record on an event of somebody else at the same place: each sees every call.
func TestEnginesSideBySide(t *testing.T) {
	needPrograms(t)
	perf := testpriv.NeedTool(t, "perf")
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	byProgram := record(t, "--engine", "bpf", "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	bySample := record(t, "--engine", "perf", "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	c.awaitHits(byProgram, "self")
	c.awaitHits(bySample, "self")
	group := fmt.Sprintf("ppforeign%d", os.Getpid())
	writeEvents(t, fmt.Sprintf("p:%s/e0 %s n=%%di:s32", group, fileOffset(definitionsOf(t, byProgram.cmd.Process.Pid)[0])))
	t.Cleanup(func() { writeEvents(t, "-:"+group+"/e0") })
	data := filepath.Join(t.TempDir(), "perf.data")
	foreign := exec.Command(perf, "record", "-q", "-a", "-e", group+":e0", "-o", data, "--", "cat")
	in, err := foreign.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := foreign.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "x\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	c.do("self 0 100")
	c.do("thread 100 50")
	in.Close()
	if err := foreign.Wait(); err != nil {
		t.Fatal(err)
	}
	wantNumbers(t, byProgram.interrupt(), 0, 150)
	// The end of the program is nothing to the samples.
	c.do("self 150 10")
	wantNumbers(t, bySample.interrupt(), 0, 160)
	text, err := exec.Command(perf, "script", "-i", data).Output()
	if n := strings.Count(string(text), group+":e0"); err != nil || n != 150 {
		t.Errorf("perf record saw %d calls, %v, want 150", n, err)
	}
}

// TestProgramsEndWithTheirProcess: after SIGKILL no program is left in the kernel.
func TestProgramsEndWithTheirProcess(t *testing.T) {
	needPrograms(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	r := record(t, "--engine", "bpf", "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	c.awaitHits(r, "self")
	ids := programsOf(t, r.cmd.Process.Pid)
	if len(ids) == 0 {
		t.Fatal("no map of a program is open while recording")
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-r.done
	r.over = true
	c.do("self 0 10")
	// The next one sweeps what is left of the definition, which it could not if it were held.
	next := record(t, "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
	c.awaitHits(next, "self")
	next.interrupt()
	eventually(t, "the end of the definitions", func() bool { return len(definitionsOf(t, r.cmd.Process.Pid)) == 0 })
}

// programsOf are the numbers of the BPF maps that a process has open.
func programsOf(t *testing.T, pid int) (ids []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fdinfo", pid)
	ents, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ents {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil && strings.Contains(string(text), "map_id:") {
			ids = append(ids, e.Name())
		}
	}
	return slices.Clip(ids)
}

// TestIdleProgramsCostNothing: who waits for a hit sleeps as with samples, and the hit
// wakes it.
func TestIdleProgramsCostNothing(t *testing.T) {
	needPrograms(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	idle := map[string]int{}
	for _, engine := range []string{"perf", "bpf"} {
		r := record(t, "--engine", engine, "-e", probeOf(path), "-p", fmt.Sprint(c.pid))
		c.awaitHits(r, "self")
		time.Sleep(300 * time.Millisecond)
		before := switches(t, r.cmd.Process.Pid)
		time.Sleep(2 * time.Second)
		idle[engine] = switches(t, r.cmd.Process.Pid) - before
		c.do("self 0 5")
		wantNumbers(t, r.interrupt(), 0, 5)
	}
	// A look every 2 ms would be 1000 more.
	if idle["bpf"] > idle["perf"]+500 {
		t.Errorf("waits in two idle seconds: got %d with programs, %d with samples", idle["bpf"], idle["perf"])
	}
}

// switches is how often the threads of a process gave the processor up.
func switches(t *testing.T, pid int) (n int) {
	t.Helper()
	tids, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tids {
		text, _ := os.ReadFile(f)
		if m := regexp.MustCompile(`(?m)^voluntary_ctxt_switches:\s+(\d+)`).FindSubmatch(text); m != nil {
			v, _ := strconv.Atoi(string(m[1]))
			n += v
		}
	}
	return n
}
