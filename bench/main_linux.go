//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == loadCommand {
		if err := runLoad(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench load:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == compileCommand {
		if err := runCompile(os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench compile:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == standInCommand {
		// It returns where it could not become the command.
		fmt.Fprintln(os.Stderr, "bench stand-in:", standIn(os.Args[2:]))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if ctx.Err() != nil {
			// What the signal has broken off says so in many ways.
			err = errors.New("interrupted; nothing was written")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say how much is measured.
type options struct {
	// rounds of every tool, each of calls system calls.
	rounds, calls int
	// hits of a probe are those of a round.
	hits int
	// count is the number of events of the accounting, few of the other tools' counts,
	// which fit into their rings, and rows of the recordings that are stopped.
	count, few, rows int
	// repeats is how often stops and starts are measured.
	repeats int
	// sustained is how long the rate must be kept.
	sustained time.Duration
	// lengths are the times at which memory is looked at; the last ends the recording.
	lengths []time.Duration
	// ring is -m of the recorders in the rounds: large enough that none loses.
	ring string
	// loadCPU is the processor of the loop, recordCPU that of the recorder.
	loadCPU, recordCPU int
	// perfpipe is the program under test, "" builds it.
	perfpipe string
	// report is a file of results to write BENCHMARKS.md from, instead of measuring.
	report string
	// raw is a file for the results, also those of a part of the run.
	raw   string
	smoke bool
	// only are the sections to run, none for all.
	only []string
}

// wants says whether a section is to be run.
func (o *options) wants(section string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, section)
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{
		rounds: 7, calls: 2_000_000, hits: 300_000, count: 5_000_000, few: 100_000, rows: 10_000_000, repeats: 3,
		sustained: 10 * time.Second, ring: "16M", loadCPU: 1, recordCPU: 0,
		lengths: []time.Duration{10 * time.Second, 30 * time.Second, 90 * time.Second},
	}
	fl := flag.NewFlagSet("bench", flag.ContinueOnError)
	fl.SetOutput(stderr)
	only, probes := "", false
	fl.BoolVar(&o.smoke, "smoke", false, "a short run that writes no files and holds no figure against its bar")
	fl.StringVar(&only, "only", "", "measure these sections alone, with commas, and write no files: "+sectionNames())
	fl.BoolVar(&probes, "probes", false, "-only probes")
	fl.IntVar(&o.rounds, "rounds", o.rounds, "rounds of every tool")
	fl.IntVar(&o.calls, "calls", o.calls, "system calls of a round")
	fl.IntVar(&o.hits, "hits", o.hits, "hits of a probe in a round")
	fl.StringVar(&o.report, "report", "", "measure nothing, write BENCHMARKS.md and the pictures from this file of bench/results")
	fl.StringVar(&o.raw, "json", "", "write everything raw into this file as well, also what -smoke and -only measure")
	fl.StringVar(&o.perfpipe, "perfpipe", "", "measure this program instead of building one")
	if err := fl.Parse(args); err != nil {
		return o, err
	}
	if fl.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fl.Arg(0))
	}
	if probes {
		only = strings.TrimPrefix(only+",probes", ",")
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(sections[:], func(s section) bool { return s.name == name }) {
			return o, fmt.Errorf("no section %q: they are %s", name, sectionNames())
		}
	}
	if o.rounds < 1 || o.calls < 1 || o.hits < 1 {
		return o, errors.New("rounds, calls and hits must be at least 1")
	}
	if o.smoke {
		o.shorten(fl)
	}
	return o, nil
}

// shorten makes a run that shows that everything works, but for what was set by a flag.
func (o *options) shorten(fl *flag.FlagSet) {
	set := map[string]bool{}
	fl.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if !set["rounds"] {
		o.rounds = 1
	}
	if !set["calls"] {
		o.calls = 200_000
	}
	if !set["hits"] {
		o.hits = 20_000
	}
	o.count, o.few, o.rows, o.repeats = 300_000, 20_000, 300_000, 1
	o.sustained, o.lengths = time.Second, []time.Duration{time.Second, 2 * time.Second}
}

func sectionNames() string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.report != "" {
		r, err := readResults(o.report)
		if err != nil {
			return err
		}
		return writeReport(".", r)
	}
	switch {
	case os.Geteuid() != 0:
		return errors.New("measure recorders: user id is not 0: run it as root")
	case runtime.NumCPU() < 2:
		return errors.New("measure recorders: the loop and the recorder need a processor each, and there is one")
	}
	dir, err := os.MkdirTemp("", "perfpipe-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sweep()
	b := &bench{o: o, dir: dir, log: stderr, engines: map[string]engine{}}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	res, err := b.measure(ctx)
	if err != nil {
		return err
	}
	all := res.disturbed() + table("peer", append(res.figures(), res.probeFigures()...)) + res.toolSection() + res.Filters.section()
	if _, err := io.WriteString(stdout, all); err != nil {
		return err
	}
	if o.raw != "" {
		if err := writeResults(o.raw, res); err != nil {
			return err
		}
	}
	if o.smoke || len(o.only) > 0 {
		return res.check()
	}
	if err := writeResults(filepath.Join("bench", "results", res.Machine.Date+".json"), res); err != nil {
		return err
	}
	return errors.Join(writeReport(".", res), res.check())
}
