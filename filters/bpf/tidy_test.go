package bpf

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// listing is code in short: labels, and where jumps go.
func listing(c *Code) string {
	var b strings.Builder
	for _, in := range c.Out {
		if s := in.Symbol(); s != "" {
			b.WriteString(s + ": ")
		}
		switch {
		case in.Reference() != "":
			fmt.Fprintf(&b, "%v %s; ", in.OpCode.JumpOp(), in.Reference())
		default:
			fmt.Fprintf(&b, "%v; ", in)
		}
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestTidy(t *testing.T) {
	mov := func(v int32) asm.Instruction { return asm.Mov.Imm(asm.R0, v) }
	for _, tt := range []struct {
		name string
		make func(c *Code)
		want string
	}{
		{"a jump to a jump", func(c *Code) {
			c.Add(asm.JEq.Imm(asm.R0, 1, "a"), mov(1))
			c.Mark("a")
			c.Jump("b")
			c.Add(mov(2))
			c.Mark("b")
			c.Add(asm.Return())
		}, "JEq b; MovImm dst: r0 imm: 1; a: Ja b; MovImm dst: r0 imm: 2; b: Exit"},
		{"a jump to what comes next", func(c *Code) {
			c.Jump("b")
			c.Out = append(c.Out, asm.Return().WithSymbol("b"))
		}, "b: Exit"},
		{"a jump around a jump", func(c *Code) {
			c.Add(asm.JGT.Imm(asm.R0, 1, "in"))
			c.Jump("out")
			c.Mark("in")
			c.Add(mov(1))
			c.Mark("out")
			c.Add(asm.Return())
		}, "JLE out; in: MovImm dst: r0 imm: 1; out: Exit"},
		{"two labels of one place", func(c *Code) {
			c.Add(asm.JEq.Imm(asm.R0, 1, "b"), asm.JEq.Imm(asm.R0, 2, "a"), mov(1))
			c.Mark("a")
			c.Mark("b")
			c.Add(asm.Return())
		}, "JEq a; JEq a; MovImm dst: r0 imm: 1; a: Exit"},
		{"a loop of nothing", func(c *Code) {
			c.Mark("a")
			c.Jump("b")
			c.Add(mov(1))
			c.Mark("b")
			c.Jump("a")
		}, "a: Ja b; MovImm dst: r0 imm: 1; b: Ja a"},
		{"a load of what was just stored", func(c *Code) {
			c.Add(asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord), asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord), asm.Return())
		}, "StXMemDW dst: rfp src: r0 off: -8 imm: 0; Exit"},
		{"the same behind a label", func(c *Code) {
			c.Add(asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord))
			c.Mark("a")
			c.Add(asm.LoadMem(asm.R0, asm.RFP, -8, asm.DWord), asm.Return())
		}, "StXMemDW dst: rfp src: r0 off: -8 imm: 0; a: LdXMemDW dst: r0 src: rfp off: -8 imm: 0; Exit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Code
			tt.make(&c)
			for range 10 {
				if !c.Tidy() {
					break
				}
			}
			if c.Tidy() {
				t.Error("there is no end to what there is to tidy up")
			}
			if got := listing(&c); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
