package filters

import (
	"bytes"
	"math/big"
	"math/bits"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// treeEval decides a tree directly, with big integers and the simplest code there
// is: what the instructions are compared with.
type treeEval struct {
	r     *perfpipe.Record
	fault Fault
	prog  *progEval // of a program, which has variables and a budget
}

func (e *treeEval) decide(n *node, pass bool) (bool, Fault) {
	v := e.truth(n)
	if e.fault != 0 {
		return pass, e.fault
	}
	return v, 0
}

func (e *treeEval) fail(f Fault) *big.Int {
	if e.fault == 0 {
		e.fault = f
	}
	return new(big.Int)
}

// typed brings v into the range of t, modulo 2^64.
func typed(v *big.Int, t typ) *big.Int {
	v = new(big.Int).And(v, new(big.Int).SetUint64(1<<64-1))
	if t == tInt && v.Bit(63) == 1 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), 64))
	}
	return v
}

func ofUint(u uint64, t typ) *big.Int { return typed(new(big.Int).SetUint64(u), t) }

func (e *treeEval) truth(n *node) bool {
	if e.fault != 0 {
		return false
	}
	switch n.op {
	case opConst:
		return n.val != 0
	case opNot:
		return !e.truth(n.kids[0])
	case opAnd:
		return e.truth(n.kids[0]) && e.truth(n.kids[1])
	case opOr:
		return e.truth(n.kids[0]) || e.truth(n.kids[1])
	case opCond:
		if e.truth(n.kids[0]) {
			return e.truth(n.kids[1])
		}
		return e.truth(n.kids[2])
	}
	v := e.leaf(n)
	if e.prog != nil && e.fault == 0 {
		e.prog.charge(e)
	}
	return v && e.fault == 0
}

// leaf decides a predicate.
func (e *treeEval) leaf(n *node) bool {
	switch n.op {
	case opMapHas, opChanged, opRate:
		return e.prog.test(e, n)
	case opVar, opState, opMapGet, opUser:
		return e.prog.value(e, n).Sign() != 0
	case opIn:
		v, t := e.value(n.kids[0]), n.kids[0].typ
		for _, s := range n.set {
			if v.Cmp(ofUint(s.lo, t)) >= 0 && v.Cmp(ofUint(s.hi, t)) <= 0 {
				return true
			}
		}
		return false
	case opMask:
		v := typed(e.value(n.kids[0]), tUint)
		return v.Uint64()&n.val != 0
	case opCmp:
		a := e.value(n.kids[0])
		b := e.value(n.kids[1])
		c := a.Cmp(b)
		return map[syntax.Kind]bool{syntax.Eq: c == 0, syntax.Ne: c != 0, syntax.Lt: c < 0, syntax.Le: c <= 0, syntax.Gt: c > 0, syntax.Ge: c >= 0}[n.bin]
	case opStrEq:
		a := e.str(n.kids[0])
		return a == e.str(n.kids[1])
	case opGlob:
		s := e.str(n.kids[0])
		switch n.glob.kind {
		case globAny:
			return true
		case globExact:
			return s == string(n.glob.lit)
		case globPrefix:
			return strings.HasPrefix(s, string(n.glob.lit))
		case globSuffix:
			return strings.HasSuffix(s, string(n.glob.lit))
		case globContains:
			return strings.Contains(s, string(n.glob.lit))
		}
		return globMatch(n.glob.pat, []byte(s))
	case opPresent:
		var has, ok bool
		if n.fld.Kind == perfpipe.KindString {
			_, has, _, ok = n.fld.Text(e.r.Raw)
		} else {
			has, ok = n.fld.Present(e.r.Raw)
		}
		if !ok {
			e.fail(FaultTruncated)
		}
		return has && ok
	case opCPUs:
		b, ok := n.fld.Bytes(e.r.Raw)
		if !ok {
			e.fail(FaultTruncated)
			return false
		}
		return matchCPUs(b, n.bin, n.cpus)
	case opCIDR:
		b, ok := n.fld.Bytes(e.r.Raw)
		if !ok {
			e.fail(FaultTruncated)
			return false
		}
		return n.net.match(b)
	}
	return e.value(n).Sign() != 0
}

func (e *treeEval) str(n *node) string {
	switch n.op {
	case opStrConst:
		return n.str
	case opComm:
		return e.r.Comm
	case opCond:
		if e.truth(n.kids[0]) {
			return e.str(n.kids[1])
		}
		return e.str(n.kids[2])
	case opVar:
		return e.prog.strs[n.v]
	case opUser:
		e.prog.value(e, n)
		return e.prog.result
	}
	if n.fld.Probed != nil {
		b, _, _, ok := n.fld.Text(e.r.Raw)
		if !ok {
			e.fail(FaultTruncated)
		}
		return string(b)
	}
	b, ok := n.fld.Bytes(e.r.Raw)
	if !ok {
		e.fail(FaultTruncated)
		return ""
	}
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

func (e *treeEval) value(n *node) *big.Int {
	if e.fault != 0 {
		return new(big.Int)
	}
	switch n.op {
	case opVar, opState, opMapGet, opUser, opDelta:
		return e.prog.value(e, n)
	}
	if n.typ == tBool {
		if e.truth(n) {
			return big.NewInt(1)
		}
		return new(big.Int)
	}
	switch n.op {
	case opConst:
		return ofUint(n.val, n.typ)
	case opLoad:
		end := n.load.off + int(n.load.size)
		if end > len(e.r.Raw) {
			return e.fail(FaultTruncated)
		}
		v, _ := perfpipe.LoadInt(e.r.Raw[n.load.off:end], n.load.signed)
		return ofUint(v, n.typ)
	case opElem:
		i := typed(e.value(n.kids[0]), tUint)
		b, ok := n.fld.Bytes(e.r.Raw)
		if n.fld.Probed != nil && n.fld.Kind == perfpipe.KindString {
			b, _, _, ok = n.fld.Text(e.r.Raw)
		}
		if e.fault != 0 {
			return i
		}
		if !ok {
			return e.fail(FaultTruncated)
		}
		size := int64(n.load.size)
		if i.Cmp(big.NewInt(int64(len(b))/size)) >= 0 {
			return e.fail(FaultIndex)
		}
		at := i.Int64() * size
		v, _ := perfpipe.LoadInt(b[at:at+size], n.load.signed)
		return ofUint(v, n.typ)
	case opMeta:
		return big.NewInt([...]int64{int64(e.r.CPU), int64(e.r.PID), int64(e.r.TID), e.r.Time}[n.meta])
	case opNeg:
		return typed(new(big.Int).Neg(e.value(n.kids[0])), n.typ)
	case opCompl:
		return typed(new(big.Int).Not(e.value(n.kids[0])), n.typ)
	case opCast:
		v := typed(e.value(n.kids[0]), tUint)
		v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(n.width)), big.NewInt(1)))
		if n.typ == tInt && v.Bit(int(n.width)-1) == 1 {
			v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(n.width)))
		}
		return v
	case opCond:
		if e.truth(n.kids[0]) {
			return typed(e.value(n.kids[1]), n.typ)
		}
		return typed(e.value(n.kids[2]), n.typ)
	case opBin:
		return e.bin(n)
	}
	return e.call(n)
}

func (e *treeEval) bin(n *node) *big.Int {
	a := typed(e.value(n.kids[0]), n.typ)
	b := e.value(n.kids[1])
	if e.fault != 0 {
		return a
	}
	z := new(big.Int)
	switch n.bin {
	case syntax.Shl, syntax.Shr:
		if b.Sign() < 0 || b.Cmp(big.NewInt(63)) > 0 {
			return e.fail(FaultShift)
		}
		if n.bin == syntax.Shl {
			return typed(z.Lsh(a, uint(b.Int64())), n.typ)
		}
		return typed(z.Rsh(a, uint(b.Int64())), n.typ)
	}
	b = typed(b, n.typ)
	switch n.bin {
	case syntax.Plus:
		z.Add(a, b)
	case syntax.Minus:
		z.Sub(a, b)
	case syntax.Star:
		z.Mul(a, b)
	case syntax.And:
		z.And(a, b)
	case syntax.Or:
		z.Or(a, b)
	case syntax.Xor:
		z.Xor(a, b)
	default:
		if b.Sign() == 0 {
			return e.fail(FaultDivision)
		}
		if n.bin == syntax.Slash {
			z.Quo(a, b)
		} else {
			z.Rem(a, b)
		}
	}
	return typed(z, n.typ)
}

func (e *treeEval) call(n *node) *big.Int {
	if n.kids[0].typ == tStr {
		s := e.str(n.kids[0])
		if n.fun == fnStrlen {
			return big.NewInt(int64(len(s)))
		}
		return ofUint(hashBytes([]byte(s)), tUint)
	}
	a := e.value(n.kids[0])
	var b *big.Int
	if len(n.kids) > 1 {
		b = e.value(n.kids[1])
	}
	u := typed(a, tUint).Uint64()
	switch n.fun {
	case fnAbs:
		return typed(new(big.Int).Abs(a), n.typ)
	case fnMin:
		if b.Cmp(a) < 0 {
			return b
		}
		return a
	case fnMax:
		if b.Cmp(a) > 0 {
			return b
		}
		return a
	case fnPopcount:
		c := 0
		for ; u != 0; u >>= 1 {
			c += int(u & 1)
		}
		return big.NewInt(int64(c))
	case fnLog2:
		c := int64(0)
		for ; u > 1; u >>= 1 {
			c++
		}
		return big.NewInt(c)
	case fnNtohs:
		return big.NewInt(int64(u&0xff<<8 | u>>8&0xff))
	case fnNtohl, fnIP:
		return big.NewInt(int64(u&0xff<<24 | u>>8&0xff<<16 | u>>16&0xff<<8 | u>>24&0xff))
	case fnBswap:
		return ofUint(bits.ReverseBytes64(u), tUint)
	}
	return ofUint(mix(u), tUint)
}
