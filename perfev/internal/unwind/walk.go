package unwind

import "encoding/binary"

// Memory reads words of the process's memory as it was.
type Memory interface {
	// Word reads 8 bytes; ok is false where they are not known.
	Word(addr uint64) (v uint64, ok bool)
}

// Modules finds what is mapped.
type Modules interface {
	// Module returns the information of the file that is mapped at addr and the place
	// of addr in the file; t is nil where the file has none. mapped is false where
	// nothing is mapped there.
	Module(addr uint64) (t *Table, offset uint64, mapped bool)
}

// Stack is the copy of a stack from its pointer on.
type Stack struct {
	Base uint64
	Data []byte
}

// Word implements [Memory].
func (s *Stack) Word(addr uint64) (uint64, bool) {
	o := addr - s.Base
	if addr < s.Base || o+8 > uint64(len(s.Data)) || o+8 < o {
		return 0, false
	}
	return binary.LittleEndian.Uint64(s.Data[o:]), true
}

// Walker unwinds stacks. It belongs to one goroutine.
type Walker struct {
	rows map[rowKey]*row
}

type rowKey struct {
	t    *Table
	addr uint64
}

// maxRows bounds the rows that are remembered: some 15 MiB.
const maxRows = 1 << 14

// NewWalker returns a walker that remembers nothing yet.
func NewWalker() *Walker { return &Walker{rows: make(map[rowKey]*row)} }

// Walk appends to to the place of rg and the return addresses above it, most of
// them at last, as far as the copy and the information reach. Through code without
// information, such as Go's or what was made at run time, it goes by frame pointers.
func (w *Walker) Walk(to []uint64, rg Regs, mem Memory, mods Modules, most int) []uint64 {
	exact := true // a signal's or the first: the place itself, not what follows a call
	for n := 0; n < most; n++ {
		pc := rg[regRA]
		if pc == 0 {
			break
		}
		look := pc
		if !exact {
			look--
		}
		t, offset, mapped := mods.Module(look)
		if !mapped && n > 0 {
			break
		}
		to = append(to, pc)
		var ok bool
		if r := w.row(t, offset); r != nil {
			exact = r.signal
			rg, ok = r.caller(&rg, mem)
		} else {
			exact = false
			rg, ok = byFramePointer(&rg, mem)
		}
		if !ok {
			break
		}
	}
	return to
}

// row returns the row at an offset of t's file, nil where there is none.
func (w *Walker) row(t *Table, offset uint64) *row {
	if t == nil {
		return nil
	}
	k := rowKey{t: t, addr: offset}
	if r, ok := w.rows[k]; ok {
		return r
	}
	var found *row
	if addr, ok := t.addr(offset); ok {
		if f, ok := t.find(addr); ok {
			if r, ok := f.rowAt(addr); ok {
				found = &r
			}
		}
	}
	if len(w.rows) >= maxRows {
		clear(w.rows)
	}
	w.rows[k] = found
	return found
}

// caller computes the registers of the caller.
func (w *row) caller(rg *Regs, mem Memory) (up Regs, ok bool) {
	var cfa uint64
	if w.cfaExpr != nil {
		if cfa, ok = eval(w.cfaExpr, rg, mem); !ok {
			return up, false
		}
	} else {
		cfa = rg[w.cfaReg] + uint64(w.cfaOff)
	}
	// A stack grows down: a caller's frame lies above.
	if cfa <= rg[regSP] && !w.signal {
		return up, false
	}
	up = *rg
	up[regSP] = cfa
	for i := range w.regs {
		r := &w.regs[i]
		switch r.kind {
		case ruleSame:
			continue
		case ruleUndefined:
			up[i] = 0
		case ruleOffset:
			up[i], ok = mem.Word(cfa + uint64(r.off))
			if !ok && i == regRA {
				return up, false
			}
		case ruleValOffset:
			up[i] = cfa + uint64(r.off)
		case ruleRegister:
			up[i] = rg[r.reg]
		case ruleExpr, ruleValExpr:
			v, ok := eval(r.expr, rg, mem, cfa)
			if ok && r.kind == ruleExpr {
				v, ok = mem.Word(v)
			}
			if !ok && i == regRA {
				return up, false
			}
			up[i] = v
		}
	}
	// Without a rule for it the return address has "not changed": there is no caller.
	return up, w.regs[regRA].kind != ruleSame && w.regs[regRA].kind != ruleUndefined
}

// byFramePointer takes the frame for one that begins with push %rbp; mov %rsp,%rbp.
func byFramePointer(rg *Regs, mem Memory) (up Regs, ok bool) {
	bp := rg[regBP]
	if bp < rg[regSP] {
		return up, false
	}
	up = *rg
	if up[regBP], ok = mem.Word(bp); !ok {
		return up, false
	}
	if up[regRA], ok = mem.Word(bp + 8); !ok {
		return up, false
	}
	up[regSP] = bp + 16
	return up, true
}
