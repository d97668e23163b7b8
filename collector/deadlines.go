package collector

// rotate has the files finished with what there is, and new ones begun.
func (r *run) rotate() {
	r.rotated = r.now
	if r.budget != nil {
		r.budget.report()
	}
	r.flush()
	r.handPlaces()
	r.handOwn()
	r.send(message{op: opRotate})
}

// tick reads the clocks, notes steps, and follows the slewing of the wall clock.
func (r *run) tick() {
	if r.cfg.Clock == nil {
		return
	}
	c := r.cfg.Clock()
	d := c.Real - c.Mono - r.offset
	switch {
	case d > stepNS || d < -stepNS:
		c.Reason = "step"
	case r.now.Sub(r.ticked) >= tickEvery:
		c.Reason = "tick"
	default:
		return
	}
	r.ticked = r.now
	r.setClock(c)
	r.own.addClock(c)
}
