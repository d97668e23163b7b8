package args

import (
	"debug/elf"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkLibc resolves three parameters of a function in libc's debug file, from
// opening the file on: all that a command pays.
func BenchmarkLibc(b *testing.B) {
	path, pc := libcDebug(b, "fopencookie")
	want := []Want{{Base: "*"}, {Base: "mode"}, {Base: "io_functions", Path: []Step{{Name: "read"}}}}
	for b.Loop() {
		f, err := elf.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		d, err := Load(f)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := Resolve(d, Function{Name: "fopencookie", PC: pc}, want); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}

// BenchmarkLibcResolve is the same without opening the file.
func BenchmarkLibcResolve(b *testing.B) {
	path, pc := libcDebug(b, "fopencookie")
	f, err := elf.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d, err := Load(f)
	if err != nil {
		b.Fatal(err)
	}
	want := []Want{{Base: "*"}, {Base: "mode"}, {Base: "io_functions", Path: []Step{{Name: "read"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Resolve(d, Function{Name: "fopencookie", PC: pc}, want); err != nil {
			b.Fatal(err)
		}
	}
}

// libcDebug returns libc's debug file, found by its build id, and the address of a
// function.
func libcDebug(tb testing.TB, fn string) (path string, pc uint64) {
	tb.Helper()
	lib, _ := filepath.Glob("/lib/x86_64-linux-gnu/libc.so.6")
	if len(lib) == 0 {
		tb.Skip("no libc of Debian is here")
	}
	f, err := elf.Open(lib[0])
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	note := f.Section(".note.gnu.build-id")
	if note == nil {
		tb.Skip("libc has no build id")
	}
	data, err := note.Data()
	if err != nil || len(data) < 36 {
		tb.Skipf("libc's build id cannot be read: %v", err)
	}
	id := hex.EncodeToString(data[16:36])
	list, _ := filepath.Glob("/usr/lib/debug/.build-id/" + id[:2] + "/" + id[2:] + ".debug")
	if len(list) == 0 {
		tb.Skip("libc's debug file is not here (Debian: apt-get install libc6-dbg)")
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == fn {
			return list[0], s.Value
		}
	}
	tb.Fatalf("libc has no %s", fn)
	return "", 0
}

// TestLibc resolves names of a real library, and refuses those of its assembler.
func TestLibc(t *testing.T) {
	path, pc := libcDebug(t, "fopen")
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := Resolve(d, Function{Name: "fopen", PC: pc}, []Want{{Base: "*"}})
	if err != nil || len(list) != 2 || list[0].Expr != "+0(%di)" || list[1].Name != "mode" || list[1].Type != "string" {
		t.Errorf("fopen: got %+v, %v", list, err)
	}
	_, pc = libcDebug(t, "setjmp")
	list, _, err = Resolve(d, Function{Name: "setjmp", PC: pc}, []Want{{Base: "env"}})
	if err == nil || !strings.Contains(err.Error(), "in assembler") {
		t.Errorf("setjmp: got %+v, %v", list, err)
	}
}
