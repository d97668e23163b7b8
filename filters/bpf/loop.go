package bpf

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Frame is what loops over texts work on, 8 bytes each at these offsets from where it
// begins on the stack.
const (
	// FrameText is where a text is.
	FrameText = 0
	// FrameLen is how many bytes it has.
	FrameLen = 8
	// FrameOther is where a second one is.
	FrameOther = 16
	// FrameOtherLen is how many bytes that has.
	FrameOtherLen = 24
	// FramePos is where a loop is in the text, or what it has computed.
	FramePos = 32
	// FrameFound is whether it found what it looked for.
	FrameFound = 40
	// FrameSize is the size of a frame.
	FrameSize = 48
)

// MaxLoops is the most rounds of a loop: BPF_MAX_LOOPS, include/linux/bpf.h.
const MaxLoops = 1 << 23

// Loop goes at most so many rounds of the function of that name, on the frame at an
// offset from the frame pointer. rounds is a register that is none of R2 to R4. It
// changes R0 to R5.
func (c *Code) Loop(name string, rounds asm.Register, frame int) {
	if rounds != asm.R1 {
		c.Add(asm.Mov.Reg(asm.R1, rounds))
	}
	c.Add(
		asm.Instruction{OpCode: asm.LoadImmOp(asm.DWord), Dst: asm.R2, Src: asm.PseudoFunc, Constant: -1}.WithReference(name),
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(frame)),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnLoop.Call(),
	)
}

// round begins a function that is a round of a loop: R6 is the frame, R1 the number of
// the round. R7 is left alone: hosts look at what is read by it, of the record.
func round(name string) *Code {
	c := &Code{Prefix: name + "_"}
	u64 := &btf.Int{Name: "unsigned long", Size: 8}
	f := &btf.Func{Name: name, Linkage: btf.StaticFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "i", Type: u64}, {Name: "frame", Type: &btf.Pointer{Target: &btf.Void{}}}},
	}}
	c.Add(btf.WithFuncMetadata(asm.Mov.Reg(asm.R6, asm.R2).WithSymbol(name), f))
	return c
}

// end ends it: at the label more the loop goes on, at the label stop it does not.
func (c *Code) end(more, stop string) asm.Instructions {
	end := c.Label()
	c.Mark(more)
	c.Add(asm.Mov.Imm(asm.R0, 0))
	c.Jump(end)
	c.Mark(stop)
	c.Add(asm.Mov.Imm(asm.R0, 1))
	c.Mark(end)
	c.Add(asm.Return())
	return c.Out
}

// FindRound looks for s in the text, from FramePos on, which is behind it where it is
// found. The memory of the text has most bytes.
func FindRound(name string, s Segment, most int) asm.Instructions {
	c := round(name)
	more, stop := c.Label(), c.Label()
	c.Add(
		asm.LoadMem(asm.R9, asm.R6, FramePos, asm.DWord), asm.Add.Reg(asm.R9, asm.R1),
		asm.LoadMem(asm.R4, asm.R6, FrameLen, asm.DWord),
		asm.JGT.Imm(asm.R9, int32(most-len(s)), stop),
		asm.Mov.Reg(asm.R5, asm.R9), asm.Add.Imm(asm.R5, int32(len(s))),
		asm.JGT.Reg(asm.R5, asm.R4, stop),
		asm.LoadMem(asm.R8, asm.R6, FrameText, asm.DWord), asm.Add.Reg(asm.R8, asm.R9),
	)
	c.Match(asm.R8, 0, s, false, more)
	c.Add(asm.Add.Imm(asm.R9, int32(len(s))), asm.StoreMem(asm.R6, FramePos, asm.R9, asm.DWord), StoreConst(asm.R6, FrameFound, 1))
	c.Jump(stop)
	return c.end(more, stop)
}

// FNV-1a's prime, of 64 bits.
const hashPrime = 0x100000001b3

// HashRound mixes a byte of the text into FramePos: FNV-1a.
func HashRound(name string, most int) asm.Instructions {
	c := round(name)
	more, stop := c.Label(), c.Label()
	c.Add(
		asm.JGT.Imm(asm.R1, int32(most-1), stop),
		asm.LoadMem(asm.R8, asm.R6, FrameText, asm.DWord), asm.Add.Reg(asm.R8, asm.R1),
		asm.LoadMem(asm.R0, asm.R6, FramePos, asm.DWord),
		asm.LoadMem(asm.R1, asm.R8, 0, asm.Byte),
		asm.Xor.Reg(asm.R0, asm.R1),
	)
	c.Op(asm.Mul, asm.R0, hashPrime, asm.R1)
	c.Add(asm.StoreMem(asm.R6, FramePos, asm.R0, asm.DWord))
	c.Jump(more)
	return c.end(more, stop)
}

// SameRound compares a byte of the text, from FramePos on, with one of the other, and
// takes FrameFound away where they differ.
func SameRound(name string, most int) asm.Instructions {
	c := round(name)
	more, stop := c.Label(), c.Label()
	c.Add(
		asm.LoadMem(asm.R3, asm.R6, FramePos, asm.DWord), asm.Add.Reg(asm.R3, asm.R1),
		asm.JGT.Imm(asm.R3, int32(most-1), stop), asm.JGT.Imm(asm.R1, int32(most-1), stop),
		asm.LoadMem(asm.R4, asm.R6, FrameText, asm.DWord), asm.Add.Reg(asm.R4, asm.R3),
		asm.LoadMem(asm.R5, asm.R6, FrameOther, asm.DWord), asm.Add.Reg(asm.R5, asm.R1),
		asm.LoadMem(asm.R3, asm.R4, 0, asm.Byte), asm.LoadMem(asm.R4, asm.R5, 0, asm.Byte),
		asm.JEq.Reg(asm.R3, asm.R4, more),
		StoreConst(asm.R6, FrameFound, 0),
	)
	c.Jump(stop)
	return c.end(more, stop)
}

// SearchSize is how many bytes behind the memory of the second text a search needs: where
// it is in the text, and how many bytes are the same there, both 0 at first. They are not
// in the frame, as the verifier would follow numbers there through every round.
const SearchSize = 16

// SearchRound is a step of looking for the other text in the text; both have memory of
// most bytes.
func SearchRound(name string, most int) asm.Instructions {
	c := round(name)
	more, stop, whole, differ := c.Label(), c.Label(), c.Label(), c.Label()
	pos, same := int16(most), int16(most+8)
	c.Add(
		asm.LoadMem(asm.R9, asm.R6, FrameOther, asm.DWord),
		asm.LoadMem(asm.R3, asm.R9, pos, asm.DWord), asm.LoadMem(asm.R4, asm.R9, same, asm.DWord),
		asm.LoadMem(asm.R0, asm.R6, FrameOtherLen, asm.DWord),
		asm.JGE.Reg(asm.R4, asm.R0, whole),
		asm.Mov.Reg(asm.R2, asm.R3), asm.Add.Reg(asm.R2, asm.R4),
		asm.LoadMem(asm.R0, asm.R6, FrameLen, asm.DWord),
		asm.JGE.Reg(asm.R2, asm.R0, stop),
		asm.JGT.Imm(asm.R2, int32(most-1), stop), asm.JGT.Imm(asm.R4, int32(most-1), stop),
		asm.LoadMem(asm.R8, asm.R6, FrameText, asm.DWord), asm.Add.Reg(asm.R8, asm.R2),
		asm.Mov.Reg(asm.R5, asm.R9), asm.Add.Reg(asm.R5, asm.R4),
		asm.LoadMem(asm.R0, asm.R8, 0, asm.Byte), asm.LoadMem(asm.R1, asm.R5, 0, asm.Byte),
		asm.JNE.Reg(asm.R0, asm.R1, differ),
		asm.Add.Imm(asm.R4, 1), asm.StoreMem(asm.R9, same, asm.R4, asm.DWord),
	)
	c.Jump(more)
	c.Mark(differ)
	c.Add(asm.Add.Imm(asm.R3, 1), asm.StoreMem(asm.R9, pos, asm.R3, asm.DWord), StoreConst(asm.R9, int(same), 0))
	c.Jump(more)
	c.Mark(whole)
	c.Add(StoreConst(asm.R6, FrameFound, 1))
	c.Jump(stop)
	return c.end(more, stop)
}
