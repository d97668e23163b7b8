package symbols

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func nm(t testing.TB, path string) map[string]uint64 {
	t.Helper()
	addrs := make(map[string]uint64)
	for line := range strings.Lines(run(t, "nm", path)) {
		w := strings.Fields(line)
		if len(w) != 3 {
			continue
		}
		a, err := strconv.ParseUint(w[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		addrs[w[2]] = a
	}
	return addrs
}

// strip moves the symbols of the program into a debug file beside it, and returns
// the path of that.
func strip(t *testing.T, prog string) string {
	t.Helper()
	debug := prog + ".debug"
	run(t, "objcopy", "--only-keep-debug", prog, debug)
	run(t, "strip", prog)
	return debug
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// checkC looks the program's functions up.
func checkC(t *testing.T, f *File, want map[string]uint64, source string) {
	t.Helper()
	for _, name := range []string{"main", "hidden", "open_one", "also", "splits"} {
		fn := one(t, f, name)
		off, _ := f.FileOffset(fn.Addr)
		if fn.Addr != want[name] || fn.Name != name || fn.Source != source || fn.Offset != off || fn.Clone != "" || fn.IFunc {
			t.Errorf("got %+v, want %s at %#x from %s", fn, name, want[name], source)
		}
		if back, ok := f.Vaddr(fn.Offset); !ok || back != fn.Addr {
			t.Errorf("got %#x, %v back for %s, want %#x", back, ok, name, fn.Addr)
		}
		if at, ok := f.At(fn.Addr + fn.Size - 1); !ok || at.Addr != fn.Addr {
			t.Errorf("got %+v, %v at the last byte of %s", at, ok, name)
		}
		if code, err := f.Code(fn); err != nil || uint64(len(code)) != fn.Size || len(code) == 0 {
			t.Errorf("got %d bytes of %s, %v, want %d", len(code), name, err, fn.Size)
		}
	}
	if fn := one(t, f, "open_one"); !reflect.DeepEqual(fn.Aliases, []string{"also"}) {
		t.Errorf("got aliases %v, want also", fn.Aliases)
	}
	fn := one(t, f, "chosen")
	if !fn.IFunc {
		t.Errorf("got no IFunc: %+v", fn)
	}
	impl := f.Implementations(fn)
	if len(impl) != 1 || impl[0].Name != "chosen_avx2" {
		t.Errorf("got implementations %v, want chosen_avx2", impl)
	}
	if _, err := f.DWARF(); source != SourceMini && err != nil {
		t.Error(err)
	}
}

func TestSources(t *testing.T) {
	tests := []struct {
		name, source string
		flags        []string
		change       func(t *testing.T, root, prog string)
	}{
		{"symtab, PIE", SourceSymtab, []string{"-pie"}, nil},
		{"symtab, fixed address", SourceSymtab, []string{"-no-pie"}, nil},
		{"debug file by build id", SourceDebugFile, nil, func(t *testing.T, root, prog string) {
			id := mustOpen(t, prog, Options{}).BuildID()
			rename(t, strip(t, prog), filepath.Join(root, "usr/lib/debug/.build-id", id[:2], id[2:]+".debug"))
		}},
		{"debug file by link, beside it", SourceDebugFile, nil, func(t *testing.T, _, prog string) {
			run(t, "objcopy", "--add-gnu-debuglink="+strip(t, prog), prog)
		}},
		{"debug file by link, below debug folder", SourceDebugFile, []string{"-Wl,--build-id=none"}, func(t *testing.T, root, prog string) {
			debug := strip(t, prog)
			run(t, "objcopy", "--add-gnu-debuglink="+debug, prog)
			rename(t, debug, filepath.Join(root, "usr/lib/debug/usr/bin/prog.debug"))
		}},
		{"debug file by link, behind a linked folder", SourceDebugFile, []string{"-Wl,--build-id=none"}, func(t *testing.T, root, prog string) {
			debug := strip(t, prog)
			run(t, "objcopy", "--add-gnu-debuglink="+debug, prog)
			rename(t, debug, filepath.Join(root, "usr/lib/debug/opt/bin/prog.debug"))
			rename(t, filepath.Dir(prog), filepath.Join(root, "opt/bin"))
			if err := os.Symlink("/opt/bin", filepath.Dir(prog)); err != nil {
				t.Fatal(err)
			}
		}},
		{"MiniDebugInfo", SourceMini, nil, func(t *testing.T, _, prog string) {
			debug := strip(t, prog)
			run(t, "strip", "-g", debug)
			run(t, "xz", debug)
			run(t, "objcopy", "--add-section", ".gnu_debugdata="+debug+".xz", prog)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			path, want := buildC(t, root, tt.flags...)
			if tt.change != nil {
				tt.change(t, root, filepath.Join(root, path))
			}
			f := mustOpen(t, path, Options{Root: root})
			if f.Stripped() != (tt.source != SourceSymtab) {
				t.Errorf("got Stripped %v", f.Stripped())
			}
			checkC(t, f, want, tt.source)
			if tt.change == nil {
				return
			}
			_, err := mustOpen(t, path, Options{Root: root, NoDebug: true}).Lookup("hidden")
			if (err != nil) != (tt.source == SourceDebugFile) {
				t.Errorf("got %v without debug files", err)
			}
		})
	}
}

func TestDebugFileOfAnotherBuild(t *testing.T) {
	root := t.TempDir()
	path, _ := buildC(t, root)
	prog := filepath.Join(root, path)
	debug := strip(t, prog)
	run(t, "objcopy", "--add-gnu-debuglink="+debug, prog)
	b, err := os.ReadFile(debug)
	if err != nil {
		t.Fatal(err)
	}
	write(t, debug, string(append(b, 0)))
	f := mustOpen(t, path, Options{Root: root})
	var unknown *UnknownFunctionError
	if _, err := f.Lookup("hidden"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "it belongs to another build") {
		t.Errorf("got %v", err)
	}
	if _, err := f.DWARF(); err == nil || !strings.Contains(err.Error(), "it belongs to another build") {
		t.Errorf("got %v", err)
	}
	other := f.BuildID()
	write(t, filepath.Join(root, "usr/lib/debug/.build-id", other[:2], other[2:]+".debug"), string(b))
	if _, err := mustOpen(t, path, Options{Root: root}).DWARF(); err != nil {
		t.Errorf("got %v with the right debug file", err)
	}
	buildC(t, root, "-DOTHER=1", "-Wl,--build-id=0x1234")
	f = mustOpen(t, path, Options{Root: root})
	if f.BuildID() != "1234" {
		t.Errorf("got build id %q, want 1234", f.BuildID())
	}
	write(t, filepath.Join(root, "usr/lib/debug/.build-id/12/34.debug"), string(b))
	strip(t, prog)
	if _, err := mustOpen(t, path, Options{Root: root}).DWARF(); err == nil || !strings.Contains(err.Error(), "its build id is") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	script := write(t, filepath.Join(dir, "script"), "#!/bin/sh\necho\n")
	text := write(t, filepath.Join(dir, "text"), "hello, I am no program")
	empty := write(t, filepath.Join(dir, "empty"), "")
	short := write(t, filepath.Join(dir, "short"), "\x7fELF\x02\x01\x01")
	tests := []struct {
		path string
		is   error
		want string
	}{
		{script, ErrNotELF, "not an ELF file but a script; probe its interpreter"},
		{text, ErrNotELF, "not an ELF file"},
		{empty, ErrNotELF, "not an ELF file"},
		{dir, ErrNotELF, "a folder, not an ELF file"},
		{short, nil, "damaged ELF file"},
		{filepath.Join(dir, "none"), fs.ErrNotExist, "no such file"},
		{"", nil, "no path"},
	}
	for _, tt := range tests {
		_, err := Open(tt.path, Options{})
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	needELF(t)
	_, err := Open("/proc/self/exe", Options{Machine: elf.EM_S390})
	if !errors.Is(err, ErrMachine) {
		t.Errorf("got %v, want %v", err, ErrMachine)
	}
}

// Links in a root are followed within it, where the kernel would leave it.
func TestRoot(t *testing.T) {
	root := t.TempDir()
	path, _ := buildC(t, root)
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("/usr/bin", "bin")
	link("../usr/bin/prog", "usr/up")
	link("/loop", "loop")
	link("../../../../../../usr/bin/prog", "out")
	for _, name := range []string{path, "/bin/prog", "/usr/up", "/usr/../bin/./prog", "/out"} {
		if f, err := Open(name, Options{Root: root}); err != nil {
			t.Error(err)
		} else {
			_ = f.Close()
		}
	}
	if _, err := Open("/loop", Options{Root: root}); err == nil || !strings.Contains(err.Error(), "symbolic links") {
		t.Errorf("got %v", err)
	}
}

func TestProperties(t *testing.T) {
	root := t.TempDir()
	path, _ := buildC(t, root, "-pie")
	f := mustOpen(t, path, Options{Root: root})
	want, _ := exec.Command("readelf", "-n", filepath.Join(root, path)).Output()
	if f.BuildID() == "" || !strings.Contains(string(want), f.BuildID()) {
		t.Errorf("got build id %q, not in %s", f.BuildID(), want)
	}
	if f.Path() != path || f.Type() != elf.ET_DYN || f.Machine() != f.ELF().Machine || f.IsGo() || f.GoVersion() != "" || f.HasExceptTable() || f.DebugPath() != "" {
		t.Errorf("got %s, %v, %v, Go %v %q, except table %v, debug %q", f.Path(), f.Type(), f.Machine(), f.IsGo(), f.GoVersion(), f.HasExceptTable(), f.DebugPath())
	}
	if _, ok := f.FileOffset(1 << 60); ok {
		t.Error("got a file offset for an address that is in no segment")
	}
	if _, ok := f.Vaddr(1 << 60); ok {
		t.Error("got an address for an offset beyond the file")
	}
	plt := f.ELF().Section(".plt")
	if fn, ok := f.At(plt.Addr + 20); ok {
		t.Errorf("got %v within .plt", fn)
	}
	fns, err := f.Funcs()
	if err != nil || !slices.IsSortedFunc(fns, func(a, b Func) int { return int(a.Addr) - int(b.Addr) }) {
		t.Errorf("got %v, %v", fns, err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

// The layout of 32-bit files, and one without .dynsym.
func TestELF32(t *testing.T) {
	needELF(t)
	dir := t.TempDir()
	prog := filepath.Join(dir, "prog")
	src := write(t, filepath.Join(dir, "p.c"), "int f(int x) { return x * 3; }\nvoid _start(void) { f(1); for (;;); }\n")
	if out, err := exec.Command("gcc", "-m32", "-O0", "-nostdlib", "-static", "-fno-pic", "-o", prog, src).CombinedOutput(); err != nil {
		t.Skipf("this compiler makes no 32-bit programs: %s", out)
	}
	f := mustOpen(t, prog, Options{})
	want := nm(t, prog)
	fn := one(t, f, "f")
	if f.ELF().Class != elf.ELFCLASS32 || fn.Addr != want["f"] || fn.Size == 0 {
		t.Errorf("got %+v, want f at %#x", fn, want["f"])
	}
	if at, ok := f.At(fn.Addr + 1); !ok || at.Name != "f" {
		t.Errorf("got %+v, %v", at, ok)
	}
}
