package collector

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/perfpipe/perfpipe"
)

// message is what the reading side tells the writer.
type message struct {
	batch *perfpipe.Batch
	// frames are new ones; they are the writer's from then on.
	frames []perfpipe.Frame
	op     syncOp
	// merged batches go to merged outputs, the others to those with a table an event.
	merged bool
	// own batches are not recycled.
	own bool
	// late batches are not in the order of time.
	late bool
}

type syncOp uint8

const (
	opNone syncOp = iota
	opFlush
	opRotate
)

// writer is the writing goroutine: it owns the sinks while it runs.
type writer struct {
	cfg  *Config
	in   chan message
	back chan<- *perfpipe.Batch
	stop context.CancelFunc
	// bytes is what all sinks have written, for the progress line.
	bytes atomic.Int64
	// base is what each sink had written when its files were last finished.
	base []int64
	err  error
	full bool
	// places are the stacks and frames that were seen.
	places *places
	order  order
}

func newWriter(cfg *Config, back chan<- *perfpipe.Batch, stop context.CancelFunc, p *places) *writer {
	return &writer{cfg: cfg, places: p, in: make(chan message, queue), back: back, stop: stop, base: make([]int64, len(cfg.Outputs))}
}

// run writes until in is closed. After an error it goes on taking batches, so
// that the reading side is never stuck, and ends the run.
func (w *writer) run() {
	for m := range w.in {
		if w.err == nil {
			if err := w.handle(m); err != nil {
				w.err = err
				w.stop()
			}
		}
		if m.batch != nil && !m.own {
			w.back <- m.batch
		}
	}
	if w.err == nil && w.cfg.Columns.Stacks {
		w.err = w.places.write(func(b *perfpipe.Batch) error { return w.handle(message{batch: b, own: true}) })
	}
}

func (w *writer) handle(m message) error {
	w.places.addFrames(m.frames)
	if m.late {
		w.order.sort(m.batch)
	}
	switch {
	case m.batch == nil:
	case m.batch.Table == w.places.table:
		w.places.addStacks(m.batch)
	case !m.own:
		w.places.fill(m.batch)
	}
	var total int64
	for i, o := range w.cfg.Outputs {
		var err error
		switch {
		case m.batch != nil && o.Merged == m.merged:
			err = o.Sink.Write(m.batch)
		case m.op == opFlush:
			err = o.Sink.Sync(perfpipe.SyncFlush)
		case m.op == opRotate:
			err = w.rotate(i)
		}
		if err != nil {
			return err
		}
		n := o.Sink.Bytes()
		total += n
		if limit := w.cfg.Rotate.Bytes; limit > 0 && n-w.base[i] >= limit {
			if err := w.rotate(i); err != nil {
				return err
			}
		}
	}
	w.bytes.Store(total)
	if w.cfg.MaxBytes > 0 && total >= w.cfg.MaxBytes && !w.full {
		w.full = true
		w.stop()
	}
	return nil
}

func (w *writer) rotate(i int) error {
	s := w.cfg.Outputs[i].Sink
	err := s.Sync(perfpipe.SyncRotate)
	w.base[i] = s.Bytes()
	return err
}

// close closes every sink, whatever the others say.
func (w *writer) close(s perfpipe.Summary) error {
	var errs []error
	for _, o := range w.cfg.Outputs {
		errs = append(errs, o.Sink.Close(s))
	}
	return errors.Join(errs...)
}
