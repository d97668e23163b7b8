// Package arrowipc writes Arrow's IPC formats, the file (.arrow, Feather v2) and
// the stream (.arrows), and reads them back. Batches go out as they lie in memory.
//
// The stream has no checksum, and Arrow's readers take a tail of zeroes for its
// end; our own reader wants the end-of-stream marker. Nothing is compressed unless
// asked for: arrow-js reads compressed bodies only with a codec brought along.
package arrowipc

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v14/arrow"
	"github.com/apache/arrow/go/v14/arrow/ipc"
	"github.com/apache/arrow/go/v14/arrow/memory"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/internal/columnar"
)

// Layout is which of the two formats is written.
type Layout uint8

const (
	// Stream is the streaming format: readable while it grows.
	Stream Layout = iota
	// File is the random access format, with a footer that lists the batches.
	File
)

// Options say how rows are written.
type Options struct {
	// Layout is the format.
	Layout Layout
	// Compression of the bodies: "none" (the default, "") or "zstd".
	Compression string
	// Meta goes into the schema's metadata, beside that of the table.
	Meta map[string]string
	// Allocator makes the memory of metadata; nil takes Go's.
	Allocator memory.Allocator
}

// ErrCompression is what Check returns, with the name, for a compression that IPC
// is not written with.
var ErrCompression = errors.New("unknown Arrow compression")

// CheckCompression refuses what Options.Compression does not take.
func CheckCompression(name string, level int) error {
	if name != "" && name != "none" && name != "zstd" {
		return fmt.Errorf("%w %q: use none or zstd", ErrCompression, name)
	}
	if level != 0 {
		return fmt.Errorf("set Arrow compression level %d: the level cannot be chosen: leave it out", level)
	}
	return nil
}

// Encoder writes one table. It keeps nothing of a batch's memory.
type Encoder struct {
	w      *sticky
	ipc    interface{ Write(arrow.Record) error }
	close  func() error
	wrap   *columnar.Wrapper
	begun  bool
	closed bool
}

// sticky keeps the first error of the writer below: Arrow's writers write the
// schema late and do not remember that it failed. It knows its position, which the
// file format asks for, and cannot move.
type sticky struct {
	b   *bufio.Writer
	n   int64
	err error
}

func (s *sticky) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.b.Write(p)
	s.n += int64(n)
	s.err = err
	return n, err
}

// Seek only tells where the writer is.
func (s *sticky) Seek(off int64, whence int) (int64, error) {
	if off != 0 || whence != io.SeekCurrent {
		return 0, errors.New("seek: the output can only be appended to")
	}
	return s.n, s.err
}

func (s *sticky) flush() error {
	if s.err == nil {
		s.err = s.b.Flush()
	}
	return s.err
}

// New returns an encoder of t's rows that writes to w.
func New(w io.Writer, t *perfpipe.Table, o Options) (*Encoder, error) {
	if err := CheckCompression(o.Compression, 0); err != nil {
		return nil, err
	}
	schema, err := columnar.Schema(t, o.Meta)
	if err != nil {
		return nil, err
	}
	if o.Allocator == nil {
		o.Allocator = memory.NewGoAllocator()
	}
	opts := []ipc.Option{ipc.WithSchema(schema), ipc.WithAllocator(o.Allocator)}
	if o.Compression == "zstd" {
		opts = append(opts, ipc.WithZstd(), ipc.WithCompressConcurrency(1))
	}
	e := &Encoder{w: &sticky{b: bufio.NewWriterSize(w, 64<<10)}, wrap: columnar.NewWrapper(schema)}
	if o.Layout == File {
		f, err := ipc.NewFileWriter(e.w, opts...)
		if err != nil {
			return nil, fmt.Errorf("begin Arrow file: %w", err)
		}
		e.ipc, e.close = f, f.Close
	} else {
		s := ipc.NewWriter(e.w, opts...)
		e.ipc, e.close = s, s.Close
	}
	return e, nil
}

// Write takes the rows of b.
func (e *Encoder) Write(b *perfpipe.Batch) error {
	if e.w.err != nil {
		return e.w.err
	}
	if e.closed {
		return errors.New("write after close")
	}
	// A batch of no rows is written only where the schema would not be out otherwise.
	if b.Rows == 0 && e.begun {
		return nil
	}
	rec, err := e.wrap.Wrap(b)
	if err != nil {
		return e.fail(err)
	}
	defer rec.Release()
	e.begun = true
	return e.fail(e.ipc.Write(rec))
}

// fail keeps err, or finds the one that Arrow swallowed.
func (e *Encoder) fail(err error) error {
	if e.w.err == nil {
		e.w.err = err
	}
	return e.w.err
}

// Flush hands every row written so far to the writer below.
func (e *Encoder) Flush() error { return e.w.flush() }

// Close ends the format. The metadata stands at the start and takes nothing more.
func (e *Encoder) Close(map[string]string) error {
	if e.closed {
		return e.w.err
	}
	e.closed = true
	if e.w.err != nil {
		return e.w.err
	}
	if err := e.fail(e.close()); err != nil {
		return err
	}
	return e.w.flush()
}
