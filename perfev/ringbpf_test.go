package perfev

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
)

// testBPFRing is a BPF ring in ordinary memory, with the data there twice.
type testBPFRing struct {
	ring
	headPos, tailPos uint64
}

func newTestBPFRing() *testBPFRing {
	const size = 256
	t := &testBPFRing{}
	t.mem = ringMemory{
		data:    make([]byte, 2*size),
		head:    func() uint64 { return t.headPos },
		setTail: func(v uint64) { t.tailPos = v },
		word:    func(at uint64) uint32 { return binary.LittleEndian.Uint32(t.mem.data[at:]) },
	}
	return t
}

// put sets bytes at a position in both copies.
func (t *testBPFRing) put(pos uint64, b []byte) {
	size := t.mem.size()
	for i, c := range b {
		at := (pos + uint64(i)) % size
		t.mem.data[at], t.mem.data[at+size] = c, c
	}
}

// reserve makes room for a record of n bytes, which is busy, and returns where.
func (t *testBPFRing) reserve(n int) (pos uint64, ok bool) {
	size := uint64(n+bpfHeader+7) &^ 7
	if t.headPos+size-t.tailPos > t.mem.size()-1 {
		return 0, false
	}
	pos = t.headPos
	t.put(pos, binary.LittleEndian.AppendUint32(nil, uint32(n)|busyBit))
	t.headPos += size
	return pos, true
}

// commit ends the record at pos, with flags discardBit or none.
func (t *testBPFRing) commit(pos uint64, time int64, raw string, flags uint32) {
	b := binary.LittleEndian.AppendUint64(make([]byte, bpfHeader), uint64(time))
	b = append(b, raw...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)-bpfHeader)|flags)
	t.put(pos, b)
}

// take hands out what is pending and gives it back.
func (t *testBPFRing) take() (got []string) {
	for ; t.at < len(t.idx); t.at++ {
		_, rec := t.record(t.idx[t.at].pos)
		got = append(got, fmt.Sprintf("%d:%s", t.idx[t.at].time, rec[8:]))
	}
	t.release()
	return got
}

func TestBPFRing(t *testing.T) {
	r := newTestBPFRing()
	first, _ := r.reserve(8 + 5)
	second, _ := r.reserve(8 + 3)
	third, _ := r.reserve(8 + 4)
	r.commit(second, 20, "two", 0)
	// The first is busy: the second, though whole, waits for it.
	if more := r.find(roundBytes); more || !r.busy || r.pending() {
		t.Errorf("behind a busy record: got more %v, busy %v, pending %v", more, r.busy, r.pending())
	}
	r.commit(first, 30, "first", 0)
	r.find(roundBytes)
	if got, want := r.take(), []string{"20:two", "30:first"}; !r.busy || !slices.Equal(got, want) {
		t.Errorf("in order of time: got %v, want %v", got, want)
	}
	if r.tailPos != third {
		t.Errorf("given back up to %d, want %d", r.tailPos, third)
	}
	r.commit(third, 40, "gone", discardBit)
	r.find(roundBytes)
	if r.busy || r.pending() {
		t.Errorf("a discarded record: busy %v, pending %v", r.busy, r.pending())
	}
	r.release()
	if r.tailPos != r.headPos {
		t.Errorf("given back up to %d, want %d", r.tailPos, r.headPos)
	}
}

func TestBPFRingAroundTheEnd(t *testing.T) {
	r := newTestBPFRing()
	for n := range 200 {
		text := fmt.Sprintf("%0*d", 1+n%40, n)
		pos, ok := r.reserve(8 + len(text))
		if !ok {
			t.Fatalf("record %d: no room, %d to %d", n, r.tailPos, r.headPos)
		}
		r.commit(pos, int64(n), text, 0)
		r.find(roundBytes)
		if got, want := r.take(), []string{fmt.Sprintf("%d:%s", n, text)}; !slices.Equal(got, want) {
			t.Fatalf("record %d: got %v, want %v", n, got, want)
		}
	}
	if r.corrupt != 0 || r.fill() != 0 {
		t.Errorf("got %d corrupt, fill %v", r.corrupt, r.fill())
	}
}

func TestBPFRingGivenUp(t *testing.T) {
	r := newTestBPFRing()
	r.reserve(8 + 20) // never committed
	pos, _ := r.reserve(8 + 1)
	r.commit(pos, 7, "x", 0)
	r.pass = true
	r.find(roundBytes)
	if got, want := r.take(), []string{"7:x"}; !slices.Equal(got, want) || r.busy {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBPFRingCorrupt(t *testing.T) {
	for _, word := range []uint32{0, 7, 1 << 20, discardBit | 1<<20, 1<<30 - 1} {
		r := newTestBPFRing()
		r.headPos = 64
		r.put(0, binary.LittleEndian.AppendUint32(nil, word))
		if r.find(roundBytes); r.corrupt != 1 || r.pending() || r.next != 64 {
			t.Errorf("%#x: got corrupt %d, pending %v, next %d", word, r.corrupt, r.pending(), r.next)
		}
	}
}

// FuzzBPFRing: whatever the ring holds, what is found lies within what was written, in
// order of time, and is given back no further than it was found.
func FuzzBPFRing(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9}, uint16(24), uint16(0))
	f.Add([]byte{8, 0, 0, 64, 0, 0, 0, 0}, uint16(16), uint16(248))
	f.Fuzz(func(t *testing.T, data []byte, length, from uint16) {
		r := newTestBPFRing()
		start := uint64(from) &^ 7
		r.next, r.tail, r.tailPos = start, start, start
		r.headPos = start + uint64(length)%257&^7
		r.put(start, data[:min(len(data), 256)])
		for range 40 {
			more := r.find(64)
			last := int64(-1 << 63)
			for ; r.at < len(r.idx); r.at++ {
				e := r.idx[r.at]
				_, rec := r.record(e.pos)
				if e.time < last || e.pos < start || e.pos+bpfHeader+uint64(len(rec)) > r.headPos || len(rec) < 8 {
					t.Fatalf("found %+v of %d bytes in %d to %d", e, len(rec), start, r.headPos)
				}
				last = e.time
			}
			r.release()
			if r.tailPos > r.headPos || r.tailPos < start {
				t.Fatalf("given back to %d of %d to %d", r.tailPos, start, r.headPos)
			}
			if !more {
				return
			}
		}
		t.Fatal("there is always more")
	})
}
