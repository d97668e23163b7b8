package symbolize

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(testpriv.NeedTool(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func needELF(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("the compilers of this system make no ELF files")
	}
}

func newSymbolizer(t testing.TB, o Options) *Symbolizer {
	t.Helper()
	s := New(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const text = `int __attribute__((noinline)) first(int x) {
	return x + 1;
}
static int __attribute__((noinline, used)) second(int x) {
	return x * 3;
}
int main(int argc, char **argv) { return first(second(argc)); }
`

// program compiles text, and returns its path and the frames of its functions.
func program(t *testing.T, dir string, flags ...string) (path string, frames map[string]perfpipe.Frame) {
	t.Helper()
	needELF(t)
	path = filepath.Join(dir, "prog")
	src := write(t, filepath.Join(dir, "src", "p.c"), text)
	run(t, "gcc", append([]string{"-g", "-O0", "-Wl,--build-id", "-o", path, src}, flags...)...)
	return path, framesOf(t, path, "first", "second", "main")
}

func framesOf(t testing.TB, path string, names ...string) map[string]perfpipe.Frame {
	t.Helper()
	f, err := symbols.Open(path, symbols.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	frames := make(map[string]perfpipe.Frame)
	for _, n := range names {
		fns, err := f.Lookup(n)
		if err != nil {
			t.Fatal(err)
		}
		frames[n] = perfpipe.Frame{Kind: perfpipe.FrameFile, File: path, BuildID: f.BuildID(), Offset: fns[0].Offset}
	}
	return frames
}

func checkFrames(t *testing.T, s *Symbolizer, frames map[string]perfpipe.Frame) {
	t.Helper()
	lines := map[string]int{"first": 1, "second": 4, "main": 7}
	for name, f := range frames {
		f.Offset++
		got, ok := s.Symbolize(f)
		if !ok || got.Name != name || got.Offset != 1 || got.Line != lines[name] || filepath.Base(got.File) != "p.c" {
			t.Errorf("got %+v, %v, want %s+1 at p.c:%d", got, ok, name, lines[name])
		}
	}
}

func TestFile(t *testing.T) {
	for _, flags := range [][]string{{"-pie"}, {"-no-pie"}, {"-gdwarf-4"}, {"-gdwarf-5"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			_, frames := program(t, t.TempDir(), flags...)
			s := newSymbolizer(t, Options{Lines: true})
			checkFrames(t, s, frames)
			f := frames["main"]
			f.Offset = 1 << 50
			if got, ok := s.Symbolize(f); ok {
				t.Errorf("got %+v behind the end of the file", got)
			}
		})
	}
}

// What was loaded can be named when the file, and its debug file, are gone.
func TestFileGone(t *testing.T) {
	dir := t.TempDir()
	path, frames := program(t, dir)
	debug := filepath.Join(dir, "prog.debug")
	run(t, "objcopy", "--only-keep-debug", path, debug)
	run(t, "strip", path)
	run(t, "objcopy", "--add-gnu-debuglink="+debug, path)
	s := newSymbolizer(t, Options{Lines: true})
	s.Load(frames["main"])
	for _, p := range []string{path, debug} {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	checkFrames(t, s, frames)
	if got, ok := newSymbolizer(t, Options{}).Symbolize(frames["main"]); ok {
		t.Errorf("got %+v without Load", got)
	}
}

// A file that is held is found by its build id, wherever the process saw it.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	path, frames := program(t, dir)
	s := newSymbolizer(t, Options{Lines: true})
	s.Hold(filepath.Join(dir, "nothing"))
	s.Hold(path)
	s.Hold(path)
	if len(s.images) != 1 {
		t.Errorf("got %d open files, want 1", len(s.images))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for name, f := range frames {
		f.File = "/elsewhere (deleted)"
		frames[name] = f
	}
	checkFrames(t, s, frames)
	f := frames["main"]
	f.BuildID = "00" + f.BuildID[2:]
	if got, ok := s.Symbolize(f); ok {
		t.Errorf("got %+v for another build", got)
	}
}

func TestFileOfAnotherBuild(t *testing.T) {
	_, frames := program(t, t.TempDir())
	f := frames["main"]
	f.BuildID = "0123"
	if got, ok := newSymbolizer(t, Options{}).Symbolize(f); ok {
		t.Errorf("got %+v out of a file with another build id", got)
	}
	f.BuildID = ""
	if got, ok := newSymbolizer(t, Options{}).Symbolize(f); !ok || got.Name != "main" || got.Line != 0 {
		t.Errorf("got %+v, %v", got, ok)
	}
}

// A process's deleted executable is read through the process.
func TestDeletedExecutable(t *testing.T) {
	needELF(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "sleeper")
	src := write(t, filepath.Join(dir, "s.c"), "#include <unistd.h>\nint rest(void) { return write(1, \"x\", 1) + pause(); }\nint main(void) { return rest(); }\n")
	run(t, "gcc", "-O0", "-o", path, src)
	frames := framesOf(t, path, "rest")
	cmd := exec.Command(path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f := frames["rest"]
	f.PID, f.File = int32(cmd.Process.Pid), path+" (deleted)"
	if got, ok := newSymbolizer(t, Options{}).Symbolize(f); !ok || got.Name != "rest" {
		t.Errorf("got %+v, %v, want rest", got, ok)
	}
}

func TestGoStripped(t *testing.T) {
	needELF(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module m\n\ngo 1.20\n")
	write(t, filepath.Join(dir, "m.go"), "package main\n\n//go:noinline\nfunc work(n int) int { return n * 3 }\n\nfunc main() { println(work(2)) }\n")
	cmd := exec.Command(testpriv.NeedTool(t, "go"), "build", "-buildmode=pie", "-ldflags=-s -w", "-o", "prog", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	frames := framesOf(t, filepath.Join(dir, "prog"), "main.work")
	s := newSymbolizer(t, Options{Lines: true})
	got, ok := s.Symbolize(frames["main.work"])
	if !ok || got.Name != "main.work" || got.Line != 4 || filepath.Base(got.File) != "m.go" {
		t.Errorf("got %+v, %v", got, ok)
	}
}

func TestVDSO(t *testing.T) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	if _, _, ok := parseVDSO(string(maps)); !ok {
		t.Skip("this kernel has no vdso")
	}
	s := newSymbolizer(t, Options{})
	img := s.image(perfpipe.Frame{File: vdso})
	if img == nil {
		t.Fatal("the vdso cannot be read")
	}
	fns, err := img.file.Glob("__*clock_gettime")
	if err != nil {
		t.Fatal(err)
	}
	f := perfpipe.Frame{Kind: perfpipe.FrameFile, File: vdso, Offset: fns[0].Offset + 2}
	if got, ok := s.Symbolize(f); !ok || !strings.HasSuffix(got.Name, "clock_gettime") || got.Offset != 2 {
		t.Errorf("got %+v, %v", got, ok)
	}
}

func TestParseVDSO(t *testing.T) {
	lo, hi, ok := parseVDSO("7ffe0000-7ffe4000 r--p 00000000 00:00 0    [vvar]\n7ffe4000-7ffe6000 r-xp 00000000 00:00 0   [vdso]\n")
	if !ok || lo != 0x7ffe4000 || hi != 0x7ffe6000 {
		t.Errorf("got %x, %x, %v", lo, hi, ok)
	}
	if _, _, ok := parseVDSO("x [vdso]\n6000-5000 [vdso]\n"); ok {
		t.Error("got a vdso of damaged lines")
	}
}

func TestJIT(t *testing.T) {
	needELF(t)
	proc := t.TempDir()
	// A process that is number 7 in its container.
	write(t, filepath.Join(proc, "1234", "status"), "Name:\tx\nNSpid:\t1234\t7\n")
	name := write(t, filepath.Join(proc, "1234", "root", "tmp", "perf-7.map"), "1000 10 old\n")
	s := newSymbolizer(t, Options{Proc: proc})
	f := perfpipe.Frame{Kind: perfpipe.FrameAnon, PID: 1234, Offset: 0x1004}
	s.Load(f)
	// The map grows while the process runs, and goes away with it.
	write(t, name, "1000 10 LazyCompile:*f /x y.js:1\n2000 8 g\n")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.Symbolize(f); !ok || got != (Symbol{Name: "LazyCompile:*f /x y.js:1", Offset: 4}) {
		t.Errorf("got %+v, %v", got, ok)
	}
	f.Offset = 0x2008
	if got, ok := s.Symbolize(f); ok {
		t.Errorf("got %+v behind the last piece", got)
	}
	if got, ok := s.Symbolize(perfpipe.Frame{Kind: perfpipe.FrameAnon, PID: 1 << 30, Offset: 0x1004}); ok {
		t.Errorf("got %+v for a process without a map", got)
	}
	if got, ok := s.Symbolize(perfpipe.Frame{}); ok {
		t.Errorf("got %+v for an unknown frame", got)
	}
}

func TestKernel(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "kallsyms"), kallsymsText)
	s := newSymbolizer(t, Options{Kallsyms: name})
	f := perfpipe.Frame{Kind: perfpipe.FrameKernel, File: "[kernel]", Offset: 0xffffffff81000015}
	s.Load(f)
	if got, ok := s.Symbolize(f); !ok || got != (Symbol{Name: "first", Offset: 5}) {
		t.Errorf("got %+v, %v", got, ok)
	}
	s = newSymbolizer(t, Options{Kallsyms: name + ".none"})
	if got, ok := s.Symbolize(f); ok {
		t.Errorf("got %+v without symbols", got)
	}
}

// The running kernel's own table.
func TestKernelLive(t *testing.T) {
	b, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Skip(err)
	}
	k := parseKallsyms(b)
	if k == nil {
		t.Skip("the kernel hides its addresses from this user")
	}
	var addr uint64
	for line := range strings.Lines(string(b)) {
		var kind, name string
		if n, _ := fmt.Sscanf(line, "%x %s %s", &addr, &kind, &name); n == 3 && name == "schedule" {
			break
		}
	}
	if got, ok := k.find(addr + 1); !ok || got.Name != "schedule" || got.Offset != 1 {
		t.Errorf("got %+v, %v, want schedule+1", got, ok)
	}
}
