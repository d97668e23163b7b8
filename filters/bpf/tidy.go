package bpf

import "github.com/cilium/ebpf/asm"

// Tidy makes the jumps of c the shortest way: none to a jump, none to what comes next,
// none over another. What no way leads to any more stays; [Prune] of perfev/bpf takes
// it out, and Tidy is worth another call behind it. It reports whether it changed
// anything.
func (c *Code) Tidy() bool {
	return c.join() || c.thread() || c.short()
}

// join gives the references to a label of a place that has another the one that it has.
func (c *Code) join() bool {
	if len(c.alias) == 0 {
		return false
	}
	for i := range c.Out {
		ref := c.Out[i].Reference()
		if ref == "" {
			continue
		}
		to, ok := c.alias[ref]
		for ok {
			ref = to
			to, ok = c.alias[ref]
		}
		c.Out[i] = c.Out[i].WithReference(ref)
	}
	c.alias = nil
	return true
}

// places are the instructions that have labels.
func (c *Code) places() map[string]int {
	at := make(map[string]int)
	for i := range c.Out {
		if s := c.Out[i].Symbol(); s != "" {
			at[s] = i
		}
	}
	return at
}

// thread has jumps to a jump go where that goes.
func (c *Code) thread() bool {
	at, changed := c.places(), false
	for i := range c.Out {
		in := &c.Out[i]
		if !in.OpCode.Class().IsJump() {
			continue
		}
		ref := in.Reference()
		// A loop of nothing but jumps has no end to find.
		for range 16 {
			j, ok := at[ref]
			if !ok || ref == "" || !always(&c.Out[j]) || c.Out[j].Reference() == ref {
				break
			}
			ref = c.Out[j].Reference()
		}
		if ref != in.Reference() {
			c.Out[i], changed = in.WithReference(ref), true
		}
	}
	return changed
}

// short takes out the jumps to what comes next, and those that a jump leads around.
func (c *Code) short() bool {
	at, changed := c.places(), false
	out := make(asm.Instructions, 0, len(c.Out))
	symbol := ""
	for i := 0; i < len(c.Out); i++ {
		in := c.Out[i]
		if to, ok := at[in.Reference()]; ok && always(&in) && to == i+1 {
			changed = true
			symbol = c.same(symbol, in.Symbol())
			continue
		}
		if symbol != "" {
			in = in.WithSymbol(c.same(in.Symbol(), symbol))
			symbol = ""
		}
		if i+1 < len(c.Out) && always(&c.Out[i+1]) && c.Out[i+1].Symbol() == "" {
			not, ok := inverse(in.OpCode.JumpOp())
			if to, known := at[in.Reference()]; in.OpCode.Class().IsJump() && in.Reference() != "" && ok && known && to == i+2 {
				in.OpCode = in.OpCode.SetJumpOp(not)
				in = in.WithReference(c.Out[i+1].Reference())
				i++
				changed = true
			}
		}
		out = append(out, in)
	}
	c.symbol = c.same(c.symbol, symbol)
	c.Out = out
	return changed
}

// same has two labels name one place, and returns the one that it has.
func (c *Code) same(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || a == b:
		return a
	}
	if c.alias == nil {
		c.alias = make(map[string]string)
	}
	c.alias[b] = a
	return a
}

// always reports whether in is a jump that is always made.
func always(in *asm.Instruction) bool {
	return in.OpCode.Class() == asm.JumpClass && in.OpCode.JumpOp() == asm.Ja
}
