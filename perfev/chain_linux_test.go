package perfev_test

import (
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
)

// nested calls a, b and c once a line, and c's work is to sleep.
const nested = `
#include <stdio.h>
#include <unistd.h>
#include <time.h>
/* Not through libc, which has no frame pointers: nanosleep is call 35 of x86-64. */
__attribute__((noinline)) int c(int n) {
	struct timespec t = {0, 2000000};
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(35L), "D"(&t), "S"(0L) : "rcx", "r11", "memory");
	return n + 1;
}
__attribute__((noinline)) int b(int n) { return c(n) + 1; }
__attribute__((noinline)) int a(int n) { return b(n) + 1; }
int main(void) {
	char line[64];
	puts("ready"); fflush(stdout);
	while (fgets(line, sizeof line, stdin)) { printf("%d\n", a(1)); fflush(stdout); }
	return 0;
}`

// names are the functions of the program that a chain goes through, innermost first.
func (c *tally) names(p *program, id uint64) (list []string) {
	for _, n := range c.stacks[id].Frames {
		if f := c.frames[n]; f.Kind == perfpipe.FrameFile && f.File == p.path {
			list = append(list, p.function(f.Offset))
		}
	}
	return list
}

// kinds counts the frames of a chain by kind.
func (c *tally) kinds(id uint64) map[perfpipe.FrameKind]int {
	m := map[perfpipe.FrameKind]int{}
	for _, n := range c.stacks[id].Frames {
		m[c.frames[n].Kind]++
	}
	return m
}

func TestChainOfProbe(t *testing.T) {
	testpriv.Need(t)
	p := compile(t, nested, "-O0", "-fno-omit-frame-pointer")
	s := p.probe(t, "p inc c")
	for _, tt := range []struct {
		name   string
		target func(pid int) perfev.Target
	}{
		{"the process", func(pid int) perfev.Target { return perfev.Target{PIDs: []int{pid}} }},
		{"every process", func(int) perfev.Target { return perfev.Target{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.start(t)
			r.line(t)
			c := capture(t, perfev.Config{Events: events(s...), CallChain: perfev.CallChain{Kernel: true, User: true}, Target: tt.target(r.cmd.Process.Pid)}, func() {
				for range 10 {
					if got := r.goOn(t); got != "4" {
						t.Errorf("the program said %q, want 4", got)
					}
				}
			})
			if len(c.records) != 10 || c.untold != 0 || c.lost != 0 {
				t.Fatalf("got %d records, %d untold, %d lost; want 10, 0, 0", len(c.records), c.untold, c.lost)
			}
			first := c.records[0].Stack
			for _, rec := range c.records {
				if got, want := c.names(p, rec.Stack), []string{"c", "b", "a", "main"}; !slices.Equal(got, want) {
					t.Fatalf("chain: got %v, want %v of %+v", got, want, c.stacks[rec.Stack])
				}
				if rec.Stack != first {
					t.Errorf("stack: got %x, want that of the first, %x", rec.Stack, first)
				}
			}
			st := c.stacks[first]
			f := c.frames[st.Frames[slices.IndexFunc(st.Frames, func(n uint32) bool { return c.frames[n].Kind == perfpipe.FrameFile })]]
			if want := p.offset(p.syms["c"].Value); f.Offset != want {
				t.Errorf("innermost: got offset %#x, want the probed %#x", f.Offset, want)
			}
			if want := buildID(t, p); f.BuildID != want || f.PID != int32(r.cmd.Process.Pid) {
				t.Errorf("frame: got build id %q pid %d, want %q %d", f.BuildID, f.PID, want, r.cmd.Process.Pid)
			}
		})
	}
}

// buildID asks readelf for the build id of a program.
func buildID(t *testing.T, p *program) string {
	t.Helper()
	out, err := exec.Command(testpriv.NeedTool(t, "readelf"), "-n", p.path).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(string(out), "Build ID: ")
	id, _, _ = strings.Cut(id, "\n")
	return id
}

func TestChainOfTracepoint(t *testing.T) {
	testpriv.Need(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the program's system call is written for x86-64")
	}
	p := compile(t, nested, "-O0", "-fno-omit-frame-pointer")
	sw := schema(t, "sched:sched_switch")
	for _, tt := range []struct {
		name         string
		chain        perfev.CallChain
		kernel, user bool
	}{
		{"both", perfev.CallChain{Kernel: true, User: true}, true, true},
		{"kernel", perfev.CallChain{Kernel: true}, true, false},
		{"user", perfev.CallChain{User: true}, false, true},
		{"two frames", perfev.CallChain{Kernel: true, MaxFrames: 2}, true, false},
		{"none", perfev.CallChain{}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r *running
			// Started while events flow: its mappings come as records.
			c := capture(t, perfev.Config{Events: events(sw), CallChain: tt.chain}, func() {
				r = p.start(t)
				r.line(t)
				for range 5 {
					r.goOn(t)
				}
			})
			if c.untold != 0 {
				t.Errorf("%d stacks or frames were not told before they were named", c.untold)
			}
			var kernel, user, nestedSeen int
			for _, rec := range c.records {
				k := c.kinds(rec.Stack)
				kernel += k[perfpipe.FrameKernel]
				user += k[perfpipe.FrameFile]
				if tt.chain.MaxFrames > 0 && len(c.stacks[rec.Stack].Addrs) > tt.chain.MaxFrames {
					t.Errorf("got %d frames, want at most %d", len(c.stacks[rec.Stack].Addrs), tt.chain.MaxFrames)
				}
				if rec.PID != int32(r.cmd.Process.Pid) {
					continue
				}
				if strings.HasSuffix(strings.Join(c.names(p, rec.Stack), " "), "c b a main") {
					nestedSeen++
				}
			}
			if (kernel > 0) != tt.kernel || (user > 0) != tt.user {
				t.Errorf("got %d kernel and %d file frames in %d records, want %v, %v", kernel, user, len(c.records), tt.kernel, tt.user)
			}
			if tt.user && nestedSeen < 5 {
				t.Errorf("got %d records below c, b, a and main, want 5 at least", nestedSeen)
			}
		})
	}
}

// omitting calls a, b and c as nested does, through a callback of libc and with
// frames that only their call frame information can tell.
const omitting = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
__attribute__((noinline)) int c(int n) { __asm__ volatile(""); return n + 1; }
__attribute__((noinline)) int b(int n) { volatile char big[3000]; memset((char *)big, n, sizeof big); return c(n) + big[7]; }
__attribute__((noinline)) int compare(const void *x, const void *y) { return b(*(const int *)x) - *(const int *)y; }
__attribute__((noinline)) int a(int n) { int v[2] = {n, 2 * n}; volatile char var[n * 100]; var[0] = 1; qsort(v, 2, sizeof v[0], compare); return v[0] + var[0]; }
int main(void) {
	char line[64];
	puts("ready"); fflush(stdout);
	while (fgets(line, sizeof line, stdin)) { printf("%d\n", a(1) + 1); fflush(stdout); }
	return 0;
}`

func TestChainOfCopiedStack(t *testing.T) {
	testpriv.Need(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("copied stacks are unwound on x86-64 alone")
	}
	p := compile(t, omitting, "-O2", "-fomit-frame-pointer")
	s := append(p.probe(t, "p inc c"), schema(t, "sched:sched_switch"))
	for _, tt := range []struct {
		name  string
		chain perfev.CallChain
		want  string
	}{
		{"with the kernel's part", perfev.CallChain{Kernel: true, User: true, StackBytes: 16384}, "c b compare a main"},
		{"alone", perfev.CallChain{User: true, StackBytes: 16384}, "c b compare a main"},
		{"too short a copy", perfev.CallChain{User: true, StackBytes: 1024}, "c b"},
		{"three frames", perfev.CallChain{User: true, StackBytes: 16384, MaxFrames: 3}, "c b compare"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.start(t)
			r.line(t)
			c := capture(t, perfev.Config{Events: events(s...), CallChain: tt.chain, CgroupIDs: true}, func() {
				for range 5 {
					r.goOn(t)
				}
			})
			n, kernel := 0, 0
			for _, rec := range c.records {
				kernel += c.kinds(rec.Stack)[perfpipe.FrameKernel]
				if rec.Event != 0 {
					continue
				}
				n++
				var list []string
				for _, f := range c.names(p, rec.Stack) {
					list = append(list, strings.TrimSuffix(f, ".constprop.0"))
				}
				got := strings.Join(list, " ")
				if got != tt.want && got != tt.want+" _start" {
					t.Errorf("chain: got %s, want %s", got, tt.want)
					for i, id := range c.stacks[rec.Stack].Frames {
						t.Logf("%#x %+v", c.stacks[rec.Stack].Addrs[i], c.frames[id])
					}
				}
			}
			if n != 5 || c.untold != 0 || c.lost != 0 {
				t.Errorf("got %d records, %d untold, %d lost, want 5, 0, 0", n, c.untold, c.lost)
			}
			if (kernel > 0) != tt.chain.Kernel {
				t.Errorf("got %d frames of the kernel, want some: %v", kernel, tt.chain.Kernel)
			}
		})
	}
}
