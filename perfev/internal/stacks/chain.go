// Package stacks gives call chains and the places in them their numbers, and tells
// of each the first time that it is seen.
package stacks

import "encoding/binary"

// Context markers of PERF_SAMPLE_CALLCHAIN: enum perf_callchain_context,
// include/uapi/linux/perf_event.h. Every word from contextMax on is one.
const (
	contextKernel = ^uint64(0) - 128 + 1
	contextUser   = ^uint64(0) - 512 + 1
	contextMax    = ^uint64(0) - 4095 + 1
)

// contextSize is how many words of a chain are looked at, markers included: the
// most that a record of 64 KiB can hold.
const contextSize = 1 << 13

// ip is one address of a chain.
type ip struct {
	addr uint64
	// look is the address whose place is meant: a caller's address is the one that
	// it will return to, which may be in the next line, and after a call that never
	// returns in the next function.
	look uint64
	user bool
}

// appendIPs appends the addresses of a chain, u64s as they stand in the record, to
// to. Those of contexts that are neither the kernel's nor the process's (a guest's,
// the hypervisor's) are left out, and so are zeroes.
func appendIPs(to []ip, raw []byte) []ip {
	known, user, first := false, false, true
	for n := 0; len(raw) >= 8 && n < contextSize; raw, n = raw[8:], n+1 {
		a := binary.LittleEndian.Uint64(raw)
		if a >= contextMax {
			known, user, first = a == contextKernel || a == contextUser, a == contextUser, true
			continue
		}
		if !known || a == 0 {
			continue
		}
		p := ip{addr: a, look: a, user: user}
		if !first {
			p.look--
		}
		first = false
		to = append(to, p)
	}
	return to
}
