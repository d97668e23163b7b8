package parquet

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// Bounds of a dictionary. It must not grow with the row group: beyond these a
// column goes on without one. 4096 integers or 1 MiB of strings stay in the
// caches that the lookups need; 32 Ki strings are more than the tasks of a busy machine.
const (
	maxIntEntries    = 4096
	maxStringEntries = 32 << 10
	maxStringBytes   = 1 << 20
)

// dict is the dictionary of one column chunk. Integers are kept as 64-bit
// patterns, strings as bytes with offsets.
type dict struct {
	// slots holds id+1, 0 where free; its length is a power of two, at least twice the entries.
	slots []int32
	ints  []uint64
	text  []byte
	offs  []int32 // of strings: entries+1
	hash  []uint32
	seed  maphash.Seed
	salt  [2]uint64
	// used[id] is the last page that id was on: what the page's bounds are taken from.
	// mark is the page that is being made.
	used []uint32
	mark uint32
	// words are the first 16 bytes of each string, zeroes behind a shorter one.
	words [][2]uint64
}

func (d *dict) len() int {
	if d.offs != nil {
		return len(d.offs) - 1
	}
	return len(d.ints)
}

func (d *dict) size() int {
	return 4*cap(d.slots) + 8*cap(d.ints) + cap(d.text) + 4*cap(d.offs) + 4*cap(d.hash) + 16*cap(d.words) + 4*cap(d.used)
}

func (d *dict) reset() {
	clear(d.slots)
	d.ints, d.text, d.hash, d.used, d.words = d.ints[:0], d.text[:0], d.hash[:0], d.used[:0], d.words[:0]
	if d.offs != nil {
		d.offs = d.offs[:1]
	}
}

// truncate takes away the entries from id n on.
func (d *dict) truncate(n int) {
	if d.offs != nil {
		d.text, d.offs, d.hash, d.words = d.text[:d.offs[n]], d.offs[:n+1], d.hash[:n], d.words[:n]
	} else {
		d.ints = d.ints[:n]
	}
	d.used = d.used[:n]
	d.rehash(len(d.slots))
}

func hashInt(v uint64) uint32 { return uint32((v * 0x9e3779b97f4a7c15) >> 32) }

func (d *dict) rehash(n int) {
	if cap(d.slots) >= n {
		d.slots = d.slots[:n]
		clear(d.slots)
	} else {
		d.slots = make([]int32, n)
	}
	mask := uint32(n - 1)
	for id := range d.len() {
		var h uint32
		if d.offs != nil {
			h = d.hash[id]
		} else {
			h = hashInt(d.ints[id])
		}
		for h &= mask; d.slots[h] != 0; h = (h + 1) & mask {
		}
		d.slots[h] = int32(id + 1)
	}
}

// addInt returns the id of v; ok is false where the dictionary is full.
func (d *dict) addInt(v uint64) (id int32, ok bool) {
	if len(d.slots) == 0 {
		d.slots = make([]int32, 64)
	}
	mask := uint32(len(d.slots) - 1)
	h := hashInt(v) & mask
	for ; d.slots[h] != 0; h = (h + 1) & mask {
		if id := d.slots[h] - 1; d.ints[id] == v {
			d.used[id] = d.mark
			return id, true
		}
	}
	if len(d.ints) == maxIntEntries {
		return 0, false
	}
	id = int32(len(d.ints))
	d.ints = append(d.ints, v)
	d.used = append(d.used, d.mark)
	d.slots[h] = id + 1
	if 2*len(d.ints) > len(d.slots) {
		d.rehash(2 * len(d.slots))
	}
	return id, true
}

// addText returns the id of s, whose first 16 bytes are w; ok is false where the
// dictionary is full.
func (d *dict) addText(s []byte, w [2]uint64) (id int32, ok bool) {
	if d.offs == nil {
		d.offs = make([]int32, 1, 64)
		d.seed = maphash.MakeSeed()
		d.salt = [2]uint64{rand.Uint64(), rand.Uint64()}
	}
	if len(d.slots) == 0 {
		d.slots = make([]int32, 64)
	}
	// Names are short and given by anybody: the hash is quick and secret.
	a, b := bits.Mul64(w[0]^d.salt[0], w[1]^d.salt[1]^uint64(len(s)))
	sum := uint32(a ^ b)
	if len(s) > 16 {
		sum = uint32(maphash.Bytes(d.seed, s))
	}
	mask := uint32(len(d.slots) - 1)
	h := sum & mask
	for ; d.slots[h] != 0; h = (h + 1) & mask {
		id := d.slots[h] - 1
		if d.words[id] == w && int(d.offs[id+1]-d.offs[id]) == len(s) && (len(s) <= 16 || bytes.Equal(d.entry(id), s)) {
			d.used[id] = d.mark
			return id, true
		}
	}
	if n := d.len(); n == maxStringEntries || len(d.text)+len(s) > maxStringBytes {
		return 0, false
	}
	id = int32(d.len())
	d.text = append(d.text, s...)
	d.offs = append(d.offs, int32(len(d.text)))
	d.hash = append(d.hash, sum)
	d.words = append(d.words, w)
	d.used = append(d.used, d.mark)
	d.slots[h] = id + 1
	if 2*d.len() > len(d.slots) {
		d.rehash(2 * len(d.slots))
	}
	return id, true
}

// entry returns string id.
func (d *dict) entry(id int32) []byte { return d.text[d.offs[id]:d.offs[id+1]] }

// bitWidth is the width of the ids on a data page written now. Never 0: some
// readers stumble over indices of no bits.
func (d *dict) bitWidth() int { return max(1, bits.Len(uint(d.len()-1))) }

// page appends the dictionary page's body: the entries, PLAIN. extend makes integers of
// the column's width those of the page's.
func (d *dict) page(dst []byte, width int, extend func(uint64) uint64) []byte {
	if d.offs != nil {
		for id := range int32(d.len()) {
			s := d.entry(id)
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
			dst = append(dst, s...)
		}
		return dst
	}
	for _, v := range d.ints {
		v = extend(v)
		if width == 8 {
			dst = binary.LittleEndian.AppendUint64(dst, v)
		} else {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		}
	}
	return dst
}
