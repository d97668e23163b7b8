package bpf

import "github.com/cilium/ebpf/asm"

// Set is the bytes of a set.
type Set [256]bool

// Segment is what so many bytes are: each one of its set.
type Segment []Set

// Literal is the segment that s alone matches.
func Literal(s []byte) Segment {
	out := make(Segment, len(s))
	for i, c := range s {
		out[i][c] = true
	}
	return out
}

// only is the byte of a set of one.
func (s *Set) only() (c byte, ok bool) {
	n := 0
	for i, in := range s {
		if in {
			c = byte(i)
			n++
		}
	}
	return c, n == 1
}

// spans are the ranges of s.
func (s *Set) spans() [][2]uint64 {
	var out [][2]uint64
	for i, in := range s {
		switch {
		case !in:
		case i > 0 && s[i-1]:
			out[len(out)-1][1] = uint64(i)
		default:
			out = append(out, [2]uint64{uint64(i), uint64(i)})
		}
	}
	return out
}

// Match goes to differ where the bytes at an offset from base, which is none of R0 to
// R2, are not those of s. Memory that is aligned is read at multiples of the size alone.
// It changes R0, R1 and R2.
func (c *Code) Match(base asm.Register, offset int, s Segment, aligned Flag, differ string) {
	var run []byte
	flush := func(end int) {
		c.equal(base, offset+end-len(run), run, aligned, differ)
		run = nil
	}
	for i := range s {
		if b, ok := s[i].only(); ok {
			run = append(run, b)
			continue
		}
		flush(i)
		next := c.Label()
		c.Add(asm.LoadMem(asm.R0, base, int16(offset+i), asm.Byte))
		c.Ranges(s[i].spans(), Domain{Hi: 255}, Target{True: next, False: differ, Next: next})
		c.Mark(next)
	}
	flush(len(s))
}

// equal goes to differ where the bytes at an offset from base are not b.
func (c *Code) equal(base asm.Register, offset int, b []byte, aligned Flag, differ string) {
	for len(b) > 0 {
		n := 8
		for n > len(b) || bool(aligned) && offset%n != 0 {
			n /= 2
		}
		var v uint64
		for i := range n {
			v |= uint64(b[i]) << (8 * i)
		}
		c.Add(asm.LoadMem(asm.R0, base, int16(offset), Size(n)))
		if fits(v) {
			c.Add(asm.JNE.Imm(asm.R0, int32(int64(v)), differ))
		} else {
			c.Const(asm.R1, v)
			c.Add(asm.JNE.Reg(asm.R0, asm.R1, differ))
		}
		offset, b = offset+n, b[n:]
	}
}

// Size is the size of an access to n bytes.
func Size(n int) asm.Size {
	switch n {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	case 4:
		return asm.Word
	}
	return asm.DWord
}

// Fill writes b to where base points.
func (c *Code) Fill(base asm.Register, b []byte) {
	for at := 0; at < len(b); {
		n := 4
		for n > len(b)-at {
			n /= 2
		}
		var v uint64
		for i := range n {
			v |= uint64(b[at+i]) << (8 * i)
		}
		c.Add(asm.Instruction{OpCode: asm.StoreImmOp(Size(n)), Dst: base, Offset: int16(at), Constant: int64(int32(uint32(v)))})
		at += n
	}
}
