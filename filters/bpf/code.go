// Package bpf has the pieces that the filter language's code for eBPF is made of:
// arithmetic with the language's meaning where that of the instructions is another,
// comparisons by value, and jumps. The tree walk that puts them together is in package
// filters; the host that the code is put into is that of perfev/bpf.
package bpf

import (
	"math"
	"strconv"

	"github.com/cilium/ebpf/asm"
)

// Code is a list of instructions in the making.
type Code struct {
	// Out are the instructions.
	Out asm.Instructions
	// Prefix begins every label.
	Prefix string

	symbol string            // the label of the next instruction
	alias  map[string]string // labels of a place that has another
	labels int
}

// Add appends instructions.
func (c *Code) Add(list ...asm.Instruction) {
	for _, in := range list {
		if c.kept(in) {
			continue
		}
		if c.symbol != "" {
			in = in.WithSymbol(c.symbol)
			c.symbol = ""
		}
		c.Out = append(c.Out, in)
	}
}

// kept reports whether in loads what the instruction before it stored, which is then in
// a register yet.
func (c *Code) kept(in asm.Instruction) bool {
	if c.symbol != "" || len(c.Out) == 0 || in.OpCode != asm.LoadMemOp(asm.DWord) || in.Src != asm.RFP || in.Symbol() != "" {
		return false
	}
	last := &c.Out[len(c.Out)-1]
	if last.OpCode != asm.StoreMemOp(asm.DWord) || last.Dst != asm.RFP || last.Offset != in.Offset {
		return false
	}
	if last.Src != in.Dst {
		c.Out = append(c.Out, asm.Mov.Reg(in.Dst, last.Src))
	}
	return true
}

// Label makes a name that no other label has.
func (c *Code) Label() string {
	c.labels++
	return c.Prefix + strconv.Itoa(c.labels)
}

// Mark puts a label on what comes next.
func (c *Code) Mark(label string) {
	// A jump to what is behind it goes without saying.
	for c.symbol == "" && len(c.Out) > 0 {
		last := &c.Out[len(c.Out)-1]
		if last.OpCode.JumpOp() != asm.Ja || last.OpCode.Class() != asm.JumpClass || last.Reference() != label {
			break
		}
		c.symbol = last.Symbol()
		c.Out = c.Out[:len(c.Out)-1]
	}
	c.symbol = c.same(c.symbol, label)
}

// Jump goes to label.
func (c *Code) Jump(label string) { c.Add(asm.Ja.Label(label)) }

// MayGoto is a jump to label that the kernel makes where a loop has no end, after some
// millions of rounds. The verifier then need not find one: BPF_JCOND of
// include/uapi/linux/bpf.h, Linux 6.9.
func (c *Code) MayGoto(label string) {
	const jcond = asm.OpCode(0xe0) | asm.OpCode(asm.JumpClass)
	c.Add(asm.Instruction{OpCode: jcond, Offset: -1}.WithReference(label))
}

// fits reports whether v is an immediate operand: 32 bits, widened by their sign.
func fits(v uint64) bool { return int64(v) >= math.MinInt32 && int64(v) <= math.MaxInt32 }

// Const puts v into a register.
func (c *Code) Const(to asm.Register, v uint64) {
	if fits(v) {
		c.Add(asm.Mov.Imm(to, int32(int64(v))))
		return
	}
	c.Add(asm.LoadImm(to, int64(v), asm.DWord))
}

// Op applies op to a register and v. It may change spare.
func (c *Code) Op(op asm.ALUOp, to asm.Register, v uint64, spare asm.Register) {
	if fits(v) {
		c.Add(op.Imm(to, int32(int64(v))))
		return
	}
	c.Const(spare, v)
	c.Add(op.Reg(to, spare))
}

// Target is where a test goes: to True or to False, of which Next, if it is one of
// them, is the label that will be marked right behind it.
type Target struct{ True, False, Next string }

// inverse is the jump that is made where op's is not.
func inverse(op asm.JumpOp) (asm.JumpOp, bool) {
	switch op {
	case asm.JEq:
		return asm.JNE, true
	case asm.JNE:
		return asm.JEq, true
	case asm.JGT:
		return asm.JLE, true
	case asm.JLE:
		return asm.JGT, true
	case asm.JLT:
		return asm.JGE, true
	case asm.JGE:
		return asm.JLT, true
	case asm.JSGT:
		return asm.JSLE, true
	case asm.JSLE:
		return asm.JSGT, true
	case asm.JSLT:
		return asm.JSGE, true
	case asm.JSGE:
		return asm.JSLT, true
	}
	return 0, false // of JSet
}

// Branch compares a register with another and goes on accordingly.
func (c *Code) Branch(op asm.JumpOp, a, b asm.Register, t Target) {
	c.branch(op, t, func(op asm.JumpOp, label string) { c.Add(op.Reg(a, b, label)) })
}

// BranchConst compares a register with v. It may change spare.
func (c *Code) BranchConst(op asm.JumpOp, a asm.Register, v uint64, spare asm.Register, t Target) {
	if !fits(v) {
		c.Const(spare, v)
		c.Branch(op, a, spare, t)
		return
	}
	c.branch(op, t, func(op asm.JumpOp, label string) { c.Add(op.Imm(a, int32(int64(v)), label)) })
}

func (c *Code) branch(op asm.JumpOp, t Target, jump func(op asm.JumpOp, label string)) {
	if not, ok := inverse(op); ok && t.Next == t.True {
		jump(not, t.False)
		return
	}
	jump(op, t.True)
	if t.Next != t.False {
		c.Jump(t.False)
	}
}

// Domain is what R0 can be: the least and the greatest in the order that Signed says.
// Narrow is of 32 bits, of which the register's upper half says nothing.
type Domain struct {
	Lo, Hi         uint64
	Signed, Narrow Flag
}

// Ranges goes to t.True where R0, which is one of d, is in one of the ranges, which have
// both ends. It changes R1 and R2.
func (c *Code) Ranges(spans [][2]uint64, d Domain, t Target) {
	for i, s := range spans {
		last := i == len(spans)-1
		to := t
		if !last {
			to.False = c.Label()
			to.Next = to.False
		}
		c.oneRange(s[0], s[1], d, to)
		if !last {
			c.Mark(to.False)
		}
	}
	if len(spans) == 0 {
		c.Jump(t.False)
	}
}

func (c *Code) oneRange(lo, hi uint64, d Domain, t Target) {
	le, ge := asm.JLE, asm.JGE
	if d.Signed {
		le, ge = asm.JSLE, asm.JSGE
	}
	test := func(op asm.JumpOp, a asm.Register, v uint64) {
		if d.Narrow {
			c.branch(op, t, func(op asm.JumpOp, label string) { c.Add(op.Imm32(a, int32(uint32(v)), label)) })
			return
		}
		c.BranchConst(op, a, v, asm.R1, t)
	}
	switch {
	case lo == hi:
		test(asm.JEq, asm.R0, lo)
	case lo == d.Lo && hi == d.Hi:
		c.Jump(t.True)
	case lo == d.Lo:
		test(le, asm.R0, hi)
	case hi == d.Hi:
		test(ge, asm.R0, lo)
	case bool(d.Narrow):
		c.Add(asm.Mov.Reg32(asm.R2, asm.R0), asm.Sub.Imm32(asm.R2, int32(uint32(lo))))
		test(asm.JLE, asm.R2, hi-lo)
	default:
		c.Add(asm.Mov.Reg(asm.R2, asm.R0))
		c.Op(asm.Sub, asm.R2, lo, asm.R1)
		test(asm.JLE, asm.R2, hi-lo)
	}
}

// StoreConst writes v, a number of 32 bits that is widened by its sign, to the 8 bytes
// at an offset from a register.
func StoreConst(to asm.Register, offset int, v int32) asm.Instruction {
	return asm.Instruction{OpCode: asm.StoreImmOp(asm.DWord), Dst: to, Offset: int16(offset), Constant: int64(v)}
}
