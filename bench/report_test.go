package main

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestReport(t *testing.T) {
	r := results()
	r.Probes = probes()
	refuse(r, engineTool("ftrace"))
	// The notes are written by hand and change without the code.
	got := report(r)
	if len(got) < len(notes) || got[len(got)-len(notes):] != notes {
		t.Fatalf("got\n%s\nwant the notes at the end", got)
	}
	got = got[:len(got)-len(notes)]
	golden := filepath.Join("testdata", "report.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReportAgain writes the report of results that were written and read.
func TestReportAgain(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bench"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := results()
	raw := filepath.Join(dir, "results", "raw.json")
	if err := writeResults(raw, want); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := writeReport(dir, got); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"BENCHMARKS.md": report(want), "bench/" + addedPlot: want.plots()[addedPlot], "bench/" + bytesPlot: want.plots()[bytesPlot],
	} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", file, got, err, want)
		}
	}
	if _, err := readResults(filepath.Join(dir, "BENCHMARKS.md")); !says(err, "read results") {
		t.Errorf("no JSON: got %v, want an error", err)
	}
}

func TestDisturbed(t *testing.T) {
	r := results()
	if got := r.disturbed(); got != "" {
		t.Errorf("a quiet machine: got %q, want nothing", got)
	}
	r.Tools[0].Runs[1].Load.NS = 131
	if got, want := r.disturbed(), "the loop alone took 116 (100 to 131) ns"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
	if got, want := (&Results{Filters: &Filters{Alone: r.Tools[0]}}).disturbed(), "116 (100 to 131) ns"; !strings.Contains(got, want) {
		t.Errorf("filters alone: got %q, want %q in it", got, want)
	}
	if got := (&Results{}).disturbed(); got != "" {
		t.Errorf("nothing measured: got %q, want nothing", got)
	}
}
