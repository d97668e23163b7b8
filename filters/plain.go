package filters

import "encoding/binary"

// maxPlain is how many tests are all made, and the verdict looked up by which of them
// hold. That varies from record to record, so that a jump after each test is guessed wrong
// every other time, which costs more than a test; with more of them the tests that need
// not be made cost more than that.
const maxPlain = 4

// plain is a test of a value in place that cannot fault on a record of the program's least
// length. All kinds of them are one computation without a branch: of the 8 bytes at off,
//
//	(bytes << left >> right) & mask - lo <= len
//
// where the shifts, the second one by the sign, take the value out of them.
type plain struct {
	off         int32
	left, right uint8
	mask        uint64
	lo, len     uint64
}

// newPlain makes the test of in, false where it is none of these. size is the least
// length of a record.
func newPlain(in *instr, size int) (plain, bool) {
	p := plain{mask: ^uint64(0), lo: in.lo, len: in.len}
	width := opcode(3) // 8 bytes
	switch {
	case in.op <= iRangeS32:
		width = in.op - iRangeU8
	case in.op <= iMaskS32:
		// Some bit of lo is set: what is left under it, less one, is not the greatest number.
		width = in.op - iMaskU8
		p.mask, p.lo, p.len = in.lo, 1, ^uint64(0)-1
	case in.op == iText8:
		p.mask, p.len = in.len, 0
	default:
		return p, false
	}
	n := [...]int{1, 2, 4, 8, 1, 2, 4}[width]
	if size < 8 || in.off < 0 || int(in.off) > size-n {
		return p, false
	}
	off := min(int(in.off), size-8)
	behind := 8 - n - (int(in.off) - off) // bytes above the value
	p.off, p.left, p.right = int32(off), uint8(8*behind), uint8(64-8*n)
	if width < 3 {
		p.mask &= 1<<(8*n) - 1 // without a sign
	}
	return p, true
}

// flatten makes p.plain and p.truth of a program of few plain tests.
func (p *Program) flatten() {
	n := len(p.code)
	if !p.simple || n > maxPlain {
		return
	}
	tests := make([]plain, n)
	for i := range p.code {
		var ok bool
		if tests[i], ok = newPlain(&p.code[i], p.min); !ok {
			return
		}
	}
	// Bit h of truth is the verdict where the tests that hold are those of the bits of h.
	truth := uint32(0)
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
			truth |= 1 << h
		}
	}
	p.plain, p.truth = tests, truth
}

// all makes all tests on the raw data of a record that is long enough for them.
func all(tests []plain, truth uint32, raw []byte) bool {
	h := uint32(0)
	for i := range tests {
		t := &tests[i]
		at := int(t.off)
		w := binary.LittleEndian.Uint64(raw[at : at+8 : at+8])
		v := uint64(int64(w<<(t.left&63))>>(t.right&63)) & t.mask
		bit := uint32(0)
		if v-t.lo <= t.len {
			bit = 1
		}
		h |= bit << (i & 31)
	}
	return truth>>(h&31)&1 != 0
}
