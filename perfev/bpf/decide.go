package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Code is a [Filter] with what it works on in one program.
type Code struct {
	Filter *Filter
	Maps   MemoryMaps
	// Faults is the descriptor of the counters of faults, an array of one value; CPUs is
	// how many processors they are for, Slot which of them are this program's.
	Faults, CPUs, Slot int
	// Follow is [Place.Follow].
	Follow bool
}

// FaultsSize is how many bytes the counters of faults of so many programs take.
func FaultsSize(slots, cpus int) int { return slots * cpus * Causes * 8 }

// FaultsAt is the offset of the counter of a cause, a u64.
func FaultsAt(slot, cpu, cause, cpus int) int { return ((slot*cpus+cpu)*Causes + cause) * 8 }

const (
	// HookStack is the offset from the frame pointer below which programs leave the stack
	// to what decides.
	HookStack = -64
	// maxArea bounds the copy of the fields in place: what is larger is decided late.
	maxArea = 192
)

// EmitsSize is how many bytes there are behind a record with so many emitted values.
func EmitsSize(emits int) int {
	if emits == 0 {
		return 0
	}
	return 8 * (1 + emits)
}

// emitsSize is what of the stack emitted values take.
func (c *Code) emitsSize() int { return 8 * (1 + c.Filter.Emits) }

// total is the size of a record of so many bytes with what is emitted.
func (c *Code) total(size int) int {
	if c == nil || c.Filter.Emits == 0 {
		return size
	}
	return (size+7)&^7 + EmitsSize(c.Filter.Emits)
}

// cpuNumber puts the processor's number into a register.
func cpuNumber(to asm.Register) asm.Instructions {
	return asm.Instructions{asm.FnGetSmpProcessorId.Call(), asm.Mov.Reg(to, asm.R0)}
}

// taskName writes the task's name to the stack.
func taskName(at int) asm.Instructions {
	return asm.Instructions{asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)), asm.Mov.Imm(asm.R2, 16), asm.FnGetCurrentComm.Call()}
}

// zero writes 8 bytes of zeroes to the stack.
func zero(at int) asm.Instruction {
	return asm.Instruction{OpCode: asm.StoreImmOp(asm.DWord), Dst: asm.RFP, Offset: int16(at)}
}

// write has the filter make its instructions.
func (c *code) write(k *Code, p *Place) asm.Instructions {
	p.Accept, p.Fault, p.Prefix, p.Maps = c.label("kept"), c.label("fault"), c.label("hook")+"_", k.Maps
	p.Follow = k.Follow
	list, err := k.Filter.Write(p)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("write the filter: %w", err)
	}
	return list
}

// decide puts the code in: it goes on where the record is kept.
func (c *code) decide(k *Code, p Place) {
	list := c.write(k, &p)
	c.put(k, &p, list)
}

// put puts instructions in that were written for a place.
func (c *code) put(k *Code, p *Place, list asm.Instructions) {
	if n := k.Filter.Emits; n > 0 {
		for i := range 1 + n {
			c.add(zero(p.Emits + 8*i))
		}
	}
	c.add(list...)
	c.mark(p.Fault)
	known, here := c.label("known"), c.label("here")
	c.add(
		asm.Mov.Reg(asm.R9, asm.R1),
		asm.JLT.Imm(asm.R9, Causes, known),
		asm.Mov.Imm(asm.R9, 0),
	)
	c.mark(known)
	c.add(asm.FnGetSmpProcessorId.Call(), asm.JLT.Imm(asm.R0, int32(k.CPUs), here), asm.Mov.Imm(asm.R0, 0))
	c.mark(here)
	c.add(
		asm.Mul.Imm(asm.R0, Causes*8),
		asm.LSh.Imm(asm.R9, 3),
		asm.LoadMapValue(asm.R1, k.Faults, uint32(FaultsAt(k.Slot, 0, 0, k.CPUs))),
		asm.Add.Reg(asm.R1, asm.R0),
		asm.Add.Reg(asm.R1, asm.R9),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
	)
	switch {
	case !k.Filter.PassFaults:
		c.add(asm.Ja.Label(p.Reject))
	case k.Filter.Emits > 0:
		c.add(zero(p.Emits))
	}
	c.mark(p.Accept)
}

// emitted copies the values from the stack to the end of the record, which has size
// bytes before them.
func (c *code) emitted(k *Code, from, size int) {
	to := (size + 7) &^ 7
	if k.Filter.Emits == 0 {
		return
	}
	if to+k.emitsSize() > maxSize && c.err == nil {
		c.err = fmt.Errorf("put emitted values behind a record of %d bytes: an instruction reaches %d", size, maxSize)
		return
	}
	for i := size; i < to; i++ {
		c.add(asm.StoreImm(record, int16(i), 0, asm.Byte))
	}
	for i := range 1 + k.Filter.Emits {
		c.add(asm.LoadMem(asm.R1, asm.RFP, int16(from+8*i), asm.DWord), asm.StoreMem(record, int16(to+8*i), asm.R1, asm.DWord))
	}
}

// isEarly reports whether it is decided before the record has its place.
func (a *tracer) isEarly() bool {
	return a.m.Code != nil && !a.m.Code.Filter.Late && RawOffset+a.t.Size <= maxArea
}

// area is where the copy of the fields in place begins, from the frame pointer.
func (a *tracer) area() int { return HookStack - (RawOffset+a.t.Size+7)&^7 }

// emits is where the emitted values are.
func (a *tracer) emits() int {
	if a.isEarly() {
		return a.area() - a.m.Code.emitsSize()
	}
	return HookStack - a.m.Code.emitsSize()
}

// early decides on a copy of what the code reads, on the stack.
func (a *tracer) early() {
	if !a.isEarly() {
		return
	}
	p := a.place(RawOffset+a.t.Size, a.area(), "exit")
	list := a.write(a.m.Code, &p)
	read := reads(list, RawOffset+a.t.Size)
	a.add(asm.Mov.Reg(record, asm.RFP), asm.Add.Imm(record, int32(a.area())))
	for i := range a.parts {
		part := &a.parts[i]
		if part.early = anyOf(read[RawOffset+part.from : RawOffset+part.from+part.size]); part.early {
			part.write()
		}
	}
	a.put(a.m.Code, &p, list)
	a.add(asm.LoadMem(asm.R1, asm.RFP, slotRing, asm.DWord))
}

// rest writes the record but for its texts, when it has its place: what was read already
// is copied, so that it is what was decided upon.
func (a *tracer) rest() {
	for i := range a.parts {
		if p := &a.parts[i]; !p.early {
			p.write()
		}
	}
	for _, p := range a.parts {
		if p.early {
			a.words(asm.RFP, a.area()+RawOffset+p.from, RawOffset+p.from, p.size)
		}
	}
}

// reads says which of so many bytes behind the register of the record instructions read.
func reads(list asm.Instructions, size int) []bool {
	read := make([]bool, (size+7)&^7)
	all := func() {
		for i := range read {
			read[i] = true
		}
	}
	for _, in := range list {
		switch in.OpCode.Class() {
		case asm.LdXClass:
			if in.Src != record {
				continue
			}
			for i := range in.OpCode.Size().Sizeof() {
				if at := int(in.Offset) + i; at >= 0 && at < len(read) {
					read[at] = true
				}
			}
		case asm.ALU64Class, asm.ALUClass:
			if in.OpCode.Source() == asm.RegSource && in.Src == record && in.Dst != record {
				all()
			}
		}
	}
	return read
}

// place is one in a program on a tracepoint.
func (a *tracer) place(size, stack int, no string) Place {
	emits := stack - a.m.Code.emitsSize()
	return Place{Size: size, Stack: emits, Emits: emits, PID: RawOffset + a.t.PID, Reject: no, CPU: cpuNumber, Process: a.process, Comm: taskName}
}
