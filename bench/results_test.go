package main

import (
	"math"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   spread
		text   string
	}{
		{"one", []float64{3}, spread{3, 3, 3}, "3.0"},
		{"odd", []float64{9, 1, 5}, spread{1, 5, 9}, "5.0 (1.0 to 9.0)"},
		{"even", []float64{4, 1, 2, 9}, spread{1, 3, 9}, "3.0 (1.0 to 9.0)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := spreadOf(tt.values)
			if got != tt.want || got.text("%.1f") != tt.text {
				t.Errorf("got %v, %q, want %v, %q", got, got.text("%.1f"), tt.want, tt.text)
			}
		})
	}
	if got := spreadOf(nil); !got.none() || got.text("%.1f") != "-" {
		t.Errorf("nothing: got %v, want none", got)
	}
	got := spreadRounds(3, func(i int) float64 { return []float64{1, math.NaN(), 3}[i] })
	if want := (spread{1, 2, 3}); got != want {
		t.Errorf("a round without a value: got %v, want %v", got, want)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// tool is one whose runs add so many nanoseconds to calls of 100, at two scales.
func tool(id, name string, added, cpu float64, bytes int64) *Tool {
	t := &Tool{ID: id, Name: name, How: "`" + id + "`"}
	for _, scale := range []float64{1, 1.1} {
		t.Runs = append(t.Runs, Run{Recording: Recording{
			Load:  Load{Calls: 1e6, NS: 100 + added*scale, MeanNS: 100 + added*scale},
			usage: usage{User: cpu * 0.75 * scale, System: cpu * 0.25 * scale}, Events: 1e6, Bytes: bytes,
		}})
	}
	return t
}

// results are those of two rounds in which everything is within its bar.
func results() *Results {
	perf := tool(perfRecord, "perf record", 800, 0.5, 128e6)
	cmd := tool(traceCmd, "trace-cmd record", 300, 0.5, 12e6)
	for _, t := range []*Tool{perf, cmd} {
		for i := range t.Runs {
			t.Runs[i].After, t.Runs[i].TextBytes = &usage{User: 2}, 100e6
		}
	}
	alone := tool(untraced, "nothing (the loop alone)", 0, 0, 0)
	bare := tool(ftraceRing, "bare ftrace ring", 280, 0, 0)
	printed := tool(bpftracePrint, "bpftrace, printf", 3000, 0, 0)
	for _, t := range []*Tool{alone, printed} {
		for i := range t.Runs {
			t.Runs[i].Events = 0
		}
	}
	r := &Results{
		Machine: Machine{
			Date: "2026-01-02", CPU: "a processor", Kernel: "6.18.0", Perf: "perf version 6.1", TraceCmd: "trace-cmd version 3", Bpftrace: "bpftrace v0.17",
			Perfpipe: "perfpipe devel", Commit: "abc", Go: "go version go1.26", Load: "0.1 0.2 0.3", CPUs: 2, MemoryMB: 4096,
		},
		Calls: 1e6, Ring: "16M", Seconds: 780,
		Tools: []*Tool{alone, perf, cmd, printed, bare,
			tool(engineTool("auto"), "perfpipe, auto (bpf)", 200, 0.2, 1e6), tool(engineTool("bpf"), "perfpipe, bpf", 190, 0.2, 1e6),
			tool(engineTool("ftrace"), "perfpipe, ftrace", 285, 0.2, 1e6), tool(engineTool("perf"), "perfpipe, perf", 590, 0.2, 1e6)},
		Converts: []Convert{{To: "json", usage: usage{User: 2}, Events: 1e6, Bytes: 240e6}, {To: "ctf", Refused: "not built in"}},
		Accounts: []Account{
			{Engine: "auto", Loops: 1, Generated: 5000000, Rows: 4999000, Lost: 1000},
			{Engine: "auto", Ring: largeRing, Loops: 1, Generated: 5000000, Rows: 5000000},
			{Engine: "bpf", Ring: smallRing, Loops: 2, Generated: 600, Rows: 400, Lost: 200},
		},
		Memory: &Memory{Engine: "auto", Points: []MemoryPoint{{10, 60e6, 61e6}, {30, 61e6, 62e6}}, Rows: 1e7, Peak: 62e6},
		Stops:  &Stops{Engine: "auto", Runs: []Stop{{1e7, 0, 0.1, true}, {1e7, 0, 0.12, true}}},
		Stages: []Bench{
			{"x/perfev", "BenchmarkRing-2", 15, 0}, {"x/filters", "BenchmarkMatch/three-2", 9, 0}, {"x/filters", "BenchmarkMatch/strings-2", 50, 0},
			{"x/collector", "BenchmarkAppend-2", 14, 0}, {"x/filters", "BenchmarkProgram50/stream-2", 50, 0}, {"x/filters", "BenchmarkProgram50/deep-2", 110, 0},
		},
		Filters: filtersMet(),
		Scaling: &Scaling{Events: 1e6, One: []float64{1.8, 2}, Two: []float64{1, 1.1}},
	}
	for _, e := range engines {
		r.Rates = append(r.Rates, Rate{
			Engine: e, Chosen: e, Ring: "16M", Bare: []Load{{Calls: 1e7, MeanNS: 1000}, {Calls: 1e7, MeanNS: 1000}},
			Run: Recording{Load: Load{Calls: 1e7, MeanNS: 1010}, Events: 1e7},
		})
		r.Starts = append(r.Starts, Start{Engine: e, Event: allForTest, Events: 720, Seconds: []float64{0.3, 0.5}, PerfDescriptors: 4, Descriptors: 20})
		r.Others = append(r.Others, Other{Tool: "perf record", Engine: e, Generated: 1e5, Alone: 1e5, Beside: 1e5, Rows: 1e5})
	}
	return r
}

const allForTest = "syscalls:*"

// set changes all runs of a tool.
func set(r *Results, id string, change func(*Run)) {
	for _, t := range r.Tools {
		for i := range t.Runs {
			if t.ID == id {
				change(&t.Runs[i])
			}
		}
	}
}

// refuse takes a tool's runs away.
func refuse(r *Results, id string) {
	for _, t := range r.Tools {
		if t.ID == id {
			t.Runs, t.Refused = nil, "refused: no"
		}
	}
}

func TestFigures(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Results)
		// missed and unknown are parts of the figures that miss their bars, or could not be made.
		missed, unknown []string
	}{
		{"all met", func(*Results) {}, nil, nil},
		{"the best slower than the bars", func(r *Results) {
			set(r, engineTool("auto"), func(x *Run) { x.Load.NS = 450 })
			set(r, engineTool("bpf"), func(x *Run) { x.Load.NS = 450 })
		}, []string{"(ftrace) against perf record", "(ftrace) against the bare ftrace"}, nil},
		{"ftrace slower than its ring", func(r *Results) { set(r, engineTool("ftrace"), func(x *Run) { x.Load.NS = 500 }) }, []string{"--engine ftrace against the bare"}, nil},
		{"perf slower", func(r *Results) { set(r, engineTool("perf"), func(x *Run) { x.Load.NS = 900 }) }, []string{"--engine perf against perf record"}, nil},
		{"no ftrace engine", func(r *Results) { refuse(r, engineTool("ftrace")) }, nil,
			[]string{"--engine ftrace against the bare", "ftrace; against perf record alone", "ftrace; against perf record and", "ftrace; against trace-cmd", "ftrace; against perf.data", "ftrace; against trace.dat"}},
		{"no trace-cmd", func(r *Results) { refuse(r, traceCmd) }, nil,
			[]string{"auto; against trace-cmd", "bpf; against trace-cmd", "ftrace; against trace-cmd", "perf; against trace-cmd", "auto; against trace.dat", "bpf; against trace.dat", "ftrace; against trace.dat", "perf; against trace.dat"}},
		{"much CPU", func(r *Results) { set(r, engineTool("bpf"), func(x *Run) { x.User = 2 }) },
			[]string{"bpf; against perf record alone", "bpf; against perf record and", "bpf; against trace-cmd"}, nil},
		{"large files", func(r *Results) { set(r, engineTool("perf"), func(x *Run) { x.Bytes = 7e6 }) }, []string{"perf; against perf.data", "perf; against trace.dat"}, nil},
		{"loss at full rate", func(r *Results) { r.Rates[1].Run.Lost = 1 }, []string{"--engine bpf: events a second"}, nil},
		{"rows that are not there", func(r *Results) { r.Rates[1].Run.Events-- }, []string{"--engine bpf: events a second"}, nil},
		{"slower than the bare ring", func(r *Results) { r.Rates[0].Run.Load.MeanNS = 1100 }, []string{"--engine auto: events a second"}, nil},
		{"engine refused", func(r *Results) { r.Rates[2] = Rate{Engine: "ftrace", Refused: "refused: no"} }, nil, []string{"one saturated processor, --engine ftrace"}},
		{"uncounted loss", func(r *Results) { r.Accounts[0].Lost-- }, []string{"5,000,000 events of one busy processor, default"}, nil},
		{"loss in a large ring", func(r *Results) { r.Accounts[1].Rows, r.Accounts[1].Lost = 4999999, 1 }, []string{"5,000,000 events of one busy processor, -m 64M"}, nil},
		{"uncounted loss in a small ring", func(r *Results) { r.Accounts[2].Lost++ }, []string{"600 events of 2 busy processors"}, nil},
		{"slow end", func(r *Results) { r.Stops.Runs[0].Seconds, r.Stops.Runs[1].Seconds = 0.3, 0.3 }, []string{"from SIGINT"}, nil},
		{"half a dataset", func(r *Results) { r.Stops.Runs[0].Whole = false }, []string{"from SIGINT"}, nil},
		{"memory", func(r *Results) { r.Memory.Points[1].Largest = 151e6 }, []string{"resident set"}, nil},
		{"memory unknown", func(r *Results) { r.Memory.Points = nil }, []string{"resident set"}, nil},
		{"slow start", func(r *Results) { r.Starts[3].Seconds = []float64{2.5} }, []string{"`syscalls:*` armed"}, nil},
		{"a descriptor an event", func(r *Results) { r.Starts[0].PerfDescriptors = 1440 }, []string{"`syscalls:*` armed"}, nil},
		{"a descriptor an event, by perf", func(r *Results) { r.Starts[3].PerfDescriptors = 1440 }, nil, nil},
		{"another loses", func(r *Results) { r.Others[1].Beside-- }, []string{"perf record's count"}, nil},
		{"another lost before", func(r *Results) { r.Others[1].Beside--; r.Others[1].Alone-- }, nil, nil},
		{"slow decoding", func(r *Results) { r.Stages[0].NS = 21 }, []string{"ns of read and decode"}, nil},
		{"slow filter", func(r *Results) { r.Stages[1].NS = 11 }, []string{"ns of a filter"}, nil},
		{"slow columns", func(r *Results) { r.Stages[3].NS = 16 }, []string{"ns of columns"}, nil},
		{"no benchmark", func(r *Results) { r.Stages = r.Stages[1:] }, nil, []string{"ns of read and decode"}},
		{"allocation", func(r *Results) { r.Stages[2].Allocs = 1 }, []string{"allocations"}, nil},
		{"one core as good as two", func(r *Results) { r.Scaling.Two = []float64{1.7, 1.8} }, []string{"`perfpipe convert`"}, nil},
		{"no threads", func(r *Results) { r.Scaling = &Scaling{Refused: "no --threads"} }, nil, []string{"`perfpipe convert`"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := results()
			tt.change(r)
			missed, unknown := judged(r.figures())
			compareParts(t, "missed", missed, tt.missed)
			compareParts(t, "not measured", unknown, tt.unknown)
		})
	}
}

func compareParts(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
	for i := range got {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("%s: got %q, want %q", what, got[i], want[i])
		}
	}
}

func TestFiguresOfNothing(t *testing.T) {
	r := &Results{}
	if got := r.figures(); len(got) != 0 {
		t.Errorf("figures: got %v, want none", got)
	}
	if got := r.plots(); len(got) != 0 {
		t.Errorf("plots: got %d, want none", len(got))
	}
}

func TestCheck(t *testing.T) {
	r := results()
	if err := r.check(); err != nil {
		t.Errorf("all accounted for: got %v, want no error", err)
	}
	r.Accounts[2].Lost++
	if err := r.check(); !says(err, "-m 64K, --engine bpf: 400 rows + 201 lost is not 600 generated") {
		t.Errorf("one lost too many: got %v, want an error", err)
	}
	r.Accounts[2].Refused = "no"
	if err := r.check(); err != nil {
		t.Errorf("refused: got %v, want no error", err)
	}
	r.Accounts[2].Refused = failed + "load program"
	if err := r.check(); !says(err, "failed: load program") {
		t.Errorf("failed: got %v, want an error", err)
	}
}

func TestBehind(t *testing.T) {
	r := results()
	if got, want := r.behind(r.figures()), "Nowhere"; !strings.HasPrefix(got, want) {
		t.Errorf("all met: got %q, want %q", got, want)
	}
	set(r, ftraceRing, func(x *Run) { x.Load.NS = 250 })
	set(r, engineTool("perf"), func(x *Run) { x.Load.NS = 900 })
	set(r, traceCmd, func(x *Run) { x.User, x.Bytes = 0, 9e5 })
	refuse(r, engineTool("bpf"))
	got := r.behind(r.figures())
	for _, want := range []string{
		"- missed: time added to the traced loop, ns per event; --engine perf against perf record: 800, which is 0.955 (0.909 to 1.000) x, not at most 0.75 x",
		"- bare ftrace ring adds less to the loop than perfpipe: 150 ns beside 210 ns (200 ns to 220 ns) (perfpipe, auto (bpf)); it is a ring whose events nobody keeps",
		"- trace-cmd record takes less CPU time for a million events than perfpipe: ",
		"- trace-cmd record takes fewer bytes for an event than perfpipe: 0.90 beside 1.00",
		"- not measured: bytes per event on disk, --engine bpf; against perf.data: refused: no",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it\n%s", got, want)
		}
	}
}

// judged are the figures that miss their bars, and those that were not measured.
func judged(list []Figure) (missed, unknown []string) {
	for _, f := range list {
		switch f.Verdict {
		case verdict(false):
			missed = append(missed, f.What)
		case "not measured":
			unknown = append(unknown, f.What)
		}
	}
	return missed, unknown
}
