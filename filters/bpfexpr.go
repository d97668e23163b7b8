package filters

import (
	"math"
	"math/bits"

	"github.com/cilium/ebpf/asm"

	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/filters/syntax"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// leaf loads a value into reg, with no other register than R5, false where n is none that
// is so.
func (g *bpfGen) leaf(n *node, reg asm.Register) bool {
	switch n.op {
	case opConst:
		g.Const(reg, n.val)
	case opVar:
		at, ok := g.vars[n.v]
		if !ok {
			g.fail("the variable %s has no place", n.v.name)
		}
		g.load(reg, at)
	case opLoad:
		g.field(reg, n.load)
	case opMeta:
		switch n.meta {
		case metaTime:
			g.Add(asm.LoadMem(reg, asm.R7, 0, asm.DWord))
		case metaTID:
			g.field(reg, load{off: g.place.PID - bpf.RawOffset, size: 4, signed: true})
		default:
			return false
		}
	default:
		return false
	}
	return true
}

func isLeaf(n *node) bool {
	switch n.op {
	case opConst, opVar, opLoad:
		return true
	}
	return n.op == opMeta && (n.meta == metaTime || n.meta == metaTID)
}

// field loads an integer that is in place.
func (g *bpfGen) field(reg asm.Register, l load) {
	g.bytes(reg, l)
	if size := int(l.size); l.signed && size < 8 {
		g.Cut(reg, size*8, true)
	}
}

// bytes is field, widened with zeroes whatever its sign.
func (g *bpfGen) bytes(reg asm.Register, l load) {
	at, size := bpf.RawOffset+l.off, int(l.size)
	if at+size > g.place.Size || l.off < 0 {
		g.fail("%s lies behind the record", l.name)
		return
	}
	g.pieces(reg, asm.R7, at, size)
}

// pieces loads size bytes from an offset from base, which is no R5 and not reg if they
// are several. The stack takes no address that is not a multiple of the size: piece by
// piece then, the highest first.
func (g *bpfGen) pieces(reg, base asm.Register, at, size int) {
	piece := size
	for at%piece != 0 {
		piece /= 2
	}
	for n := size - piece; n >= 0; n -= piece {
		if n == size-piece {
			g.Add(asm.LoadMem(reg, base, int16(at+n), code.Size(piece)))
			continue
		}
		g.Add(asm.LSh.Imm(reg, int32(piece*8)), asm.LoadMem(asm.R5, base, int16(at+n), code.Size(piece)), asm.Or.Reg(reg, asm.R5))
	}
}

// pair computes two values, the first into R0 and the second into R1.
func (g *bpfGen) pair(x, y *node) {
	g.value(x)
	if isLeaf(y) {
		g.leaf(y, asm.R1)
		return
	}
	next := g.next
	at := g.slot()
	g.keep(at)
	g.value(y)
	g.Add(asm.Mov.Reg(asm.R1, asm.R0))
	g.load(asm.R0, at)
	g.next = next
}

// value computes an integer or a condition into R0. It changes R0 to R5.
func (g *bpfGen) value(n *node) {
	if g.err != nil || g.leaf(n, asm.R0) {
		return
	}
	switch n.op {
	case opMeta:
		if n.meta == metaCPU {
			g.Add(g.place.CPU(asm.R0)...)
			return
		}
		g.Add(g.place.Process(asm.R0)...)
		g.Cut(asm.R0, 32, true)
	case opElem:
		g.elem(n)
	case opBin:
		g.bin(n)
	case opNeg:
		g.value(n.kids[0])
		g.Add(asm.Neg.Imm(asm.R0, 0))
	case opCompl:
		g.value(n.kids[0])
		g.Add(asm.Xor.Imm(asm.R0, -1))
	case opCast:
		g.value(n.kids[0])
		g.Cut(asm.R0, int(n.width), n.typ == tInt)
	case opCall:
		g.builtin(n)
	case opState:
		g.cell(n.cell)
	case opMapGet:
		g.mapGet(n)
	case opDelta:
		g.delta(n)
	case opUser:
		g.call(n)
	case opStrConst, opStrField, opComm:
		g.string(n)
	case opCond:
		if n.typ == tBool {
			g.boolean(n)
			return
		}
		yes, no, end := g.Label(), g.Label(), g.Label()
		g.cond(n.kids[0], code.Target{True: yes, False: no, Next: yes})
		g.Mark(yes)
		g.value(n.kids[1])
		g.Jump(end)
		g.Mark(no)
		g.value(n.kids[2])
		g.Mark(end)
	default:
		if n.typ != tBool {
			g.fail("it has a %s as a value", n.typ)
			return
		}
		g.boolean(n)
	}
}

// boolean computes a condition into R0 as 0 or 1.
func (g *bpfGen) boolean(n *node) {
	yes, no, end := g.Label(), g.Label(), g.Label()
	g.cond(n, code.Target{True: yes, False: no, Next: yes})
	g.Mark(yes)
	g.Add(asm.Mov.Imm(asm.R0, 1))
	g.Jump(end)
	g.Mark(no)
	g.Add(asm.Mov.Imm(asm.R0, 0))
	g.Mark(end)
}

func (g *bpfGen) bin(n *node) {
	x, y := n.kids[0], n.kids[1]
	if op, ok := aluOf(n.bin); ok && y.isConst() {
		g.value(x)
		g.Op(op, asm.R0, y.val, asm.R1)
		return
	}
	if y.isConst() && g.binConst(n, y.val) {
		return
	}
	g.pair(x, y)
	if op, ok := aluOf(n.bin); ok {
		g.Add(op.Reg(asm.R0, asm.R1))
		return
	}
	switch n.bin {
	case syntax.Slash, syntax.Percent:
		g.Divide(n.typ == tInt, n.bin == syntax.Percent, g.fault(FaultDivision))
		return
	}
	if !y.isConst() {
		g.Add(asm.JGT.Imm(asm.R1, 63, g.fault(FaultShift)))
	}
	switch {
	case n.bin == syntax.Shl:
		g.Add(asm.LSh.Reg(asm.R0, asm.R1))
	case n.typ == tInt:
		g.Add(asm.ArSh.Reg(asm.R0, asm.R1))
	default:
		g.Add(asm.RSh.Reg(asm.R0, asm.R1))
	}
}

// binConst is bin for what shifts or divides by a constant that needs no guard.
func (g *bpfGen) binConst(n *node, c uint64) bool {
	switch n.bin {
	case syntax.Slash, syntax.Percent:
		if c == 0 || c > math.MaxInt32 {
			return false
		}
		g.value(n.kids[0])
		g.DivideConst(n.typ == tInt, n.bin == syntax.Percent, int32(c))
		return true
	}
	if c > 63 {
		return false
	}
	op := asm.RSh
	switch {
	case n.bin == syntax.Shl:
		op = asm.LSh
	case n.typ == tInt:
		op = asm.ArSh
	}
	g.value(n.kids[0])
	g.Add(op.Imm(asm.R0, int32(c)))
	return true
}

// aluOf is the instruction that means what the language does by k.
func aluOf(k syntax.Kind) (asm.ALUOp, bool) {
	switch k {
	case syntax.Plus:
		return asm.Add, true
	case syntax.Minus:
		return asm.Sub, true
	case syntax.Star:
		return asm.Mul, true
	case syntax.And:
		return asm.And, true
	case syntax.Or:
		return asm.Or, true
	case syntax.Xor:
		return asm.Xor, true
	}
	return 0, false
}

// builtin is a function of integers, or of a string.
func (g *bpfGen) builtin(n *node) {
	if n.kids[0].typ == tStr {
		g.textCall(n)
		return
	}
	if len(n.kids) > 1 {
		g.pair(n.kids[0], n.kids[1])
	} else {
		g.value(n.kids[0])
	}
	switch n.fun {
	case fnAbs:
		if n.typ == tInt {
			end := g.Label()
			g.Add(asm.JSGE.Imm(asm.R0, 0, end), asm.Neg.Imm(asm.R0, 0))
			g.Mark(end)
		}
	case fnMin, fnMax:
		// less(b, a) chooses b for min, less(a, b) for max.
		keep := asm.JLE
		switch {
		case n.fun == fnMin && n.typ == tInt:
			keep = asm.JSLE
		case n.fun == fnMax && n.typ == tInt:
			keep = asm.JSGE
		case n.fun == fnMax:
			keep = asm.JGE
		}
		end := g.Label()
		g.Add(keep.Reg(asm.R0, asm.R1, end), asm.Mov.Reg(asm.R0, asm.R1))
		g.Mark(end)
	case fnPopcount:
		g.Popcount()
	case fnLog2:
		g.Log2()
	case fnNtohs:
		g.Add(asm.HostTo(asm.BE, asm.R0, asm.Half))
	case fnNtohl, fnIP:
		g.Add(asm.HostTo(asm.BE, asm.R0, asm.Word))
	case fnBswap:
		g.Add(asm.HostTo(asm.BE, asm.R0, asm.DWord))
	case fnHash:
		g.Mix()
	default:
		g.fail("it calls a function that has no code for eBPF")
	}
}

// elem is an element of an array by its index.
func (g *bpfGen) elem(n *node) {
	f := n.fld
	if f.Loc != 0 || f.Probed != nil || f.Count <= 0 {
		g.located(n)
		return
	}
	size := int(n.load.size)
	count := f.Size / size
	at := bpf.RawOffset + f.Offset
	if at+count*size > g.place.Size {
		g.fail("%s lies behind the record", f.Name)
		return
	}
	g.value(n.kids[0])
	g.Add(
		asm.JGE.Imm(asm.R0, int32(count), g.fault(FaultIndex)),
		asm.LSh.Imm(asm.R0, int32(bits.Len(uint(size))-1)),
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Add.Reg(asm.R1, asm.R0),
	)
	g.pieces(asm.R0, asm.R1, at, size)
	if n.load.signed && size < 8 {
		g.Cut(asm.R0, size*8, true)
	}
}

// cond goes to where t says, by whether n holds.
func (g *bpfGen) cond(n *node, t code.Target) {
	if g.err != nil {
		return
	}
	switch n.op {
	case opConst:
		if n.val == 0 {
			t.True = t.False
		}
		g.Jump(t.True)
		return
	case opNot:
		if k := n.kids[0]; k.reaches() {
			// != as well is false of a string that cannot be read.
			next := g.next
			g.reach(k, code.Target{True: t.False, False: t.True}, t.False)
			g.next = next
			return
		}
		g.cond(n.kids[0], code.Target{True: t.False, False: t.True, Next: t.Next})
		return
	case opAnd:
		mid := g.Label()
		g.cond(n.kids[0], code.Target{True: mid, False: t.False, Next: mid})
		g.Mark(mid)
		g.cond(n.kids[1], t)
		return
	case opOr:
		mid := g.Label()
		g.cond(n.kids[0], code.Target{True: t.True, False: mid, Next: mid})
		g.Mark(mid)
		g.cond(n.kids[1], t)
		return
	case opCond:
		yes, no := g.Label(), g.Label()
		g.cond(n.kids[0], code.Target{True: yes, False: no, Next: yes})
		g.Mark(yes)
		g.cond(n.kids[1], code.Target{True: t.True, False: t.False})
		g.Mark(no)
		g.cond(n.kids[2], t)
		return
	}
	next := g.next
	g.test(n, t)
	g.next = next
}

// test makes a predicate: its operands, the charge, the jump.
func (g *bpfGen) test(n *node, t code.Target) {
	switch n.op {
	case opIn:
		g.in(n, t)
	case opMask:
		g.value(n.kids[0])
		g.charge()
		g.Op(asm.And, asm.R0, n.val, asm.R1)
		g.BranchConst(asm.JNE, asm.R0, 0, asm.R1, t)
	case opCmp:
		g.compare(n, t)
	case opMapHas:
		g.value(n.kids[0])
		at := g.slot()
		g.keep(at)
		g.table(n.m, at)
		g.Add(asm.FnMapLookupElem.Call())
		g.charge()
		g.BranchConst(asm.JNE, asm.R0, 0, asm.R1, t)
	case opChanged:
		g.changed(n, t)
	case opRate:
		g.rate(n, t)
	case opStrEq, opGlob, opStrFn, opKernel, opCPUs, opCIDR, opPresent:
		g.textTest(n, t)
	default:
		g.value(n)
		g.charge()
		g.BranchConst(asm.JNE, asm.R0, 0, asm.R1, t)
	}
}

// in is a value in a set of ranges.
func (g *bpfGen) in(n *node, t code.Target) {
	x := n.kids[0]
	b := x.domain()
	d := code.Domain{Lo: b.lo, Hi: b.hi, Signed: x.typ == tInt}
	if x.op == opLoad && x.load.size == 4 {
		d.Narrow = true
		g.bytes(asm.R0, x.load)
	} else {
		g.value(x)
	}
	g.charge()
	spans := make([][2]uint64, len(n.set))
	for i, s := range n.set {
		spans[i] = [2]uint64{s.lo, s.hi}
	}
	g.Ranges(spans, d, t)
}

// compare is x k y of integers, by value: booleans are 0 and 1 in either order.
func (g *bpfGen) compare(n *node, t code.Target) {
	x, y := n.kids[0], n.kids[1]
	g.pair(x, y)
	g.charge()
	if x.typ != tUint && y.typ != tUint {
		g.Branch(binJump(n.bin, true), asm.R0, asm.R1, t)
		return
	}
	if x.typ == tInt || y.typ == tInt {
		// What is negative is less than all that is not signed.
		negative, k := asm.R0, n.bin
		if y.typ == tInt {
			negative, k = asm.R1, mirror(k)
		}
		where := t.False
		if k == syntax.Lt || k == syntax.Le || k == syntax.Ne {
			where = t.True
		}
		g.Add(asm.JSLT.Imm(negative, 0, where))
	}
	g.Branch(binJump(n.bin, false), asm.R0, asm.R1, t)
}
