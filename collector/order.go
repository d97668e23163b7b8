package collector

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/perfpipe/perfpipe"
)

// order puts the rows of a batch in the order of time where a record came late. That is
// rare: a record of another processor may arrive behind what was handed out already.
// It keeps the memory that it needs, and belongs to the writing goroutine.
type order struct {
	perm  []int32
	bytes []byte
	offs  []int32
}

// sort sorts b by ts; rows of the same ts stay as they are. Columns may exchange their
// memory for as much other.
func (o *order) sort(b *perfpipe.Batch) {
	o.perm = slices.Grow(o.perm[:0], b.Rows)[:b.Rows]
	for i := range o.perm {
		o.perm[i] = int32(i)
	}
	ts := b.Columns[colTS].Data
	at := func(i int32) int64 { return int64(binary.LittleEndian.Uint64(ts[8*i:])) }
	slices.SortStableFunc(o.perm, func(x, y int32) int { return cmp.Compare(at(x), at(y)) })
	for i := range b.Columns {
		o.column(&b.Columns[i], b.Rows)
	}
}

// column reorders the rows of c.
func (o *order) column(c *perfpipe.Column, rows int) {
	if len(c.Valid) > 0 {
		v := make([]byte, len(c.Valid))
		for to, from := range o.perm {
			if !c.IsNull(int(from)) {
				v[to>>3] |= 1 << (to & 7)
			}
		}
		copy(c.Valid, v)
	}
	switch {
	case len(c.Offsets) <= 1 && c.Offsets != nil: // the column that the writer fills
	case c.Offsets == nil:
		w := c.Type.Width()
		d := o.room(cap(c.Data))
		for to, from := range o.perm {
			copy(d[to*w:to*w+w], c.Data[int(from)*w:])
		}
		c.Data, o.bytes = d[:rows*w], c.Data
	case c.Child == nil:
		o.texts(c, rows)
	default:
		o.lists(c, rows)
	}
}

// room returns n bytes of the spare memory.
func (o *order) room(n int) []byte {
	if cap(o.bytes) < n {
		o.bytes = make([]byte, n)
	}
	// The capacity of a column says how many rows there is room for: not one more.
	return o.bytes[:n:n]
}

// texts reorders strings; their bytes stay as many.
func (o *order) texts(c *perfpipe.Column, rows int) {
	d := o.room(cap(c.Data))[:0]
	offs := o.offsets(c)
	for to, from := range o.perm {
		d = append(d, c.Text(int(from))...)
		offs[to+1] = int32(len(d))
	}
	c.Data, o.bytes = d, c.Data
	c.Offsets, o.offs = offs[:rows+1], c.Offsets
}

// lists reorders lists of values of a fixed width.
func (o *order) lists(c *perfpipe.Column, rows int) {
	ch := c.Child
	w := ch.Type.Width()
	d := o.room(cap(ch.Data))[:0]
	offs := o.offsets(c)
	n := 0
	for to, from := range o.perm {
		a, b := int(c.Offsets[from]), int(c.Offsets[from+1])
		d = append(d, ch.Data[a*w:b*w]...)
		n += b - a
		offs[to+1] = int32(n)
	}
	ch.Data, o.bytes = d, ch.Data
	c.Offsets, o.offs = offs[:rows+1], c.Offsets
}

// offsets returns room for as many offsets as c has room for, the first 0.
func (o *order) offsets(c *perfpipe.Column) []int32 {
	if cap(o.offs) < cap(c.Offsets) {
		o.offs = make([]int32, cap(c.Offsets))
	}
	offs := o.offs[:cap(c.Offsets):cap(c.Offsets)]
	offs[0] = 0
	return offs
}
