package perfev

import "encoding/binary"

// ringMemory is a mapped ring, or a test's. Data's length is a power of two and
// positions only grow; position p stands at Data[p % len(Data)].
type ringMemory struct {
	data []byte
	// head returns where the writer will write next; setTail gives back what lies before t.
	head    func() uint64
	setTail func(t uint64)
	// word is nil for a perf ring. For a BPF ring it returns the first word of the
	// header at an offset in data, whose records are as [ring.findCommitted] says, and
	// data is there twice.
	word func(at uint64) uint32
}

// size is how much fits into the ring.
func (m *ringMemory) size() uint64 {
	if m.word != nil {
		return uint64(len(m.data)) / 2
	}
	return uint64(len(m.data))
}

// entry is a record that was found in a ring and not yet handed out.
type entry struct {
	time int64
	pos  uint64
}

// ring reads one ring in place.
//
//	   tail          idx ...          next              head
//	----+-------------+----------------+-----------------+----
//	    | handed out, | found, in      | written by the  |
//	    | not given   | order of time  | kernel, not     |
//	    | back yet    |                | looked at       |
//
// Within a ring, times may run backwards for some records: an interrupt's event is
// written into the gap between the taking of the interrupted event's time and its
// room in the ring. They are put in order as they are found.
type ring struct {
	mem ringMemory
	// pages is where a ring of ftrace is read to, nil for the others; it has no mem.
	pages *pageMemory
	// idx[at:] are found and not handed out, in order of time.
	idx []entry
	at  int
	// next is the position behind the last record found, end the head that was
	// read last; tail is what was given back.
	next, end, tail uint64
	// scratch holds the one record of a round that goes over the end of the ring.
	scratch []byte
	// last is the time of the latest record handed out.
	last int64
	cpu  uint16
	// busy: the record at next of a BPF ring is reserved and not committed, and clear
	// is when the ring was last seen without such. pass has it taken for given up.
	busy, pass bool
	clear      int64
	// corrupt counts records whose header cannot be: the rest of that round is passed over.
	corrupt uint64
}

// roundBytes bounds what is found in one ring in one round, so that the records
// are still in the cache when they are read for the second time, and space is
// given back to the kernel at least that often.
const roundBytes = 1 << 20

// find looks at what the kernel has written, at most limit bytes of it, and
// reports whether there is more.
func (r *ring) find(limit uint64) (more bool) {
	if r.at > 0 {
		n := copy(r.idx, r.idx[r.at:])
		r.idx, r.at = r.idx[:n], 0
	}
	if r.pages != nil {
		return r.findPages(limit)
	}
	r.end = r.mem.head()
	stop := r.end
	if stop-r.next > limit {
		stop = r.next + limit
	}
	if r.mem.word != nil {
		return r.findCommitted(stop)
	}
	mask := uint64(len(r.mem.data) - 1)
	data := r.mem.data
	for r.next < stop {
		// Records are 8-byte aligned and so is the ring: a header never goes over the end.
		at := r.next & mask
		h := decodeHeader(binary.LittleEndian.Uint64(data[at : at+8]))
		if h.size < headerSize+8 || h.size&7 != 0 || r.next+uint64(h.size) > r.end {
			r.corrupt++
			r.next = r.end
			break
		}
		at += 8
		if h.kind != recordSample {
			// sample_id_all: the time is the last word of every other record.
			at += uint64(h.size) - 16
		}
		at &= mask
		r.insert(int64(binary.LittleEndian.Uint64(data[at : at+8])))
		r.next += uint64(h.size)
	}
	return r.next < r.end
}

// insert puts the record at next, of time t, among those that were found.
func (r *ring) insert(t int64) {
	r.idx = append(r.idx, entry{time: t, pos: r.next})
	for i := len(r.idx) - 1; i > 0 && r.idx[i-1].time > t; i-- {
		r.idx[i-1], r.idx[i] = r.idx[i], r.idx[i-1]
	}
}

// record returns the record at position pos. A record that goes over the end of
// the ring is put together in scratch, which find's limit keeps to one a round.
func (r *ring) record(pos uint64) (h header, rec []byte) {
	if r.pages != nil {
		return r.page(pos)
	}
	size := r.mem.size()
	at := pos & (size - 1)
	if r.mem.word != nil {
		return r.committed(at)
	}
	h = decodeHeader(binary.LittleEndian.Uint64(r.mem.data[at : at+8]))
	if end := at + uint64(h.size); end <= size {
		return h, r.mem.data[at:end:end]
	}
	r.scratch = append(r.scratch[:0], r.mem.data[at:]...)
	r.scratch = append(r.scratch, r.mem.data[:uint64(h.size)-(size-at)]...)
	return h, r.scratch
}

// release gives back everything that was handed out.
func (r *ring) release() {
	t := r.next
	for _, e := range r.idx[r.at:] {
		t = min(t, e.pos)
	}
	if r.pages != nil {
		r.releasePages(t)
		return
	}
	if t != r.tail {
		r.tail = t
		r.mem.setTail(t)
	}
}

// fill returns how full the ring is, 0 to 1, by the head that find saw.
func (r *ring) fill() float64 {
	if p := r.pages; p != nil {
		return min(1, float64(p.since)/float64(p.capacity))
	}
	return float64(r.end-r.tail) / float64(r.mem.size())
}

// pending reports whether records were found and not handed out.
func (r *ring) pending() bool { return r.at < len(r.idx) }
