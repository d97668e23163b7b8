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
