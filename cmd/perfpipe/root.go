package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses, as the help and the manual name them.
const (
	exitOK         = 0
	exitRuntime    = 1
	exitUsage      = 2
	exitLoss       = 3
	exitPermission = 77
	exitJob        = 78
)

// exitError carries the exit status that an error stands for. A nil err prints nothing.
type exitError struct {
	err  error
	code int
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError marks err as the caller's mistake (exit status 2).
func usageError(err error) error { return &exitError{err: err, code: exitUsage} }

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is perfpipe with everything it touches handed in; main and the tests call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(streams{in: stdin, out: stdout, err: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitRuntime
	var ee *exitError
	if errors.As(err, &ee) {
		code = ee.code
		if ee.err == nil {
			return code
		}
	} else if cmd != nil && strings.HasPrefix(err.Error(), "unknown command") {
		code = exitUsage
	}
	fmt.Fprintf(stderr, "perfpipe: %v\n", err)
	return code
}

func newRoot(st streams) *cobra.Command {
	root := &cobra.Command{
		Use:               "perfpipe",
		Short:             "record events of the kernel and of user programs straight into tables",
		Long:              rootHelp,
		Example:           rootExample,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
	})
	// One line a command; each is a file of its own.
	root.AddCommand(
		newCat(st),
		newCheck(st),
		newCompletion(st),
		newConvert(st),
		newDemo(st),
		newDoctor(st),
		newExplain(st),
		newFilters(st),
		newList(st),
		newMatch(st),
		newProbes(st),
		newRecord(st),
		newRun(st),
		newVersion(st),
	)
	addEventCompletion(root)
	return root
}
