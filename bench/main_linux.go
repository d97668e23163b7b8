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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say how much is measured.
type options struct {
	// rounds of untraced, perf, perfpipe; each of calls system calls.
	rounds, calls int
	// hits of a probe are those of a round.
	hits int
	// count is the number of events of the accounting.
	count int
	// lengths are those of the recordings whose memory is looked at.
	lengths []time.Duration
	// ring is -m of both recorders in the rounds: large enough that neither loses.
	ring string
	// loadCPU is the processor of the loop, recordCPU that of the recorder.
	loadCPU, recordCPU int
	// perfpipe is the program under test, "" builds it.
	perfpipe string
	// report is a file of results to write BENCHMARKS.md from, instead of measuring.
	report string
	smoke  bool
	// probes leaves everything else out.
	probes bool
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	o := options{
		rounds: 9, calls: 3_000_000, hits: 300_000, count: 5_000_000, ring: "16M", loadCPU: 1, recordCPU: 0,
		lengths: []time.Duration{10 * time.Second, 30 * time.Second, 90 * time.Second},
	}
	fl := flag.NewFlagSet("bench", flag.ContinueOnError)
	fl.SetOutput(stderr)
	fl.BoolVar(&o.smoke, "smoke", false, "a short run that writes no files and holds no figure against its bar")
	fl.BoolVar(&o.probes, "probes", false, "measure probes in user space alone, and write no files")
	fl.IntVar(&o.rounds, "rounds", o.rounds, "rounds of untraced, perf and perfpipe")
	fl.IntVar(&o.calls, "calls", o.calls, "system calls of a round")
	fl.IntVar(&o.hits, "hits", o.hits, "hits of a probe in a round")
	fl.StringVar(&o.report, "report", "", "measure nothing, write BENCHMARKS.md from this file of bench/results")
	fl.StringVar(&o.perfpipe, "perfpipe", "", "measure this program instead of building one")
	if err := fl.Parse(args); err != nil {
		return o, err
	}
	if fl.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fl.Arg(0))
	}
	if o.smoke {
		set := map[string]bool{}
		fl.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if !set["rounds"] {
			o.rounds = 1
		}
		if !set["calls"] {
			o.calls = 200_000
		}
		o.hits, o.count, o.lengths = 20_000, 300_000, []time.Duration{time.Second, 2 * time.Second}
	}
	return o, nil
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
		return writeReport(r)
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
	b := &bench{o: o, dir: dir, log: stderr}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if o.probes {
		p, err := b.probes(ctx)
		if err != nil {
			return err
		}
		_, err = io.WriteString(stdout, table("perf or other", p.figures()))
		return errors.Join(err, p.check())
	}
	res, err := b.measure(ctx)
	if err != nil {
		return err
	}
	all := table("perf", res.figures()) + "\n" + table("perf or other", res.Probes.figures())
	if _, err := io.WriteString(stdout, all); err != nil {
		return err
	}
	if o.smoke {
		return res.check()
	}
	if err := writeResults(filepath.Join("bench", "results"), res); err != nil {
		return err
	}
	return writeReport(res)
}

func writeReport(r *Results) error {
	return os.WriteFile("BENCHMARKS.md", []byte(report(r, r.figures())), 0o644)
}
