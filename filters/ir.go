package filters

import (
	"math"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// The intermediate form of expressions: a typed tree in which names are resolved,
// constants folded, and comparisons with constants turned into sets of ranges. Every
// tier (row evaluator, kernel text, eBPF) is made from it. That of statements is in
// irprogram.go.

// typ is the type of a value.
type typ uint8

const (
	tNone  typ = iota
	tBool      // 0 or 1
	tInt       // s64
	tUint      // u64
	tStr       // bytes
	tMask      // a cpumask
	tArray     // an array as a whole
	tStack     // the generic field stacktrace
	tKStr      // a string that only the kernel can read: .ustring, char *
	tFunc      // field.function
)

func (t typ) String() string {
	return [...]string{"nothing", "bool", "s64", "u64", "string", "cpumask", "array", "stack trace", "string behind a pointer", "kernel function"}[t]
}

// article returns the type with its article.
func article(t typ) string {
	if t == tInt || t == tArray {
		return "an " + t.String()
	}
	return "a " + t.String()
}

func (t typ) integer() bool { return t == tInt || t == tUint || t == tBool }

// op is what a node does with its kids.
type op uint8

const (
	opConst    op = iota // val
	opStrConst           // str
	opLoad               // load: an integer in place
	opElem               // fld[kids[0]]
	opMeta               // meta
	opStrField           // fld
	opComm               // the task's name
	opKStr               // a string that only the kernel can read: fld, str is its suffix
	opField              // fld as a whole: cpumask, array
	opBin                // kids[0] bin kids[1], wrapping; typ says how
	opNeg                // -kids[0]
	opCompl              // ~kids[0]
	opCast               // kids[0] cut to width bits, signed by typ
	opCall               // fun(kids...)
	opCond               // kids[0] ? kids[1] : kids[2]
	opNot                // !kids[0]
	opAnd                // kids[0] && kids[1]
	opOr                 // kids[0] || kids[1]
	opIn                 // kids[0] in set
	opMask               // kids[0] & val, any bit
	opCmp                // kids[0] bin kids[1], by value
	opStrEq              // kids[0] == kids[1]
	opGlob               // kids[0] ~ glob
	opStrFn              // startswith, endswith, contains(kids[0], kids[1]): fun
	opCPUs               // fld bin cpus, for cpumask fields
	opCIDR               // fld or kids[0] in the network net
	opKernel             // a string test with the kernel's own quirks: kstr
	opPresent            // fld has a value
	// Of programs with declarations and statements alone:
	opVar     // v
	opState   // cell
	opMapGet  // m[kids[0]], 0 where it has no such key
	opMapHas  // kids[0] in m
	opUser    // call(kids...)
	opDelta   // kids[0] less what it was the last time; cell, the first of two
	opChanged // whether kids[0] is not what it was the last time; cell, the first of two
	opRate    // at most kids[0] times true in kids[1] ns; cell, the first of three
)

// meta names what is known of a record beside its bytes.
type meta uint8

const (
	metaCPU meta = iota
	metaPID
	metaTID
	metaTime
)

// load is an integer at a fixed place of the record.
type load struct {
	off    int
	size   uint8 // 1, 2, 4, 8
	signed bool
	name   string // the field's, for traces and kernel text
	elem   bool   // a part of a field, which the kernel has no name for
}

// bounds are the least and the greatest value of l, in its own order.
func (l load) bounds() span {
	bits := uint(l.size) * 8
	if l.signed {
		return span{uint64(int64(-1) << (bits - 1)), 1<<(bits-1) - 1}
	}
	return span{0, math.MaxUint64 >> (64 - bits)}
}

// span is a range with both ends, in the order of the type it belongs to.
type span struct{ lo, hi uint64 }

// node is one operation.
type node struct {
	op     op
	typ    typ
	bin    syntax.Kind
	meta   meta
	fun    builtin
	width  uint8 // of a cast, in bits
	faults bool  // it or something below it can fault, a short record aside
	nulls  bool  // it or something below it reads a field that may have no value
	// guarded is an && that [guard] made: one predicate, not two terms.
	guarded bool
	// inner: it or something below it reads more than the record: a variable, state, a map.
	inner bool
	// effects: finding its value changes state.
	effects bool
	load    load // of opVar and the operations behind it, size and signed are those of its type
	val     uint64
	str     string
	fld     *perfpipe.Field
	kids    []*node
	set     []span // disjoint, ascending in the order of kids[0].typ
	glob    *glob
	kstr    *kernelString
	cpus    []span
	net     *network
	v       *variable
	cell    *cell
	m       *table
	call    *function
	src     syntax.Expr // what it was written as, nil for what was made
}

func constNode(v uint64, t typ) *node { return &node{op: opConst, val: v, typ: t} }

func boolNode(b bool) *node {
	if b {
		return constNode(1, tBool)
	}
	return constNode(0, tBool)
}

func (n *node) isConst() bool  { return n.op == opConst }
func (n *node) isTrue() bool   { return n.op == opConst && n.typ == tBool && n.val != 0 }
func (n *node) isFalse() bool  { return n.op == opConst && n.typ == tBool && n.val == 0 }
func (n *node) negative() bool { return n.typ == tInt && int64(n.val) < 0 }

func mkNode(o op, t typ, kids ...*node) *node {
	n := &node{op: o, typ: t, kids: kids}
	for _, k := range kids {
		n.faults = n.faults || k.faults
		n.nulls = n.nulls || k.nulls
		n.inner = n.inner || k.inner
		n.effects = n.effects || k.effects
	}
	return n
}

func mkNot(x *node) *node {
	switch {
	case x.op == opConst:
		return boolNode(x.val == 0)
	case x.op == opNot:
		return x.kids[0]
	}
	return mkNode(opNot, tBool, x)
}

func mkAnd(x, y *node) *node {
	switch {
	case x.isFalse() || y.isTrue():
		return x
	case x.isTrue():
		return y
	}
	return mkNode(opAnd, tBool, x, y)
}

func mkOr(x, y *node) *node {
	switch {
	case x.isTrue() || y.isFalse():
		return x
	case x.isFalse():
		return y
	}
	return mkNode(opOr, tBool, x, y)
}

// unify returns the type in which two integers are computed: u64 where one of
// them is, s64 otherwise (booleans are 0 and 1).
func unify(a, b typ) typ {
	if a == tUint || b == tUint {
		return tUint
	}
	return tInt
}

// less orders a and b by value, whatever their types.
func less(at typ, a uint64, bt typ, b uint64) bool {
	an, bn := at == tInt && int64(a) < 0, bt == tInt && int64(b) < 0
	switch {
	case an != bn:
		return an
	case an:
		return int64(a) < int64(b)
	}
	return a < b
}

func equal(at typ, a uint64, bt typ, b uint64) bool {
	return a == b && (at == tInt && int64(a) < 0) == (bt == tInt && int64(b) < 0)
}

// compare decides a k b by value.
func compare(k syntax.Kind, at typ, a uint64, bt typ, b uint64) bool {
	switch k {
	case syntax.Eq:
		return equal(at, a, bt, b)
	case syntax.Ne:
		return !equal(at, a, bt, b)
	case syntax.Lt:
		return less(at, a, bt, b)
	case syntax.Le:
		return !less(bt, b, at, a)
	case syntax.Gt:
		return less(bt, b, at, a)
	}
	return !less(at, a, bt, b)
}

// mirror is the comparison with its sides exchanged.
func mirror(k syntax.Kind) syntax.Kind {
	switch k {
	case syntax.Lt:
		return syntax.Gt
	case syntax.Le:
		return syntax.Ge
	case syntax.Gt:
		return syntax.Lt
	case syntax.Ge:
		return syntax.Le
	}
	return k
}

// domain is the range of an integer node's values.
func (n *node) domain() span {
	switch {
	case n.op == opLoad:
		return n.load.bounds()
	case n.typ == tBool:
		return span{0, 1}
	case n.op >= opVar && n.load.size != 0:
		return n.load.bounds()
	case n.typ == tInt:
		return span{1 << 63, math.MaxInt64}
	}
	return span{0, math.MaxUint64}
}

// mkCmp is x k y for integers.
func mkCmp(k syntax.Kind, x, y *node) *node {
	switch {
	case x.isConst() && y.isConst():
		return boolNode(compare(k, x.typ, x.val, y.typ, y.val))
	case x.isConst():
		x, y, k = y, x, mirror(k)
	}
	if !y.isConst() {
		n := mkNode(opCmp, tBool, x, y)
		n.bin = k
		return n
	}
	if k == syntax.Ne {
		return mkNot(mkCmp(syntax.Eq, x, y))
	}
	d, t := x.domain(), x.typ
	below := less(y.typ, y.val, t, d.lo) // the constant lies below every value of x
	above := less(t, d.hi, y.typ, y.val)
	switch {
	case k == syntax.Eq && (below || above), (k == syntax.Lt || k == syntax.Le) && below, (k == syntax.Gt || k == syntax.Ge) && above:
		return mkIn(x)
	case (k == syntax.Lt || k == syntax.Le) && above, (k == syntax.Gt || k == syntax.Ge) && below:
		return mkIn(x, d)
	}
	c := y.val
	switch k {
	case syntax.Eq:
		return mkIn(x, span{c, c})
	case syntax.Lt:
		if c == d.lo {
			return mkIn(x)
		}
		return mkIn(x, span{d.lo, c - 1})
	case syntax.Le:
		return mkIn(x, span{d.lo, c})
	case syntax.Gt:
		if c == d.hi {
			return mkIn(x)
		}
		return mkIn(x, span{c + 1, d.hi})
	}
	return mkIn(x, span{c, d.hi})
}

// mkIn is x in the union of spans, which lie within x's domain. What holds for
// all values of x or for none is a constant, unless finding x can fault or fail.
func mkIn(x *node, spans ...span) *node {
	set := normalize(x.typ, spans)
	d := x.domain()
	if !x.faults && !x.nulls {
		if len(set) == 0 {
			return boolNode(false)
		}
		if len(set) == 1 && set[0] == d {
			return boolNode(true)
		}
	}
	n := mkNode(opIn, tBool, x)
	n.set = set
	return n
}

// normalize sorts spans in the order of t and joins those that touch.
func normalize(t typ, spans []span) []span {
	bias := uint64(0)
	if t == tInt {
		bias = 1 << 63
	}
	out := make([]span, 0, len(spans))
	for _, s := range spans {
		out = append(out, span{s.lo ^ bias, s.hi ^ bias})
	}
	sortSpans(out)
	n := 0
	for _, s := range out {
		if n > 0 && (s.lo <= out[n-1].hi || s.lo == out[n-1].hi+1) {
			out[n-1].hi = max(out[n-1].hi, s.hi)
			continue
		}
		out[n] = s
		n++
	}
	out = out[:n]
	for i := range out {
		out[i].lo ^= bias
		out[i].hi ^= bias
	}
	return out
}
