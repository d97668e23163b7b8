package collector

import (
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// mergedLayout puts all events into one table with an event column; a field that an
// event does not have is null in its rows. Events that share a table anyway need no
// such column. A file has no room for _stacks: it gets the stacks' texts.
func mergedLayout(schemas []*perfpipe.Schema, meta []map[string]string, o Options) *layout {
	o.StackInline = o.StackInline || o.Stacks
	one := true
	for _, s := range schemas {
		one = one && TableName(s) == TableName(schemas[0])
	}
	if one {
		l := eventLayout(schemas, meta, o)
		l.merged = true
		return l
	}
	u := newUnion(o)
	u.named = true
	u.defs = append(u.defs, perfpipe.ColumnDef{Name: "event", Type: perfpipe.TypeString, Hint: perfpipe.HintFew})
	l := newLayout(len(schemas))
	l.merged = true
	all := make([]int, len(schemas))
	for i := range all {
		all[i] = i
	}
	t, encs := u.table("events", schemas, mergeMeta(schemas, meta))
	l.add(t, all, encs)
	return l
}

// sharedTable is the table of events that name the same one. A field that only some
// have is null in the rows of the others.
func sharedTable(name string, schemas []*perfpipe.Schema, meta []map[string]string, o Options) (*perfpipe.Table, []*encoder) {
	return newUnion(o).table(name, schemas, sharedMeta(schemas, meta))
}

// union gathers the columns of several events. Fields of the same name and type share
// a column, integers of different ones share the smallest that holds both; what
// cannot be shared is called <event>_<field>, or <field>_<type> where the events are
// the sites of one probe.
type union struct {
	o      Options
	defs   []perfpipe.ColumnDef
	byName map[string]int
	// named is true where a column says which event a row is of: fields of all events
	// may then be null, whichever have them.
	named bool
}

func newUnion(o Options) *union {
	return &union{o: o, defs: leadingColumns(o), byName: make(map[string]int)}
}

// place finds the column for d, a column of s, or makes it.
func (u *union) place(s *perfpipe.Schema, d perfpipe.ColumnDef, mine map[int]bool) int {
	event := identifier(s.Name)
	names := []string{d.Name, event + "_" + d.Name, s.System + "_" + event + "_" + d.Name}
	if !u.named {
		names[1] = d.Name + "_" + d.Type.String() // the event is the same
	}
	for _, n := range names {
		at, ok := u.byName[n]
		if !ok {
			return u.append(n, d)
		}
		if mine[at] {
			continue
		}
		if t, same := unify(u.defs[at], d); same {
			u.defs[at].Type = t
			u.defs[at].Nullable = u.defs[at].Nullable || d.Nullable
			return at
		}
	}
	taken := make(map[string]bool)
	for n := range u.byName {
		taken[n] = true
	}
	return u.append(free(taken, names[2]), d)
}

// identifier is the name of an event as a part of a column's: those of probes hold
// colons, brackets and blanks, which make a column that has to be quoted everywhere.
func identifier(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			return c
		}
		return '_'
	}, name)
}

func (u *union) append(name string, d perfpipe.ColumnDef) int {
	d.Name = name
	at := len(u.defs)
	u.byName[name] = at
	u.defs = append(u.defs, d)
	return at
}

// table makes the table of schemas, and for each the way to its rows.
func (u *union) table(name string, schemas []*perfpipe.Schema, meta map[string]string) (*perfpipe.Table, []*encoder) {
	first := len(u.defs)
	for i := range u.defs {
		u.byName[u.defs[i].Name] = i
	}
	all := make([][]op, len(schemas))
	has := make([]map[int]bool, len(schemas))
	for i, s := range schemas {
		own, ops := eventColumns(s, u.o, leadingColumns(u.o))
		has[i] = make(map[int]bool)
		for j := range ops {
			d := own[ops[j].col]
			d.Nullable = d.Nullable || u.named
			ops[j].col = u.place(s, d, has[i])
			has[i][ops[j].col] = true
		}
		all[i] = ops
	}
	end := len(u.defs)
	absent := make([][]int, len(schemas))
	for i := range schemas {
		for c := first; c < end; c++ {
			if !has[i][c] {
				absent[i] = append(absent[i], c)
				u.defs[c].Nullable = true
			}
		}
	}
	u.moveCut(first, end, all, absent)
	defs, tail := trailingColumns(u.o, u.defs)
	t := &perfpipe.Table{Name: name, Columns: defs, Meta: meta}
	eventCol := -1
	if u.named {
		eventCol = leading
	}
	encs := make([]*encoder, len(schemas))
	for i, s := range schemas {
		for j := range all[i] {
			all[i][j].fit(defs[all[i][j].col].Type)
		}
		encs[i] = newEncoder(s, all[i], absent[i], eventCol, tail)
	}
	return t, encs
}

// moveCut puts the column that says whether a text was cut behind all others, where
// the events share a table.
func (u *union) moveCut(first, end int, all [][]op, absent [][]int) {
	at := -1
	for _, ops := range all {
		for i := range ops {
			if ops[i].kind == opCut {
				at = ops[i].col
			}
		}
	}
	if u.named || at < first {
		return
	}
	d := u.defs[at]
	u.defs = append(slices.Delete(u.defs, at, at+1), d)
	moved := func(c int) int {
		switch {
		case c == at:
			return end - 1
		case c > at:
			return c - 1
		}
		return c
	}
	for i := range all {
		for j := range all[i] {
			all[i][j].col = moved(all[i][j].col)
		}
		for j := range absent[i] {
			absent[i][j] = moved(absent[i][j])
		}
	}
}

// fit makes an integer of the width that its column has among several events.
func (p *op) fit(t perfpipe.Type) {
	if !p.integer() {
		return
	}
	p.width = t.Width()
	p.kind = opCopy
	if p.width != p.size || p.field.Signed && p.field.SignBits > 0 {
		p.kind = opWiden
	}
}

// unify returns the type that holds the values of both columns, false where none does.
func unify(a, b perfpipe.ColumnDef) (perfpipe.Type, bool) {
	if a.Type == b.Type {
		return a.Type, a.Elem == b.Elem
	}
	wa, wb := a.Type.Width(), b.Type.Width()
	if wa == 0 || wb == 0 || a.Type == perfpipe.TypeBool || b.Type == perfpipe.TypeBool {
		return perfpipe.TypeInvalid, false
	}
	w := max(wa, wb)
	if a.Type.Signed() == b.Type.Signed() {
		return intType(w, a.Type.Signed()), true
	}
	// A signed type holds an unsigned one that is half as wide.
	unsigned := wa
	if a.Type.Signed() {
		unsigned = wb
	}
	if w <= unsigned {
		w = 2 * unsigned
	}
	if w > 8 {
		return perfpipe.TypeInvalid, false
	}
	return intType(w, true), true
}

// sharedMeta is the metadata of a table that events share: what is the same for all
// stands alone, as for one event.
func sharedMeta(schemas []*perfpipe.Schema, meta []map[string]string) map[string]string {
	out := mergeMeta(schemas, meta)
	for k := range out {
		if k == "event" {
			continue
		}
		v, ok := meta[0][k]
		for _, m := range meta {
			w, has := m[k]
			ok = ok && has && w == v
		}
		if ok {
			out[k] = v
		}
	}
	return out
}

func mergeMeta(schemas []*perfpipe.Schema, meta []map[string]string) map[string]string {
	out := make(map[string]string)
	keys := make(map[string][]string)
	for i, s := range schemas {
		for k, v := range meta[i] {
			if line := s.Event() + "=" + v; !slices.Contains(keys[k], line) {
				keys[k] = append(keys[k], line)
			}
		}
	}
	var names []string
	for _, s := range schemas {
		if !slices.Contains(names, s.Event()) {
			names = append(names, s.Event())
		}
	}
	for k, v := range keys {
		out[k] = strings.Join(v, "\n")
	}
	out["event"] = strings.Join(names, ",")
	return out
}
