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
	// rec is a sample's raw data, the body of every other record.
	rec   []byte
	time  uint64
	chunk *chunk
	// attr indexes the reader's attrs.
	attr int32
	kind uint32
	// pid, tid and cpu are of samples.
	pid, tid int32
	cpu      uint16
	misc     uint16
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
	// first are records that take effect before all that wait.
	first []item
	// waiting are the others; of these, those up to head are gone, and due more may go.
	waiting   []item
	head, due int
	// bytes is what waits, out what was handed out and not given back; limit is the most
	// that may wait, and that both are where out is not 0.
	bytes, out, limit int
	// unsorted is true where a record of waiting is older than the one before it.
	unsorted bool
	// newest is the greatest time seen, bound that of the round before.
	newest, bound uint64
	// flushed is the greatest time that was due; late counts the records that came
	// after it though they are older.
	flushed uint64
	late    uint64
	cur     *chunk
	free    []*chunk
}

// at copies rec and has it take effect before what waits.
func (q *queue) at(it item) {
	q.keep(&it)
	q.first = append(q.first, it)
}

// push copies rec and lets it wait. Nothing may be due.
func (q *queue) push(it item) {
	q.keep(&it)
	if it.time < q.flushed {
		q.late++
	}
	if it.time >= q.newest {
		q.newest = it.time
	} else if n := len(q.waiting); n > 0 && it.time < q.waiting[n-1].time {
		q.unsorted = true
	}
	q.waiting = append(q.waiting, it)
}

// keep copies the bytes of it.
func (q *queue) keep(it *item) {
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
}

func (q *queue) chunk() *chunk {
	if n := len(q.free); n > 0 {
		c := q.free[n-1]
		q.free = q.free[:n-1]
		return c
	}
	return &chunk{b: make([]byte, 0, chunkSize)}
}

// round ends a round: what is not newer than the round before is due.
func (q *queue) round() {
	q.release(q.bound)
	q.bound = q.newest
}

// full reports whether no more may wait.
func (q *queue) full() bool { return q.bytes > q.limit }

// crowded reports whether to wait for what was handed out.
func (q *queue) crowded() bool { return q.out > 0 && q.bytes+q.out > q.limit }

// half makes the older half due, where a file has too few rounds.
func (q *queue) half() {
	q.sort()
	if n := len(q.waiting); n > 0 {
		q.release(q.waiting[n/2].time)
	}
}

// all makes everything due.
func (q *queue) all() { q.release(^uint64(0)) }

// sort keeps the order of the file between records of one time.
func (q *queue) sort() {
	if q.unsorted {
		slices.SortStableFunc(q.waiting, func(a, b item) int { return cmp.Compare(a.time, b.time) })
		q.unsorted = false
	}
}

// release makes due what is not newer than bound. Nothing may be due before.
func (q *queue) release(bound uint64) {
	q.sort()
	q.due, _ = slices.BinarySearchFunc(q.waiting, bound, func(it item, bound uint64) int {
		if it.time <= bound {
			return -1
		}
		return 1
	})
	if q.due > 0 {
		q.flushed = max(q.flushed, q.waiting[q.due-1].time)
	}
}

// ready reports whether there is something to be handed out.
func (q *queue) ready() bool { return q.due > 0 || len(q.first) > 0 }

// take moves to r what is to be handed out, as far as r has room.
func (q *queue) take(r *round) {
	from := len(r.items)
	r.items = append(r.items, q.first...)
	q.first = q.first[:0]
	n := min(q.due, max(0, roundRecords-len(r.items)))
	r.items = append(r.items, q.waiting[q.head:q.head+n]...)
	q.head += n
	q.due -= n
	bytes := 0
	for i := range r.items[from:] {
		bytes += len(r.items[from+i].rec)
	}
	r.bytes += bytes
	q.bytes -= bytes
	if q.due > 0 {
		return
	}
	// What stays behind the end points into chunks that are kept as well.
	m := copy(q.waiting, q.waiting[q.head:])
	q.waiting, q.head = q.waiting[:m], 0
}

// done takes back the memory of what take had moved to r.
func (q *queue) done(r *round) {
	for i := range r.items {
		c := r.items[i].chunk
		if c.live--; c.live == 0 {
			c.b = c.b[:0]
			if c != q.cur {
				q.free = append(q.free, c)
			}
		}
	}
	q.out -= r.bytes
	r.items, r.bytes = r.items[:0], 0
}
