package main

import (
	"fmt"
	"io"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// trialRoom is how many bytes of texts stand behind the fields in place of a record
// that late code is tried with.
const trialRoom = 4096

// codeTrial is the code of a filter at a place of our making: a record in a map.
type codeTrial struct {
	code *bpf.Filter
	// size is how much of the record may be read, pid where common_pid is in it.
	size, pid int
}

func newCodeTrial(f *bpf.Filter, s *perfpipe.Schema) *codeTrial {
	t := &codeTrial{code: f, size: bpf.RawOffset + s.Size, pid: bpf.RawOffset + 4}
	for i := range s.Common {
		if s.Common[i].Name == "common_pid" {
			t.pid = bpf.RawOffset + s.Common[i].Offset
		}
	}
	if f.Late {
		t.size += trialRoom
	}
	return t
}

// write makes the code, and the whole program around it: which sets the registers, and
// returns 0. record is the descriptor of the map with the record.
func (t *codeTrial) write(record int, maps bpf.MemoryMaps) (own, whole asm.Instructions, err error) {
	emits := bpf.HookStack - bpf.EmitsSize(max(1, t.code.Emits))
	place := &bpf.Place{
		Size: t.size, Stack: emits, Emits: emits, PID: t.pid, Accept: "accept", Reject: "reject", Fault: "fault", Prefix: "filter", Maps: maps,
		CPU: func(to asm.Register) asm.Instructions {
			return asm.Instructions{asm.FnGetSmpProcessorId.Call(), asm.Mov.Reg(to, asm.R0)}
		},
		Process: func(to asm.Register) asm.Instructions {
			return asm.Instructions{asm.FnGetCurrentPidTgid.Call(), asm.Mov.Reg(to, asm.R0), asm.RSh.Imm(to, 32)}
		},
		Comm: func(at int) asm.Instructions {
			return asm.Instructions{asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(at)), asm.Mov.Imm(asm.R2, 16), asm.FnGetCurrentComm.Call()}
		},
	}
	if own, err = t.code.Write(place); err != nil {
		return nil, nil, err
	}
	whole = asm.Instructions{asm.LoadMapValue(asm.R7, record, 0)}
	for at := emits; at < bpf.HookStack; at += 8 {
		whole = append(whole, asm.Instruction{OpCode: asm.StoreImmOp(asm.DWord), Dst: asm.RFP, Offset: int16(at)})
	}
	whole = append(whole, own...)
	// Each way out does something of its own, so that none is left out.
	for i, way := range [...]string{place.Accept, place.Reject, place.Fault} {
		whole = append(whole, asm.Mov.Imm(asm.R0, int32(i)).WithSymbol(way), asm.Ja.Label("end"))
	}
	whole = append(whole, asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), asm.Return())
	return own, bpf.Prune(whole), nil
}

// explainCode lists the code of a filter, and asks the kernel whether it takes it.
func explainCode(w io.Writer, p *filters.Program) error {
	code, err := p.BPF()
	if err != nil {
		fmt.Fprintf(w, "bpf:     none: %v\n", err)
		return nil
	}
	t := newCodeTrial(code, p.Schema())
	none := bpf.MemoryMaps{CPUs: 1}
	if code.Memory != nil {
		none.Tables = make([]int, len(code.Memory.Tables))
	}
	own, _, err := t.write(0, none)
	if err != nil {
		fmt.Fprintf(w, "bpf:     none: %v\n", err)
		return nil
	}
	when := "before the record has its place in the ring"
	if code.Late {
		when = "on the record in the ring"
	}
	fmt.Fprintf(w, "bpf:     %d instructions, %s\n%s", own.Size()/asm.InstructionSize, when, indented(fmt.Sprintf("%v", own)))
	return t.verify(w)
}
