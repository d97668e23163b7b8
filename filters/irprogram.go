package filters

import (
	"github.com/perfpipe/perfpipe/filters/syntax"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// The intermediate form of programs: statements over the typed trees of ir.go. Names
// are resolved to variables, cells and tables; constants are folded; every value that
// is kept has been cut to its type. All tiers are made from it, and what it says is
// what counts:
//
//   - A predicate is a leaf of a condition that is no constant: what opNot, opAnd, opOr
//     and the opCond of conditions join. It costs 1 of the budget, once it is decided.
//   - A call of a declared function costs 1, when its arguments are known.
//   - The way back to the head of a loop costs 1.
//   - What would cost more than is left is [FaultBudget].
//   - && and || decide from left to right, and operands are computed from left to right.
//   - A fault ends the evaluation. What was written to state before it stays.

// vtype is a declared type.
type vtype struct {
	name   string
	typ    typ
	size   uint8 // of integers and bool, in bytes
	signed bool
}

// typeOf is the type that name stands for.
func typeOf(name string) vtype {
	switch name {
	case "string":
		return vtype{name: name, typ: tStr}
	case "bool":
		return vtype{name: name, typ: tBool, size: 1}
	case "pid", "tid":
		return vtype{name: name, typ: tInt, size: 4, signed: true}
	case "cpu":
		return vtype{name: name, typ: tUint, size: 4}
	}
	bits, t := castWidth(name)
	return vtype{name: name, typ: t, size: bits / 8, signed: t == tInt}
}

// variable is a local variable, a parameter, or what a loop counts with.
type variable struct {
	name string
	vtype
	loop bool // it may not be assigned to
	id   int  // within its function, for prints
}

// cell is a place of 64 bits that keeps its value from record to record.
type cell struct {
	name   string // "" for those of delta, changed and rate
	vtype  vtype
	perCPU bool
	init   uint64
	at     int // in the memory, or in the part of it that each processor has
}

// table is a map.
type table struct {
	name     string
	key, val vtype
	cap      int
	at       int
}

// layout is everything that keeps its value. Programs for the events of one text share it.
type layout struct {
	cells  []*cell
	tables []*table
	global int // cells of the memory
	perCPU int // cells of each processor
	sites  map[int]*cell
	// kept describes all this to programs in the kernel.
	kept *bpf.Memory
}

func (l *layout) cell(name string, t vtype, perCPU bool, init uint64) *cell {
	k := &cell{name: name, vtype: t, perCPU: perCPU, init: init, at: l.global}
	if perCPU {
		k.at = l.perCPU
		l.perCPU++
	} else {
		l.global++
	}
	l.cells = append(l.cells, k)
	return k
}

// site returns the first of n cells that belong to the place at of the text.
func (l *layout) site(at, n int) *cell {
	if k := l.sites[at]; k != nil {
		return k
	}
	first := l.cell("", typeOf("u64"), false, 0)
	for i := 1; i < n; i++ {
		l.cell("", typeOf("u64"), false, 0)
	}
	l.sites[at] = first
	return first
}

// function is a declared function, as it is for one event.
type function struct {
	name    string
	params  []*variable
	ret     vtype
	body    []*stmt
	inner   bool // it reads or writes state
	effects bool // it writes state
}

// stmtOp is what a statement does.
type stmtOp uint8

const (
	stSet      stmtOp = iota // v = x
	stState                  // cell = x
	stMap                    // m[key] = x, or m[key] bin x where bin is not 0
	stDelete                 // takes m[key] away
	stIf                     // if cond then body else els
	stFor                    // for v = x; cond; v++: body, at most max times (0 is no bound)
	stBreak                  //
	stContinue               //
	stReturn                 // x: the verdict, or a function's result
	stEmit                   // column emit = x where cond holds (nil is always), else null
	stCall                   // x, for its effects
)

// stmt is one statement.
type stmt struct {
	op        stmtOp
	bin       syntax.Kind
	v         *variable
	cell      *cell
	m         *table
	key, x    *node
	cond      *node
	body, els []*stmt
	max       uint64
	emit      int
}

// Emit is a column that a program adds to its event's table.
type Emit struct {
	// Name is the column's, Type its type in the language's words.
	Name, Type string
	// Nullable is true where a record may pass without a value for it.
	Nullable bool

	vtype vtype
}

// body is a program with state or statements, for one event.
type body struct {
	layout *layout
	// funcs are those that are called, each behind those that it calls.
	funcs []*function
	main  []*stmt
	emits []Emit
	// passes is false where no record can pass but by a fault.
	passes bool
}

// walk calls f for every node of the statements.
func walk(list []*stmt, f func(*node)) {
	for _, s := range list {
		each(s.key, f)
		each(s.x, f)
		each(s.cond, f)
		walk(s.body, f)
		walk(s.els, f)
	}
}

// each calls f for n, which may be nil, and every node below it.
func each(n *node, f func(*node)) {
	if n == nil {
		return
	}
	f(n)
	for _, k := range n.kids {
		each(k, f)
	}
}
