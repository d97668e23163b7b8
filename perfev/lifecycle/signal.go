package lifecycle

import "github.com/perfpipe/perfpipe"

// Numbers of signals that are the same on x86-64, arm64, riscv and s390x:
// include/uapi/asm-generic/signal.h.
const (
	sigKill = 9
	sigMax  = 64
)

// signalSymbols are the names of the signals below the real-time ones.
func signalSymbols() []perfpipe.Symbol {
	out := symbols(1, "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT",
		"CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS")
	for i := range out {
		out[i].Name = "SIG" + out[i].Name
	}
	return out
}

// dumps reports whether the signal's default is to dump core:
// SIG_KERNEL_COREDUMP_MASK of include/linux/signal.h.
func dumps(sig int32) bool {
	switch sig {
	case 3, 4, 5, 6, 7, 8, 11, 24, 25, 31:
		return true
	}
	return false
}

// ends reports whether the signal's default is to end the process, with a core or without.
func ends(sig int32) bool {
	switch sig {
	case 17, 18, 23, 28: // SIG_KERNEL_IGNORE_MASK: CHLD CONT URG WINCH
		return false
	case 19, 20, 21, 22: // SIG_KERNEL_STOP_MASK: STOP TSTP TTIN TTOU
		return false
	}
	return sig >= 1 && sig <= sigMax
}
