package filters

import (
	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// arith is C's arithmetic on 64 bits, wrapping. Constant operands are computed,
// and faults that are certain are errors.
func (c *checker) arith(x *syntax.Binary, a, b *node) *node {
	t := unify(a.typ, b.typ)
	if x.Op == syntax.Shl || x.Op == syntax.Shr {
		t = a.typ
		if t == tBool {
			t = tInt
		}
	}
	if b.isConst() {
		switch {
		case (x.Op == syntax.Slash || x.Op == syntax.Percent) && b.val == 0:
			return c.errorf(x.Y, rankKernel, "", "division by zero")
		case (x.Op == syntax.Shl || x.Op == syntax.Shr) && b.val > 63:
			return c.errorf(x.Y, rankKernel, "the shift must be 0 to 63", "shift by %s", syntax.Print(x.Y))
		}
	}
	if a.isConst() && b.isConst() {
		v, _ := binOp(x.Op, t, a.val, b.val)
		return constNode(v, t)
	}
	n := mkNode(opBin, t, a, b)
	n.bin = x.Op
	switch x.Op {
	case syntax.Slash, syntax.Percent, syntax.Shl, syntax.Shr:
		n.faults = n.faults || !b.isConst()
	}
	return n
}

// binOp computes a k b in t.
func binOp(k syntax.Kind, t typ, a, b uint64) (uint64, Fault) {
	switch k {
	case syntax.Plus:
		return a + b, 0
	case syntax.Minus:
		return a - b, 0
	case syntax.Star:
		return a * b, 0
	case syntax.And:
		return a & b, 0
	case syntax.Or:
		return a | b, 0
	case syntax.Xor:
		return a ^ b, 0
	case syntax.Slash, syntax.Percent:
		if b == 0 {
			return 0, FaultDivision
		}
		if t == tUint {
			if k == syntax.Slash {
				return a / b, 0
			}
			return a % b, 0
		}
		// Go, too, says that the least number divided by -1 is itself.
		if k == syntax.Slash {
			return uint64(int64(a) / int64(b)), 0
		}
		return uint64(int64(a) % int64(b)), 0
	}
	if b > 63 {
		return 0, FaultShift
	}
	if k == syntax.Shl {
		return a << b, 0
	}
	if t == tInt {
		return uint64(int64(a) >> b), 0
	}
	return a >> b, 0
}

// castWidth is the width and type of an integer type.
func castWidth(name string) (bits uint8, t typ) {
	switch name {
	case "s8", "u8":
		bits = 8
	case "s16", "u16":
		bits = 16
	case "s32", "u32":
		bits = 32
	default:
		bits = 64
	}
	if name[0] == 's' {
		return bits, tInt
	}
	return bits, tUint
}

func (c *checker) cast(x *syntax.Cast, near *perfpipe.Field) *node {
	n := c.value(x.X, near)
	if n == nil {
		return nil
	}
	if x.Type == "string" {
		if n.typ == tStr {
			return n
		}
		return c.errorf(x, rankKernel, "", "%s cannot be made a string", article(n.typ))
	}
	if n = c.needInt(x.X, n, "the cast"); n == nil {
		return nil
	}
	if x.Type == "bool" {
		return truth(n)
	}
	bits, t := castWidth(x.Type)
	if n.isConst() {
		return constNode(extend(n.val, bits, t), t)
	}
	m := mkNode(opCast, t, n)
	m.width = bits
	return m
}

// extend keeps the low bits of v and widens them again by the sign of t.
func extend(v uint64, bits uint8, t typ) uint64 {
	s := 64 - bits
	if t == tInt {
		return uint64(int64(v<<s) >> s)
	}
	return v << s >> s
}
