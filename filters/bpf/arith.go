package bpf

import (
	"math/bits"

	"github.com/cilium/ebpf/asm"
)

// Divide sets R0 to R0 / R1, or to what remains of it, which takes the sign of R0. It
// goes to zero where R1 is 0. Instructions that divide by the sign are younger than
// Linux 6.1, so that the signs are put in afterwards. It changes R1 and R2.
func (c *Code) Divide(signed, remainder Flag, zero string) {
	op := asm.Div
	if remainder {
		op = asm.Mod
	}
	c.Add(asm.JEq.Imm(asm.R1, 0, zero))
	if !signed {
		c.Add(op.Reg(asm.R0, asm.R1))
		return
	}
	a, b, end := c.Label(), c.Label(), c.Label()
	c.Add(asm.Mov.Reg(asm.R2, asm.R0))
	if !remainder {
		c.Add(asm.Xor.Reg(asm.R2, asm.R1))
	}
	c.Add(asm.JSGE.Imm(asm.R0, 0, a), asm.Neg.Imm(asm.R0, 0))
	c.Mark(a)
	c.Add(asm.JSGE.Imm(asm.R1, 0, b), asm.Neg.Imm(asm.R1, 0))
	c.Mark(b)
	c.Add(op.Reg(asm.R0, asm.R1), asm.JSGE.Imm(asm.R2, 0, end), asm.Neg.Imm(asm.R0, 0))
	c.Mark(end)
}

// DivideConst is Divide by by, which is above 0 and fits into 31 bits.
func (c *Code) DivideConst(signed, remainder Flag, by int32) {
	op := asm.Div
	if remainder {
		op = asm.Mod
	}
	if !signed {
		switch low := bits.TrailingZeros32(uint32(by)); {
		case by&(by-1) != 0:
			c.Add(op.Imm(asm.R0, by))
		case bool(remainder):
			c.Add(asm.And.Imm(asm.R0, by-1))
		case low > 0:
			c.Add(asm.RSh.Imm(asm.R0, int32(low)))
		}
		return
	}
	a, end := c.Label(), c.Label()
	c.Add(asm.Mov.Reg(asm.R2, asm.R0), asm.JSGE.Imm(asm.R0, 0, a), asm.Neg.Imm(asm.R0, 0))
	c.Mark(a)
	c.Add(op.Imm(asm.R0, by), asm.JSGE.Imm(asm.R2, 0, end), asm.Neg.Imm(asm.R0, 0))
	c.Mark(end)
}

// Flag chooses between two ways of an operation.
type Flag bool

// Cut keeps the low bits of a register (8, 16, 32 or 64, or as many as a bitfield has)
// and widens them again, by their sign or with zeroes.
func (c *Code) Cut(reg asm.Register, bits int, signed Flag) {
	switch {
	case bits >= 64:
	case bool(signed):
		c.Add(asm.LSh.Imm(reg, int32(64-bits)), asm.ArSh.Imm(reg, int32(64-bits)))
	case bits < 32:
		c.Add(asm.And.Imm(reg, 1<<bits-1))
	default:
		c.Add(asm.LSh.Imm(reg, int32(64-bits)), asm.RSh.Imm(reg, int32(64-bits)))
	}
}

// Popcount sets R0 to the number of its bits that are set; Hacker's Delight, 5-1. It
// changes R1 and R2.
func (c *Code) Popcount() {
	const odd, pairs, nibbles, ones = 0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x0101010101010101
	c.Add(asm.Mov.Reg(asm.R1, asm.R0), asm.RSh.Imm(asm.R1, 1))
	c.Op(asm.And, asm.R1, odd, asm.R2)
	c.Add(asm.Sub.Reg(asm.R0, asm.R1), asm.Mov.Reg(asm.R1, asm.R0), asm.RSh.Imm(asm.R1, 2))
	c.Op(asm.And, asm.R1, pairs, asm.R2)
	c.Op(asm.And, asm.R0, pairs, asm.R2)
	c.Add(asm.Add.Reg(asm.R0, asm.R1), asm.Mov.Reg(asm.R1, asm.R0), asm.RSh.Imm(asm.R1, 4), asm.Add.Reg(asm.R0, asm.R1))
	c.Op(asm.And, asm.R0, nibbles, asm.R2)
	c.Op(asm.Mul, asm.R0, ones, asm.R2)
	c.Add(asm.RSh.Imm(asm.R0, 56))
}

// Log2 sets R0 to the number of its highest bit, 0 for 0. It changes R1 and R2.
func (c *Code) Log2() {
	c.Add(asm.Mov.Reg(asm.R1, asm.R0), asm.Mov.Imm(asm.R0, 0))
	for n := int32(32); n > 0; n /= 2 {
		less := c.Label()
		c.Add(asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, n), asm.JEq.Imm(asm.R2, 0, less), asm.Mov.Reg(asm.R1, asm.R2), asm.Add.Imm(asm.R0, n))
		c.Mark(less)
	}
}

// Mix sets R0 to a hash of it: the finalizer of MurmurHash3's 64 bits. It changes R1
// and R2.
func (c *Code) Mix() {
	fold := func() {
		c.Add(asm.Mov.Reg(asm.R1, asm.R0), asm.RSh.Imm(asm.R1, 33), asm.Xor.Reg(asm.R0, asm.R1))
	}
	fold()
	c.Op(asm.Mul, asm.R0, 0xff51afd7ed558ccd, asm.R2)
	fold()
	c.Op(asm.Mul, asm.R0, 0xc4ceb9fe1a85ec53, asm.R2)
	fold()
}
