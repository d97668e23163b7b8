package main

import (
	"fmt"
	"math"
	"strings"
)

// Memory is one recording at full rate whose resident set was looked at.
type Memory struct {
	Engine string        `json:"engine"`
	Points []MemoryPoint `json:"points"`
	Rows   int           `json:"rows"`
	Lost   int           `json:"lost"`
	// Peak is the kernel's own count of the largest, in bytes.
	Peak int64 `json:"peak_bytes"`
}

// MemoryPoint is the resident set so many seconds after the beginning, and the largest so far, in bytes.
type MemoryPoint struct {
	Seconds  float64 `json:"seconds"`
	Resident int64   `json:"resident_bytes"`
	Largest  int64   `json:"largest_bytes"`
}

// memoryBar is in bytes.
const memoryBar = 150e6

func (m *Memory) figure() Figure {
	f := Figure{
		What: fmt.Sprintf("resident set at full rate, MB (%s rows, %s lost), --engine %s", grouped(m.Rows), grouped(m.Lost), m.Engine),
		Perf: "-", Ratio: "-", Bar: fmt.Sprintf("under %.0f MB", memoryBar/1e6),
	}
	var parts []string
	peak := m.Peak
	for _, p := range m.Points {
		parts = append(parts, fmt.Sprintf("%.0f after %.0f s", float64(p.Resident)/1e6, p.Seconds))
		peak = max(peak, p.Largest)
	}
	f.Perfpipe = strings.Join(append(parts, fmt.Sprintf("largest %.0f", float64(peak)/1e6)), ", ")
	f.Verdict = verdict(len(m.Points) > 0 && peak > 0 && peak < memoryBar)
	return f
}

// Stops are recordings of many rows that were stopped by SIGINT.
type Stops struct {
	Engine string `json:"engine"`
	Runs   []Stop `json:"runs"`
}

// Stop is how long one took from the signal to its end, when every file is whole.
type Stop struct {
	Rows    int     `json:"rows"`
	Lost    int     `json:"lost"`
	Seconds float64 `json:"seconds"`
	// Whole is the manifest's word for it.
	Whole bool `json:"whole"`
}

// stopBar is in seconds.
const stopBar = 0.2

func (s *Stops) figure() Figure {
	rows, whole := math.MaxInt, len(s.Runs) > 0
	var values []float64
	for _, r := range s.Runs {
		rows = min(rows, r.Rows)
		whole = whole && r.Whole
		values = append(values, r.Seconds)
	}
	sp := spreadOf(values)
	f := Figure{
		What: fmt.Sprintf("from SIGINT to whole tables and the end of perfpipe, %s rows or more, ms, --engine %s", grouped(rows), s.Engine),
		Perf: "-", Perfpipe: sp.milliseconds(), Ratio: "-", Bar: fmt.Sprintf("under %.0f", stopBar*1e3),
		Verdict: verdict(whole && sp.median < stopBar),
	}
	if !whole {
		f.Perfpipe += ", not complete"
	}
	return f
}

// Start is how long a recording of all system calls takes to begin.
type Start struct {
	Engine  string `json:"engine"`
	Refused string `json:"refused,omitempty"`
	Event   string `json:"event"`
	// Events is how many there are.
	Events  int       `json:"events"`
	Seconds []float64 `json:"seconds,omitempty"`
	// PerfDescriptors and Descriptors are those that perfpipe held then.
	PerfDescriptors int `json:"perf_descriptors"`
	Descriptors     int `json:"descriptors"`
}

// startBar is in seconds.
const startBar = 2.0

func (s *Start) figure() Figure {
	what := fmt.Sprintf("from the start of perfpipe to `%s` armed (%d events), ms; descriptors held, --engine %s", s.Event, s.Events, s.Engine)
	bar := fmt.Sprintf("under %.0f", startBar*1e3)
	// Only what is chosen for the user has to hold few; perf events need one for each.
	if s.Engine == "auto" {
		bar += ", perf events fewer than events"
	}
	if s.Refused != "" {
		return unmeasured(what, bar, s.Refused)
	}
	sp := spreadOf(s.Seconds)
	met := sp.median < startBar
	if s.Engine == "auto" {
		met = met && s.PerfDescriptors < s.Events
	}
	return Figure{
		What: what, Perf: "-", Ratio: "-", Bar: bar, Verdict: verdict(met),
		Perfpipe: fmt.Sprintf("%s; %d, of them %d perf events", sp.milliseconds(), s.Descriptors, s.PerfDescriptors),
	}
}

// Other is another tool's count of the loop's events, alone and beside perfpipe.
type Other struct {
	Tool    string `json:"tool"`
	Engine  string `json:"engine"`
	Refused string `json:"refused,omitempty"`
	// Generated is how many there were, both times.
	Generated int `json:"generated"`
	Alone     int `json:"alone"`
	Beside    int `json:"beside"`
	// Rows and Lost are perfpipe's.
	Rows int `json:"rows"`
	Lost int `json:"lost"`
}

func (o *Other) figure() Figure {
	what := fmt.Sprintf("%s's count of %s events alone, and beside perfpipe --engine %s", o.Tool, grouped(o.Generated), o.Engine)
	const bar = "as many"
	if o.Refused != "" {
		return unmeasured(what, bar, o.Refused)
	}
	return Figure{
		What: what, Perf: fmt.Sprintf("%s alone", grouped(o.Alone)), Ratio: "-", Bar: bar,
		Perfpipe: fmt.Sprintf("%s beside it; its own %s rows + %s lost", grouped(o.Beside), grouped(o.Rows), grouped(o.Lost)),
		Verdict:  verdict(o.Beside >= min(o.Alone, o.Generated)),
	}
}

func (r *Results) runFigures() []Figure {
	var out []Figure
	if r.Stops != nil {
		out = append(out, r.Stops.figure())
	}
	if r.Memory != nil {
		out = append(out, r.Memory.figure())
	}
	for i := range r.Starts {
		out = append(out, r.Starts[i].figure())
	}
	for i := range r.Others {
		out = append(out, r.Others[i].figure())
	}
	return out
}
