package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

const runHelp = `Run the captures that a job file describes, as record runs those of its flags.
docs/jobs.md describes the file; "perfpipe check" reports what is wrong with one.

Several jobs in one file run at once, each with rings and files of its own, until
the last has ended; Ctrl-C ends them all. Before the first begins, all are checked.

Exit status: as record's; with several jobs that of the first in the file that did
not end with 0. 78 the job file is bad, or names what this machine does not have.`

const runExample = `  perfpipe run capture.yaml
  perfpipe run capture.yaml --duration 5s -q
  perfpipe run configs/two-jobs.yaml --job timers
  perfpipe run capture.yaml --dry-run`

// runOptions are the flags of run.
type runOptions struct {
	jobs                   []string
	duration               time.Duration
	threads                int
	quiet, verbose, dryRun bool
}

func newRun(st streams) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:     "run JOB.yaml [flags]",
		Short:   "run the captures of a job file",
		Long:    runHelp,
		Example: runExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(fmt.Errorf("run: one job file is run at a time, %d are named: perfpipe run JOB.yaml", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runJobs(cmd.Context(), st, args[0], o)
		},
		ValidArgsFunction: completeYAML,
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringSliceVar(&o.jobs, "job", nil, "run the job of this `NAME` alone; repeatable")
	fl.Var(setter{"DURATION", func(v string) (err error) {
		o.duration, err = configs.ParseDuration(v)
		return err
	}}, "duration", "end after this time, whatever the file says")
	fl.IntVar(&o.threads, "threads", 0, "`N` threads encode and compress Parquet, whatever the file says")
	fl.BoolVar(&o.dryRun, "dry-run", false, "resolve and check everything, record nothing")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no closing line")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "say what is opened and pushed to the kernel")
	return cmd
}

func runJobs(ctx context.Context, st streams, path string, o *runOptions) error {
	defaults, err := loadDefaults()
	if err != nil {
		return err
	}
	jobs, err := loadForRun(path)
	var faults configs.Faults
	if errors.As(err, &faults) {
		// As check prints them: each line begins with its place.
		fmt.Fprintf(st.err, "%v\n", faults)
		return &exitError{code: exitJob}
	}
	if err != nil {
		return err
	}
	if jobs, err = chooseJobs(jobs, o.jobs, path); err != nil {
		return err
	}
	for i := range jobs {
		c := &jobs[i]
		defaults.Apply(c)
		if len(c.Outputs) == 0 {
			c.Outputs = []configs.Output{{Path: defaultOutput}}
		}
		if o.duration > 0 {
			c.Duration = o.duration
		}
		if o.threads != 0 {
			c.Threads = o.threads
		}
		if err := checkThreads(c.Threads); err != nil {
			return usageError(fmt.Errorf("run: %w", err))
		}
	}
	if err := apart(jobs, path); err != nil {
		return err
	}
	if len(jobs) == 1 {
		return asJob(runCapture(ctx, st, &jobs[0], captureOptions{Command: "run", Quiet: o.quiet, Verbose: o.verbose, DryRun: o.dryRun}))
	}

	// Progress lines of several runs would write over each other; a writer that is
	// no terminal has none, and keeps lines whole.
	stderr := &lockedWriter{w: st.err}
	errs := make([]error, len(jobs))
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			own := st
			own.err = &prefixWriter{w: stderr, prefix: jobs[i].Name + ": "}
			err := asJob(runCapture(ctx, own, &jobs[i], captureOptions{Command: "run", Quiet: o.quiet, Verbose: o.verbose, DryRun: o.dryRun}))
			errs[i] = err
			var ee *exitError
			if err != nil && !(errors.As(err, &ee) && ee.err == nil) {
				// Told at once: the other jobs may go on for days.
				fmt.Fprintf(own.err, "perfpipe run: %v\n", err)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		var ee *exitError
		switch {
		case err == nil:
		case errors.As(err, &ee):
			return &exitError{code: ee.code}
		default:
			return &exitError{code: exitRuntime}
		}
	}
	return nil
}

// loadForRun loads a job file and checks it against this machine's events, so that
// an unknown event has its line. Where they cannot be read the capture tells why.
func loadForRun(path string) (jobs []configs.Capture, err error) {
	check := jobChecks(nil)
	if here, oerr := tracefs.Open(tracefs.Options{}); oerr == nil {
		defer func() { err = errors.Join(err, here.Close()) }()
		if _, lerr := here.Events(); lerr == nil {
			check = jobChecks(here)
		}
	}
	// What an output lacks is the run's own error, with the run's status.
	check.Output = nil
	if jobs, err = configs.LoadFile(path, check); err != nil {
		return nil, jobFileError(err)
	}
	return jobs, nil
}

// chooseJobs returns the jobs of the given names in the order of the file, all of
// them without names.
func chooseJobs(jobs []configs.Capture, names []string, path string) ([]configs.Capture, error) {
	if len(names) == 0 {
		return jobs, nil
	}
	var have []string
	var chosen []configs.Capture
	for _, j := range jobs {
		if j.Name != "" {
			have = append(have, j.Name)
		}
		if slices.Contains(names, j.Name) {
			chosen = append(chosen, j)
		}
	}
	for _, n := range names {
		if !slices.Contains(have, n) {
			if len(have) == 0 {
				return nil, usageError(fmt.Errorf("run: --job %s: the job of %s has no name; leave --job out", n, path))
			}
			return nil, usageError(fmt.Errorf("run: --job %s: %s has no such job; it has %s", n, path, strings.Join(have, ", ")))
		}
	}
	return chosen, nil
}

// apart refuses jobs that would write to the same place at once.
func apart(jobs []configs.Capture, path string) error {
	owner := map[string]string{}
	for _, j := range jobs {
		for _, o := range j.Outputs {
			place := filepath.Clean(o.Path)
			if first, taken := owner[place]; taken && first != j.Name {
				return &exitError{code: exitJob, err: fmt.Errorf("%s: the jobs %s and %s both write to %s; give each outputs of its own, or run one with --job", path, first, j.Name, o.Path)}
			}
			owner[place] = j.Name
		}
	}
	return nil
}

// asJob gives what would be the caller's mistake on a command line the status of a bad job file.
func asJob(err error) error {
	var ee *exitError
	if errors.As(err, &ee) && ee.code == exitUsage && ee.err != nil {
		return &exitError{err: err, code: exitJob}
	}
	return err
}

// lockedWriter lets several goroutines write, one at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// prefixWriter begins every line with prefix. Each Write is whole lines.
type prefixWriter struct {
	w      io.Writer
	prefix string
}

func (p *prefixWriter) Write(b []byte) (int, error) {
	text := p.prefix + strings.ReplaceAll(strings.TrimSuffix(string(b), "\n"), "\n", "\n"+p.prefix) + "\n"
	if _, err := io.WriteString(p.w, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
