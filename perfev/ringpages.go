package perfev

import "github.com/perfpipe/perfpipe/perfev/internal/pages"

// recordPage is the kind of what stands in the pages of ftrace: no number of the kernel's.
const recordPage = 1<<31 + 1

// pageSlots is how many sub-buffers of a processor's ring are held at once: those
// whose records are still too young to be handed out, and as many as a round reads.
// At 64 KiB they hold 2 MiB, ten times what the fastest source writes in [slack]. A
// power of two.
const pageSlots = 32

// pageMemory is where the sub-buffers of one ring of ftrace are read to and stay until
// their records are handed out. Position p stands at slots[p % len(slots)].
type pageMemory struct {
	// read takes the ring's next sub-buffer, or what there is of it, into dst. It
	// returns 0 where the ring is empty.
	read func(dst []byte) (int, error)
	// now is the time by the clock that records have.
	now func() int64
	// sub is the size of a sub-buffer, a power of two.
	sub uint64
	// capacity is what the kernel's ring holds in bytes, since how much was found since
	// it was last seen empty: it was that full at least, as far as it can be told.
	capacity, since uint64
	// slots is made when there is something to put in, as many a processor never comes
	// online; until then first is read to, a sub-buffer that rings share.
	slots, first []byte
	cursor       pages.Cursor
	// head and tail count sub-buffers that were read and given back.
	head, tail uint64
	// moved is how many bytes the last round found, full whether the ring may have
	// overflowed since it was last asked.
	moved uint64
	full  bool
	// err is why the ring cannot be read.
	err error
	// until ends the reading at this time where it is not 0.
	until int64
}

// slot returns the memory of a sub-buffer.
func (p *pageMemory) slot(n uint64) []byte {
	at := n % pageSlots * p.sub
	return p.slots[at : at+p.sub : at+p.sub]
}

// take reads a sub-buffer into its slot.
func (p *pageMemory) take() (page []byte, n int, err error) {
	if p.slots != nil {
		page = p.slot(p.head)
		n, err = p.read(page)
		return page, n, err
	}
	if n, err = p.read(p.first); n == 0 || err != nil {
		return nil, 0, err
	}
	p.slots = make([]byte, pageSlots*p.sub)
	page = p.slot(p.head)
	copy(page, p.first[:n])
	return page, n, nil
}

// findPages is find for a ring of ftrace. It reads until the ring is empty, or what it
// got is younger than the beginning: of the page that is being written the kernel
// copies what there is, record by record, and that again and again would cost both
// sides much.
func (r *ring) findPages(limit uint64) (more bool) {
	p := r.pages
	began, got := p.now(), uint64(0)
	if p.until != 0 {
		began = min(began, p.until)
	}
	for more = true; more && got < limit && p.head-p.tail < pageSlots; {
		page, n, err := p.take()
		if n == 0 || err != nil {
			p.err, p.since, more = err, 0, false
			break
		}
		base := p.head * p.sub
		p.head++
		_ = p.cursor.Begin(page[:n]) // Err tells it below
		for {
			t, at, ok := p.cursor.Next()
			if !ok {
				break
			}
			r.next = base + uint64(at)
			r.insert(t)
		}
		if p.cursor.Err() != nil {
			r.corrupt++
		}
		got += uint64(p.cursor.Size())
		p.since += uint64(p.cursor.Size())
		more = p.cursor.Time() < began
	}
	p.moved = got
	p.full = p.full || p.since > p.capacity/2
	r.next = p.head * p.sub
	r.end = r.next
	if more {
		// How much there is, is not known.
		r.end++
	}
	return more
}

// unread returns a time that nothing in the ring that was not found yet is before.
func (r *ring) unread() (t int64, ok bool) {
	switch {
	case r.next >= r.end:
		return 0, false
	case r.pages != nil:
		return r.pages.cursor.Time(), true
	case r.pending():
		return r.idx[len(r.idx)-1].time, true
	}
	return 0, false
}

// page returns the record of a ring of ftrace at position pos.
func (r *ring) page(pos uint64) (h header, rec []byte) {
	slots := r.pages.slots
	return header{kind: recordPage}, pages.Data(slots, int(pos&uint64(len(slots)-1)))
}

// releasePages gives back the sub-buffers before position t.
func (r *ring) releasePages(t uint64) { r.pages.tail = t / r.pages.sub }

// pressed reports whether there is no time to wait for records of other rings.
func (r *ring) pressed() bool {
	if r.pages != nil {
		return r.pages.head-r.pages.tail == pageSlots
	}
	return r.fill() > 0.5
}
