package filters

// Limits of what is written out where it is run.
const (
	maxUnrolled = 8   // rounds of a loop
	maxWritten  = 200 // nodes of all its rounds
	maxInlined  = 30  // nodes of a function, with those that it calls
)

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
