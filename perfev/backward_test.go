package perfev

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// backRing is an overwritable ring in ordinary memory with a writer that behaves as the
// kernel's.
type backRing struct {
	ring
	pos uint64
}

func newBackRing(size int) *backRing {
	t := &backRing{}
	t.mem = ringMemory{data: make([]byte, size), head: func() uint64 { return t.pos }}
	return t
}

func (t *backRing) write(rec []byte) {
	t.pos -= uint64(len(rec))
	for i, b := range rec {
		t.mem.data[(t.pos+uint64(i))%uint64(len(t.mem.data))] = b
	}
}

// found returns the texts of the samples that were found, in their order.
func (t *backRing) found() (list []string) {
	for ; t.pending(); t.at++ {
		h, rec := t.record(t.idx[t.at].pos)
		if h.kind == recordSample {
			list = append(list, string(sampleRaw(rec)[:4]))
		}
	}
	return list
}

func TestBackward(t *testing.T) {
	rec := func(n int) []byte { return sample(int64(n), fmt.Appendf(nil, "%04d", n)) } // 24 bytes
	numbers := func(from, to int) (list []string) {
		for n := from; n <= to; n++ {
			list = append(list, fmt.Sprintf("%04d", n))
		}
		return list
	}
	for _, c := range []struct {
		name string
		// size of the ring, records written before the dump before and after it
		size, before, after int
		want                []string
	}{
		{"nothing", 64, 0, 0, nil},
		//  0        -24  = 40 mod 64
		//  |         | 1 |
		{"one", 64, 0, 1, numbers(1, 1)},
		//  16   40
		//  | 2  | 1  |
		{"two", 64, 0, 2, numbers(1, 2)},
		//    ..3 |16     40    |56
		//  3 ____| 2     | 1 ..| 3 __   1 is cut
		{"the first is cut", 64, 0, 3, numbers(2, 3)},
		{"a hundred", 64, 0, 100, numbers(99, 100)},
		{"exactly full", 96, 0, 4, numbers(1, 4)},
		{"exactly full again", 96, 0, 400, numbers(397, 400)},
		{"nothing since", 96, 3, 0, nil},
		{"some since", 96, 3, 2, numbers(4, 5)},
		{"as many since as fit", 96, 2, 4, numbers(3, 6)},
		{"more since than fit", 96, 2, 5, numbers(4, 7)},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Of 96 bytes no ring can be: then records of 32 are in one of 128, four fill it.
			size, make := c.size, rec
			if size == 96 {
				size = 128
				make = func(n int) []byte { return sample(int64(n), fmt.Appendf(nil, "%04d    ....", n)) } // 32 bytes
			}
			r := newBackRing(size)
			n := 0
			for range c.before {
				n++
				r.write(make(n))
			}
			since := r.pos
			for range c.after {
				n++
				r.write(make(n))
			}
			if head := r.findBackward(since); head != r.pos {
				t.Errorf("head: got %d, want %d", head, r.pos)
			}
			if got := r.found(); !slices.Equal(got, c.want) || r.corrupt > 0 {
				t.Errorf("got %v, %d corrupt, want %v", got, r.corrupt, c.want)
			}
		})
	}
}

func TestBackwardOrder(t *testing.T) {
	r := newBackRing(4096)
	// An interrupt's record, of a later time, is in the ring before that of whom it
	// interrupted; and the count of what was lost stands before the next sample.
	for i, at := range []int64{10, 30, 20, 40} {
		r.write(sample(at, fmt.Appendf(nil, "%04d", i)))
	}
	r.write(other(recordLost, 50, make([]byte, 16)))
	r.write(sample(60, []byte("last")))
	r.findBackward(0)
	if got, want := r.found(), []string{"0000", "0002", "0001", "0003", "last"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct {
		lo, hi int64
		want   []string
		later  int
	}{
		{0, 100, []string{"0010", "0020", "0030"}, 0},
		{11, 29, []string{"0020"}, 1},
		{10, 30, []string{"0010", "0020", "0030"}, 0},
		{31, 100, nil, 0},
		{0, 9, nil, 3},
		{21, 20, nil, 1},
	} {
		r := newBackRing(4096)
		for _, at := range []int64{10, 20, 30} {
			r.write(sample(at, fmt.Appendf(nil, "%04d", at)))
		}
		r.findBackward(0)
		later := r.between(c.lo, c.hi)
		if got := r.found(); !slices.Equal(got, c.want) || len(later) != c.later {
			t.Errorf("%d to %d: got %v and %d later, want %v and %d", c.lo, c.hi, got, len(later), c.want, c.later)
		}
	}
}

// TestBackwardPrefix overwrites ever more of the oldest records: whatever is cut is
// left out, and nothing else.
func TestBackwardPrefix(t *testing.T) {
	for extra := 8; extra <= 512; extra += 8 {
		r := newBackRing(1024)
		n := 0
		for ; n < 32; n++ { // 32 x 32 bytes: full
			r.write(sample(int64(n), fmt.Appendf(nil, "%04d        ", n)))
		}
		if extra < 24 {
			continue // no sample is so short
		}
		long := sample(int64(n), append([]byte("long"), make([]byte, extra-24)...))
		r.write(long)
		gone := (len(long) + 31) / 32
		r.findBackward(0)
		got := r.found()
		if len(got) != 32-gone+1 || got[0] != fmt.Sprintf("%04d", gone) || got[len(got)-1] != "long" || r.corrupt > 0 {
			t.Fatalf("%d bytes: got %v, %d corrupt, want %d of 32", len(long), got, r.corrupt, 32-gone)
		}
	}
}

// TestBackwardRandom compares with a list of what was written.
func TestBackwardRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := newBackRing(1024)
	var sizes []int
	n, since, handed := 0, uint64(0), 0
	for range 300 {
		for range rng.IntN(40) {
			rec := sample(int64(n), fmt.Appendf(nil, "%04d%s", n%10000, make([]byte, rng.IntN(60))))
			r.write(rec)
			sizes = append(sizes, len(rec))
			n++
		}
		first := n
		for used := 0; first > handed && used+sizes[first-1] <= 1024; first-- {
			used += sizes[first-1]
		}
		since = r.findBackward(since)
		got := r.found()
		if len(got) != n-first {
			t.Fatalf("got %d of the %d records that fit", len(got), n-first)
		}
		for i, s := range got {
			if want := fmt.Sprintf("%04d", (first+i)%10000); s != want {
				t.Fatalf("record %d: got %s, want %s", first+i, s, want)
			}
		}
		handed = n
	}
}

func FuzzBackward(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	f.Add(sample(1, []byte("text")), ^uint64(23), uint64(0))
	f.Add(append(sample(2, []byte("text")), sample(1, []byte("text"))...), uint64(0), uint64(48))
	f.Add(make([]byte, 128), uint64(8), uint64(4000))
	f.Fuzz(func(t *testing.T, data []byte, head, since uint64) {
		size := 64
		for size < len(data) && size < 1<<12 {
			size *= 2
		}
		// The kernel's heads are multiples of 8.
		head, since = head&^7, since&^7
		r := newBackRing(size)
		copy(r.mem.data, data)
		r.pos = head
		r.findBackward(since)
		// Whatever the bytes are: records lie whole within the ring, none in another, and
		// all that was found is before since.
		reach := min(since-head, uint64(size))
		var spans []entry
		for i, e := range r.idx {
			h, rec := r.record(e.pos)
			if len(rec) != int(h.size) || e.pos-head+uint64(h.size) > reach {
				t.Fatalf("record at %d of %d bytes reaches past %d", e.pos-head, h.size, reach)
			}
			if i > 0 && r.idx[i-1].time > e.time {
				t.Fatal("times run backwards")
			}
			spans = append(spans, entry{pos: e.pos - head, time: int64(h.size)})
		}
		slices.SortFunc(spans, func(a, b entry) int { return int(a.pos) - int(b.pos) })
		next := uint64(0)
		for _, s := range spans {
			if s.pos != next {
				t.Fatalf("a record begins at %d, the one before ends at %d", s.pos, next)
			}
			next += uint64(s.time)
		}
		later := r.between(int64(len(data)), int64(since))
		for _, e := range r.idx[r.at:] {
			if e.time < int64(len(data)) || e.time > int64(since) {
				t.Fatal("a record is out of the time that was asked for")
			}
		}
		for _, e := range later {
			if e.time <= int64(since) {
				t.Fatal("a record of the time that was asked for is taken for a later one")
			}
		}
	})
}

func TestHeld(t *testing.T) {
	q := held{limit: 1 << 20}
	for _, at := range []int64{10, 30, 20, 40} {
		q.add(heldRecord{time: at, rec: binary.LittleEndian.AppendUint64(nil, uint64(at))})
	}
	var got []int64
	take := func(r *heldRecord) {
		if binary.LittleEndian.Uint64(r.rec) != uint64(r.time) {
			t.Errorf("record of %d has the bytes %v", r.time, r.rec)
		}
		got = append(got, r.time)
	}
	q.apply(10, take)
	if len(got) != 0 {
		t.Errorf("got %v, want nothing before 10", got)
	}
	q.apply(31, take)
	// One that comes late, before what is held.
	q.add(heldRecord{time: 25, rec: binary.LittleEndian.AppendUint64(nil, 25)})
	q.apply(100, take)
	if want := []int64{10, 20, 30, 25, 40}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if q.size != 0 || q.early != 0 || len(q.list) != 0 {
		t.Errorf("left: %d bytes, %d early, %d records", q.size, q.early, len(q.list))
	}
}

func TestHeldBound(t *testing.T) {
	q := held{limit: 10 * (heldSize + 8)}
	n := int64(0)
	for i := range int64(10_000) {
		q.add(heldRecord{time: i, rec: make([]byte, 8)})
		q.apply(0, func(r *heldRecord) {
			if r.time != n {
				t.Fatalf("got %d, want %d", r.time, n)
			}
			n++
		})
		if q.size > q.limit {
			t.Fatalf("%d bytes are held, %d are allowed", q.size, q.limit)
		}
	}
	if n != 9990 || q.early != 9990 || cap(q.list) > 8192 {
		t.Errorf("got %d applied, %d early, room for %d, want 9990, 9990, few", n, q.early, cap(q.list))
	}
}

func TestMarks(t *testing.T) {
	m := marks{size: 1600}
	// 100 bytes each 10 ns from time 0 on; at time t the ring holds what is younger
	// than t - 160.
	for at := int64(0); at < 1000; at += 10 {
		m.see(at, uint64(-at*10))
		want := max(0, at-160)
		if m.gone > want || m.gone < want-10 {
			t.Fatalf("at %d: gone until %d, want %d", at, m.gone, want)
		}
		if len(m.list) > markParts+2 {
			t.Fatalf("%d marks", len(m.list))
		}
	}
	// A ring into which nothing is written reaches back for ever.
	gone := m.gone
	for at := int64(1000); at < 5000; at += 10 {
		m.see(at, ^uint64(9900)+1)
	}
	if m.gone != gone {
		t.Errorf("gone: got %d, want %d", m.gone, gone)
	}
}
