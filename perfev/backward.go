package perfev

import (
	"encoding/binary"
	"slices"
	"sort"
)

// findBackward finds what an overwritable ring holds that was written since its head
// was at since. The writer must stand still. Such a ring is written towards lower
// positions, each record in front of the one before it, so that its head is the
// newest; positions count down from 0 and wrap as the kernel's u64 does:
//
//	   head                                              head+size
//	----+----------+----------+-- ... --+----------+--------+----
//	    | newest   | the one  |         | oldest   | its    |
//	    | record   | before   |         | whole    | head   |
//	----+----------+----------+-- ... --+----------+--------+----
//	 never         |                     since, where        \ and what was its rest
//	 written ------+                     nothing was lost      is the newest record
//
// Where less was written than the ring holds, all that lies before since is whole.
// Else the record that goes over head+size is cut: its rest was overwritten, its
// header was not, which is how it is known.
//
// What it found stands in idx in order of time, nothing of it handed out. It returns
// the head.
func (r *ring) findBackward(since uint64) (head uint64) {
	head = r.mem.head()
	size := r.mem.size()
	r.idx, r.at = r.idx[:0], 0
	r.next, r.end = head, since
	if since-head > size {
		r.end = head + size
	}
	for r.next != r.end {
		h := decodeHeader(binary.LittleEndian.Uint64(r.mem.data[r.next&(size-1):]))
		n := uint64(h.size)
		if n > r.end-r.next && r.end != since {
			break // cut
		}
		if n < headerSize+8 || n&7 != 0 || n > r.end-r.next {
			r.corrupt++
			break
		}
		at := r.next + headerSize
		if h.kind != recordSample {
			at = r.next + n - 8
		}
		r.idx = append(r.idx, entry{
			time: int64(binary.LittleEndian.Uint64(r.mem.data[at&(size-1):])),
			pos:  r.next,
		})
		r.next += n
	}
	// Almost in order of time, as in a ring that is written forwards.
	slices.Reverse(r.idx)
	for i := range r.idx {
		for k := i; k > 0 && r.idx[k-1].time > r.idx[k].time; k-- {
			r.idx[k-1], r.idx[k] = r.idx[k], r.idx[k-1]
		}
	}
	return head
}

// between leaves those of the found records with a time from lo to hi, both included,
// to be handed out, and returns those that are later. They stand in idx.
func (r *ring) between(lo, hi int64) (later []entry) {
	from := sort.Search(len(r.idx), func(i int) bool { return r.idx[i].time >= lo })
	to := sort.Search(len(r.idx), func(i int) bool { return r.idx[i].time > hi })
	later = r.idx[to:]
	r.idx = r.idx[:to]
	r.at = min(from, to)
	return later
}
