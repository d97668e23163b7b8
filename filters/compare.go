package filters

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// comparison checks == != < <= > >= ~ and in.
func (c *checker) comparison(x *syntax.Binary) *node {
	if x.Op == syntax.In {
		return c.in(x)
	}
	if _, ok := syntax.Bare(x.Y).(*syntax.CPUList); ok {
		return c.cpus(x)
	}
	if s, ok := syntax.Bare(x.X).(*syntax.Suffix); ok && s.Name == "function" {
		return c.function(x, s)
	}
	a, b := c.pair(x, nil)
	if a == nil || b == nil {
		return nil
	}
	if n, ok := c.named(x, a, b); ok {
		return n
	}
	switch {
	case a.typ == tStr && b.typ == tStr:
		return c.strings(x, a, b)
	case a.typ == tKStr && b.typ == tStr:
		return c.kernelOnly(x, a, b)
	case b.typ == tStr && b.op == opStrConst && a.op == opLoad && a.fld.Kind == perfpipe.KindPointer && strings.Contains(a.fld.CType, "char"):
		// char * of the kernel: the kernel follows it, we cannot.
		return c.kernelOnly(x, &node{op: opKStr, typ: tKStr, fld: a.fld, faults: true, nulls: a.nulls}, b)
	case a.typ == tStr || a.typ == tKStr:
		return c.errorf(x.Y, rankKernel, stringHint(x.Y), "expected a string here, as %s is one; this is %s", short(syntax.Print(x.X)), article(b.typ))
	case b.typ == tStr || b.typ == tKStr:
		return c.errorf(x.Y, rankKernel, "", "expected an integer here: %s is a %s", short(syntax.Print(x.X)), a.typ)
	case x.Op == syntax.Tilde:
		return c.errorf(x.Y, rankKernel, "", "~ compares a string with a glob")
	}
	if n, bad := c.odd(x, a, b); n != nil || bad {
		return n
	}
	if b.isConst() && !c.constFits(x.Y, a, b) || a.isConst() && !c.constFits(x.X, b, a) {
		return nil
	}
	return guard(mkCmp(x.Op, a, b))
}

func stringHint(x syntax.Expr) string {
	switch x := syntax.Bare(x).(type) {
	case *syntax.Number:
		return `quote it: "` + x.Text + `"`
	case *syntax.Ident:
		return `quote it: "` + x.Name + `"`
	}
	return ""
}

// odd deals with what is no integer as a whole: arrays, cpumasks, stack traces.
// The kernel compares these by its own lights; where bytes of the record are what
// it compares, so do we.
func (c *checker) odd(x *syntax.Binary, a, b *node) (n *node, bad bool) {
	for i, k := range [...]*node{a, b} {
		at := [...]syntax.Expr{x.X, x.Y}[i]
		other := [...]*node{b, a}[i]
		switch k.typ {
		case tStack:
			return c.errorf(at, rankStrict, "", "a stack trace cannot be compared (the kernel takes this, and finds it false)"), true
		case tFunc:
			return c.errorf(at, rankKernel, "write field.function == name", ".function stands on the left"), true
		case tMask:
			return c.errorf(at, rankStrict, "write "+k.fld.Name+" & CPUS{0-3}", "%s is a cpumask (the kernel takes a number here, and compares where the mask is stored)", k.fld.Name), true
		case tArray:
			if other.isConst() && !c.kernelTakes([...]syntax.Expr{x.Y, x.X}[i], k.fld, other) {
				return nil, true
			}
			l, ok := wholeLoad(k.fld)
			if !ok || k.fld.Loc != perfpipe.LocStatic {
				return c.errorf(at, rankStrict, fmt.Sprintf("compare an element of it, as in %s[0]", k.fld.Name), "%s is an array, %s (the kernel takes this, and finds it false)", k.fld.Name, TypeOf(k.fld)), true
			}
			if len(c.warns) < maxWarnings {
				c.warn(x, "%s is an array: its %d bytes are compared as one little-endian number, as the kernel does; %s[0] is its first element", k.fld.Name, k.fld.Size, k.fld.Name)
			}
			*k = node{op: opLoad, typ: l.typ(), load: l, fld: k.fld, src: k.src, nulls: k.nulls}
		}
	}
	return nil, false
}

// kernelTakes reports a constant that the kernel's kstrtoull or kstrtoll, which
// one follows from the sign of the field, would not read.
func (c *checker) kernelTakes(x syntax.Expr, f *perfpipe.Field, k *node) bool {
	switch {
	case f.Signed && k.typ == tUint && k.val >= 1<<63:
		hint := ""
		if l, ok := wholeLoad(f); ok {
			hint = "as this field holds it, it is " + strconv.FormatInt(int64(extend(k.val, l.size*8, tInt)), 10)
		}
		c.errorf(x, rankKernel, hint, "%d does not fit in %s, which is signed", k.val, f.Name)
		return false
	case !f.Signed && k.negative():
		hint := ""
		if l, ok := wholeLoad(f); ok && f.Loc == perfpipe.LocStatic {
			hint = fmt.Sprintf("as this field holds it, it is %#x", k.val&l.bounds().hi)
		}
		c.errorf(x, rankKernel, hint, "%d is negative, and %s is unsigned", int64(k.val), f.Name)
		return false
	}
	return true
}

// constFits reports a constant that no value of the field equals: the kernel
// would cut it to the field's size and find something else.
func (c *checker) constFits(kat syntax.Expr, a, k *node) bool {
	if a.op != opLoad || k.typ == tBool {
		return true
	}
	if !a.load.elem && !c.kernelTakes(kat, a.fld, k) {
		return false
	}
	d := a.load.bounds()
	if !less(k.typ, k.val, a.typ, d.lo) && !less(a.typ, d.hi, k.typ, k.val) {
		return true
	}
	c.outOfRange(kat, a, k)
	return false
}

func (c *checker) outOfRange(kat syntax.Expr, a, k *node) {
	d := a.load.bounds()
	c.errorf(kat, rankStrict, fmt.Sprintf("the kernel would cut it to %s; --kernel-compat does as well", number(a.typ, extend(k.val, a.load.size*8, a.typ))),
		"%s is never in %s, which holds %s to %s", number(k.typ, k.val), short(syntax.Print(a.src)), number(a.typ, d.lo), number(a.typ, d.hi))
}

func number(t typ, v uint64) string {
	if t == tUint {
		return strconv.FormatUint(v, 10)
	}
	return strconv.FormatInt(int64(v), 10)
}

// maskFits reports a mask with bits that the field does not have.
func (c *checker) maskFits(x *syntax.Binary, a, k *node) *node {
	if a.op != opLoad || k.typ == tBool || a.load.elem && k.negative() {
		return a
	}
	if !a.load.elem && !c.kernelTakes(x.Y, a.fld, k) {
		return nil
	}
	bits := uint(a.load.size) * 8
	if bits == 64 || k.val>>bits == 0 || k.negative() && !less(tInt, k.val, tInt, load{size: a.load.size, signed: true}.bounds().lo) {
		return a
	}
	c.outOfRange(x.Y, a, k)
	return nil
}

// strings checks == != ~ between strings.
func (c *checker) strings(x *syntax.Binary, a, b *node) *node {
	switch x.Op {
	case syntax.Eq, syntax.Ne:
		if a.op == opStrConst && b.op == opStrConst {
			return boolNode((a.str == b.str) == (x.Op == syntax.Eq))
		}
		if a.op == opStrConst {
			a, b = b, a
		}
		n := mkNode(opStrEq, tBool, a, b)
		if b.op == opStrConst && strings.IndexByte(b.str, 0) >= 0 {
			return c.errorf(x, rankKernel, "", "a string of the record holds no NUL byte")
		}
		if x.Op == syntax.Ne {
			return guard(mkNot(n))
		}
		return guard(n)
	case syntax.Tilde:
		s, ok := syntax.Bare(x.Y).(*syntax.String)
		if !ok {
			return c.errorf(x.Y, rankKernel, `write ~ "pattern"`, "the glob must be a string literal")
		}
		g, inverted := parseGlob(s.Value)
		n := mkGlob(a, g)
		if inverted {
			return guard(mkNot(n))
		}
		return guard(n)
	}
	return c.errorf(x.Y, rankKernel, "strings know ==, != and ~", "strings have no order: %s cannot compare them", x.Op)
}

func mkGlob(a *node, g *glob) *node {
	if a.op == opStrConst {
		return boolNode(g.match([]byte(a.str)))
	}
	n := mkNode(opGlob, tBool, a)
	n.glob = g
	return n
}

// kernelOnly is a test of a string that stands behind a pointer.
func (c *checker) kernelOnly(x *syntax.Binary, a, b *node) *node {
	if b.op != opStrConst || x.Op != syntax.Eq && x.Op != syntax.Ne && x.Op != syntax.Tilde {
		return c.errorf(x.Y, rankKernel, `the kernel compares it with ==, != and ~ "text"`, "a string behind a pointer can be compared with a literal alone")
	}
	n := c.strings(&syntax.Binary{X: x.X, Y: x.Y, Op: x.Op, OpAt: x.OpAt}, a, b)
	if n != nil {
		n.faults = true
	}
	return n
}

// function is field.function == name or address.
func (c *checker) function(x *syntax.Binary, s *syntax.Suffix) *node {
	f := c.suffix(s)
	if f == nil {
		return nil
	}
	if f.typ != tFunc {
		return c.errorf(s, rankKernel, "", ".function needs a field of the event")
	}
	l, ok := wholeLoad(f.fld)
	if !ok || l.size != 8 || f.fld.Loc != perfpipe.LocStatic {
		return c.errorf(x.Y, rankKernel, "", ".function needs an address, %s is %s", f.fld.Name, TypeOf(f.fld))
	}
	if x.Op != syntax.Eq && x.Op != syntax.Ne {
		return c.errorf(x.Y, rankKernel, "", ".function knows == and != alone")
	}
	var lo, hi uint64
	text := ""
	switch y := syntax.Bare(x.Y).(type) {
	case *syntax.Number:
		if !y.OK {
			return c.badNumber(y, y)
		}
		if c.opts.Functions == nil {
			return c.noFunctions(x.Y)
		}
		lo, hi, ok = c.opts.Functions.ByAddr(y.Value)
		text = y.Text
	case *syntax.Ident:
		if c.opts.Functions == nil {
			return c.noFunctions(x.Y)
		}
		lo, hi, ok = c.opts.Functions.ByName(y.Name)
		text = y.Name
	default:
		return c.errorf(x.Y, rankKernel, "", ".function is compared with a function's name or an address in it")
	}
	if !ok || hi <= lo {
		return c.errorf(x.Y, rankKernel, "it may be inlined or in a module that is not loaded; grep -w "+text+" /proc/kallsyms", "the kernel has no function %s", text)
	}
	kid := &node{op: opLoad, typ: tUint, load: load{off: l.off, size: 8, name: l.name}, fld: f.fld, src: s, nulls: f.nulls}
	n := mkIn(kid, span{lo, hi - 1})
	n.str = f.fld.Name + ".function == " + text
	if x.Op == syntax.Ne {
		return guard(mkNot(n))
	}
	return guard(n)
}

func (c *checker) noFunctions(x syntax.Expr) *node {
	return c.errorf(x, rankKernel, "they are in /proc/kallsyms of the machine that recorded, for root", "the addresses of the kernel's functions are not known here")
}

// in checks x in {a, lo..hi, ...}.
func (c *checker) in(x *syntax.Binary) *node {
	set, ok := x.Y.(*syntax.Set)
	if !ok {
		return c.inMap(x, x.Y.(*syntax.Ident))
	}
	a := c.value(x.X, nil)
	if a == nil {
		return nil
	}
	if a.typ == tStr {
		return c.inStrings(x, a, set)
	}
	if a.typ == tArray {
		if n, bad := c.odd(&syntax.Binary{X: x.X, Y: x.X, Op: syntax.Eq}, a, constNode(0, tInt)); bad {
			return n
		}
	}
	if a = c.needInt(x.X, a, "in {...}"); a == nil {
		return nil
	}
	near := c.fieldIn(x.X)
	var spans []span
	good := true
	for _, e := range set.Elems {
		loAt, hiAt := e, e
		if r, ok := e.(*syntax.Range); ok {
			loAt, hiAt = r.Lo, r.Hi
		}
		lo, ok1 := c.constant(loAt, near, a)
		hi, ok2 := lo, ok1
		if hiAt != loAt {
			hi, ok2 = c.constant(hiAt, near, a)
		}
		if !ok1 || !ok2 {
			good = false
			continue
		}
		if less(hi.typ, hi.val, lo.typ, lo.val) {
			c.errorf(e, rankKernel, "", "the range is empty: its end lies before its start")
			good = false
			continue
		}
		d := a.domain()
		if less(hi.typ, hi.val, a.typ, d.lo) || less(a.typ, d.hi, lo.typ, lo.val) {
			continue
		}
		s := span{lo.val, hi.val}
		if less(lo.typ, lo.val, a.typ, d.lo) {
			s.lo = d.lo
		}
		if less(a.typ, d.hi, hi.typ, hi.val) {
			s.hi = d.hi
		}
		spans = append(spans, s)
	}
	if !good {
		return nil
	}
	if a.isConst() {
		for _, s := range spans {
			if !less(a.typ, a.val, a.typ, s.lo) && !less(a.typ, s.hi, a.typ, a.val) {
				return boolNode(true)
			}
		}
		return boolNode(false)
	}
	return guard(mkIn(a, spans...))
}

// constant checks an element of a set beside a.
func (c *checker) constant(x syntax.Expr, near *perfpipe.Field, a *node) (*node, bool) {
	n := c.value(x, near)
	if n == nil {
		return nil, false
	}
	n = c.charBeside(x, n, a)
	if !n.isConst() {
		c.errorf(x, rankKernel, "", "an element of a set must be a constant")
		return nil, false
	}
	return n, c.constFits(x, a, n)
}

func (c *checker) inStrings(x *syntax.Binary, a *node, set *syntax.Set) *node {
	var out *node
	for _, e := range set.Elems {
		s, ok := syntax.Bare(e).(*syntax.String)
		if !ok {
			return c.errorf(e, rankKernel, "", "an element of this set must be a string")
		}
		n := c.strings(&syntax.Binary{X: x.X, Y: s, Op: syntax.Eq}, a, &node{op: opStrConst, typ: tStr, str: s.Value})
		if n == nil {
			return nil
		}
		if out == nil {
			out = n
		} else {
			out = mkOr(out, n)
		}
	}
	return out
}
