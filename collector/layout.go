package collector

import (
	"fmt"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// Options say how the columns of events look.
type Options struct {
	// Names adds a column <field>_name beside integers for which the event's
	// print format has names.
	Names bool
	// Portable widens unsigned columns to signed ones that hold them, for readers
	// that have no unsigned types; u64 becomes s64 with the same bits.
	Portable bool
}

// Columns that every table of events begins with.
const (
	colTime = iota
	colTS
	colCPU
	colPID
	colTID
	colComm
	leading
)

func leadingColumns(o Options) []perfpipe.ColumnDef {
	cpu := perfpipe.TypeUint16
	if o.Portable {
		cpu = perfpipe.TypeInt32
	}
	return []perfpipe.ColumnDef{
		colTime: {Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		colTS:   {Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		colCPU:  {Name: "cpu", Type: cpu, Hint: perfpipe.HintFew},
		colPID:  {Name: "pid", Type: perfpipe.TypeInt32, Hint: perfpipe.HintFew},
		colTID:  {Name: "tid", Type: perfpipe.TypeInt32, Hint: perfpipe.HintFew},
		colComm: {Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
	}
}

// reserved are the names that a field may not bear in a table.
func reserved(name string) bool {
	switch name {
	case "time", "ts", "cpu", "pid", "tid", "comm", "event", "stack", "cgroup", "period":
		return true
	}
	return false
}

// ColumnName returns the name that an event's field has in tables: the kernel's,
// or args_<name> where every table has a column of that name already.
func ColumnName(field string) string {
	if reserved(field) {
		return "args_" + field
	}
	return field
}

// layout is one way to make tables of a source's events: a table an event, or one for all.
type layout struct {
	// tables are indexed by event; under a merged layout all are the same.
	tables []*perfpipe.Table
	encs   []*encoder
	merged bool
}

// TableName is the name of an event's table: "sched.sched_switch".
func TableName(s *perfpipe.Schema) string {
	if s.Table != "" {
		return s.Table
	}
	return s.System + "." + s.Name
}

// eventLayout gives every event a table of its own.
func eventLayout(schemas []*perfpipe.Schema, meta []map[string]string, o Options) *layout {
	l := &layout{}
	for i, s := range schemas {
		defs, ops := eventColumns(s, o, leadingColumns(o))
		l.tables = append(l.tables, &perfpipe.Table{Name: TableName(s), Columns: defs, Meta: meta[i]})
		l.encs = append(l.encs, newEncoder(s, ops, nil, -1))
	}
	return l
}

// eventColumns appends the columns of s's own fields to defs and says how each is made.
func eventColumns(s *perfpipe.Schema, o Options, defs []perfpipe.ColumnDef) ([]perfpipe.ColumnDef, []op) {
	var ops []op
	taken := make(map[string]bool)
	for i := range defs {
		taken[defs[i].Name] = true
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		def, o1 := fieldColumn(f, o)
		def.Name = free(taken, def.Name)
		o1.col = len(defs)
		defs, ops = append(defs, def), append(ops, o1)
		if o.Names && len(f.Symbols) > 0 && o1.integer() {
			nd := perfpipe.ColumnDef{Name: free(taken, def.Name+"_name"), Type: perfpipe.TypeString, Hint: perfpipe.HintFew}
			no := op{kind: opName, off: f.Offset, size: f.Size, signed: f.Signed, names: newNames(f), col: len(defs)}
			defs, ops = append(defs, nd), append(ops, no)
		}
	}
	return defs, ops
}

// free returns name, or name with a number behind it where it is taken.
func free(taken map[string]bool, name string) string {
	n := name
	for i := 2; taken[n]; i++ {
		n = fmt.Sprintf("%s_%d", name, i)
	}
	taken[n] = true
	return n
}

// fieldColumn says what column a field becomes.
func fieldColumn(f *perfpipe.Field, o Options) (perfpipe.ColumnDef, op) {
	def := perfpipe.ColumnDef{Name: ColumnName(f.Name), CType: f.CType}
	p := op{off: f.Offset, size: f.Size, signed: f.Signed, field: f}
	switch {
	case f.Kind == perfpipe.KindString:
		def.Type, def.Hint, p.kind = perfpipe.TypeString, perfpipe.HintFew, opString
	case f.Kind == perfpipe.KindCPUMask:
		def.Type, def.Elem, p.kind = perfpipe.TypeList, widen(perfpipe.TypeUint16, o), opMask
	case f.Array || f.Loc != perfpipe.LocStatic || f.Kind == perfpipe.KindBytes || intType(f.Size, f.Signed) == perfpipe.TypeInvalid:
		elem := intType(f.ElemSize, f.Signed)
		p.elem = f.ElemSize
		if !f.Array && f.Kind == perfpipe.KindBytes || elem == perfpipe.TypeInvalid {
			elem, p.elem = perfpipe.TypeUint8, 1
		}
		def.Type, def.Elem, p.kind = perfpipe.TypeList, widen(elem, o), opList
		p.signed = elem.Signed()
		p.width = def.Elem.Width()
	case f.Kind == perfpipe.KindBool:
		def.Type, p.kind = perfpipe.TypeBool, opBool
	default:
		t := intType(f.Size, f.Signed)
		def.Type = widen(t, o)
		p.kind = opCopy
		if def.Type.Width() != f.Size {
			p.kind = opWiden
		}
		p.width = def.Type.Width()
	}
	return def, p
}

// intType is the type of an integer of size bytes, TypeInvalid for odd sizes.
func intType(size int, signed bool) perfpipe.Type {
	var t perfpipe.Type
	switch size {
	case 1:
		t = perfpipe.TypeUint8
	case 2:
		t = perfpipe.TypeUint16
	case 4:
		t = perfpipe.TypeUint32
	case 8:
		t = perfpipe.TypeUint64
	default:
		return perfpipe.TypeInvalid
	}
	if signed {
		t -= perfpipe.TypeUint8 - perfpipe.TypeInt8
	}
	return t
}

// widen is what becomes of an unsigned type under Options.Portable.
func widen(t perfpipe.Type, o Options) perfpipe.Type {
	if !o.Portable {
		return t
	}
	switch t {
	case perfpipe.TypeUint8:
		return perfpipe.TypeInt16
	case perfpipe.TypeUint16:
		return perfpipe.TypeInt32
	case perfpipe.TypeUint32, perfpipe.TypeUint64:
		return perfpipe.TypeInt64
	}
	return t
}

// mergedLayout puts all events into one table with an event column; a field that an
// event does not have is null in its rows. Fields of the same name and type share a
// column, integers of different ones share the smallest that holds both; what
// cannot be shared is called <event>_<field>.
func mergedLayout(schemas []*perfpipe.Schema, meta []map[string]string, o Options) *layout {
	if len(schemas) == 1 {
		l := eventLayout(schemas, meta, o)
		l.merged = true
		return l
	}
	defs := append(leadingColumns(o), perfpipe.ColumnDef{Name: "event", Type: perfpipe.TypeString, Hint: perfpipe.HintFew})
	first := len(defs)
	byName := make(map[string]int)
	for i := range defs {
		byName[defs[i].Name] = i
	}
	all := make([][]op, len(schemas))
	for i, s := range schemas {
		own, ops := eventColumns(s, o, leadingColumns(o))
		for j := range ops {
			d := own[ops[j].col]
			d.Nullable = true
			at, ok := byName[d.Name]
			if ok {
				t, same := unify(defs[at], d)
				if !same {
					d.Name = s.Name + "_" + d.Name
					if at, ok = byName[d.Name]; ok {
						t, same = unify(defs[at], d)
					}
				}
				if ok && same {
					defs[at].Type = t
				} else if ok {
					d.Name = s.System + "_" + d.Name
					ok = false
				}
			}
			if !ok {
				at = len(defs)
				byName[d.Name] = at
				defs = append(defs, d)
			}
			ops[j].col = at
		}
		all[i] = ops
	}
	t := &perfpipe.Table{Name: "events", Columns: defs, Meta: mergeMeta(schemas, meta)}
	l := &layout{merged: true}
	for i, s := range schemas {
		has := make(map[int]bool)
		for j := range all[i] {
			p := &all[i][j]
			has[p.col] = true
			if p.kind == opCopy || p.kind == opWiden {
				p.width = defs[p.col].Type.Width()
				p.kind = opCopy
				if p.width != p.size {
					p.kind = opWiden
				}
			}
		}
		var absent []int
		for c := first; c < len(defs); c++ {
			if !has[c] {
				absent = append(absent, c)
			}
		}
		l.tables = append(l.tables, t)
		l.encs = append(l.encs, newEncoder(s, all[i], absent, leading))
	}
	return l
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

func mergeMeta(schemas []*perfpipe.Schema, meta []map[string]string) map[string]string {
	out := make(map[string]string)
	keys := make(map[string][]string)
	for i, s := range schemas {
		for k, v := range meta[i] {
			keys[k] = append(keys[k], s.Event()+"="+v)
		}
	}
	names := make([]string, len(schemas))
	for i, s := range schemas {
		names[i] = s.Event()
	}
	for k, v := range keys {
		out[k] = strings.Join(v, "\n")
	}
	out["event"] = strings.Join(names, ",")
	return out
}
