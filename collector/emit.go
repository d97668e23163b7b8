package collector

import (
	"slices"

	"github.com/perfpipe/perfpipe"
)

// Emitter is a [Filter] that remembers records, or adds columns to the rows that it
// lets through. It is asked for every record of its event, in their order, whatever
// other filters say of it.
type Emitter interface {
	Filter
	// Columns are those that it adds; of no other types than integers, bool and text.
	Columns() []perfpipe.ColumnDef
	// Value is what the record that Match was last asked about has in column i: an
	// integer (0 or 1 for bool), or text, which belongs to the record; ok is false for
	// a null.
	Value(i int) (v uint64, text []byte, ok bool)
}

// emission is what the filters of one event add to its rows.
type emission struct {
	filters []Filter
	// passed says of each of them whether it let the current record through.
	passed []bool
	cols   []emitted
}

// emitted is one added column.
type emitted struct {
	def  perfpipe.ColumnDef
	from []emitter
}

// emitter is where a column's value comes from: column i of filter number k.
type emitter struct {
	e    Emitter
	k, i int
}

// newEmission returns what the filters of an event add, nil where none is an Emitter.
func newEmission(list []Filter) *emission {
	if !slices.ContainsFunc(list, func(f Filter) bool { _, ok := f.(Emitter); return ok }) {
		return nil
	}
	m := &emission{filters: list, passed: make([]bool, len(list))}
	for k, f := range list {
		e, ok := f.(Emitter)
		if !ok {
			continue
		}
		for i, d := range e.Columns() {
			// What another filter lets through may have no value.
			d.Nullable = d.Nullable || len(list) > 1
			m.add(d, emitter{e, k, i})
		}
	}
	return m
}

// add puts a column beside those of the same name and type.
func (m *emission) add(d perfpipe.ColumnDef, from emitter) {
	for i := range m.cols {
		if c := &m.cols[i]; c.def.Name == d.Name && c.def.Type == d.Type {
			c.from = append(c.from, from)
			return
		}
	}
	m.cols = append(m.cols, emitted{d, []emitter{from}})
}

// value is that of column i for the current record.
func (m *emission) value(i int) (v uint64, text []byte, ok bool) {
	for _, f := range m.cols[i].from {
		if !m.passed[f.k] {
			continue
		}
		if v, text, ok = f.e.Value(f.i); ok {
			return v, text, true
		}
	}
	return 0, nil, false
}

// emissions are what the filters add, by event; nil where none adds anything.
func emissions(filters [][]Filter) []*emission {
	var out []*emission
	for ev, list := range filters {
		if m := newEmission(list); m != nil {
			if out == nil {
				out = make([]*emission, len(filters))
			}
			out[ev] = m
		}
	}
	return out
}

// emitColumns appends the columns that the filters of s's event add.
func emitColumns(s *perfpipe.Schema, o Options, taken map[string]bool, defs []perfpipe.ColumnDef, ops []op) ([]perfpipe.ColumnDef, []op) {
	m := o.emits[s]
	if m == nil {
		return defs, ops
	}
	for i := range m.cols {
		def := m.cols[i].def
		def.Name, def.Type = free(taken, def.Name), widen(def.Type, o)
		ops = append(ops, op{kind: opEmit, off: i, col: len(defs)})
		defs = append(defs, def)
	}
	return defs, ops
}

// startEmissions tells the columns' options what the filters add.
func (r *run) startEmissions(schemas []*perfpipe.Schema) {
	r.emits = emissions(r.cfg.Filters)
	if r.emits == nil {
		return
	}
	r.cfg.Columns.emits = make(map[*perfpipe.Schema]*emission)
	for ev, m := range r.emits {
		if m != nil {
			r.cfg.Columns.emits[schemas[ev]] = m
		}
	}
}

// connect tells the encoders where added columns get their values.
func (r *run) connect(l *layout) {
	for ev, m := range r.emits {
		l.encs[ev].emits = m
	}
}

// passEmitting is pass where filters remember: all of them see the record.
func (r *run) passEmitting(rec *perfpipe.Record, m *emission) bool {
	any, dropped := false, false
	for k, f := range m.filters {
		if _, remembers := f.(Emitter); any && !remembers {
			m.passed[k] = false
			continue
		}
		ok, fault := f.Match(rec)
		if fault != 0 {
			r.countFault(rec.Event, fault)
			dropped = dropped || !ok
		}
		m.passed[k] = ok
		any = any || ok
	}
	if !any {
		r.refuse(rec, dropped)
	}
	return any
}

// emit appends what the filters made of the record.
func (e *encoder) emit(p *op, c *perfpipe.Column, row int) {
	v, text, ok := e.emits.value(p.off)
	if c.Valid != nil {
		if !ok {
			putNull(c, row)
			return
		}
		setValid(c, row)
	}
	if c.Type == perfpipe.TypeString {
		c.Data = e.bytes(begin(c, row), text)
		end(c, row, len(c.Data))
		return
	}
	put(c, row, v)
}
