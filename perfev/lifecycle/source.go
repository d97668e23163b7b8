package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/perfpipe/perfpipe"
)

// Options say which events of a source are read.
type Options struct {
	// Events are those that [Events] returned. The source must have each of them, with
	// no filter of the kernel's: a row needs what came before it.
	Events []string
	// Keep are those of Events that were asked for by name as well: their records are
	// handed on beside the rows.
	Keep []string
}

// Source hands out the records of another, with those that task lives are made of
// turned into rows of [Schema].
type Source struct {
	src     perfpipe.Source
	schemas []*perfpipe.Schema
	// kept is the index of each of src's events in schemas, -1 where it is not there.
	kept []int
	// read is the decoder of each of src's events, nil where it is none of ours.
	read  []*decoder
	build builder
	own   int // index of Schema in schemas
	out   visitor
}

var _ perfpipe.Source = (*Source)(nil)

// Wrap returns a source of src's other events, in their order, with [Schema] last.
// It owns src: Close closes it.
func Wrap(src perfpipe.Source, o Options) (*Source, error) {
	s := &Source{src: src}
	found := 0
	for _, sc := range src.Schemas() {
		ours := slices.Contains(o.Events, sc.Event())
		index := -1
		if !ours || slices.Contains(o.Keep, sc.Event()) {
			index = len(s.schemas)
			s.schemas = append(s.schemas, sc)
		}
		var d *decoder
		if ours {
			var err error
			if d, err = decoderOf(sc); err != nil {
				return nil, err
			}
			if d == nil {
				return nil, fmt.Errorf("read event %s: it tells nothing of task lives", sc.Event())
			}
			found++
		}
		s.kept, s.read = append(s.kept, index), append(s.read, d)
	}
	if found != len(o.Events) {
		return nil, fmt.Errorf("read task lives: the source has %d of the %d events that are needed", found, len(o.Events))
	}
	own := Schema()
	s.own = len(s.schemas)
	s.schemas = append(s.schemas, own)
	s.build = builder{lives: newLives(), row: newRow(own)}
	s.out.s = s
	return s, nil
}

// Schemas implements [perfpipe.Source].
func (s *Source) Schemas() []*perfpipe.Schema { return s.schemas }

// Read implements [perfpipe.Source].
func (s *Source) Read(wait time.Duration, v perfpipe.Visitor) error {
	s.out.Visitor = v
	defer func() { s.out.Visitor = nil }()
	return s.src.Read(wait, &s.out)
}

// Stop implements [perfpipe.Source].
func (s *Source) Stop() error { return s.src.Stop() }

// Close implements [perfpipe.Source].
func (s *Source) Close() error { return s.src.Close() }

// visitor stands between the source and its reader. What it does not change passes.
type visitor struct {
	perfpipe.Visitor
	s   *Source
	rec perfpipe.Record
}

// Record implements [perfpipe.Visitor].
func (v *visitor) Record(r *perfpipe.Record) {
	s := v.s
	if r.Event < 0 || r.Event >= len(s.kept) {
		v.Visitor.Lost(perfpipe.Loss{CPU: int32(r.CPU), From: r.Time, To: r.Time, Count: 1, Reason: perfpipe.LostCorrupt})
		return
	}
	switch i := s.kept[r.Event]; {
	case i == r.Event:
		v.Visitor.Record(r)
	case i >= 0:
		v.rec = *r
		v.rec.Event = i
		v.Visitor.Record(&v.rec)
	}
	d := s.read[r.Event]
	if d == nil {
		return
	}
	b := &s.build
	b.bad = false
	switch d.decode(b, d, r) {
	case asRow:
		v.rec = *r
		v.rec.Event, v.rec.Raw = s.own, b.row.raw
		v.Visitor.Record(&v.rec)
	case asCorrupt:
		b.forget()
		v.Visitor.Lost(perfpipe.Loss{Event: Event, CPU: int32(r.CPU), From: r.Time, To: r.Time, Count: 1, Reason: perfpipe.LostCorrupt})
	case asFact:
	}
}

// Lost implements [perfpipe.Visitor]. A lost record of an event that is read is a row
// that is missing; of one that is kept as well, two tables miss one each.
func (v *visitor) Lost(l perfpipe.Loss) {
	s := v.s
	if l.Event == "" {
		s.build.forget()
		v.Visitor.Lost(l)
		return
	}
	at := slices.IndexFunc(s.src.Schemas(), func(sc *perfpipe.Schema) bool { return sc.Event() == l.Event })
	if at < 0 || s.kept[at] >= 0 {
		v.Visitor.Lost(l)
	}
	if at >= 0 && s.read[at] != nil {
		s.build.forget()
		l.Event = Event
		v.Visitor.Lost(l)
	}
}
