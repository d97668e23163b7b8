package collector

// last hands over everything that is left.
func (r *run) last(complete bool) {
	if r.budget != nil {
		r.budget.report()
	}
	if r.cfg.Clock != nil {
		c := r.cfg.Clock()
		c.Reason = "stop"
		r.sum.Stop = c
		r.own.addClock(c)
	} else {
		r.sum.Stop = r.cfg.Start
		r.sum.Stop.Reason = "stop"
	}
	r.flush()
	r.handPlaces()
	r.handOwn()
	r.sum.Complete = complete
}

func (r *run) result(complete bool) *Result {
	res := &Result{Rejected: r.reject, Faults: make(map[string]uint64), Full: r.w.full}
	filled := make(map[string]bool)
	for ev, list := range r.faults {
		if r.rows[ev] > 0 {
			filled[TableName(r.cfg.Source.Schemas()[ev])] = true
		}
		if r.cfg.SourceFaults != nil {
			list = addCounts(list, r.cfg.SourceFaults(ev))
		}
		for f, n := range list {
			if n > 0 {
				res.Faults[r.cfg.FaultName(uint8(f))] += n
				r.sumFaults(r.cfg.Source.Schemas()[ev].Event(), r.cfg.FaultName(uint8(f)), n)
			}
		}
	}
	res.Tables = len(filled)
	res.OverCPU = r.budget.overCPU()
	r.sum.Escaped += r.w.places.escaped
	r.sum.Rows = r.total()
	for _, l := range r.layouts {
		if l == nil {
			continue
		}
		for _, e := range l.encs {
			r.sum.Escaped += e.escaped
		}
		break // the other layout holds the same rows
	}
	r.sum.Complete = complete
	res.Summary = r.sum
	return res
}
