package parquet

import (
	"encoding/binary"
	"math/bits"

	"github.com/perfpipe/perfpipe"
)

// leaf is a run of values of one column: those of a batch in place, or those
// that wait in the column for their page.
type leaf struct {
	// data holds the values as a batch does; for strings all that offs points into.
	data []byte
	// offs are n+1 offsets into data, nil where values have a fixed width.
	offs []int32
	n    int
}

// narrow reads integers of up to 4 bytes into dst, widened by their sign.
func narrow(dst []int32, data []byte, t perfpipe.Type) []int32 {
	switch t {
	case perfpipe.TypeInt8:
		for _, b := range data {
			dst = append(dst, int32(int8(b)))
		}
	case perfpipe.TypeUint8, perfpipe.TypeBool:
		for _, b := range data {
			dst = append(dst, int32(b))
		}
	case perfpipe.TypeInt16:
		for ; len(data) >= 2; data = data[2:] {
			dst = append(dst, int32(int16(binary.LittleEndian.Uint16(data))))
		}
	case perfpipe.TypeUint16:
		for ; len(data) >= 2; data = data[2:] {
			dst = append(dst, int32(binary.LittleEndian.Uint16(data)))
		}
	default:
		n := len(data) / 4
		if cap(dst) < n {
			dst = make([]int32, n)
		}
		dst = dst[:n]
		for i := range dst {
			dst[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
		}
	}
	return dst
}

// wide reads integers of 8 bytes into dst.
func wide(dst []int64, data []byte) []int64 {
	n := len(data) / 8
	if cap(dst) < n {
		dst = make([]int64, n)
	}
	dst = dst[:n]
	for i := range dst {
		dst[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return dst
}

// bounds are the least and the greatest of some values, as Parquet's statistics
// write them: integers in the width of the physical type, compared by the sign of
// the logical one; strings as they are, compared byte by byte.
type bounds struct {
	min, max []byte
	ok       bool
}

// maxBoundText is the longest string that is kept as a bound. Longer ones would
// blow up the footer; a column that holds one has no bounds on that page.
const maxBoundText = 64

func intBounds32(v []int32, signed bool) bounds {
	lo, hi := v[0], v[0]
	if signed {
		for _, x := range v {
			lo, hi = min(lo, x), max(hi, x)
		}
	} else {
		a, b := uint32(lo), uint32(hi)
		for _, x := range v {
			a, b = min(a, uint32(x)), max(b, uint32(x))
		}
		lo, hi = int32(a), int32(b)
	}
	return bounds32(lo, hi)
}

func bounds32(lo, hi int32) bounds {
	return bounds{binary.LittleEndian.AppendUint32(nil, uint32(lo)), binary.LittleEndian.AppendUint32(nil, uint32(hi)), true}
}

func bounds64(lo, hi int64) bounds {
	return bounds{binary.LittleEndian.AppendUint64(nil, uint64(lo)), binary.LittleEndian.AppendUint64(nil, uint64(hi)), true}
}

func intBounds64(v []int64, signed bool) bounds {
	lo, hi := v[0], v[0]
	if signed {
		for _, x := range v {
			lo, hi = min(lo, x), max(hi, x)
		}
	} else {
		a, b := uint64(lo), uint64(hi)
		for _, x := range v {
			a, b = min(a, uint64(x)), max(b, uint64(x))
		}
		lo, hi = int64(a), int64(b)
	}
	return bounds64(lo, hi)
}

// compare orders two bounds of a column.
func (c *column) compare(a, b []byte) int {
	var x, y uint64
	switch len(a) {
	case 1, 4, 8:
		if c.typ != perfpipe.TypeString {
			x, _ = perfpipe.LoadInt(a, c.typ.Signed())
			y, _ = perfpipe.LoadInt(b, c.typ.Signed())
			if c.typ.Signed() {
				x, y = x^1<<63, y^1<<63
			}
			break
		}
		fallthrough
	default:
		switch as, bs := string(a), string(b); {
		case as < bs:
			return -1
		case as > bs:
			return 1
		}
		return 0
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// fewOf reports whether a sample of data, integers of width bytes, holds so few
// different values that a dictionary pays: at most one in eight of 256 taken evenly
// from all of them.
func fewOf(data []byte, width int) bool {
	const sample, few = 256, 32
	n := len(data) / width
	if n < 16 {
		return false
	}
	var table [2 * sample]uint64
	var full [2 * sample]bool
	step, seen, distinct := max(1, n/sample), 0, 0
	for i := 0; i < n && seen < sample; i += step {
		seen++
		x := pattern(data, i, width)
		h := hashInt(x) % (2 * sample)
		for full[h] && table[h] != x {
			h = (h + 1) % (2 * sample)
		}
		if !full[h] {
			full[h], table[h] = true, x
			if distinct++; distinct > few {
				return false
			}
		}
	}
	return distinct <= max(1, seen/8)
}

// deltaPays reports whether the differences of neighbours take at most five
// eighths of the bits of the values themselves, on three samples of a block each.
func deltaPays[T int32 | int64](v []T, width int) bool {
	const block = 128
	if len(v) < 8 {
		return false
	}
	sum, n := 0, 0
	for _, from := range [...]int{0, len(v) / 2, len(v) - block} {
		s := v[max(0, from):min(len(v), max(0, from)+block)]
		if len(s) < 2 {
			continue
		}
		lo, hi := s[1]-s[0], s[1]-s[0]
		for i := 1; i < len(s); i++ {
			d := s[i] - s[i-1]
			lo, hi = min(lo, d), max(hi, d)
		}
		if width == 4 {
			sum += bits.Len32(uint32(hi) - uint32(lo))
		} else {
			sum += bits.Len64(uint64(hi) - uint64(lo))
		}
		n++
	}
	return sum*8 <= n*width*8*5
}
