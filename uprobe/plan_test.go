package uprobe

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// goProgram builds a Go program for Linux on amd64, which every system's Go can.
func goProgram(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": goSource, "go.mod": "module target\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "target")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, flags...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build target: %v\n%s", err, b)
	}
	return out
}

const goSource = `package main

type T struct{ n int }

//go:noinline
func (t *T) Method(s string, k int) (int, error) { t.n += k + len(s); return t.n, nil }

//go:noinline
func work(n int, s string) int { return n + len(s) }

func main() {
	t := &T{}
	a, _ := t.Method("x", 1)
	println(work(a, "hello"))
}
`

func plan(t *testing.T, o Options, text string) (*Probe, error) {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := NewResolver(o)
	defer r.Close()
	return r.Plan(s)
}

func names(p *Probe) []string {
	var list []string
	for _, f := range p.Variants[0].Schema.Fields {
		list = append(list, f.Name)
	}
	return list
}

func TestPlanGo(t *testing.T) {
	bin := goProgram(t)
	p, err := plan(t, Options{}, "uprobe:"+bin+":main.work(n, s)")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(p), []string{"__probe_ip", "n", "s"}; !slices.Equal(got, want) {
		t.Errorf("fields: got %q, want %q", got, want)
	}
	if p.Event() != "uprobe:target:main.work" || p.Table != "uprobe.target.main.work" {
		t.Errorf("names: got %q, %q", p.Event(), p.Table)
	}
	line := p.lines(0, "g", "e0", "/x")[0]
	for _, want := range []string{" n=%ax:s64", " s=+0(%bx):x64[32]", " s__n=%cx:s64"} {
		if !strings.Contains(line, want) {
			t.Errorf("%q lacks %q", line, want)
		}
	}

	ret, err := plan(t, Options{}, "uretprobe:"+bin+":main.(*T).Method")
	if err != nil {
		t.Fatal(err)
	}
	if ret.Mode != RetSites {
		t.Errorf("return mode of Go: got %v, want sites", ret.Mode)
	}
	if len(ret.Variants[0].Sites) == 0 || !strings.HasPrefix(ret.lines(0, "g", "e0", "/x")[0], "p:") {
		t.Errorf("return sites: got %q", ret.lines(0, "g", "e0", "/x"))
	}
	_, err = plan(t, Options{RetMode: RetTrampoline}, "uretprobe:"+bin+":main.work")
	if err == nil || !strings.Contains(err.Error(), "--unsafe-uretprobe") {
		t.Errorf("trampoline on Go: got %v", err)
	}
	if p, err := plan(t, Options{RetMode: RetTrampoline, UnsafeUretprobe: true}, "uretprobe:"+bin+":main.work"); err != nil || p.Mode != RetTrampoline {
		t.Errorf("unsafe trampoline: got %v", err)
	}
}

func TestPlanStrippedGo(t *testing.T) {
	bin := goProgram(t, "-ldflags=-s -w")
	p, err := plan(t, Options{}, "uprobe:"+bin+":main.work(arg0:s64, arg1:u64)")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(p), []string{"__probe_ip", "arg0", "arg1"}; !slices.Equal(got, want) {
		t.Errorf("fields: got %q, want %q", got, want)
	}
	if line := p.lines(0, "g", "e0", "/x")[0]; !strings.Contains(line, "arg0=%ax:s64 arg1=%bx:u64") {
		t.Errorf("registers of Go: got %q", line)
	}
}

// An entry probe of Go stands behind the check of the stack.
func TestPlanGoBehindStackCheck(t *testing.T) {
	bin := goProgram(t)
	p, err := plan(t, Options{}, "uprobe:"+bin+":main.main")
	if err != nil {
		t.Fatal(err)
	}
	at, err := plan(t, Options{}, "uprobe:"+bin+":main.main+0")
	if err != nil {
		t.Fatal(err)
	}
	entry := p.Variants[0].Sites[0].Offset
	if zero := at.Variants[0].Sites[0].Offset; entry != zero {
		// +0 is the entry as well: both are moved.
		t.Errorf("main.main at 0x%x, main.main+0 at 0x%x", entry, zero)
	}
	r := NewResolver(Options{})
	defer r.Close()
	list, err := r.List(bin, "main.main")
	if err != nil || len(list) != 1 {
		t.Fatalf("list main.main: %d, %v", len(list), err)
	}
	if entry <= list[0].Offset || entry-list[0].Offset > 24 {
		t.Errorf("main.main begins at 0x%x and is probed at 0x%x", list[0].Offset, entry)
	}
}

// addressOf is where a function begins in its file's address space.
func addressOf(t *testing.T, path, name string) uint64 {
	t.Helper()
	f, err := symbols.Open(path, symbols.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fns, err := f.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return fns[0].Addr
}

func TestPlanErrors(t *testing.T) {
	bin := goProgram(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ spec, want string }{
		{"uprobe:" + bin + ":main.wrok", "did you mean main.work"},
		{"uprobe:" + bin + ":main.nothing*", "main.nothing*"},
		{"uprobe:" + bin + ":main.work+1", "no instruction begins at +0x1"},
		{"uprobe:" + bin + ":main.work+0x10000", "lies behind the end"},
		{"uprobe:" + bin + ":0x10", "no function that is known"},
		{fmt.Sprintf("uretprobe:%s:0x%x", bin, addressOf(t, bin, "main.work")+1), "a return has no offset"},
		{"uprobe:" + bin + ":main.work(m)", "there is no parameter m"},
		{"uprobe:" + bin + ":main.work(%rdi)", "no register of the kernel"},
		{"uprobe:" + text + ":f", "ELF"},
		{"uprobe:" + text + "x:f", "no such file"},
		{"uprobe::f", "no binary is named"},
		{"uprobe:no-such-command-here:f", "no folder of PATH has a command no-such-command-here; find library"},
		{"usdt:" + bin + ":p:n", "no static probes"},
	}
	for _, tt := range tests {
		_, err := plan(t, Options{}, tt.spec)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.spec, err, tt.want)
		}
	}
}

func TestParseMappings(t *testing.T) {
	const text = `5581-5582 r--p 00000000 fe:00 1 /usr/bin/app
7f0128000000-7f0129000000 r-xp 00028000 fe:00 1234    /usr/lib/my lib.so (deleted)
7f0130000000-7f0131000000 r-xp 00000000 00:00 0
7ffd0000-7ffe0000 r-xp 00000000 00:00 0 [vdso]
bad line
zz-7f r-xp 0 0 0 /x
`
	got := parseMappings(text)
	want := []mapping{{path: "/usr/lib/my lib.so", start: 0x7f0128000000, end: 0x7f0129000000, offset: 0x28000}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A process that is traced by nobody has nothing to be said of.
func TestDebuggedNone(t *testing.T) {
	if w := Debugged(os.Getpid(), &Probe{}); w != "" {
		t.Errorf("got %q", w)
	}
}

// What holds for many functions of a glob is said once.
func TestWarningsOfAGlob(t *testing.T) {
	o := symbols.Options{Machine: elf.EM_X86_64}
	libc, err := symbols.FindLibrary("libc.so.6", o)
	if err != nil {
		t.Skip(err)
	}
	if _, err := os.Stat(libc); err != nil {
		t.Skip(err)
	}
	p, err := plan(t, Options{RetMode: RetSites}, "uretprobe:"+libc+":str*")
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, w := range p.Warnings {
		if strings.Contains(w, "jumping to another one (places: ") {
			said++
		}
	}
	if said != 1 || len(p.Warnings) > 4 {
		t.Errorf("got %d warnings, of jumps %d, want one of jumps: %q", len(p.Warnings), said, p.Warnings)
	}
}
