package main

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// Stage is a part of the way of a record, by the Go benchmarks that measure it.
type stage struct {
	what string
	// pkg ends the package's path, name is of its benchmarks.
	pkg, name *regexp.Regexp
	// bar is at most so many nanoseconds of one record or row.
	bar float64
}

// stages are held against their bars. A benchmark whose operation is more than one record
// says ns/record or ns/row itself.
var stages = [...]stage{
	{"read and decode a record", regexp.MustCompile(`/perfev(/.*)?$`), regexp.MustCompile(`^Benchmark(Ring|.*(Decode|Pages?|ReadRecord))(/|-|$)`), 20},
	{"a filter of three terms, one of them a glob, in cache", regexp.MustCompile(`/filters$`), regexp.MustCompile(`^BenchmarkMatch/three(-|$)`), 10},
	{"columns of a row into a batch", regexp.MustCompile(`/collector$`), regexp.MustCompile(`^BenchmarkAppend(/|-|$)`), 15},
}

// hot are the benchmarks of the path of every record: they must not allocate.
var hot = regexp.MustCompile(`^Benchmark(Ring|.*(Match|Program|Append|Encode|Compact|Decode|Page|ReadRecord))`)

// stageFigures holds the benchmarks against the bars.
func (r *Results) stageFigures() []Figure {
	var out []Figure
	if len(r.Stages) > 0 {
		for i := range stages {
			out = append(out, stages[i].figure(r.Stages))
		}
		out = append(out, allocations(r.Stages))
	}
	if r.Scaling != nil {
		out = append(out, r.Scaling.figure())
	}
	return out
}

// figure takes the slowest of the stage's benchmarks.
func (s *stage) figure(all []Bench) Figure {
	f := Figure{What: "ns of " + s.what, Perf: "-", Ratio: "-", Bar: fmt.Sprintf("at most %g", s.bar)}
	var parts []string
	most := math.Inf(-1)
	for _, b := range all {
		if s.pkg.MatchString(b.Package) && s.name.MatchString(b.Name) {
			parts = append(parts, fmt.Sprintf("%.1f (%s)", b.NS, strings.TrimPrefix(b.Name, "Benchmark")))
			most = max(most, b.NS)
		}
	}
	if len(parts) == 0 {
		return unmeasured(f.What, f.Bar, "no benchmark of it")
	}
	f.Perfpipe, f.Verdict = strings.Join(parts, ", "), verdict(most <= s.bar)
	return f
}

func allocations(all []Bench) Figure {
	f := Figure{What: "allocations per record: read, match and append", Perf: "-", Ratio: "-", Bar: "0"}
	most, n := 0.0, 0
	for _, b := range all {
		if hot.MatchString(b.Name) {
			most = max(most, b.Allocs)
			n++
		}
	}
	f.Perfpipe = fmt.Sprintf("at most %g in %d benchmarks", most, n)
	f.Verdict = verdict(n > 0 && most == 0)
	return f
}

// Scaling is the same file converted with one thread on one processor, and with two on two.
type Scaling struct {
	Refused string    `json:"refused,omitempty"`
	Events  int       `json:"events"`
	One     []float64 `json:"one_thread_s,omitempty"`
	Two     []float64 `json:"two_threads_s,omitempty"`
}

// scalingBar is at least.
const scalingBar = 1.7

func (s *Scaling) figure() Figure {
	what := fmt.Sprintf("`perfpipe convert` of %s events of perf.data, s with --threads 1 on one processor, and 2 on two", grouped(s.Events))
	bar := fmt.Sprintf("at least %g x as fast", scalingBar)
	if s.Refused != "" {
		return unmeasured(what, bar, s.Refused)
	}
	q := spreadRounds(min(len(s.One), len(s.Two)), func(i int) float64 { return s.One[i] / s.Two[i] })
	return Figure{
		What: what, Perf: spreadOf(s.One).text("%.2f"), Perfpipe: spreadOf(s.Two).text("%.2f"),
		Ratio: q.text("%.2f"), Bar: bar, Verdict: verdict(q.median >= scalingBar),
	}
}
