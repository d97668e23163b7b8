package arrowipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// messages are what walk found.
type messages struct {
	batches int
	rows    int64
}

// MessageHeader of Message.fbs.
const (
	headerSchema      = 1
	headerRecordBatch = 3
)

// walk goes over the encapsulated messages between two offsets: a marker of four
// 0xff, the length of the metadata, the metadata (a flatbuffer), the body. It reads
// the metadata alone and checks that every message lies within the bounds.
func walk(r io.ReaderAt, from, to int64) (m messages, err error) {
	var head [8]byte
	var meta []byte
	for at := from; at < to; {
		bad := func(why string) (messages, error) {
			return m, fmt.Errorf("read Arrow data: message at byte %d: %s: the file is cut short or damaged", at, why)
		}
		if to-at < int64(len(head)) {
			return bad("its head is incomplete")
		}
		if _, err := r.ReadAt(head[:], at); err != nil {
			return m, fmt.Errorf("read Arrow data: %w", err)
		}
		n := int64(int32(binary.LittleEndian.Uint32(head[4:])))
		if binary.LittleEndian.Uint32(head[:]) != math.MaxUint32 || n <= 0 {
			return bad("it does not begin with the marker and a length")
		}
		if n > to-at-int64(len(head)) {
			return bad("it is longer than the file")
		}
		if int64(cap(meta)) < n {
			meta = make([]byte, n)
		}
		meta = meta[:n]
		if _, err := r.ReadAt(meta, at+int64(len(head))); err != nil {
			return m, fmt.Errorf("read Arrow data: %w", err)
		}
		h, err := readHeader(meta)
		if err != nil {
			return bad(err.Error())
		}
		at += int64(len(head)) + n
		if h.body < 0 || h.body > to-at {
			return bad("its body is longer than the file")
		}
		at += h.body
		if h.kind == headerRecordBatch {
			if h.rows < 0 {
				return bad("it has a negative number of rows")
			}
			m.batches++
			m.rows += h.rows
		}
	}
	return m, nil
}

// header is what a message's metadata says: "table Message", Message.fbs.
type header struct {
	kind byte
	body int64
	rows int64 // of a record batch
}

var errHeader = errors.New("its metadata is damaged")

func readHeader(b []byte) (h header, err error) {
	root, ok := u32(b, 0)
	if !ok {
		return h, errHeader
	}
	if at, ok := field(b, int64(root), 1); !ok {
		return h, errHeader
	} else if at > 0 {
		if at >= int64(len(b)) {
			return h, errHeader
		}
		h.kind = b[at]
	}
	if h.body, ok = int64Field(b, int64(root), 3); !ok {
		return h, errHeader
	}
	at, ok := field(b, int64(root), 2)
	if !ok {
		return h, errHeader
	}
	table, ok := deref(b, at)
	switch {
	case !ok:
		return h, errHeader
	case h.kind == headerSchema:
		left := maxFields
		return h, checkFields(b, table, 1, 2, &left, 3)
	case h.kind != headerRecordBatch:
		return h, fmt.Errorf("it is of kind %d, which perfpipe does not write", h.kind)
	}
	if h.rows, ok = int64Field(b, table, 0); !ok {
		return h, errHeader
	}
	return h, checkBuffers(b, table, h.body)
}

func u32(b []byte, at int64) (uint32, bool) {
	if at < 0 || at+4 > int64(len(b)) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b[at:]), true
}

func u16(b []byte, at int64) (uint16, bool) {
	if at < 0 || at+2 > int64(len(b)) {
		return 0, false
	}
	return binary.LittleEndian.Uint16(b[at:]), true
}

// field returns where the field with that number of the flatbuffer table at is, 0
// where it is left out (its default then holds).
func field(b []byte, table int64, number int) (at int64, ok bool) {
	back, ok := u32(b, table)
	if !ok {
		return 0, false
	}
	v := table - int64(int32(back))
	size, ok := u16(b, v)
	if !ok {
		return 0, false
	}
	if 4+2*number+2 > int(size) {
		return 0, true
	}
	off, ok := u16(b, v+4+2*int64(number))
	if !ok {
		return 0, false
	}
	if off == 0 {
		return 0, true
	}
	return table + int64(off), true
}

func int64Field(b []byte, table int64, number int) (v int64, ok bool) {
	at, ok := field(b, table, number)
	if !ok || at == 0 {
		return 0, ok
	}
	if at < 0 || at+8 > int64(len(b)) {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(b[at:])), true
}

// deref follows the offset that stands at at.
func deref(b []byte, at int64) (int64, bool) {
	off, ok := u32(b, at)
	if !ok || at == 0 || at+int64(off) >= int64(len(b)) {
		return 0, false
	}
	return at + int64(off), true
}

// vector returns where the elements of a table's vector begin and how many there
// are; they are checked to lie within b. A vector that is left out has none.
func vector(b []byte, table int64, number int, width int64) (at, n int64, ok bool) {
	at, ok = field(b, table, number)
	if !ok || at == 0 {
		return 0, 0, ok
	}
	at, ok = deref(b, at)
	if !ok {
		return 0, 0, false
	}
	count, ok := u32(b, at)
	if !ok || int64(count)*width > int64(len(b))-at-4 {
		return 0, 0, false
	}
	return at + 4, int64(count), true
}

// maxFields bounds the fields of a schema: a damaged one can refer to the same
// bytes over and over.
const maxFields = 100_000

// checkFields goes over the fields in the vector with that number of a table (of
// Schema, or the children of a Field), and over the metadata, to the given depth:
// Arrow's reader makes room for as many as a vector's length says.
func checkFields(b []byte, table int64, number, metadata int, left *int, depth int) error {
	if _, _, ok := vector(b, table, metadata, 4); !ok {
		return errHeader
	}
	at, n, ok := vector(b, table, number, 4)
	if !ok || n > 0 && depth == 0 {
		return errHeader
	}
	for i := range n {
		if *left--; *left < 0 {
			return errHeader
		}
		f, ok := deref(b, at+4*i)
		if !ok {
			return errHeader
		}
		if err := checkFields(b, f, 5, 6, left, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// checkBuffers checks that a record batch's buffers lie in its body.
func checkBuffers(b []byte, table, body int64) error {
	if _, _, ok := vector(b, table, 1, 16); !ok { // struct FieldNode
		return errHeader
	}
	at, n, ok := vector(b, table, 2, 16) // struct Buffer: offset, length
	if !ok {
		return errHeader
	}
	for i := range n {
		off := int64(binary.LittleEndian.Uint64(b[at+16*i:]))
		size := int64(binary.LittleEndian.Uint64(b[at+16*i+8:]))
		if off < 0 || size < 0 || off > body || size > body-off {
			return errors.New("a buffer lies outside its body")
		}
	}
	return nil
}
