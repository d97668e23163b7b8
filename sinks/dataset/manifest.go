//go:build unix

package dataset

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/perfpipe/perfpipe"
)

const manifestName = "manifest.json"

// Manifest is manifest.json: what a dataset holds and what was lost.
type Manifest struct {
	// Version is perfpipe's; Host, Kernel and Command are those of the recording.
	Version string   `json:"perfpipe_version"`
	Host    string   `json:"host"`
	Kernel  string   `json:"kernel"`
	Command []string `json:"command"`
	// Start and Stop are the clocks at both ends of the run.
	Start Clock `json:"start"`
	Stop  Clock `json:"stop"`
	// Events are all that were recorded, fired or not.
	Events []Event `json:"events"`
	// Files are all that the dataset holds, beside the manifest.
	Files []File `json:"files"`
	// Totals are over Files; their rows are those of events alone.
	Totals Totals `json:"totals"`
	// Removed is what rotation took away again.
	Removed Removed `json:"removed"`
	Lost    Lost    `json:"lost"`
	// Overwritten is what a flight recorder did not keep, nil of other runs and of none.
	Overwritten *Lost `json:"overwritten,omitempty"`
	// Faults are the records on which a filter faulted, by cause; nil where none did.
	// Those of them that did not become rows are among the lost as well.
	Faults []FaultBy `json:"filter_faults,omitempty"`
	// Complete is false where the run could not account for everything.
	Complete bool `json:"complete"`
}

// Event is one recorded event, or several that share a table.
type Event struct {
	// Event is "system:name"; of several, separated by commas.
	Event string `json:"event"`
	Table string `json:"table"`
	// Filter is that of the event. Several events with differing filters have a line
	// each, "system:name=filter".
	Filter string `json:"filter"`
	// FormatSHA256 is the digest of the format file; of several, separated by commas
	// in the order that they were recorded in, once each.
	FormatSHA256 string `json:"format_sha256"`
}

// byTable joins the entries of events that share a table, in the order of the first.
func byTable(events []Event) []Event {
	out := []Event{}
	at := make(map[string]int)
	groups := make(map[string][]Event)
	for _, e := range events {
		if _, ok := at[e.Table]; !ok {
			at[e.Table] = len(out)
			out = append(out, e)
		}
		groups[e.Table] = append(groups[e.Table], e)
	}
	for table, g := range groups {
		if len(g) == 1 {
			continue
		}
		e := &out[at[table]]
		var names, sums, filters []string
		same := true
		for _, o := range g {
			names = add(names, o.Event)
			sums = add(sums, o.FormatSHA256)
			filters = add(filters, o.Event+"="+o.Filter)
			same = same && o.Filter == e.Filter
		}
		e.Event, e.FormatSHA256 = strings.Join(names, ","), strings.Join(sums, ",")
		if !same {
			e.Filter = strings.Join(filters, "\n")
		}
	}
	return out
}

// add appends s unless it is in list, or empty.
func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// Clock is one reading of the three clocks, in nanoseconds, and the wall clock as text.
type Clock struct {
	Mono int64  `json:"mono_ns"`
	Boot int64  `json:"boot_ns"`
	Real int64  `json:"real_ns"`
	Time string `json:"time"`
}

// File is one part.
type File struct {
	// Path is relative to the dataset, with slashes.
	Path  string `json:"path"`
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	// MinTS and MaxTS are nanoseconds on CLOCK_MONOTONIC, absent without rows or without ts.
	MinTS  *int64 `json:"min_ts,omitempty"`
	MaxTS  *int64 `json:"max_ts,omitempty"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Totals sum up the files.
type Totals struct {
	Files int   `json:"files"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	// Escaped counts strings that were not UTF-8 and were escaped.
	Escaped uint64 `json:"escaped"`
}

// Removed sums up files that rotation removed to keep the newest.
type Removed struct {
	Files int   `json:"files"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
}

// Lost counts events that did not become rows.
type Lost struct {
	Total uint64   `json:"total"`
	By    []LostBy `json:"by"`
}

// LostBy is one count. Event is "" where it is not known whose events were lost.
type LostBy struct {
	Event  string `json:"event"`
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// FaultBy is one count of faults of an event's filter: "division by zero".
type FaultBy struct {
	Event string `json:"event"`
	Cause string `json:"cause"`
	Count uint64 `json:"count"`
}

func clock(c perfpipe.Clock) Clock {
	return Clock{c.Mono, c.Boot, c.Real, time.Unix(0, c.Real).UTC().Format(time.RFC3339Nano)}
}

func (d *Dataset) manifest(s perfpipe.Summary, complete bool) Manifest {
	m := Manifest{
		Version: d.o.Version, Host: d.o.Host, Kernel: d.o.Kernel, Command: d.o.Command,
		Start: clock(d.o.Start), Stop: clock(s.Stop), Events: byTable(d.o.Events), Files: []File{},
		Removed: d.gone, Lost: Lost{Total: s.Lost, By: []LostBy{}}, Complete: complete,
	}
	if s.Start != (perfpipe.Clock{}) {
		m.Start = clock(s.Start)
	}
	if m.Command == nil {
		m.Command = []string{}
	}
	for _, t := range d.order {
		for _, p := range t.parts {
			f := File{Path: path.Join(t.def.Name, p.Name), Table: t.def.Name, Rows: p.Rows, Bytes: p.Bytes, SHA256: p.SHA256}
			if p.MaxTS != 0 {
				f.MinTS, f.MaxTS = &p.MinTS, &p.MaxTS
			}
			m.Files = append(m.Files, f)
			if !perfpipe.OwnTable(t.def.Name) {
				m.Totals.Rows += p.Rows
			}
			m.Totals.Bytes += p.Bytes
		}
	}
	sort.SliceStable(m.Files, func(i, j int) bool { return m.Files[i].Path < m.Files[j].Path })
	m.Totals.Files, m.Totals.Escaped = len(m.Files), s.Escaped
	if s.Overwritten > 0 {
		m.Overwritten = &Lost{Total: s.Overwritten}
	}
	for ev, by := range s.LostBy {
		for reason, n := range by {
			to := &m.Lost
			if perfpipe.Intended(reason) && m.Overwritten != nil {
				to = m.Overwritten
			}
			to.By = append(to.By, LostBy{ev, reason, n})
		}
	}
	for ev, by := range s.FaultsBy {
		for cause, n := range by {
			m.Faults = append(m.Faults, FaultBy{ev, cause, n})
		}
	}
	sort.Slice(m.Faults, func(i, j int) bool {
		a, b := m.Faults[i], m.Faults[j]
		return a.Event < b.Event || a.Event == b.Event && a.Cause < b.Cause
	})
	m.Lost.sort()
	if m.Overwritten != nil {
		m.Overwritten.sort()
	}
	return m
}

func (l *Lost) sort() {
	sort.Slice(l.By, func(i, j int) bool {
		a, b := l.By[i], l.By[j]
		return a.Event < b.Event || a.Event == b.Event && a.Reason < b.Reason
	})
}

// writeManifest writes manifest.json as durably as the parts.
func (d *Dataset) writeManifest(s perfpipe.Summary, complete bool) error {
	m := d.manifest(s, complete)
	b, err := json.MarshalIndent(&m, "", "  ")
	if err != nil {
		return fmt.Errorf("write manifest of %s: %w", d.path, err)
	}
	f, err := d.dir.Create(manifestName)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(b, '\n')); err != nil {
		f.Abort()
		return err
	}
	return f.Commit(nil)
}
