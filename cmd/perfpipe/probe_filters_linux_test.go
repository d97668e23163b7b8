//go:build linux

package main

import (
	"fmt"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestFiltersOnProbes: a filter lets through the same rows, whether code in a program
// decides it, the kernel does or helps with it, or perfpipe does all of it.
func TestFiltersOnProbes(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	tests := []struct {
		filter string
		rows   int
	}{
		{"n == 7", 1},
		{"n < 0", 10},
		{"n >= 40 && n != 45", 9},
		{"n & 1", 30},
		{`s == "alpha"`, 10},
		{`s == ""`, 10},
		{`s ~ "alpha*"`, 20},
		{`s ~ "*ta"`, 10},
		{`s == "alpha" && n < 0`, 2},
		// null is neither equal nor unequal to anything.
		{`s != "alpha"`, 40},
		{"isnull(s)", 10},
		{"!isnull(s) && n < 2", 10},
		{"isnull(n)", 0},
	}
	for _, tt := range tests {
		t.Run(tt.filter, func(t *testing.T) {
			probe := "uprobe:" + prog + ":left(n, s)"
			rows := recordRows(t, "-e", probe, "--filter", tt.filter, "--", prog)
			if len(rows) != tt.rows {
				t.Errorf("got %d rows, want %d", len(rows), tt.rows)
			}
			// The kernel's language has no arithmetic: without code all of this is left to
			// the process.
			for _, more := range [][]string{
				{"--tier", "process", "--filter", tt.filter},
				{"--filter", "(" + tt.filter + ") || n * 2 == 1"},
				{"--tier", "process", "--filter", "(" + tt.filter + ") || n * 2 == 1"},
				{"--engine", "perf", "--filter", tt.filter},
			} {
				own := recordRows(t, append(append([]string{"-e", probe}, more...), "--", prog)...)
				if got, want := column(own, "n"), column(rows, "n"); got != want {
					t.Errorf("%q: got n of %s, want %s", more, got, want)
				}
			}
		})
	}
}

// TestFilterIsPushed: what the kernel can decide is given to it.
func TestFilterIsPushed(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	probe := "uprobe:" + prog + ":left(n, s)"
	recordProbes(t, "-v", "-e", probe, "--filter", "n < 0", "-o", t.TempDir()+"/d", "--", prog).want(t, 0, "in the kernel: n <= -1")
	recordProbes(t, "-v", "-e", probe, "--filter", `s ~ "alpha*" && n < 20`, "-o", t.TempDir()+"/d", "--", prog).want(t, 0, "in the kernel: n <= 19", "in process")
	// Word for word the kernel's: rows where its own engine finds the filter true. To
	// it, what cannot be read is an empty string.
	for filter, want := range map[string]int{"n < 0": 10, `s == "alpha"`: 10, `s == ""`: 20} {
		rows := recordRows(t, "--kernel-compat", "-e", probe, "--filter", filter, "--", prog)
		if len(rows) != want {
			t.Errorf("--kernel-compat %s: got %d rows, want %d", filter, len(rows), want)
		}
	}
}

// TestFilterByFunction: of a glob's functions one can be chosen by its name.
func TestFilterByFunction(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	for _, filter := range []string{`func == "right" && n > 45`, "func == right && n > 45", `func ~ "r*" && n > 45`, `func != "left" && n > 45`} {
		rows := recordRows(t, "-e", "uprobe:"+prog+":[lr]*t(n, s)", "--filter", filter, "--", prog)
		columns{"func": `"right" "right"`, "n": "46 48"}.check(t, rows)
	}
	all := recordRows(t, "-e", "uprobe:"+prog+":[lr]*t(n)", "--", prog)
	counts := map[string]int{}
	for _, r := range all {
		counts[r.text("func")]++
	}
	if counts["left"] != 60 || counts["right"] != 30 || len(counts) != 2 {
		t.Errorf("got %v", counts)
	}
}

// TestSeveralProbesOfOneFunction: each has its own rows, with what it asked for.
func TestSeveralProbesOfOneFunction(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	rows := recordRows(t, "-e", "uprobe:"+prog+":left(n)", "-e", "uprobe:"+prog+":left(s)", "--filter", `s == "beta"`, "-e", "uprobe:"+prog+":left(m=n)", "--filter", "m > 47", "--", prog)
	if got := len(ofEvent(rows, ":left")); got != 60 {
		t.Errorf("the first: got %d rows, want 60", got)
	}
	columns{"s": `"beta" "beta" "beta" "beta" "beta" "beta" "beta" "beta" "beta" "beta"`, "m": "null null null null null null null null null null"}.check(t, ofEvent(rows, ":left#2"))
	columns{"m": "48 49", "n": "null null"}.check(t, ofEvent(rows, ":left#3"))
}

// TestFunctionsBehindABinary is perf's way to write it.
func TestFunctionsBehindABinary(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	rows := recordRows(t, "-x", prog, "-e", "left(n)", "-e", "left%return", "-e", "sched:sched_process_exit", "--", prog)
	if got := len(ofEvent(rows, "uprobe:words:left")); got != 60 {
		t.Errorf("entries: got %d rows, want 60", got)
	}
	if got, want := column(ofEvent(rows, "uretprobe:words:left")[:3], "ret"), "-20 -18 -16"; got != want {
		t.Errorf("returns: got %s, want %s", got, want)
	}
	if got := len(ofEvent(rows, "sched:sched_process_exit")); got != 1 {
		t.Errorf("the tracepoint beside them: got %d rows, want 1", got)
	}
}

// TestPeriodOfAProbe takes every seventh of sixty.
func TestPeriodOfAProbe(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	rows := recordRows(t, "-c", "7", "-e", "uprobe:"+prog+":left(n)", "--", prog)
	if got, want := column(rows, "n"), "-4 3 10 17 24 31 38 45"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestProbeOfAProcess: the binary of a process that runs is found by its id, by the
// name of what it has mapped, or not at all where it is the library's.
func TestProbeOfAProcess(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	p := background(t, prog, "on")
	for _, probe := range []string{"uprobe::tick(n)", "uprobe:words:tick(n)", "uprobe:" + prog + ":tick(n)", "uprobe:libc:usleep(n=arg0:u32)"} {
		rows := recordRows(t, "-p", fmt.Sprint(p.Pid), "-e", probe, "--duration", "500ms")
		if len(rows) == 0 {
			t.Errorf("%s: no rows", probe)
		}
		for _, r := range rows {
			if r.num("pid") != int64(p.Pid) || r.num("n") < 0 {
				t.Fatalf("%s: got %v", probe, r)
			}
		}
	}
	recordProbes(t, "-p", fmt.Sprint(p.Pid), "-e", "uprobe::tock", "--duration", "100ms").want(t, 2, "did you mean tick?")
}
