package usdt

import "strings"

// register is what a name of the assembler means to the kernel.
type register struct {
	// kernel is the name in regoffset_table of arch/x86/kernel/ptrace.c.
	kernel string
	size   int
	// high: bits 8 to 15 of it.
	high bool
}

// registers are the general registers of x86-64 and their parts by the assembler's names.
var registers = map[string]register{
	"rax": {"ax", 8, false}, "eax": {"ax", 4, false}, "ax": {"ax", 2, false}, "al": {"ax", 1, false}, "ah": {"ax", 1, true},
	"rbx": {"bx", 8, false}, "ebx": {"bx", 4, false}, "bx": {"bx", 2, false}, "bl": {"bx", 1, false}, "bh": {"bx", 1, true},
	"rcx": {"cx", 8, false}, "ecx": {"cx", 4, false}, "cx": {"cx", 2, false}, "cl": {"cx", 1, false}, "ch": {"cx", 1, true},
	"rdx": {"dx", 8, false}, "edx": {"dx", 4, false}, "dx": {"dx", 2, false}, "dl": {"dx", 1, false}, "dh": {"dx", 1, true},
	"rsi": {"si", 8, false}, "esi": {"si", 4, false}, "si": {"si", 2, false}, "sil": {"si", 1, false},
	"rdi": {"di", 8, false}, "edi": {"di", 4, false}, "di": {"di", 2, false}, "dil": {"di", 1, false},
	"rbp": {"bp", 8, false}, "ebp": {"bp", 4, false}, "bp": {"bp", 2, false}, "bpl": {"bp", 1, false},
	"rsp": {"sp", 8, false}, "esp": {"sp", 4, false}, "sp": {"sp", 2, false}, "spl": {"sp", 1, false},
	"r8": {"r8", 8, false}, "r8d": {"r8", 4, false}, "r8w": {"r8", 2, false}, "r8b": {"r8", 1, false},
	"r9": {"r9", 8, false}, "r9d": {"r9", 4, false}, "r9w": {"r9", 2, false}, "r9b": {"r9", 1, false},
	"r10": {"r10", 8, false}, "r10d": {"r10", 4, false}, "r10w": {"r10", 2, false}, "r10b": {"r10", 1, false},
	"r11": {"r11", 8, false}, "r11d": {"r11", 4, false}, "r11w": {"r11", 2, false}, "r11b": {"r11", 1, false},
	"r12": {"r12", 8, false}, "r12d": {"r12", 4, false}, "r12w": {"r12", 2, false}, "r12b": {"r12", 1, false},
	"r13": {"r13", 8, false}, "r13d": {"r13", 4, false}, "r13w": {"r13", 2, false}, "r13b": {"r13", 1, false},
	"r14": {"r14", 8, false}, "r14d": {"r14", 4, false}, "r14w": {"r14", 2, false}, "r14b": {"r14", 1, false},
	"r15": {"r15", 8, false}, "r15d": {"r15", 4, false}, "r15w": {"r15", 2, false}, "r15b": {"r15", 1, false},
}

// vectorReason returns why the value of a vector or x87 register cannot be had, "" for others.
func vectorReason(name string) string {
	for _, p := range [...]string{"xmm", "ymm", "zmm", "st", "mm", "k"} {
		if rest, ok := strings.CutPrefix(name, p); ok && strings.Trim(rest, "0123456789()") == "" {
			return "it is in vector register %" + name + ", which a probe does not see"
		}
	}
	return ""
}
