package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/flight"
)

const (
	// triggerRing is the ring of what may be a trigger where the kernel decides it,
	// triggerRingAll where every record of the events is looked at.
	triggerRing    = 128 << 10
	triggerRingAll = 2 << 20
)

// recorder is a source as the command drives it: bare, or a flight recorder with a trigger.
type recorder interface {
	perfpipe.Source
	Dump() error
	collector.Flight
}

var (
	_ recorder = (*perfev.Source)(nil)
	_ recorder = (*flight.Source)(nil)
)

// withTrigger puts the trigger beside the recorder src, which cfg was opened for. What
// it returns owns src. live is the source of the trigger's records, to be started.
func withTrigger(st streams, c *configs.Capture, src *perfev.Source, cfg perfev.Config, list []trigger) (r *flight.Source, live *perfev.Source, err error) {
	cfg.Overwrite, cfg.Engine, cfg.Entries, cfg.CallChain, cfg.CgroupIDs = false, perfev.EnginePerf, nil, perfev.CallChain{}, false
	cfg.Events, cfg.RingBytes = nil, triggerRing
	for _, t := range list {
		cfg.Events = append(cfg.Events, perfev.Event{Schema: t.of.schema, Filter: t.push, Optional: !t.of.keepEmpty, User: t.of.probe != nil})
		if t.match != nil {
			cfg.RingBytes = triggerRingAll
		}
	}
	live, err = perfev.Open(cfg)
	var fe *perfev.FilterError
	if errors.As(err, &fe) {
		fmt.Fprintf(st.err, "perfpipe: %v; the trigger is decided in process instead\n", fe)
		for i := range list {
			cfg.Events[i].Filter, list[i].match = "", list[i].prog
		}
		cfg.RingBytes = triggerRingAll
		live, err = perfev.Open(cfg)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("watch for the trigger: %w", err)
	}
	return flight.Wrap(src, flight.Trigger{
		Source: live, Before: c.Before, After: c.After, Now: func() int64 { return perfev.ReadClock("").Mono },
		Match: func(r *perfpipe.Record) bool {
			p := list[r.Event].match
			if p == nil {
				return true
			}
			ok, _ := p.Match(r)
			return ok
		},
	}), live, nil
}

// dumpAtSignals has SIGUSR2 dump until the run is over.
func (w *watch) dumpAtSignals(r recorder) {
	go func() {
		for {
			select {
			case <-w.quit:
				return
			case <-w.usr2:
				// It fails only where the wake-up's descriptor is closed: then the run is over.
				_ = r.Dump()
			}
		}
	}()
}

// fly has the collector take the dumps of a flight recorder.
func (w *watch) fly(st streams, c *configs.Capture, o captureOptions, run *collector.Config, r recorder) {
	w.dumpAtSignals(r)
	run.Flight = r
	run.Rotate.AfterDump = c.Rotate.OnSignal
	if o.Quiet {
		return
	}
	if o.Command == "record" {
		fmt.Fprintf(st.err, "perfpipe record: the rings keep the latest; kill -USR2 %d writes them\n", os.Getpid())
	}
	n := 0
	run.Dumped = func(d perfpipe.Dump) {
		n++
		fmt.Fprintf(st.err, "perfpipe %s: %s\n", o.Command, dumpLine(n, d))
	}
}

// flightNotes says at the end what the recorder could not do as it should.
func flightNotes(w io.Writer, o captureOptions, src *perfev.Source, r recorder) {
	if n := src.EarlyTasks(); n > 0 {
		fmt.Fprintf(w, "perfpipe %s: %s records of names, forks and exits took effect early, as more came than are held back: pid and comm of some rows may be later ones\n", o.Command, commas(n))
	}
	if f, ok := r.(*flight.Source); ok && f.Unseen() > 0 {
		fmt.Fprintf(w, "perfpipe %s: %s records that may have been triggers found no room and were not looked at: a trigger that the kernel can decide (perfpipe explain) has fewer\n", o.Command, commas(f.Unseen()))
	}
}
