package perfev

// merger hands out the records of several rings in the order of their times. It
// is a binary heap of the rings that have something pending, by the time of each
// one's first; records of one ring are handed out in runs, as long as no other
// ring has an earlier one.
type merger struct {
	heap []*ring
}

func (m *merger) less(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	return a.idx[a.at].time < b.idx[b.at].time
}

func (m *merger) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(m.heap) {
			return
		}
		if c+1 < len(m.heap) && m.less(c+1, c) {
			c++
		}
		if !m.less(c, i) {
			return
		}
		m.heap[i], m.heap[c] = m.heap[c], m.heap[i]
		i = c
	}
}

// merge visits every pending record with a time below bound, in order of time.
func (m *merger) merge(rings []*ring, bound int64, visit func(*ring, entry)) {
	m.heap = m.heap[:0]
	for _, r := range rings {
		if r.pending() {
			m.heap = append(m.heap, r)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		r := m.heap[0]
		limit := bound
		// The other rings' earliest is one of the root's two children.
		for c := 1; c <= 2 && c < len(m.heap); c++ {
			o := m.heap[c]
			// An equal time is left to the ring that is at the root.
			limit = min(limit, o.idx[o.at].time+1)
		}
		for r.at < len(r.idx) && r.idx[r.at].time < limit {
			e := r.idx[r.at]
			r.at++
			visit(r, e)
		}
		if r.at == len(r.idx) {
			n := len(m.heap) - 1
			m.heap[0] = m.heap[n]
			m.heap = m.heap[:n]
		}
		m.down(0)
		if len(m.heap) > 0 && m.heap[0].idx[m.heap[0].at].time >= bound {
			return
		}
	}
}
