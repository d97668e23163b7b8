package main

import (
	_ "embed" // notes.md
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// notes are what a reader of the figures should know besides, written by hand.
//
//go:embed notes.md
var notes string

// table writes the figures as a Markdown table; other heads the column of what perfpipe is held against.
func table(other string, figures []Figure) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| figure | %s | perfpipe | ratio | bar | |\n|---|---|---|---|---|---|\n", other)
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", f.What, f.Perf, f.Perfpipe, f.Ratio, f.Bar, f.Verdict)
	}
	return b.String()
}

// report is BENCHMARKS.md.
func report(r *Results) string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`go run ./bench`"+` (as root), which measures perfpipe and its peers on the same load in one
run of %.0f minutes. Everything raw: [bench/results](bench/results); the method: at the end.

- date: %s, commit %s
- machine: %s, %d processors, %d MB of memory; load average at the start: %s
- kernel: %s
- %s; %s; %s; %s; %s

Medians of interleaved rounds, the smallest and the largest in brackets. A ratio is the median of the
rounds' own ratios, perfpipe by the other.

`, r.Seconds/60, m.Date, m.Commit, m.CPU, m.CPUs, m.MemoryMB, m.Load, m.Kernel, m.Perf, m.TraceCmd, m.Bpftrace, m.Perfpipe, m.Go)
	b.WriteString(r.disturbed())
	plots := r.plots()
	for _, p := range [...]struct{ file, alt string }{
		{addedPlot, "Time added to the traced loop by each event, by tool"}, {bytesPlot, "Bytes per event on disk, by format"},
	} {
		if plots[p.file] != "" {
			fmt.Fprintf(&b, "![%s](bench/%s)\n\n", p.alt, p.file)
		}
	}
	figures := r.figures()
	b.WriteString("## The bars\n\n" + table("peer", figures))
	b.WriteString("\n## Where perfpipe is behind\n\n" + r.behind(append(figures, r.probeFigures()...)))
	b.WriteString(r.toolSection())
	b.WriteString(r.stageSection())
	b.WriteString(r.Filters.section())
	b.WriteString("\n" + r.Probes.section() + notes)
	return b.String()
}

// steady is how much slower than its fastest round the loop alone may be on a quiet machine.
const steady = 1.3

// disturbed says that others used the machine during the run: the loop alone tells.
func (r *Results) disturbed() string {
	alone := r.tool(untraced)
	if alone == nil && r.Filters != nil {
		alone = r.Filters.Alone
	}
	if alone == nil {
		return ""
	}
	s := alone.over(ofRun(func(r *Run) float64 { return r.Load.NS }))
	if s.max <= steady*s.min {
		return ""
	}
	return fmt.Sprintf("**The machine was busy with other things**: the loop alone took %s ns a call. Figures of such a run are not to be relied on.\n\n", s.text("%.0f"))
}

// probeFigures are those of probes in user space, none where they were not measured.
func (r *Results) probeFigures() []Figure {
	if r.Probes == nil {
		return nil
	}
	return r.Probes.figures()
}

// toolSection is what each tool was measured at, and how it was run.
func (r *Results) toolSection() string {
	if len(r.Tools) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Each tool on the loop\n\n%s calls of getppid a round, %d rounds, rings of %s.\n\n",
		grouped(r.Calls), r.rounds(), r.Ring)
	b.WriteString("| tool | ns added per event | CPU s per million events | with making text | bytes per event | text, bytes | not recorded |\n|---|---|---|---|---|---|---|\n")
	for _, t := range r.Tools {
		if t.Refused != "" {
			fmt.Fprintf(&b, "| %s | %s | | | | | |\n", t.Name, t.Refused)
			continue
		}
		added := t.over(r.added).text("%.0f")
		if t.ID == untraced {
			added = fmt.Sprintf("a call takes %s ns", t.over(ofRun(func(r *Run) float64 { return r.Load.NS })).text("%.0f"))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", t.Name, added,
			t.over(ofRun((*Run).perMillion)).text("%.3f"), t.over(ofRun((*Run).textPerMillion)).text("%.3f"),
			t.over(ofRun((*Run).bytesPerEvent)).text("%.2f"), t.over(ofRun((*Run).textBytesPerEvent)).text("%.0f"), missing(t))
	}
	b.WriteString("\n")
	for _, t := range r.Tools {
		if t.How == "" {
			continue
		}
		fmt.Fprintf(&b, "- %s: %s\n", t.Name, t.How)
		if t.Note != "" {
			fmt.Fprintf(&b, "  %s\n", t.Note)
		}
	}
	for _, c := range r.Converts {
		if c.Refused != "" {
			fmt.Fprintf(&b, "- perf data convert to %s: %s\n", c.To, c.Refused)
			continue
		}
		fmt.Fprintf(&b, "- perf data convert to %s, once: %.2f CPU s per million events more than perf record's, %.0f bytes an event\n",
			c.To, c.seconds()/float64(c.Events)*1e6, float64(c.Bytes)/float64(c.Events))
	}
	return b.String()
}

// missing is the most that a round lacks of the loop's calls.
func missing(t *Tool) string {
	if t.ID == untraced {
		return "-"
	}
	most := 0
	for _, r := range t.Runs {
		if r.Events == 0 {
			return "unknown"
		}
		most = max(most, r.Lost, r.Load.Calls-r.Events)
	}
	return grouped(most)
}

// rounds is the largest number of a tool's runs.
func (r *Results) rounds() int {
	n := 0
	for _, t := range r.Tools {
		n = max(n, len(t.Runs))
	}
	return n
}

func (r *Results) stageSection() string {
	if len(r.Stages) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Stages\n\n| benchmark | package | ns per record, row or operation | allocations |\n|---|---|---|---|\n")
	for _, l := range r.Stages {
		fmt.Fprintf(&b, "| %s | %s | %.1f | %g |\n", l.Name, strings.TrimPrefix(l.Package, "github.com/perfpipe/perfpipe/"), l.NS, l.Allocs)
	}
	return b.String()
}

// readResults reads what writeResults has written.
func readResults(path string) (*Results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Results{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read results %s: %w", path, err)
	}
	return r, nil
}

// writeResults keeps everything raw, in a folder that is made where there is none.
func writeResults(path string, r *Results) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// writeReport writes BENCHMARKS.md and the pictures into root and its bench.
func writeReport(root string, r *Results) error {
	for file, svg := range r.plots() {
		if err := os.WriteFile(filepath.Join(root, "bench", file), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "BENCHMARKS.md"), []byte(report(r)), 0o644)
}
