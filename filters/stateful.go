package filters

import (
	"math/bits"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// sample is sample(m/n): m of n records, chosen by a hash of when, where and in which
// thread they happened, so that every tier and every replay chooses the same ones.
func (c *checker) sample(x *syntax.Call) *node {
	hint := "write sample(1/100) for one of a hundred"
	m, n := uint64(0), uint64(0)
	if b, ok := syntax.Bare(x.Args[0]).(*syntax.Binary); ok && b.Op == syntax.Slash {
		p, q := c.value(b.X, nil), c.value(b.Y, nil)
		if p == nil || q == nil {
			return nil
		}
		if p.isConst() && q.isConst() && !p.negative() && !q.negative() {
			m, n = p.val, q.val
		}
	}
	if m == 0 || n == 0 {
		return c.errorf(x.Args[0], rankKernel, hint, "sample() takes a fraction of two constants")
	}
	if m > n {
		return c.errorf(x.Args[0], rankKernel, hint, "the fraction is more than 1")
	}
	if m == n {
		return boolNode(true)
	}
	most, _ := bits.Div64(m, 0, n) // m * 2^64 / n
	who := mkNode(opBin, tInt, &node{op: opMeta, typ: tInt, meta: metaTID}, constNode(16, tInt))
	who.bin = syntax.Shl
	where := mkNode(opBin, tInt, who, &node{op: opMeta, typ: tInt, meta: metaCPU})
	where.bin = syntax.Xor
	h := mkNode(opBin, tUint, mkCall(fnHash, tUint, where), &node{op: opMeta, typ: tUint, meta: metaTime})
	h.bin = syntax.Xor
	return mkCmp(syntax.Lt, mkCall(fnHash, tUint, h), constNode(most, tUint))
}

// keeping is delta(x), changed(x) and rate(n, ms), each with memory of its own for
// each place where it is written.
func (c *checker) keeping(x *syntax.Call, f *Function, near *perfpipe.Field) *node {
	at, _ := x.Span()
	l := c.env.layout
	c.changes()
	var n *node
	switch f.fn {
	case fnDelta:
		a := c.needInt(x.Args[0], c.value(x.Args[0], near), "delta()")
		if a == nil {
			return nil
		}
		n = mkNode(opDelta, tInt, a)
		n.cell, n.load = l.site(at, 2), load{size: 8, signed: true}
	case fnChanged:
		a := c.value(x.Args[0], near)
		if a != nil && a.typ == tStr {
			a = foldCall(mkCall(fnHash, tUint, a))
		}
		if a = c.needInt(x.Args[0], a, "changed()"); a == nil {
			return nil
		}
		n = mkNode(opChanged, tBool, a)
		n.cell = l.site(at, 2)
	default:
		count, ms := c.value(x.Args[0], nil), c.value(x.Args[1], nil)
		if count == nil || ms == nil {
			return nil
		}
		for i, k := range [...]*node{count, ms} {
			if !k.isConst() || !k.typ.integer() || k.negative() || k.val == 0 || k.val > 1<<40 {
				return c.errorf(x.Args[i], rankKernel, "write rate(10, 1000) for ten in a second", "rate() takes two constants above 0: how many, in how many milliseconds")
			}
		}
		n = mkNode(opRate, tBool, constNode(count.val, tUint), constNode(ms.val*1_000_000, tUint))
		n.cell = l.site(at, 3)
	}
	n.inner, n.faults, n.effects = true, true, true
	if n.op == opChanged {
		return guard(n)
	}
	return n
}

// usesState reports whether x calls what keeps state, as far as it is written.
func usesState(x syntax.Expr) bool {
	found := false
	var walk func(x syntax.Expr)
	walk = func(x syntax.Expr) {
		for !found {
			switch y := x.(type) {
			case *syntax.Paren:
				x = y.X
				continue
			case *syntax.Partial:
				x = y.X
				continue
			case *syntax.Unary:
				x = y.X
				continue
			case *syntax.Cast:
				x = y.X
				continue
			case *syntax.Binary:
				walk(y.Y)
				x = y.X
				continue
			case *syntax.Cond:
				walk(y.If)
				walk(y.Then)
				x = y.Else
				continue
			case *syntax.Index:
				walk(y.I)
				x = y.X
				continue
			case *syntax.Call:
				switch y.Fun.Name {
				case "delta", "changed", "rate":
					found = true
				}
				for _, a := range y.Args {
					walk(a)
				}
			}
			return
		}
	}
	walk(x)
	return found
}
