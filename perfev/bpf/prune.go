package bpf

import "github.com/cilium/ebpf/asm"

// Prune leaves out the instructions that no way leads to: the verifier takes none. It
// keeps what is referred to in any way, functions for instance.
func Prune(list asm.Instructions) asm.Instructions {
	at := make(map[string]int)
	for i := range list {
		if s := list[i].Symbol(); s != "" {
			at[s] = i
		}
	}
	reached := make([]bool, len(list))
	todo := []int{0}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for ; i < len(list) && !reached[i]; i++ {
			reached[i] = true
			in := &list[i]
			if to, ok := at[in.Reference()]; ok && in.Reference() != "" {
				todo = append(todo, to)
			}
			if in.OpCode.Class().IsJump() && (in.OpCode.JumpOp() == asm.Ja || in.OpCode.JumpOp() == asm.Exit) {
				break
			}
		}
	}
	var out asm.Instructions
	for i := range list {
		if reached[i] {
			out = append(out, list[i])
		}
	}
	return out
}
