package filters

import (
	"github.com/cilium/ebpf/asm"

	code "github.com/perfpipe/perfpipe/filters/bpf"
)

// scratch puts into R1 and into the frame the address of the memory of the first or the
// second text of this processor. It changes R0 to R5.
func (g *bpfGen) scratch(second code.Flag, frame int) {
	m := g.place.Maps
	at, slot := 0, frame+code.FrameText
	if second {
		at, slot = g.memory, frame+code.FrameOther
	}
	g.Add(g.place.CPU(asm.R1)...)
	in := g.Label()
	// There is no such processor; the verifier does not know that.
	g.Add(asm.JLT.Imm(asm.R1, int32(m.CPUs), in), asm.Mov.Imm(asm.R1, 0))
	g.Mark(in)
	g.Add(
		asm.Mul.Imm(asm.R1, int32(g.textSize())),
		asm.LoadMapValue(asm.R2, m.Text, uint32(at)),
		asm.Add.Reg(asm.R1, asm.R2),
	)
	g.store(slot, asm.R1)
}

// copyText copies a text to the memory for it, so that the frame has where it is and how
// many bytes it has. It changes R0 to R5.
func (g *bpfGen) copyText(text *node, second code.Flag, frame int) {
	stack := g.next
	defer func() { g.next = stack }()
	length := frame + code.FrameLen
	if second {
		length = frame + code.FrameOtherLen
	}
	switch {
	case text.op == opStrConst:
		g.scratch(second, frame)
		g.Fill(asm.R1, []byte(text.str))
		g.Add(code.StoreConst(asm.RFP, length, int32(len(text.str))))
		return
	case text.op == opComm:
		at := g.room(commSize)
		g.Add(g.place.Comm(at)...)
		g.scratch(second, frame)
		g.Add(asm.Mov.Imm(asm.R2, commSize), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(at)))
	default:
		from, n := g.slot(), g.slot()
		g.find(text.fld)
		g.store(from, asm.R3)
		g.store(n, asm.R4)
		g.scratch(second, frame)
		g.load(asm.R2, n)
		g.load(asm.R3, from)
		g.Add(asm.Add.Reg(asm.R3, asm.R7))
		if p := text.fld.Probed; p != nil && p.Length >= 0 {
			g.copyCounted(n, length, textRoom(text))
			return
		}
		// The NUL behind it is written, not read. No text is longer than its memory.
		g.Add(asm.JGT.Imm(asm.R2, int32(textRoom(text)-1), g.fault(FaultTruncated)), asm.Add.Imm(asm.R2, 1))
	}
	g.Add(asm.FnProbeReadKernelStr.Call())
	g.copied(textRoom(text), length, g.fault(FaultTruncated))
}

// copied notes the length of a text, which the kernel has copied with its NUL; R0 is
// what it says.
func (g *bpfGen) copied(room, length int, failed string) {
	g.Add(asm.JSLT.Imm(asm.R0, 1, failed), asm.Add.Imm(asm.R0, -1), asm.JGT.Imm(asm.R0, int32(room-1), failed))
	g.store(length, asm.R0)
}

// loop goes through a function's rounds.
func (g *bpfGen) loopOver(frame int, rounds asm.Register, round func(name string) asm.Instructions) {
	name := g.Label() + "f"
	g.functions = append(g.functions, round(name)...)
	g.Loop(name, rounds, frame)
}

// textSize is the memory for texts that each processor has.
func (g *bpfGen) textSize() int {
	if g.memory == 0 {
		return 0
	}
	return 2*g.memory + code.SearchSize
}
