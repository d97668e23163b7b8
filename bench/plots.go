package main

import (
	"math"
	"strings"
)

// plotFiles are the pictures, by the name under bench/.
const (
	addedPlot = "added-cost.svg"
	bytesPlot = "bytes.svg"
)

// plots draws what can be drawn, by file name.
func (r *Results) plots() map[string]string {
	out := map[string]string{}
	if c := r.addedChart(); len(c.bars) > 0 {
		out[addedPlot] = c.draw().svg()
	}
	if c := r.bytesChart(); len(c.bars) > 0 {
		out[bytesPlot] = c.draw().svg()
	}
	return out
}

func (r *Results) addedChart() *chart {
	c := &chart{
		title: "Time added to the traced loop by each event", unit: "nanoseconds per event (getppid, raw_syscalls:sys_enter), median, smallest and largest round",
		format: "%.0f",
	}
	largest := 0.0
	for _, t := range r.Tools {
		s := t.over(r.added)
		if t.ID == untraced || s.none() {
			continue
		}
		c.bars = append(c.bars, bar{label: t.Name, value: s, ours: ours(t), ring: strings.HasSuffix(t.ID, "-ring")})
		largest = max(largest, s.max)
	}
	c.scale = linear(largest)
	return c
}

func (r *Results) bytesChart() *chart {
	c := &chart{
		title: "Size on disk by format", unit: "bytes per event, median, smallest and largest round; the axis is logarithmic", format: "%.3g",
	}
	least, largest := math.Inf(1), 0.0
	add := func(label string, s spread, mine bool) {
		if s.none() || s.min <= 0 {
			return
		}
		c.bars = append(c.bars, bar{label: label, value: s, ours: mine})
		least, largest = min(least, s.min), max(largest, s.max)
	}
	for _, t := range r.Tools {
		add(fileName(t), t.over(ofRun((*Run).bytesPerEvent)), ours(t))
		if text := textName(t.ID); text != "" {
			add(text, t.over(ofRun((*Run).textBytesPerEvent)), false)
		}
		if t.ID == perfRecord {
			r.addConverts(add)
		}
	}
	if len(c.bars) > 0 {
		c.scale = logarithmic(least, largest)
	}
	return c
}

// addConverts adds what perf data convert makes of perf.data.
func (r *Results) addConverts(add func(label string, s spread, mine bool)) {
	for _, v := range r.Converts {
		if v.Refused == "" && v.Events > 0 {
			b := float64(v.Bytes) / float64(v.Events)
			add("perf data convert, "+v.To, spread{b, b, b}, false)
		}
	}
}

// textName is the text that is made of a tool's file.
func textName(id string) string {
	switch id {
	case perfRecord:
		return "perf script"
	case traceCmd:
		return "trace-cmd report"
	}
	return ""
}

// fileName is what the tool's file is called.
func fileName(t *Tool) string {
	switch t.ID {
	case perfRecord:
		return "perf.data"
	case traceCmd:
		return "trace.dat"
	}
	return t.Name
}

func ours(t *Tool) bool { return strings.HasPrefix(t.ID, engineTool("")) }
