package collector

import "github.com/perfpipe/perfpipe"

// Flight is a source that hands out nothing but dumps.
type Flight interface {
	// Dumped returns the dump that the last Read of the source handed out, if it did.
	Dumped() (d perfpipe.Dump, ok bool)
}

// dump takes note of the dump that the last Read handed out, and reports whether it did.
func (r *run) dump() bool {
	if r.cfg.Flight == nil {
		return false
	}
	d, ok := r.cfg.Flight.Dumped()
	if !ok {
		return false
	}
	n := r.total()
	d.Rows, r.dumped = n-r.dumped, n
	r.own.addDump(d)
	if r.cfg.Dumped != nil {
		r.cfg.Dumped(d)
	}
	return true
}
