package symbols

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

const goText = `package main

import "fmt"

type T struct{ n int }

//go:noinline
func (t *T) Add(n int) int { return t.n + n }

//go:noinline
func twice[V int | string](v V) V { return v + v }

func main() { fmt.Println((&T{1}).Add(2), twice("x")) }
`

const cgoText = `package main

// int three(void) { return 3; }
import "C"

func also() { println(C.three()) }

func init() { also() }
`

func TestGo(t *testing.T) {
	needELF(t)
	tests := []struct {
		name, cgo string
		args      []string
		source    string
	}{
		{"plain", "0", nil, SourceSymtab},
		{"stripped", "0", []string{"-ldflags=-s -w"}, SourcePclntab},
		{"PIE", "0", []string{"-buildmode=pie"}, SourceSymtab},
		{"PIE, stripped", "0", []string{"-buildmode=pie", "-ldflags=-s -w"}, SourcePclntab},
		{"with C", "1", nil, SourceSymtab},
		{"with C, stripped", "1", []string{"-ldflags=-s -w"}, SourcePclntab},
		{"with C, PIE, stripped", "1", []string{"-buildmode=pie", "-ldflags=-s -w"}, SourcePclntab},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "go.mod"), "module m\n\ngo 1.20\n")
			write(t, filepath.Join(dir, "m.go"), goText)
			if tt.cgo == "1" {
				testpriv.NeedTool(t, "gcc")
				write(t, filepath.Join(dir, "c.go"), cgoText)
			}
			build := func(out string, args ...string) string {
				cmd := exec.Command(testpriv.NeedTool(t, "go"), append(append([]string{"build", "-o", out}, args...), ".")...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "CGO_ENABLED="+tt.cgo, "GOFLAGS=", "GOWORK=off")
				if b, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, b)
				}
				return filepath.Join(dir, out)
			}
			f := mustOpen(t, build("prog", tt.args...), Options{})
			if !f.IsGo() || f.GoVersion() != runtime.Version() {
				t.Errorf("got Go %v, version %q, want %q", f.IsGo(), f.GoVersion(), runtime.Version())
			}
			for _, name := range []string{"main.main", "main.(*T).Add", "runtime.mallocgc"} {
				fn := one(t, f, name)
				if fn.Source != tt.source || fn.Lang != LangGo {
					t.Errorf("got %+v, want source %s", fn, tt.source)
				}
				// The line table is a second witness of where a function is.
				lines, err := f.GoLines()
				if err != nil {
					t.Fatal(err)
				}
				file, line, at := lines.PCToLine(fn.Addr)
				if at == nil || at.Name != name || name == "main.main" && (!strings.HasSuffix(file, "m.go") || line != 13) {
					t.Errorf("got %s:%d in %v for %s", file, line, at, name)
				}
			}
			checkGoText(t, f)
			if fns, err := f.Glob("main.*"); err != nil || len(fns) < 3 {
				t.Errorf("got %v, %v", fns, err)
			}
		})
	}
}

// checkGoText checks that what is called main.main is it: it compares the code with
// what every Go function on x86-64 with a frame begins with, cmp rsp, 16(r14).
func checkGoText(t *testing.T, f *File) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		return
	}
	code, err := f.Code(one(t, f, "main.main"))
	if err != nil || len(code) < 4 || string(code[:4]) != "\x49\x3b\x66\x10" {
		t.Errorf("got % x, %v for the code of main.main", code[:min(len(code), 8)], err)
	}
}
