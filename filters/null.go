package filters

import (
	"github.com/perfpipe/perfpipe"
)

// Fields of probes may have no value: the memory could not be read, or it was NULL
// that pointed there. A predicate that reads such a field is false, whichever its
// operator. The checker says so in the tree: what it makes of x != 1 is
//
//	present(x) && !(x == 1)
//
// so that ! around the predicate, and every tier, need to know nothing of nulls.

// maybeNull marks n as a read of f that may find nothing.
func maybeNull(n *node, f *perfpipe.Field) *node {
	n.nulls = n.nulls || f.Probed != nil
	return n
}

// presentNode is true where f has a value.
func presentNode(f *perfpipe.Field) *node {
	switch {
	case f.Probed == nil:
		return boolNode(true)
	case f.Probed.Never:
		return boolNode(false)
	}
	return &node{op: opPresent, typ: tBool, fld: f}
}

// guard is the predicate pred, false where a value that it reads is null. Predicates
// that are operands of its values have guards of their own.
func guard(pred *node) *node {
	leaf := pred
	for leaf.op == opNot {
		leaf = leaf.kids[0]
	}
	if !leaf.nulls {
		return pred
	}
	here := boolNode(true)
	if leaf.fld != nil {
		here = presentNode(leaf.fld)
	}
	for _, k := range leaf.kids {
		here = mkAnd(here, presence(k))
	}
	n := mkAnd(here, pred)
	if n.op == opAnd && n != pred && n != here {
		n.guarded = true
	}
	return n
}

// presence is true where the value of n reads no null.
func presence(n *node) *node {
	switch {
	case !n.nulls, n.typ == tBool:
		return boolNode(true)
	case n.op == opCond:
		a, b := presence(n.kids[1]), presence(n.kids[2])
		if a.isTrue() && b.isTrue() {
			return a
		}
		return mkNode(opCond, tBool, n.kids[0], a, b)
	}
	here := boolNode(true)
	if n.fld != nil {
		here = presentNode(n.fld)
	}
	for _, k := range n.kids {
		here = mkAnd(here, presence(k))
	}
	return here
}

// unreadable is a field that never has a value: no record is asked for it.
func unreadable(f *perfpipe.Field) *node {
	if f.Kind == perfpipe.KindString {
		return maybeNull(&node{op: opStrField, typ: tStr, fld: f}, f)
	}
	l := load{size: 8, signed: true, name: f.Name, elem: true}
	return maybeNull(&node{op: opLoad, typ: tInt, load: l, fld: f}, f)
}

// isNull is isnull(field).
func (c *checker) isNull(f *perfpipe.Field) *node { return mkNot(presentNode(f)) }

// present reports whether f has a value in raw.
func present(f *perfpipe.Field, raw []byte) (bool, Fault) {
	var has, ok bool
	if f.Kind == perfpipe.KindString {
		_, has, _, ok = f.Text(raw)
	} else {
		has, ok = f.Present(raw)
	}
	if !ok {
		return false, FaultTruncated
	}
	return has, 0
}

// probedText says whether the kernel compares the text that the filter sees, for
// filters that are true only where there is one. It does not where the kernel took
// nothing of a text that is too long, of which the filter sees the head.
func (ps *pusher) probedText(f *perfpipe.Field, g *glob, neg bool) bool {
	p := f.Probed
	switch {
	case p == nil:
		return true
	case f.Loc == perfpipe.LocStatic || p.Length >= 0:
		ps.open("the kernel does not know where the text of " + f.Name + " ends")
		return false
	case p.Head >= 0 && (neg || g.kind != globExact || len(g.lit) == p.HeadSize):
		ps.open("the kernel has nothing of a text of " + f.Name + " that is longer than a page")
		return false
	}
	return true
}
