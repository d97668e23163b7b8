package flight

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/perfpipe/perfpipe"
)

// Recorder is a source that hands out nothing but dumps: a perfev.Source with
// Config.Overwrite.
type Recorder interface {
	perfpipe.Source
	// DumpFor has the next Read hand out what lies between d.From and d.To, 0 for no bound.
	DumpFor(d perfpipe.Dump)
	// Dump has it hand out what is there. It may be called from any goroutine.
	Dump() error
	// Dumped returns the dump that the last Read handed out, if it did.
	Dumped() (perfpipe.Dump, bool)
}

// Trigger is what asks for dumps.
type Trigger struct {
	// Source has the records that are looked at, each of which Match takes for a
	// trigger or not. It is read by the goroutine that reads the recorder.
	Source perfpipe.Source
	Match  func(*perfpipe.Record) bool
	// Before is how far a dump goes back from its trigger, 0 all the way; After is how
	// far it goes on.
	Before, After time.Duration
	// Now reads CLOCK_MONOTONIC in nanoseconds.
	Now func() int64
}

// Source is a recorder with a trigger.
type Source struct {
	r Recorder
	t Trigger
	w watcher
	// over: the trigger's source has ended.
	over bool
}

var _ perfpipe.Source = (*Source)(nil)

// every is how long the trigger's records wait to be looked at. The recorder must hold
// as much and what After says.
const every = 10 * time.Millisecond

// Wrap returns the recorder r with a trigger. It owns both: Close closes them.
func Wrap(r Recorder, t Trigger) *Source {
	return &Source{r: r, t: t, w: watcher{t: &t, schemas: t.Source.Schemas()}}
}

// Schemas implements [perfpipe.Source]: those of the recorder.
func (s *Source) Schemas() []*perfpipe.Schema { return s.r.Schemas() }

// Dump has the next Read hand out what is there. It may be called from any goroutine.
func (s *Source) Dump() error { return s.r.Dump() }

// Dumped returns the dump that the last Read handed out, if it did.
func (s *Source) Dumped() (perfpipe.Dump, bool) { return s.r.Dumped() }

// Unseen returns how many records found no room in the trigger's rings: each may have
// been a trigger. It is asked after the last Read.
func (s *Source) Unseen() uint64 { return s.w.lost }

// Read implements [perfpipe.Source].
func (s *Source) Read(wait time.Duration, v perfpipe.Visitor) error {
	if err := s.watch(min(wait, every)); err != nil {
		return fmt.Errorf("watch for the trigger: %w", err)
	}
	if d, ok := s.w.due(s.t.Now(), s.over); ok {
		s.r.DumpFor(d)
	}
	return s.r.Read(0, v)
}

// watch looks at what may be a trigger. Where that ends, the recorder ends behind it.
func (s *Source) watch(wait time.Duration) error {
	if s.over {
		return nil
	}
	err := s.t.Source.Read(wait, &s.w)
	if !errors.Is(err, io.EOF) {
		return err
	}
	s.over = true
	return s.r.Stop()
}

// Stop implements [perfpipe.Source].
func (s *Source) Stop() error { return s.t.Source.Stop() }

// Close implements [perfpipe.Source].
func (s *Source) Close() error { return errors.Join(s.t.Source.Close(), s.r.Close()) }

// watcher is what the trigger's records are handed to.
type watcher struct {
	t       *Trigger
	schemas []*perfpipe.Schema
	// pending are the dumps to be made, in order of time, none within another's After.
	pending []perfpipe.Dump
	// last is until when the last dump that is pending or was made goes.
	last int64
	lost uint64
}

// Record implements [perfpipe.Visitor].
func (w *watcher) Record(r *perfpipe.Record) {
	if r.Time <= w.last || !w.t.Match(r) {
		return
	}
	d := perfpipe.Dump{Reason: perfpipe.DumpTrigger, Time: r.Time, Event: w.schemas[r.Event].Event(), CPU: int32(r.CPU), TID: r.TID}
	if w.t.Before > 0 {
		d.From = r.Time - int64(w.t.Before)
	}
	d.To = r.Time + int64(w.t.After)
	w.last = d.To
	w.pending = append(w.pending, d)
}

// due returns the first dump whose time has come: all have at the end. Those that
// begin before it ends and whose time has come as well are one dump with it, which is
// the first trigger's.
func (w *watcher) due(now int64, end bool) (d perfpipe.Dump, ok bool) {
	if len(w.pending) == 0 || w.pending[0].To > now && !end {
		return d, false
	}
	d = w.pending[0]
	n := 1
	for n < len(w.pending) && w.pending[n].From <= d.To && (w.pending[n].To <= now || end) {
		d.To = w.pending[n].To
		n++
	}
	w.pending = append(w.pending[:0], w.pending[n:]...)
	return d, true
}

// Lost implements [perfpipe.Visitor].
func (w *watcher) Lost(l perfpipe.Loss) { w.lost += l.Count }

// Task, Stack and Frame implement [perfpipe.Visitor]: the recorder tells of them.
func (w *watcher) Task(perfpipe.Task) {}

// Stack is nothing to a trigger.
func (w *watcher) Stack(*perfpipe.Stack) {}

// Frame is nothing to a trigger.
func (w *watcher) Frame(perfpipe.Frame) {}
