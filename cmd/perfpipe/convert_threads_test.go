package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// filesOf are the contents of a dataset but for its manifest, which has the command.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "manifest.json" {
			return err
		}
		b, err := os.ReadFile(path)
		files[path[len(dir):]] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// However many threads encode, the files are the same, byte for byte.
func TestConvertThreads(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"all", nil},
		{"expression", []string{"--filter", `$comm == "ls" || $cpu == 0`}},
		{"program with state", []string{"--program", sinceSoftirq}},
		{"program beside everything", []string{"-e", "sched:sched_switch", "--program", sinceSoftirq}},
		{"lines", []string{"--format", "ndjson"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want map[string]string
			for _, threads := range []int{1, 2, 4} {
				dir := filepath.Join(t.TempDir(), "out")
				status, _, errs := callConvert(append([]string{"--sample", "-o", dir, "--threads", strconv.Itoa(threads)}, tt.args...)...)
				if status != 0 {
					t.Fatalf("--threads %d: status %d: %s", threads, status, errs)
				}
				got := filesOf(t, dir)
				if want == nil {
					want = got
				}
				if len(got) != len(want) || len(got) < 4 {
					t.Errorf("--threads %d: %d files, want %d, at least 4", threads, len(got), len(want))
				}
				for name, b := range want {
					if got[name] != b {
						t.Errorf("--threads %d: %s differs: %d bytes, want %d", threads, name, len(got[name]), len(b))
					}
				}
			}
		})
	}
}

// An end in the middle leaves whole files and says so.
func TestConvertInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errOut bytes.Buffer
	dir := filepath.Join(t.TempDir(), "out")
	status := run(ctx, []string{"convert", "--sample", "-o", dir}, strings.NewReader(""), &out, &errOut)
	if status != 130 || !strings.Contains(errOut.String(), "interrupted") {
		t.Errorf("got status %d, %q, want 130 and why", status, errOut.String())
	}
	for name := range filesOf(t, dir) {
		if !strings.HasSuffix(name, ".parquet") {
			t.Errorf("%s is left", name)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil || !strings.Contains(string(b), `"complete": false`) {
		t.Errorf("got %v and the manifest %s, want one that is not complete", err, b)
	}
}
