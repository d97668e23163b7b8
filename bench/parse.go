package main

import (
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

// parsePerf returns the samples of perf record's closing line.
func parsePerf(stderr string) (samples int, err error) {
	m := perfLine.FindStringSubmatch(stderr)
	switch {
	case m == nil:
		return 0, fmt.Errorf("find perf record's closing line in %q", stderr)
	case m[1] == "":
		return 0, errors.New("perf record recorded no samples")
	}
	return number(m[1])
}

func number(s string) (int, error) {
	return strconv.Atoi(strings.ReplaceAll(s, ",", ""))
}

// Bench is a line of `go test -bench -benchmem`.
type Bench struct {
	Name   string  `json:"name"`
	NS     float64 `json:"ns_per_op"`
	Allocs float64 `json:"allocs_per_op"`
}

// parseBenches returns the lines of go test's output that are of benchmarks with
// counted allocations.
func parseBenches(out string) []Bench {
	var all []Bench
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		b := Bench{Name: f[0], Allocs: -1}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				break
			}
			switch f[i+1] {
			case "ns/op":
				b.NS = v
			case "allocs/op":
				b.Allocs = v
			}
		}
		if b.Allocs >= 0 {
			all = append(all, b)
		}
	}
	return all
}
