package parquet

import (
	"bytes"
	"encoding/binary"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// encodeInts encodes integers: by dictionary while that is small, else as differences
// where these are narrow, else as they are.
func (c *column) encodeInts(s *Scratch, l leaf, period int, p *page) ([]byte, format.Encoding, error) {
	data := l.data[:l.n*c.width]
	if c.mode == modeUnset {
		c.mode = c.choose(data)
	}
	if c.mode == modeDict {
		if body, ok, err := c.dictInts(s, data, period, p); ok || err != nil {
			return body, format.RLEDictionary, err
		}
		c.mode = modeFree
	}
	if c.phys == format.Int64 {
		return c.longs(s, data, p)
	}
	s.i32 = narrow(s.i32[:0], data, c.typ)
	if c.maxRep == 0 {
		p.bounds = intBounds32(s.i32, c.typ.Signed())
	}
	if c.mode == modeDelta || deltaPays(s.i32, 4) {
		var err error
		var e delta.BinaryPackedEncoding
		s.enc, err = e.EncodeInt32(s.enc[:0], s.i32)
		return s.join(s.enc), format.DeltaBinaryPacked, err
	}
	if c.width == 4 {
		return s.join(data), format.Plain, nil
	}
	for _, x := range s.i32 {
		s.body = binary.LittleEndian.AppendUint32(s.body, uint32(x))
	}
	return s.body, format.Plain, nil
}

// longs encodes integers of 8 bytes, without a dictionary.
func (c *column) longs(s *Scratch, data []byte, p *page) ([]byte, format.Encoding, error) {
	s.i64 = wide(s.i64, data)
	if c.def.Hint == perfpipe.HintSorted && c.maxRep == 0 {
		p.bounds = c.inOrder(s.i64)
	} else if c.maxRep == 0 {
		p.bounds = intBounds64(s.i64, c.typ.Signed())
	}
	if c.mode == modeDelta || deltaPays(s.i64, 8) {
		var err error
		var e delta.BinaryPackedEncoding
		s.enc, err = e.EncodeInt64(s.enc[:0], s.i64)
		return s.join(s.enc), format.DeltaBinaryPacked, err
	}
	return s.join(data), format.Plain, nil
}

// inOrder returns the bounds of values that should go up, and notes where they do not.
func (c *column) inOrder(v []int64) bounds {
	first, last := v[0], v[len(v)-1]
	prev, falls := first, int64(0)
	for _, x := range v {
		falls |= x | (x - prev) // of numbers that are not negative the difference is right
		prev = x
	}
	rising := falls >= 0 || ascending(v)
	if c.values > 0 && first < c.last || !rising {
		c.unsorted = true
	}
	if c.begun && first < c.last || !rising {
		c.disordered = true
	}
	c.begun, c.last = true, last
	if rising {
		return bounds64(first, last)
	}
	return intBounds64(v, true)
}

func ascending(v []int64) bool {
	for i := 1; i < len(v); i++ {
		if v[i] < v[i-1] {
			return false
		}
	}
	return true
}

// choose says how the pages of a chunk that begins with data are to be encoded.
func (c *column) choose(data []byte) mode {
	switch {
	case c.def.Hint == perfpipe.HintSorted, c.typ == perfpipe.TypeTimestamp:
		return modeDelta
	case c.def.Hint == perfpipe.HintFew, fewOf(data, c.width):
		return modeDict
	}
	return modeFree
}

// pattern reads value i of width bytes as a 64-bit pattern. Values of the same type are
// equal where their patterns are.
func pattern(data []byte, i, width int) uint64 {
	switch width {
	case 8:
		return binary.LittleEndian.Uint64(data[8*i:])
	case 4:
		return uint64(binary.LittleEndian.Uint32(data[4*i:]))
	case 2:
		return uint64(binary.LittleEndian.Uint16(data[2*i:]))
	}
	return uint64(data[i])
}

// dictInts encodes data as indices; ok is false, and the dictionary as it was, where
// it would grow beyond its bound or beyond its use.
func (c *column) dictInts(s *Scratch, data []byte, period int, p *page) (body []byte, ok bool, err error) {
	d := &c.dict
	before, w := d.len(), c.width
	n := len(data) / w
	d.mark = uint32(len(c.pages) + 1)
	row := min(period, n)
	repeats := n > row && bytes.Equal(data[row*w:], data[:(n-row)*w])
	if !repeats {
		row = n
	}
	if cap(s.ids) < n {
		s.ids = make([]int32, n)
	}
	ids := s.ids[:n]
	switch w {
	case 8:
		ok = d.ids8(ids[:row], data, period)
	case 4:
		ok = d.ids4(ids[:row], data, period)
	default:
		ok = d.idsOf(ids[:row], data, w)
	}
	if !ok || d.useless(before, n) {
		d.truncate(before)
		return nil, false, nil
	}
	if c.maxRep == 0 {
		p.bounds = c.dictBounds()
	}
	if repeats && row == 1 {
		return c.same(s, ids[0], n), true, nil
	}
	for have := row; have < n; have *= 2 {
		copy(ids[have:], ids[:have])
	}
	s.ids = ids
	body, err = c.indices(s)
	return body, true, err
}

// ids8 sets ids to those of as many values of 8 bytes; false where the dictionary is full.
func (d *dict) ids8(ids []int32, data []byte, period int) bool {
	for i := range ids {
		x := binary.LittleEndian.Uint64(data[8*i : 8*i+8 : 8*i+8])
		if i >= period && binary.LittleEndian.Uint64(data[8*(i-period):]) == x {
			ids[i] = ids[i-period]
			continue
		}
		id, ok := d.addInt(x)
		if !ok {
			return false
		}
		ids[i] = id
	}
	return true
}

// ids4 is ids8 for values of 4 bytes.
func (d *dict) ids4(ids []int32, data []byte, period int) bool {
	for i := range ids {
		x := binary.LittleEndian.Uint32(data[4*i : 4*i+4 : 4*i+4])
		if i >= period && binary.LittleEndian.Uint32(data[4*(i-period):]) == x {
			ids[i] = ids[i-period]
			continue
		}
		id, ok := d.addInt(uint64(x))
		if !ok {
			return false
		}
		ids[i] = id
	}
	return true
}

// idsOf is ids8 for narrower values.
func (d *dict) idsOf(ids []int32, data []byte, width int) bool {
	last, id := uint64(0), int32(-1)
	for i := range ids {
		x := pattern(data, i, width)
		if x != last || id < 0 {
			var ok bool
			if id, ok = d.addInt(x); !ok {
				return false
			}
			last = x
		}
		ids[i] = id
	}
	return true
}

// dictBounds are those of the entries that the page being made has.
func (c *column) dictBounds() bounds {
	d := &c.dict
	flip := uint64(0)
	if c.typ.Signed() {
		flip = 1 << 63
	}
	lo, hi := ^uint64(0), uint64(0)
	for id, m := range d.used {
		if m == d.mark {
			x := c.signed(d.ints[id]) ^ flip
			lo, hi = min(lo, x), max(hi, x)
		}
	}
	lo, hi = lo^flip, hi^flip
	if c.phys == format.Int64 {
		return bounds64(int64(lo), int64(hi))
	}
	return bounds32(int32(lo), int32(hi))
}

// signed extends a pattern of the column's width by its sign.
func (c *column) signed(x uint64) uint64 {
	if !c.typ.Signed() {
		return x
	}
	s := 64 - 8*c.width
	return uint64(int64(x<<s) >> s)
}
