package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// code is a program as it is written.
type code struct {
	out asm.Instructions
	// symbol is the label of the next instruction.
	symbol string
	labels int
	// err is what a filter could not be written for.
	err error
}

func (c *code) add(list ...asm.Instruction) {
	for _, in := range list {
		if c.symbol != "" {
			in = in.WithSymbol(c.symbol)
			c.symbol = ""
		}
		c.out = append(c.out, in)
	}
}

// mark puts a label on what comes next.
func (c *code) mark(label string) {
	if c.symbol != "" {
		c.add(asm.Mov.Reg(context, context))
	}
	c.symbol = label
}

// label makes a name that no other has.
func (c *code) label(kind string) string {
	c.labels++
	return fmt.Sprintf("%s%d", kind, c.labels)
}
