package perfev

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// testRing is a ring in ordinary memory with a writer that behaves as the kernel's.
type testRing struct {
	ring
	headPos, tailPos uint64
	dropped          int
}

func newTestRing(size int) *testRing {
	t := &testRing{}
	t.mem = ringMemory{
		data:    make([]byte, size),
		head:    func() uint64 { return t.headPos },
		setTail: func(v uint64) { t.tailPos = v },
	}
	return t
}

// write puts a record into the ring, or drops it where there is no room.
func (t *testRing) write(rec []byte) bool {
	size := uint64(len(t.mem.data))
	if t.headPos+uint64(len(rec))-t.tailPos > size {
		t.dropped++
		return false
	}
	for i, b := range rec {
		t.mem.data[(t.headPos+uint64(i))%size] = b
	}
	t.headPos += uint64(len(rec))
	return true
}

// sample makes PERF_RECORD_SAMPLE of TIME|RAW as the kernel pads it.
func sample(time int64, raw []byte) []byte {
	size := (sampleHead + len(raw) + 7) &^ 7
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b, recordSample)
	binary.LittleEndian.PutUint16(b[6:], uint16(size))
	binary.LittleEndian.PutUint64(b[8:], uint64(time))
	binary.LittleEndian.PutUint32(b[16:], uint32(size-sampleHead))
	copy(b[sampleHead:], raw)
	return b
}

// other makes a record of another kind with sample_id_all's trailer.
func other(kind uint32, time int64, body []byte) []byte {
	size := (headerSize + len(body) + 8 + 7) &^ 7
	b := make([]byte, size)
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint16(b[6:], uint16(size))
	copy(b[8:], body)
	binary.LittleEndian.PutUint64(b[size-8:], uint64(time))
	return b
}

func TestRingOverTheEnd(t *testing.T) {
	// 40-byte records in a ring of 4096 bytes: every hundredth goes over the end.
	tr := newTestRing(4096)
	n, got := 0, 0
	for range 500 {
		for tr.write(sample(int64(n), fmt.Appendf(nil, "%015d", n))) {
			n++
		}
		tr.find(roundBytes)
		for ; tr.pending(); tr.at++ {
			_, rec := tr.record(tr.idx[tr.at].pos)
			raw := sampleRaw(rec)
			if want := fmt.Sprintf("%015d", got); string(raw[:15]) != want {
				t.Fatalf("record %d: got %q, want %q", got, raw[:15], want)
			}
			got++
		}
		tr.release()
		if tr.tailPos != tr.headPos {
			t.Fatalf("tail %d, want the head %d", tr.tailPos, tr.headPos)
		}
	}
	if got != n || n < 40000 {
		t.Errorf("got %d records of %d", got, n)
	}
}

func TestRingOrder(t *testing.T) {
	// An interrupt's record stands before that of the event it interrupted.
	tr := newTestRing(4096)
	for _, tm := range []int64{10, 30, 20, 40, 15, 50} {
		tr.write(sample(tm, []byte{1}))
	}
	tr.find(roundBytes)
	var got []int64
	for _, e := range tr.idx {
		got = append(got, e.time)
	}
	if want := []int64{10, 15, 20, 30, 40, 50}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRingReleaseKeepsWhatIsPending(t *testing.T) {
	tr := newTestRing(4096)
	for _, tm := range []int64{10, 40, 20, 30} {
		tr.write(sample(tm, []byte{1}))
	}
	tr.find(roundBytes)
	tr.at = 3 // 10, 20 and 30 are handed out; 40 stands second in the ring
	tr.release()
	if want := uint64(24); tr.tailPos != want {
		t.Errorf("tail %d, want %d: the record with time 40 is not handed out", tr.tailPos, want)
	}
	tr.at = 4
	tr.release()
	if tr.tailPos != tr.headPos {
		t.Errorf("tail %d, want %d", tr.tailPos, tr.headPos)
	}
}

func TestRingCorrupt(t *testing.T) {
	tests := []struct {
		name string
		size uint16
	}{
		{"size zero", 0},
		{"shorter than header and time", 8},
		{"unaligned", 27},
		{"past the head", 4000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTestRing(4096)
			tr.write(sample(1, []byte{1}))
			bad := sample(2, []byte{2})
			binary.LittleEndian.PutUint16(bad[6:], tt.size)
			tr.write(bad)
			tr.find(roundBytes)
			if len(tr.idx) != 1 || tr.corrupt != 1 || tr.next != tr.headPos {
				t.Errorf("got %d records, %d corrupt, next %d; want 1, 1, %d", len(tr.idx), tr.corrupt, tr.next, tr.headPos)
			}
		})
	}
}

// FuzzRing: whatever bytes stand in a ring, reading ends, stays inside, and gives back everything.
func FuzzRing(f *testing.F) {
	f.Add(append(sample(5, []byte("abc")), other(recordLost, 6, make([]byte, 16))...), uint16(0))
	f.Add([]byte{9, 0, 0, 0, 0, 0, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8}, uint16(4090))
	f.Fuzz(func(t *testing.T, b []byte, start uint16) {
		if len(b) > 4096 {
			b = b[:4096]
		}
		b = b[:len(b)&^7]
		tr := newTestRing(4096)
		tr.headPos = uint64(start) &^ 7
		tr.tailPos, tr.tail, tr.next = tr.headPos, tr.headPos, tr.headPos
		tr.write(b)
		for tr.find(256) {
			for ; tr.pending(); tr.at++ {
				visitAny(&tr.ring, tr.idx[tr.at])
			}
			tr.release()
		}
		for ; tr.pending(); tr.at++ {
			visitAny(&tr.ring, tr.idx[tr.at])
		}
		tr.release()
		if tr.tailPos != tr.headPos {
			t.Errorf("tail %d, want %d", tr.tailPos, tr.headPos)
		}
	})
}

func visitAny(r *ring, e entry) {
	_, rec := r.record(e.pos)
	sampleRaw(rec)
	decodeTask(rec)
	decodeComm(rec)
}

func TestMergeIsInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var rings []*ring
		var want []int64
		bound := int64(500)
		for range 1 + rng.IntN(9) {
			r := &ring{}
			tm := int64(0)
			for range rng.IntN(40) {
				tm += int64(rng.IntN(30))
				r.idx = append(r.idx, entry{time: tm})
				if tm < bound {
					want = append(want, tm)
				}
			}
			rings = append(rings, r)
		}
		slices.Sort(want)
		var got []int64
		var m merger
		m.merge(rings, bound, func(_ *ring, e entry) { got = append(got, e.time) })
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: got %v, want %v", round, got, want)
		}
		for _, r := range rings {
			if r.pending() && r.idx[r.at].time < bound {
				t.Fatalf("round %d: %d was left", round, r.idx[r.at].time)
			}
		}
	}
}

func TestDecodeEveryPrefix(t *testing.T) {
	comm := other(recordComm, 7, append([]byte{1, 0, 0, 0, 2, 0, 0, 0}, "a name\x00\x00"...))
	pid, tid, name, ok := decodeComm(comm)
	if !ok || pid != 1 || tid != 2 || string(name) != "a name" {
		t.Errorf("comm: got %d %d %q %v", pid, tid, name, ok)
	}
	for i := range comm {
		decodeComm(comm[:i])
		decodeTask(comm[:i])
		sampleRaw(comm[:i])
	}
	fork := other(recordFork, 7, []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0})
	if got, ok := decodeTask(fork); !ok || got != (taskRecord{1, 2, 3, 4}) {
		t.Errorf("fork: got %+v %v", got, ok)
	}
	if raw := sampleRaw(sample(1, []byte("0123"))); !bytes.Equal(raw, []byte("0123")) {
		t.Errorf("sample: got %q", raw)
	}
}

func TestParseCPUs(t *testing.T) {
	tests := []struct {
		in   string
		want []int
	}{
		{"0", []int{0}}, {"0-3", []int{0, 1, 2, 3}}, {"4,0-1,1", []int{0, 1, 4}}, {"0, 2", []int{0, 2}},
		{"", nil}, {"3-1", nil}, {"a", nil}, {"0-", nil}, {"99999", nil}, {"-1", nil},
	}
	for _, tt := range tests {
		got, err := ParseCPUs(tt.in)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("ParseCPUs(%q): got %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestRoundRing(t *testing.T) {
	tests := []struct{ in, want int }{{1, 4096}, {4096, 4096}, {4097, 8192}, {5 << 20, 8 << 20}, {64 << 20, 64 << 20}, {0, 0}, {2 << 30, 0}}
	for _, tt := range tests {
		if got, err := RoundRing(tt.in, 4096); got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("RoundRing(%d): got %d, %v, want %d", tt.in, got, err, tt.want)
		}
	}
}

// BenchmarkRing is finding the records of a full ring and looking at each once, a
// record's time in ns/record. An operation has the filling of the ring in it as well.
func BenchmarkRing(b *testing.B) {
	tr := newTestRing(1 << 20)
	rec := sample(1, make([]byte, 64))
	b.ReportAllocs()
	spent, records := time.Duration(0), 0
	for b.Loop() {
		for tr.write(rec) {
		}
		began := time.Now()
		tr.find(roundBytes)
		for ; tr.pending(); tr.at++ {
			visitAny(&tr.ring, tr.idx[tr.at])
			records++
		}
		tr.release()
		spent += time.Since(began)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(records), "ns/record")
}
