//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func TestJobOfProbes(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1", "-fno-omit-frame-pointer")
	dir := t.TempDir()
	job := filepath.Join(dir, "job.yaml")
	text := fmt.Sprintf(`
events:
  - event: 'uprobe:%[1]s:work(n, who)'
    filter: 'n >= 10 && who == "self"'
  - event: 'work%%return(ret)'
    binary: %[1]s
stacks: {mode: fp, inline: true, kernel: false}
target:
  command: [%[1]s, 'self 0 20; thread 20 5']
outputs: [set, x.ndjson]
`, path)
	if err := os.WriteFile(job, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, "check", job).want(t, 0)
	runIn(t, dir, "run", job).want(t, 0, "wrote 35 rows in 2 tables")
	var calls, returns []row
	for _, w := range readRows(t, readFile(t, filepath.Join(dir, "x.ndjson"))) {
		stack, _ := w["stack"].([]any)
		if _, is := w["n"]; is {
			calls = append(calls, w)
			if len(stack) < 2 || stack[0] != "work+0x0" {
				t.Errorf("stack: got %v, want work+0x0 first", stack)
			}
		} else {
			returns = append(returns, w)
		}
	}
	wantNumbers(t, calls, 10, 20)
	if len(returns) != 25 {
		t.Errorf("got %d returns, want 25", len(returns))
	}
	names := []string{"_clock", "_frames", "_lost", "_stacks", "_tasks", "uprobe.crew.work", "uretprobe.crew.work"}
	var got []string
	for _, n := range names {
		if _, err := os.Stat(filepath.Join(dir, "set", n)); err == nil {
			got = append(got, n)
		}
	}
	if !slices.Equal(got, names) {
		t.Errorf("got the tables %v, want %v", got, names)
	}
	// The same words as flags; and what is wrong has its place in the file.
	for _, tt := range []struct{ old, new, want string }{
		{":work(n, who)", ":wrok(n, who)", ":3:12: "},
		{":work(n, who)", ":work(m, who)", ":3:12: "},
		{`who == "self"`, `whom == "self"`, ":4:25: "},
	} {
		bad := strings.Replace(text, tt.old, tt.new, 1)
		if err := os.WriteFile(job, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		runIn(t, dir, "check", job).want(t, exitJob, "job.yaml"+tt.want)
		runIn(t, dir, "run", job).want(t, exitJob, "job.yaml"+tt.want)
	}
}
