package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The closing lines of both recorders.
var (
	perfpipeLine = regexp.MustCompile(`\[ perfpipe record: wrote ([0-9,]+) rows? in [0-9,]+ tables?, .* \(([0-9,]+) lost\) \]`)
	perfLine     = regexp.MustCompile(`\[ perf record: Captured and wrote [0-9.]+ MB \S+ (?:\(([0-9]+) samples\) )?\]`)
)

// parsePerfpipe returns rows and lost events of perfpipe's closing line.
func parsePerfpipe(stderr string) (rows, lost int, err error) {
	m := perfpipeLine.FindStringSubmatch(stderr)
	if m == nil {
		return 0, 0, fmt.Errorf("find perfpipe's closing line in %q", stderr)
	}
	if rows, err = number(m[1]); err != nil {
		return 0, 0, err
	}
	lost, err = number(m[2])
	return rows, lost, err
}

// errNoSamples is what perf record says of a filter that let nothing through.
var errNoSamples = errors.New("perf record recorded no samples")

// parsePerf returns the samples of perf record's closing line.
func parsePerf(stderr string) (samples int, err error) {
	m := perfLine.FindStringSubmatch(stderr)
	switch {
	case m == nil:
		return 0, fmt.Errorf("find perf record's closing line in %q", stderr)
	case m[1] == "":
		return 0, errNoSamples
	}
	return number(m[1])
}

func number(s string) (int, error) {
	return strconv.Atoi(strings.ReplaceAll(s, ",", ""))
}

// engineLine is of -v: what makes the records of an event.
var engineLine = regexp.MustCompile(`(?m)^event \S+: engine: (\w+)`)

// parseEngine returns the engine that perfpipe -v says it has taken, "" where it says none.
func parseEngine(stderr string) string {
	m := engineLine.FindStringSubmatch(stderr)
	if m == nil {
		return ""
	}
	return m[1]
}

// lastLine is the last of what a program said, where the reason of a failure stands.
func lastLine(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	return strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), "perfpipe: ")
}

// parseRing returns the events that a per-CPU stats file of tracefs counts: those in the
// ring, those written over, and those dropped.
func parseRing(stats string) (events int, err error) {
	found := 0
	for line := range strings.Lines(stats) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || name != "entries" && name != "overrun" && name != "dropped events" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("read %s of a ring's stats: %w", name, err)
		}
		events += n
		found++
	}
	if found != 3 {
		return 0, fmt.Errorf("find entries, overrun and dropped events in a ring's stats %q", stats)
	}
	return events, nil
}

// countLine is a map of bpftrace with one number in it.
var countLine = regexp.MustCompile(`(?m)^@: ([0-9]+)$`)

// parseCount returns the number in bpftrace's map.
func parseCount(stdout string) (int, error) {
	m := countLine.FindStringSubmatch(stdout)
	if m == nil {
		return 0, fmt.Errorf("find bpftrace's count in %q", stdout)
	}
	return strconv.Atoi(m[1])
}

// reportedLost is how trace-cmd report says that a ring was too small.
var reportedLost = regexp.MustCompile(`\[(?:([0-9]+) )?(?:LOST )?EVENTS (?:DROPPED|LOST)\]|\[LOST ([0-9]+) EVENTS\]`)

// reportLine is one of trace-cmd report: 1 event, or so many lost before it.
func reportLine(line []byte) (events, lost int) {
	if bytes.HasPrefix(line, []byte("cpus=")) || len(bytes.TrimSpace(line)) == 0 {
		return 0, 0
	}
	if !bytes.Contains(line, []byte("EVENTS")) {
		return 1, 0
	}
	m := reportedLost.FindSubmatch(line)
	if m == nil {
		return 1, 0
	}
	for _, d := range m[1:] {
		if n, err := strconv.Atoi(string(d)); err == nil {
			return 0, n
		}
	}
	return 0, 1
}

// Bench is a benchmark of `go test -bench -benchmem`; the medians where it ran several times.
type Bench struct {
	Package string `json:"package"`
	Name    string `json:"name"`
	// NS are those of an operation, or of a record or row where the benchmark says so.
	NS     float64 `json:"ns_per_op"`
	Allocs float64 `json:"allocs_per_op"`
}

// parseBenches returns the benchmarks of go test's output that have counted allocations.
func parseBenches(out string) []Bench {
	var all []Bench
	ns, allocs := map[Bench][]float64{}, map[Bench][]float64{}
	pkg := ""
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 2 && f[0] == "pkg:" {
			pkg = f[1]
		}
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		m := metrics(f[2:])
		per, ok := m["ns/record"]
		if !ok {
			per, ok = m["ns/row"]
		}
		if !ok {
			per = m["ns/op"]
		}
		a, ok := m["allocs/op"]
		if !ok {
			continue
		}
		key := Bench{Package: pkg, Name: f[0]}
		if _, ok := ns[key]; !ok {
			all = append(all, key)
		}
		ns[key], allocs[key] = append(ns[key], per), append(allocs[key], a)
	}
	for i, key := range all {
		all[i].NS, all[i].Allocs = spreadOf(ns[key]).median, spreadOf(allocs[key]).max
	}
	return all
}

// metrics reads pairs of a number and a unit.
func metrics(f []string) map[string]float64 {
	m := map[string]float64{}
	for i := 0; i+1 < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			break
		}
		m[f[i+1]] = v
	}
	return m
}

// parseStatus reads the resident set of /proc/PID/status.
func parseStatus(text string) (MemoryPoint, error) {
	var p MemoryPoint
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name != "VmRSS" && name != "VmHWM" || len(f) != 2 || f[1] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return p, fmt.Errorf("read %s of a process: %w", name, err)
		}
		if name == "VmRSS" {
			p.Resident = n << 10
		} else {
			p.Largest = n << 10
		}
	}
	if p.Resident == 0 || p.Largest == 0 {
		return p, errors.New("find VmRSS and VmHWM in a process's status: they are not there")
	}
	return p, nil
}
