package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// HeaderSize is what stands before a page's data.
const HeaderSize = 16

// Bits of a page's commit, beside its length: RB_MISSED_EVENTS, RB_MISSED_STORED.
const (
	missedBit = 1 << 31
	storedBit = 1 << 30
)

// Types of type_len beyond the lengths: enum ring_buffer_type.
const (
	maxWords   = 28
	typePad    = 29
	typeExtend = 30
)

const (
	deltaShift = 27
	// stampBits are those of a time stamp that the page has; the others are the time's before.
	stampBits = 59
	stampHigh = ^uint64(1<<stampBits - 1)
)

// ErrHeader says that a page's header cannot be: it is shorter than one, or its
// length goes beyond the page.
var ErrHeader = errors.New("the header of the page contradicts its size")

// ErrRecord says that a record goes beyond what was written to its page.
var ErrRecord = errors.New("a record goes beyond its page")

// Cursor goes through the records of pages of one processor, in the order in which
// they were read. The zero value is at no page. It does not allocate.
type Cursor struct {
	page    []byte
	at, end int
	time    uint64
	missed  uint64
	err     error
}

// Begin goes to the first record of a page. The page is the caller's and must not
// change until the cursor has left it.
//
// A page that is read in pieces has, before each, the time of the last record that
// the kernel counts. It leaves out discarded ones whose time later records go by
// (rb_update_read_stamp): so the time never goes back from what was seen before.
func (c *Cursor) Begin(page []byte) error {
	c.page, c.at, c.end, c.missed, c.err = nil, 0, 0, 0, nil
	if len(page) < HeaderSize {
		c.err = ErrHeader
		return c.err
	}
	// RB_MISSED_EVENTS is an int of the kernel's and negative: added to a long, it sets
	// the upper half as well.
	commit := uint64(binary.LittleEndian.Uint32(page[8:]))
	n := commit &^ (missedBit | storedBit)
	if n > uint64(len(page)-HeaderSize) {
		c.err = ErrHeader
		return c.err
	}
	if commit&missedBit != 0 {
		c.missed = 1
		if rest := page[HeaderSize+n:]; commit&storedBit != 0 && len(rest) >= 8 {
			c.missed = binary.LittleEndian.Uint64(rest)
		}
	}
	c.time = max(c.time, binary.LittleEndian.Uint64(page))
	c.page, c.at, c.end = page, HeaderSize, HeaderSize+int(n)
	return nil
}

// Size returns how many bytes of the page are used, its header with them.
func (c *Cursor) Size() int { return c.end }

// Missed returns how many records were overwritten before the page, 1 where the
// kernel had no room to say how many.
func (c *Cursor) Missed() uint64 { return c.missed }

// Time returns that of the last record or time stamp that was gone over.
func (c *Cursor) Time() int64 { return int64(c.time) }

// Err returns why the last page was not gone through to its end, nil where it was.
func (c *Cursor) Err() error { return c.err }

// Next goes to the next record and returns its time and where in the page it is, for
// [Data]. It returns false at the end of the page, and where the page contradicts itself.
func (c *Cursor) Next() (time int64, at int, ok bool) {
	for c.at < c.end {
		at = c.at
		rest := c.page[at:c.end]
		if len(rest) < 4 {
			return c.fail()
		}
		w := binary.LittleEndian.Uint32(rest)
		kind, delta := int(w&31), uint64(w>>5)
		if uint(kind-1) < maxWords {
			if 4+4*kind > len(rest) {
				return c.fail()
			}
			c.at = at + 4 + 4*kind
			c.time += delta
			return int64(c.time), at, true
		}
		if kind == typePad && delta == 0 {
			c.at = c.end
			break
		}
		if c.end-at < 8 {
			return c.fail()
		}
		long := uint64(binary.LittleEndian.Uint32(c.page[at+4:]))
		switch kind {
		case 0:
			if long < 4 || long > uint64(c.end-at-4) {
				return c.fail()
			}
			// Lengths are those of records, aligned: rb_calculate_event_length.
			c.at = at + 4 + int(long+3)&^3
			if c.at > c.end {
				return c.fail()
			}
			c.time += delta
			return int64(c.time), at, true
		case typePad:
			if long > uint64(c.end-at-4) {
				return c.fail()
			}
			c.at = at + 4 + int(long)
			if delta != 1 {
				// 1 stands for 0, which would mean the rest of the page (rb_read_data_buffer).
				c.time += delta
			}
		case typeExtend:
			c.time += long<<deltaShift + delta
			c.at = at + 8
		default:
			c.stamp(long<<deltaShift + delta)
			c.at = at + 8
		}
	}
	return 0, 0, false
}

// stamp sets the time to a stamp, whose high bits are those of the time before
// (rb_fix_abs_ts).
func (c *Cursor) stamp(t uint64) {
	t &^= stampHigh
	if high := c.time & stampHigh; high != 0 {
		t |= high
		if t < c.time {
			t += 1 << stampBits
		}
	}
	c.time = t
}

func (c *Cursor) fail() (time int64, at int, ok bool) {
	c.err, c.at = ErrRecord, c.end
	return 0, 0, false
}

// Data returns the record that [Cursor.Next] said is at an offset of the page. It
// points into the page.
func Data(page []byte, at int) []byte {
	kind := int(binary.LittleEndian.Uint32(page[at:]) & 31)
	if kind > 0 {
		return page[at+4 : at+4+4*kind : at+4+4*kind]
	}
	n := int(binary.LittleEndian.Uint32(page[at+4:]))
	return page[at+8 : at+4+n : at+4+n]
}

// layout are the lines of events/header_page and events/header_event that say what
// this package takes for granted, without their blanks.
var layout = struct{ page, event [4]string }{
	page:  [4]string{"u64timestamp;offset:0;size:8;", "local_tcommit;offset:8;size:8;", "chardata;offset:16;", ""},
	event: [4]string{"type_len:5bits", "time_delta:27bits", "array:32bits", "padding:type==29"},
}

// Check says what is unusual about the pages of a kernel, by the text of its
// events/header_page and events/header_event; nil is what is read here.
func Check(headerPage, headerEvent []byte) error {
	for _, f := range []struct {
		name string
		text []byte
		want []string
	}{{"header_page", headerPage, layout.page[:3]}, {"header_event", headerEvent, layout.event[:]}} {
		text := squeeze(f.text)
		for _, w := range f.want {
			if !strings.Contains(text, w) {
				return fmt.Errorf("read the pages of the trace ring: events/%s does not say %q: another layout than that of 64-bit kernels", f.name, w)
			}
		}
	}
	return nil
}

// squeeze takes out blanks and ends of lines.
func squeeze(b []byte) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c > ' ' {
			out = append(out, c)
		}
	}
	return string(out)
}
