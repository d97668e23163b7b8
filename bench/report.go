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
func report(r *Results, figures []Figure) string {
	m := r.Machine
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by `+"`go run ./bench`"+` (as root), which measures perf record and perfpipe record on the
same load in the same run. Raw rounds: [bench/results](bench/results).

- date: %s, commit %s
- machine: %s, %d processors, %d MB of memory; load average at the start: %s
- kernel: %s
- %s; %s; %s

Medians of %d interleaved rounds, the smallest and the largest in brackets. A ratio is the median of
the rounds' own ratios, perfpipe by perf.

%s
## What was run

- The load: a loop of getppid, %s calls a round, pinned to one processor, in a process of its own that
  times itself in chunks of 10,000 calls; its figure is the median chunk. Recorders are pinned to
  another processor, and their load is no child of theirs.
- A round: the loop alone, then under
  `+"`perf record -e raw_syscalls:sys_enter -a -C 1 -m %s -o perf.data`"+`, then under
  `+"`perfpipe record -e raw_syscalls:sys_enter -a -C 1 -m %s -o dataset`"+`. The ring is one that loses nothing:
  an event that is dropped costs less than one that is kept.
- CPU seconds are user and system time of the recorder and its children, as the kernel counts them;
  `+"`perf script -i perf.data > text`"+` is counted beside perf record.
- The accounting: `+"`perfpipe record -e raw_syscalls:sys_enter --filter 'id == 110' -- load`"+`, which records
  the loop's calls and nothing else. The loop says how many it made.
- Memory: the recorder's peak (ru_maxrss) over recordings of several lengths, default ring, while the loop
  keeps its processor busy.
- Allocations: `+"`go test -bench . -benchmem ./filters/... ./collector/...`"+`, the benchmarks of match and append.

## Allocations

%s
%s%s`,
		m.Date, m.Commit, m.CPU, m.CPUs, m.MemoryMB, m.Load, m.Kernel, m.Perf, m.Perfpipe, m.Go,
		len(r.Rounds), table("perf", figures), grouped(r.Calls), r.Ring, r.Ring, benchTable(r.Benches), r.Probes.section(), notes)
	return b.String()
}

func benchTable(benches []Bench) string {
	var b strings.Builder
	b.WriteString("| benchmark | ns per op | allocations per op |\n|---|---|---|\n")
	for _, l := range benches {
		fmt.Fprintf(&b, "| %s | %.1f | %g |\n", l.Name, l.NS, l.Allocs)
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

// writeResults keeps the raw rounds, a file a day.
func writeResults(dir string, r *Results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Machine.Date+".json"), append(b, '\n'), 0o644)
}
