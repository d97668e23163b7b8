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
	n    int32
	// known is false where the text has to be made each time: it is longer, or had
	// to be escaped.
	known bool
}

// put appends a known name; false where the column has to grow for it.
func (t *commText) put(c *perfpipe.Column, row int) bool {
	at := len(c.Data)
	if cap(c.Data)-at < 16 {
		return false
	}
	*(*[16]byte)(c.Data[at : at+16 : at+16]) = t.text
	at += int(t.n)
	c.Data = c.Data[:at]
	c.Offsets[:cap(c.Offsets)][row+1] = int32(at)
	return true
}

// comm appends a task's name that t does not hold, or for which c has to grow.
func (e *encoder) comm(t *commText, c *perfpipe.Column, row int, s string) {
	t.comm, t.n = s, int32(len(s))
	t.known = copy(t.text[:], s) == len(s)
	for _, c := range []byte(s) {
		t.known = t.known && c < 0x80 && c != '\\'
	}
	c.Data = e.bytes(c.Data, []byte(s))
	end(c, row, len(c.Data))
}

// Eight bytes at a time: a byte's high bit, and its low bit.
const (
	highBits = 0x8080808080808080
	lowBits  = 0x0101010101010101
)

// zeroBytes sets the high bit of bytes of w that are 0. Of those set, the lowest is
// right; higher ones may be set by its borrow.
func zeroBytes(w uint64) uint64 { return (w - lowBits) &^ w & highBits }

// name appends a text of 16 bytes up to its first NUL; false where it may need an
// escape, or the column has to grow.
func (t *textMove) name(row int, raw []byte) bool {
	c := t.to
	at := len(c.Data)
	lo := binary.LittleEndian.Uint64(raw[t.src : t.src+8 : t.src+8])
	hi := binary.LittleEndian.Uint64(raw[t.src+8 : t.src+16 : t.src+16])
	special := (lo|hi)&highBits | zeroBytes(lo^lowBits*'\\') | zeroBytes(hi^lowBits*'\\')
	if special != 0 || cap(c.Data)-at < 16 {
		return false
	}
	n := bits.TrailingZeros64(zeroBytes(lo)) / 8
	if n == 8 {
		n += bits.TrailingZeros64(zeroBytes(hi)) / 8
	}
	*(*[16]byte)(c.Data[at : at+16 : at+16]) = [16]byte(raw[t.src : t.src+16 : t.src+16])
	at += n
	c.Data = c.Data[:at]
	t.offs[row+1] = int32(at)
	return true
}

// text appends t up to its first NUL.
func (e *encoder) text(c *perfpipe.Column, row int, t []byte) {
	at := len(c.Data)
	if cap(c.Data)-at >= len(t) {
		d := c.Data[at : at+len(t)]
		i := 0
		for ; i+8 <= len(t); i += 8 {
			w := binary.LittleEndian.Uint64(t[i:])
			binary.LittleEndian.PutUint64(d[i:], w)
			stop := zeroBytes(w)
			// A byte that is no ASCII or a backslash may need an escape.
			special := w&highBits | zeroBytes(w^lowBits*'\\')
			if stop|special == 0 {
				continue
			}
			k := bits.TrailingZeros64(stop)
			if bits.TrailingZeros64(special) < k {
				e.escape(c, row, t)
				return
			}
			at += i + k/8
			c.Data = c.Data[:at]
			c.Offsets[:cap(c.Offsets)][row+1] = int32(at)
			return
		}
		if i == len(t) {
			c.Data = c.Data[:at+i]
			c.Offsets[:cap(c.Offsets)][row+1] = int32(at + i)
			return
		}
	}
	e.escape(c, row, t)
}

// escape appends any text.
func (e *encoder) escape(c *perfpipe.Column, row int, t []byte) {
	if n := bytes.IndexByte(t, 0); n >= 0 {
		t = t[:n]
	}
	c.Data = e.bytes(c.Data, t)
	end(c, row, len(c.Data))
}
