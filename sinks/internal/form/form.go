// Package form says what a file format is to the sinks: how rows become bytes,
// and how a finished file is looked at again before it gets its name.
package form

import (
	"io"

	"github.com/perfpipe/perfpipe"
)

// Encoder turns the batches of one table into bytes. It is used by one goroutine
// and keeps nothing of a batch's memory. After an error it returns that error again.
type Encoder interface {
	// Write takes the rows of b.
	Write(b *perfpipe.Batch) error
	// Flush hands what was written so far to the writer below, as far as the
	// format can be read before it ends.
	Flush() error
	// Close ends the file, with more beside the metadata it was made with. It
	// does not close the writer below. A second call does nothing.
	Close(more map[string]string) error
}

// Holder is an [Encoder] that holds rows in memory until a group of them is full.
type Holder interface {
	// Buffered returns the bytes held.
	Buffered() int64
	// Release writes what is held and frees its memory.
	Release() error
}

// Format is one file format.
type Format struct {
	// Name is what --format takes; Ending is that of a path, dot included.
	Name, Ending string
	// New begins a file of t's rows that goes to w, with the metadata meta.
	New func(w io.Writer, t *perfpipe.Table, meta map[string]string) (Encoder, error)
	// Check looks at a finished file of size bytes in which rows rows were
	// written; nil where the format says nothing that could be compared.
	Check func(r io.ReaderAt, size, rows int64) error
	// Stream is true where a reader can take rows before the file ends.
	Stream bool
}
