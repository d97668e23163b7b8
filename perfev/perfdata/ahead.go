package perfdata

import "io"

// roundRecords is how many records one Read hands out at most, some 2 MB of a file:
// small beside a round of perf's, so that what makes rounds and what hands them out are
// soon both at work.
const roundRecords = 1 << 14

// rounds is how many of them there are, where they are made ahead.
const rounds = 4

// round is what one Read hands out, in this order.
type round struct {
	items []item
	// chunks are those that the items are in, by number; bytes is what is held of them.
	chunks []*chunk
	bytes  int
	// end is what the reading of the file ended with, nil for none.
	end error
}

// body returns the bytes of one of its items.
func (r *round) body(it *item) []byte {
	end := it.from + uint32(it.n)
	return r.chunks[it.chunk].b[it.from:end:end]
}

// ahead is the way between the goroutine that makes rounds and the one that hands them out.
type ahead struct {
	// made are rounds to be handed out, back those that were.
	made, back chan *round
	// idle are of the goroutine that makes them.
	idle []*round
}

// Ahead implements [collector.Ahead]: what it returns reads the file, parses it and puts
// it in order on the goroutine that it is called on, while Read hands out what there is.
// It is called before the first Read, and at most once. Read must then be called to its
// end, which Stop brings near, or what was returned never returns.
func (r *Reader) Ahead() func() {
	// Both have room for all rounds: handing on never waits, having none does.
	a := &ahead{made: make(chan *round, rounds), back: make(chan *round, rounds)}
	for range rounds {
		a.idle = append(a.idle, &round{})
	}
	r.ahead = a
	return func() {
		for {
			if len(a.idle) == 0 {
				r.await()
			}
			n := len(a.idle) - 1
			rd := a.idle[n]
			a.idle = a.idle[:n]
			r.fill(rd)
			a.made <- rd
			// Read does not give the last round back.
			if rd.end != nil {
				return
			}
		}
	}
}

// next returns the round to hand out, and gives back the one before.
func (r *Reader) next() *round {
	if r.ahead != nil {
		if r.cur != nil {
			r.ahead.back <- r.cur
		}
		r.cur = <-r.ahead.made
		return r.cur
	}
	if r.cur == nil {
		r.cur = &round{}
	}
	r.queue.done(r.cur)
	r.fill(r.cur)
	return r.cur
}

// await waits for a round that was handed out, and takes its memory back.
func (r *Reader) await() {
	rd := <-r.ahead.back
	r.queue.done(rd)
	r.ahead.idle = append(r.ahead.idle, rd)
}

// fill reads records until there are as many to be handed out as a round has, or the
// file ends, and moves them to rd. Rounds of perf's may be of a few records only.
func (r *Reader) fill(rd *round) {
	for len(rd.items) < roundRecords && rd.end == nil {
		switch {
		case r.queue.ready():
			r.queue.take(rd)
		case r.failed != nil:
			rd.end = r.failed
		default:
			r.fillQueue()
		}
	}
	r.queue.out += rd.bytes
}

// fillQueue reads records until some are due, or the file ends.
func (r *Reader) fillQueue() {
	for r.failed == nil {
		if r.stopped.Load() {
			r.failed = io.EOF
			break
		}
		if round := r.one(); round {
			if r.queue.round(); r.queue.due > 0 {
				return
			}
		}
		if r.queue.full() {
			r.queue.half()
			return
		}
		if len(r.queue.first) >= roundRecords {
			return
		}
		for r.queue.crowded() {
			r.await()
		}
	}
	r.queue.all()
}
