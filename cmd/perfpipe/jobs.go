package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/filters/syntax"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/sinks"
	"github.com/perfpipe/perfpipe/uprobe"
)

// filterFault is what is wrong with a filter, at a byte of it: what a job file's
// line is found by.
type filterFault struct {
	text string
	pos  int
}

func (e *filterFault) Error() string { return e.text }

// Position returns the byte of the filter, -1 where it is not known.
func (e *filterFault) Position() int { return e.pos }

// jobChecks are what a job file is checked for. here tells the events of this
// machine; it is nil where they cannot be read, and then filters are only parsed.
func jobChecks(here schemas) configs.Check {
	check := configs.Check{
		Filter: func(job *configs.Capture, e configs.Event) error { return parseFilter(job, e.Filter) },
		CPUs: func(list string) error {
			_, err := perfev.ParseCPUs(list)
			return err
		},
		Output: checkOutput,
	}
	if here == nil {
		check.Event = func(pattern string) error {
			if !uprobe.IsSpec(pattern) {
				return nil
			}
			_, err := uprobe.Parse(pattern)
			return err
		}
		return check
	}
	check.Event = func(pattern string) error {
		if pattern == lifecycleEvent {
			return nil
		}
		if uprobe.IsSpec(pattern) {
			return checkProbe(pattern)
		}
		name, taken := strings.CutPrefix(pattern, "!")
		if taken && strings.ContainsAny(name, "*?[") {
			return nil // a glob may take away nothing
		}
		_, err := here.Select([]string{name}, nil)
		return err
	}
	check.Filter = func(job *configs.Capture, e configs.Event) error {
		if _, err := here.Select(e.Select, job.Exclude); err != nil {
			return parseFilter(job, e.Filter) // the event's own fault was told
		}
		one := *job
		one.Events = []configs.Event{e}
		probes, err := newProber(job, nil)
		if err != nil {
			return err
		}
		_, err = makePlan(&one, here, probes, kernelFeatures())
		err = errors.Join(err, probes.close())
		var fe *filters.Error
		if errors.As(err, &fe) {
			return &filterFault{text: err.Error(), pos: fe.Pos}
		}
		return err
	}
	return check
}

// checkProbe returns why a probe could not be recorded here. A binary that is not
// named is that of the target, which the capture looks at when it begins.
func checkProbe(pattern string) (err error) {
	s, err := uprobe.Parse(pattern)
	if err != nil || s.Binary == "" {
		return err
	}
	p, err := newProber(&configs.Capture{UnsafeUretprobe: true}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	_, err = p.plan(configs.Event{}, pattern)
	var ee *exitError
	if errors.As(err, &ee) && ee.err != nil {
		return ee.err
	}
	return err
}

// parseFilter returns what is wrong with a filter whatever event it is for.
func parseFilter(job *configs.Capture, filter string) error {
	if job.KernelCompat {
		return nil // the kernel's language has a grammar of its own, which needs the event
	}
	_, err := syntax.Parse(filter)
	if err == nil {
		return nil
	}
	text := "filter: " + err.Msg
	if err.Hint != "" {
		text += "; " + err.Hint
	}
	return &filterFault{text: text, pos: err.Pos}
}

// checkOutput returns why nothing could be written to o, as far as that can be
// seen without writing.
func checkOutput(o configs.Output) error {
	if o.Path == "-" {
		return nil
	}
	parent := filepath.Dir(filepath.Clean(o.Path))
	switch fi, err := os.Stat(parent); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("output %s: the folder %s does not exist: mkdir -p %s", o.Path, parent, parent)
	case err != nil:
		return fmt.Errorf("output %s: %w", o.Path, err)
	case !fi.IsDir():
		return fmt.Errorf("output %s: %s is no folder", o.Path, parent)
	}
	if err := unix.Access(parent, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("output %s: nothing can be made in the folder %s: %w", o.Path, parent, err)
	}
	return nil
}

// occupied returns what stands at the place of o already, "" where nothing does.
// It is no fault of the file: a recorder that runs now may have made it.
func occupied(o configs.Output) string {
	if o.Path == "-" || o.Path == defaultOutput {
		return ""
	}
	fi, err := os.Lstat(o.Path)
	if err != nil {
		return ""
	}
	if fi.IsDir() && !sinks.OneTable(sinks.Output(o)) {
		if names, err := os.ReadDir(o.Path); err != nil || len(names) == 0 {
			return ""
		}
		return "is a folder that is not empty"
	}
	return "exists"
}

// jobFileError gives an error of reading a job file its exit status.
func jobFileError(err error) error {
	var faults configs.Faults
	switch {
	case errors.As(err, &faults):
		return &exitError{err: err, code: exitJob}
	case errors.Is(err, fs.ErrPermission):
		return &exitError{err: err, code: exitPermission}
	}
	return usageError(err)
}

// loadDefaults reads perfpipe.yaml and the environment.
func loadDefaults() (configs.Defaults, error) {
	d, err := configs.LoadDefaults(configs.DefaultDirs())
	if err != nil {
		return d, &exitError{err: err, code: exitJob}
	}
	return d, nil
}
