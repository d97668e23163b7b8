package perfev

import (
	"encoding/binary"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// lost takes PERF_RECORD_LOST { u64 id; u64 lost; }. The number is that of the
// ring, whoever lost it; where the kernel counts by event, only the time is taken.
func (s *Source) lost(r *ring, at int64, rec []byte) {
	if len(rec) < headerSize+16 {
		r.corrupt++
		return
	}
	for i := range s.cpus {
		c := &s.cpus[i]
		if c.data != r {
			continue
		}
		if !s.exact {
			n := binary.LittleEndian.Uint64(rec[headerSize+8:])
			s.visit.Lost(perfpipe.Loss{CPU: int32(r.cpu), From: r.last, To: at, Count: n, Reason: perfpipe.LostRing})
			return
		}
		if !c.lossSeen {
			c.lossSeen, c.lossFrom = true, r.last
		}
		c.lossTo = at
		return
	}
	// The side ring's: names may be stale from here on. No event was lost, but what
	// pid and comm say of tasks that began meanwhile is, and that is said.
	n := binary.LittleEndian.Uint64(rec[headerSize+8:])
	s.sideLost += n
	s.trace.again()
}

// countLost reports what the kernel has counted as lost by event since the last time.
func (s *Source) countLost(c *cpuRings) {
	byEvent := make(map[int]uint64)
	for i := range c.events {
		tp := &c.events[i]
		n, err := sys.ReadLost(tp.fd)
		if err != nil || n <= tp.lost {
			continue
		}
		byEvent[tp.event] += n - tp.lost
		tp.lost = n
	}
	for ev := range s.schemas {
		if n := byEvent[ev]; n > 0 {
			s.visit.Lost(perfpipe.Loss{Event: s.schemas[ev].Event(), CPU: int32(c.cpu), From: c.lossFrom, To: c.lossTo, Count: n, Reason: perfpipe.LostRing})
		}
	}
	c.lossSeen = false
}
