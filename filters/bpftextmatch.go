package filters

import (
	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// pattern is what a test compares a string with, nil where that is no constant.
func (n *node) pattern() *glob {
	switch {
	case n.op == opGlob:
		return n.glob
	case n.op == opStrEq && n.kids[1].op == opStrConst:
		return newGlob(globExact, n.kids[1].str)
	}
	return nil
}

// segments are what stands between the stars of g.
func (g *glob) segments() []code.Segment {
	lit := code.Literal(g.lit)
	switch g.kind {
	case globAny:
		return []code.Segment{nil, nil}
	case globExact:
		return []code.Segment{lit}
	case globPrefix:
		return []code.Segment{lit, nil}
	case globSuffix:
		return []code.Segment{nil, lit}
	case globContains:
		return []code.Segment{nil, lit, nil}
	}
	out := []code.Segment{nil}
	for p := 0; p < len(g.pat); {
		if g.pat[p] == '*' {
			p++
			out = append(out, nil)
			continue
		}
		if p == len(g.pat)-1 && g.pat[p] == '\\' {
			break // it stands for the end
		}
		var s code.Set
		next := p
		for c := 1; c < len(s); c++ {
			next, s[c] = globByte(g.pat, p, byte(c))
		}
		out[len(out)-1] = append(out[len(out)-1], s)
		p = next
	}
	return out
}

// textTest is a predicate of strings or of other bytes.
func (g *bpfGen) textTest(n *node, t code.Target) {
	// More than one way may lead there, and what comes next is not what is next then.
	to := code.Target{True: t.True, False: t.False}
	if n.reaches() {
		// What cannot be read makes the predicate false.
		g.reach(n, to, to.False)
		return
	}
	switch n.op {
	case opKernel:
		g.kernelText(n.kstr, to)
	case opCPUs:
		g.cpus(n, to)
	case opCIDR:
		g.network(n, to)
	case opPresent:
		g.present(n.fld, to)
	default:
		gl := n.pattern()
		switch {
		case gl == nil:
			g.compareTexts(n, to)
		default:
			g.eachText(n.kids[0], func(text *node) { g.matchText(text, gl, to) })
		}
	}
}

// matchText goes by whether a text is one of gl's.
func (g *bpfGen) matchText(text *node, gl *glob, t code.Target) {
	segs := gl.segments()
	exact := len(segs) == 1
	if text.op == opStrConst {
		g.charge()
		if !gl.match([]byte(text.str)) {
			t.True = t.False
		}
		g.Jump(t.True)
		return
	}
	if !exact && (len(segs) > 2 || len(segs[1]) > 0) || text.op == opStrField && text.fld.Probed != nil {
		frame := g.room(code.FrameSize)
		g.copyText(text, false, frame)
		g.charge()
		g.matchCopy(frame, textRoom(text), segs, t)
		return
	}
	switch f := text.fld; {
	case text.op == opComm:
		at := g.room(commSize)
		g.Add(g.place.Comm(at)...)
		g.charge()
		g.matchArray(asm.RFP, at, commSize, segs[0], code.Flag(exact), t)
	case f.Loc == perfpipe.LocStatic:
		g.bytesOf(f)
		g.charge()
		g.matchArray(asm.R7, bpf.RawOffset+f.Offset, f.Size, segs[0], code.Flag(exact), t)
	default:
		g.bytesOf(f)
		g.charge()
		g.matchLocated(segs[0], code.Flag(exact), t)
	}
}

// matchArray compares the beginning of an array, or all of its text.
func (g *bpfGen) matchArray(base asm.Register, at, size int, s code.Segment, exact code.Flag, t code.Target) {
	if len(s) > size {
		g.Jump(t.False)
		return
	}
	if exact && len(s) < size {
		s = append(s[:len(s):len(s)], nul())
	}
	g.Match(base, at, s, true, t.False)
	g.Jump(t.True)
}

func nul() code.Set { return code.Set{0: true} }

// matchLocated compares the beginning of R4 bytes at R3 from the record on, or all of
// their text. That memory is none of the stack's.
func (g *bpfGen) matchLocated(s code.Segment, exact code.Flag, t code.Target) {
	room := g.place.Size - len(s)
	if room < 0 {
		g.Jump(t.False)
		return
	}
	if len(s) > 0 {
		// The second is so already, which the verifier does not know.
		g.Add(asm.JLT.Imm(asm.R4, int32(len(s)), t.False), asm.JGT.Imm(asm.R3, int32(room), t.False))
	}
	g.Add(asm.Mov.Reg(asm.R5, asm.R7), asm.Add.Reg(asm.R5, asm.R3))
	g.Match(asm.R5, 0, s, false, t.False)
	if !exact {
		g.Jump(t.True)
		return
	}
	g.Add(
		asm.JEq.Imm(asm.R4, int32(len(s)), t.True),
		asm.JGT.Imm(asm.R3, int32(room-1), t.False),
		asm.Mov.Reg(asm.R5, asm.R7), asm.Add.Reg(asm.R5, asm.R3),
		asm.LoadMem(asm.R0, asm.R5, int16(len(s)), asm.Byte),
		asm.JEq.Imm(asm.R0, 0, t.True),
	)
	g.Jump(t.False)
}

// matchCopy compares the text of the frame, in memory of so many bytes.
func (g *bpfGen) matchCopy(frame, room int, segs []code.Segment, t code.Target) {
	sum := 0
	for _, s := range segs {
		sum += len(s)
	}
	if sum >= room {
		g.Jump(t.False)
		return
	}
	head, last := segs[0], segs[len(segs)-1]
	g.load(asm.R4, frame+code.FrameLen)
	if len(segs) == 1 {
		g.Add(asm.JNE.Imm(asm.R4, int32(sum), t.False))
		last = nil
	} else {
		g.Add(asm.JLT.Imm(asm.R4, int32(sum), t.False))
	}
	if len(last) > 0 {
		g.Add(asm.Sub.Imm(asm.R4, int32(len(last))))
		g.store(frame+code.FrameLen, asm.R4)
	}
	if len(head) > 0 {
		g.load(asm.R3, frame+code.FrameText)
		g.Match(asm.R3, 0, head, false, t.False)
	}
	g.Add(code.StoreConst(asm.RFP, frame+code.FramePos, int32(len(head))))
	for i, s := range segs {
		if i == 0 || i == len(segs)-1 || len(s) == 0 {
			continue
		}
		g.Add(code.StoreConst(asm.RFP, frame+code.FrameFound, 0), asm.Mov.Imm(asm.R1, int32(room)))
		g.loopOver(frame, asm.R1, func(name string) asm.Instructions { return code.FindRound(name, s, room) })
		g.load(asm.R0, frame+code.FrameFound)
		g.Add(asm.JEq.Imm(asm.R0, 0, t.False))
	}
	if len(last) > 0 {
		g.load(asm.R4, frame+code.FrameLen)
		g.load(asm.R3, frame+code.FrameText)
		g.Add(asm.JGT.Imm(asm.R4, int32(room-len(last)), t.False), asm.Add.Reg(asm.R3, asm.R4))
		g.Match(asm.R3, 0, last, false, t.False)
	}
	g.Jump(t.True)
}

// pair copies two texts.
func (g *bpfGen) pairOfTexts(x, y *node) (frame int) {
	frame = g.room(code.FrameSize)
	a, b := g.slot(), g.slot()
	// Finding out which they are may use the memory as well.
	g.value(x)
	g.store(a, asm.R0)
	g.value(y)
	g.store(b, asm.R0)
	g.load(asm.R0, a)
	g.choose(g.texts.of(x), func(text *node) { g.copyText(text, false, frame) })
	g.load(asm.R0, b)
	g.choose(g.texts.of(y), func(text *node) { g.copyText(text, true, frame) })
	return frame
}

// compareTexts is == or a function of two strings that are no constants.
func (g *bpfGen) compareTexts(n *node, t code.Target) {
	frame := g.pairOfTexts(n.kids[0], n.kids[1])
	g.charge()
	g.Add(code.StoreConst(asm.RFP, frame+code.FramePos, 0), code.StoreConst(asm.RFP, frame+code.FrameFound, 1))
	g.load(asm.R0, frame+code.FrameLen)
	g.load(asm.R5, frame+code.FrameOtherLen)
	switch {
	case n.op == opStrEq:
		g.Add(asm.JNE.Reg(asm.R0, asm.R5, t.False))
	case n.fun == fnStartsWith:
		g.Add(asm.JLT.Reg(asm.R0, asm.R5, t.False))
	case n.fun == fnEndsWith:
		g.Add(asm.JLT.Reg(asm.R0, asm.R5, t.False), asm.Sub.Reg(asm.R0, asm.R5))
		g.store(frame+code.FramePos, asm.R0)
	default:
		g.load(asm.R1, frame+code.FrameOther)
		g.Add(
			code.StoreConst(asm.RFP, frame+code.FrameFound, 0),
			code.StoreConst(asm.R1, g.memory, 0), code.StoreConst(asm.R1, g.memory+8, 0),
			asm.Mov.Imm(asm.R5, code.MaxLoops),
		)
	}
	g.loopOver(frame, asm.R5, func(name string) asm.Instructions {
		if n.op == opStrFn && n.fun == fnContains {
			return code.SearchRound(name, g.memory)
		}
		return code.SameRound(name, g.memory)
	})
	g.load(asm.R0, frame+code.FrameFound)
	g.Add(asm.JNE.Imm(asm.R0, 0, t.True))
	g.Jump(t.False)
}

// textCall is strlen or hash of a string, into R0.
func (g *bpfGen) textCall(n *node) {
	stack := g.next
	defer func() { g.next = stack }()
	frame := g.room(code.FrameSize)
	g.eachText(n.kids[0], func(text *node) {
		if text.op == opStrConst {
			v := uint64(len(text.str))
			if n.fun == fnHash {
				v = hashBytes([]byte(text.str))
			}
			g.Const(asm.R0, v)
			return
		}
		g.copyText(text, false, frame)
		if n.fun == fnStrlen {
			g.load(asm.R0, frame+code.FrameLen)
			return
		}
		g.Const(asm.R0, hashBasis)
		g.store(frame+code.FramePos, asm.R0)
		g.load(asm.R1, frame+code.FrameLen)
		g.loopOver(frame, asm.R1, func(name string) asm.Instructions { return code.HashRound(name, textRoom(text)) })
		g.load(asm.R0, frame+code.FramePos)
		g.Mix()
	})
}

// hashBasis is what FNV-1a begins with.
const hashBasis = 0xcbf29ce484222325
