package bpf

import (
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Prune leaves out the instructions that no way leads to: the verifier takes none. It
// keeps what is referred to in any way, functions for instance, and puts these behind
// the program, wherever they stood. A function begins with its [btf.Func] and ends with
// the only instruction by which it returns.
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
	var out, functions asm.Instructions
	within := false
	for i := range list {
		if !reached[i] {
			continue
		}
		within = within || i > 0 && btf.FuncMetadata(&list[i]) != nil
		if !within {
			out = append(out, list[i])
			continue
		}
		functions = append(functions, list[i])
		within = list[i].OpCode.JumpOp() != asm.Exit || !list[i].OpCode.Class().IsJump()
	}
	if len(functions) > 0 && btf.FuncMetadata(&out[0]) == nil {
		out[0] = btf.WithFuncMetadata(out[0], mainFunction())
	}
	return append(out, functions...)
}

// mainFunction describes the program to the kernel, which wants that of every function
// where it wants it of one.
func mainFunction() *btf.Func {
	return &btf.Func{Name: "main", Linkage: btf.StaticFunc, Type: &btf.FuncProto{
		Return: &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed},
		Params: []btf.FuncParam{{Name: "context", Type: &btf.Pointer{Target: &btf.Void{}}}},
	}}
}
