//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// chainSource calls c by b by a by main, four times, sleeping in b, and deletes itself.
const chainSource = `
#include <unistd.h>
__attribute__((noinline, noclone)) int c(int n) { __asm__ volatile("" ::: "memory"); return n; }
__attribute__((noinline, noclone)) int b(int n) { int r = c(n); usleep(1000); return r + 1; }
__attribute__((noinline, noclone)) int a(int n) { return b(n) + 1; }
int main(int argc, char **argv) {
	int s = argc;
	for (int i = 0; i < 4; i++) s += a(i);
	unlink(argv[0]);
	return s > 100;
}
`

// readTable reads a table of a dataset.
func readTable(t *testing.T, dir, name string) []row {
	t.Helper()
	r := invoke(t, "cat", dir, "--table", name, "--format", "ndjson")
	r.want(t, 0)
	return readRows(t, r.stdout)
}

// chains are the call chains of a dataset.
type chains struct {
	stacks map[string][]string // the ids of the frames, by the id of the stack
	frames map[string]row
}

func readChains(t *testing.T, dir string) chains {
	t.Helper()
	c := chains{map[string][]string{}, map[string]row{}}
	for _, s := range readTable(t, dir, "_stacks") {
		id := fmt.Sprint(s["stack_id"])
		frames, _ := s["frames"].([]any)
		addresses, _ := s["addresses"].([]any)
		if _, twice := c.stacks[id]; twice || len(frames) == 0 || len(frames) != len(addresses) {
			t.Errorf("_stacks: got %v; each stack once, as many frames as addresses, are wanted", s)
		}
		for _, f := range frames {
			c.stacks[id] = append(c.stacks[id], fmt.Sprint(f))
		}
	}
	for _, f := range readTable(t, dir, "_frames") {
		id := fmt.Sprint(f["frame_id"])
		if _, twice := c.frames[id]; twice {
			t.Errorf("_frames: %s is there twice", id)
		}
		c.frames[id] = f
	}
	return c
}

// of returns the frames of the call chain of a row, the innermost first.
func (c chains) of(t *testing.T, w row) []row {
	t.Helper()
	ids, ok := c.stacks[fmt.Sprint(w["stack_id"])]
	if !ok {
		t.Errorf("_stacks has no %v", w["stack_id"])
	}
	var list []row
	for _, id := range ids {
		f, ok := c.frames[id]
		if !ok {
			t.Errorf("_frames has no %s", id)
		}
		list = append(list, f)
	}
	return list
}

func symbolsOf(frames []row) []string {
	var list []string
	for _, f := range frames {
		list = append(list, f.text("symbol"))
	}
	return list
}

// wantChain fails the test unless got begins with want.
func wantChain(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("call chain: got %q, want %q", got, want)
	}
}

func TestCallChains(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "chain", chainSource, "-O0", "-fno-omit-frame-pointer", "-Wl,--build-id")
	readelf, err := exec.Command(testpriv.NeedTool(t, "readelf"), "-n", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "d")
	invoke(t, "record", "-g", "-e", "uprobe:"+path+":c(n)", "-e", "sched:sched_switch", "-o", dir, "--", path).want(t, 0)
	if _, err := os.Stat(path); err == nil {
		t.Error("the program did not delete itself")
	}
	all := readChains(t, dir)
	rows := readTable(t, dir, "uprobe.chain.c")
	wantNumbers(t, rows, 0, 4)
	for _, w := range rows {
		frames := all.of(t, w)
		wantChain(t, symbolsOf(frames), "c", "b", "a", "main")
		for i, f := range frames[:min(4, len(frames))] {
			if f.text("file") != path || filepath.Base(f.text("source")) != "chain.c" || f.num("line") != int64([]int{3, 4, 5, 8}[i]) {
				t.Errorf("frame %d: got %v, want file %s and the line in chain.c", i, f, path)
			}
			if id := f.text("build_id"); len(id) < 32 || !strings.Contains(string(readelf), id) {
				t.Errorf("frame %d: got build id %q, readelf has\n%s", i, id, readelf)
			}
		}
	}
	tids := map[int64]int{}
	for _, w := range readTable(t, dir, "_tasks") {
		if tids[w.num("tid")]++; tids[w.num("tid")] > 1 {
			t.Errorf("_tasks has a second row of thread %d: %v", w.num("tid"), w)
		}
	}
	slept := 0
	for _, w := range readTable(t, dir, "sched.sched_switch") {
		names := symbolsOf(all.of(t, w))
		if !slices.ContainsFunc(names, func(s string) bool { return strings.Contains(s, "nanosleep") }) {
			continue
		}
		slept++
		kernel := all.of(t, w)[0]
		if kernel.text("kind") != "kernel" || kernel.text("symbol") == "" {
			t.Errorf("a switch begins in %v, want a function of the kernel", kernel)
		}
		// usleep is libc's, which keeps no frame pointers: b, its caller, is not seen.
		if i := slices.Index(names, "a"); i < 0 || !slices.Equal(names[i:i+2], []string{"a", "main"}) {
			t.Errorf("call chain of a sleep: got %q, want a and main in it", names)
		}
	}
	if slept < 4 {
		t.Errorf("got %d switches by sleeping, want 4", slept)
	}
}

func TestCallChainsInline(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "chain", chainSource, "-O0", "-fno-omit-frame-pointer")
	r := invoke(t, "record", "--stack-inline", "-e", "uprobe:"+path+":c(n)", "-o", "-", "--format", "ndjson", "--", path)
	r.want(t, 0)
	for _, w := range readRows(t, r.stdout) {
		stack, _ := w["stack"].([]any)
		var got []string
		for _, s := range stack {
			name, _, _ := strings.Cut(fmt.Sprint(s), "+")
			got = append(got, name)
		}
		wantChain(t, got, "c", "b", "a", "main")
		if len(stack) > 0 && stack[0] != "c+0x0" {
			t.Errorf("innermost frame: got %v, want c+0x0", stack[0])
		}
	}
}

func TestCallChainsHalves(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "chain", chainSource, "-O0", "-fno-omit-frame-pointer")
	text := readFile(t, path)
	for _, tt := range []struct {
		flag, kind string
	}{{"--kernel-callchains", "kernel"}, {"--user-callchains", "file"}} {
		t.Run(tt.kind, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "d")
			invoke(t, "record", tt.flag, "-e", "sched:sched_switch", "-o", dir, "--", path).want(t, 0)
			all := readChains(t, dir)
			if len(all.frames) < 2 {
				t.Errorf("got the frames %v", all.frames)
			}
			for _, f := range all.frames {
				if f.text("kind") != tt.kind {
					t.Errorf("got the frame %v, want kind %s", f, tt.kind)
				}
			}
		})
	}
}

// TestCallChainsByDWARF unwinds what has no frame pointers.
func TestCallChainsByDWARF(t *testing.T) {
	testpriv.Need(t)
	kept := strings.Replace(chainSource, "unlink", "(void)", 1)
	path := compileC(t, "chain", kept, "-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls")
	names := func(mode string) []string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "d")
		invoke(t, "record", "--call-graph", mode, "-e", "uprobe:"+path+":c(n)", "-o", dir, "--", path).want(t, 0)
		rows := readTable(t, dir, "uprobe.chain.c")
		wantNumbers(t, rows, 0, 4)
		if len(rows) == 0 {
			return nil
		}
		return symbolsOf(readChains(t, dir).of(t, rows[0]))
	}
	for _, mode := range []string{"dwarf", "dwarf,1024", "dwarf,65528"} {
		wantChain(t, names(mode), "c", "b", "a", "main")
	}
	if got := names("fp"); slices.Contains(got, "main") && slices.Contains(got, "b") {
		t.Errorf("by frame pointers: got %q: the program has some, so that the test shows nothing", got)
	}
}

const goChainSource = `package main

//go:noinline
func work(n int) int { if n < 0 { println(n) }; return n * 2 }

//go:noinline
func middle(n int) int { return work(n) + 1 }

type outer struct{ n int }

//go:noinline
func (o *outer) Call() int { return middle(o.n) + 1 }

func main() {
	sum := 0
	for i := range 4 {
		sum += (&outer{i}).Call()
	}
	done := make(chan int)
	go func() { done <- middle(4) }()
	println(sum + <-done)
}
`

func TestCallChainsOfGo(t *testing.T) {
	testpriv.Need(t)
	src := t.TempDir()
	for name, text := range map[string]string{"main.go": goChainSource, "go.mod": "module example.com/chain\n\ngo 1.22\n"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, flags := range []string{"-w", "-s -w"} { // the second is stripped
		t.Run(flags, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gochain")
			build := exec.Command(testpriv.NeedTool(t, "go"), "build", "-ldflags", flags, "-o", path, ".")
			build.Dir = src
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			dir := filepath.Join(t.TempDir(), "d")
			invoke(t, "record", "-g", "-e", "uprobe:"+path+":main.work(n=arg0:s64)", "-o", dir, "--", path).want(t, 0)
			all := readChains(t, dir)
			rows := readTable(t, dir, "uprobe.gochain.main.work")
			wantNumbers(t, rows, 0, 5)
			for _, w := range rows {
				frames := all.of(t, w)
				if w.num("n") == 4 {
					wantChain(t, symbolsOf(frames), "main.work", "main.middle", "main.main.func1")
				} else {
					wantChain(t, symbolsOf(frames), "main.work", "main.middle", "main.(*outer).Call", "main.main", "runtime.main")
				}
				for _, f := range frames[:min(3, len(frames))] {
					if filepath.Base(f.text("source")) != "main.go" || f.num("line") < 1 {
						t.Errorf("got %v, want a line of main.go", f)
					}
				}
			}
		})
	}
}

// jitSource makes a function at run time, which calls work, and tells of it as JITs do.
const jitSource = `
#include <stdio.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
__attribute__((noinline)) int work(int n) { __asm__ volatile("" ::: "memory"); return n; }
int main(void) {
	unsigned char code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0, 0x5d, 0xc3 };
	uint64_t to = (uint64_t)work;
	memcpy(code + 6, &to, 8);
	unsigned char *at = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) return 1;
	memcpy(at + 64, code, sizeof code);
	char name[64];
	snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
	FILE *f = fopen(name, "w");
	if (!f) return 1;
	fprintf(f, "%lx %zx made at run time\n", (unsigned long)(at + 64), sizeof code);
	fclose(f);
	int s = 0;
	for (int i = 0; i < 4; i++) s += ((int (*)(int))(at + 64))(i);
	return s != 6;
}
`

func TestCallChainsOfCodeMadeAtRunTime(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "jit", jitSource, "-O0", "-fno-omit-frame-pointer")
	dir := filepath.Join(t.TempDir(), "d")
	invoke(t, "record", "-g", "-e", "uprobe:"+path+":work(n)", "-o", dir, "--", path).want(t, 0)
	rows := readTable(t, dir, "uprobe.jit.work")
	wantNumbers(t, rows, 0, 4)
	all := readChains(t, dir)
	for _, w := range rows {
		t.Cleanup(func() { _ = os.Remove(fmt.Sprintf("/tmp/perf-%d.map", w.num("pid"))) })
		frames := all.of(t, w)
		wantChain(t, symbolsOf(frames), "work", "made at run time", "main")
		if len(frames) > 1 && (frames[1].text("kind") != "anon" || frames[1].num("symbol_offset") != 15) {
			t.Errorf("the frame of code made at run time: got %v, want kind anon, at the last byte of its call", frames[1])
		}
	}
}
