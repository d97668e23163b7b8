package sinks

import (
	"errors"
	"fmt"
	"io"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
)

// stream is a sink of one table on a writer that is not ours to close.
type stream struct {
	f      form.Format
	r      Run
	w      counter
	table  *perfpipe.Table
	enc    form.Encoder
	err    error
	closed bool
}

// counter counts what goes to w and keeps its first error.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	c.err = err
	return n, err
}

func openStream(f form.Format, r Run) (perfpipe.Sink, error) {
	if !f.Stream {
		return nil, fmt.Errorf("open output -: %s cannot be written to standard output, its reader needs the end first: use --format arrows, csv, ndjson or txt, or -o FILE%s", f.Name, f.Ending)
	}
	if r.Stdout == nil {
		return nil, errors.New("open output -: there is no standard output")
	}
	return &stream{f: f, r: r, w: counter{w: r.Stdout}}, nil
}

func (s *stream) Write(b *perfpipe.Batch) error {
	if s.err != nil {
		return s.err
	}
	if s.closed {
		return errors.New("write standard output: it is closed")
	}
	if perfpipe.OwnTable(b.Table.Name) {
		return nil
	}
	s.err = s.write(b)
	return s.err
}

func (s *stream) write(b *perfpipe.Batch) (err error) {
	defer s.rescue(&err)
	if s.table == nil {
		s.table = b.Table
		if s.enc, err = s.f.New(&s.w, b.Table, s.r.metadata()); err != nil {
			return fmt.Errorf("write standard output: %w", err)
		}
	}
	if b.Table != s.table {
		return fmt.Errorf("write standard output: it takes one table, and got %s after %s", b.Table.Name, s.table.Name)
	}
	return s.wrap(s.enc.Write(b))
}

// rescue turns a panic of an encoder into an error, and finds errors that an
// encoder swallowed.
func (s *stream) rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("write standard output: encoder failed: %v", r)
	}
	if *err == nil && s.w.err != nil {
		*err = s.wrap(s.w.err)
	}
}

func (s *stream) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("write standard output: %w", err)
	}
	return err
}

// Sync makes the rows visible at once, in either case: a stream has no files.
func (s *stream) Sync(perfpipe.SyncOp) error {
	if s.err != nil || s.enc == nil || s.closed {
		return s.err
	}
	s.err = s.flush()
	return s.err
}

func (s *stream) flush() (err error) {
	defer s.rescue(&err)
	return s.wrap(s.enc.Flush())
}

func (s *stream) Bytes() int64 { return s.w.n }

func (s *stream) Close(sum perfpipe.Summary) (err error) {
	if s.closed || s.enc == nil {
		s.closed = true
		return nil
	}
	s.closed = true
	defer func() {
		if s.err != nil { // it was reported when it happened
			err = nil
		}
	}()
	defer s.rescue(&err)
	return s.wrap(s.enc.Close(form.Lost(s.table, sum)))
}
