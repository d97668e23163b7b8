package filters

import "github.com/perfpipe/perfpipe/filters/syntax"

// operand is the register that holds the value of n.
func (g *xgen) operand(n *node) uint8 {
	if v, ok := g.constOf(n); ok {
		return g.constant(v)
	}
	switch n.op {
	case opVar:
		return g.vars[n.v]
	case opLoad:
		if r, ok := g.loaded(n.load); ok {
			return r
		}
	case opMeta:
		if n.meta == metaTime {
			g.visit(metaName(n))
			return g.clock
		}
	case opMapGet:
		// What changes the map changes the register.
		if r, ok := g.element(n); ok && !g.loud {
			return r
		}
	}
	r := g.reg()
	next, strs := g.next, g.strs
	g.into(n, r)
	g.next, g.strs = next, strs
	return r
}

// into computes n into register a, which it sets last.
func (g *xgen) into(n *node, a uint8) {
	if v, ok := g.constOf(n); ok {
		g.move(a, g.constant(v))
		return
	}
	switch n.op {
	case opVar:
		g.move(a, g.operand(n))
	case opLoad:
		if r, ok := g.have[n.load]; ok {
			g.move(a, r)
			return
		}
		g.visit(n.load.name)
		g.emit(xinstr{op: loadAt(xLoadU8, n.load), a: a, off: uint32(n.load.off)})
	case opElem:
		b := g.operand(n.kids[0])
		g.visit(n.fld.Name)
		g.emit(xinstr{op: xElem, a: a, b: b, aux: &xaux{in: &instr{size: n.load.size, signed: n.load.signed, aux: &aux{fld: n.fld}}}})
	case opMeta:
		if n.meta == metaTime {
			g.move(a, g.operand(n))
			return
		}
		g.visit(metaName(n))
		g.emit(xinstr{op: xMeta, a: a, b: uint8(n.meta)})
	case opBin:
		b := g.operand(n.kids[0])
		if k := n.kids[1]; n.bin == syntax.Minus && k.op == opState && k.cell.perCPU {
			g.emit(xinstr{op: xSubCPU, a: a, b: b, off: uint32(k.cell.at)})
			return
		}
		c := g.operand(n.kids[1])
		g.emit(g.binInstr(n, a, b, c))
	case opNeg:
		g.emit(xinstr{op: xNeg, a: a, b: g.operand(n.kids[0])})
	case opCompl:
		g.emit(xinstr{op: xCompl, a: a, b: g.operand(n.kids[0])})
	case opCast:
		g.cast(n, a)
	case opCall:
		g.builtin(n, a)
	case opState:
		o := xState
		if n.cell.perCPU {
			o = xCPUState
		}
		g.emit(xinstr{op: o, a: a, off: uint32(n.cell.at)})
	case opMapGet:
		if r, ok := g.element(n); ok {
			g.move(a, r)
			return
		}
		g.emit(xinstr{op: xMapGet, a: a, b: g.operand(n.kids[0]), off: uint32(n.m.at)})
	case opDelta:
		g.emit(xinstr{op: xDelta, a: a, b: g.operand(n.kids[0]), off: uint32(n.cell.at)})
	case opUser:
		if g.inline[n.call] {
			g.callInline(n, a)
			return
		}
		g.call(n)
		g.emit(xinstr{op: xMove, a: a, b: g.frames[n.call].ret + 1})
	case opCond:
		if n.typ != tBool {
			yes, no, end := g.label(), g.label(), g.label()
			g.cond(n.kids[0], yes, no)
			known := g.known()
			g.here(yes)
			g.into(n.kids[1], a)
			g.forget(known)
			g.emit(xinstr{op: xJump, t: end})
			g.here(no)
			g.into(n.kids[2], a)
			g.forget(known)
			g.here(end)
			return
		}
		g.boolean(n, a)
	default:
		g.boolean(n, a)
	}
}

func (g *xgen) binInstr(n *node, a, b, c uint8) xinstr {
	in := xinstr{op: xBin, a: a, b: b, c: c, k: n.bin, typ: n.typ}
	by, known := g.constOf(n.kids[1])
	switch n.bin {
	case syntax.Percent:
		if known && n.typ == tUint && by != 0 && by&(by-1) == 0 {
			in.op, in.lo = xMask, by-1
		}
	case syntax.Plus:
		in.op = xAdd
	case syntax.Minus:
		in.op = xSub
	case syntax.Star:
		in.op = xMul
	case syntax.And:
		in.op = xAnd
	case syntax.Or:
		in.op = xOr
	case syntax.Xor:
		in.op = xXor
	case syntax.Shl:
		in.op = xShl
	case syntax.Shr:
		in.op = xShr
		if n.typ == tInt {
			in.op = xSar
		}
	}
	return in
}

// boolean computes a condition into a register as 0 or 1.
func (g *xgen) boolean(n *node, a uint8) {
	yes, no, end := g.label(), g.label(), g.label()
	g.cond(n, yes, no)
	g.here(yes)
	g.emit(xinstr{op: xMove, a: a, b: g.constant(1)})
	g.emit(xinstr{op: xJump, t: end})
	g.here(no)
	g.emit(xinstr{op: xMove, a: a, b: g.constant(0)})
	g.here(end)
}

func (g *xgen) builtin(n *node, a uint8) {
	if n.kids[0].typ == tStr {
		s := g.str()
		g.strInto(n.kids[0], s)
		o := xStrlen
		if n.fun == fnHash {
			o = xHash
		}
		g.emit(xinstr{op: o, a: a, b: s})
		return
	}
	b := g.operand(n.kids[0])
	c := b
	if len(n.kids) > 1 {
		c = g.operand(n.kids[1])
	}
	g.emit(xinstr{op: xFn, a: a, b: b, c: c, typ: n.typ, aux: &xaux{fun: n.fun}})
}

// call computes the arguments, all of them before the first is handed over, as they may
// call the same function.
func (g *xgen) call(n *node) {
	fr := g.frames[n.call]
	next, strs := g.next, g.strs
	regs := make([]uint8, len(n.kids))
	for i, k := range n.kids {
		if k.typ == tStr {
			regs[i] = g.str()
			g.strInto(k, regs[i])
		} else {
			regs[i] = g.operand(k)
		}
	}
	for i, k := range n.kids {
		o := xMove
		if k.typ == tStr {
			o = xStrMove
		}
		g.emit(xinstr{op: o, a: fr.params[i], b: regs[i]})
	}
	g.changed(nil)
	g.emit(xinstr{op: xCall, a: fr.ret, t: fr.entry})
	g.next, g.strs = next, strs
}

// strInto puts a string into string register a.
func (g *xgen) strInto(n *node, a uint8) {
	switch n.op {
	case opStrConst:
		g.emit(xinstr{op: xStrConst, a: a, aux: &xaux{str: []byte(n.str)}})
	case opStrField:
		g.visit(n.fld.Name)
		g.emit(xinstr{op: xStrField, a: a, aux: &xaux{fld: n.fld}})
	case opComm:
		g.visit(metaName(n))
		g.emit(xinstr{op: xStrComm, a: a})
	case opVar:
		g.emit(xinstr{op: xStrMove, a: a, b: g.vars[n.v]})
	case opUser:
		g.call(n)
		g.emit(xinstr{op: xStrMove, a: a, b: g.frames[n.call].retStr})
	case opCond:
		yes, no, end := g.label(), g.label(), g.label()
		g.cond(n.kids[0], yes, no)
		known := g.known()
		g.here(yes)
		g.strInto(n.kids[1], a)
		g.forget(known)
		g.emit(xinstr{op: xJump, t: end})
		g.here(no)
		g.strInto(n.kids[2], a)
		g.forget(known)
		g.here(end)
	default:
		g.emit(xinstr{op: xFault, lo: uint64(FaultUnreadable)})
	}
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
