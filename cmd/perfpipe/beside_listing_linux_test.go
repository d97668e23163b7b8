//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestListedProbesCanBeRecorded hands to record what probes printed.
func TestListedProbesCanBeRecorded(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	r := invoke(t, "probes", "-x", path, "wor*")
	r.want(t, 0)
	line := strings.TrimSpace(r.stdout)
	if want := probeOf(path); line != want {
		t.Fatalf("got %q, want %q", line, want)
	}
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-e", line, "-o", out, "--", path, "self 0 5").want(t, 0)
	wantNumbers(t, readRows(t, readFile(t, out)), 0, 5)
	// Of a running process, whose executable need not be named.
	c := hire(t, path)
	r = invoke(t, "probes", "-p", fmt.Sprint(c.pid), "work")
	r.want(t, 0)
	if got, want := strings.TrimSpace(r.stdout), "uprobe::work(n, who)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	rec := record(t, "-p", fmt.Sprint(c.pid), "-e", strings.TrimSpace(r.stdout))
	c.awaitHits(rec, "self")
	rec.interrupt()
	// A binary that is there no more is named by the error.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	invoke(t, "probes", "-x", path).want(t, exitUsage, filepath.Base(path))
}
