package perfev

import (
	"errors"
	"fmt"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// count is a counter that is open for one target.
type count struct {
	counter
	fd int
}

// counters lists what perf counts. Where a program records the returns, it counts
// them as well: what it does not leave to perf, perf does not count.
func (s *Source) counters() []counter {
	var list []counter
	for _, c := range s.cfg.counters() {
		if c.sign > 0 || !s.programs.has(c.of) {
			list = append(list, c)
		}
	}
	return list
}

// enableCounts turns the counts on, the returns' first: a return whose entry was
// not counted makes the loss too small by one, the other way round there would be
// a loss where there was none.
func (s *Source) enableCounts() error {
	for _, sign := range []int{-1, 1} {
		for _, c := range s.counts {
			if c.sign != sign {
				continue
			}
			if err := sys.Enable(c.fd); err != nil {
				return fmt.Errorf("enable count of event %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// disableCounts turns them off, the entries' first.
func (s *Source) disableCounts() error {
	var errs []error
	for _, sign := range []int{1, -1} {
		for _, c := range s.counts {
			if c.sign != sign {
				continue
			}
			if err := sys.Disable(c.fd); err != nil {
				errs = append(errs, fmt.Errorf("disable count of event %s: %w", c.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// balanceReturns notes, as soon as the counts are off, how many entries of each event
// had no return, and how many calls are still under way.
func (s *Source) balanceReturns() {
	s.unseen = make(map[int]int64)
	missing := false
	for _, c := range s.counts {
		// A count that cannot be read is of an event that is gone with its task.
		if n, err := sys.ReadCount(c.fd); err == nil {
			s.unseen[c.of] += int64(c.sign) * int64(n)
		}
	}
	for _, c := range s.cfg.counters() {
		if c.sign < 0 && s.programs.has(c.of) {
			s.unseen[c.of] -= int64(s.programs.hits(c.of))
		}
	}
	for _, n := range s.unseen {
		missing = missing || n > 0
	}
	if missing {
		s.pending = pendingReturns(inodes(s.cfg.Entries))
	}
}

// Pending returns how many calls of functions whose returns are recorded were still
// under way when the recording ended. They are no loss. It is asked after the last Read.
func (s *Source) Pending() uint64 { return s.underWay }

// countReturns reports the entries of functions whose returns were not seen.
func (s *Source) countReturns() {
	lost, underWay := settle(s.unseen, s.pending)
	s.underWay = underWay
	for ev, sc := range s.schemas {
		if n := lost[ev]; n > 0 {
			s.visit.Lost(perfpipe.Loss{Event: sc.Event(), CPU: -1, Count: n, Reason: perfpipe.LostReturn})
		}
	}
}
