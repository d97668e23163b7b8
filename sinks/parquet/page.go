package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// encode makes a data page (version 1, which every reader knows) of l and its levels.
func (c *column) encode(s *Scratch, l leaf, g levels, rows int) error {
	s.body = s.body[:0]
	if err := c.levels(s, g, l.n); err != nil {
		return err
	}
	p := page{rows: rows, nulls: g.nulls, void: l.n == 0}
	if n := len(c.pages); n > 0 {
		p.first = c.pages[n-1].first + int64(c.pages[n-1].rows)
	}
	body, enc, err := c.encodeValues(s, l, max(1, g.every), &p)
	if err != nil {
		return fmt.Errorf("encode page of column %s: %w", c.def.Name, err)
	}
	entries := l.n
	if c.maxDef > 0 && g.every == 0 {
		entries = len(g.def)
	}
	h := format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues:               int32(entries),
			Encoding:                enc,
			DefinitionLevelEncoding: format.RLE,
			RepetitionLevelEncoding: format.RLE,
			// The bounds stand in the page index, once.
			Statistics: format.Statistics{NullCount: int64(g.nulls)},
		}),
	}
	c.encodings |= 1 << enc
	if enc == format.RLEDictionary {
		c.dictPages++
	}
	c.values += int64(entries)
	c.nulls += int64(g.nulls)
	c.note(&p)
	c.pages = append(c.pages, p)
	if s.defers {
		c.deferPage(s, h, body)
		return nil
	}
	out, err := s.compress(body)
	if err != nil {
		return fmt.Errorf("write page of column %s: %w", c.def.Name, err)
	}
	return c.store(s, &c.pages[len(c.pages)-1], &h, body, out)
}

// store puts a compressed page into the chunk.
func (c *column) store(s *Scratch, p *page, h *format.PageHeader, body, out []byte) (err error) {
	p.offset = len(c.chunk)
	if c.chunk, err = s.putPage(c.chunk, h, body, out); err != nil {
		return fmt.Errorf("write page of column %s: %w", c.def.Name, err)
	}
	p.size = len(c.chunk) - p.offset
	c.plainSize += int64(p.size) - int64(h.CompressedPageSize) + int64(h.UncompressedPageSize)
	return nil
}

// appendPage compresses body and appends it to dst behind its header, whose sizes
// and checksum it fills in.
func (s *Scratch) appendPage(dst []byte, h *format.PageHeader, body []byte) ([]byte, error) {
	out, err := s.compress(body)
	if err != nil {
		return dst, err
	}
	return s.putPage(dst, h, body, out)
}

// putPage appends out, which is body compressed, behind its header.
func (s *Scratch) putPage(dst []byte, h *format.PageHeader, body, out []byte) ([]byte, error) {
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(body)), int32(len(out))
	h.CRC = int32(crc32.ChecksumIEEE(out))
	s.head.Reset()
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&s.head)).Encode(h); err != nil {
		return dst, err
	}
	dst = append(dst, s.head.Bytes()...)
	return append(dst, out...), nil
}

// levels appends the levels of n values to the body.
func (c *column) levels(s *Scratch, g levels, n int) error {
	if c.maxDef == 0 {
		return nil
	}
	if g.every == 0 {
		if c.maxRep > 0 {
			if err := s.levels(g.rep, c.maxRep); err != nil {
				return err
			}
		}
		return s.levels(g.def, c.maxDef)
	}
	if c.maxRep > 0 {
		s.beginnings(n, g.every)
	}
	at := s.open()
	s.run(n, c.maxDef)
	s.close(at)
	return nil
}

// open begins the levels of a page, which stand behind their length.
func (s *Scratch) open() int {
	s.body = append(s.body, 0, 0, 0, 0)
	return len(s.body)
}

func (s *Scratch) close(at int) {
	binary.LittleEndian.PutUint32(s.body[at-4:], uint32(len(s.body)-at))
}

// run appends a run of n levels v.
func (s *Scratch) run(n int, v byte) {
	s.body = append(binary.AppendUvarint(s.body, uint64(n)<<1), v)
}

// beginnings appends the repetition levels of n values in lists of k: 0 where a list
// begins, else 1. The bits repeat after k bytes.
func (s *Scratch) beginnings(n, k int) {
	at := s.open()
	if k == 1 {
		s.run(n, 0)
		s.close(at)
		return
	}
	groups := (n + 7) / 8
	s.body = binary.AppendUvarint(s.body, uint64(groups)<<1|1)
	from := len(s.body)
	for i := range min(k, groups) {
		b := byte(0)
		for j := range 8 {
			if (i*8+j)%k != 0 {
				b |= 1 << j
			}
		}
		s.body = append(s.body, b)
	}
	for len(s.body)-from < groups {
		have := len(s.body) - from
		s.body = append(s.body, s.body[from:from+min(have, groups-have)]...)
	}
	s.close(at)
}

// levels appends repetition or definition levels to the body: a length, then
// runs of bits.Len(top) bits.
func (s *Scratch) levels(v []byte, top byte) error {
	at := s.open()
	if len(v) > 0 && bytes.Count(v, v[:1]) == len(v) {
		s.run(len(v), v[0])
	} else {
		e := rle.Encoding{BitWidth: bits.Len8(top)}
		out, err := e.EncodeLevels(s.enc[:0], v)
		if err != nil {
			return fmt.Errorf("encode levels: %w", err)
		}
		s.enc = out
		s.body = append(s.body, out...)
	}
	s.close(at)
	return nil
}

// encodeValues puts the values behind the levels in s.body, or leaves them where
// they are if the page is nothing else, and fills in p's bounds. Values often are
// those that stand period places before: in the row before.
func (c *column) encodeValues(s *Scratch, l leaf, period int, p *page) (body []byte, enc format.Encoding, err error) {
	switch {
	case l.n == 0:
		return s.body, format.Plain, nil
	case c.typ == perfpipe.TypeString:
		return c.encodeText(s, l, p)
	case c.typ == perfpipe.TypeBool:
		return c.encodeBools(s, l, p)
	}
	return c.encodeInts(s, l, period, p)
}

// join returns the page: v itself if there are no levels before it.
func (s *Scratch) join(v []byte) []byte {
	if len(s.body) == 0 {
		return v
	}
	s.body = append(s.body, v...)
	return s.body
}

// useless reports whether most of n values were new to the dictionary.
func (d *dict) useless(before, n int) bool { return n >= 64 && d.len()-before > n/2 }

// indices appends s.ids as an RLE_DICTIONARY page has them: the width, then runs.
func (c *column) indices(s *Scratch) ([]byte, error) {
	e := rle.Encoding{BitWidth: c.dict.bitWidth()}
	s.body = append(s.body, byte(e.BitWidth))
	out, err := e.EncodeInt32(s.enc[:0], s.ids)
	s.enc = out
	s.body = append(s.body, out...)
	return s.body, err
}

// same appends n indices of one id as an RLE_DICTIONARY page has them.
func (c *column) same(s *Scratch, id int32, n int) []byte {
	width := c.dict.bitWidth()
	s.body = append(s.body, byte(width))
	s.body = binary.AppendUvarint(s.body, uint64(n)<<1)
	for w := 0; w < width; w += 8 {
		s.body = append(s.body, byte(id>>w))
	}
	return s.body
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
