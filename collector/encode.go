package collector

import (
	"bytes"
	"encoding/binary"
	"math/bits"

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
type encoder struct {
	ops []op
	// dynamic are the fields whose place is read from the record: they are
	// checked before anything is appended, so that a row is whole or not there.
	dynamic []*perfpipe.Field
	// absent are the columns of a merged table that this event does not have.
	absent []int
	event  string
	// eventCol is the column of the event's name, -1 without.
	eventCol int
	// tail are the columns behind the event's own; plain is true where there are none.
	tail  tail
	plain bool
	size  int
	// probed are the fields that may be null: whether they are is read from the record.
	probed []*perfpipe.Field
	// cut is whether a text of the row being made was cut.
	cut bool
	// emits is where columns that filters add get their values.
	emits *emission
	// escaped counts the strings that had to be escaped.
	escaped uint64
}

func newEncoder(s *perfpipe.Schema, ops []op, absent []int, eventCol int, t tail) *encoder {
	e := &encoder{ops: ops, absent: absent, event: s.Event(), eventCol: eventCol, size: s.Size, tail: t, plain: t == tail{-1, -1, -1}}
	for i := range ops {
		switch f := ops[i].field; {
		case f == nil:
		case f.Probed != nil:
			e.probed = append(e.probed, f)
		case f.Loc != perfpipe.LocStatic:
			e.dynamic = append(e.dynamic, f)
		}
	}
	return e
}

// whole reports whether r has everything that its format promises.
func (e *encoder) whole(r *perfpipe.Record) bool {
	if len(r.Raw) < e.size {
		return false
	}
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

// append appends r, which must be whole, as a row of b. offset is what is added
// to CLOCK_MONOTONIC for the wall clock, in nanoseconds. It allocates only
// where a column outgrows its memory.
func (e *encoder) append(b *perfpipe.Batch, r *perfpipe.Record, offset int64) {
	cols := b.Columns
	le := binary.LittleEndian
	c := &cols[colTime]
	c.Data = le.AppendUint64(c.Data, uint64((r.Time+offset)/1000))
	c = &cols[colTS]
	c.Data = le.AppendUint64(c.Data, uint64(r.Time))
	c = &cols[colCPU]
	if c.Type == perfpipe.TypeUint16 {
		c.Data = le.AppendUint16(c.Data, r.CPU)
	} else {
		c.Data = le.AppendUint32(c.Data, uint32(r.CPU))
	}
	c = &cols[colPID]
	c.Data = le.AppendUint32(c.Data, uint32(r.PID))
	c = &cols[colTID]
	c.Data = le.AppendUint32(c.Data, uint32(r.TID))
	c = &cols[colComm]
	c.Data = e.text(c.Data, r.Comm)
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	if e.eventCol >= 0 {
		c = &cols[e.eventCol]
		c.Data = append(c.Data, e.event...)
		c.Offsets = append(c.Offsets, int32(len(c.Data)))
	}
	for i := range e.ops {
		p := &e.ops[i]
		c := &cols[p.col]
		if p.kind == opEmit {
			e.emit(p, c, b.Rows)
			continue
		}
		if c.Valid != nil {
			if p.field != nil && p.field.Probed != nil {
				if !e.probe(p, c, b.Rows, r.Raw) {
					continue
				}
			} else {
				setValid(c, b.Rows)
			}
		}
		switch p.kind {
		case opCopy:
			c.Data = append(c.Data, r.Raw[p.off:p.off+p.size]...)
		case opWiden:
			v, _ := p.field.Uint(r.Raw)
			c.Data = appendInt(c.Data, v, p.width)
		case opCut:
			var v byte
			if e.cut {
				v = 1
			}
			c.Data, e.cut = append(c.Data, v), false
		case opBool:
			var v byte
			if r.Raw[p.off] != 0 {
				v = 1
			}
			c.Data = append(c.Data, v)
		case opString:
			t, _ := p.field.Bytes(r.Raw)
			if n := bytes.IndexByte(t, 0); n >= 0 {
				t = t[:n]
			}
			c.Data = e.bytes(c.Data, t)
			c.Offsets = append(c.Offsets, int32(len(c.Data)))
		case opName:
			v, _ := p.field.Uint(r.Raw)
			c.Data = p.names.append(c.Data, v)
			c.Offsets = append(c.Offsets, int32(len(c.Data)))
		default:
			t, _ := p.field.Bytes(r.Raw)
			p.list(c, t)
		}
	}
	for _, i := range e.absent {
		appendNull(&cols[i], b.Rows)
	}
	if !e.plain {
		e.appendTail(b, r)
	}
	if b.Rows == 0 {
		b.MinTime, b.MaxTime = r.Time, r.Time
	}
	b.MinTime, b.MaxTime = min(b.MinTime, r.Time), max(b.MaxTime, r.Time)
	b.Rows++
}

// probe appends what a probe's field has where that is a null or a text, and reports
// whether the value is still to be appended.
func (e *encoder) probe(p *op, c *perfpipe.Column, row int, raw []byte) bool {
	if p.kind == opText {
		t, present, cut, ok := p.field.Text(raw)
		e.cut = e.cut || cut
		if !present || !ok {
			appendNull(c, row)
			return false
		}
		setValid(c, row)
		c.Data = e.bytes(c.Data, t)
		c.Offsets = append(c.Offsets, int32(len(c.Data)))
		return false
	}
	if present, ok := p.field.Present(raw); !present || !ok {
		appendNull(c, row)
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
			appendNull(c, b.Rows)
		} else {
			setValid(c, b.Rows)
			c.Data = binary.LittleEndian.AppendUint64(c.Data, r.Stack)
		}
	}
	if e.tail.cgroup >= 0 {
		c := &b.Columns[e.tail.cgroup]
		c.Data = binary.LittleEndian.AppendUint64(c.Data, r.Cgroup)
	}
}

// list appends an array, or the numbers of the bits set in a mask.
func (p *op) list(c *perfpipe.Column, t []byte) {
	ch := c.Child
	switch {
	case p.kind == opMask:
		for i, m := range t {
			for ; m != 0; m &= m - 1 {
				ch.Data = appendInt(ch.Data, uint64(i*8+bits.TrailingZeros8(m)), ch.Type.Width())
				ch.Len++
			}
		}
	case p.width == p.elem:
		n := len(t) / p.elem
		ch.Data = append(ch.Data, t[:n*p.elem]...)
		ch.Len += n
	default:
		for ; len(t) >= p.elem; t = t[p.elem:] {
			v, _ := perfpipe.LoadInt(t[:p.elem], p.signed)
			ch.Data = appendInt(ch.Data, v, p.width)
			ch.Len++
		}
	}
	c.Offsets = append(c.Offsets, int32(ch.Len))
}

// seal sets the lengths that append leaves out.
func seal(b *perfpipe.Batch) {
	for i := range b.Columns {
		b.Columns[i].Len = b.Rows
	}
}

func setValid(c *perfpipe.Column, row int) {
	if row%8 == 0 {
		c.Valid = append(c.Valid, 0)
	}
	c.Valid[row/8] |= 1 << (row % 8)
}

// appendNull appends a null as value number row.
func appendNull(c *perfpipe.Column, row int) {
	if row%8 == 0 {
		c.Valid = append(c.Valid, 0)
	}
	if c.Offsets != nil {
		c.Offsets = append(c.Offsets, c.Offsets[len(c.Offsets)-1])
	} else {
		c.Data = appendInt(c.Data, 0, c.Type.Width())
	}
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

// text and bytes append s as UTF-8 and count the strings that needed escapes.
func (e *encoder) text(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 || s[i] == '\\' {
			return e.bytes(dst, []byte(s))
		}
	}
	return append(dst, s...)
}

func (e *encoder) bytes(dst, s []byte) []byte {
	dst, escaped := perfpipe.AppendText(dst, s)
	if escaped {
		e.escaped++
	}
	return dst
}
