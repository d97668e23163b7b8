package collector

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/perfpipe/perfpipe"
)

const (
	// maxRow is more than any batch has rows, less 1: a number masked by it is known to be
	// small and not negative, so that one comparison checks its place.
	maxRow = 1<<24 - 1
	// lengthsEvery is after how many rows the lengths of texts and lists are brought up to
	// date, for those who ask how large a batch is. A power of two.
	lengthsEvery = 1024
)

// moves are the parts of a row that are loads and stores of a known width between
// known places. Their destinations are the memory of one batch.
//
// Offsets say how long texts and lists are: the lengths of their memory are set only now
// and then, by extend. Where the next one begins is kept beside, and read from
// the offsets where another encoder appended the row before.
type moves struct {
	batch *perfpipe.Batch
	// next is the row behind the last that came here.
	next int
	// time, ts, cpu, pid and tid are the memory of the leading columns; cpu4 is that
	// of cpu where it is 4 bytes wide.
	time, ts, cpu, cpu4, pid, tid []byte
	comm                          textMove
	m8, m4                        []move
	// args are the arguments of a system call, the array that is seen most; nil without.
	args  *arrayMove
	names []textMove // of 16 bytes: names of tasks
	// rare is true where one of these lists is not empty, or valid is not.
	rare          bool
	m2, m1, bools []move
	// varying is true where one of these lists is not empty; located are texts behind a
	// __data_loc.
	varying        bool
	arrays         []arrayMove
	masks          []maskMove
	texts, located []textMove
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

// arrayMove copies an array in place: n bytes, elems elements of width bytes.
type arrayMove struct {
	child              *perfpipe.Column
	offs               []int32
	src, n, elems, col int
	// at is how many elements there are.
	at    int
	width int
}

// maskMove appends the bits of a bitmap, in place or not; at is how many there are.
type maskMove struct {
	field          *perfpipe.Field
	child          *perfpipe.Column
	offs           []int32
	col, width, at int
}

// textMove appends a text in place of at most n bytes, or one whose location is at src;
// at is where in the column.
type textMove struct {
	to              *perfpipe.Column
	offs            []int32
	src, n, col, at int
}

// take puts p into its list and reports whether it is a plain move: of bytes that lie
// within the size that every record has, or whose location does.
func (m *moves) take(p *op, size int) bool {
	if p.field == nil || p.field.Probed != nil || p.off < 0 || p.size < 0 || p.off > size-p.size {
		return false
	}
	switch {
	case p.kind == opMask:
		m.masks = append(m.masks, maskMove{field: p.field, col: p.col})
	case p.kind == opString && p.field.Loc == perfpipe.LocData && p.size == 4:
		m.located = append(m.located, textMove{src: p.off, col: p.col})
	case p.field.Loc != perfpipe.LocStatic:
		return false
	case p.kind == opCopy && p.width == 8:
		m.m8 = append(m.m8, move{src: p.off, col: p.col})
	case p.kind == opCopy && p.width == 4:
		m.m4 = append(m.m4, move{src: p.off, col: p.col})
	case p.kind == opCopy && p.width == 2:
		m.m2 = append(m.m2, move{src: p.off, col: p.col})
	case p.kind == opCopy && p.width == 1:
		m.m1 = append(m.m1, move{src: p.off, col: p.col})
	case p.kind == opBool && p.size == 1:
		m.bools = append(m.bools, move{src: p.off, col: p.col})
	case p.kind == opString && p.size == 16:
		m.names = append(m.names, textMove{src: p.off, n: p.size, col: p.col})
	case p.kind == opString:
		m.texts = append(m.texts, textMove{src: p.off, n: p.size, col: p.col})
	case p.kind == opList && p.width == p.elem:
		m.array(p)
	default:
		return false
	}
	m.rare = len(m.m2)+len(m.m1)+len(m.bools) > 0
	m.varying = len(m.arrays)+len(m.masks)+len(m.texts)+len(m.located) > 0
	m.cols = append(m.cols, p.col)
	return true
}

// array takes an array in place.
func (m *moves) array(p *op) {
	n := p.size / p.elem
	a := arrayMove{src: p.off, n: n * p.elem, elems: n, width: p.elem, col: p.col}
	if a.n == argBytes && a.width == 8 && m.args == nil {
		m.args = &a
		return
	}
	m.arrays = append(m.arrays, a)
}

// bind makes b the batch that the moves lead to; the column skip is the writer's. Columns
// of a fixed width have memory for all rows that b is to hold, and never another.
func (m *moves) bind(b *perfpipe.Batch, skip int) {
	extend(b, skip)
	m.batch = b
	room := func(i int) []byte { d := b.Columns[i].Data; return d[:cap(d)] }
	offsets := func(i int) []int32 { o := b.Columns[i].Offsets; return o[:cap(o)] }
	m.time, m.ts, m.pid, m.tid = room(colTime), room(colTS), room(colPID), room(colTID)
	m.comm.to, m.comm.offs = &b.Columns[colComm], offsets(colComm)
	m.cpu, m.cpu4 = room(colCPU), nil
	if b.Columns[colCPU].Type != perfpipe.TypeUint16 {
		m.cpu, m.cpu4 = nil, m.cpu
	}
	for _, list := range [...][]move{m.m1, m.m2, m.m4, m.m8, m.bools} {
		for i := range list {
			list[i].dst = room(list[i].col)
		}
	}
	for _, list := range [...][]textMove{m.names, m.texts, m.located} {
		for i := range list {
			list[i].to, list[i].offs = &b.Columns[list[i].col], offsets(list[i].col)
		}
	}
	for i := range m.arrays {
		m.arrays[i].bind(b)
	}
	if m.args != nil {
		m.args.bind(b)
	}
	for i := range m.masks {
		v := &m.masks[i]
		v.child, v.offs = b.Columns[v.col].Child, offsets(v.col)
		v.width = v.child.Type.Width()
	}
	m.follow(b.Rows)
	m.valid = m.valid[:0]
	for _, i := range m.cols {
		if v := b.Columns[i].Valid; v != nil {
			m.valid = append(m.valid, v[:cap(v)])
		}
	}
	m.rare = m.rare || len(m.valid) > 0
}

// bind makes b the batch that a leads to, with room for the arrays of all rows.
func (a *arrayMove) bind(b *perfpipe.Batch) {
	o := b.Columns[a.col].Offsets
	a.child, a.offs = b.Columns[a.col].Child, o[:cap(o)]
	rows := cap(b.Columns[colTS].Data)/8 - b.Rows
	if want := a.n * rows; cap(a.child.Data)-len(a.child.Data) < want {
		a.child.Data = append(make([]byte, 0, len(a.child.Data)+want), a.child.Data...)
	}
}

// follow has the next texts and lists begin behind those of row, which others may have
// appended.
func (m *moves) follow(row int) {
	m.next = row
	m.comm.at = int(m.comm.offs[row])
	for _, list := range [...][]textMove{m.names, m.texts, m.located} {
		for k := range list {
			list[k].at = int(list[k].offs[row])
		}
	}
	for k := range m.arrays {
		m.arrays[k].at = int(m.arrays[k].offs[row])
	}
	if m.args != nil {
		m.args.at = int(m.args.offs[row])
	}
	for k := range m.masks {
		m.masks[k].at = int(m.masks[k].offs[row])
	}
}

// argBytes is the size of the arguments of a system call, the array that is seen most.
const argBytes = 48

// copy appends the array.
func (a *arrayMove) copy(row int, raw []byte) {
	at := a.at * a.width
	d := a.child.Data
	if cap(d)-at < a.n {
		d = a.grow(at)
	}
	a.at += a.elems
	a.offs[row+1] = int32(a.at)
	copyWords(d[at:at+a.n:cap(d)], raw[a.src:])
}

// grow makes room for an array behind at bytes, which the lists of other events took.
func (a *arrayMove) grow(at int) []byte {
	a.child.Data = slices.Grow(a.child.Data[:at], a.n)
	return a.child.Data
}

// copyWords fills to from the beginning of from, word by word: for the few bytes that
// arrays in records have, a copy costs a call and more.
func copyWords(to, from []byte) {
	le := binary.LittleEndian
	n := len(to)
	from = from[:n]
	switch {
	case n >= 8:
		for j := 8; j < n; j += 8 {
			le.PutUint64(to[j-8:], le.Uint64(from[j-8:]))
		}
		le.PutUint64(to[n-8:], le.Uint64(from[n-8:]))
	case n >= 4:
		le.PutUint32(to, le.Uint32(from))
		le.PutUint32(to[n-4:], le.Uint32(from[n-4:]))
	case n > 0:
		to[0], to[n>>1], to[n-1] = from[0], from[n>>1], from[n-1]
	}
}

// copy appends the numbers of the bits set in the bitmap.
func (v *maskMove) copy(row int, raw []byte) {
	t, _ := v.field.Bytes(raw)
	ch := v.child
	d := ch.Data[:v.at*v.width]
	for j := 0; j < len(t); j += 8 {
		var w uint64
		if len(t)-j >= 8 {
			w = binary.LittleEndian.Uint64(t[j:])
		} else {
			w = loadShort(t[j:])
		}
		for ; w != 0; w &= w - 1 {
			d = appendInt(d, uint64(j*8+bits.TrailingZeros64(w)), v.width)
			v.at++
		}
	}
	ch.Data = d
	v.offs[row+1] = int32(v.at)
}

// copyRare copies what few records have.
func (m *moves) copyRare(row int, raw []byte) {
	i := row & maxRow
	for k := range m.m2 {
		v := &m.m2[k]
		binary.LittleEndian.PutUint16(v.dst[i*2:i*2+2:i*2+2], binary.LittleEndian.Uint16(raw[v.src:]))
	}
	for k := range m.m1 {
		v := &m.m1[k]
		v.dst[i] = raw[v.src]
	}
	for k := range m.bools {
		v := &m.bools[k]
		var one byte
		if raw[v.src] != 0 {
			one = 1
		}
		v.dst[i] = one
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

// begin is where text number row of c is to be appended.
func begin(c *perfpipe.Column, row int) []byte { return c.Data[:c.Offsets[:cap(c.Offsets)][row]] }

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

// extend gives the texts and lists of b the lengths that their offsets say; those of the
// column skip, which the writer fills, stay as they are.
func extend(b *perfpipe.Batch, skip int) {
	for i := range b.Columns {
		c := &b.Columns[i]
		if c.Offsets == nil || i == skip {
			continue
		}
		n := int(c.Offsets[:cap(c.Offsets)][b.Rows])
		if c.Child == nil {
			c.Data = c.Data[:n]
			continue
		}
		c.Child.Len = n
		c.Child.Data = c.Child.Data[:n*c.Child.Type.Width()]
	}
}

// seal gives b's columns the lengths that append leaves out; those of the column skip,
// which the writer fills, stay as they are.
func seal(b *perfpipe.Batch, skip int) {
	extend(b, skip)
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
