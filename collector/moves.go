package collector

import (
	"encoding/binary"

	"github.com/perfpipe/perfpipe"
)

// moves are the parts of a row that are loads and stores of a known width between
// known places. Their destinations are the memory of one batch.
type moves struct {
	batch *perfpipe.Batch
	// time, ts, cpu, pid and tid are the memory of the leading columns; cpu4 is that
	// of cpu where it is 4 bytes wide.
	time, ts, cpu, cpu4, pid, tid []byte
	comm                          *perfpipe.Column
	m8, m4                        []move
	arrays                        []arrayMove
	names                         []textMove // of 16 bytes: names of tasks
	// rare is true where one of the lists that follow is not empty.
	rare          bool
	m1, m2, bools []move
	texts         []textMove
	// cols are the columns of all moves; valid are the bitmaps of those that may be
	// null, in the rows of other events.
	cols  []int
	valid [][]byte
}

// move copies an integer of a width that its list says.
type move struct {
	dst      []byte
	src, col int
}

// arrayMove copies an array in place: n bytes, elems elements.
type arrayMove struct {
	child              *perfpipe.Column
	offs               []int32
	src, n, elems, col int
}

// textMove appends a text in place of at most n bytes.
type textMove struct {
	to          *perfpipe.Column
	offs        []int32
	src, n, col int
}

// take puts p into its list and reports whether it is a plain move: of bytes that lie
// within the size that every record has.
func (m *moves) take(p *op, size int) bool {
	if !p.inPlace() || p.off < 0 || p.size < 0 || p.off > size-p.size {
		return false
	}
	mv := move{src: p.off, col: p.col}
	rare := true
	switch {
	case p.kind == opCopy && p.width == 8:
		m.m8, rare = append(m.m8, mv), false
	case p.kind == opCopy && p.width == 4:
		m.m4, rare = append(m.m4, mv), false
	case p.kind == opCopy && p.width == 2:
		m.m2 = append(m.m2, mv)
	case p.kind == opCopy && p.width == 1:
		m.m1 = append(m.m1, mv)
	case p.kind == opBool && p.size == 1:
		m.bools = append(m.bools, mv)
	case p.kind == opString && p.size == 16:
		m.names, rare = append(m.names, textMove{src: p.off, n: p.size, col: p.col}), false
	case p.kind == opString:
		m.texts = append(m.texts, textMove{src: p.off, n: p.size, col: p.col})
	case p.kind == opList && p.width == p.elem:
		elems := p.size / p.elem
		m.arrays, rare = append(m.arrays, arrayMove{src: p.off, n: elems * p.elem, elems: elems, col: p.col}), false
	default:
		return false
	}
	m.rare = m.rare || rare
	m.cols = append(m.cols, p.col)
	return true
}

// bind makes b the batch that the moves lead to. Columns of a fixed width have memory
// for all rows that b is to hold, and never another.
func (m *moves) bind(b *perfpipe.Batch) {
	m.batch = b
	room := func(i int) []byte { d := b.Columns[i].Data; return d[:cap(d)] }
	offsets := func(i int) []int32 { o := b.Columns[i].Offsets; return o[:cap(o)] }
	m.time, m.ts, m.pid, m.tid = room(colTime), room(colTS), room(colPID), room(colTID)
	m.comm = &b.Columns[colComm]
	m.cpu, m.cpu4 = room(colCPU), nil
	if b.Columns[colCPU].Type != perfpipe.TypeUint16 {
		m.cpu, m.cpu4 = nil, m.cpu
	}
	for _, list := range [...][]move{m.m1, m.m2, m.m4, m.m8, m.bools} {
		for i := range list {
			list[i].dst = room(list[i].col)
		}
	}
	for _, list := range [...][]textMove{m.names, m.texts} {
		for i := range list {
			list[i].to, list[i].offs = &b.Columns[list[i].col], offsets(list[i].col)
		}
	}
	for i := range m.arrays {
		a := &m.arrays[i]
		a.child, a.offs = b.Columns[a.col].Child, offsets(a.col)
		if want := a.n * (len(m.ts)/8 - b.Rows); cap(a.child.Data)-len(a.child.Data) < want {
			a.child.Data = append(make([]byte, 0, len(a.child.Data)+want), a.child.Data...)
		}
	}
	m.valid = m.valid[:0]
	for _, i := range m.cols {
		if v := b.Columns[i].Valid; v != nil {
			m.valid = append(m.valid, v[:cap(v)])
		}
	}
	m.rare = m.rare || len(m.valid) > 0
}

// argBytes is the size of the arguments of a system call, the array that is seen most.
const argBytes = 48

// copy appends the array.
func (a *arrayMove) copy(row int, raw []byte) {
	ch := a.child
	at := len(ch.Data)
	switch {
	case cap(ch.Data)-at < a.n:
		ch.Data = append(ch.Data, raw[a.src:a.src+a.n]...)
	case a.n == argBytes:
		*(*[argBytes]byte)(ch.Data[at : at+argBytes : at+argBytes]) = [argBytes]byte(raw[a.src : a.src+argBytes : a.src+argBytes])
		ch.Data = ch.Data[:at+argBytes]
	default:
		ch.Data = ch.Data[:at+a.n]
		copy(ch.Data[at:], raw[a.src:a.src+a.n])
	}
	ch.Len += a.elems
	a.offs[row+1] = int32(ch.Len)
}

// copyRare copies what few records have.
func (m *moves) copyRare(row int, raw []byte) {
	for i := range m.m2 {
		v := &m.m2[i]
		binary.LittleEndian.PutUint16(v.dst[row*2:], binary.LittleEndian.Uint16(raw[v.src:]))
	}
	for i := range m.m1 {
		v := &m.m1[i]
		v.dst[row] = raw[v.src]
	}
	for i := range m.bools {
		v := &m.bools[i]
		var one byte
		if raw[v.src] != 0 {
			one = 1
		}
		v.dst[row] = one
	}
	for _, v := range m.valid {
		setBit(v, row)
	}
}

// setBit sets the bit of row in a bitmap whose bits beyond row mean nothing yet.
func setBit(v []byte, row int) {
	if row&7 == 0 {
		v[row>>3] = 1
	} else {
		v[row>>3] |= 1 << (row & 7)
	}
}

func setValid(c *perfpipe.Column, row int) { setBit(c.Valid[:cap(c.Valid)], row) }

// put writes an integer as value number row.
func put(c *perfpipe.Column, row int, v uint64) {
	d := c.Data[:cap(c.Data)]
	switch c.Type.Width() {
	case 1:
		d[row] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(d[row*2:], uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(d[row*4:], uint32(v))
	default:
		binary.LittleEndian.PutUint64(d[row*8:], v)
	}
}

// end ends a text or list, number row, at offset n.
func end(c *perfpipe.Column, row, n int) { c.Offsets[:cap(c.Offsets)][row+1] = int32(n) }

// putNull writes a null as value number row.
func putNull(c *perfpipe.Column, row int) {
	v := c.Valid[:cap(c.Valid)]
	if row&7 == 0 {
		v[row>>3] = 0
	}
	if c.Offsets != nil {
		o := c.Offsets[:cap(c.Offsets)]
		o[row+1] = o[row]
		return
	}
	put(c, row, 0)
}

// seal gives b's columns the lengths that append leaves out; those of the column skip,
// which the writer fills, stay as they are.
func seal(b *perfpipe.Batch, skip int) {
	for i := range b.Columns {
		c := &b.Columns[i]
		c.Len = b.Rows
		if i == skip {
			continue
		}
		if c.Offsets != nil {
			c.Offsets = c.Offsets[:b.Rows+1]
		} else {
			c.Data = c.Data[:b.Rows*c.Type.Width()]
		}
		if c.Valid != nil {
			// The bits beyond the last row are those of the row that was there before.
			c.Valid = c.Valid[:(b.Rows+7)/8]
		}
	}
}
