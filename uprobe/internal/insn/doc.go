// Package insn finds the beginnings of x86-64 instructions in a function: where a
// probe may stand, and where the function returns.
//
// It knows lengths and the few instructions that leave a function, and decodes by
// opcode maps of its own (Intel SDM, volume 2, appendix A): golang.org/x/arch does
// not know VEX, EVEX and what came after, of which libc's and libm's functions are
// full. One unknown instruction would lose the rest of a function.
package insn

import (
	"debug/elf"
	"fmt"
)

// Supported returns nil for the machine whose instructions are known, x86-64, else an
// error that says so.
func Supported(m elf.Machine) error {
	if m == elf.EM_X86_64 {
		return nil
	}
	return fmt.Errorf("decode instructions of %s: x86-64 alone is known, and no probe is put where it cannot be checked", m)
}
