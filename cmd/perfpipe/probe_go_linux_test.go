//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// compileGo builds testdata/probes/goprog.
func compileGo(t *testing.T, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "goprog")
	args := append(append([]string{"build"}, flags...), "-o", out, "./testdata/probes/goprog")
	if b, err := exec.Command(testpriv.NeedTool(t, "go"), args...).CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, b)
	}
	return out
}

// TestGoPrograms: each call of a Go function is seen once, though it begins anew when
// its stack has grown, and a probe on its returns does not kill it.
func TestGoPrograms(t *testing.T) {
	testpriv.Need(t)
	const (
		calls = 4000 // of main.work, from eight goroutines
		deep  = 102_000
	)
	for _, tt := range []struct {
		name    string
		flags   []string
		rename  string // with the arguments of main.(*thing).rename
		returns columns
	}{
		{"plain", nil, "(t.id, name, n)", columns{"ret0": goNames, "ret1": "0 2 4 6 8 10 12 14 16 18"}},
		// Without DWARF a text takes two positions, as it takes two registers.
		{"stripped", []string{"-ldflags=-s -w"}, "(id=*arg0:s64, name=arg1:string, n=arg3:s64)", nil},
		{"position independent", []string{"-buildmode=pie"}, "(t.id, name, n)", columns{"ret0": goNames, "ret1": "0 2 4 6 8 10 12 14 16 18"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prog := compileGo(t, tt.flags...)
			out := filepath.Join(t.TempDir(), "d")
			r := recordProbes(t, "-m", "32M", "-e", fmt.Sprintf("uprobe:%[1]s:main.work,uretprobe:%[1]s:main.work,uprobe:%[1]s:main.deep", prog), "-o", out, "--", prog)
			r.want(t, 0, "(0 lost)")
			if !strings.Contains(r.stdout, "fine") {
				t.Errorf("the program ended otherwise: %s", r.stdout)
			}
			for table, want := range map[string]int{"uprobe.goprog.main.work": calls, "uretprobe.goprog.main.work": calls, "uprobe.goprog.main.deep": deep} {
				if got := tableRows(t, out, table); got != want {
					t.Errorf("%s: got %d rows, want %d", table, got, want)
				}
			}
			columns{"id": strings.TrimSpace(strings.Repeat("7 ", 10)), "name": goNames, "n": "0 1 2 3 4 5 6 7 8 9"}.check(t,
				recordRows(t, "-e", "uprobe:"+prog+":main.(*thing).rename"+tt.rename, "--", prog, "few"))
			tt.returns.check(t, recordRows(t, "-e", "uretprobe:"+prog+":main.(*thing).rename", "--", prog, "few"))
		})
	}
}

const goNames = `"name-0" "name-1" "name-2" "name-3" "name-4" "name-5" "name-6" "name-7" "name-8" "name-9"`

// tableRows is how many rows the manifest says a table has.
func tableRows(t *testing.T, dir, table string) int {
	t.Helper()
	n := 0
	for _, f := range readManifest(t, dir).Files {
		if f.Table == table {
			n += f.Rows
		}
	}
	return n
}

// TestTrampolineOnGoIsRefused: it would kill the program.
func TestTrampolineOnGoIsRefused(t *testing.T) {
	testpriv.Need(t)
	prog := compileGo(t)
	args := []string{"record", "--ret-mode=trampoline", "-e", "uretprobe:" + prog + ":main.work", "--dry-run"}
	invoke(t, append(args, "--", prog)...).want(t, 2, "is a Go program: it moves its stacks", "leave --ret-mode out", "--unsafe-uretprobe")
	invoke(t, append(args, "--unsafe-uretprobe", "--", prog)...).want(t, 0)
}
