package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Generic describes the program for any tracepoint: it is given the record as the
// event's format describes it, and copies it.
type Generic struct {
	// Type, PID and Size are as in [Trace].
	Type, PID, Size int
	// Located are the fields that say where data behind the record is.
	Located []Located
}

// Located is a __data_loc or, where Rel is set, a __rel_loc, at an offset in the record.
type Located struct {
	Offset int
	Rel    bool
}

// slotWho is where programs of [AssembleGeneric] keep the thread (the lower half) and
// its process.
const slotWho = -32

// AssembleGeneric returns the program for g, of type tracepoint. It returns 1, so that
// nothing is taken from others who record the event. What the context does not show,
// the first 8 bytes, is made as by [AssembleTrace].
func AssembleGeneric(g *Generic, m TraceMaps) (asm.Instructions, error) {
	if g.Type <= 0 || g.Type > 0xffff || g.Size < 8 || g.Size > maxTraceSize || g.PID < 4 || g.PID > 4 {
		return nil, fmt.Errorf("a record of %d bytes of type %d: its common fields are not within its first 8", g.Size, g.Type)
	}
	for _, l := range g.Located {
		if l.Offset < 8 || l.Offset%4 != 0 || l.Offset > g.Size-4 {
			return nil, fmt.Errorf("a location at %d: the record has %d bytes", l.Offset, g.Size)
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	a := &tracer{t: &Trace{Type: g.Type, PID: g.PID, Size: g.Size}, m: m}
	a.parts = a.copyParts(g)
	a.who()
	if a.isEarly() {
		a.ring()
		a.early()
		a.length(g)
		a.add(asm.LoadMem(asm.R1, asm.RFP, slotRing, asm.DWord))
	} else {
		a.length(g)
		a.ring()
	}
	rooms := [...]int{0, 128, 1024, 8192}
	for i, room := range rooms {
		if i > 0 && len(g.Located) == 0 {
			break
		}
		next := "exit"
		if i+1 < len(rooms) {
			next = fmt.Sprintf("room%d", i+1)
		}
		if i > 0 {
			a.mark(fmt.Sprintf("room%d", i))
		}
		if len(g.Located) > 0 {
			a.add(asm.JGT.Imm(asm.R9, int32(room), next))
		}
		a.copied(g, room)
	}
	if m.Code != nil && !a.isEarly() {
		a.mark(reject)
		a.add(asm.Mov.Reg(asm.R1, record), asm.Mov.Imm(asm.R2, noWakeup), asm.FnRingbufDiscard.Call(), asm.Ja.Label("exit"))
	}
	a.mark("lost")
	a.lost(func() {})
	a.mark("exit")
	a.add(asm.Mov.Imm(asm.R0, 1), asm.Return())
	return a.end()
}

// who leaves where the event is nobody's of the scope.
func (a *tracer) who() {
	s := a.m.Scope
	a.process = func(to asm.Register) asm.Instructions {
		return asm.Instructions{asm.LoadMem(to, asm.RFP, slotWho, asm.DWord), asm.RSh.Imm(to, 32)}
	}
	a.add(
		asm.Mov.Reg(context, asm.R1),
		asm.LoadMapValue(asm.R1, a.m.Words, WordOn),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "exit"),
		asm.FnGetCurrentPidTgid.Call(),
		asm.StoreMem(asm.RFP, slotWho, asm.R0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.RSh.Imm(asm.R1, 32),
	)
	if s.Self > 0 {
		a.add(asm.JEq.Imm(asm.R1, int32(s.Self), "exit"))
	}
	if s.PIDs >= 0 {
		a.member("exit", -1)
	}
	a.cgroups()
}

// length finds in R9 how many bytes there are behind the fields in place.
func (a *tracer) length(g *Generic) {
	if len(g.Located) == 0 {
		return
	}
	a.add(asm.Mov.Imm(asm.R9, 0))
	for _, l := range g.Located {
		less := a.label("less")
		base := -g.Size
		if l.Rel {
			base += l.Offset + 4
		}
		a.add(
			asm.LoadMem(asm.R1, context, int16(l.Offset), asm.Word),
			asm.Mov.Reg(asm.R2, asm.R1),
			asm.And.Imm(asm.R1, 0xffff),
			asm.RSh.Imm(asm.R2, 16),
			asm.Add.Reg(asm.R1, asm.R2),
			asm.Add.Imm(asm.R1, int32(base)),
			asm.JSLE.Reg(asm.R1, asm.R9, less),
			asm.Mov.Reg(asm.R9, asm.R1),
		)
		a.mark(less)
	}
}

// copied makes a record with room for so many bytes behind the fields in place.
func (a *tracer) copied(g *Generic, room int) {
	size := RawOffset + g.Size + room
	a.reserve(a.m.Code.total(size))
	a.rest()
	if room > 0 {
		a.add(
			asm.Mov.Reg(asm.R1, record), asm.Add.Imm(asm.R1, int32(RawOffset+g.Size)),
			asm.Mov.Reg(asm.R2, asm.R9),
			asm.Mov.Reg(asm.R3, context), asm.Add.Imm(asm.R3, int32(g.Size)),
			asm.FnProbeReadKernel.Call(),
		)
	}
	if a.m.Code != nil {
		if !a.isEarly() {
			a.decide(a.m.Code, a.place(size, HookStack, reject))
		}
		a.emitted(a.m.Code, a.emits(), size)
	}
	a.submit(a.m.Words)
}

// copyParts are the fields in place: the context's from its 8th byte on, word by word.
func (a *tracer) copyParts(g *Generic) []part {
	head := func() {
		a.add(
			asm.StoreImm(record, RawOffset, int64(g.Type), asm.Word),
			asm.LoadMem(asm.R1, asm.RFP, slotWho, asm.DWord),
			asm.StoreMem(record, int16(RawOffset+g.PID), asm.R1, asm.Word),
		)
	}
	parts := []part{{from: 0, size: 8, write: head}}
	for at := 8; at < g.Size; at += 8 {
		n := min(8, g.Size-at)
		parts = append(parts, part{from: at, size: n, write: func() { a.words(context, at, RawOffset+at, n) }})
	}
	return parts
}
