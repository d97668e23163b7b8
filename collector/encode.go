package collector

import (
	"encoding/binary"

	"github.com/perfpipe/perfpipe"
)

// opKind is how a field's bytes become a column's.
type opKind uint8

const (
	// opCopy: size bytes in place are the column's value.
	opCopy opKind = iota
	// opWiden: an integer of size bytes in place, widened by its sign to width bytes.
	opWiden
	// opBool: one byte in place, 0 or not.
	opBool
	// opString: text in place or behind a location.
	opString
	// opList: elements of elem bytes, in place or behind a location.
	opList
	// opMask: a bitmap, as the list of its set bits.
	opMask
	// opName: the print format's name for an integer in place.
	opName
	// opText: the text of a probe, which may be null or cut.
	opText
	// opCut: whether a text of the row was cut.
	opCut
	// opNever: null.
	opNever
	// opEmit: what a filter made of the record; off is the number of its column.
	opEmit
)

// op makes one column's value of one field.
type op struct {
	field *perfpipe.Field
	names *names
	off   int
	size  int
	col   int
	// elem is the size of an element in the record, width that of a value in the column.
	elem, width int
	kind        opKind
	signed      bool
}

func (p *op) integer() bool { return p.kind == opCopy || p.kind == opWiden }

// encoder appends the records of one event to batches of one table.
//
// What most fields are, integers and short texts in place, is sorted by width when the
// encoder is made, so that a row is a few short loops of loads and stores: no kinds to
// tell apart, no lengths to keep. Values of a fixed width go to their row's place in
// memory that the batch has already; seal says how many there are.
type encoder struct {
	moves moves
	// ops are the fields that are no plain move.
	ops []op
	// dynamic are the fields whose place is read from the record: they are
	// checked before anything is appended, so that a row is whole or not there.
	dynamic []*perfpipe.Field
	// absent are the columns of a merged table that this event does not have.
	absent []int
	event  string
	// eventCol is the column of the event's name, -1 without.
	eventCol int
	// tail are the columns behind the event's own; plain is true where there is
	// nothing to do but moves.
	tail  tail
	plain bool
	size  int
	// probed are the fields that may be null: whether they are is read from the record.
	probed []*perfpipe.Field
	comms  commCache
	// cut is whether a text of the row being made was cut.
	cut bool
	// late is set where a row is older than one before it in its batch.
	late bool
	// emits is where columns that filters add get their values.
	emits *emission
	// escaped counts the strings that had to be escaped.
	escaped uint64
}

func newEncoder(s *perfpipe.Schema, ops []op, absent []int, eventCol int, t tail) *encoder {
	e := &encoder{absent: absent, event: s.Event(), eventCol: eventCol, size: s.Size, tail: t}
	for i := range ops {
		switch f := ops[i].field; {
		case f == nil:
		case f.Probed != nil:
			e.probed = append(e.probed, f)
		case f.Loc != perfpipe.LocStatic:
			e.dynamic = append(e.dynamic, f)
		}
		if !e.moves.take(&ops[i], s.Size) {
			e.ops = append(e.ops, ops[i])
		}
	}
	e.plain = len(e.ops) == 0 && len(absent) == 0 && eventCol < 0 && t == noTail
	return e
}

// whole reports whether r has everything that its format promises.
func (e *encoder) whole(r *perfpipe.Record) bool {
	if len(r.Raw) < e.size {
		return false
	}
	if len(e.dynamic) == 0 && len(e.probed) == 0 {
		return true
	}
	return e.wholeFields(r)
}

func (e *encoder) wholeFields(r *perfpipe.Record) bool {
	for _, f := range e.dynamic {
		if _, ok := f.Bytes(r.Raw); !ok {
			return false
		}
	}
	for _, f := range e.probed {
		ok := false
		if f.Kind == perfpipe.KindString {
			_, _, _, ok = f.Text(r.Raw)
		} else {
			_, ok = f.Present(r.Raw)
		}
		if !ok {
			return false
		}
	}
	return true
}

// append appends r, which must be whole, as a row of b, which must have room for it and
// be sealed before it is read. offset is what is added to CLOCK_MONOTONIC for the wall
// clock, in nanoseconds. It allocates only where a column of texts or lists outgrows
// its memory.
func (e *encoder) append(b *perfpipe.Batch, r *perfpipe.Record, offset int64) {
	m := &e.moves
	if m.batch != b {
		m.bind(b, e.tail.stack)
	} else if m.next != b.Rows {
		m.follow(b.Rows)
	}
	// Calls come first and last: around each of them everything is stored and loaded.
	t := &e.comms[uint32(r.TID)%commSlots]
	if t.comm != r.Comm {
		t.set(r.Comm)
	}
	raw := r.Raw
	i := m.next & maxRow
	m.next = i + 1
	if d := m.comm.to.Data; t.known && cap(d)-m.comm.at >= 16 {
		at := m.comm.at
		*(*[16]byte)(d[at : at+16 : cap(d)]) = t.text
		m.comm.at = at + t.n
		m.comm.offs[i+1] = int32(at + t.n)
	} else {
		m.comm.at = e.comm(m.comm.to, i, r.Comm)
	}
	le := binary.LittleEndian
	m8, m4 := m.m8, m.m4
	le.PutUint64(m.time[i*8:i*8+8:i*8+8], uint64((r.Time+offset)/1000))
	le.PutUint64(m.ts[i*8:i*8+8:i*8+8], uint64(r.Time))
	for k := range m8 {
		v := &m8[k]
		le.PutUint64(v.dst[i*8:i*8+8:i*8+8], le.Uint64(raw[v.src:v.src+8:v.src+8]))
	}
	le.PutUint32(m.pid[i*4:i*4+4:i*4+4], uint32(r.PID))
	le.PutUint32(m.tid[i*4:i*4+4:i*4+4], uint32(r.TID))
	for k := range m4 {
		v := &m4[k]
		le.PutUint32(v.dst[i*4:i*4+4:i*4+4], le.Uint32(raw[v.src:v.src+4:v.src+4]))
	}
	if m.cpu4 == nil {
		le.PutUint16(m.cpu[i*2:i*2+2:i*2+2], r.CPU)
	} else {
		le.PutUint32(m.cpu4[i*4:i*4+4:i*4+4], uint32(r.CPU))
	}
	if a := m.args; a != nil {
		d, at := a.child.Data, a.at*8
		if cap(d)-at < argBytes {
			d = a.grow(at)
		}
		a.at += argBytes / 8
		a.offs[i+1] = int32(a.at)
		// Word by word: a copy of so many bytes is a call.
		to, from := d[at:at+argBytes:cap(d)], raw[a.src:a.src+argBytes:a.src+argBytes]
		le.PutUint64(to, le.Uint64(from))
		le.PutUint64(to[8:], le.Uint64(from[8:]))
		le.PutUint64(to[16:], le.Uint64(from[16:]))
		le.PutUint64(to[24:], le.Uint64(from[24:]))
		le.PutUint64(to[32:], le.Uint64(from[32:]))
		le.PutUint64(to[40:], le.Uint64(from[40:]))
	}
	if i == 0 {
		b.MinTime, b.MaxTime = r.Time, r.Time
	} else if r.Time >= b.MaxTime {
		b.MaxTime = r.Time
	} else {
		e.late = true
		b.MinTime = min(b.MinTime, r.Time)
	}
	if len(m.names) > 0 {
		e.copyNames(i, raw)
	}
	if m.rare {
		m.copyRare(i, raw)
	}
	if m.varying {
		e.copyVarying(i, raw)
	}
	if !e.plain {
		e.appendRest(b, r)
	}
	b.Rows = i + 1
	if b.Rows%lengthsEvery == 0 {
		extend(b, e.tail.stack)
	}
}

// appendRest appends what is no plain move.
func (e *encoder) appendRest(b *perfpipe.Batch, r *perfpipe.Record) {
	row := b.Rows
	if e.eventCol >= 0 {
		c := &b.Columns[e.eventCol]
		c.Data = append(begin(c, row), e.event...)
		end(c, row, len(c.Data))
	}
	for i := range e.ops {
		e.field(&e.ops[i], b, r)
	}
	for _, i := range e.absent {
		putNull(&b.Columns[i], row)
	}
	if e.tail != noTail {
		e.appendTail(b, r)
	}
}

// field appends the value of one field that is no plain move.
func (e *encoder) field(p *op, b *perfpipe.Batch, r *perfpipe.Record) {
	row := b.Rows
	c := &b.Columns[p.col]
	if p.kind == opEmit {
		e.emit(p, c, row)
		return
	}
	if c.Valid != nil {
		if p.field != nil && p.field.Probed != nil {
			if !e.probe(p, c, row, r.Raw) {
				return
			}
		} else {
			setValid(c, row)
		}
	}
	switch p.kind {
	case opCopy, opWiden:
		v, _ := p.field.Uint(r.Raw)
		put(c, row, v)
	case opCut:
		var v uint64
		if e.cut {
			v = 1
		}
		put(c, row, v)
		e.cut = false
	case opBool:
		var v uint64
		if r.Raw[p.off] != 0 {
			v = 1
		}
		put(c, row, v)
	case opString:
		t, _ := p.field.Bytes(r.Raw)
		e.text(c, row, len(begin(c, row)), t)
	case opName:
		v, _ := p.field.Uint(r.Raw)
		c.Data = p.names.append(begin(c, row), v)
		end(c, row, len(c.Data))
	default:
		t, _ := p.field.Bytes(r.Raw)
		p.list(c, row, t)
	}
}

// probe appends what a probe's field has where that is a null or a text, and reports
// whether the value is still to be appended.
func (e *encoder) probe(p *op, c *perfpipe.Column, row int, raw []byte) bool {
	if p.kind == opText {
		t, present, cut, ok := p.field.Text(raw)
		e.cut = e.cut || cut
		if !present || !ok {
			putNull(c, row)
			return false
		}
		setValid(c, row)
		c.Data = e.bytes(begin(c, row), t)
		end(c, row, len(c.Data))
		return false
	}
	if present, ok := p.field.Present(raw); !present || !ok {
		putNull(c, row)
		return false
	}
	setValid(c, row)
	return true
}

// appendTail appends to the columns behind the event's own. The column stack is the
// writer's.
func (e *encoder) appendTail(b *perfpipe.Batch, r *perfpipe.Record) {
	if e.tail.stackID >= 0 {
		c := &b.Columns[e.tail.stackID]
		if r.Stack == 0 {
			putNull(c, b.Rows)
		} else {
			setValid(c, b.Rows)
			put(c, b.Rows, r.Stack)
		}
	}
	if e.tail.cgroup >= 0 {
		put(&b.Columns[e.tail.cgroup], b.Rows, r.Cgroup)
	}
}

// list appends an array.
func (p *op) list(c *perfpipe.Column, row int, t []byte) {
	ch := c.Child
	n := int(c.Offsets[:cap(c.Offsets)][row])
	d := ch.Data[:n*ch.Type.Width()]
	if p.width == p.elem {
		k := len(t) / p.elem
		d = append(d, t[:k*p.elem]...)
		n += k
	} else {
		for ; len(t) >= p.elem; t = t[p.elem:] {
			v, _ := perfpipe.LoadInt(t[:p.elem], p.signed)
			d = appendInt(d, v, p.width)
			n++
		}
	}
	ch.Data = d
	end(c, row, n)
}

func appendInt(b []byte, v uint64, width int) []byte {
	switch width {
	case 1:
		return append(b, byte(v))
	case 2:
		return binary.LittleEndian.AppendUint16(b, uint16(v))
	case 4:
		return binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(b, v)
}

// bytes appends s as UTF-8 and counts the strings that needed escapes.
func (e *encoder) bytes(dst, s []byte) []byte {
	dst, escaped := perfpipe.AppendText(dst, s)
	if escaped {
		e.escaped++
	}
	return dst
}
