package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/sinks"
)

// openOutputs opens the sinks of c for what is recorded here and now; those opened
// are closed when one fails.
func openOutputs(st streams, c *configs.Capture, plan []*planned, start perfpipe.Clock) ([]collector.Output, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if os.Getenv("GOMEMLIMIT") == "" && c.Stacks.Mode == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	return openSinks(c, plan, sinks.Run{Stdout: st.out, Host: host, Kernel: kernelRelease(), Start: start})
}

// openSinks opens the sinks of c. r says where and when the events happened; the
// rest of it is filled in here.
func openSinks(c *configs.Capture, plan []*planned, r sinks.Run) ([]collector.Output, error) {
	r.Version, r.Command = versionString(), os.Args
	r.MaxFiles, r.Threads = c.Rotate.MaxFiles, encoders(c.Threads)
	r.Rotate = c.Rotate.Size > 0 || c.Rotate.Every > 0 || c.Rotate.OnSignal
	r.Memory = outputMemory / int64(max(1, len(c.Outputs)))
	for _, p := range plan {
		r.Events = append(r.Events, sinks.Event{
			Event: p.schema.Event(), Table: collector.TableName(p.schema), Filter: p.source, FormatSHA256: p.schema.FormatSHA256,
		})
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	var outs []collector.Output
	for _, o := range c.Outputs {
		so := sinks.Output(o)
		if o.Path == defaultOutput {
			if err := keepOld(o.Path); err != nil {
				return nil, errors.Join(err, closeOutputs(outs))
			}
		}
		s, err := sinks.Open(so, r)
		if err != nil {
			return nil, errors.Join(err, closeOutputs(outs))
		}
		outs = append(outs, collector.Output{Sink: s, Merged: sinks.OneTable(so)})
	}
	return outs, nil
}

// outputMemory bounds what all outputs together hold of rows that are not written yet.
const outputMemory = 24 << 20

// gcPercent is how much garbage may lie beside what is in use before it is collected.
// Nearly all memory is used again without being collected, so that a small figure costs
// little and keeps the process below 150 MB; GOGC in the environment names another.
const gcPercent = 30

// memoryLimit has the heap of forty busy tables collected before their garbage takes the
// process above 150 MB: some 50 MB of it are the binary and the rings. It is for runs
// that hold rows alone: where call chains are, their frames and symbols may need more.
const memoryLimit = 92 << 20

// encoders is the number of threads that encode: those that are named, else half of the
// processors that there are, so that the reading thread, whose ring fills meanwhile, and
// what is recorded have theirs.
func encoders(named int) int {
	if named > 0 {
		return named
	}
	return min(max(runtime.GOMAXPROCS(0)/2, 1), 4)
}

// keepOld moves the default dataset of an earlier run out of the way, as perf does
// with perf.data. Only what perfpipe wrote is ever moved or removed.
func keepOld(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	old := path + ".old"
	for _, p := range []string{path, old} {
		if _, err := os.Lstat(p); errors.Is(err, os.ErrNotExist) {
			continue
		}
		fi, err := os.Lstat(filepath.Join(p, "manifest.json"))
		if err != nil || !fi.Mode().IsRegular() {
			return fmt.Errorf("keep %s as %s: %s is no finished dataset of perfpipe; move it away, or name another output with -o", path, old, p)
		}
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("keep %s as %s: %w", path, old, err)
	}
	if err := os.Rename(path, old); err != nil {
		return fmt.Errorf("keep %s as %s: %w", path, old, err)
	}
	return nil
}

// fillRun puts what the plan says about each event into a run.
func fillRun(run *collector.Config, plan []*planned) {
	run.FaultName = faultName
	for _, p := range plan {
		run.Filters = append(run.Filters, p.inProcess())
		run.KeepEmpty = append(run.KeepEmpty, p.keepEmpty && !p.mute())
		run.Meta = append(run.Meta, map[string]string{
			"event": p.schema.Event(), "format_sha256": p.schema.FormatSHA256, "filter": p.source,
		})
	}
}

// closeOutputs closes the outputs of a run that did not come about.
func closeOutputs(outs []collector.Output) error {
	var errs []error
	for _, o := range outs {
		errs = append(errs, o.Sink.Close(perfpipe.Summary{}))
	}
	return errors.Join(errs...)
}
