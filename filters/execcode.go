package filters

import (
	"fmt"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// xgen makes the instructions of a program. Each function has registers of its own, so
// that a call needs no stack: the first holds where it goes back to, the second its
// result, then come its variables and what it computes with.
type xgen struct {
	code   []xinstr
	labels []int32
	size   int // of the event's shortest record
	trace  bool
	consts map[uint64]uint8
	low    int // the register below which constants must not reach
	next   int // the first free register
	strs   int
	high   int // registers used so far by this function and those before it
	hiStr  int
	vars   map[*variable]uint8
	frames map[*function]*frame
	// brk and cont are where break and continue go; frame is that of the function being made.
	brk, cont int32
	frame     *frame
	full      string
	opt
}

// frame is where a function is and keeps its things.
type frame struct {
	entry     int32 // a label
	ret       uint8 // register of the place to go back to; behind it the result
	retStr    uint8
	params    []uint8
	returnStr bool
	// inline: the function's statements stand where it is called, and a return puts its
	// value into ret and goes to end.
	inline bool
	end    int32
}

// generateBody makes p's code of its statements.
func (p *Program) generateBody() error {
	g := &xgen{size: p.schema.Size}
	p.xcode = g.program(p.body)
	if g.full != "" {
		// What is kept in registers to save work is done again instead.
		g = &xgen{size: p.schema.Size, opt: opt{sparing: true}}
		p.xcode = g.program(p.body)
	}
	p.sparing = g.sparing
	if g.full != "" {
		e := &Error{Reason: g.full}
		e.place(p.source)
		return e
	}
	m := p.machine
	for v, r := range g.consts {
		m.regs[r] = v
	}
	m.clock, m.perCPU, m.tables = g.clock, p.body.layout.perCPU > 0, m.mem.tables
	m.ints, m.texts = make([]uint64, len(p.body.emits)), make([][]byte, len(p.body.emits))
	return nil
}

func (g *xgen) program(b *body) []xinstr {
	g.consts, g.vars, g.frames = make(map[uint64]uint8), make(map[*variable]uint8), make(map[*function]*frame)
	g.clock, g.sink, g.low = xRegs-1, xRegs-2, xRegs-2
	g.prepare(b)
	start := g.label()
	g.emit(xinstr{op: xJump, t: start})
	for _, f := range b.funcs {
		if !g.inline[f] {
			g.function(f)
		}
	}
	g.here(start)
	g.frame, g.next, g.strs = nil, g.high, g.hiStr
	g.forget(0)
	g.changed(nil)
	g.block(b.main)
	return g.link()
}

func (g *xgen) function(f *function) {
	g.next, g.strs = g.high, g.hiStr
	fr := &frame{entry: g.label(), ret: g.reg(), returnStr: f.ret.typ == tStr}
	g.reg()
	if fr.returnStr {
		fr.retStr = g.str()
	}
	for _, v := range f.params {
		fr.params = append(fr.params, g.variable(v))
	}
	g.frames[f] = fr
	g.frame = fr
	g.forget(0)
	g.changed(nil)
	g.here(fr.entry)
	g.block(f.body)
}

func (g *xgen) place(l int32) int32 {
	if l < 0 || int(l) >= len(g.labels) {
		return l
	}
	return g.labels[l]
}

func (g *xgen) label() int32 {
	g.labels = append(g.labels, -1)
	return int32(len(g.labels) - 1)
}

func (g *xgen) here(l int32) { g.labels[l] = int32(len(g.code)) }

func (g *xgen) emit(in xinstr) { g.code = append(g.code, in) }

// reg takes the next free register.
func (g *xgen) reg() uint8 {
	if g.next >= g.low {
		g.full = fmt.Sprintf("the program has more variables, constants and intermediate values than the %d that there is room for", xRegs)
		return 0
	}
	r := g.next
	g.next++
	g.high = max(g.high, g.next)
	return uint8(r)
}

func (g *xgen) str() uint8 {
	if g.strs >= xStrs {
		g.full = fmt.Sprintf("the program has more than %d strings at a time", xStrs)
		return 0
	}
	r := g.strs
	g.strs++
	g.hiStr = max(g.hiStr, g.strs)
	return uint8(r)
}

// variable gives v its register.
func (g *xgen) variable(v *variable) uint8 {
	if v.typ == tStr {
		g.vars[v] = g.str()
	} else {
		g.vars[v] = g.reg()
	}
	return g.vars[v]
}

// constant is the register that holds v.
func (g *xgen) constant(v uint64) uint8 {
	r, ok := g.consts[v]
	if !ok {
		if g.low--; g.low <= g.high {
			g.full = fmt.Sprintf("the program has more variables, constants and intermediate values than the %d that there is room for", xRegs)
			g.low++
			return 0
		}
		r = uint8(g.low)
		g.consts[v] = r
	}
	return r
}

func (g *xgen) visit(name string) {
	if g.trace && name != "" {
		g.emit(xinstr{op: xVisit, aux: &xaux{name: name}})
	}
}

// block makes statements; their variables' registers are free behind it.
func (g *xgen) block(list []*stmt) {
	next, strs, known := g.next, g.strs, len(g.declared)
	for _, s := range list {
		g.stmt(s)
	}
	for _, v := range g.declared[known:] {
		delete(g.vars, v)
	}
	g.next, g.strs, g.declared = next, strs, g.declared[:known]
}

func (g *xgen) stmt(s *stmt) {
	g.loud = s.key != nil && s.key.effects || s.x != nil && s.x.effects || s.cond != nil && s.cond.effects
	if s.op == stSet {
		// The variable, where it is new, keeps its register to the end of the block.
		r, ok := g.vars[s.v]
		if !ok {
			r = g.variable(s.v)
			g.declared = append(g.declared, s.v)
		}
		next, strs := g.next, g.strs
		if s.v.typ == tStr {
			g.strInto(s.x, r)
		} else {
			g.into(s.x, r)
		}
		g.next, g.strs = next, strs
		return
	}
	next, strs := g.next, g.strs
	defer func() { g.next, g.strs = next, strs }()
	switch s.op {
	case stState:
		g.setState(s)
	case stMap:
		g.setMap(s)
	case stDelete:
		g.emit(xinstr{op: xMapDel, b: g.operand(s.key), off: uint32(s.m.at)})
		g.changed(s.m)
	case stIf:
		g.ifStmt(s)
	case stFor:
		g.forStmt(s)
	case stBreak:
		g.emit(xinstr{op: xJump, t: g.brk})
	case stContinue:
		g.emit(xinstr{op: xJump, t: g.cont})
	case stReturn:
		g.ret(s.x)
	case stCall:
		if s.x.typ == tStr {
			g.strInto(s.x, g.str())
		} else {
			g.into(s.x, g.reg())
		}
	case stEmit:
		g.emitColumn(s)
	}
}

func (g *xgen) ret(x *node) {
	switch fr := g.frame; {
	case fr == nil:
		g.cond(x, toTrue, toFalse)
	case fr.inline:
		g.into(x, fr.ret)
		g.emit(xinstr{op: xJump, t: fr.end})
	case fr.returnStr:
		g.strInto(x, fr.retStr)
		g.emit(xinstr{op: xRet, a: fr.ret})
	default:
		g.into(x, fr.ret+1)
		g.emit(xinstr{op: xRet, a: fr.ret})
	}
}

func (g *xgen) ifStmt(s *stmt) {
	yes, end := g.label(), g.label()
	no := end
	if len(s.els) > 0 {
		no = g.label()
	}
	g.cond(s.cond, yes, no)
	known := g.known()
	g.here(yes)
	g.block(s.body)
	g.forget(known)
	if len(s.els) > 0 {
		g.emit(xinstr{op: xJump, t: end})
		g.here(no)
		g.block(s.els)
		g.forget(known)
	}
	g.here(end)
}

func (g *xgen) forStmt(s *stmt) {
	if g.unroll(s) {
		return
	}
	v := g.variable(s.v)
	g.declared = append(g.declared, s.v)
	g.into(s.x, v)
	var rounds uint8
	if s.max > 0 {
		rounds = g.reg()
		g.emit(xinstr{op: xMove, a: rounds, b: g.constant(0)})
	}
	head, in, next, end := g.label(), g.label(), g.label(), g.label()
	g.changed(nil)
	g.here(head)
	g.cond(s.cond, in, end)
	known := g.known()
	g.here(in)
	if s.max > 0 {
		g.emit(xinstr{op: xRound, a: rounds, lo: s.max})
	}
	g.round(s.body, next, end)
	g.forget(known)
	g.here(next)
	if c := s.cond; c.op == opIn && len(c.set) == 1 && c.kids[0].op == opVar && c.kids[0].v == s.v {
		g.emit(xinstr{op: xNext, cost: 2, a: v, lo: c.set[0].lo, len: c.set[0].hi - c.set[0].lo, t: in, f: end})
	} else {
		g.emit(xinstr{op: xAdd, a: v, b: v, c: g.constant(1)})
		g.emit(xinstr{op: xBack, t: head, lo: 1})
	}
	g.here(end)
}

// round is the body of a loop, in which continue goes to next and break to end.
func (g *xgen) round(body []*stmt, next, end int32) {
	brk, cont := g.brk, g.cont
	g.brk, g.cont = end, next
	g.block(body)
	g.brk, g.cont = brk, cont
}

func (g *xgen) emitColumn(s *stmt) {
	null, end := int32(0), int32(0)
	if s.cond != nil {
		yes := g.label()
		null, end = g.label(), g.label()
		g.cond(s.cond, yes, null)
		g.here(yes)
	}
	known := g.known()
	if s.x.typ == tStr {
		r := g.str()
		g.strInto(s.x, r)
		g.emit(xinstr{op: xEmitStr, b: r, off: uint32(s.emit)})
	} else {
		g.emit(xinstr{op: xEmit, b: g.operand(s.x), off: uint32(s.emit)})
	}
	if s.cond != nil {
		g.forget(known)
		g.emit(xinstr{op: xJump, t: end})
		g.here(null)
		g.emit(xinstr{op: xEmitNull, off: uint32(s.emit)})
		g.here(end)
	}
}

// cond jumps to t where n holds and to f where it does not.
func (g *xgen) cond(n *node, t, f int32) {
	switch n.op {
	case opConst:
		if n.val == 0 {
			t = f
		}
		g.emit(xinstr{op: xJump, t: t})
		return
	case opNot:
		g.cond(n.kids[0], f, t)
		return
	case opAnd, opOr:
		mid := g.label()
		if n.op == opAnd {
			g.cond(n.kids[0], mid, f)
		} else {
			g.cond(n.kids[0], t, mid)
		}
		g.here(mid)
		known := g.known()
		g.cond(n.kids[1], t, f)
		g.forget(known)
		return
	case opCond:
		yes, no := g.label(), g.label()
		g.cond(n.kids[0], yes, no)
		known := g.known()
		g.here(yes)
		g.cond(n.kids[1], t, f)
		g.forget(known)
		g.here(no)
		g.cond(n.kids[2], t, f)
		g.forget(known)
		return
	}
	next, strs := g.next, g.strs
	if !g.condInline(n, t, f) {
		g.test(n, t, f)
	}
	g.next, g.strs = next, strs
}

// loadAt is the operation of base that loads l, the eight of them in the order of xRangeU8.
func loadAt(base xop, l load) xop { return base + xop(loadOp(0, l)) }

// test makes a predicate.
func (g *xgen) test(n *node, t, f int32) {
	if in := g.onRecord(n); in != nil {
		g.visit(in.aux.name)
		g.emit(onRecordInstr(in, t, f))
		return
	}
	if g.decided(n, t, f) {
		return
	}
	out := xinstr{cost: 1, t: t, f: f}
	switch n.op {
	case opIn:
		kid := n.kids[0]
		switch {
		case kid.op == opLoad && len(n.set) == 1:
			g.rangeOf(kid, &out)
			out.lo, out.len = n.set[0].lo, n.set[0].hi-n.set[0].lo
		case len(n.set) == 1:
			out.op, out.b, out.lo, out.len = xRange, g.operand(kid), n.set[0].lo, n.set[0].hi-n.set[0].lo
		case len(n.set) == 0:
			g.operand(kid)
			out.op = xNever
		default:
			out.op, out.b, out.typ, out.aux = xInSet, g.operand(kid), kid.typ, &xaux{set: n.set}
		}
	case opMask:
		out.op, out.b, out.lo = xBits, g.operand(n.kids[0]), n.val
	case opCmp:
		g.compare(n, &out)
	case opMapHas:
		out.op, out.b, out.off = xMapHas, g.operand(n.kids[0]), uint32(n.m.at)
		out.a = g.find(n.m, out.b)
	case opStrEq, opStrFn:
		a, b := g.str(), g.str()
		g.strInto(n.kids[0], a)
		g.strInto(n.kids[1], b)
		out.op, out.b, out.c = xStrEq, a, b
		if n.op == opStrFn {
			out.op, out.aux = xStrFn, &xaux{fun: n.fun}
		}
	case opGlob:
		a := g.str()
		g.strInto(n.kids[0], a)
		out.op, out.b, out.aux = xStrGlob, a, &xaux{glob: n.glob}
	case opChanged:
		out.op, out.b, out.off = xChanged, g.operand(n.kids[0]), uint32(n.cell.at)
	case opRate:
		out.op, out.off, out.lo, out.len = xRate, uint32(n.cell.at), n.kids[0].val, n.kids[1].val
	default:
		out.op, out.b = xNonZero, g.operand(n)
	}
	g.emit(out)
}

// compare makes x k y of integers. Booleans are 0 and 1 in either order.
func (g *xgen) compare(n *node, out *xinstr) {
	x, y := n.kids[0], n.kids[1]
	a := g.operand(x)
	b := g.operand(y)
	out.b, out.c = a, b
	signed, unsigned := x.typ != tUint && y.typ != tUint, x.typ != tInt && y.typ != tInt
	if !signed && !unsigned {
		out.op, out.k, out.typ, out.typ2 = xCompare, n.bin, x.typ, y.typ
		return
	}
	less := xLessU
	if signed {
		less = xLessS
	}
	out.op = less
	switch n.bin {
	case syntax.Eq:
		out.op = xEqual
	case syntax.Ne:
		out.op, out.t, out.f = xEqual, out.f, out.t
	case syntax.Ge:
		out.t, out.f = out.f, out.t
	case syntax.Gt:
		out.b, out.c = b, a
	case syntax.Le:
		out.b, out.c, out.t, out.f = b, a, out.f, out.t
	}
}

// onRecord is the test that the record alone decides, made as an expression's is; nil
// where it is none of these.
func (g *xgen) onRecord(n *node) *instr {
	e := &generator{size: g.size}
	switch n.op {
	case opIn:
		kid := n.kids[0]
		if kid.op != opLoad || len(n.set) == 1 {
			return nil
		}
		return &instr{op: iSet, off: int32(kid.load.off), size: kid.load.size, signed: kid.load.signed, aux: &aux{set: n.set, typ: kid.typ, name: kid.load.name}}
	case opStrEq, opGlob:
		k := n.kids[0]
		if k.op != opStrField && k.op != opComm && k.op != opKStr || n.op == opStrEq && n.kids[1].op != opStrConst {
			return nil
		}
	case opMask:
		if n.kids[0].op != opLoad {
			return nil
		}
	case opKernel, opPresent, opCPUs, opCIDR:
	default:
		return nil
	}
	e.cond(n, toTrue, toFalse)
	if len(e.code) != 1 || e.code[0].op >= firstRegister {
		return nil
	}
	return &e.code[0]
}
