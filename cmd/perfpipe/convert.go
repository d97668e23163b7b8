package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev/perfdata"
	"github.com/perfpipe/perfpipe/sinks"
)

// convertOptions are the flags of convert that are no part of a capture.
type convertOptions struct {
	sample, quiet, verbose bool
	// every: a filter stood before any -e and holds for all events.
	every bool
	// extra are outputs besides the capture's own.
	extra []collector.Output
}

func newConvert(st streams) *cobra.Command {
	c := &configs.Capture{}
	f := &recordFlags{c: c}
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert IN.data -o OUT [flags]",
		Short: "turn a perf.data file into tables",
		Long: `Write the tracepoints of a file that perf record made as tables, with the same filters
and outputs as record. Needs no privilege and runs on any system.

Without -e every event of the file is taken, and --filter is for all of them; otherwise
a --filter belongs to the -e before it. Files that are compressed (perf record -z), of
big-endian machines, or written to a pipe are refused with what to do.

Exit status: 0 written, 1 the file is damaged or cannot be written (what came before the
damage is kept), 2 usage, 3 the recording has losses, under --fail-on-loss, 130 ended
by a signal (the files are whole, and hold what came before).`,
		Example: `  perfpipe convert perf.data -o out
  perfpipe convert perf.data -o switches.parquet -e sched:sched_switch --filter 'prev_prio < 120'
  perfpipe convert perf.data -o - --format ndjson --filter '$comm ~ "ssh*"'
  perfpipe convert --sample -o out`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, w := range f.finish() {
				fmt.Fprintf(st.err, "perfpipe convert: %s\n", w)
			}
			if o.every && len(c.Events) > 1 {
				return usageError(errors.New("convert: a filter belongs to the -e before it, and one stands before the first: put -e EVENT first"))
			}
			if o.every && len(c.Programs) > 0 {
				return usageError(errors.New("convert: a program names its events, and a filter before any -e is for all events: put the filter into the program"))
			}
			if len(c.Events)+len(c.Programs) == 0 {
				c.Events = []configs.Event{{Select: []string{"*:*"}}}
			}
			r, name, err := openRecording(args, o)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			// The first ends the reading, and files are finished; a second ends the process.
			context.AfterFunc(ctx, stop)
			err = runConvert(ctx, st, r, name, c, o)
			return errors.Join(err, r.Close())
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.VarP(setter{"EVENT", f.event}, "event", "e", "events to take: system:name, globs, several with commas, !name takes away; repeatable")
	fl.Var(setter{"EXPR", func(v string) error {
		if len(c.Events) == 0 {
			o.every = true
			c.Events = []configs.Event{{Select: []string{"*:*"}}}
		}
		return f.filter(v)
	}}, "filter", "filter for the -e before it, or for all events; several are joined by &&")
	fl.Var(setter{"FILE|TEXT", f.program}, "program", "a program whose on clauses name events and say which records are kept: 'perfpipe filters'; repeatable")
	f.addShared(fl)
	fl.BoolVar(&o.sample, "sample", false, "convert the small recording that perfpipe carries instead of a file")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "no closing line")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "say what the file says of itself")
	return cmd
}

// openRecording opens what the command line names, and returns its name for messages.
func openRecording(args []string, o convertOptions) (*perfdata.Reader, string, error) {
	switch {
	case o.sample && len(args) > 0:
		return nil, "", usageError(errors.New("convert: --sample and a file are two inputs: name one"))
	case o.sample:
		r, err := perfdata.Sample()
		return r, "the sample", err
	case len(args) != 1:
		return nil, "", usageError(fmt.Errorf("convert: one perf.data file is converted, not %d: perfpipe convert IN.data -o OUT", len(args)))
	}
	r, err := perfdata.Open(args[0])
	return r, args[0], err
}

// runConvert writes the events of r that c selects to c's outputs.
func runConvert(ctx context.Context, st streams, r *perfdata.Reader, name string, c *configs.Capture, o convertOptions) error {
	if err := checkChoices(c); err != nil {
		return usageError(fmt.Errorf("convert: %w", err))
	}
	plan, err := makePlan(c, r, nil, filters.KernelFeatures{})
	if err != nil {
		return err
	}
	var names []string
	for _, p := range plan {
		names = append(names, p.schema.Event())
		// No kernel will see these filters: all of them run here.
		if len(p.progs) > 0 {
			if err := p.unpush(); err != nil {
				return usageError(fmt.Errorf("%w; and a recording holds the address alone", err))
			}
		}
	}
	if err := r.Only(names); err != nil {
		return err
	}
	start := recordedClock(st, r, name, o)
	if o.verbose {
		describe(st, plan, c)
	}
	info := r.Info()
	outs, err := openSinks(c, plan, sinks.Run{Stdout: st.out, Host: orUnknown(info.Hostname), Kernel: info.OSRelease, Start: start})
	if err != nil {
		return err
	}
	outs = append(outs, o.extra...)
	run := collector.Config{
		Source: r, Outputs: outs, Start: start,
		Columns: collector.Options{Names: c.Decode, Portable: c.Types == "portable"},
	}
	fillRun(&run, plan)
	res, err := collector.Run(ctx, run)
	var bytes int64
	for _, out := range outs {
		bytes += out.Sink.Bytes()
	}
	if late := r.Late(); late > 0 {
		fmt.Fprintf(st.err, "perfpipe convert: %s rows stand behind newer ones: the file does not say where its rounds end\n", commas(late))
	}
	if res != nil {
		closing(st.err, c, captureOptions{Command: "convert", Quiet: o.quiet}, res, bytes)
	}
	switch {
	case err == nil && ctx.Err() != nil:
		return &exitError{err: fmt.Errorf("convert %s: interrupted: what came before is written, the rest of the file is not", name), code: 128 + int(syscall.SIGINT)}
	case errors.Is(err, syscall.EPIPE):
		return &exitError{code: 128 + int(syscall.SIGPIPE)}
	case err != nil:
		return fmt.Errorf("convert %s: %w", name, err)
	case c.FailOnLoss && res.Lost > 0:
		return &exitError{code: exitLoss}
	}
	return nil
}

// recordedClock relates the recording's clock to the wall clock. Where the file
// does not, its last sample is taken to have happened when it was last written to.
func recordedClock(st streams, r *perfdata.Reader, name string, o convertOptions) perfpipe.Clock {
	const monotonic = 1
	info := r.Info()
	if info.ClockID != monotonic {
		clock := fmt.Sprintf("clock %d", info.ClockID)
		if info.ClockID < 0 {
			clock = "perf's own clock"
		}
		fmt.Fprintf(st.err, "perfpipe convert: ts is on %s, not CLOCK_MONOTONIC; perf record -k CLOCK_MONOTONIC records that\n", clock)
	}
	if o.verbose {
		fmt.Fprintf(st.err, "recorded on %s, Linux %s, %s, perf %s, %d of %d cpus online\ncommand %q\n",
			orUnknown(info.Hostname), info.OSRelease, info.Arch, info.PerfVersion, info.CPUsOnline, info.CPUs, info.Cmdline)
	}
	if info.Foreign > 0 {
		fmt.Fprintf(st.err, "perfpipe convert: %d events of the file are no tracepoints; their samples are left out\n", info.Foreign)
	}
	c := perfpipe.Clock{Mono: info.ClockTime, Real: info.RealTime, Reason: "start"}
	if c.Real != 0 {
		return c
	}
	c.Mono = r.Last()
	if fi, err := os.Stat(name); err == nil {
		c.Real = fi.ModTime().UnixNano()
	}
	fmt.Fprintf(st.err, "perfpipe convert: the file does not relate its clock to the time of day (perf record -k CLOCK_MONOTONIC does): column time takes the last sample to be as old as the file\n")
	return c
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
