package main

import (
	"slices"
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

func TestParseEngine(t *testing.T) {
	tests := []struct{ name, stderr, want string }{
		{"chosen", "event raw_syscalls:sys_enter: id 443, 2 fields\nevent raw_syscalls:sys_enter: engine: bpf\n  not perf: x\n", "bpf"},
		{"none said", "event raw_syscalls:sys_enter: id 443, 2 fields\n", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseEngine(tt.stderr); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLastLine(t *testing.T) {
	tests := []struct{ name, stderr, want string }{
		{"perfpipe", "run perfpipe: exit status 2\nperfpipe: --engine \"x\" is none\n\n", "--engine \"x\" is none"},
		{"another", "Error: no", "Error: no"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lastLine(tt.stderr); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

const ringStats = `entries: 130
overrun: 869
commit overrun: 7
bytes: 14560
oldest event ts: 12986.000713
now ts: 12990.154312
dropped events: 1
read events: 5
`

func TestParseRing(t *testing.T) {
	got, err := parseRing(ringStats)
	if got != 1000 || err != nil {
		t.Errorf("got %d, %v, want 1000", got, err)
	}
	end := strings.Index(ringStats, "dropped events: 1") + len("dropped events: 1")
	for n := range end {
		if got, err := parseRing(ringStats[:n]); err == nil {
			t.Errorf("%d bytes: got %d, want an error", n, got)
		}
	}
}

func TestParseCount(t *testing.T) {
	tests := []struct {
		name, stdout string
		want         int
		err          string
	}{
		{"a count", "Attaching 1 probe...\n\n\n@: 48\n", 48, ""},
		{"none", "Attaching 1 probe...\n", 0, "find bpftrace's count"},
		{"too large", "@: 99999999999999999999\n", 0, "out of range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCount(tt.stdout)
			if err == nil && got != tt.want || !says(err, tt.err) {
				t.Errorf("got %d, %v, want %d, %q", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestReportLine(t *testing.T) {
	tests := []struct {
		name, line   string
		events, lost int
	}{
		{"head", "cpus=2", 0, 0},
		{"empty", "", 0, 0},
		{"event", "ppb_x:            sleep-24405 [001] 13002.661854: sys_enter:            NR 59 (7ffc8eefd8e0, 0)", 1, 0},
		{"lost", "CPU:1 [1234 EVENTS DROPPED]", 0, 1234},
		{"unknown number", "CPU:1 [EVENTS DROPPED]", 0, 1},
		{"lost, the other way", "CPU:0 [LOST 12 EVENTS]", 0, 12},
		{"an event about events", "x-1 [000] 1.0: y: EVENTS", 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if e, l := reportLine([]byte(tt.line)); e != tt.events || l != tt.lost {
				t.Errorf("got %d, %d, want %d, %d", e, l, tt.events, tt.lost)
			}
		})
	}
}

const procStatus = "Name:\tperfpipe\nVmPeak:\t 1238656 kB\nVmHWM:\t   62000 kB\nVmRSS:\t   61000 kB\nThreads:\t9\n"

func TestParseStatus(t *testing.T) {
	got, err := parseStatus(procStatus)
	if want := (MemoryPoint{Resident: 61000 << 10, Largest: 62000 << 10}); got != want || err != nil {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	end := strings.Index(procStatus, "61000 kB") + len("61000 kB")
	for n := range end {
		if got, err := parseStatus(procStatus[:n]); err == nil {
			t.Errorf("%d bytes: got %v, want an error", n, got)
		}
	}
}

const benchOutput = `goos: linux
pkg: example.org/m/filters
BenchmarkMatch/int-2         	50000000	        21.5 ns/op	4700.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkMatch/int-2         	50000000	        25.5 ns/op	4700.00 MB/s	       0 B/op	       1 allocs/op
BenchmarkMatch/int-2         	50000000	        22.5 ns/op	4700.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkAppend-2            	 1000000	      1200 ns/op	      16 B/op	       2 allocs/op
BenchmarkNoMem-2             	 1000000	      1200 ns/op
PASS
pkg: example.org/m/perfev
BenchmarkPage-2              	 1000000	      9000 ns/op	         9.5 ns/record	      16 B/op	       0 allocs/op
PASS
`

func TestParseBenches(t *testing.T) {
	got := parseBenches(benchOutput)
	want := []Bench{
		{"example.org/m/filters", "BenchmarkMatch/int-2", 22.5, 1},
		{"example.org/m/filters", "BenchmarkAppend-2", 1200, 2},
		{"example.org/m/perfev", "BenchmarkPage-2", 9.5, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// FuzzParse holds what every reader of other programs' text promises: no panic, no
// number below 0 without an error, no benchmark that is none.
func FuzzParse(f *testing.F) {
	for _, s := range []string{ringStats, procStatus, benchOutput, "@: 48\n", "CPU:1 [12 EVENTS DROPPED]", "event a:b: engine: perf",
		"[ perfpipe record: wrote 12,345 rows in 2 tables, 0.4 MB to DIR (0 lost) ]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseCount(s); err == nil && n < 0 {
			t.Errorf("count: got %d", n)
		}
		if rows, lost, err := parsePerfpipe(s); err == nil && (rows < 0 || lost < 0) {
			t.Errorf("closing line: got %d, %d", rows, lost)
		}
		if p, err := parseStatus(s); err == nil && (p.Resident == 0 || p.Largest == 0) {
			t.Errorf("status: got %v", p)
		}
		if e, l := reportLine([]byte(s)); e < 0 || e > 1 || l < 0 || e*l != 0 {
			t.Errorf("report: got %d, %d", e, l)
		}
		for _, b := range parseBenches(s) {
			if !strings.HasPrefix(b.Name, "Benchmark") {
				t.Errorf("benchmark: got %q", b.Name)
			}
		}
		// What they return of any text is right.
		_, _ = parseRing(s)
		_, _ = parsePerf(s)
		_, _ = lastLine(s), parseEngine(s)
	})
}

// says reports whether err says want, or is nil where want is empty.
func says(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}
