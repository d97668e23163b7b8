package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe/perfev/internal/pages"
)

// testPages is a ring of ftrace whose pages are made by a test.
type testPages struct {
	ring
	queue [][]byte
	clock int64
	err   error
}

func newTestPages(sub int) *testPages {
	t := &testPages{clock: math.MaxInt64}
	t.pages = &pageMemory{sub: uint64(sub), first: make([]byte, sub), capacity: uint64(16 * sub), now: func() int64 { return t.clock }, read: func(dst []byte) (int, error) {
		if len(t.queue) == 0 {
			return 0, t.err
		}
		n := copy(dst, t.queue[0])
		t.queue = t.queue[1:]
		return n, nil
	}}
	return t
}

// tracePage makes a page of 4096 bytes of records of 8 bytes with these times.
func tracePage(times ...int64) []byte {
	const sub = 4096
	b := binary.LittleEndian.AppendUint64(nil, uint64(times[0]))
	b = binary.LittleEndian.AppendUint64(b, uint64(12*len(times)))
	last := times[0]
	for _, t := range times {
		b = binary.LittleEndian.AppendUint32(b, 2|uint32(t-last)<<5)
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
		last = t
	}
	return append(b, make([]byte, sub-len(b))...)
}

// take hands out what was found before bound.
func (t *testPages) take(bound int64) (times []int64) {
	for t.pending() && t.idx[t.at].time < bound {
		h, rec := t.record(t.idx[t.at].pos)
		if h.kind != recordPage || len(rec) != 8 {
			panic(fmt.Sprintf("kind %d, %d bytes", h.kind, len(rec)))
		}
		if at := int64(binary.LittleEndian.Uint64(rec)); at != t.idx[t.at].time {
			panic(fmt.Sprintf("time %d, the record says %d", t.idx[t.at].time, at))
		}
		times = append(times, t.idx[t.at].time)
		t.at++
	}
	t.release()
	return times
}

func TestPagesInARow(t *testing.T) {
	tr := newTestPages(4096)
	next, got := int64(1), int64(0)
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		for range r.IntN(4) {
			var times []int64
			for range 1 + r.IntN(300) {
				next++
				times = append(times, next)
			}
			tr.queue = append(tr.queue, tracePage(times...))
		}
		for tr.find(roundBytes) {
			if len(tr.queue) == 0 {
				t.Fatal("there is no more")
			}
		}
		// The last hundred are too young.
		for _, tm := range tr.take(next - 100) {
			if got = max(got, 1) + 1; tm != got {
				t.Fatalf("got %d, want %d", tm, got)
			}
		}
	}
	if tr.corrupt != 0 || got < 10000 {
		t.Errorf("%d corrupt of %d", tr.corrupt, got)
	}
}

// With all slots taken by what is not handed out, nothing is read over it.
func TestPagesAreFull(t *testing.T) {
	tr := newTestPages(4096)
	for i := range int64(40) {
		tr.queue = append(tr.queue, tracePage(10*i+1, 10*i+2))
	}
	if more := tr.find(math.MaxUint64); !more || !tr.pressed() || len(tr.queue) != 40-pageSlots {
		t.Errorf("more %v, pressed %v, %d pages left, want true, true, %d", more, tr.pressed(), len(tr.queue), 40-pageSlots)
	}
	if tm, ok := tr.unread(); !ok || tm != 10*(pageSlots-1)+2 {
		t.Errorf("the rest begins at %d, %v", tm, ok)
	}
	if got := tr.take(13); !slices.Equal(got, []int64{1, 2, 11, 12}) {
		t.Errorf("got %v", got)
	}
	tr.find(math.MaxUint64)
	if len(tr.queue) != 40-pageSlots-2 {
		t.Errorf("%d pages left, want %d", len(tr.queue), 40-pageSlots-2)
	}
	n := len(tr.take(math.MaxInt64))
	tr.find(math.MaxUint64)
	if n += len(tr.take(math.MaxInt64)); n != 76 || tr.find(1) || tr.pressed() {
		t.Errorf("got %d records, want 76", n)
	}
	if _, ok := tr.unread(); ok {
		t.Error("the empty ring has more")
	}
}

// What is younger than the look at the ring ends it: of the page that is being written
// no piece is taken after the other.
func TestPagesOfTheWriter(t *testing.T) {
	tr := newTestPages(4096)
	tr.clock = 100
	tr.queue = [][]byte{tracePage(1, 99), tracePage(99, 100), tracePage(101)}
	if more := tr.find(roundBytes); more || len(tr.queue) != 1 || len(tr.idx) != 4 {
		t.Errorf("more %v, %d pages left, %d found, want false, 1, 4", more, len(tr.queue), len(tr.idx))
	}
}

func TestPagesThatCannotBe(t *testing.T) {
	tr := newTestPages(4096)
	bad := tracePage(5, 6)
	binary.LittleEndian.PutUint64(bad[8:], 5000)
	cut := tracePage(7, 8)
	binary.LittleEndian.PutUint64(cut[8:], 20)
	tr.queue = [][]byte{bad, cut, tracePage(9)}
	tr.find(roundBytes)
	if got := tr.take(math.MaxInt64); !slices.Equal(got, []int64{7, 9}) || tr.corrupt != 2 {
		t.Errorf("got %v, %d corrupt, want [7 9], 2", got, tr.corrupt)
	}
	tr.err = errors.New("gone")
	if tr.find(roundBytes) || tr.pages.err == nil {
		t.Error("a ring that cannot be read is not told")
	}
}

func TestPagesAllocateNothing(t *testing.T) {
	tr := newTestPages(4096)
	page := tracePage(1, 2, 3, 4, 5)
	tr.pages.read = func(dst []byte) (int, error) { return copy(dst, page), nil }
	turn := func() {
		tr.find(8 * 4096)
		for ; tr.pending(); tr.at++ {
			tr.record(tr.idx[tr.at].pos)
		}
		tr.release()
	}
	turn()
	if n := testing.AllocsPerRun(50, turn); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// BenchmarkPages is finding records in pages of 64 KiB and looking at each once, without
// the kernel's copying.
func BenchmarkPages(b *testing.B) {
	const sub = 64 << 10
	page := binary.LittleEndian.AppendUint64(nil, 1)
	page = append(page, make([]byte, 8)...)
	n := 0
	for ; len(page) < sub-72; n++ {
		page = binary.LittleEndian.AppendUint32(page, 16|300<<5)
		page = append(page, make([]byte, 64)...)
	}
	binary.LittleEndian.PutUint64(page[8:], uint64(len(page)-pages.HeaderSize))
	page = page[:sub:sub]
	tr := newTestPages(sub)
	tr.pages.read = func(dst []byte) (int, error) { copy(dst[:16], page); return sub, nil }
	tr.pages.slots = make([]byte, pageSlots*sub)
	for i := range uint64(pageSlots) {
		copy(tr.pages.slot(i), page)
	}
	b.ReportAllocs()
	sum, records := 0, 0
	for b.Loop() {
		tr.find(roundBytes)
		for ; tr.pending(); tr.at++ {
			_, rec := tr.record(tr.idx[tr.at].pos)
			sum += int(rec[4])
			records++
		}
		tr.release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
}
