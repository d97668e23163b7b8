package perfev

import "encoding/binary"

// layout is which parts the samples have beside the time and the raw data.
type layout struct {
	// chain: PERF_SAMPLE_CALLCHAIN. regs: so many registers of PERF_SAMPLE_REGS_USER,
	// with them PERF_SAMPLE_STACK_USER. cgroup: PERF_SAMPLE_CGROUP.
	chain, cgroup bool
	regs          int
}

// lean reports whether the samples are as [sampleRaw] takes them.
func (l layout) lean() bool { return l == layout{} }

// sampleView is a sample of more than the time and the raw data. It points into the record.
type sampleView struct {
	// chain are the words of the call chain, raw the tracepoint's data.
	chain, raw []byte
	// regs are the registers of the process, none for a task that has no user mode;
	// stack is what was copied from its stack pointer on.
	regs, stack []byte
	// abi is what the registers are of: enum perf_sample_regs_abi, 0 none, 1 32-bit, 2 64-bit.
	abi    uint64
	cgroup uint64
}

// decode reads a whole sample record in the kernel's order (perf_output_sample,
// kernel/events/core.c):
//
//	header; u64 time; u64 nr, ips[nr]; u32 size; char raw[size];
//	u64 abi, regs[]; u64 size; char stack[size]; u64 dyn_size; u64 cgroup;
//
// ok is false where the sizes contradict each other.
func (l layout) decode(rec []byte) (v sampleView, ok bool) {
	if len(rec) < headerSize+8 {
		return v, false
	}
	b := rec[headerSize+8:]
	if l.chain {
		n, rest, ok := word(b)
		if !ok || n > uint64(len(rest)/8) {
			return v, false
		}
		v.chain, b = rest[:n*8:n*8], rest[n*8:]
	}
	if len(b) < 4 {
		return v, false
	}
	// size and data together are padded to 8 bytes, and the size says so.
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-4) {
		return v, false
	}
	v.raw, b = b[4:4+n:4+n], b[4+n:]
	if l.regs > 0 {
		if b, ok = v.user(b, l.regs); !ok {
			return v, false
		}
	}
	if l.cgroup {
		if v.cgroup, b, ok = word(b); !ok {
			return v, false
		}
	}
	return v, len(b) == 0
}

// user reads registers and stack and returns what follows.
func (v *sampleView) user(b []byte, regs int) (rest []byte, ok bool) {
	if v.abi, b, ok = word(b); !ok {
		return nil, false
	}
	if v.abi != 0 {
		if len(b) < regs*8 {
			return nil, false
		}
		v.regs, b = b[:regs*8:regs*8], b[regs*8:]
	}
	size, b, ok := word(b)
	if !ok || size > uint64(len(b)) {
		return nil, false
	}
	if size == 0 {
		return b, true // and no dyn_size
	}
	stack := b[:size:size]
	// dyn_size is how much of it was really copied.
	dyn, b, ok := word(b[size:])
	if !ok || dyn > size {
		return nil, false
	}
	v.stack = stack[:dyn:dyn]
	return b, true
}

// word takes a u64 off the front of b.
func word(b []byte) (w uint64, rest []byte, ok bool) {
	if len(b) < 8 {
		return 0, nil, false
	}
	return binary.LittleEndian.Uint64(b), b[8:], true
}
