package filters

import (
	"github.com/cilium/ebpf/asm"

	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// Flags of bpf_map_update_elem, include/uapi/linux/bpf.h, and its answer where an entry
// that is to be new is there.
const (
	anyElem   = 0   // BPF_ANY
	newElem   = 1   // BPF_NOEXIST
	elemThere = -17 // -EEXIST
)

// cellAt puts into R2 the address of a cell. It changes R0 to R5.
func (g *bpfGen) cellAt(k *cell) {
	m := g.place.Maps
	if !k.perCPU {
		g.Add(asm.LoadMapValue(asm.R2, m.Cells, uint32(k.at*8)))
		return
	}
	g.Add(g.place.CPU(asm.R1)...)
	in := g.Label()
	// There is no such processor; the verifier does not know that.
	g.Add(asm.JLT.Imm(asm.R1, int32(m.CPUs), in), asm.Mov.Imm(asm.R1, 0))
	g.Mark(in)
	g.Add(
		asm.Mul.Imm(asm.R1, int32(g.b.layout.perCPU*8)),
		asm.LoadMapValue(asm.R2, m.CPUCells, uint32(k.at*8)),
		asm.Add.Reg(asm.R2, asm.R1),
	)
}

// cell loads a cell into R0.
func (g *bpfGen) cell(k *cell) {
	g.cellAt(k)
	g.Add(asm.LoadMem(asm.R0, asm.R2, 0, asm.DWord))
}

// setCell puts R0 into a cell.
func (g *bpfGen) setCell(k *cell) {
	if !k.perCPU {
		g.cellAt(k)
		g.Add(asm.StoreMem(asm.R2, 0, asm.R0, asm.DWord))
		return
	}
	next := g.next
	at := g.slot()
	g.keep(at)
	g.cellAt(k)
	g.load(asm.R0, at)
	g.Add(asm.StoreMem(asm.R2, 0, asm.R0, asm.DWord))
	g.next = next
}

// table puts into R1 and R2 a map and its key, which lies in the slot at.
func (g *bpfGen) table(m *table, at int) {
	g.Add(asm.LoadMapPtr(asm.R1, g.place.Maps.Tables[m.at]), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, int32(at)))
}

// mapGet is m[key], 0 where there is none.
func (g *bpfGen) mapGet(n *node) {
	next := g.next
	g.value(n.kids[0])
	at := g.slot()
	g.keep(at)
	g.table(n.m, at)
	none := g.Label()
	g.Add(asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, none), asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord))
	g.Mark(none)
	g.next = next
}

// insert makes an entry for the key at, with the value in the slot val.
func (g *bpfGen) insert(m *table, at, val int, flags int32) {
	g.table(m, at)
	g.Add(
		asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, int32(val)),
		asm.Mov.Imm(asm.R4, flags),
		asm.FnMapUpdateElem.Call(),
	)
	there := g.Label()
	if flags == newElem {
		// Another processor was quicker.
		g.Add(asm.JEq.Imm(asm.R0, elemThere, there))
	}
	g.Add(asm.JNE.Imm(asm.R0, 0, g.fault(FaultMapFull)))
	g.Mark(there)
}

// setMap is m[key] = x, or m[key] bin x.
func (g *bpfGen) setMap(s *stmt) {
	key, x := g.slot(), g.slot()
	g.value(s.key)
	g.keep(key)
	g.value(s.x)
	g.keep(x)
	g.table(s.m, key)
	g.Add(asm.FnMapLookupElem.Call())
	found, end := g.Label(), g.Label()
	g.Add(asm.JNE.Imm(asm.R0, 0, found))
	if s.bin == 0 {
		g.insert(s.m, key, x, anyElem)
		g.Jump(end)
		g.Mark(found)
		g.load(asm.R1, x)
		g.Add(asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord))
		g.Mark(end)
		return
	}
	zero := g.slot()
	g.Add(code.StoreConst(asm.RFP, zero, 0))
	g.insert(s.m, key, zero, newElem)
	g.table(s.m, key)
	g.Add(asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, g.fault(FaultMapFull)))
	g.Mark(found)
	op, ok := aluOf(s.bin)
	if !ok {
		g.fail("it changes %s by an operation that has no code for eBPF", s.m.name)
		return
	}
	g.load(asm.R1, x)
	if (s.bin == syntax.Plus || s.bin == syntax.Minus) && s.m.val.size == 8 {
		// Another processor may be at it as well.
		if s.bin == syntax.Minus {
			g.Add(asm.Neg.Imm(asm.R1, 0))
		}
		g.Add(asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0))
		return
	}
	g.Add(asm.LoadMem(asm.R2, asm.R0, 0, asm.DWord), op.Reg(asm.R2, asm.R1))
	g.Cut(asm.R2, int(s.m.val.size)*8, code.Flag(s.m.val.signed))
	g.Add(asm.StoreMem(asm.R0, 0, asm.R2, asm.DWord))
}

// delta is x less what it was the last time, 0 the first time.
func (g *bpfGen) delta(n *node) {
	g.value(n.kids[0])
	first := g.Label()
	g.Add(
		asm.LoadMapValue(asm.R2, g.place.Maps.Cells, uint32(n.cell.at*8)),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.LoadMem(asm.R1, asm.R2, 8, asm.DWord),
		asm.Sub.Reg(asm.R0, asm.R1),
		asm.LoadMem(asm.R1, asm.R2, 0, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, first),
		asm.Mov.Imm(asm.R0, 0),
	)
	g.Mark(first)
	g.Add(code.StoreConst(asm.R2, 0, 1), asm.StoreMem(asm.R2, 8, asm.R3, asm.DWord))
}

// changed is whether x is not what it was the last time.
func (g *bpfGen) changed(n *node, t code.Target) {
	g.value(n.kids[0])
	hit := g.Label()
	g.Add(
		asm.LoadMapValue(asm.R2, g.place.Maps.Cells, uint32(n.cell.at*8)),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Mov.Imm(asm.R0, 1),
		asm.LoadMem(asm.R1, asm.R2, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, hit),
		asm.LoadMem(asm.R1, asm.R2, 8, asm.DWord),
		asm.JNE.Reg(asm.R1, asm.R3, hit),
		asm.Mov.Imm(asm.R0, 0),
	)
	g.Mark(hit)
	g.Add(code.StoreConst(asm.R2, 0, 1), asm.StoreMem(asm.R2, 8, asm.R3, asm.DWord))
	g.charge()
	g.BranchConst(asm.JNE, asm.R0, 0, asm.R1, t)
}

// rate is true at most so many times in a window, which begins with the first record
// behind the one before.
func (g *bpfGen) rate(n *node, t code.Target) {
	most, window := n.kids[0].val, n.kids[1].val
	fresh, open, full := g.Label(), g.Label(), g.Label()
	g.Add(
		asm.LoadMapValue(asm.R2, g.place.Maps.Cells, uint32(n.cell.at*8)),
		asm.LoadMem(asm.R3, asm.R7, 0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R2, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, fresh),
		asm.LoadMem(asm.R1, asm.R2, 8, asm.DWord),
		asm.Mov.Reg(asm.R4, asm.R3),
		asm.Sub.Reg(asm.R4, asm.R1),
	)
	g.BranchConst(asm.JSLT, asm.R4, window, asm.R1, code.Target{True: open, False: fresh, Next: fresh})
	g.Mark(fresh)
	g.Add(code.StoreConst(asm.R2, 0, 1), asm.StoreMem(asm.R2, 8, asm.R3, asm.DWord), code.StoreConst(asm.R2, 16, 0))
	g.Mark(open)
	g.Add(asm.Mov.Imm(asm.R0, 0), asm.LoadMem(asm.R1, asm.R2, 16, asm.DWord))
	in := g.Label()
	g.BranchConst(asm.JGE, asm.R1, most, asm.R3, code.Target{True: full, False: in, Next: in})
	g.Mark(in)
	g.Add(asm.Add.Imm(asm.R1, 1), asm.StoreMem(asm.R2, 16, asm.R1, asm.DWord), asm.Mov.Imm(asm.R0, 1))
	g.Mark(full)
	g.charge()
	g.BranchConst(asm.JNE, asm.R0, 0, asm.R1, t)
}
