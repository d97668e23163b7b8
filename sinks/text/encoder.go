// Package text writes rows as text: comma-separated values (RFC 4180), one JSON
// object a line, or a readable line a row in the manner of perf script.
//
// Integers are exact in all three, those of 64 bits as well. A time is RFC 3339 in
// microseconds, UTC. Nothing tells a null from an absent field: it is an empty
// field in csv (an empty string is ""), and left out of ndjson and of a line.
package text

import (
	"errors"
	"fmt"
	"io"

	"github.com/perfpipe/perfpipe"
)

// block is how many bytes wait before they are written: enough that a system call
// is nothing against the formatting.
const block = 64 << 10

// Encoder writes one table. It keeps nothing of a batch's memory.
type Encoder struct {
	w      io.Writer
	row    func(dst []byte, b *perfpipe.Batch, i int) []byte
	table  *perfpipe.Table
	buf    []byte
	err    error
	closed bool
}

// Names are the formats of this package.
func Names() []string { return []string{"csv", "ndjson", "txt"} }

// New returns an encoder of t's rows in one of Names that writes to w.
func New(w io.Writer, t *perfpipe.Table, format string) (*Encoder, error) {
	e := &Encoder{w: w, table: t}
	for i := range t.Columns {
		if d := &t.Columns[i]; d.Type == perfpipe.TypeInvalid || d.Type > perfpipe.TypeList || d.Type == perfpipe.TypeList && (d.Elem == perfpipe.TypeInvalid || d.Elem >= perfpipe.TypeList) {
			return nil, fmt.Errorf("lay out table %s: column %s: no text for %v", t.Name, d.Name, d.Type)
		}
	}
	switch format {
	case "csv":
		e.row = csvRow
		e.buf = csvHeader(nil, t)
	case "ndjson":
		keys := jsonKeys(t)
		e.row = func(dst []byte, b *perfpipe.Batch, i int) []byte { return jsonRow(dst, keys, b, i) }
	case "txt":
		e.row = newLiner(t).row
	default:
		return nil, fmt.Errorf("unknown text format %q: use csv, ndjson or txt", format)
	}
	return e, nil
}

// Write takes the rows of b.
func (e *Encoder) Write(b *perfpipe.Batch) error {
	if e.err != nil {
		return e.err
	}
	if e.closed {
		return errors.New("write after close")
	}
	if len(b.Columns) != len(e.table.Columns) {
		e.err = fmt.Errorf("write batch of %s: it has %d columns, the table has %d", e.table.Name, len(b.Columns), len(e.table.Columns))
		return e.err
	}
	for i := range b.Rows {
		e.buf = e.row(e.buf, b, i)
		if len(e.buf) >= block {
			if err := e.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush hands every row written so far to the writer below.
func (e *Encoder) Flush() error {
	if e.err != nil || len(e.buf) == 0 {
		return e.err
	}
	n, err := e.w.Write(e.buf)
	if err == nil && n < len(e.buf) {
		err = io.ErrShortWrite
	}
	e.buf = e.buf[:0]
	e.err = err
	return err
}

// Close writes what is left. Text has no place for metadata.
func (e *Encoder) Close(map[string]string) error {
	if e.closed {
		return e.err
	}
	e.closed = true
	return e.Flush()
}

// AppendRow appends row i of b as the format has it, header not included, for
// callers that order rows of several tables themselves.
func (e *Encoder) AppendRow(dst []byte, b *perfpipe.Batch, i int) []byte { return e.row(dst, b, i) }
