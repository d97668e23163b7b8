package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
)

// defaultOutput is the dataset that record makes without -o. As perf does with
// perf.data, an older one is kept as perfpipe.data.old.
const defaultOutput = "perfpipe.data"

// captureOptions are what a command says about a capture besides what is captured.
type captureOptions struct {
	// Command is the name in the closing line: "record" or "run".
	Command string
	// Quiet leaves out progress and the closing line, Verbose says what is opened,
	// DryRun stops before anything is recorded or written.
	Quiet, Verbose, DryRun bool
	// Extra are outputs besides the capture's own.
	Extra []collector.Output
}

// closing writes the last lines: what was written, where to, and what was lost.
func closing(w io.Writer, c *configs.Capture, o captureOptions, res *collector.Result, bytes int64) {
	if o.Quiet {
		return
	}
	for _, cause := range slices.Sorted(maps.Keys(res.Faults)) {
		fmt.Fprintf(w, "perfpipe %s: the filter faulted on %s records: %s\n", o.Command, commas(res.Faults[cause]), cause)
	}
	if res.Lost > 0 || res.Gaps > 0 {
		for _, l := range lossLines(res) {
			fmt.Fprintf(w, "perfpipe %s: %s\n", o.Command, l)
		}
	}
	if res.OverCPU {
		fmt.Fprintf(w, "perfpipe %s: --max-cpu %s was not held: reading and filtering alone take more; record fewer events, or let the kernel filter them ('perfpipe explain')\n", o.Command, percent(c.MaxCPU))
	}
	if res.Full {
		fmt.Fprintf(w, "perfpipe %s: ended by --max-size\n", o.Command)
	}
	var to []string
	for _, out := range c.Outputs {
		to = append(to, out.Path)
	}
	tables := "tables"
	if res.Tables == 1 {
		tables = "table"
	}
	kept := ""
	if c.Overwrite {
		kept = fmt.Sprintf(", %s overwritten", commas(res.Overwritten))
	}
	fmt.Fprintf(w, "[ perfpipe %s: wrote %s rows in %d %s, %.1f MB to %s (%s lost%s) ]\n",
		o.Command, commas(res.Rows), res.Tables, tables, float64(bytes)/1e6, strings.Join(to, ", "), commas(res.Lost), kept)
}

// lossLines says for each event what was lost and why, and what helps.
func lossLines(res *collector.Result) []string {
	var lines []string
	ring := false
	for _, event := range slices.Sorted(maps.Keys(res.LostBy)) {
		by := res.LostBy[event]
		if event == "" {
			event = "events"
		}
		for _, reason := range slices.Sorted(maps.Keys(by)) {
			n := by[reason]
			switch {
			case perfpipe.Intended(reason):
				continue
			case reason == perfpipe.LostOffline:
				// Nobody counted.
				lines = append(lines, "a processor was offline; what happened until its events were on again is not known: _lost, "+reason)
				continue
			}
			lines = append(lines, fmt.Sprintf("lost %s of %s: %s", commas(n), event, reason))
			ring = ring || reason == "ring_full"
		}
	}
	if ring {
		lines = append(lines, "a larger ring loses less: -m 64M")
	}
	return lines
}

// commas writes n with a comma at every thousand.
func commas(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// progressLine shows a line that updates, on terminals only.
type progressLine struct {
	w     io.Writer
	shown bool
	last  uint64
	fill  func() float64
}

// newProgress returns nil where w is no terminal.
func newProgress(w io.Writer, fill func() float64) *progressLine {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return nil
	}
	return &progressLine{w: w, fill: fill}
}

func (p *progressLine) show(s collector.Progress) {
	// It comes about twice a second.
	rate := (s.Rows - p.last) * 2
	p.last = s.Rows
	fmt.Fprintf(p.w, "\r\x1b[K%s rows, %s/s, %.1f MB, %s lost, ring %.0f%%", commas(s.Rows), commas(rate), float64(s.Bytes)/1e6, commas(s.Lost), 100*p.fill())
	p.shown = true
}

func (p *progressLine) clear() {
	if p != nil && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
