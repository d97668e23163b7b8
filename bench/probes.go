package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Probes is what was measured of probes in user space.
type Probes struct {
	// Calls is the number of hits of a round.
	Calls    int          `json:"calls"`
	Bpftrace string       `json:"bpftrace,omitempty"`
	Rounds   []ProbeRound `json:"rounds"`
	// Arm is a recording of many functions; Node and Debug are functions that were looked up.
	Arm   Arm    `json:"arm"`
	Node  Lookup `json:"node"`
	Debug Lookup `json:"debug"`
	// Symbolize is the benchmark of 1 million stacks.
	Symbolize Symbolize `json:"symbolize"`
}

// ProbeRound is the same loop untraced and under the recorders, one after the other.
type ProbeRound struct {
	Untraced Load      `json:"untraced"`
	Perf     Recording `json:"perf"`
	Perfpipe Recording `json:"perfpipe"`
	// Bpftrace is nil where there is none on the machine.
	Bpftrace *Load `json:"bpftrace,omitempty"`
}

// Arm is how long a recording of many functions took to begin.
type Arm struct {
	Probe string `json:"probe"`
	// Places are the functions' places, without those that share one.
	Places int `json:"places"`
	// Seconds are from starting perfpipe to the start of the command that it records,
	// Tracepoint the same for a recording of one tracepoint.
	Seconds    []float64 `json:"seconds"`
	Tracepoint []float64 `json:"tracepoint_seconds"`
	// Events are the descriptors of perf events that perfpipe held, TracepointEvents
	// those of the recording of one tracepoint.
	Events           int `json:"perf_descriptors"`
	TracepointEvents int `json:"tracepoint_perf_descriptors"`
}

// Lookup is how long perfpipe took, from its start to its end, to find a function.
type Lookup struct {
	Probe string `json:"probe"`
	// Symbols is how many the binary has, 0 where they do not matter.
	Symbols int       `json:"symbols,omitempty"`
	Seconds []float64 `json:"seconds,omitempty"`
	// Missing says why there is nothing to look at.
	Missing string `json:"missing,omitempty"`
}

// Symbolize is a line of BenchmarkStacks.
type Symbolize struct {
	Seconds float64 `json:"seconds"`
	PeakMB  float64 `json:"peak_mb"`
	Missing string  `json:"missing,omitempty"`
}

// over takes one value of each round; rounds without one are left out.
func (p *Probes) over(value func(*ProbeRound) (float64, bool)) spread {
	var values []float64
	for i := range p.Rounds {
		if v, ok := value(&p.Rounds[i]); ok {
			values = append(values, v)
		}
	}
	return spreadOf(values)
}

// Bars of the figures, each at most.
const (
	hitRatio      = 0.8
	armBar        = 0.5
	nodeBar       = 0.2
	debugBar      = 0.4
	symbolizeBar  = 2.0
	symbolizePeak = 200.0
)

// figures holds the results against their bars.
func (p *Probes) figures() []Figure {
	perf := func(d *ProbeRound) (float64, bool) { return d.Perf.Load.NS - d.Untraced.NS, true }
	bpftrace := func(d *ProbeRound) (float64, bool) {
		if d.Bpftrace == nil {
			return 0, false
		}
		return d.Bpftrace.NS - d.Untraced.NS, true
	}
	out := []Figure{
		p.ratio("perf record", perf),
		p.ratio("bpftrace, printf to /dev/null", bpftrace),
	}
	arm := spreadOf(p.Arm.Seconds)
	out = append(out, Figure{
		What:     fmt.Sprintf("from the start of perfpipe to %d functions armed (`%s`), ms; beside it those of one tracepoint", p.Arm.Places, p.Arm.Probe),
		Perf:     spreadOf(p.Arm.Tracepoint).milliseconds(),
		Perfpipe: arm.milliseconds(), Ratio: "-", Bar: fmt.Sprintf("at most %.0f", armBar*1e3), Verdict: verdict(arm.median <= armBar),
	}, Figure{
		What: "descriptors of perf events held for them; beside it those of one tracepoint, which has one a processor",
		Perf: strconv.Itoa(p.Arm.TracepointEvents), Perfpipe: strconv.Itoa(p.Arm.Events), Ratio: "-", Bar: "as many",
		Verdict: verdict(p.Arm.Events > 0 && p.Arm.Events <= p.Arm.TracepointEvents),
	})
	node := p.Node.figure(fmt.Sprintf("resolving `%s`, in a binary of %s symbols, ms", p.Node.Probe, grouped(p.Node.Symbols)), nodeBar)
	debug := p.Debug.figure(fmt.Sprintf("resolving `%s`, by the names in libc's debug file, ms", p.Debug.Probe), debugBar)
	return append(out, node, debug, p.Symbolize.figure())
}

// ratio compares what a hit adds to the loop; other is the recorder that perfpipe is held against.
func (p *Probes) ratio(name string, other func(*ProbeRound) (float64, bool)) Figure {
	added := func(d *ProbeRound) (float64, bool) { return d.Perfpipe.Load.NS - d.Untraced.NS, true }
	f := Figure{
		What: "time added to the loop, ns per hit, two integers and a string; against " + name,
		Perf: "not installed", Perfpipe: p.over(added).text("%.0f"), Ratio: "-",
		Bar: fmt.Sprintf("at most %g x", hitRatio), Verdict: "-",
	}
	o := p.over(other)
	if o.median != o.median { // NaN: no round has it
		return f
	}
	q := p.over(func(d *ProbeRound) (float64, bool) {
		v, ok := other(d)
		mine, _ := added(d)
		return mine / v, ok
	})
	f.Perf, f.Ratio, f.Verdict = o.text("%.0f"), q.text("%.3f"), verdict(q.median <= hitRatio)
	return f
}

func (l *Lookup) figure(what string, limit float64) Figure {
	f := Figure{What: what, Perf: "-", Perfpipe: l.Missing, Ratio: "-", Bar: fmt.Sprintf("at most %.0f", limit*1e3), Verdict: "-"}
	if l.Missing == "" {
		s := spreadOf(l.Seconds)
		f.Perfpipe, f.Verdict = s.milliseconds(), verdict(s.median <= limit)
	}
	return f
}

func (s *Symbolize) figure() Figure {
	f := Figure{
		What: "symbolizing 1 million stacks of 20 frames, s; peak resident set, MB", Perf: "-", Perfpipe: s.Missing, Ratio: "-",
		Bar: fmt.Sprintf("at most %g; at most %g", symbolizeBar, symbolizePeak), Verdict: "-",
	}
	if s.Missing == "" {
		f.Perfpipe = fmt.Sprintf("%.2f; %.0f", s.Seconds, s.PeakMB)
		f.Verdict = verdict(s.Seconds > 0 && s.Seconds <= symbolizeBar && s.PeakMB > 0 && s.PeakMB <= symbolizePeak)
	}
	return f
}

// check says whether what must hold on any machine, however busy, does: every hit is
// a row or lost.
func (p *Probes) check() error {
	for i := range p.Rounds {
		r := &p.Rounds[i].Perfpipe
		if r.Events+r.Lost != r.Load.Calls {
			return fmt.Errorf("probe round %d: %d rows + %d lost is not %d hits", i+1, r.Events, r.Lost, r.Load.Calls)
		}
	}
	return nil
}

// parseStacks takes the line of BenchmarkStacks/names out of go test's output.
func parseStacks(out string) Symbolize {
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "BenchmarkStacks/names") {
			continue
		}
		var s Symbolize
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				break
			}
			switch f[i+1] {
			case "ns/op":
				s.Seconds = v / 1e9
			case "MB-peak":
				s.PeakMB = v
			}
		}
		return s
	}
	return Symbolize{Missing: "no result: the benchmark needs node"}
}

// section is the part of BENCHMARKS.md about probes.
func (p *Probes) section() string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf(`## Probes of user space

Medians of %d interleaved rounds (untraced, perf, perfpipe, bpftrace); %s.

%s
- The load: a C program that calls `+"`int hit(int id, int n, const char *path)`"+` %s times a round, pinned to one
  processor; the text has 33 bytes and the function begins with a push, as most do. Its figure is the median chunk of 100.
- `+"`perf probe -x hit --add 'GROUP:hit=hit id n path:string'`"+`, then `+"`perf record -e GROUP:hit -a -C 1 -m 16M`"+`;
  `+"`perfpipe record -e 'uprobe:hit:hit(id, n, path)' -a -C 1 -m 16M`"+`, into zstd Parquet;
  `+"`bpftrace -e 'uprobe:hit:hit { printf(\"%%d %%d %%s\\n\", arg0, arg1, str(arg2)); }' > /dev/null`"+` with a buffer of 16 MB.
  Recorders are pinned to the other processor.
- Armed: perfpipe starts the command that it records when all is armed; the time ends when that command, cat, has
  echoed a line, and so has in it the start of both programs.
- Resolving: `+"`perfpipe record --dry-run -e PROBE`"+` from its start to its end.
- Stacks: `+"`go test -bench BenchmarkStacks/names ./uprobe/symbolize`"+`: 50,000 places in node's code, each named once.

`, len(p.Rounds), p.tools(), table("perf or other", p.figures()), grouped(p.Calls))
}

func (p *Probes) tools() string {
	if p.Bpftrace == "" {
		return "bpftrace is not installed"
	}
	return p.Bpftrace
}
