package filters

import "github.com/perfpipe/perfpipe/filters/syntax"

// opt is what a generator knows to save work: which fields are in registers already,
// which loops and functions are small enough to stand where they are run.
type opt struct {
	// sparing: registers are short, nothing is kept that can be had again.
	sparing bool
	// clock holds the record's time, sink takes what nobody reads.
	clock, sink uint8
	// loads counts the places that read a field, slots are the registers of those that
	// several do, have those of them that are loaded on every way to here, in the order of trail.
	loads map[load]int
	slots map[load]uint8
	have  map[load]uint8
	trail []fact
	// found are the registers that hold m[key], for keys in registers that are set once;
	// values are the registers for that.
	found  map[entry]uint8
	values map[entry]uint8
	// loud: the statement being made changes state while it is computed.
	loud bool
	// declared are the variables of the blocks around this place.
	declared []*variable
	// fixed are the values of the loop variables of unrolled loops, times the rounds
	// of all of them.
	fixed  map[*variable]uint64
	times  int
	inline map[*function]bool
}

// fact is what is known from a place on: that a field is loaded, or an element of a map.
type fact struct {
	load load
	entry
}

// entry is an element of a map, by the register of its key.
type entry struct {
	m   *table
	key uint8
}

// Limits of what is written out where it is run.
const (
	maxUnrolled = 8   // rounds of a loop
	maxWritten  = 200 // nodes of all its rounds
	maxInlined  = 30  // nodes of a function, with those that it calls
)

// prepare counts the loads, and finds the functions that stand where they are called.
func (g *xgen) prepare(b *body) {
	g.loads, g.slots, g.have = make(map[load]int), make(map[load]uint8), make(map[load]uint8)
	g.found, g.values = make(map[entry]uint8), make(map[entry]uint8)
	g.fixed, g.times, g.inline = make(map[*variable]uint64), 1, make(map[*function]bool)
	if g.sparing {
		return
	}
	count := func(n *node) {
		if n.op == opLoad {
			g.loads[n.load]++
		}
	}
	sizes := make(map[*function]int)
	for _, f := range b.funcs {
		walk(f.body, count)
		n := g.nodes(f.body, sizes)
		g.inline[f] = n <= maxInlined && f.ret.typ != tStr && !loops(f.body) && !takesText(f)
		sizes[f] = n
	}
	walk(b.main, count)
}

// nodes is how many nodes list has, with those of the functions that stand in it.
func (g *xgen) nodes(list []*stmt, sizes map[*function]int) int {
	n := len(list)
	walk(list, func(x *node) {
		n++
		if x.op == opUser && g.inline[x.call] {
			n += sizes[x.call]
		}
	})
	return n
}

func loops(list []*stmt) bool {
	for _, s := range list {
		if s.op == stFor || loops(s.body) || loops(s.els) {
			return true
		}
	}
	return false
}

func takesText(f *function) bool {
	for _, v := range f.params {
		if v.typ == tStr {
			return true
		}
	}
	return false
}

// assigns reports whether list sets v.
func assigns(list []*stmt, v *variable) bool {
	for _, s := range list {
		if s.op == stSet && s.v == v || assigns(s.body, v) || assigns(s.els, v) {
			return true
		}
	}
	return false
}

// known is how many facts there are; forget goes back to that where ways join again.
func (g *xgen) known() int { return len(g.trail) }

func (g *xgen) forget(n int) {
	for _, f := range g.trail[n:] {
		if f.m != nil {
			delete(g.found, f.entry)
		} else {
			delete(g.have, f.load)
		}
	}
	g.trail = g.trail[:n]
}

// changed forgets the elements of m, of every map where m is nil.
func (g *xgen) changed(m *table) {
	for e := range g.found {
		if m == nil || e.m == m {
			delete(g.found, e)
		}
	}
}

// find is the register for m[key] of an operation that finds it, and remembers that it
// is there; the sink where nothing would know when key is another.
func (g *xgen) find(m *table, key uint8) uint8 {
	if g.sparing || int(key) < g.low {
		return g.sink
	}
	e := entry{m, key}
	r, ok := g.values[e]
	if !ok {
		if g.low-1 <= g.high {
			return g.sink
		}
		g.low--
		r = uint8(g.low)
		g.values[e] = r
	}
	g.found[e] = r
	g.trail = append(g.trail, fact{entry: e})
	return r
}

// element is the register that holds m[key] for n, where one does.
func (g *xgen) element(n *node) (r uint8, ok bool) {
	key, known := uint8(0), false
	switch k := n.kids[0]; k.op {
	case opLoad:
		key, known = g.have[k.load]
	default:
		if v, is := g.constOf(k); is {
			key, known = g.consts[v]
		}
	}
	if !known {
		return 0, false
	}
	r, ok = g.found[entry{n.m, key}]
	return r, ok
}

// slot is the register that keeps the field, ok is false where none does.
func (g *xgen) slot(l load) (r uint8, ok bool) {
	if r, ok = g.slots[l]; ok || g.loads[l] < 2 || g.sparing {
		return r, ok
	}
	if g.low-1 <= g.high {
		return 0, false
	}
	g.low--
	g.slots[l] = uint8(g.low)
	return uint8(g.low), true
}

func (g *xgen) remember(l load, r uint8) {
	g.have[l] = r
	g.trail = append(g.trail, fact{load: l})
}

// loaded is the register of a field that several places read, where it is loaded first.
func (g *xgen) loaded(l load) (r uint8, ok bool) {
	if r, ok = g.have[l]; ok {
		return r, true
	}
	if r, ok = g.slot(l); !ok {
		return 0, false
	}
	g.visit(l.name)
	g.emit(xinstr{op: loadAt(xLoadU8, l), a: r, off: uint32(l.off)})
	g.remember(l, r)
	return r, true
}

// rangeOf makes out the test of the field kid, which it loads where it is not.
func (g *xgen) rangeOf(kid *node, out *xinstr) {
	if r, ok := g.have[kid.load]; ok {
		out.op, out.b = xRange, r
		return
	}
	g.visit(kid.load.name)
	out.op, out.off, out.a = loadAt(xRangeU8, kid.load), uint32(kid.load.off), g.sink
	if r, ok := g.slot(kid.load); ok {
		out.a = r
		g.remember(kid.load, r)
	}
}

func (g *xgen) move(a, b uint8) {
	if a != b {
		g.emit(xinstr{op: xMove, a: a, b: b})
	}
}

// charge costs n of the budget.
func (g *xgen) charge(n uint64) { g.emit(xinstr{op: xCharge, lo: n}) }

// constOf is the value of n where it is known here.
func (g *xgen) constOf(n *node) (uint64, bool) {
	switch n.op {
	case opConst:
		return n.val, true
	case opVar:
		v, ok := g.fixed[n.v]
		return v, ok
	}
	if len(g.fixed) == 0 {
		return 0, false
	}
	switch n.op {
	case opBin, opNeg, opCompl, opCast:
	default:
		return 0, false
	}
	x, ok := g.constOf(n.kids[0])
	if !ok {
		return 0, false
	}
	switch n.op {
	case opNeg:
		return -x, true
	case opCompl:
		return ^x, true
	case opCast:
		return extend(x, n.width, n.typ), true
	}
	y, ok := g.constOf(n.kids[1])
	if !ok {
		return 0, false
	}
	v, fault := binOp(n.bin, n.typ, x, y)
	return v, fault == 0
}

// decided makes a predicate whose operands, or one of them, are known here though not
// to the checker; false where it is none.
func (g *xgen) decided(n *node, t, f int32) bool {
	if len(g.fixed) == 0 {
		return false
	}
	hit := false
	switch n.op {
	case opIn:
		v, ok := g.constOf(n.kids[0])
		if !ok {
			return false
		}
		hit = inSet(n.set, n.kids[0].typ, v)
	case opMask:
		v, ok := g.constOf(n.kids[0])
		if !ok {
			return false
		}
		hit = v&n.val != 0
	case opCmp:
		x, y := n.kids[0], n.kids[1]
		a, first := g.constOf(x)
		b, second := g.constOf(y)
		if first && second {
			hit = compare(n.bin, x.typ, a, y.typ, b)
			break
		}
		if first {
			x = constNode(a, x.typ)
		}
		if second {
			y = constNode(b, y.typ)
		}
		if !first && !second || x.typ == tBool || y.typ == tBool {
			return false
		}
		m := mkCmp(n.bin, x, y)
		if m.isConst() {
			return false // the operand may fault
		}
		g.cond(m, t, f)
		return true
	default:
		return false
	}
	g.charge(1)
	if !hit {
		t = f
	}
	g.emit(xinstr{op: xJump, t: t})
	return true
}

// unroll writes a loop of few rounds out, each with its variable a constant.
func (g *xgen) unroll(s *stmt) bool {
	v, ok := g.constOf(s.x)
	c := s.cond
	if g.sparing || !ok || c.op != opIn || c.kids[0].op != opVar || c.kids[0].v != s.v {
		return false
	}
	n := 0
	for n <= maxUnrolled && inSet(c.set, c.kids[0].typ, v+uint64(n)) {
		n++
	}
	if n > maxUnrolled || s.max > 0 && uint64(n) > s.max || g.times*n*g.nodes(s.body, nil) > maxWritten {
		return false
	}
	g.times *= max(n, 1)
	end, known := g.label(), g.known()
	for i := range n {
		g.fixed[s.v] = v + uint64(i)
		next := g.label()
		g.charge(1) // i < n
		g.round(s.body, next, end)
		g.forget(known)
		g.here(next)
		g.charge(1) // the way back
	}
	g.charge(1) // not i < n
	g.here(end)
	delete(g.fixed, s.v)
	g.times /= max(n, 1)
	return true
}

// callInline makes the statements of a function here, with its result in register a.
func (g *xgen) callInline(n *node, a uint8) {
	next, strs := g.next, g.strs
	g.bind(n)
	g.charge(1)
	fr, known, loud := g.frame, g.known(), g.loud
	g.frame = &frame{inline: true, ret: a, end: g.label()}
	g.block(n.call.body)
	g.here(g.frame.end)
	g.frame, g.loud = fr, loud
	g.forget(known)
	g.unbind(n)
	g.next, g.strs = next, strs
}

// bind gives the parameters of a function that stands here the registers of its arguments.
func (g *xgen) bind(n *node) {
	fn := n.call
	regs := make([]uint8, len(n.kids))
	for i, k := range n.kids {
		regs[i] = g.operand(k)
	}
	for i, v := range fn.params {
		if assigns(fn.body, v) {
			r := g.reg()
			g.move(r, regs[i])
			regs[i] = r
		}
		g.vars[v] = regs[i]
	}
}

func (g *xgen) unbind(n *node) {
	for _, v := range n.call.params {
		delete(g.vars, v)
	}
}

// condInline makes a predicate that calls a function of one condition over its arguments:
// the condition itself. The call and the predicate are charged before it, as nothing in
// it can fault or be seen from outside.
func (g *xgen) condInline(n *node, t, f int32) bool {
	if n.op != opUser || !g.inline[n.call] || n.typ != tBool {
		return false
	}
	body := n.call.body
	if len(body) != 1 || body[0].op != stReturn || !calm(body[0].x) {
		return false
	}
	g.bind(n)
	g.charge(2)
	g.cond(body[0].x, t, f)
	g.unbind(n)
	return true
}

// calm reports whether n is made of variables and constants, and cannot fault.
func calm(n *node) bool {
	switch n.op {
	case opConst, opVar, opBin, opNeg, opCompl, opCast, opCond, opNot, opAnd, opOr, opIn, opMask, opCmp:
	default:
		return false
	}
	for _, k := range n.kids {
		if !calm(k) {
			return false
		}
	}
	return !n.faults && !n.effects && n.typ != tStr
}

// cast cuts a value; where it is a sum or a difference, with it.
func (g *xgen) cast(n *node, a uint8) {
	kid := n.kids[0]
	lo := ^uint64(0) >> (64 - n.width)
	_, known := g.constOf(kid)
	switch {
	case n.typ != tUint:
		g.emit(xinstr{op: xCast, a: a, b: g.operand(kid), size: n.width, typ: n.typ})
		return
	case known, kid.op != opBin, kid.bin != syntax.Plus && kid.bin != syntax.Minus:
		g.emit(xinstr{op: xMask, a: a, b: g.operand(kid), lo: lo})
		return
	}
	b := g.operand(kid.kids[0])
	c := g.operand(kid.kids[1])
	o := xAddMask
	if kid.bin == syntax.Minus {
		o = xSubMask
	}
	g.emit(xinstr{op: o, a: a, b: b, c: c, lo: lo})
}

// setState writes a cell; where it becomes more by something, at once.
func (g *xgen) setState(s *stmt) {
	set, add := xSetState, xAddState
	if s.cell.perCPU {
		set, add = xSetCPU, xAddCPU
	}
	x, mask := s.x, ^uint64(0)
	if x.op == opCast && x.typ == tUint {
		x, mask = x.kids[0], mask>>(64-x.width)
	}
	if x.op == opBin && x.bin == syntax.Plus && x.kids[0].op == opState && x.kids[0].cell == s.cell {
		if y := x.kids[1]; y.op == opVar || y.op == opConst {
			g.emit(xinstr{op: add, b: g.operand(y), off: uint32(s.cell.at), lo: mask})
			return
		}
	}
	g.emit(xinstr{op: set, b: g.operand(s.x), off: uint32(s.cell.at)})
}

func (g *xgen) setMap(s *stmt) {
	k := g.operand(s.key)
	x := g.operand(s.x)
	in := xinstr{op: xMapSet, a: g.sink, b: k, c: x, off: uint32(s.m.at)}
	g.changed(s.m)
	switch val := s.m.val; {
	case s.bin == syntax.Plus && val.typ == tUint:
		in.op, in.lo, in.a = xMapAdd, ^uint64(0)>>(64-8*val.size), g.find(s.m, k)
	case s.bin != 0:
		in.op, in.k, in.typ, in.size = xMapOp, s.bin, val.typ, val.size
	}
	g.emit(in)
}
