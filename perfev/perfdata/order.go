package perfdata

import (
	"cmp"
	"io"
	"slices"
)

const (
	// chunkSize is larger than the largest record, 64 KiB.
	chunkSize = 1 << 20
	// defaultBuffer is how many bytes of the file wait for their turn at most: perf
	// writes two rounds of all its rings at the worst, 2 x 512 KiB a CPU by default.
	defaultBuffer = 128 << 20
)

// item is a record that waits for its turn. It has no pointers, so that hundreds of
// thousands of them are nothing to the garbage collector.
type item struct {
	time uint64
	// chunk numbers the one that has the record; from and n say where in it a sample's
	// raw data is, or the body of every other record.
	chunk, from uint32
	// held is how much of the file is kept for it.
	held uint32
	// attr indexes the reader's attrs.
	attr int32
	// pid, tid and cpu are of samples.
	pid, tid           int32
	n, cpu, kind, misc uint16
}

// chunk is a part of the file; it is used again once none of its records waits.
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
	// chunks are all there are, free those of no use at the moment. cur is being read
	// into, up to end; what stands before pos was parsed, and before kept is kept for
	// some record.
	chunks    []*chunk
	free      []uint32
	cur       uint32
	pos, kept int
	end       int
}

// start gives the queue its first chunk.
func (q *queue) start() {
	q.chunks = []*chunk{{b: make([]byte, chunkSize), live: 1}}
}

// peek returns the next n bytes of in, at most 64 KiB, which become those of records;
// false where there are not so many.
func (q *queue) peek(in io.Reader, n int) ([]byte, bool) {
	if q.end-q.pos < n && !q.read(in, n) {
		return nil, false
	}
	return q.chunks[q.cur].b[q.pos : q.pos+n], true
}

// read reads on until there are n bytes behind pos. Those that do not fit into the chunk
// begin another.
func (q *queue) read(in io.Reader, n int) bool {
	if q.pos+n > chunkSize {
		rest := q.chunks[q.cur].b[q.pos:q.end]
		old := q.cur
		if k := len(q.free); k > 0 {
			q.cur, q.free = q.free[k-1], q.free[:k-1]
		} else {
			q.cur, q.chunks = uint32(len(q.chunks)), append(q.chunks, &chunk{b: make([]byte, chunkSize)})
		}
		q.chunks[q.cur].live++
		q.end = copy(q.chunks[q.cur].b, rest)
		q.pos, q.kept = 0, 0
		q.drop(old)
	}
	got, err := io.ReadAtLeast(in, q.chunks[q.cur].b[q.end:], n-(q.end-q.pos))
	q.end += got
	return err == nil
}

// skip leaves out n bytes of in; false where there are not so many.
func (q *queue) skip(in io.Reader, n int64) bool {
	if have := int64(q.end - q.pos); n > have {
		q.pos = q.end
		_, err := io.CopyN(io.Discard, in, n-have)
		return err == nil
	}
	q.pos += int(n)
	return true
}

// drop takes one use of a chunk back.
func (q *queue) drop(at uint32) {
	c := q.chunks[at]
	if c.live--; c.live == 0 {
		q.free = append(q.free, at)
	}
}

// keep keeps what it stands for, from bytes behind pos on.
func (q *queue) keep(it *item, from, n int) {
	end := q.pos + from + n
	it.chunk, it.from, it.n = q.cur, uint32(q.pos+from), uint16(n)
	it.held = uint32(max(0, end-q.kept))
	q.kept = max(q.kept, end)
	q.chunks[q.cur].live++
	q.bytes += int(it.held)
}

// at has a record take effect before what waits.
func (q *queue) at(it item, from, n int) {
	q.keep(&it, from, n)
	q.first = append(q.first, it)
}

// push lets a record wait. Nothing may be due.
func (q *queue) push(it item, from, n int) {
	q.keep(&it, from, n)
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
		bytes += int(r.items[from+i].held)
	}
	r.bytes += bytes
	q.bytes -= bytes
	// Chunks that are added later do not change these.
	r.chunks = q.chunks
	if q.due > 0 {
		return
	}
	m := copy(q.waiting, q.waiting[q.head:])
	q.waiting, q.head = q.waiting[:m], 0
}

// done takes back the memory of what take had moved to r.
func (q *queue) done(r *round) {
	for i := range r.items {
		q.drop(r.items[i].chunk)
	}
	q.out -= r.bytes
	r.items, r.bytes = r.items[:0], 0
}
