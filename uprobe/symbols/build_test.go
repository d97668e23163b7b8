package symbols

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// needELF skips where compilers make no ELF files.
func needELF(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/proc/self/exe"); err != nil {
		t.Skip("the compilers of this system make no ELF files")
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(testpriv.NeedTool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t testing.TB, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// one looks up a name that has one function.
func one(t testing.TB, f *File, name string) Func {
	t.Helper()
	fns, err := f.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(fns) != 1 {
		t.Fatalf("%s: got %d functions %v, want 1", name, len(fns), fns)
	}
	return fns[0]
}

const cText = `
#include <stdlib.h>
static int __attribute__((noinline)) hidden(int x) { return x * 3 + 1; }
int open_one(int x) { return hidden(x) + 2; }
extern int also(int x) __attribute__((alias("open_one")));
__attribute__((cold, noinline)) void die(void) { abort(); }
int splits(int x) { if (__builtin_expect(x > 5, 0)) { die(); die(); } return x; }
static int fast(int x) { return x; }
static int (*choose(void))(int) { return fast; }
int chosen(int x) __attribute__((ifunc("choose")));
int chosen_avx2(int x) { return x + 1; }
int main(int argc, char **argv) { return open_one(argc) + also(argc) + splits(argc) + chosen(argc); }
`

// buildC compiles cText below root with a build id, and returns the program's path
// below root and the addresses that nm gives.
func buildC(t *testing.T, root string, flags ...string) (path string, addrs map[string]uint64) {
	t.Helper()
	needELF(t)
	path = "/usr/bin/prog"
	src := write(t, filepath.Join(root, "prog.c"), cText)
	write(t, filepath.Join(root, path), "")
	run(t, "gcc", append([]string{"-O2", "-g", "-Wl,--build-id", "-o", filepath.Join(root, path), src}, flags...)...)
	return path, nm(t, filepath.Join(root, path))
}
