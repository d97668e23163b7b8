package main

import (
	"math"
	"strings"
	"testing"
)

func TestParsePerfpipe(t *testing.T) {
	tests := []struct {
		name, stderr string
		rows, lost   int
		err          string
	}{
		{"dataset", "[ perfpipe record: wrote 12,345 rows in 2 tables, 0.4 MB to DIR (0 lost) ]\n", 12345, 0, ""},
		{"lost", "perfpipe record: a warning\n[ perfpipe record: wrote 1 row in 1 table, 0.0 MB to x.parquet (1,234,567 lost) ]\n", 1, 1234567, ""},
		{"nothing", "", 0, 0, "closing line"},
		{"other", "[ perf record: Captured and wrote 0.1 MB perf.data (3 samples) ]", 0, 0, "closing line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, lost, err := parsePerfpipe(tt.stderr)
			if rows != tt.rows || lost != tt.lost || !says(err, tt.err) {
				t.Errorf("got %d, %d, %v, want %d, %d, %q", rows, lost, err, tt.rows, tt.lost, tt.err)
			}
		})
	}
}

func TestParsePerf(t *testing.T) {
	tests := []struct {
		name, stderr string
		samples      int
		err          string
	}{
		{"6.1", "[ perf record: Woken up 20 times to write data ]\n[ perf record: Captured and wrote 309.469 MB /tmp/pd (2520900 samples) ]\n", 2520900, ""},
		{"no samples", "[ perf record: Captured and wrote 0.034 MB perf.data ]\n", 0, "no samples"},
		{"nothing", "Error: no permission", 0, "closing line"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			samples, err := parsePerf(tt.stderr)
			if samples != tt.samples || !says(err, tt.err) {
				t.Errorf("got %d, %v, want %d, %q", samples, err, tt.samples, tt.err)
			}
		})
	}
}

func TestParseBenches(t *testing.T) {
	got := parseBenches(`goos: linux
BenchmarkMatch/int-2         	50000000	        21.5 ns/op	4700.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkAppend-2            	 1000000	      1200 ns/op	      16 B/op	       2 allocs/op
BenchmarkNoMem-2             	 1000000	      1200 ns/op
PASS
`)
	want := []Bench{{"BenchmarkMatch/int-2", 21.5, 0}, {"BenchmarkAppend-2", 1200, 2}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("benchmark %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func TestSpread(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		want   spread
	}{
		{"one", []float64{3}, spread{3, 3, 3}},
		{"odd", []float64{9, 1, 5}, spread{1, 5, 9}},
		{"even", []float64{4, 1, 2, 9}, spread{1, 3, 9}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := spreadOf(tt.values); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	if got := spreadOf(nil); !math.IsNaN(got.median) {
		t.Errorf("median of nothing: got %v, want NaN", got.median)
	}
}

// results are those of two rounds in which perfpipe adds half of what perf adds to
// the loop, takes a tenth of perf and perf script, and writes a hundredth.
func results() *Results {
	round := func(scale float64) Round {
		return Round{
			Untraced: Load{Calls: 1e6, NS: 100},
			Perf:     Recording{Load: Load{Calls: 1e6, NS: 100 + 800*scale}, usage: usage{User: 0.3 * scale, System: 0.2 * scale}, Events: 1e6, Bytes: 128e6},
			Script:   usage{User: 1.4 * scale, System: 0.1 * scale},
			Perfpipe: Recording{Load: Load{Calls: 1e6, NS: 100 + 400*scale}, usage: usage{User: 0.15 * scale, System: 0.05 * scale}, Events: 1e6, Bytes: 1.28e6},
		}
	}
	return &Results{
		Calls: 1e6, Ring: "16M", Rounds: []Round{round(1), round(1.1)},
		Accounts: []Account{{"", 5000000, 4999000, 1000}, {"64M", 5000000, 5000000, 0}},
		Memory:   []Memory{{Seconds: 10, Rows: 1e7, Peak: 60e6}},
		Benches:  []Bench{{"BenchmarkMatch", 20, 0}},
	}
}

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
		"against perf record | 2100 (2000 to 2200) | 1050 (1000 to 1100) | 0.500 (0.500 to 0.500) | at most 0.8 x | met |",
		"against bpftrace, printf to /dev/null | 4200 (4000 to 4400) | 1050 (1000 to 1100) | 0.250 (0.250 to 0.250) | at most 0.8 x | met |",
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

func TestFigures(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Results)
		// missed are the beginnings of the figures that miss their bars.
		missed []string
	}{
		{"all met", func(*Results) {}, nil},
		{"slow loop", func(r *Results) { r.Rounds[0].Perfpipe.Load.NS, r.Rounds[1].Perfpipe.Load.NS = 800, 800 }, []string{"time added"}},
		{"much CPU", func(r *Results) { r.Rounds[0].Perfpipe.User, r.Rounds[1].Perfpipe.User = 2, 2 }, []string{"CPU s", "the same"}},
		{"large files", func(r *Results) { r.Rounds[0].Perfpipe.Bytes, r.Rounds[1].Perfpipe.Bytes = 64e6, 64e6 }, []string{"bytes"}},
		{"uncounted loss", func(r *Results) { r.Accounts[0].Lost-- }, []string{"5,000,000 events of one busy processor, default"}},
		{"loss in a large ring", func(r *Results) { r.Accounts[1].Rows, r.Accounts[1].Lost = 4999999, 1 }, []string{"5,000,000 events of one busy processor, -m 64M"}},
		{"allocation", func(r *Results) { r.Benches[0].Allocs = 1 }, []string{"allocations"}},
		{"no benchmark", func(r *Results) { r.Benches = nil }, []string{"allocations"}},
		{"memory", func(r *Results) { r.Memory[0].Peak = 301e6 }, []string{"peak"}},
		{"memory unknown", func(r *Results) { r.Memory[0].Peak = 0 }, []string{"peak"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := results()
			tt.change(r)
			var missed []string
			for _, f := range r.figures() {
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

func TestCheck(t *testing.T) {
	r := results()
	if err := r.check(); err != nil {
		t.Errorf("all accounted for: got %v, want no error", err)
	}
	r.Accounts[0].Lost++
	if err := r.check(); !says(err, "is not 5000000 generated") {
		t.Errorf("one lost too many: got %v, want an error", err)
	}
}

func TestReport(t *testing.T) {
	r := results()
	got := report(r, r.figures())
	for _, want := range []string{
		"| time added to the traced loop, ns per event | 840 (800 to 880) | 420 (400 to 440) | 0.500 (0.500 to 0.500) | at most 0.75 x | met |",
		"| bytes per event on disk, against perf.data | 128.00 (128.00 to 128.00) | 1.28 (1.28 to 1.28) | 0.010 (0.010 to 0.010) | at most 0.1 x | met |",
		"| 5,000,000 events of one busy processor, default ring | - | 4,999,000 rows + 1,000 lost | - | rows + lost = generated | met |",
		"`perf record -e raw_syscalls:sys_enter -a -C 1 -m 16M -o perf.data`",
		"| BenchmarkMatch | 20.0 | 0 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("report: got\n%s\nwant in it\n%s", got, want)
		}
	}
}

// says reports whether err says want, or is nil where want is empty.
func says(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}
