package parquet

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// deferred is a page that is encoded and not compressed yet. Encoding goes column by
// column, as a dictionary grows from page to page; compressing may go in any order.
type deferred struct {
	h    format.PageHeader
	body []byte
	out  []byte
}

// deferPage keeps the page that was encoded last for later.
func (c *column) deferPage(s *Scratch, h format.PageHeader, body []byte) {
	c.waiting = append(c.waiting, deferred{h: h, body: append(s.take(), body...)})
}

// take returns an empty buffer that was used before.
func (s *Scratch) take() []byte {
	n := len(s.free)
	if n == 0 {
		return nil
	}
	b := s.free[n-1]
	s.free = s.free[:n-1]
	return b[:0]
}

// maxFree is how many buffers are kept for a goroutine: those of two pages.
const maxFree = 4

func (s *Scratch) give(b []byte) {
	if len(s.free) < maxFree {
		s.free = append(s.free, b)
	}
}

// share has the team call f for 0 to n-1, each once, and returns when all are done. A
// panic of one is an error of the caller's.
func share(team []*Scratch, n int, f func(s *Scratch, i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, len(team))
	work := func(k int) {
		defer func() {
			if r := recover(); r != nil {
				errs[k] = fmt.Errorf("encoder failed: %v", r)
			}
		}()
		for errs[k] == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			errs[k] = f(team[k], i)
		}
	}
	for k := 1; k < min(len(team), n); k++ {
		wg.Go(func() { work(k) })
	}
	work(0)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// writeTogether is what Write does with rows from up to to of b, by all of the team:
// first the columns, then the pages that these made.
func (e *Encoder) writeTogether(b *perfpipe.Batch, from, to int) error {
	team := e.s.team
	for _, s := range team {
		s.defers = true
	}
	err := share(team, len(e.columns), func(s *Scratch, i int) error {
		at := e.order[i]
		return e.columns[at].write(s, &b.Columns[at], from, to)
	})
	for _, s := range team {
		s.defers = false
	}
	if err != nil {
		return err
	}
	var all []*deferred
	for _, at := range e.order {
		for i := range e.columns[at].waiting {
			all = append(all, &e.columns[at].waiting[i])
		}
	}
	err = share(team, len(all), func(s *Scratch, i int) error {
		d := all[i]
		out, err := s.compress(d.body)
		if err == nil {
			d.out = append(s.take(), out...)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write page of %s: %w", e.table.Name, err)
	}
	k := 0
	for _, c := range e.columns {
		first := len(c.pages) - len(c.waiting)
		for i := range c.waiting {
			d := &c.waiting[i]
			if err := c.store(e.s, &c.pages[first+i], &d.h, d.body, d.out); err != nil {
				return err
			}
			team[k%len(team)].give(d.body)
			team[k%len(team)].give(d.out)
			*d = deferred{}
			k++
		}
		c.waiting = c.waiting[:0]
	}
	return nil
}
