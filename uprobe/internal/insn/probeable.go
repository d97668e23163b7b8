package insn

import "fmt"

// refused has a bit set for each opcode byte behind a VEX or EVEX prefix that the
// kernel takes no probe on. It looks the byte up as if it were an opcode of one byte
// (uprobe_init_insn, arch/x86/kernel/uprobes.c, Linux 6.18), where it refuses those
// that user code has no use for; so that vzeroupper (77) can be probed and vmovd (6e)
// cannot.
var refused = [256 / 64]uint64{
	0x00: bitsOf(0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x26, 0x27, 0x2e, 0x2f, 0x36, 0x37, 0x3e, 0x3f),
	0x01: bitsOf(0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f,
		0x60, 0x61, 0x62, 0x66, 0x67, 0x6c, 0x6d, 0x6e, 0x6f),
	0x02: bitsOf(0x82, 0x9a),
	0x03: bitsOf(0xc4, 0xc5, 0xcc, 0xcd, 0xce, 0xcf, 0xd4, 0xd5, 0xd6, 0xe4, 0xe5, 0xe6, 0xe7, 0xea, 0xec, 0xed, 0xee, 0xef,
		0xf0, 0xf1, 0xf4, 0xfa, 0xfb),
}

// bitsOf sets the bits of bytes that share their upper two bits.
func bitsOf(list ...byte) (m uint64) {
	for _, b := range list {
		m |= 1 << (b & 63)
	}
	return m
}

// RefusedError is an instruction that the kernel takes no probe on.
type RefusedError struct {
	// Off is where it begins, What how it is coded.
	Off  uint64
	What string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the kernel takes no probe on the instruction at +0x%x (%s)", e.Off, e.What)
}

// Probeable returns a [*RefusedError] where the kernel would refuse a probe on the
// instruction at off: where it is armed the kernel says no more than ENOTSUPP, and
// takes none of the places that go with it.
func Probeable(code []byte, off uint64) error {
	if off >= uint64(len(code)) {
		return nil
	}
	b := code[off:]
	for len(b) > 0 {
		switch c := b[0]; {
		case c == 0xf0:
			return &RefusedError{off, "a lock prefix"}
		case c == 0x26 || c == 0x2e || c == 0x36 || c == 0x3e:
			return &RefusedError{off, "a segment prefix"}
		case c == 0x66 || c == 0x67 || c == 0xf2 || c == 0xf3 || c >= 0x40 && c <= 0x4f || c == 0x64 || c == 0x65:
			b = b[1:]
			continue
		case c == 0xc5:
			return vector(b, 2, off)
		case c == 0xc4:
			return vector(b, 3, off)
		case c == 0x62:
			return vector(b, 4, off)
		case c == 0xcc || c == 0xcd || c == 0xf4 || c == 0xfa || c == 0xfb || c >= 0xe4 && c <= 0xe7 || c >= 0xec && c <= 0xef || c >= 0x6c && c <= 0x6f:
			return &RefusedError{off, "a privileged instruction or a trap"}
		}
		return nil
	}
	return nil
}

// vector looks at the opcode that stands at byte at of a VEX or EVEX instruction.
func vector(b []byte, at int, off uint64) error {
	if at >= len(b) {
		return nil
	}
	if op := b[at]; refused[op>>6]>>(op&63)&1 != 0 {
		return &RefusedError{off, "a vector instruction (VEX)"}
	}
	return nil
}
