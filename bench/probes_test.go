package main

import (
	"strings"
	"testing"
)

// probes are those of two rounds in which perfpipe adds half of what perf adds to a
// hit and a quarter of what bpftrace does, and everything else is within its bar.
func probes() *Probes {
	round := func(scale float64) ProbeRound {
		return ProbeRound{
			Untraced: Load{Calls: 1e5, NS: 2},
			Perf:     Recording{Load: Load{Calls: 1e5, NS: 2 + 2000*scale}, Events: 1e5},
			Perfpipe: Recording{Load: Load{Calls: 1e5, NS: 2 + 1000*scale}, Events: 99_000, Lost: 1000},
			Bpftrace: &Load{Calls: 1e5, NS: 2 + 4000*scale},
		}
	}
	return &Probes{
		Calls: 1e5, Bpftrace: "bpftrace v0.17.0", Rounds: []ProbeRound{round(1), round(1.1)},
		Arm:       Arm{Probe: armGlobForTest, Places: 450, Seconds: []float64{0.4, 0.3}, Tracepoint: []float64{0.02, 0.03}, Events: 4, TracepointEvents: 4},
		Node:      Lookup{Probe: "uprobe:node:f", Symbols: 150_000, Seconds: []float64{0.1, 0.19}},
		Debug:     Lookup{Probe: "uprobe:libc.so.6:f(a)", Seconds: []float64{0.3}},
		Symbolize: Symbolize{Seconds: 1.5, PeakMB: 120},
	}
}

const armGlobForTest = "uprobe:libc.so.6:s*"

func TestProbeFigures(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Probes)
		missed []string
	}{
		{"all met", func(*Probes) {}, nil},
		{"slower than perf allows", func(p *Probes) { p.Rounds[0].Perfpipe.Load.NS, p.Rounds[1].Perfpipe.Load.NS = 1802, 1802 }, []string{"time added to the loop, ns per hit, two integers and a string; against perf"}},
		{"no bpftrace", func(p *Probes) { p.Rounds[0].Bpftrace, p.Rounds[1].Bpftrace = nil, nil }, nil},
		{"armed late", func(p *Probes) { p.Arm.Seconds = []float64{0.4, 0.7} }, []string{"from the start"}},
		{"a descriptor a function", func(p *Probes) { p.Arm.Events = 900 }, []string{"descriptors"}},
		{"no descriptor seen", func(p *Probes) { p.Arm.Events = 0 }, []string{"descriptors"}},
		{"slow in node", func(p *Probes) { p.Node.Seconds[0] = 0.3 }, []string{"resolving `uprobe:node"}},
		{"no node", func(p *Probes) { p.Node = Lookup{Probe: "uprobe:node:f", Missing: "not found"} }, nil},
		{"slow in DWARF", func(p *Probes) { p.Debug.Seconds[0] = 0.5 }, []string{"resolving `uprobe:libc"}},
		{"slow names", func(p *Probes) { p.Symbolize.Seconds = 2.1 }, []string{"symbolizing"}},
		{"much memory", func(p *Probes) { p.Symbolize.PeakMB = 201 }, []string{"symbolizing"}},
		{"memory unknown", func(p *Probes) { p.Symbolize.PeakMB = 0 }, []string{"symbolizing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := probes()
			tt.change(p)
			var missed []string
			for _, f := range p.figures() {
				if f.Verdict == verdict(false) {
					missed = append(missed, f.What)
				}
			}
			if len(missed) != len(tt.missed) {
				t.Fatalf("missed: got %q, want %q", missed, tt.missed)
			}
			for i := range missed {
				if !strings.HasPrefix(missed[i], tt.missed[i]) {
					t.Errorf("missed: got %q, want %q", missed[i], tt.missed[i])
				}
			}
		})
	}
}

func TestProbeSection(t *testing.T) {
	got := probes().section()
	for _, want := range []string{
		"against perf record | 2100 (2000 to 2200) | 1050 (1000 to 1100) | 0.500 | at most 0.8 x | met |",
		"against bpftrace, printf to /dev/null | 4200 (4000 to 4400) | 1050 (1000 to 1100) | 0.250 | at most 0.8 x | met |",
		"450 functions armed (`uprobe:libc.so.6:s*`), ms; beside it those of one tracepoint | 25 (20 to 30) | 350 (300 to 400) | - | at most 500 | met |",
		"in a binary of 150,000 symbols, ms | - | 145 (100 to 190) | - | at most 200 | met |",
		"peak resident set, MB | - | 1.50; 120 | - | at most 2; at most 200 | met |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("section: got\n%s\nwant in it\n%s", got, want)
		}
	}
	if got := (*Probes)(nil).section(); got != "" {
		t.Errorf("section of results without probes: got %q, want none", got)
	}
}

func TestProbeCheck(t *testing.T) {
	r := results()
	r.Probes = probes()
	if err := r.check(); err != nil {
		t.Errorf("all hits accounted for: got %v, want no error", err)
	}
	r.Probes.Rounds[1].Perfpipe.Lost++
	if err := r.check(); !says(err, "probe round 2: 99000 rows + 1001 lost is not 100000 hits") {
		t.Errorf("one lost too many: got %v, want an error", err)
	}
}

func TestParseStacks(t *testing.T) {
	tests := []struct {
		name, out string
		want      Symbolize
	}{
		{"both figures", "goos: linux\nBenchmarkStacks/names-2 \t       1\t 486000000 ns/op\t        67.0 MB-peak\nPASS\n", Symbolize{Seconds: 0.486, PeakMB: 67}},
		{"skipped", "--- SKIP: BenchmarkStacks\nPASS\n", Symbolize{Missing: "no result: the benchmark needs node"}},
		{"another", "BenchmarkStacks/lines-2 1 5 ns/op 6 MB-peak\n", Symbolize{Missing: "no result: the benchmark needs node"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseStacks(tt.out); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
