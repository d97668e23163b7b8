package collector

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/perfpipe/perfpipe"
)

// commSlots is how many names of tasks are kept as they are written: as many as the
// tasks that take turns on a few processors. A power of two.
const commSlots = 64

// commCache holds the names of tasks as columns have them, by thread id. A name that
// is not there is made anew.
type commCache [commSlots]commText

// commText is a name of at most 16 bytes.
type commText struct {
	comm string
	text [16]byte
	n    int
	// known is false where the text has to be made each time: it is longer, or had
	// to be escaped.
	known bool
}

// set makes s the name that t holds.
func (t *commText) set(s string) {
	t.comm, t.n = s, len(s)
	t.known = copy(t.text[:], s) == len(s)
	for _, c := range []byte(s) {
		t.known = t.known && c < 0x80 && c != '\\'
	}
}

// comm appends a name that is not known, or for which c has to grow, and returns where it ends.
func (e *encoder) comm(c *perfpipe.Column, row int, s string) int {
	c.Data = e.bytes(begin(c, row), []byte(s))
	end(c, row, len(c.Data))
	return len(c.Data)
}

// Eight bytes at a time: a byte's high bit, and its low bit.
const (
	highBits = 0x8080808080808080
	lowBits  = 0x0101010101010101
)

// zeroBytes sets the high bit of bytes of w that are 0. Of those set, the lowest is
// right; higher ones may be set by its borrow.
func zeroBytes(w uint64) uint64 { return (w - lowBits) &^ w & highBits }

// copyNames appends the texts of 16 bytes, each up to its first NUL.
func (e *encoder) copyNames(row int, raw []byte) {
	i := row & maxRow
	le := binary.LittleEndian
	names := e.moves.names
	for k := range names {
		t := &names[k]
		d, at := t.to.Data, t.at
		text := raw[t.src : t.src+16 : t.src+16]
		lo, hi := le.Uint64(text), le.Uint64(text[8:])
		special := (lo|hi)&highBits | zeroBytes(lo^lowBits*'\\') | zeroBytes(hi^lowBits*'\\')
		if special != 0 || cap(d)-at < 16 {
			t.at = e.text(t.to, i, at, text)
			continue
		}
		to := d[at : at+16 : cap(d)]
		le.PutUint64(to, lo)
		le.PutUint64(to[8:], hi)
		n := bits.TrailingZeros64(zeroBytes(lo)) / 8
		if n == 8 {
			n += bits.TrailingZeros64(zeroBytes(hi)) / 8
		}
		t.at = at + n
		t.offs[i+1] = int32(at + n)
	}
}

// copyVarying appends what moves.varying says.
func (e *encoder) copyVarying(row int, raw []byte) {
	m := &e.moves
	for i := range m.arrays {
		m.arrays[i].copy(row, raw)
	}
	for i := range m.masks {
		m.masks[i].copy(row, raw)
	}
	for i := range m.texts {
		t := &m.texts[i]
		t.at = e.text(t.to, row, t.at, raw[t.src:t.src+t.n])
	}
	for i := range m.located {
		t := &m.located[i]
		loc := binary.LittleEndian.Uint32(raw[t.src:])
		off, n := int(loc&0xffff), int(loc>>16)
		if n > len(raw) || off > len(raw)-n {
			off, n = 0, 0 // not in a record that is whole
		}
		t.at = e.text(t.to, row, t.at, raw[off:off+n])
	}
}

// text appends t up to its first NUL, as text number row, at offset at, and returns where
// it ends.
func (e *encoder) text(c *perfpipe.Column, row, at int, t []byte) int {
	d := c.Data[at:cap(c.Data)]
	n := 0
	// The last store may reach 7 bytes beyond the text.
	if len(d)-8 < len(t) {
		return e.escape(c, row, t)
	}
	for ; n < len(t); n += 8 {
		var w uint64
		if rest := t[n:]; len(rest) >= 8 {
			w = binary.LittleEndian.Uint64(rest)
		} else {
			w = loadShort(rest)
		}
		binary.LittleEndian.PutUint64(d[n:], w)
		stop := zeroBytes(w)
		// A byte that is no ASCII or a backslash may need an escape.
		special := w&highBits | zeroBytes(w^lowBits*'\\')
		if stop|special == 0 {
			continue
		}
		k := bits.TrailingZeros64(stop)
		if bits.TrailingZeros64(special) < k {
			return e.escape(c, row, t)
		}
		at += n + k/8
		end(c, row, at)
		return at
	}
	at += len(t)
	end(c, row, at)
	return at
}

// loadShort loads less than eight bytes; the others are 0.
func loadShort(t []byte) (w uint64) {
	n := len(t)
	switch {
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(t)) | uint64(binary.LittleEndian.Uint32(t[n-4:]))<<(8*(n-4)&63)
	case n > 0:
		return uint64(t[0]) | uint64(t[n>>1])<<(8*(n>>1)&63) | uint64(t[n-1])<<(8*(n-1)&63)
	}
	return 0
}

// escape appends any text.
func (e *encoder) escape(c *perfpipe.Column, row int, t []byte) int {
	if n := bytes.IndexByte(t, 0); n >= 0 {
		t = t[:n]
	}
	c.Data = e.bytes(begin(c, row), t)
	end(c, row, len(c.Data))
	return len(c.Data)
}
