package perfdata

import (
	"cmp"
	"slices"
)

const (
	chunkSize = 1 << 20
	// defaultBuffer is how many bytes of records wait for their turn at most: perf
	// writes two rounds of all its rings at the worst, 2 x 512 KiB a CPU by default.
	defaultBuffer = 128 << 20
)

// item is a record that waits for its turn.
type item struct {
	rec   []byte
	time  uint64
	chunk *chunk
	// attr indexes the reader's attrs.
	attr int32
	kind uint32
	misc uint16
}

// chunk holds the bytes of records; it is used again once none of them waits.
type chunk struct {
	b    []byte
	live int
}

// queue brings records into time order, as perf's ordered_events do. A round of
// the file ends when perf has emptied every ring once: what comes later cannot be
// older than the newest of the round before.
type queue struct {
	waiting []item
	ready   []item
	// used is how much of ready was handed out already.
	used  int
	bytes int
	limit int
	// newest is the greatest time seen, bound that of the round before.
	newest, bound uint64
	// flushed is the greatest time that was handed out; late counts the records
	// that came after it though they are older.
	flushed uint64
	late    uint64
	cur     *chunk
	free    []*chunk
}

// push copies rec and lets it wait.
func (q *queue) push(it item) {
	n := len(it.rec)
	if q.cur == nil || len(q.cur.b)+n > cap(q.cur.b) {
		q.cur = q.chunk()
	}
	c := q.cur
	at := len(c.b)
	c.b = append(c.b, it.rec...)
	c.live++
	it.rec, it.chunk = c.b[at:len(c.b):len(c.b)], c
	q.bytes += n
	if it.time < q.flushed {
		q.late++
	}
	q.newest = max(q.newest, it.time)
	q.waiting = append(q.waiting, it)
}

func (q *queue) chunk() *chunk {
	if n := len(q.free); n > 0 {
		c := q.free[n-1]
		q.free = q.free[:n-1]
		return c
	}
	return &chunk{b: make([]byte, 0, chunkSize)}
}

// round ends a round: what is not newer than the round before is ready.
func (q *queue) round() {
	q.release(q.bound)
	q.bound = q.newest
}

// full reports whether no more may wait.
func (q *queue) full() bool { return q.bytes > q.limit }

// half makes the older half ready, where a file has too few rounds.
func (q *queue) half() {
	q.sort()
	if n := len(q.waiting); n > 0 {
		q.release(q.waiting[n/2].time)
	}
}

// all makes everything ready.
func (q *queue) all() { q.release(^uint64(0)) }

// sort keeps the order of the file between records of one time.
func (q *queue) sort() {
	slices.SortStableFunc(q.waiting, func(a, b item) int { return cmp.Compare(a.time, b.time) })
}

// release moves what is not newer than bound to ready, which must be empty.
func (q *queue) release(bound uint64) {
	q.sort()
	n, _ := slices.BinarySearchFunc(q.waiting, bound, func(it item, bound uint64) int {
		if it.time <= bound {
			return -1
		}
		return 1
	})
	if n == 0 {
		return
	}
	q.ready, q.used = append(q.ready[:0], q.waiting[:n]...), 0
	q.flushed = max(q.flushed, q.ready[n-1].time)
	m := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[m:])
	q.waiting = q.waiting[:m]
}

// next hands out the next ready record; its bytes hold until done.
func (q *queue) next() (it item, ok bool) {
	if q.used == len(q.ready) {
		return it, false
	}
	it = q.ready[q.used]
	q.used++
	return it, true
}

// done gives back the memory of the records handed out since, from the index on.
func (q *queue) done(from int) {
	for i := from; i < q.used; i++ {
		it := &q.ready[i]
		q.bytes -= len(it.rec)
		if it.chunk.live--; it.chunk.live == 0 {
			it.chunk.b = it.chunk.b[:0]
			if it.chunk != q.cur {
				q.free = append(q.free, it.chunk)
			}
		}
		*it = item{}
	}
}
