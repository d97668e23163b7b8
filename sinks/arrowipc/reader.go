package arrowipc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v14/arrow"
	"github.com/apache/arrow/go/v14/arrow/ipc"
	"github.com/apache/arrow/go/v14/arrow/memory"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/internal/columnar"
)

// endOfStream is the marker that ends a stream.
const endOfStream = "\xff\xff\xff\xff\x00\x00\x00\x00"

// errTail is a stream without its end.
var errTail = errors.New("read Arrow stream: it does not end with the end-of-stream marker: it is cut short, or still being written")

// Reader reads a file or a stream that this package wrote.
type Reader struct {
	table *perfpipe.Table
	next  func() (arrow.Record, error)
	close func()
}

// NewReader reads the file r of size bytes in the given layout. The frames of all
// messages are checked first, so that none can claim more than the file has.
func NewReader(r io.ReaderAt, size int64, layout Layout) (_ *Reader, err error) {
	defer rescue(&err)
	from, to, err := frames(r, size, layout)
	if err != nil {
		return nil, err
	}
	if _, err := walk(r, from, to); err != nil {
		return nil, err
	}
	// A file is a stream between its magic and its footer.
	return newReader(io.NewSectionReader(r, from, to-from))
}

// frames returns where the messages of a file begin and end, its end-of-stream
// marker not included.
func frames(r io.ReaderAt, size int64, layout Layout) (from, to int64, err error) {
	if layout == File {
		var head [8]byte
		var tail [10]byte
		if size < int64(len(head)+len(tail)) {
			return 0, 0, fmt.Errorf("read Arrow file: %d bytes are too few for one", size)
		}
		if _, err := r.ReadAt(head[:], 0); err != nil {
			return 0, 0, fmt.Errorf("read Arrow file: %w", err)
		}
		if _, err := r.ReadAt(tail[:], size-int64(len(tail))); err != nil {
			return 0, 0, fmt.Errorf("read Arrow file: %w", err)
		}
		if string(head[:6]) != string(ipc.Magic) || string(tail[4:]) != string(ipc.Magic) {
			return 0, 0, fmt.Errorf("read Arrow file: it does not begin and end with %s: it is cut short or of another format", ipc.Magic)
		}
		n := int64(binary.LittleEndian.Uint32(tail[:]))
		if n > size-int64(len(head)+len(tail)) {
			return 0, 0, fmt.Errorf("read Arrow file: its footer's length %d is more than the file", n)
		}
		to = size - int64(len(tail)) - n
		if _, err := r.ReadAt(head[:], to-8); err == nil && to-8 >= 8 && string(head[:]) == endOfStream {
			to -= 8 // other writers put one before the footer
		}
		return 8, to, nil
	}
	// Arrow's reader takes zeroes, or nothing, for a clean end: ask for the marker.
	var end [len(endOfStream)]byte
	if size < int64(len(end)) {
		return 0, 0, errTail
	}
	if _, err := r.ReadAt(end[:], size-int64(len(end))); err != nil {
		return 0, 0, fmt.Errorf("read Arrow stream: %w", err)
	}
	if string(end[:]) != endOfStream {
		return 0, 0, errTail
	}
	return 0, size - int64(len(end)), nil
}

// NewStreamReader reads a stream as it arrives. That it ended where its writer
// ended it is checked at its end.
func NewStreamReader(r io.Reader) (*Reader, error) {
	tail := &tailReader{r: r}
	out, err := newReader(tail)
	if err != nil {
		return nil, err
	}
	next := out.next
	out.next = func() (arrow.Record, error) {
		rec, err := next()
		if errors.Is(err, io.EOF) && !bytes.Equal(tail.last[:], []byte(endOfStream)) {
			return nil, errTail
		}
		return rec, err
	}
	return out, nil
}

func newReader(r io.Reader) (_ *Reader, err error) {
	defer rescue(&err)
	s, err := ipc.NewReader(r, ipc.WithAllocator(bounded{memory.NewGoAllocator()}))
	if err != nil {
		return nil, fmt.Errorf("read Arrow data: %w", err)
	}
	out := &Reader{close: s.Release, next: func() (arrow.Record, error) {
		if s.Next() {
			return s.Record(), nil
		}
		if err := s.Err(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, io.EOF
	}}
	if out.table, err = columnar.Table(s.Schema()); err != nil {
		return nil, fmt.Errorf("read Arrow data: %w", err)
	}
	return out, nil
}

// tailReader remembers the last bytes that were read.
type tailReader struct {
	r    io.Reader
	last [len(endOfStream)]byte
}

func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n >= len(t.last) {
		copy(t.last[:], p[n-len(t.last):n])
	} else if n > 0 {
		copy(t.last[:], t.last[n:])
		copy(t.last[len(t.last)-n:], p[:n])
	}
	return n, err
}

func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("read Arrow data: it is damaged: %v", r)
	}
}

// Table returns the table that the file holds. Its name is that of the metadata's
// "table", "" where there is none.
func (r *Reader) Table() *perfpipe.Table { return r.table }

// Read fills b, which must be of Table, with the next rows, and returns io.EOF
// after the last.
func (r *Reader) Read(b *perfpipe.Batch) (err error) {
	defer rescue(&err)
	b.Reset()
	rec, err := r.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("read Arrow data: %w", err)
	}
	if err := columnar.Unwrap(b, rec); err != nil {
		return fmt.Errorf("read Arrow data: %w", err)
	}
	return nil
}

// Close frees what the reader holds.
func (r *Reader) Close() { r.close() }

// RowCount returns the number of rows in the file r of size bytes. It reads the
// batches' headers and skips their bodies.
func RowCount(r io.ReaderAt, size int64, layout Layout) (n int64, err error) {
	defer rescue(&err)
	from, to, err := frames(r, size, layout)
	if err != nil {
		return 0, err
	}
	m, err := walk(r, from, to)
	if err != nil {
		return 0, err
	}
	if layout == File {
		f, err := ipc.NewFileReader(io.NewSectionReader(r, 0, size), ipc.WithAllocator(memory.NewGoAllocator()))
		if err != nil {
			return 0, fmt.Errorf("read Arrow file: %w", err)
		}
		// It holds nothing that closing could fail on: the file is the caller's.
		defer func() { _ = f.Close() }()
		if f.NumRecords() != m.batches {
			return 0, fmt.Errorf("read Arrow file: its footer lists %d batches, it holds %d", f.NumRecords(), m.batches)
		}
	}
	return m.rows, nil
}

// maxBuffer bounds one buffer of a batch, decompressed: batches of ours stay below
// a few megabytes, and only damaged data claims more.
const maxBuffer = 512 << 20

// bounded is an allocator that refuses, by a panic that is rescued here, what no
// file of ours needs.
type bounded struct{ memory.Allocator }

func (a bounded) Allocate(n int) []byte {
	refuse(n)
	return a.Allocator.Allocate(n)
}

func (a bounded) Reallocate(n int, b []byte) []byte {
	refuse(n)
	return a.Allocator.Reallocate(n, b)
}

func refuse(n int) {
	if n < 0 || n > maxBuffer {
		panic(fmt.Sprintf("a buffer of %d bytes", n))
	}
}
