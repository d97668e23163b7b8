package filters

import (
	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// Fields of probes may have no value, and their texts lie in several places: this is
// what Field.Text and Field.Present of the root package do.

// maxHead is the most bytes of a text's head that the code looks at one by one.
const maxHead = 128

// maxProbedText is the most that there is of a probe's text.
const maxProbedText = 4096

// readable finds the bytes of a probe's field as bytes does, and goes to absent where it
// has no value for what stands before them.
func (g *bpfGen) readable(f *perfpipe.Field, absent string) {
	p := f.Probed
	if p.Mask > 0 {
		g.field(asm.R0, load{off: p.Mask, size: 4, name: f.Name})
		g.Add(asm.RSh.Imm(asm.R0, int32(p.Bit&31)), asm.And.Imm(asm.R0, 1), asm.JEq.Imm(asm.R0, 0, absent))
	}
	if p.Mask <= 0 || f.Kind != perfpipe.KindString {
		for _, off := range p.Through {
			g.field(asm.R0, load{off: off, size: 8, name: f.Name})
			g.Add(asm.JEq.Imm(asm.R0, 0, absent))
		}
	}
	g.bytesOf(f)
}

// zeroes goes to absent where the bytes of f are 0 and its check has no length. It
// changes R0 and R5.
func (g *bpfGen) zeroes(f *perfpipe.Field, absent string) {
	if f.Probed.Check < 0 {
		return
	}
	if f.Loc != perfpipe.LocStatic {
		g.fail("%s is checked, and not in place", f.Name)
		return
	}
	whole := g.Label()
	for at := f.Offset; at < f.Offset+f.Size; {
		n := 8
		for at+n > f.Offset+f.Size {
			n /= 2
		}
		g.field(asm.R0, load{off: at, size: uint8(n), name: f.Name})
		g.Add(asm.JNE.Imm(asm.R0, 0, whole))
		at += n
	}
	g.field(asm.R0, load{off: f.Probed.Check + 2, size: 2, name: f.Name})
	g.Add(asm.JEq.Imm(asm.R0, 0, absent))
	g.Mark(whole)
}

// present is whether a field has a value.
func (g *bpfGen) present(f *perfpipe.Field, t code.Target) {
	p := f.Probed
	text := f.Kind == perfpipe.KindString
	missing, here := g.Label(), g.Label()
	if p == nil || p.Never {
		g.charge()
		if p != nil {
			t.True = t.False
		}
		g.Jump(t.True)
		return
	}
	g.readable(f, missing)
	switch {
	case text && p.Mask > 0:
	case text && p.Length >= 0:
		g.field(asm.R0, load{off: p.Length, size: 8, signed: true, name: f.Name})
		g.Add(asm.JEq.Imm(asm.R0, 0, here), asm.JSLT.Imm(asm.R0, 0, missing))
		g.zeroes(f, missing)
	case !text || f.Loc == perfpipe.LocStatic:
		g.zeroes(f, missing)
	default:
		g.Add(asm.JNE.Imm(asm.R4, 0, here))
		if p.Head < 0 {
			g.Jump(missing)
			break
		}
		g.field(asm.R0, load{off: p.Head, size: 1, name: f.Name})
		g.Add(asm.JEq.Imm(asm.R0, 0, missing))
	}
	g.Mark(here)
	g.charge()
	g.Jump(t.True)
	g.Mark(missing)
	g.charge()
	g.Jump(t.False)
}

// probed finds the text of a probe's field as find does: R4 bytes, or up to the first
// NUL among them.
func (g *bpfGen) probed(f *perfpipe.Field) {
	p := f.Probed
	missing, end := g.Label(), g.Label()
	if p.Never {
		g.Add(asm.Mov.Imm(asm.R3, bpf.RawOffset), asm.Mov.Imm(asm.R4, 0))
		return
	}
	g.readable(f, missing)
	switch {
	case p.Mask > 0:
	case p.Length >= 0:
		g.field(asm.R1, load{off: p.Length, size: 8, signed: true, name: f.Name})
		g.Add(asm.JSLE.Imm(asm.R1, 0, missing))
		g.zeroes(f, missing)
		g.Add(asm.JGT.Reg(asm.R1, asm.R4, end), asm.Mov.Reg(asm.R4, asm.R1))
	case f.Loc == perfpipe.LocStatic:
		g.zeroes(f, missing)
	default:
		g.headed(f, end)
	}
	g.Jump(end)
	g.Mark(missing)
	g.Add(asm.Mov.Imm(asm.R3, bpf.RawOffset), asm.Mov.Imm(asm.R4, 0))
	g.Mark(end)
}

// headed finds the text of R4 bytes at R3, or where these are not what its head says,
// the head.
func (g *bpfGen) headed(f *perfpipe.Field, end string) {
	p := f.Probed
	if f.Loc == perfpipe.LocData {
		short := g.Label()
		g.Add(asm.JLE.Imm(asm.R4, maxProbedText+1, short), asm.Mov.Imm(asm.R4, maxProbedText))
		g.Jump(end)
		g.Mark(short)
	}
	if p.Head < 0 {
		return
	}
	if p.HeadSize > maxHead {
		g.fail("the head of %s has more than %d bytes", f.Name, maxHead)
		return
	}
	head := g.Label()
	for i := range p.HeadSize {
		here, next := g.Label(), g.Label()
		g.Add(
			asm.JEq.Imm(asm.R4, int32(i), here),
			asm.JGT.Imm(asm.R3, int32(g.place.Size-i-1), end),
			asm.Mov.Reg(asm.R2, asm.R7), asm.Add.Reg(asm.R2, asm.R3),
			asm.LoadMem(asm.R0, asm.R2, int16(i), asm.Byte),
			asm.JNE.Imm(asm.R0, 0, next),
		)
		g.Mark(here)
		g.field(asm.R0, load{off: p.Head + i, size: 1, name: f.Name})
		g.Add(asm.JNE.Imm(asm.R0, 0, head))
		g.Jump(end)
		g.Mark(next)
	}
	g.Jump(end)
	g.Mark(head)
	g.Add(asm.Mov.Imm(asm.R3, int32(bpf.RawOffset+p.Head)), asm.Mov.Imm(asm.R4, int32(p.HeadSize)))
}

// copyCounted copies the R2 bytes at R3 to R1, NULs and all; n is the slot that has
// their number, length the one that gets it.
func (g *bpfGen) copyCounted(n, length, room int) {
	bad := g.fault(FaultTruncated)
	g.Add(asm.JGT.Imm(asm.R2, int32(room-1), bad), asm.FnProbeReadKernel.Call(), asm.JSLT.Imm(asm.R0, 0, bad))
	g.load(asm.R0, n)
	g.Add(asm.JGT.Imm(asm.R0, int32(room-1), bad))
	g.store(length, asm.R0)
}
