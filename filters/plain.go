package filters

import "encoding/binary"

// maxPlain is how many tests are all made, and the verdict looked up by which of them
// hold. That varies from record to record, so that a jump after each test is guessed wrong
// every other time, which costs more than a test; with more of them the tests that need
// not be made cost more than that.
const maxPlain = 4

// plain is a test of a value in place that cannot fault on a record of the program's least
// length. All kinds of them are one computation without a branch: of the 8 bytes at off, as
// a number,
//
//	bytes & mask - lo <= len
//
// For a range the value is in the highest of the 8 bytes, so that the difference wraps
// where the value's own does, signed or not; what is below it adds less than 1 of it.
type plain struct {
	off           uint32
	mask, lo, len uint64
}

// flat is a program of few plain tests.
type flat struct {
	n     int // 0 where the program is none of these
	truth uint32
	tests [maxPlain]plain
}

// newPlain makes the test of in, false where it is none of these. size is the least
// length of a record.
func newPlain(in *instr, size int) (plain, bool) {
	p := plain{mask: ^uint64(0)}
	n, at := 8, int(in.off)
	switch {
	case in.op <= iMaskS32:
		n = [...]int{1, 2, 4, 8, 1, 2, 4}[(in.op-iRangeU8)%(iMaskU8-iRangeU8)]
		at += n - 8
	case in.op != iText8:
		return p, false
	}
	if at < 0 || at+8 > size {
		return p, false
	}
	below := 64 - 8*n // bits below the value
	p.off = uint32(at)
	switch {
	case in.op <= iRangeS32:
		p.lo, p.len = in.lo<<below, in.len<<below|(1<<below-1)
	case in.op <= iMaskS32:
		p.mask, p.lo, p.len = maskAt(in, n)<<below, 1, ^uint64(0)-1
	default:
		p.mask, p.lo, p.len = in.len, in.lo, 0
	}
	return p, true
}

// maskAt is the mask of a test, of the n bytes of its value: bits above them are those of the sign.
func maskAt(in *instr, n int) uint64 {
	sign := uint64(1) << (8*n - 1)
	if in.op >= iMaskS8 && in.lo&^(2*sign-1) != 0 {
		return in.lo&(sign-1) | sign
	}
	return in.lo & (2*sign - 1)
}

// flatten makes p.flat of a program of few plain tests.
func (p *Program) flatten() {
	n := len(p.code)
	if !p.simple || n > maxPlain {
		return
	}
	f := flat{n: n}
	for i := range p.code {
		var ok bool
		if f.tests[i], ok = newPlain(&p.code[i], p.min); !ok {
			return
		}
	}
	// Bit h of truth is the verdict where the tests that hold are those of the bits of h.
	for h := range 1 << n {
		pc := int32(0)
		for pc >= 0 && int(pc) < n {
			if h>>pc&1 != 0 {
				pc = p.code[pc].t
			} else {
				pc = p.code[pc].f
			}
		}
		if pc == toTrue {
			f.truth |= 1 << h
		}
	}
	p.flat = f
}

// all makes all tests on the raw data of a record that is long enough for them.
func (f *flat) all(raw []byte) bool {
	h := f.tests[0].bit(raw)
	if f.n > 1 {
		h |= f.tests[1].bit(raw) << 1
		if f.n > 2 {
			h |= f.tests[2].bit(raw) << 2
			if f.n > 3 {
				h |= f.tests[3].bit(raw) << 3
			}
		}
	}
	return f.truth>>(h&31)&1 != 0
}

// bit is 1 where the test holds.
func (t *plain) bit(raw []byte) uint32 {
	at := int(t.off)
	if binary.LittleEndian.Uint64(raw[at:at+8:at+8])&t.mask-t.lo <= t.len {
		return 1
	}
	return 0
}
