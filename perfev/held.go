package perfev

const (
	// maxHeld bounds the memory of the task records that a flight recorder holds back:
	// some 60,000 forks with their names and ends.
	maxHeld = 16 << 20
	// heldSize is what a held record takes beside its bytes.
	heldSize = 96
)

// heldRecord is a record of the side band that was not applied yet.
type heldRecord struct {
	time int64
	h    header
	rec  []byte
	// exe and space are what /proc said of a process that called execve when its record
	// was read: when it is applied, the process may be long gone.
	exe   string
	space uint8
	cpu   uint16
}

// held are the task records between the oldest record that the rings of a flight
// recorder can hold and the present, in order of time.
//
//	 applied to tables  │ held back                        │ side rings
//	────────────────────┼──────────────────────────────────┼───────────► time
//	                 horizon: nothing older                now - slack
//	                 can come out of a ring
//
// Names and processes are looked up in tables that know one moment, that of what was
// last applied. So records wait here until nothing older can be asked for, or a dump
// hands out the records of that time and applies them in between.
type held struct {
	list []heldRecord
	at   int // list[at:] is held
	size int
	// limit is maxHeld but in tests; early counts the records that were applied before
	// their time, as there was no room for more.
	limit int
	early uint64
}

// add takes a record behind those that are held; one that is older than the last finds
// its place. rec is copied.
func (q *held) add(r heldRecord) {
	r.rec = append([]byte(nil), r.rec...)
	q.size += len(r.rec) + len(r.exe) + heldSize
	q.list = append(q.list, r)
	for i := len(q.list) - 1; i > q.at && q.list[i-1].time > r.time; i-- {
		q.list[i-1], q.list[i] = q.list[i], q.list[i-1]
	}
}

// apply hands what is older than until to f, and what there is no room for.
func (q *held) apply(until int64, f func(*heldRecord)) {
	for q.at < len(q.list) {
		r := &q.list[q.at]
		if r.time >= until {
			if q.size <= q.limit {
				break
			}
			q.early++
		}
		f(r)
		q.size -= len(r.rec) + len(r.exe) + heldSize
		*r = heldRecord{}
		q.at++
	}
	if q.at == len(q.list) || q.at > 1024 && q.at > len(q.list)/2 {
		n := copy(q.list, q.list[q.at:])
		clear(q.list[n:])
		q.list, q.at = q.list[:n], 0
	}
}

// mark says where a ring's head was at a time.
type mark struct {
	time int64
	head uint64
}

// marks tell how far back the records of an overwritable ring reach without looking
// into it: what was written before a mark is gone once as much as the ring holds was
// written after it.
type marks struct {
	list []mark
	size uint64
	// gone is the time of the latest mark of which that is so.
	gone int64
}

// markParts is how many marks a ring that is full has at least: so much finer than the
// whole ring's time is the horizon.
const markParts = 16

// see notes the head at time now. Heads count down.
func (m *marks) see(now int64, head uint64) {
	n := 0
	for n < len(m.list) && m.list[n].head-head >= m.size {
		m.gone = m.list[n].time
		n++
	}
	m.list = append(m.list[:0], m.list[n:]...)
	if k := len(m.list); k == 0 || m.list[k-1].head-head >= m.size/markParts {
		m.list = append(m.list, mark{now, head})
	}
}
