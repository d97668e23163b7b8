package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
		Output:  checkOutput,
		Program: func(_ *configs.Capture, text string) error { return checkProgram(text) },
		Trigger: func(job *configs.Capture) error { return parseFilter(job, job.Trigger) },
	}
	if here == nil {
		check.Event = checkSpec
		return check
	}
	check.Event = func(pattern string) error {
		if uprobe.IsSpec(pattern) || pattern == lifecycleEvent {
			return checkSpec(pattern) // its binary is looked at with the job's target, by Probe
		}
		name, taken := strings.CutPrefix(pattern, "!")
		if taken && strings.ContainsAny(name, "*?[") {
			return nil // a glob may take away nothing
		}
		_, err := here.Select([]string{name}, nil)
		return err
	}
	check.Program = func(job *configs.Capture, text string) error { return checkProgramHere(here, job, text) }
	check.Trigger = func(job *configs.Capture) error { return checkTrigger(here, job) }
	check.Filter = func(job *configs.Capture, e configs.Event) error {
		if !known(here, job, e) {
			return parseFilter(job, e.Filter) // the event's own fault was told
		}
		err := planOne(here, job, e)
		var fe *filters.Error
		if errors.As(err, &fe) {
			return &filterFault{text: err.Error(), pos: fe.Pos}
		}
		return err
	}
	check.Probe = func(job *configs.Capture, e configs.Event) error {
		_, err := uprobe.ParseIn(e.Binary, e.Select[0])
		if err == nil && targetLives(job) {
			return planOne(here, job, e)
		}
		return nil // the fault was told, or nothing can be told yet
	}
	return check
}

// checkSpec returns what is wrong with the words of a probe, nil for other events.
func checkSpec(pattern string) error {
	if !uprobe.IsSpec(pattern) {
		return nil
	}
	_, err := uprobe.Parse(pattern)
	return err
}

// known reports whether this machine has every event and probe that e selects.
func known(here schemas, job *configs.Capture, e configs.Event) bool {
	var events []string
	for _, w := range e.Select {
		if w == lifecycleEvent || strings.HasPrefix(w, "!") {
			continue
		}
		if !isProbe(e, w) {
			events = append(events, w)
			continue
		}
		if !targetLives(job) || planOne(here, job, configs.Event{Select: []string{w}, Binary: e.Binary}) != nil {
			return false
		}
	}
	if len(events) == 0 {
		return true
	}
	_, err := here.Select(events, job.Exclude)
	return err == nil
}

// targetLives reports whether the processes of the job, in whose mount namespace its
// binaries are looked for, are there now: a job may be written for later ones.
func targetLives(job *configs.Capture) bool {
	for _, id := range slices.Concat(job.Target.PIDs, job.Target.TIDs) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", id)); err != nil {
			return false
		}
	}
	return true
}

// planOne returns why one entry of the job's events cannot be planned here.
func planOne(here schemas, job *configs.Capture, e configs.Event) error {
	one := *job
	one.Events = []configs.Event{e}
	probes, err := newProber(job, nil)
	if err != nil {
		return err
	}
	plan, err := makePlan(&one, here, probes, kernelFeatures())
	if err == nil {
		err = placeFilters(plan, &one)
	}
	return errors.Join(err, probes.close())
}

// checkTrigger returns what is wrong with the job's trigger here. Where an event is not
// to be had now, whose own fault was told, the trigger may be for that one.
func checkTrigger(here schemas, job *configs.Capture) error {
	for _, e := range job.Events {
		if !known(here, job, e) {
			return parseFilter(job, job.Trigger)
		}
	}
	probes, err := newProber(job, nil)
	if err != nil {
		return err
	}
	plan, err := makePlan(job, here, probes, kernelFeatures())
	if err := errors.Join(err, probes.close()); err != nil {
		return nil //nolint:nilerr // told at its own place
	}
	_, err = planTriggers(job, plan, kernelFeatures())
	var fe *filters.Error
	if errors.As(err, &fe) {
		return &filterFault{text: err.Error(), pos: fe.Pos}
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
