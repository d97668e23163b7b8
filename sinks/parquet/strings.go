package parquet

import (
	"bytes"
	"encoding/binary"

	"github.com/parquet-go/parquet-go/format"
)

// encodeText encodes strings: by dictionary until that is full.
func (c *column) encodeText(s *Scratch, l leaf, p *page) ([]byte, format.Encoding, error) {
	if c.mode == modeUnset {
		c.mode = modeDict
	}
	if c.mode == modeDict {
		if body, ok, err := c.dictText(s, l, p); ok || err != nil {
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

// sameTexts reports whether all strings are the same.
func sameTexts(l leaf) bool {
	o := l.offs[:l.n+1]
	k := o[1] - o[0]
	if int(o[l.n]-o[0]) != int(k)*l.n {
		return false
	}
	all := l.data[o[0]:o[l.n]]
	if k > 0 && !bytes.Equal(all[k:], all[:len(all)-int(k)]) {
		return false
	}
	for i := 1; i < len(o); i++ {
		if o[i]-o[i-1] != k {
			return false
		}
	}
	return true
}

// masks keep so many of 16 bytes. Lengths vary from row to row: branches would be
// guessed wrong.
var masks = [17][2]uint64{
	{}, {1<<8 - 1}, {1<<16 - 1}, {1<<24 - 1}, {1<<32 - 1}, {1<<40 - 1}, {1<<48 - 1}, {1<<56 - 1},
	{1<<64 - 1}, {1<<64 - 1, 1<<8 - 1}, {1<<64 - 1, 1<<16 - 1}, {1<<64 - 1, 1<<24 - 1}, {1<<64 - 1, 1<<32 - 1},
	{1<<64 - 1, 1<<40 - 1}, {1<<64 - 1, 1<<48 - 1}, {1<<64 - 1, 1<<56 - 1}, {1<<64 - 1, 1<<64 - 1},
}

// firstWords returns the first 16 bytes of the string from up to to in data, zeroes
// behind a shorter one.
func firstWords(data []byte, from, to int32) (w [2]uint64) {
	n := to - from
	if int(from)+16 <= len(data) {
		b := data[from : from+16 : from+16]
		m := &masks[min(uint32(n), 16)]
		return [2]uint64{binary.LittleEndian.Uint64(b) & m[0], binary.LittleEndian.Uint64(b[8:]) & m[1]}
	}
	var b [16]byte
	copy(b[:], data[from:to])
	return [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// dictText encodes strings as indices; ok is false, and the dictionary as it was, where
// that has no room or no use.
func (c *column) dictText(s *Scratch, l leaf, p *page) (body []byte, ok bool, err error) {
	d := &c.dict
	before := 0
	if d.offs != nil {
		before = d.len()
	}
	d.mark = uint32(len(c.pages) + 1)
	if sameTexts(l) {
		t := l.data[l.offs[0]:l.offs[1]]
		id, ok := d.addText(t, firstWords(l.data, l.offs[0], l.offs[1]))
		if !ok {
			return nil, false, nil
		}
		p.bounds = textBounds(t, t)
		return c.same(s, id, l.n), true, nil
	}
	if cap(s.ids) < l.n {
		s.ids = make([]int32, l.n)
	}
	s.ids = s.ids[:l.n]
	var last [2]uint64
	id, size := int32(-1), int32(-1)
	for i := range s.ids {
		from, to := l.offs[i], l.offs[i+1]
		w := firstWords(l.data, from, to)
		if w != last || to-from != size || size > 16 {
			if id, ok = d.addText(l.data[from:to], w); !ok {
				d.truncate(before)
				return nil, false, nil
			}
			last, size = w, to-from
		}
		s.ids[i] = id
	}
	if d.useless(before, l.n) {
		d.truncate(before)
		return nil, false, nil
	}
	p.bounds = d.textBounds()
	body, err = c.indices(s)
	return body, true, err
}

// textBounds are those of the entries that the page being made has.
func (d *dict) textBounds() bounds {
	var lo, hi []byte
	for id, m := range d.used {
		if m != d.mark {
			continue
		}
		t := d.entry(int32(id))
		if lo == nil || bytes.Compare(t, lo) < 0 {
			lo = t
		}
		if hi == nil || bytes.Compare(t, hi) > 0 {
			hi = t
		}
	}
	return textBounds(lo, hi)
}
