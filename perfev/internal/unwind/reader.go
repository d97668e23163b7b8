package unwind

import "encoding/binary"

// reader takes numbers off the front of bytes. After one that is not there it is
// bad, and gives zeroes.
type reader struct {
	b []byte
	// at is the address of b[0].
	at  uint64
	bad bool
}

// next takes n bytes, nil where there are fewer.
func (r *reader) next(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n:n]
	r.b, r.at = r.b[n:], r.at+n
	return b
}

func (r *reader) u8() uint8 {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.next(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.next(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.next(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// uleb takes a ULEB128 number; bits beyond the 64th are dropped.
func (r *reader) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		c := r.u8()
		if shift < 64 {
			v |= uint64(c&0x7f) << shift
		}
		if c&0x80 == 0 {
			return v
		}
	}
}

// sleb takes a SLEB128 number.
func (r *reader) sleb() int64 {
	var v int64
	for shift := uint(0); ; shift += 7 {
		c := r.u8()
		if shift < 64 {
			v |= int64(c&0x7f) << shift
		}
		if c&0x80 != 0 {
			continue
		}
		if c&0x40 != 0 && shift+7 < 64 {
			v |= -1 << (shift + 7)
		}
		return v
	}
}

// text takes bytes up to a NUL.
func (r *reader) text() string {
	for i, c := range r.b {
		if c == 0 {
			s := string(r.b[:i])
			r.next(uint64(i) + 1)
			return s
		}
	}
	r.next(uint64(len(r.b)) + 1)
	return ""
}

// pointer takes a pointer encoded as enc says (DW_EH_PE_*, Linux Standard Base,
// Core, "DWARF Extensions"). ok is false for encodings that .eh_frame does not have
// in practice.
func (r *reader) pointer(enc uint8) (v uint64, ok bool) {
	const omit, pcRel = 0xff, 0x10
	if enc == omit {
		return 0, true
	}
	at := r.at
	switch enc & 0x0f {
	case 0x00, 0x04, 0x0c:
		v = r.u64()
	case 0x01:
		v = r.uleb()
	case 0x02:
		v = uint64(r.u16())
	case 0x03:
		v = uint64(r.u32())
	case 0x09:
		v = uint64(r.sleb())
	case 0x0a:
		v = uint64(int16(r.u16()))
	case 0x0b:
		v = uint64(int32(r.u32()))
	default:
		return 0, false
	}
	switch enc & 0x70 {
	case 0:
	case pcRel:
		v += at
	default:
		return 0, false
	}
	return v, !r.bad
}
