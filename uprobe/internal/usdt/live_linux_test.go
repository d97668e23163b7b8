//go:build linux

package usdt

import (
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// target has every kind of operand that sys/sdt.h makes. Its arguments come from argc,
// so that the compiler cannot make constants of them.
const target = `
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#include <stdio.h>
#define SEMAPHORE(name) __extension__ unsigned short pp_##name##_semaphore __attribute__((unused, section(".probes")))
SEMAPHORE(req); SEMAPHORE(num); SEMAPHORE(imm); SEMAPHORE(idx);
static int initialised = 4200; int zeroed; static double ratio = 0.5;
static char *volatile text = "a global text"; int table[8];
__attribute__((noinline)) static void hit(int c, char **v) {
	signed char b = -100 - c; unsigned char u = 199 + c; short s = -3000 + c; long long l = -5000000000LL - c;
	double d = 1.5 * c; float f = 0.25f * c;
	initialised += c; zeroed += 7; ratio += c; table[3] = 77;
	if (__builtin_expect(pp_req_semaphore, 0)) {
		puts("enabled");
		STAP_PROBE6(pp, req, b, u, s, l, v[1], text);
	}
	STAP_PROBE6(pp, num, initialised, zeroed, d, f, ratio, table[c + 2]);
	STAP_PROBE3(pp, imm, 5, -5, (char)-1);
}
int main(int c, char **v) {
	hit(c, v);
	__asm__ volatile ("movl $0x1234, %%eax\n" "990: nop\n"
		".pushsection .note.stapsdt,\"\",\"note\"\n .balign 4\n .4byte 992f-991f, 994f-993f, 3\n"
		"991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b, _.stapsdt.base, 0\n"
		" .asciz \"pp\"\n .asciz \"high\"\n .asciz \"1@%%ah -1@%%al 1@(%%rsp,%%rax,1) 8@%%fs:0 8f@%%xmm0 -4@initialised(%%rip) -4@zeroed(%%rip) 8f@ratio(%%rip) -4@4+table+8(%%rip) 8@text(%%rip)\"\n994: .balign 4\n .popsection" ::: "eax");
	return 0;
}
`

// build compiles the target, or ends the test where it cannot be.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	gcc := testpriv.NeedTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "target.c"), filepath.Join(dir, "target")
	if err := os.WriteFile(src, []byte(target), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(gcc, append(flags, "-o", bin, src)...).CombinedOutput()
	if strings.Contains(string(out), "sys/sdt.h: No such file") {
		t.Skip("cannot run here: sys/sdt.h is missing; install it (Debian: apt-get install systemtap-sdt-dev)")
	}
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

func readFile(t *testing.T, path string) []Probe {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	probes, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return probes
}

const tracing = "/sys/kernel/tracing"

// define writes lines to uprobe_events, and removes the group when the test ends.
func define(t *testing.T, group string, lines []string) {
	t.Helper()
	write := func(s string) error {
		f, err := os.OpenFile(tracing+"/uprobe_events", os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(s + "\n")
		return errors.Join(err, f.Close())
	}
	t.Cleanup(func() {
		if err := write("-:" + group + "/"); err != nil && len(lines) > 0 {
			t.Errorf("remove %s: %v", group, err)
		}
	})
	for _, l := range lines {
		if err := write(l); err != nil {
			t.Fatalf("define %q: %v", l, err)
		}
	}
}

// instance makes a private tracing instance with the group enabled.
func instance(t *testing.T, group string) string {
	t.Helper()
	dir := filepath.Join(tracing, "instances", group)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("remove the instance: %v", err)
		}
	})
	enable := filepath.Join(dir, "events", group, "enable")
	if err := os.WriteFile(enable, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(enable, []byte("0"), 0); err != nil {
			t.Errorf("disable %s: %v", group, err)
		}
	})
	return dir
}

// TestLive arms every probe of a program and compares what the kernel saw of their
// arguments with what the program had.
func TestLive(t *testing.T) {
	testpriv.Need(t)
	for _, flags := range [][]string{{"-O0"}, {"-O2"}, {"-O2", "-fPIE", "-pie"}, {"-O2", "-fno-pie", "-no-pie"}, {"-O2", "-Wl,-z,noseparate-code"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			live(t, build(t, flags...), "pp_usdt_test_"+fmt.Sprint(os.Getpid()))
		})
	}
}

func live(t *testing.T, bin, group string) {
	var lines []string
	null := map[string]string{}
	for _, p := range readFile(t, bin) {
		for i, s := range p.Sites {
			place := fmt.Sprintf("%s:%#x", bin, s.Offset)
			if s.SemaphoreOffset != 0 {
				place += fmt.Sprintf("(%#x)", s.SemaphoreOffset)
			}
			line := fmt.Sprintf("p:%s/%s%d %s", group, p.Name, i, place)
			for n, o := range s.Args {
				typ := ""
				if p.Name == "req" && n >= 4 || p.Name == "high" && n == 9 {
					typ = "string"
				}
				a, err := o.Fetch(fmt.Sprintf("a%d", n), typ, 0)
				if err != nil {
					t.Fatal(err)
				}
				if a.Null != "" {
					null[p.Name+fmt.Sprint(n)] = a.Null
					continue
				}
				line += fmt.Sprintf(" %s=%s:%s", a.Name, a.Expr, a.Type)
			}
			lines = append(lines, line)
		}
	}
	if out, err := exec.Command(bin, "hello there").Output(); err != nil || len(out) != 0 {
		t.Fatalf("the program with no probe: got %q, %v, want no output", out, err)
	}
	define(t, group, lines)
	dir := instance(t, group)
	if out, err := exec.Command(bin, "hello there").Output(); err != nil || string(out) != "enabled\n" {
		t.Errorf("the program under probes: got %q, %v, want its semaphore to be seen", out, err)
	}
	trace, err := os.ReadFile(filepath.Join(dir, "trace"))
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[string]string{"high2": "scaled index", "high3": "segment", "high4": "vector register"} {
		if !strings.Contains(null[n], want) {
			t.Errorf("%s: got reason %q, want %q in it", n, null[n], want)
		}
	}
	num := fmt.Sprintf("num0: a0=4202 a1=7 a2=%d a3=%d a4=%d", math.Float64bits(3), math.Float32bits(0.5), math.Float64bits(2.5))
	if null["num5"] == "" {
		num += " a5=0"
	}
	want := []string{
		`req0: a0=-102 a1=201 a2=-2998 a3=-5000000002 a4="hello there" a5="a global text"`,
		num,
		"imm0: a0=5 a1=-5 a2=-1",
		fmt.Sprintf(`high0: a0=18 a1=52 a5=4202 a6=7 a7=%d a8=77 a9="a global text"`, math.Float64bits(2.5)),
	}
	got := events(string(trace))
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), strings.Join(lines, "\n"))
	}
}

var traceLine = regexp.MustCompile(`(\w+): \(0x[0-9a-f]+\) ?(.*)`)

// events are the lines of a trace without their heads.
func events(trace string) []string {
	var lines []string
	for l := range strings.Lines(trace) {
		if m := traceLine.FindStringSubmatch(l); m != nil {
			lines = append(lines, m[1]+": "+m[2])
		}
	}
	return lines
}

// TestInstalled reads the programs of the machine that are known to have probes.
func TestInstalled(t *testing.T) {
	tests := []struct {
		path   string
		probes int
		some   string
	}{
		{"/usr/lib/postgresql/15/bin/postgres", 57, "postgresql:query__start"},
		{"/usr/lib/x86_64-linux-gnu/libstdc++.so.6", 3, "libstdcxx:throw"},
		{"/usr/bin/python3.11", 8, "python:function__entry"},
		{"/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so", 500, "hotspot:gc__begin"},
		{"/usr/bin/bash", 0, ""},
	}
	for _, tt := range tests {
		t.Run(filepath.Base(tt.path), func(t *testing.T) {
			if _, err := os.Stat(tt.path); err != nil {
				t.Skip(err)
			}
			got := readFile(t, tt.path)
			if len(got) < tt.probes || tt.probes == 0 && len(got) != 0 {
				t.Errorf("got %d probes, want %d", len(got), tt.probes)
			}
			sites, args, found := 0, 0, tt.some == ""
			reasons := map[string]int{}
			for _, p := range got {
				found = found || p.Provider+":"+p.Name == tt.some
				for _, s := range p.Sites {
					sites++
					if s.SemaphoreVaddr != 0 && s.SemaphoreOffset == 0 {
						t.Errorf("%s:%s: its semaphore at %#x has no offset", p.Provider, p.Name, s.SemaphoreVaddr)
					}
					for _, o := range s.Args {
						args++
						if o.Expr == "" {
							reasons[o.Text+": "+o.Reason]++
						}
					}
				}
			}
			if !found {
				t.Errorf("%s is not among them", tt.some)
			}
			t.Logf("%d probes, %d sites, %d arguments; not to be had: %v", len(got), sites, args, reasons)
		})
	}
}
