package filters

import (
	"math/bits"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/filters/syntax"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// located is an element of an array whose place the record tells, or of a probe's.
func (g *bpfGen) located(n *node) {
	f, size := n.fld, int(n.load.size)
	stack := g.next
	at := g.slot()
	g.value(n.kids[0])
	g.store(at, asm.R0)
	if f.Probed != nil && f.Kind == perfpipe.KindString {
		g.find(f)
	} else {
		g.bytesOf(f)
	}
	g.load(asm.R0, at)
	g.next = stack
	shift := int32(bits.Len(uint(size)) - 1)
	g.Add(
		asm.RSh.Imm(asm.R4, shift),
		asm.JGE.Reg(asm.R0, asm.R4, g.fault(FaultIndex)),
		// The rest is so already, which the verifier does not know.
		asm.JGT.Imm(asm.R0, int32(g.place.Size), g.fault(FaultIndex)),
		asm.LSh.Imm(asm.R0, shift),
		asm.Add.Reg(asm.R3, asm.R0),
		asm.JGT.Imm(asm.R3, int32(g.place.Size-size), g.fault(FaultIndex)),
		asm.Add.Reg(asm.R3, asm.R7),
		asm.LoadMem(asm.R0, asm.R3, 0, code.Size(size)),
	)
	if n.load.signed && size < 8 {
		g.Cut(asm.R0, size*8, true)
	}
}

// network is whether an address in place is in a network.
func (g *bpfGen) network(n *node, t code.Target) {
	f, w := n.fld, n.net
	g.bytesOf(f)
	g.charge()
	if f.Loc != perfpipe.LocStatic || f.Size != w.size {
		g.Jump(t.False)
		return
	}
	s := code.Literal(w.addr[:w.bits/8])
	if rest := w.bits % 8; rest > 0 {
		var k code.Set
		for c := range k {
			k[c] = (byte(c)^w.addr[w.bits/8])>>(8-rest) == 0
		}
		s = append(s, k)
	}
	g.Match(asm.R7, bpf.RawOffset+f.Offset, s, true, t.False)
	g.Jump(t.True)
}

// cpus compares a cpumask with a list of processors, word by word: masks are made of
// unsigned longs.
func (g *bpfGen) cpus(n *node, t code.Target) {
	var want [maxCPUs / 64]uint64
	for _, s := range n.cpus {
		for i := s.lo; i <= s.hi && i < maxCPUs; i++ {
			want[i/64] |= 1 << (i % 64)
		}
	}
	g.bytesOf(n.fld)
	g.Add(asm.JSet.Imm(asm.R4, 7, g.fault(FaultTruncated)))
	g.charge()
	some := n.bin == syntax.And
	if !some {
		g.Add(asm.JGT.Imm(asm.R4, maxCPUs/8, g.fault(FaultTruncated)))
	}
	// Behind the end of the mask no processor is set.
	rest := func(i int) string {
		for _, w := range want[i:] {
			if w != 0 && !some {
				return t.False
			}
		}
		if some {
			return t.False
		}
		return t.True
	}
	for i, w := range want {
		end := bpf.RawOffset + 8*(i+1)
		if end > g.place.Size {
			g.Jump(rest(i))
			return
		}
		g.Add(asm.JLT.Imm(asm.R4, int32(8*(i+1)), rest(i)))
		if some && w == 0 {
			continue
		}
		g.Add(
			asm.JGT.Imm(asm.R3, int32(g.place.Size-8*(i+1)), t.False),
			asm.Mov.Reg(asm.R5, asm.R7), asm.Add.Reg(asm.R5, asm.R3),
			asm.LoadMem(asm.R0, asm.R5, int16(8*i), asm.DWord),
		)
		if some {
			g.Const(asm.R1, w)
			g.Add(asm.JSet.Reg(asm.R0, asm.R1, t.True))
			continue
		}
		next := g.Label()
		g.BranchConst(asm.JEq, asm.R0, w, asm.R1, code.Target{True: next, False: t.False, Next: next})
		g.Mark(next)
	}
	g.Jump(rest(len(want)))
}
