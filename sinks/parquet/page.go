package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// encode makes a data page (version 1, which every reader knows) of l and its levels.
func (c *column) encode(s *Scratch, l leaf, rep, def []byte, rows, nulls int) error {
	s.body = s.body[:0]
	if c.maxRep > 0 {
		if err := s.levels(rep, c.maxRep); err != nil {
			return err
		}
	}
	if c.maxDef > 0 {
		if err := s.levels(def, c.maxDef); err != nil {
			return err
		}
	}
	p := page{offset: len(c.chunk), rows: rows, nulls: nulls, void: l.n == 0}
	if n := len(c.pages); n > 0 {
		p.first = c.pages[n-1].first + int64(c.pages[n-1].rows)
	}
	body, enc, err := c.encodeValues(s, l, &p)
	if err != nil {
		return fmt.Errorf("encode page of column %s: %w", c.def.Name, err)
	}
	entries := l.n
	if c.maxDef > 0 {
		entries = len(def)
	}
	h := format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues:               int32(entries),
			Encoding:                enc,
			DefinitionLevelEncoding: format.RLE,
			RepetitionLevelEncoding: format.RLE,
			// The bounds stand in the page index, once.
			Statistics: format.Statistics{NullCount: int64(nulls)},
		}),
	}
	if c.chunk, err = s.appendPage(c.chunk, &h, body); err != nil {
		return fmt.Errorf("write page of column %s: %w", c.def.Name, err)
	}
	p.size = len(c.chunk) - p.offset
	c.plainSize += int64(p.size) - int64(h.CompressedPageSize) + int64(h.UncompressedPageSize)
	c.encodings |= 1 << enc
	if enc == format.RLEDictionary {
		c.dictPages++
	}
	c.values += int64(entries)
	c.nulls += int64(nulls)
	c.note(&p)
	c.pages = append(c.pages, p)
	return nil
}

// appendPage compresses body and appends it to dst behind its header, whose sizes
// and checksum it fills in.
func (s *Scratch) appendPage(dst []byte, h *format.PageHeader, body []byte) ([]byte, error) {
	out, err := s.compress(body)
	if err != nil {
		return dst, err
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(body)), int32(len(out))
	h.CRC = int32(crc32.ChecksumIEEE(out))
	s.head.Reset()
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&s.head)).Encode(h); err != nil {
		return dst, err
	}
	dst = append(dst, s.head.Bytes()...)
	return append(dst, out...), nil
}

// levels appends repetition or definition levels to the body: a length, then
// runs of bits.Len(top) bits.
func (s *Scratch) levels(v []byte, top byte) error {
	at := len(s.body)
	s.body = append(s.body, 0, 0, 0, 0)
	if len(v) > 0 && bytes.Count(v, v[:1]) == len(v) {
		s.body = binary.AppendUvarint(s.body, uint64(len(v))<<1)
		s.body = append(s.body, v[0])
	} else {
		e := rle.Encoding{BitWidth: bits.Len8(top)}
		out, err := e.EncodeLevels(s.enc[:0], v)
		if err != nil {
			return fmt.Errorf("encode levels: %w", err)
		}
		s.enc = out
		s.body = append(s.body, out...)
	}
	binary.LittleEndian.PutUint32(s.body[at:], uint32(len(s.body)-at-4))
	return nil
}

// encodeValues puts the values behind the levels in s.body, or leaves them where
// they are if the page is nothing else, and fills in p's bounds.
func (c *column) encodeValues(s *Scratch, l leaf, p *page) (body []byte, enc format.Encoding, err error) {
	switch {
	case l.n == 0:
		return s.body, format.Plain, nil
	case c.typ == perfpipe.TypeString:
		return c.encodeText(s, l, p)
	case c.typ == perfpipe.TypeBool:
		return c.encodeBools(s, l, p)
	case c.width == 8:
		s.i64 = wide(s.i64[:0], l.data)
		p.bounds = intBounds64(s.i64, c.typ.Signed())
		return encodeInts(c, s, s.i64, l.data)
	}
	s.i32 = narrow(s.i32[:0], l.data, c.typ)
	p.bounds = intBounds32(s.i32, c.typ.Signed())
	return encodeInts(c, s, s.i32, l.data)
}

func encodeInts[T int32 | int64](c *column, s *Scratch, v []T, data []byte) ([]byte, format.Encoding, error) {
	if c.mode == modeUnset {
		switch {
		case c.def.Hint == perfpipe.HintSorted, c.typ == perfpipe.TypeTimestamp:
			c.mode = modeDelta
		case c.def.Hint == perfpipe.HintFew, fewOf(v):
			c.mode = modeDict
		default:
			c.mode = modeFree
		}
	}
	if c.mode == modeDict {
		if body, ok, err := dictInts(c, s, v); ok || err != nil {
			return body, format.RLEDictionary, err
		}
		c.mode = modeFree
	}
	width := 4
	if c.phys == format.Int64 {
		width = 8
	}
	if c.mode == modeDelta || deltaPays(v, width) {
		var err error
		var e delta.BinaryPackedEncoding
		switch v := any(v).(type) {
		case []int32:
			s.enc, err = e.EncodeInt32(s.enc[:0], v)
		case []int64:
			s.enc, err = e.EncodeInt64(s.enc[:0], v)
		}
		return s.join(s.enc), format.DeltaBinaryPacked, err
	}
	if c.width == width {
		return s.join(data), format.Plain, nil
	}
	for _, x := range v { // narrower than 4 bytes
		s.body = binary.LittleEndian.AppendUint32(s.body, uint32(x))
	}
	return s.body, format.Plain, nil
}

// join returns the page: v itself if there are no levels before it.
func (s *Scratch) join(v []byte) []byte {
	if len(s.body) == 0 {
		return v
	}
	s.body = append(s.body, v...)
	return s.body
}

// dictInts encodes v as indices; ok is false, and the dictionary as it was, where
// it would grow beyond its bound or beyond its use.
func dictInts[T int32 | int64](c *column, s *Scratch, v []T) (body []byte, ok bool, err error) {
	d := &c.dict
	before := d.len()
	s.ids = s.ids[:0]
	last, id := v[0], int32(0)
	for i, x := range v {
		if x != last || i == 0 {
			if id, ok = d.addInt(uint64(x)); !ok {
				d.truncate(before)
				return nil, false, nil
			}
			last = x
		}
		s.ids = append(s.ids, id)
	}
	if d.useless(before, len(v)) {
		d.truncate(before)
		return nil, false, nil
	}
	body, err = c.indices(s)
	return body, true, err
}

// useless reports whether most of n values were new to the dictionary.
func (d *dict) useless(before, n int) bool { return n >= 64 && d.len()-before > n/2 }

// indices appends s.ids as an RLE_DICTIONARY page has them: the width, then runs.
func (c *column) indices(s *Scratch) ([]byte, error) {
	e := rle.Encoding{BitWidth: c.dict.bitWidth()}
	s.body = append(s.body, byte(e.BitWidth))
	if lo, hi := minMax(s.ids); lo == hi {
		s.body = binary.AppendUvarint(s.body, uint64(len(s.ids))<<1)
		for w := 0; w < e.BitWidth; w += 8 {
			s.body = append(s.body, byte(lo>>w))
		}
		return s.body, nil
	}
	out, err := e.EncodeInt32(s.enc[:0], s.ids)
	s.enc = out
	s.body = append(s.body, out...)
	return s.body, err
}

func minMax(v []int32) (lo, hi int32) {
	lo, hi = v[0], v[0]
	for _, x := range v {
		lo, hi = min(lo, x), max(hi, x)
	}
	return lo, hi
}

// encodeText encodes strings: by dictionary until that is full.
func (c *column) encodeText(s *Scratch, l leaf, p *page) ([]byte, format.Encoding, error) {
	if c.mode == modeUnset {
		c.mode = modeDict
	}
	if c.mode == modeDict {
		if c.dictText(s, l, p) {
			body, err := c.indices(s)
			return body, format.RLEDictionary, err
		}
		c.mode = modeFree
	}
	lo, hi := l.data[l.offs[0]:l.offs[1]], l.data[l.offs[0]:l.offs[1]]
	for i := range l.n {
		t := l.data[l.offs[i]:l.offs[i+1]]
		if bytes.Compare(t, lo) < 0 {
			lo = t
		}
		if bytes.Compare(t, hi) > 0 {
			hi = t
		}
	}
	p.bounds = textBounds(lo, hi)
	s.body = appendPlainText(s.body, l)
	return s.body, format.Plain, nil
}

// dictText turns strings into s.ids; false, and the dictionary as it was, where
// that has no room or no use.
func (c *column) dictText(s *Scratch, l leaf, p *page) bool {
	d := &c.dict
	before := 0
	if d.offs != nil {
		before = d.len()
	}
	mark := uint32(len(c.pages) + 1)
	s.ids = s.ids[:0]
	var last, lo, hi []byte
	id, ok := int32(-1), false
	for i := range l.n {
		t := l.data[l.offs[i]:l.offs[i+1]]
		if id < 0 || !bytes.Equal(t, last) {
			if id, ok = d.addText(t); !ok {
				d.truncate(before)
				return false
			}
			last = t
			if d.used[id] != mark {
				d.used[id] = mark
				if lo == nil || bytes.Compare(t, lo) < 0 {
					lo = t
				}
				if hi == nil || bytes.Compare(t, hi) > 0 {
					hi = t
				}
			}
		}
		s.ids = append(s.ids, id)
	}
	if d.useless(before, l.n) {
		d.truncate(before)
		return false
	}
	p.bounds = textBounds(lo, hi)
	return true
}

func textBounds(lo, hi []byte) bounds {
	if len(lo) > maxBoundText || len(hi) > maxBoundText {
		return bounds{}
	}
	return bounds{append([]byte{}, lo...), append([]byte{}, hi...), true}
}

// encodeBools packs one byte a value into one bit a value.
func (c *column) encodeBools(s *Scratch, l leaf, p *page) ([]byte, format.Encoding, error) {
	at := len(s.body)
	s.body = append(s.body, make([]byte, (l.n+7)/8)...)
	lo, hi := byte(1), byte(0)
	for i, v := range l.data {
		if v != 0 {
			s.body[at+i/8] |= 1 << (i % 8)
			v = 1
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	p.bounds = bounds{[]byte{lo}, []byte{hi}, true}
	return s.body, format.Plain, nil
}
