package main

import (
	"fmt"
	"math"
	"strings"
)

// Tool is one way to look at the loop: alone, a bare ring, a peer, or perfpipe by an engine.
type Tool struct {
	// ID is one of the constants below, or engineTool's.
	ID string `json:"id"`
	// Name is what tables and pictures call it.
	Name string `json:"name"`
	// How is the command, or what stands for one.
	How string `json:"how,omitempty"`
	// Refused says why there are no runs.
	Refused string `json:"refused,omitempty"`
	// Note is what else should be known of it.
	Note string `json:"note,omitempty"`
	// Runs are those of the rounds, in their order.
	Runs []Run `json:"runs,omitempty"`
}

// IDs of tools that are no engines of perfpipe.
const (
	untraced      = "untraced"
	perfRecord    = "perf-record"
	traceCmd      = "trace-cmd"
	ftraceRing    = "ftrace-ring"
	perfRing      = "perf-ring"
	bpfRing       = "bpf-ring"
	bpftracePrint = "bpftrace-print"
	bpftraceCount = "bpftrace-count"
)

// Run is the loop under a tool.
type Run struct {
	Recording
	// After is what making text of the recording took: perf script, trace-cmd report.
	After *usage `json:"after,omitempty"`
	// TextBytes are those of that text.
	TextBytes int64 `json:"text_bytes,omitempty"`
}

// perMillion are CPU seconds of the recorder per million events; NaN where it keeps none.
func (r *Run) perMillion() float64 {
	if r.Events == 0 || r.seconds() == 0 {
		return math.NaN()
	}
	return r.seconds() / float64(r.Events) * 1e6
}

// textPerMillion has that of making text in it.
func (r *Run) textPerMillion() float64 {
	if r.After == nil {
		return math.NaN()
	}
	return r.perMillion() + r.After.seconds()/float64(r.Events)*1e6
}

// bytesPerEvent is NaN where nothing was written.
func (r *Run) bytesPerEvent() float64 {
	if r.Events == 0 || r.Bytes == 0 {
		return math.NaN()
	}
	return float64(r.Bytes) / float64(r.Events)
}

// textBytesPerEvent is of the text.
func (r *Run) textBytesPerEvent() float64 {
	if r.Events == 0 || r.TextBytes == 0 {
		return math.NaN()
	}
	return float64(r.TextBytes) / float64(r.Events)
}

// Convert is one making of something else of perf.data.
type Convert struct {
	To      string `json:"to"`
	Refused string `json:"refused,omitempty"`
	usage
	Events int   `json:"events"`
	Bytes  int64 `json:"bytes"`
}

// tool returns the one with that ID, nil where it was not measured.
func (r *Results) tool(id string) *Tool {
	for _, t := range r.Tools {
		if t.ID == id && len(t.Runs) > 0 {
			return t
		}
	}
	return nil
}

// why says why there is no such tool.
func (r *Results) why(id string) string {
	for _, t := range r.Tools {
		if t.ID == id && t.Refused != "" {
			return t.Refused
		}
	}
	return "not measured"
}

// value is a figure of the run of a round; NaN where there is none.
type value func(t *Tool, round int) float64

// added is what the tool adds to a call, in nanoseconds.
func (r *Results) added(t *Tool, round int) float64 {
	alone := r.tool(untraced)
	if alone == nil || round >= len(alone.Runs) || round >= len(t.Runs) {
		return math.NaN()
	}
	return t.Runs[round].Load.NS - alone.Runs[round].Load.NS
}

// ofRun makes a value of what a run knows of itself.
func ofRun(f func(*Run) float64) value {
	return func(t *Tool, round int) float64 {
		if round >= len(t.Runs) {
			return math.NaN()
		}
		return f(&t.Runs[round])
	}
}

// over is the spread of a value over the rounds.
func (t *Tool) over(v value) spread {
	return spreadRounds(len(t.Runs), func(i int) float64 { return v(t, i) })
}

// spreadRounds leaves out the rounds that have no value.
func spreadRounds(n int, v func(round int) float64) spread {
	var values []float64
	for i := range n {
		if x := v(i); !math.IsNaN(x) {
			values = append(values, x)
		}
	}
	return spreadOf(values)
}

// best is the engine that adds least to the loop, nil where none was measured.
func (r *Results) best() *Tool {
	var best *Tool
	least := math.Inf(1)
	for _, e := range engines {
		t := r.tool(engineTool(e))
		if t == nil {
			continue
		}
		if m := t.over(r.added).median; m < least {
			best, least = t, m
		}
	}
	return best
}

// Bars of the loop, each at most.
const (
	bestToPerf     = 0.27
	bestToRing     = 0.85
	ftraceToRing   = 1.05
	perfToPerf     = 0.75
	cpuToRecord    = 0.6
	cpuToScript    = 0.15
	cpuToReport    = 0.15
	bytesToPerf    = 1.0 / 20
	bytesToTraceDt = 1.0 / 2
)

// loopFigures holds the rounds against their bars.
func (r *Results) loopFigures() []Figure {
	if len(r.Tools) == 0 {
		return nil
	}
	const cost = "time added to the traced loop, ns per event; "
	bestID, bestName := "", "the best engine"
	if b := r.best(); b != nil {
		bestID, bestName = b.ID, "the best engine ("+strings.TrimPrefix(b.Name, "perfpipe, ")+")"
	}
	out := []Figure{
		r.compare(cost+bestName+" against perf record", bestID, perfRecord, bestToPerf, "%.0f", r.added, r.added),
		r.compare(cost+bestName+" against the bare ftrace ring", bestID, ftraceRing, bestToRing, "%.0f", r.added, r.added),
		r.compare(cost+"--engine ftrace against the bare ftrace ring", engineTool("ftrace"), ftraceRing, ftraceToRing, "%.0f", r.added, r.added),
		r.compare(cost+"--engine perf against perf record", engineTool("perf"), perfRecord, perfToPerf, "%.0f", r.added, r.added),
	}
	mine := ofRun((*Run).perMillion)
	for _, e := range engines {
		what := fmt.Sprintf("CPU s (user and system) per million events into zstd Parquet, --engine %s; against ", e)
		out = append(out,
			r.compare(what+"perf record alone", engineTool(e), perfRecord, cpuToRecord, "%.3f", mine, mine),
			r.compare(what+"perf record and perf script", engineTool(e), perfRecord, cpuToScript, "%.3f", mine, ofRun((*Run).textPerMillion)),
			r.compare(what+"trace-cmd record and trace-cmd report", engineTool(e), traceCmd, cpuToReport, "%.3f", mine, ofRun((*Run).textPerMillion)))
	}
	bytes := ofRun((*Run).bytesPerEvent)
	for _, e := range engines {
		what := fmt.Sprintf("bytes per event on disk, --engine %s; against ", e)
		out = append(out,
			r.compare(what+"perf.data", engineTool(e), perfRecord, bytesToPerf, "%.2f", bytes, bytes),
			r.compare(what+"trace.dat, as trace-cmd compresses it", engineTool(e), traceCmd, bytesToTraceDt, "%.2f", bytes, bytes))
	}
	return out
}

// compare holds a value of one tool against another tool's: the ratio is the median of
// the rounds' own ratios.
func (r *Results) compare(what, id, against string, limit float64, format string, mine, theirs value) Figure {
	bar := fmt.Sprintf("at most %g x", limit)
	t, o := r.tool(id), r.tool(against)
	if t == nil {
		return unmeasured(what, bar, r.why(id))
	}
	f := Figure{What: what, Perfpipe: t.over(mine).text(format), Bar: bar}
	if o == nil {
		f.Perf, f.Ratio, f.Verdict = r.why(against), "-", "not measured"
		return f
	}
	q := spreadRounds(min(len(t.Runs), len(o.Runs)), func(i int) float64 { return mine(t, i) / theirs(o, i) })
	f.Perf, f.Ratio = o.over(theirs).text(format), q.text("%.3f")
	if q.none() {
		f.Verdict = "not measured"
		return f
	}
	f.Verdict = verdict(q.median <= limit)
	return f
}
