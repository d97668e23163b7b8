//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// compile builds a program of testdata/probes in a fresh folder and returns its path.
// The compiler is that of the source's ending; flags come before the source.
func compile(t *testing.T, src string, flags ...string) string {
	t.Helper()
	compiler := map[string]string{".c": "gcc", ".cc": "g++", ".rs": "rustc"}[filepath.Ext(src)]
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(src, filepath.Ext(src)))
	args := append(flags, "-o", out, filepath.Join("testdata", "probes", src))
	if b, err := exec.Command(testpriv.NeedTool(t, compiler), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", compiler, strings.Join(args, " "), err, b)
	}
	return out
}

// recordRows records with args, which end in the command, and returns the rows. The
// run has to end well and to lose nothing.
func recordRows(t *testing.T, args ...string) []row {
	t.Helper()
	r := recordProbes(t, append([]string{"-o", "-", "--format", "ndjson"}, args...)...)
	r.want(t, 0, "(0 lost)")
	return readRows(t, r.stdout)
}

// recordProbes records with args and wants nothing left in tracefs, however it ends.
func recordProbes(t *testing.T, args ...string) result {
	t.Helper()
	r := invoke(t, append([]string{"record"}, args...)...)
	noProbesLeft(t, r.pid)
	return r
}

// noProbesLeft fails where the kernel has probes that the process made.
func noProbesLeft(t *testing.T, pid int) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/sys/kernel/tracing/uprobe_events")) {
		if strings.Contains(line, fmt.Sprintf(":pp_%d_", pid)) {
			t.Errorf("left in uprobe_events: %s", line)
		}
	}
}

// value is a column of a row as JSON, "null" where it has none.
func (r row) value(name string) string {
	v, ok := r[name]
	if !ok {
		return "null"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// column is the values of a column of several rows.
func column(rows []row, name string) string {
	var list []string
	for _, r := range rows {
		list = append(list, r.value(name))
	}
	return strings.Join(list, " ")
}

// ofEvent are the rows of the event whose name ends so, where there are several events.
func ofEvent(rows []row, name string) []row {
	var out []row
	for _, r := range rows {
		if strings.HasSuffix(r.text("event"), name) {
			out = append(out, r)
		}
	}
	return out
}

// background runs a program until the test has ended.
func background(t *testing.T, prog string, args ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(prog, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd.Process
}
