package filters

import (
	"fmt"
	"sort"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// opcode is what an instruction does. Tests jump to t where they hold and to f
// where they do not; all others go on with the next instruction.
//
// The pictures show registers: "a <- b" sets register a.
type opcode uint8

const (
	// Tests of a field in place, which need no register:
	iRangeU8  opcode = iota // load - lo <= len
	iRangeU16               //
	iRangeU32               //
	iRange64                //
	iRangeS8                //
	iRangeS16               //
	iRangeS32               //
	iMaskU8                 // load & lo != 0
	iMaskU16                //
	iMaskU32                //
	iMask64                 //
	iMaskS8                 //
	iMaskS16                //
	iMaskS32                //
	iText8                  // the 8 bytes at off, of which mask len counts, are lo
	iText                   // the bytes at off begin with aux.str
	// Tests that need no register and are rarer; see (*instr).test:
	iSet     // load in aux.set
	iMeta    // meta - lo <= len
	iGlob    // aux.fld ~ aux.glob
	iComm    // task name ~ aux.glob
	iKernel  // aux.kstr
	iCPUs    // aux.fld k aux.set
	iCIDR    // aux.fld in aux.net
	iFault   // ends with the fault lo
	iPresent // aux.fld has a value

	// With registers, which hold integers of 64 bits:
	iConst  // a <- lo
	iLoad   // a <- load
	iElem   // a <- aux.fld[b]
	iGet    // a <- meta
	iBin    // a <- a k b
	iNeg    // a <- -a
	iCompl  // a <- ^a
	iCast   // a <- the low size bits of a
	iCall   // a <- aux.fun(a, b)
	iStrlen // a <- strlen(string b)
	iHash   // a <- hash(string b)
	iIn     // a in aux.set
	iBits   // a & lo != 0
	iCmp    // a k b
	iJump   // to t
	// and with strings:
	iStrField // string a <- aux.fld
	iStrConst // string a <- aux.str
	iStrComm  // string a <- task name
	iStrEq    // string a == string b
	iStrGlob  // string a ~ aux.glob
	iStrFn    // aux.fun(string a, string b)
)

// firstRegister is the first opcode that needs more than the record.
const firstRegister = iConst

// instr is one instruction.
type instr struct {
	op     opcode
	k      syntax.Kind
	a, b   uint8
	typ    typ // of iBin, iCast, iCall; the left one of iCmp
	typ2   typ // the right one of iCmp
	size   uint8
	meta   meta
	signed bool
	off    int32
	t, f   int32
	lo     uint64
	len    uint64
	aux    *aux
}

// aux is what an instruction needs rarely.
type aux struct {
	name string // the field that it reads, for traces
	fld  *perfpipe.Field
	set  []span
	glob *glob
	kstr *kernelString
	net  *network
	str  []byte
	fun  builtin
	typ  typ
}

// Where jumps go that leave the program.
const (
	toTrue  int32 = -1
	toFalse int32 = -2
)

// Limits of a program.
const (
	maxRegs = 250 // temporaries of one expression
	maxStrs = 4
)

// generator writes code. Labels are numbers from 0 until link puts places in.
type generator struct {
	code   []instr
	labels []int32
	size   int // of the shortest record that the event has
	min    int
	regs   int
	strs   int
	deep   bool
}

// generate makes p's code of its tree.
func (p *Program) generate() error {
	g := &generator{size: p.schema.Size}
	switch {
	case p.root.isTrue():
		g.emit(instr{op: iJump, t: toTrue})
	case p.root.isFalse():
		g.emit(instr{op: iJump, t: toFalse})
	default:
		g.cond(p.root, toTrue, toFalse)
	}
	if g.deep {
		e := &Error{Reason: fmt.Sprintf("the expression needs more than %d temporaries: it is nested too deeply to the right", maxRegs)}
		e.place(p.source)
		return e
	}
	p.simple = true
	for i := range g.code {
		in := &g.code[i]
		if in.op >= firstRegister {
			p.simple = false
		}
		if in.op.jumps() {
			in.t, in.f = g.place(in.t), g.place(in.f)
		}
	}
	p.code, p.regs, p.strs, p.min = g.code, g.regs, g.strs, g.min
	p.flatten()
	return nil
}

// jumps reports whether o goes to t or f.
func (o opcode) jumps() bool {
	switch o {
	case iIn, iBits, iCmp, iJump, iStrEq, iStrGlob, iStrFn:
		return true
	}
	return o < firstRegister
}

func (g *generator) place(l int32) int32 {
	if l < 0 || int(l) >= len(g.labels) {
		return l // out of the program, or an f that is never taken
	}
	return g.labels[l]
}

func (g *generator) label() int32 {
	g.labels = append(g.labels, -1)
	return int32(len(g.labels) - 1)
}

func (g *generator) here(l int32) { g.labels[l] = int32(len(g.code)) }

func (g *generator) emit(in instr) {
	if in.aux == nil {
		in.aux = &aux{}
	}
	g.code = append(g.code, in)
}

func (g *generator) need(end int) { g.min = max(g.min, end) }

// cond jumps to t where n holds and to f where it does not.
func (g *generator) cond(n *node, t, f int32) {
	switch n.op {
	case opConst:
		if n.val == 0 {
			t = f
		}
		g.emit(instr{op: iJump, t: t})
	case opNot:
		g.cond(n.kids[0], f, t)
	case opAnd:
		mid := g.label()
		g.cond(n.kids[0], mid, f)
		g.here(mid)
		g.cond(n.kids[1], t, f)
	case opOr:
		mid := g.label()
		g.cond(n.kids[0], t, mid)
		g.here(mid)
		g.cond(n.kids[1], t, f)
	case opCond:
		yes, no := g.label(), g.label()
		g.cond(n.kids[0], yes, no)
		g.here(yes)
		g.cond(n.kids[1], t, f)
		g.here(no)
		g.cond(n.kids[2], t, f)
	case opIn:
		g.in(n, t, f)
	case opMask:
		g.mask(n, t, f)
	case opCmp:
		g.value(n.kids[0], 0)
		g.value(n.kids[1], 1)
		g.emit(instr{op: iCmp, k: n.bin, a: 0, b: 1, typ: n.kids[0].typ, typ2: n.kids[1].typ, t: t, f: f})
	case opStrEq, opGlob, opStrFn:
		g.text(n, t, f)
	case opKernel:
		if n.kstr.user {
			g.emit(instr{op: iFault, lo: uint64(FaultUnreadable), aux: &aux{name: n.kstr.field.name}})
			return
		}
		g.emit(instr{op: iKernel, t: t, f: f, aux: &aux{kstr: n.kstr, name: n.kstr.field.name}})
	case opPresent:
		g.emit(instr{op: iPresent, t: t, f: f, aux: &aux{fld: n.fld, name: n.fld.Name}})
	case opCPUs:
		g.emit(instr{op: iCPUs, k: n.bin, t: t, f: f, aux: &aux{fld: n.fld, set: n.cpus, name: n.fld.Name}})
	case opCIDR:
		g.emit(instr{op: iCIDR, t: t, f: f, aux: &aux{fld: n.fld, net: n.net, name: n.fld.Name}})
	}
}

// rangeOps and maskOps by size and sign.
func loadOp(base opcode, l load) opcode {
	switch {
	case l.size == 8:
		return base + 3
	case l.size == 1 && l.signed:
		return base + 4
	case l.size == 2 && l.signed:
		return base + 5
	case l.size == 4 && l.signed:
		return base + 6
	case l.size == 1:
		return base
	case l.size == 2:
		return base + 1
	}
	return base + 2
}

// chained is how many ranges are tested one after the other rather than searched.
const chained = 4

func (g *generator) in(n *node, t, f int32) {
	kid := n.kids[0]
	if len(n.set) == 0 { // never, but finding out may fault
		g.value(kid, 0)
		g.emit(instr{op: iJump, t: f})
		return
	}
	switch {
	case kid.op == opLoad && len(n.set) > chained:
		g.need(kid.load.off + int(kid.load.size))
		g.emit(instr{op: iSet, off: int32(kid.load.off), size: kid.load.size, signed: kid.load.signed, t: t, f: f, aux: &aux{set: n.set, typ: kid.typ, name: kid.load.name}})
	case kid.op == opLoad || kid.op == opMeta && len(n.set) <= chained:
		for i, s := range n.set {
			next := f
			if i < len(n.set)-1 {
				next = g.label()
			}
			in := instr{op: iMeta, meta: kid.meta, lo: s.lo, len: s.hi - s.lo, t: t, f: next, aux: &aux{name: metaName(kid)}}
			if kid.op == opLoad {
				in.op, in.off, in.aux.name = loadOp(iRangeU8, kid.load), int32(kid.load.off), kid.load.name
				g.need(kid.load.off + int(kid.load.size))
			}
			g.emit(in)
			if next != f {
				g.here(next)
			}
		}
	default:
		g.value(kid, 0)
		g.emit(instr{op: iIn, a: 0, t: t, f: f, aux: &aux{set: n.set, typ: kid.typ}})
	}
}

func (g *generator) mask(n *node, t, f int32) {
	kid := n.kids[0]
	if kid.op == opLoad {
		g.need(kid.load.off + int(kid.load.size))
		g.emit(instr{op: loadOp(iMaskU8, kid.load), off: int32(kid.load.off), lo: n.val, t: t, f: f, aux: &aux{name: kid.load.name}})
		return
	}
	g.value(kid, 0)
	g.emit(instr{op: iBits, a: 0, lo: n.val, t: t, f: f})
}

// metaName is what a trace calls it: the kernel's generic field, or our $name.
func metaName(n *node) string {
	if n.str != "" {
		return n.str
	}
	if n.op == opComm {
		return "$comm"
	}
	return [...]string{"$cpu", "$pid", "$tid", "$time"}[n.meta]
}

// value computes n into register r; those above r are free.
func (g *generator) value(n *node, r int) {
	if r >= maxRegs {
		g.deep = true
		return
	}
	g.regs = max(g.regs, r+1)
	a := uint8(r)
	if n.typ == tBool && n.op != opConst {
		g.boolean(n, r)
		return
	}
	switch n.op {
	case opConst:
		g.emit(instr{op: iConst, a: a, lo: n.val})
	case opLoad:
		g.need(n.load.off + int(n.load.size))
		g.emit(instr{op: iLoad, a: a, off: int32(n.load.off), size: n.load.size, signed: n.load.signed, aux: &aux{name: n.load.name}})
	case opElem:
		g.value(n.kids[0], r)
		g.emit(instr{op: iElem, a: a, b: a, size: n.load.size, signed: n.load.signed, typ: n.kids[0].typ, aux: &aux{fld: n.fld, name: n.fld.Name}})
	case opMeta:
		g.emit(instr{op: iGet, a: a, meta: n.meta, aux: &aux{name: metaName(n)}})
	case opBin:
		g.value(n.kids[0], r)
		g.value(n.kids[1], r+1)
		g.emit(instr{op: iBin, k: n.bin, a: a, b: a + 1, typ: n.typ})
	case opNeg, opCompl:
		g.value(n.kids[0], r)
		o := iNeg
		if n.op == opCompl {
			o = iCompl
		}
		g.emit(instr{op: o, a: a})
	case opCast:
		g.value(n.kids[0], r)
		g.emit(instr{op: iCast, a: a, size: n.width, typ: n.typ})
	case opCond:
		yes, no, end := g.label(), g.label(), g.label()
		g.condAbove(n.kids[0], yes, no, r, 0)
		g.here(yes)
		g.value(n.kids[1], r)
		g.emit(instr{op: iJump, t: end})
		g.here(no)
		g.value(n.kids[2], r)
		g.here(end)
	case opCall:
		g.callValue(n, r)
	}
}

// boolean computes a condition into a register as 0 or 1.
func (g *generator) boolean(n *node, r int) {
	yes, no, end := g.label(), g.label(), g.label()
	g.condAbove(n, yes, no, r, 0)
	g.here(yes)
	g.emit(instr{op: iConst, a: uint8(r), lo: 1})
	g.emit(instr{op: iJump, t: end})
	g.here(no)
	g.emit(instr{op: iConst, a: uint8(r), lo: 0})
	g.here(end)
}

// condAbove is cond with the integers below r and the strings below q kept: code
// made for 0 and 0 is moved up.
func (g *generator) condAbove(n *node, t, f int32, r, q int) {
	from, regs, strs := len(g.code), g.regs, g.strs
	g.regs, g.strs = 0, 0
	g.cond(n, t, f)
	if r+g.regs > maxRegs || q+g.strs > maxStrs {
		g.deep = true
		return
	}
	for i := from; i < len(g.code) && (r > 0 || q > 0); i++ {
		in := &g.code[i]
		switch in.op {
		case iConst, iLoad, iElem, iGet, iBin, iNeg, iCompl, iCast, iCall, iIn, iBits, iCmp:
			in.a += uint8(r)
			in.b += uint8(r)
		case iStrlen, iHash:
			in.a += uint8(r)
			in.b += uint8(q)
		case iStrField, iStrConst, iStrComm, iStrGlob, iStrEq, iStrFn:
			in.a += uint8(q)
			in.b += uint8(q)
		}
	}
	g.regs, g.strs = max(regs, r+g.regs), max(strs, q+g.strs)
}

func (g *generator) callValue(n *node, r int) {
	a := uint8(r)
	if n.kids[0].typ == tStr {
		g.str(n.kids[0], 0, r)
		o := iStrlen
		if n.fun == fnHash {
			o = iHash
		}
		g.emit(instr{op: o, a: a, b: 0})
		return
	}
	g.value(n.kids[0], r)
	if len(n.kids) > 1 {
		g.value(n.kids[1], r+1)
	}
	g.emit(instr{op: iCall, a: a, b: a + 1, typ: n.typ, aux: &aux{fun: n.fun}})
}

// text is a test of strings. Those of a field with a literal need no register.
func (g *generator) text(n *node, t, f int32) {
	x := n.kids[0]
	gl := n.glob
	if n.op == opStrEq && n.kids[1].op == opStrConst {
		gl = newGlob(globExact, n.kids[1].str)
	}
	if gl == nil {
		g.str(x, 0, 0)
		g.str(n.kids[1], 1, 0)
		o := iStrEq
		if n.op == opStrFn {
			o = iStrFn
		}
		g.emit(instr{op: o, a: 0, b: 1, t: t, f: f, aux: &aux{fun: n.fun}})
		return
	}
	switch x.op {
	case opKStr:
		g.emit(instr{op: iFault, lo: uint64(FaultUnreadable), aux: &aux{name: x.fld.Name}})
	case opComm:
		g.emit(instr{op: iComm, t: t, f: f, aux: &aux{glob: gl, name: metaName(x)}})
	case opStrField:
		fl := x.fld
		in := instr{op: iGlob, t: t, f: f, aux: &aux{glob: gl, fld: fl, name: fl.Name}}
		if fl.Loc == perfpipe.LocStatic && fl.Probed == nil {
			g.need(fl.Offset + fl.Size)
			lit := gl.lit
			if gl.kind == globExact && len(lit) < fl.Size {
				lit = append(append([]byte{}, lit...), 0) // the text ends here
			}
			if (gl.kind == globPrefix || gl.kind == globExact) && len(lit) <= fl.Size && len(lit) > 0 {
				in.op, in.off, in.aux.str = iText, int32(fl.Offset), lit
				if len(lit) <= 8 && fl.Offset+8 <= g.size {
					g.need(fl.Offset + 8)
					in.op, in.len = iText8, ^uint64(0)>>(64-8*len(lit))
					for i, c := range lit {
						in.lo |= uint64(c) << (8 * i)
					}
				}
			}
		}
		g.emit(in)
	default:
		g.str(x, 0, 0)
		g.emit(instr{op: iStrGlob, a: 0, t: t, f: f, aux: &aux{glob: gl}})
	}
}

// str puts a string into string register q; the integers from r on are free.
func (g *generator) str(n *node, q, r int) {
	if q >= maxStrs {
		g.deep = true
		return
	}
	g.strs = max(g.strs, q+1)
	a := uint8(q)
	switch n.op {
	case opStrConst:
		g.emit(instr{op: iStrConst, a: a, aux: &aux{str: []byte(n.str)}})
	case opStrField:
		g.emit(instr{op: iStrField, a: a, aux: &aux{fld: n.fld, name: n.fld.Name}})
	case opComm:
		g.emit(instr{op: iStrComm, a: a, aux: &aux{name: metaName(n)}})
	case opKStr:
		g.emit(instr{op: iFault, lo: uint64(FaultUnreadable), aux: &aux{name: n.fld.Name}})
	case opCond:
		yes, no, end := g.label(), g.label(), g.label()
		g.condAbove(n.kids[0], yes, no, r, q)
		g.here(yes)
		g.str(n.kids[1], q, r)
		g.emit(instr{op: iJump, t: end})
		g.here(no)
		g.str(n.kids[2], q, r)
		g.here(end)
	}
}

func sortSpans(s []span) {
	sort.Slice(s, func(i, j int) bool {
		if s[i].lo != s[j].lo {
			return s[i].lo < s[j].lo
		}
		return s[i].hi < s[j].hi
	})
}
