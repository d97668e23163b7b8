package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

const checkHelp = `Read job files and report everything that is wrong with them, each fault with
its line and column. Nothing is recorded and nothing is written.

Where tracefs can be read, events are looked up on this machine and filters are
compiled for them; elsewhere filters are only parsed, and the report says so. The
folders that outputs go to must exist.

Exit status: 0 all files are good, 2 usage, 78 a file has a fault.`

const checkExample = `  perfpipe check capture.yaml
  perfpipe check /etc/perfpipe/*.yaml
  perfpipe check --portable configs/irq.yaml`

// checkOptions are the flags of check.
type checkOptions struct {
	portable bool
}

func newCheck(st streams) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:     "check JOB.yaml...",
		Short:   "report all faults of job files",
		Long:    checkHelp,
		Example: checkExample,
		Args:    someJobFiles("check"),
		RunE: func(_ *cobra.Command, args []string) error {
			return runCheck(st, args, o)
		},
		ValidArgsFunction: completeYAML,
	}
	cmd.Flags().BoolVar(&o.portable, "portable", false, "leave this machine's events and folders out: the file is for another one")
	return cmd
}

// someJobFiles demands at least one argument.
func someJobFiles(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError(fmt.Errorf("%s: no job file is named: perfpipe %s JOB.yaml", command, command))
		}
		return nil
	}
}

func runCheck(st streams, paths []string, o *checkOptions) (err error) {
	check := jobChecks(nil)
	unchecked := ""
	switch here, oerr := tracefs.Open(tracefs.Options{NoMount: true}); {
	case o.portable:
		check.Output = nil
		if oerr == nil {
			err = here.Close()
		}
	case oerr != nil:
		unchecked = oerr.Error()
	default:
		defer func() { err = errors.Join(err, here.Close()) }()
		if _, lerr := here.Events(); lerr != nil {
			unchecked = lerr.Error()
			break
		}
		check = jobChecks(here)
	}
	if err != nil {
		return err
	}
	var worst error
	for _, path := range paths {
		jobs, lerr := configs.LoadFile(path, check)
		if lerr != nil {
			lerr = jobFileError(lerr)
			fmt.Fprintf(st.err, "%v\n", lerr)
			worst = moreSevere(worst, lerr)
			continue
		}
		if _, werr := fmt.Fprintf(st.out, "%s: ok: %s\n", path, countJobs(jobs)); werr != nil {
			return fmt.Errorf("write report: %w", werr)
		}
		if o.portable {
			continue
		}
		for _, j := range jobs {
			for _, out := range j.Outputs {
				if what := occupied(out); what != "" {
					fmt.Fprintf(st.err, "%s: note: the output %s %s; a run refuses to write over it\n", path, out.Path, what)
				}
			}
		}
	}
	if unchecked != "" {
		fmt.Fprintf(st.err, "not checked: whether the events exist, and the fields in filters: %s\n", unchecked)
	}
	return worst
}

// moreSevere returns, without its text, the error whose status says more: a bad
// job file before a file that cannot be read.
func moreSevere(a, b error) error {
	var ea, eb *exitError
	if !errors.As(b, &eb) || errors.As(a, &ea) && (ea.code == exitJob || eb.code != exitJob) {
		return a
	}
	return &exitError{code: eb.code}
}

func countJobs(jobs []configs.Capture) string {
	selections, filtered := 0, 0
	for _, j := range jobs {
		for _, e := range j.Events {
			selections += len(e.Select)
			if e.Filter != "" {
				filtered++
			}
		}
	}
	return fmt.Sprintf("%s, %s, %s", plural(len(jobs), "job"), plural(selections, "event or glob"), plural(filtered, "filter"))
}

// plural counts things whose name takes an s, at the end of its first word.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "event or glob" {
		return fmt.Sprintf("%d events or globs", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
