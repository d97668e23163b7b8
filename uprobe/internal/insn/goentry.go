package insn

import "bytes"

// stackCheck is how Go's functions compare the stack pointer, or r12 where the frame
// is large, with the goroutine's limit: cmp 0x10(%r14), %rsp or %r12 (cmd/internal/obj/x86,
// stacksplit).
var stackChecks = [][]byte{{0x49, 0x3b, 0x66, 0x10}, {0x4d, 0x3b, 0x66, 0x10}}

// GoEntry returns where a probe fires once for each call of a function that Go
// compiled: behind the check of the stack's size. Where that fails, the function makes
// room and begins again, and a probe at its first instruction would fire twice. No
// argument's register is changed before. Without such a check it is [EntryOffset].
func GoEntry(code []byte) uint64 {
	const most = 6 // instructions that a check takes, with what prepares it
	entry := EntryOffset(code)
	n, checked := 0, false
	_ = each(code, func(off uint64, in inst) bool { // what cannot be decoded is no check
		n++
		b := code[off : off+uint64(in.len)]
		for _, c := range stackChecks {
			checked = checked || bytes.Equal(b, c)
		}
		if checked && in.kind == branch {
			entry = off + uint64(in.len)
			return false
		}
		return n < most && in.kind == next
	})
	return entry
}
