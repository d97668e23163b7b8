package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Results are everything that was measured, round by round.
type Results struct {
	Machine Machine `json:"machine"`
	// Calls is the number of the loop's calls a round, Ring both recorders' -m.
	Calls    int       `json:"calls"`
	Ring     string    `json:"ring"`
	Rounds   []Round   `json:"rounds"`
	Accounts []Account `json:"accounts"`
	Memory   []Memory  `json:"memory"`
	Benches  []Bench   `json:"benchmarks"`
	// Probes is nil in results that were made before there were any.
	Probes *Probes `json:"probes,omitempty"`
}

// Machine is where and with what the figures were made.
type Machine struct {
	Date     string `json:"date"`
	CPU      string `json:"cpu"`
	Kernel   string `json:"kernel"`
	Perf     string `json:"perf"`
	Perfpipe string `json:"perfpipe"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Load     string `json:"load_average"`
	CPUs     int    `json:"cpus"`
	MemoryMB int    `json:"memory_mb"`
}

// Round is the same loop untraced and under both recorders, one after the other.
type Round struct {
	Untraced Load      `json:"untraced"`
	Perf     Recording `json:"perf"`
	Script   usage     `json:"perf_script"`
	Perfpipe Recording `json:"perfpipe"`
}

// Load is what the load has to say of itself.
type Load struct {
	// Calls is the number of getppid system calls that were made.
	Calls int `json:"calls"`
	// NS is the median over chunks of the nanoseconds that a call took.
	NS float64 `json:"ns_per_call"`
	// MeanNS is the time from the first to the last, by Calls.
	MeanNS float64 `json:"mean_ns_per_call"`
}

// Recording is the loop under a recorder.
type Recording struct {
	Load Load `json:"load"`
	usage
	// Events were recorded, those of other tasks on that processor too; Lost were not.
	Events int `json:"events"`
	Lost   int `json:"lost"`
	// Bytes are those of the files.
	Bytes int64 `json:"bytes"`
}

// usage is what a finished process and the children it waited for have used.
type usage struct {
	// User and System are CPU seconds.
	User   float64 `json:"user_s"`
	System float64 `json:"system_s"`
	// Peak is the largest resident set of one process, in bytes.
	Peak int64 `json:"peak_bytes"`
}

// Account is a recording of events whose number is known.
type Account struct {
	// Ring is -m, "" the default.
	Ring      string `json:"ring"`
	Generated int    `json:"generated"`
	Rows      int    `json:"rows"`
	Lost      int    `json:"lost"`
}

// Memory is the recorder's peak over a recording of some length.
type Memory struct {
	Seconds float64 `json:"seconds"`
	Rows    int     `json:"rows"`
	Lost    int     `json:"lost"`
	Peak    int64   `json:"peak_bytes"`
}

// seconds are CPU seconds of the recorder per million events.
func (r *Recording) seconds() float64 { return (r.User + r.System) / float64(r.Events) * 1e6 }

// scriptSeconds are those of perf script per million events.
func (r *Round) scriptSeconds() float64 {
	return (r.Script.User + r.Script.System) / float64(r.Perf.Events) * 1e6
}

// check says whether what must hold on any machine, however busy, does.
func (r *Results) check() error {
	for _, a := range r.Accounts {
		if a.Rows+a.Lost != a.Generated {
			return fmt.Errorf("ring %q: %d rows + %d lost is not %d generated", a.Ring, a.Rows, a.Lost, a.Generated)
		}
	}
	if r.Probes != nil {
		return r.Probes.check()
	}
	return nil
}

// Figure is a line of the table.
type Figure struct {
	What string
	// Values are what was measured, Bar what it is held against.
	Perf, Perfpipe, Ratio, Bar string
	Verdict                    string
}

// spread is the median of some values, with the smallest and the largest.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	s := slices.Sorted(slices.Values(values))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (s[len(s)/2-1] + m) / 2
	}
	return spread{s[0], m, s[len(s)-1]}
}

// text writes s, the range behind the median.
func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median, s.min, s.max)
}

// over takes one value of each round.
func (r *Results) over(value func(*Round) float64) spread {
	values := make([]float64, len(r.Rounds))
	for i := range r.Rounds {
		values[i] = value(&r.Rounds[i])
	}
	return spreadOf(values)
}

// figures holds the results against their bars.
func (r *Results) figures() []Figure {
	out := []Figure{
		r.ratio("time added to the traced loop, ns per event", "%.0f", 0.75,
			func(d *Round) float64 { return d.Perf.Load.NS - d.Untraced.NS },
			func(d *Round) float64 { return d.Perfpipe.Load.NS - d.Untraced.NS }),
		r.ratio("CPU s (user and system) per million events, into zstd Parquet; against perf record and perf script to text", "%.3f", 0.2,
			func(d *Round) float64 { return d.Perf.seconds() + d.scriptSeconds() },
			func(d *Round) float64 { return d.Perfpipe.seconds() }),
		r.ratio("the same, against perf record alone", "%.3f", 0.9,
			func(d *Round) float64 { return d.Perf.seconds() },
			func(d *Round) float64 { return d.Perfpipe.seconds() }),
		r.ratio("of it, user time alone; against perf record and perf script", "%.3f", 0,
			func(d *Round) float64 { return (d.Perf.User + d.Script.User) / float64(d.Perf.Events) * 1e6 },
			func(d *Round) float64 { return d.Perfpipe.User / float64(d.Perfpipe.Events) * 1e6 }),
		r.ratio("user time alone, against perf record, which decodes nothing", "%.3f", 0,
			func(d *Round) float64 { return d.Perf.User / float64(d.Perf.Events) * 1e6 },
			func(d *Round) float64 { return d.Perfpipe.User / float64(d.Perfpipe.Events) * 1e6 }),
		r.ratio("bytes per event on disk, against perf.data", "%.2f", 0.1,
			func(d *Round) float64 { return float64(d.Perf.Bytes) / float64(d.Perf.Events) },
			func(d *Round) float64 { return float64(d.Perfpipe.Bytes) / float64(d.Perfpipe.Events) }),
	}
	for _, a := range r.Accounts {
		out = append(out, a.figure())
	}
	return append(out, r.allocations(), r.memory())
}

// ratio makes a figure that compares perfpipe with perf; max 0 is no bar.
func (r *Results) ratio(what, format string, limit float64, perf, perfpipe func(*Round) float64) Figure {
	q := r.over(func(d *Round) float64 { return perfpipe(d) / perf(d) })
	f := Figure{
		What: what, Perf: r.over(perf).text(format), Perfpipe: r.over(perfpipe).text(format),
		Ratio: q.text("%.3f"), Bar: "-", Verdict: "-",
	}
	if limit > 0 {
		f.Bar, f.Verdict = fmt.Sprintf("at most %g x", limit), verdict(q.median <= limit)
	}
	return f
}

func (a *Account) figure() Figure {
	f := Figure{
		What: fmt.Sprintf("%s events of one busy processor, default ring", grouped(a.Generated)),
		Perf: "-", Ratio: "-", Bar: "rows + lost = generated",
		Perfpipe: fmt.Sprintf("%s rows + %s lost", grouped(a.Rows), grouped(a.Lost)),
		Verdict:  verdict(a.Rows+a.Lost == a.Generated),
	}
	if a.Ring != "" {
		f.What = fmt.Sprintf("%s events of one busy processor, -m %s", grouped(a.Generated), a.Ring)
		f.Bar, f.Verdict = "the same, 0 lost", verdict(a.Rows == a.Generated && a.Lost == 0)
	}
	return f
}

func (r *Results) allocations() Figure {
	f := Figure{What: "allocations per record, match and append", Perf: "-", Ratio: "-", Bar: "0"}
	most := 0.0
	for _, b := range r.Benches {
		most = max(most, b.Allocs)
	}
	f.Perfpipe = fmt.Sprintf("at most %g in %d benchmarks", most, len(r.Benches))
	f.Verdict = verdict(len(r.Benches) > 0 && most == 0)
	return f
}

func (r *Results) memory() Figure {
	f := Figure{What: "peak resident set", Perf: "-", Ratio: "-", Bar: "under 300 MB whatever the length"}
	var parts []string
	var peak int64
	for _, m := range r.Memory {
		parts = append(parts, fmt.Sprintf("%.0f MB after %.0f s (%s rows)", float64(m.Peak)/1e6, m.Seconds, grouped(m.Rows)))
		peak = max(peak, m.Peak)
	}
	f.Perfpipe = strings.Join(parts, ", ")
	f.Verdict = verdict(peak > 0 && peak < 300e6)
	return f
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

// grouped writes n with commas.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
