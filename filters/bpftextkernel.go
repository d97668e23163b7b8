package filters

import (
	"strings"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// reaches reports whether n is a test of a string that a pointer in the record leads to.
func (n *node) reaches() bool {
	switch n.op {
	case opKernel:
		return n.kstr.user
	case opStrEq, opGlob:
		return n.kids[0].op == opKStr
	}
	return false
}

// reach goes by a test that reaches, and to failed where the string cannot be read.
func (g *bpfGen) reach(n *node, t code.Target, failed string) {
	if n.op != opKernel {
		g.pointed(n.kids[0], n.pattern(), t, failed)
		return
	}
	ks := n.kstr
	k := &node{op: opKStr, fld: ks.field.fld}
	if strings.HasPrefix(strings.TrimPrefix(ks.text, "!"), ks.field.name+".ustring") {
		k.str = ".ustring"
	}
	g.pointed(k, ks.plain(), t, failed)
}

// pointed compares a string that a pointer in the record leads to with gl. Text of a
// process has .ustring behind the name.
func (g *bpfGen) pointed(n *node, gl *glob, t code.Target, failed string) {
	read := asm.FnProbeReadKernelStr
	if n.str != "" {
		read = asm.FnProbeReadUserStr
	}
	at := g.slot()
	if n.fld.Size != 8 || n.fld.Loc != perfpipe.LocStatic {
		g.fail("%s is no pointer", n.fld.Name)
		return
	}
	g.field(asm.R0, load{off: n.fld.Offset, size: 8, name: n.fld.Name})
	g.store(at, asm.R0)
	g.charge()
	frame := g.room(code.FrameSize)
	g.scratch(false, frame)
	g.Add(asm.Mov.Imm(asm.R2, userTextMemory))
	g.load(asm.R3, at)
	g.Add(read.Call())
	g.copied(userTextMemory, frame+code.FrameLen, failed)
	g.matchCopy(frame, userTextMemory, gl.segments(), t)
}

// plain is the glob that matches as ks does a text that ends at its NUL.
func (ks *kernelString) plain() *glob {
	if ks.match == matchGlob {
		return &glob{kind: globGeneral, pat: ks.glob}
	}
	kind := map[kernelMatch]globKind{matchFull: globExact, matchFront: globPrefix, matchMiddle: globContains, matchEnd: globSuffix}[ks.match]
	return newGlob(kind, string(ks.pat))
}

// kernelText is a string test with the kernel's own rules: kernelString.decide.
func (g *bpfGen) kernelText(ks *kernelString, t code.Target) {
	f := &ks.field
	pat := code.Literal(ks.pat)
	switch f.kind {
	case kernelComm:
		if ks.match == matchEnd {
			at := g.room(commSize)
			g.Add(g.place.Comm(at)...)
			g.charge()
			g.matchEnd(asm.RFP, at, commSize, pat, t)
			return
		}
		g.matchText(&node{op: opComm}, ks.plain(), t)
	case kernelStatic:
		g.kernelArray(ks, pat, t)
	default:
		g.kernelLocated(ks, pat, t)
	}
}

// matchEnd compares the end of an array, before its last byte.
func (g *bpfGen) matchEnd(base asm.Register, at, size int, s code.Segment, t code.Target) {
	if size-1 < len(s) {
		g.Jump(t.False)
		return
	}
	g.Match(base, at+size-1-len(s), s, true, t.False)
	g.Jump(t.True)
}

func (g *bpfGen) kernelArray(ks *kernelString, pat code.Segment, t code.Target) {
	f := ks.field.fld
	at := bpf.RawOffset + f.Offset
	if at+f.Size > g.place.Size {
		g.fail("%s lies behind the record", f.Name)
		return
	}
	switch ks.match {
	case matchFull:
		g.charge()
		exact := len(pat) < f.Size
		g.matchArray(asm.R7, at, f.Size, pat[:min(len(pat), f.Size)], code.Flag(exact), t)
	case matchFront:
		g.charge()
		g.matchArray(asm.R7, at, f.Size, pat, false, t)
	case matchEnd:
		g.charge()
		g.matchEnd(asm.R7, at, f.Size, pat, t)
	case matchMiddle:
		// Behind the NUL as well.
		g.Add(asm.Mov.Imm(asm.R3, int32(at)), asm.Mov.Imm(asm.R4, int32(f.Size)))
		g.copyAndMatch(ks, false, t)
	default:
		// Where it has no NUL, up to the next that there is.
		g.Add(asm.Mov.Imm(asm.R3, int32(at)), asm.Mov.Imm(asm.R4, int32(min(g.place.Size-at, maxTextMemory-1))))
		g.copyAndMatch(ks, true, t)
	}
}

// copyAndMatch copies R4 bytes at R3 from the record on, or what of them is before a
// NUL, and compares it.
func (g *bpfGen) copyAndMatch(ks *kernelString, text code.Flag, t code.Target) {
	stack := g.next
	defer func() { g.next = stack }()
	frame := g.room(code.FrameSize)
	from, n := g.slot(), g.slot()
	g.store(from, asm.R3)
	g.store(n, asm.R4)
	g.charge()
	g.scratch(false, frame)
	g.load(asm.R2, n)
	g.load(asm.R3, from)
	g.Add(asm.Add.Reg(asm.R3, asm.R7))
	if text {
		g.Add(asm.JGT.Imm(asm.R2, maxTextMemory-1, g.fault(FaultTruncated)), asm.Add.Imm(asm.R2, 1), asm.FnProbeReadKernelStr.Call())
		g.copied(maxTextMemory, frame+code.FrameLen, g.fault(FaultTruncated))
	} else {
		g.copyCounted(n, frame+code.FrameLen, maxTextMemory)
	}
	g.matchCopy(frame, maxTextMemory, ks.plain().segments(), t)
}

func (g *bpfGen) kernelLocated(ks *kernelString, pat code.Segment, t code.Target) {
	g.bytesOf(ks.field.fld)
	nothing := g.Label()
	g.Add(asm.JEq.Imm(asm.R4, 0, nothing))
	switch ks.match {
	case matchFull:
		g.charge()
		g.sameUpTo(pat, t)
	case matchFront:
		g.charge()
		g.matchLocated(pat, false, t)
	case matchMiddle:
		g.copyAndMatch(ks, false, t)
	case matchEnd:
		g.charge()
		g.Add(
			asm.JLE.Imm(asm.R4, int32(len(pat)), t.False),
			asm.Add.Reg(asm.R3, asm.R4), asm.Add.Imm(asm.R3, int32(-1-len(pat))),
			asm.JGT.Imm(asm.R3, int32(g.place.Size), t.False),
			asm.Mov.Imm(asm.R4, int32(len(pat))),
		)
		g.matchLocated(pat, false, t)
	default:
		g.copyAndMatch(ks, true, t)
	}
	// Nothing was recorded: the kernel compares what lies where it would be.
	g.Mark(nothing)
	g.Add(asm.Mov.Imm(asm.R4, int32(g.place.Size)), asm.Sub.Reg(asm.R4, asm.R3))
	switch ks.match {
	case matchFull, matchFront:
		g.charge()
		g.matchLocated(pat, code.Flag(ks.match == matchFull), t)
	case matchEnd:
		g.charge()
		g.Jump(t.False)
	default:
		g.copyAndMatch(ks, true, t)
	}
}

// sameUpTo compares the R4 bytes at R3 from the record on with s and its NUL, as far as
// both go.
func (g *bpfGen) sameUpTo(s code.Segment, t code.Target) {
	for i, k := range append(s[:len(s):len(s)], nul()) {
		g.Add(asm.JEq.Imm(asm.R4, int32(i), t.True), asm.JGT.Imm(asm.R3, int32(g.place.Size-i-1), t.False))
		g.Add(asm.Mov.Reg(asm.R5, asm.R7), asm.Add.Reg(asm.R5, asm.R3))
		g.Match(asm.R5, i, code.Segment{k}, false, t.False)
	}
	g.Jump(t.True)
}
