package filters

import (
	"fmt"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// checker gives meaning to a tree: names, types, constants. Its methods return
// nil where they reported an error.
type checker struct {
	schema *perfpipe.Schema
	opts   Options
	errs   []*Error
	warns  []Warning
	env    *env // what a program declares; nil for an expression alone
	budget int
}

func (c *checker) errorf(x syntax.Expr, r rank, hint, format string, args ...any) *node {
	pos, end := x.Span()
	c.errs = append(c.errs, &Error{Pos: pos, End: end, Reason: fmt.Sprintf(format, args...), Hint: hint, rank: r})
	return nil
}

func (c *checker) warn(x syntax.Expr, format string, args ...any) {
	pos, end := x.Span()
	c.warns = append(c.warns, Warning{Pos: pos, End: end, Text: fmt.Sprintf(format, args...)})
}

// cond checks x as a condition: a bool, or an integer that counts as true where
// it is not 0.
func (c *checker) cond(x syntax.Expr) *node {
	n := c.cond1(x)
	if n != nil && n.src == nil {
		n.src = x
	}
	return n
}

func (c *checker) cond1(x syntax.Expr) *node {
	switch x := x.(type) {
	case *syntax.Paren:
		return c.cond(x.X)
	case *syntax.Partial:
		if n := c.value(x.X, nil); n != nil && n.typ.integer() {
			return truth(n)
		}
		return nil
	case *syntax.Unary:
		if x.Op == syntax.Not {
			return c.not(x)
		}
	case *syntax.Binary:
		if x.Op == syntax.AndAnd || x.Op == syntax.OrOr {
			return c.logic(x)
		}
	case *syntax.Number:
		if !x.OK {
			return c.badNumber(x, x)
		}
		return c.errorf(x, rankKernel, "compare it with a field, or take it away", "the number %s alone is no condition", x.Text)
	case *syntax.Cond:
		return c.ternary(x, true)
	}
	n := c.value(x, nil)
	if n == nil {
		return nil
	}
	if !n.typ.integer() {
		hint := ""
		switch n.typ {
		case tStr, tKStr:
			hint = `compare it: == "text", != "text", ~ "glob*"`
		case tArray:
			hint = "compare an element of it, as in v[0] == 1"
		case tMask:
			hint = "compare it: & CPUS{0-3}"
		}
		return c.errorf(x, rankKernel, hint, "%s is no condition", article(n.typ))
	}
	return truth(n)
}

// truth is n as a bool.
func truth(n *node) *node {
	if n.typ == tBool {
		return n
	}
	if n.isConst() {
		return boolNode(n.val != 0)
	}
	if n.op == opBin && n.bin == syntax.And {
		if k := n.kids[1]; k.isConst() {
			return guard(mkMask(n.kids[0], k.val))
		}
		if k := n.kids[0]; k.isConst() {
			return guard(mkMask(n.kids[1], k.val))
		}
	}
	return guard(mkNot(mkCmp(syntax.Eq, n, constNode(0, tInt))))
}

// mkMask is true where x and mask have a bit in common.
func mkMask(x *node, mask uint64) *node {
	if x.isConst() {
		return boolNode(x.val&mask != 0)
	}
	if mask == 0 && !x.faults {
		return boolNode(false)
	}
	n := mkNode(opMask, tBool, x)
	n.val = mask
	return n
}

func (c *checker) not(x *syntax.Unary) *node {
	y := x.X
	if b, ok := y.(*syntax.Binary); ok && len(c.warns) < maxWarnings && b.Op != syntax.AndAnd && b.Op != syntax.OrOr {
		c.warn(x, "! takes the whole of %s here, as the kernel reads it; C would take %s alone: write !(%s)",
			short(syntax.Print(b)), short(syntax.Print(b.X)), short(syntax.Print(b)))
	}
	n := c.cond(y)
	if n == nil {
		return nil
	}
	return mkNot(n)
}

// maxWarnings is more than anyone reads.
const maxWarnings = 20

func short(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}

// logic checks && and ||. What cannot be reached because has() is false on its
// left is not checked: has(x) && x == 1 serves events that have no x.
func (c *checker) logic(x *syntax.Binary) *node {
	a := c.cond(x.X)
	if a != nil && decidedByHas(x.X) && (x.Op == syntax.AndAnd && a.isFalse() || x.Op == syntax.OrOr && a.isTrue()) {
		return a
	}
	b := c.cond(x.Y)
	if a == nil || b == nil {
		return nil
	}
	var n *node
	if x.Op == syntax.AndAnd {
		n = mkAnd(a, b)
	} else {
		n = mkOr(a, b)
	}
	if n.src == nil {
		n.src = x
	}
	return n
}

// decidedByHas reports whether has() occurs in x, which folded to a constant.
func decidedByHas(x syntax.Expr) bool {
	switch x := x.(type) {
	case *syntax.Paren:
		return decidedByHas(x.X)
	case *syntax.Unary:
		return decidedByHas(x.X)
	case *syntax.Binary:
		return decidedByHas(x.X) || decidedByHas(x.Y)
	case *syntax.Call:
		return x.Fun.Name == "has"
	}
	return false
}

func (c *checker) ternary(x *syntax.Cond, asCond bool) *node {
	i := c.cond(x.If)
	kid := func(y syntax.Expr) *node {
		// x ? 1 : 0 says true and false in C's way.
		if num, ok := syntax.Bare(y).(*syntax.Number); ok && num.OK && asCond {
			return boolNode(num.Value != 0)
		}
		if asCond {
			return c.cond(y)
		}
		return c.value(y, nil)
	}
	if i != nil && i.isConst() && decidedByHas(x.If) {
		if i.isTrue() {
			return kid(x.Then)
		}
		return kid(x.Else)
	}
	a, b := kid(x.Then), kid(x.Else)
	if i == nil || a == nil || b == nil {
		return nil
	}
	t := a.typ
	switch {
	case a.typ == tBool && b.typ == tBool:
	case a.typ.integer() && b.typ.integer():
		t = unify(a.typ, b.typ)
	case a.typ == tStr && b.typ == tStr:
	default:
		return c.errorf(x.Else, rankKernel, "", "the two values of ?: are %s and %s", a.typ, b.typ)
	}
	if i.effects && (a.nulls || b.nulls) {
		return c.errorf(x.If, rankKernel, "put it into a variable first", "what chooses between values that may be null changes state, and would be asked twice")
	}
	if i.isConst() {
		n := *a
		if i.isFalse() {
			n = *b
		}
		if n.isConst() {
			n.typ = t
			return &n
		}
		if n.typ == t {
			return &n
		}
	}
	return mkNode(opCond, t, i, a, b)
}

// value checks x as a value. near is the field that stands on the other side of
// a comparison, whose symbolic names then count; nil is none.
func (c *checker) value(x syntax.Expr, near *perfpipe.Field) *node {
	n := c.value1(x, near)
	if n != nil && n.src == nil {
		n.src = x
	}
	return n
}

func (c *checker) value1(x syntax.Expr, near *perfpipe.Field) *node {
	switch x := x.(type) {
	case *syntax.Paren:
		return c.value(x.X, near)
	case *syntax.Partial:
		return c.value(x.X, near)
	case *syntax.Ident:
		return c.name(x, near)
	case *syntax.Meta:
		return c.metaValue(x)
	case *syntax.Number:
		if !x.OK {
			return c.badNumber(x, x)
		}
		n := constNode(x.Value, tInt)
		if x.Value >= 1<<63 {
			n.typ = tUint
		}
		return n
	case *syntax.String:
		return &node{op: opStrConst, typ: tStr, str: x.Value}
	case *syntax.CPUList:
		return c.errorf(x, rankKernel, "compare with it: CPU & CPUS{0-3}", "CPUS{} stands only behind ==, != and &")
	case *syntax.Unary:
		return c.unary(x, near)
	case *syntax.Binary:
		return c.binary(x, near)
	case *syntax.Cond:
		return c.ternary(x, false)
	case *syntax.Cast:
		return c.cast(x, near)
	case *syntax.Index:
		return c.index(x)
	case *syntax.Suffix:
		return c.suffix(x)
	case *syntax.Call:
		return c.call(x, near)
	}
	return c.errorf(x, rankKernel, "", "no value")
}

// badNumber reports n; x is what the caret shows, n with its minus sign.
func (c *checker) badNumber(x syntax.Expr, n *syntax.Number) *node {
	hint := "numbers are decimal, 0x hexadecimal, or octal with a leading 0"
	reason := fmt.Sprintf("%s is no number", n.Text)
	digits := strings.TrimLeft(n.Text, "0123456789abcdefABCDEFxX")
	switch {
	case len(n.Text) > 1 && n.Text[0] == '0' && strings.Trim(n.Text, "0123456789") == "":
		if strings.ContainsAny(n.Text, "89") {
			reason = fmt.Sprintf("%s is no octal number", n.Text)
			hint = "a number that begins with 0 is octal; write " + orZero(strings.TrimLeft(n.Text, "0"))
			break
		}
		reason = fmt.Sprintf("%s does not fit in 64 bits", n.Text)
	case digits == "" && (strings.Trim(n.Text, "0123456789") == "" || len(n.Text) > 2 && (n.Text[1] == 'x' || n.Text[1] == 'X') && !strings.ContainsAny(n.Text[2:], "xX")):
		reason = fmt.Sprintf("%s does not fit in 64 bits", n.Text)
	case strings.HasPrefix(n.Text, "0b") || strings.HasPrefix(n.Text, "0B"):
		hint = "binary numbers are not known; write hexadecimal"
	}
	return c.errorf(x, rankKernel, hint, "%s", reason)
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

func (c *checker) unary(x *syntax.Unary, near *perfpipe.Field) *node {
	if x.Op == syntax.Not {
		return c.not(x)
	}
	if num, ok := x.X.(*syntax.Number); ok && !num.OK {
		return c.badNumber(x, num)
	}
	if num, ok := x.X.(*syntax.Number); ok && x.Op == syntax.Minus {
		if num.Value > 1<<63 {
			return c.errorf(x, rankKernel, "the least number is -9223372036854775808", "-%s does not fit in 64 bits", num.Text)
		}
		return constNode(-num.Value, tInt)
	}
	n := c.value(x.X, near)
	if n = c.needInt(x, n, x.Op.String()); n == nil {
		return nil
	}
	t := n.typ
	if t == tBool {
		t = tInt
	}
	o := opNeg
	if x.Op == syntax.Tilde {
		o = opCompl
	}
	if n.isConst() {
		if o == opNeg {
			return constNode(-n.val, t)
		}
		return constNode(^n.val, t)
	}
	return mkNode(o, t, n)
}

// needInt reports n unless it is an integer.
func (c *checker) needInt(x syntax.Expr, n *node, what string) *node {
	if n == nil || n.typ.integer() {
		return n
	}
	hint := ""
	switch n.typ {
	case tArray:
		hint = "take an element of it, as in v[0]"
	case tStr:
		hint = "strlen(s) is its length"
	}
	return c.errorf(x, rankKernel, hint, "%s needs an integer, this is %s", what, article(n.typ))
}

// isComparison and isBits tell the two rungs of C's ladder that C got wrong.
func isComparison(k syntax.Kind) bool { return k >= syntax.Eq && k <= syntax.Ge }
func isBits(k syntax.Kind) bool       { return k == syntax.And || k == syntax.Or || k == syntax.Xor }

// mixed returns the second operator of an unparenthesised mixture of comparisons
// with comparisons or bit operators, and the first; ok is false where x is none.
func mixed(x *syntax.Binary) (at int, first, second syntax.Kind, ok bool) {
	if !isComparison(x.Op) && !isBits(x.Op) {
		return 0, 0, 0, false
	}
	for _, kid := range [...]syntax.Expr{x.X, x.Y} {
		b, is := kid.(*syntax.Binary)
		if !is || !(isComparison(b.Op) && (isComparison(x.Op) || isBits(x.Op)) || isBits(b.Op) && isComparison(x.Op)) {
			continue
		}
		if b.OpAt > x.OpAt && !isCondition(x.X) {
			return b.OpAt, x.Op, b.Op, true
		}
		if b.OpAt > x.OpAt {
			return x.OpAt, b.Op, x.Op, true
		}
		return x.OpAt, b.Op, x.Op, true
	}
	return 0, 0, 0, false
}

// isCondition reports whether x is a condition in parentheses.
func isCondition(x syntax.Expr) bool {
	if _, ok := x.(*syntax.Paren); !ok {
		return false
	}
	switch x := syntax.Bare(x).(type) {
	case *syntax.Binary:
		return isComparison(x.Op) || x.Op == syntax.AndAnd || x.Op == syntax.OrOr
	case *syntax.Unary:
		return x.Op == syntax.Not
	}
	return false
}

func (c *checker) binary(x *syntax.Binary, near *perfpipe.Field) *node {
	switch {
	case x.Op == syntax.AndAnd || x.Op == syntax.OrOr:
		return c.logic(x)
	}
	if at, first, second, ok := mixed(x); ok {
		// What stands on the left may be wrong as well, and then comes first.
		c.value(x.X, nil)
		c.errs = append(c.errs, &Error{Pos: at, End: at + len(second.String()), Reason: fmt.Sprintf("%s and %s side by side: C, the kernel and the eye read this differently", first, second),
			Hint: fmt.Sprintf("put the one to be computed first in parentheses: a %[1]s (b %[2]s c), or (a %[1]s b) %[2]s c", first, second)})
		return nil
	}
	if isComparison(x.Op) {
		return c.comparison(x)
	}
	if _, ok := syntax.Bare(x.Y).(*syntax.CPUList); ok && x.Op == syntax.And {
		return c.cpus(x)
	}
	a, b := c.pair(x, near)
	if a == nil || b == nil {
		return nil
	}
	// A string literal on the right is what the kernel stops at.
	if _, ok := syntax.Bare(x.Y).(*syntax.String); ok && b.typ == tStr {
		return c.errorf(x.Y, rankKernel, "", "%s needs integers, this is a string", x.Op)
	}
	if x.Op == syntax.And {
		if _, bad := c.odd(x, a, b); bad {
			return nil
		}
		if b.isConst() && c.maskFits(x, a, b) == nil {
			return nil
		}
	}
	if a = c.needInt(x.X, a, x.Op.String()); a == nil {
		return nil
	}
	if b = c.needInt(x.Y, b, x.Op.String()); b == nil {
		return nil
	}
	return c.arith(x, a, b)
}

// pair checks both sides, each with the field of the other for its names.
func (c *checker) pair(x *syntax.Binary, near *perfpipe.Field) (a, b *node) {
	left, right := c.fieldIn(x.X), c.fieldIn(x.Y)
	if left == nil {
		left = near
	}
	if right == nil {
		right = near
	}
	a = c.value(x.X, right)
	b = c.value(x.Y, left)
	if a == nil || b == nil {
		return a, b
	}
	a, b = c.charBeside(x.X, a, b), c.charBeside(x.Y, b, a)
	return a, b
}

// charBeside turns 'x' into a number where the other side is one.
func (c *checker) charBeside(x syntax.Expr, n, other *node) *node {
	s, ok := syntax.Bare(x).(*syntax.String)
	if ok && s.Quote == '\'' && len(s.Value) == 1 && other.typ.integer() {
		return constNode(uint64(s.Value[0]), tInt)
	}
	return n
}

// fieldIn returns the first field that x names, nil if it names none.
func (c *checker) fieldIn(x syntax.Expr) *perfpipe.Field {
	switch x := x.(type) {
	case *syntax.Paren:
		return c.fieldIn(x.X)
	case *syntax.Ident:
		return c.fieldOf(x.Name)
	case *syntax.Unary:
		return c.fieldIn(x.X)
	case *syntax.Cast:
		return c.fieldIn(x.X)
	case *syntax.Index:
		return c.fieldIn(x.X)
	case *syntax.Binary:
		for depth := 0; depth < 32; depth++ {
			if depth == 31 {
				return c.fieldIn(x.Y)
			}
			left, ok := syntax.Bare(x.X).(*syntax.Binary)
			if !ok {
				if f := c.fieldIn(x.X); f != nil {
					return f
				}
				return c.fieldIn(x.Y)
			}
			x = left
		}
	}
	return nil
}
