package collector

import (
	"fmt"

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
	// Stacks adds the column stack_id, null where a record has no call chain, and to
	// datasets the tables _stacks and _frames. Files of one table, which have no room
	// for these, get the column stack as with StackInline.
	Stacks bool
	// StackInline adds the column stack: the frames as text, the innermost first. It
	// implies Stacks.
	StackInline bool
	// Cgroup adds the column cgroup, the id of the task's cgroup.
	Cgroup bool
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
	case "time", "ts", "cpu", "pid", "tid", "comm", "event", "stack_id", "stack", "cgroup", "period":
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
	// tables and encs are indexed by event; events that share a table have the same.
	tables []*perfpipe.Table
	encs   []*encoder
	// slots number the tables from 0, by event; count is how many there are.
	slots []int
	count int
	// bySlot are the encoders of a table, all with the same tail.
	bySlot [][]*encoder
	merged bool
}

// add puts events, given by their places in the source, into t.
func (l *layout) add(t *perfpipe.Table, events []int, encs []*encoder) {
	for i, ev := range events {
		l.tables[ev], l.encs[ev], l.slots[ev] = t, encs[i], l.count
	}
	l.count++
	l.bySlot = append(l.bySlot, encs)
}

func newLayout(events int) *layout {
	return &layout{tables: make([]*perfpipe.Table, events), encs: make([]*encoder, events), slots: make([]int, events)}
}

// TableName is the name of an event's table: "sched.sched_switch".
func TableName(s *perfpipe.Schema) string {
	if s.Table != "" {
		return s.Table
	}
	return s.System + "." + s.Name
}

// eventLayout gives every event a table of its own, but one to those that name the same.
func eventLayout(schemas []*perfpipe.Schema, meta []map[string]string, o Options) *layout {
	l := newLayout(len(schemas))
	groups := make(map[string][]int)
	var names []string
	for i, s := range schemas {
		n := TableName(s)
		if groups[n] == nil {
			names = append(names, n)
		}
		groups[n] = append(groups[n], i)
	}
	for _, n := range names {
		g := groups[n]
		if len(g) > 1 {
			t, encs := sharedTable(n, pick(schemas, g), pick(meta, g), o)
			l.add(t, g, encs)
			continue
		}
		s := schemas[g[0]]
		defs, ops := eventColumns(s, o, leadingColumns(o))
		defs, tail := trailingColumns(o, defs)
		t := &perfpipe.Table{Name: n, Columns: defs, Meta: meta[g[0]]}
		l.add(t, g, []*encoder{newEncoder(s, ops, nil, -1, tail)})
	}
	return l
}

func pick[T any](list []T, at []int) []T {
	out := make([]T, len(at))
	for i, k := range at {
		out[i] = list[k]
	}
	return out
}

// eventColumns appends the columns of s's own fields to defs and says how each is made.
func eventColumns(s *perfpipe.Schema, o Options, defs []perfpipe.ColumnDef) ([]perfpipe.ColumnDef, []op) {
	var ops []op
	taken := make(map[string]bool)
	for i := range defs {
		taken[defs[i].Name] = true
	}
	cuts := false
	for i := range s.Fields {
		f := &s.Fields[i]
		def, o1 := fieldColumn(f, o)
		def.Name = free(taken, def.Name)
		o1.col = len(defs)
		defs, ops = append(defs, def), append(ops, o1)
		cuts = cuts || o1.kind == opText && f.Probed.Mask == 0
		if o.Names && len(f.Symbols) > 0 && o1.integer() {
			nd := perfpipe.ColumnDef{Name: free(taken, def.Name+"_name"), Type: perfpipe.TypeString, Hint: perfpipe.HintFew, Nullable: def.Nullable}
			no := op{kind: opName, off: f.Offset, size: f.Size, signed: f.Signed, names: newNames(f), col: len(defs), field: f}
			defs, ops = append(defs, nd), append(ops, no)
		}
	}
	if cuts {
		def := perfpipe.ColumnDef{Name: free(taken, "truncated"), Type: perfpipe.TypeBool, Hint: perfpipe.HintFew}
		ops = append(ops, op{kind: opCut, col: len(defs)})
		defs = append(defs, def)
	}
	return defs, ops
}

// tail says where the columns behind an event's own are, -1 for those that are not.
type tail struct{ stackID, stack, cgroup int }

// noTail is that of a table without such columns.
var noTail = tail{-1, -1, -1}

// trailingColumns appends the columns that stand behind those of the fields. The
// writer fills the column stack: texts are made on its side.
func trailingColumns(o Options, defs []perfpipe.ColumnDef) ([]perfpipe.ColumnDef, tail) {
	t := noTail
	if o.Stacks {
		t.stackID = len(defs)
		defs = append(defs, perfpipe.ColumnDef{Name: "stack_id", Type: widen(perfpipe.TypeUint64, o), Nullable: true, Hint: perfpipe.HintFew})
	}
	if o.StackInline {
		t.stack = len(defs)
		defs = append(defs, perfpipe.ColumnDef{Name: "stack", Type: perfpipe.TypeList, Elem: perfpipe.TypeString, Nullable: true, Hint: perfpipe.HintFew})
	}
	if o.Cgroup {
		t.cgroup = len(defs)
		defs = append(defs, perfpipe.ColumnDef{Name: "cgroup", Type: widen(perfpipe.TypeUint64, o), Hint: perfpipe.HintFew})
	}
	return defs, t
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
	def := perfpipe.ColumnDef{Name: ColumnName(f.Name), CType: f.CType, Nullable: f.Probed != nil}
	p := op{off: f.Offset, size: f.Size, signed: f.Signed, field: f}
	switch {
	case f.Probed != nil && f.Probed.Never:
		def.Type, p.kind = neverType(f, o), opNever
		if def.Type == perfpipe.TypeString {
			def.Hint = perfpipe.HintFew
		}
	case f.Kind == perfpipe.KindString && f.Probed != nil:
		def.Type, def.Hint, p.kind = perfpipe.TypeString, perfpipe.HintFew, opText
	case f.CType == nameType && len(f.Symbols) > 0 && f.Loc == perfpipe.LocStatic && !f.Array:
		def.Type, def.Hint, p.kind = perfpipe.TypeString, perfpipe.HintFew, opName
		p.names = newNames(f)
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
		p.width = def.Type.Width()
		if p.width != f.Size || f.Signed && f.SignBits > 0 {
			p.kind = opWiden
		}
	}
	return def, p
}

// nameType is the CType of integers in made-up schemas that stand for a text: their
// column holds the symbol's name.
const nameType = "name"

// neverType is the type of a column whose every row is null: that which the field
// would have, an s64 where there is none, as for a double.
func neverType(f *perfpipe.Field, o Options) perfpipe.Type {
	if f.Kind == perfpipe.KindString {
		return perfpipe.TypeString
	}
	t := intType(f.Size, f.Signed)
	switch {
	case f.Kind == perfpipe.KindBool:
		return perfpipe.TypeBool
	case f.Array || f.Loc != perfpipe.LocStatic || f.Kind == perfpipe.KindBytes || t == perfpipe.TypeInvalid:
		return perfpipe.TypeInt64
	}
	return widen(t, o)
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
