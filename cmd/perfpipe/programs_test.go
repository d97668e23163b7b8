package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sinceSoftirq is a program of two clauses over the sample: how often each task was
// switched to since the soft interrupt before.
const sinceSoftirq = `state u32 since;
on irq:softirq_entry { since = 0; return false; }
on sched:sched_switch {
    since++;
    emit u32 since_softirq = since;
    return since > 1;
}`

func TestConvertProgram(t *testing.T) {
	var want []float64
	var ts []any
	since := 0.0
	for _, r := range goldenRows(t) {
		switch r["event"] {
		case "irq:softirq_entry":
			since = 0
		case "sched:sched_switch":
			if since++; since > 1 {
				want, ts = append(want, since), append(ts, r["ts"])
			}
		}
	}
	if len(want) == 0 {
		t.Fatal("the sample has no such rows: the test tests nothing")
	}
	file := filepath.Join(t.TempDir(), "p.pf")
	if err := os.WriteFile(file, []byte(sinceSoftirq+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{sinceSoftirq, file, "@" + file} {
		status, out, errs := callConvert("--sample", "-o", "-", "--format", "ndjson", "--program", program)
		if status != 0 {
			t.Fatalf("status %d: %s", status, errs)
		}
		rows := jsonLines(t, out)
		n := 0
		for _, r := range rows {
			if r["since_softirq"] == nil {
				t.Fatalf("got %v, a row that the program does not keep", r)
			}
			if n < len(want) && (r["since_softirq"] != want[n] || r["ts"] != ts[n]) {
				t.Fatalf("row %d: got %v at %v, want %v at %v", n, r["since_softirq"], r["ts"], want[n], ts[n])
			}
			n++
		}
		if n != len(want) {
			t.Errorf("got %d rows, want %d", n, len(want))
		}
	}
}

// What the program does not keep another selection may: its columns are null there.
func TestConvertProgramBesideEverything(t *testing.T) {
	all, _ := sampleRows(t, "-e", "sched:sched_switch")
	alone, kept := sampleRows(t, "--program", sinceSoftirq)
	both, cols := sampleRows(t, "-e", "sched:sched_switch", "--program", sinceSoftirq)
	if len(both) != len(all) || cols != kept || kept != len(alone) || kept == 0 {
		t.Errorf("got %d rows, %d with a column of the program, want %d and the %d that it keeps", len(both), cols, len(all), kept)
	}
}

// sampleRows converts the sample, and counts the rows that have since_softirq.
func sampleRows(t *testing.T, args ...string) (rows []map[string]any, with int) {
	t.Helper()
	status, out, errs := callConvert(append([]string{"--sample", "-o", "-", "--format", "ndjson"}, args...)...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, r := range jsonLines(t, out) {
		if r["event"] != nil && r["event"] != "sched:sched_switch" {
			continue
		}
		rows = append(rows, r)
		if r["since_softirq"] != nil {
			with++
		}
	}
	return rows, with
}

func TestProgramUsage(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"on in a filter", []string{"-e", "sched:sched_switch", "--filter", sinceSoftirq}, "give it to --program"},
		{"no on in a program", []string{"--program", "{ return true; }"}, "the program names no event"},
		{"joined", []string{"-e", "sched:sched_switch", "--filter", "prev_pid == 0", "--filter", "state u8 n; n == 1"}, "stands alone"},
		{"two clauses", []string{"--program", "on sched:sched_switch { return true; } on \"sched:sched_s*\" { return false; }"}, "two clauses for sched:sched_switch"},
		{"unknown event", []string{"--program", "on sched:nothing { return true; }"}, "sched:nothing"},
		{"unknown field", []string{"--program", "on sched:sched_switch { return prev_pidd == 1; }"}, "did you mean prev_pid?"},
		{"no file", []string{"--program", "/nonexistent.pf"}, "no such file"},
		{"filter of all", []string{"--filter", "has(x)", "--program", sinceSoftirq}, "put the filter into the program"},
		{"budget", []string{"--filter-budget", "-1"}, "--filter-budget"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, out, errs := callConvert(append([]string{"--sample", "-o", filepath.Join(t.TempDir(), "out")}, tc.args...)...)
			if status != exitUsage || out != "" || !strings.Contains(errs, tc.want) {
				t.Errorf("got %d %q %q, want status %d and %q", status, out, errs, exitUsage, tc.want)
			}
		})
	}
}

func TestFilterFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "one.pf")
	if err := os.WriteFile(file, []byte("// those of the idle task\nprev_pid == 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, _ := sampleRows(t, "-e", "sched:sched_switch", "--filter", "@"+file)
	b, _ := sampleRows(t, "-e", "sched:sched_switch", "--filter", "prev_pid == 0")
	if len(a) == 0 || len(a) != len(b) {
		t.Errorf("got %d rows, want %d", len(a), len(b))
	}
	long := filepath.Join(t.TempDir(), "long.pf")
	if err := os.WriteFile(long, []byte(strings.Repeat("a", 1<<20)), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := callConvert("--sample", "-o", filepath.Join(t.TempDir(), "out"), "-e", "sched:sched_switch", "--filter", "@"+long)
	if status != exitUsage || !strings.Contains(errs, "longer than 65536 bytes") {
		t.Errorf("got %d %q", status, errs)
	}
}

func TestFiltersLists(t *testing.T) {
	out, _, status := runHere(t, "filters")
	if status != exitOK {
		t.Fatalf("got status %d", status)
	}
	for _, want := range []string{"delta(x) s64", "sample(1/n) bool", "emit TYPE NAME = x;", "$time", "for (i = 0;"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if _, errs, status := runHere(t, "filters", "x"); status != exitUsage || errs == "" {
		t.Errorf("an argument: got %d %q", status, errs)
	}
}

func TestJobProgram(t *testing.T) {
	dir := t.TempDir()
	check := func(program string) (string, int) {
		file := filepath.Join(dir, "job.yaml")
		text := "program: |\n  " + strings.ReplaceAll(program, "\n", "\n  ") + "\nfilter_budget: 50\noutputs: [" + filepath.Join(dir, "out") + "]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, status := runHere(t, "check", "--portable", file)
		return out + errs, status
	}
	if text, status := check(sinceSoftirq); status != exitOK {
		t.Errorf("got %d %s", status, text)
	}
	if text, status := check("on sched:sched_switch {\n  return tru e;\n}"); status != exitJob || !strings.Contains(text, "job.yaml:3:16") {
		t.Errorf("got %d %s, want a fault at line 3, column 16", status, text)
	}
}
