package flight

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// script is a source that hands out the records of one round at each Read.
type script struct {
	rounds          [][]perfpipe.Record
	stopped, closed bool
	fail            error
}

func (s *script) Schemas() []*perfpipe.Schema {
	return []*perfpipe.Schema{{System: "a", Name: "b"}}
}

func (s *script) Read(_ time.Duration, v perfpipe.Visitor) error {
	if s.fail != nil {
		return s.fail
	}
	if len(s.rounds) == 0 {
		if s.stopped {
			return io.EOF
		}
		return nil
	}
	for _, r := range s.rounds[0] {
		v.Record(&r)
	}
	s.rounds = s.rounds[1:]
	return nil
}
func (s *script) Stop() error  { s.stopped = true; return nil }
func (s *script) Close() error { s.closed = true; return nil }

// tape is a recorder that notes what it is asked for.
type tape struct {
	script
	asked, done []perfpipe.Dump
}

func (p *tape) Dump() error                   { return nil }
func (p *tape) DumpFor(d perfpipe.Dump)       { p.asked = append(p.asked, d) }
func (p *tape) Dumped() (perfpipe.Dump, bool) { return perfpipe.Dump{}, false }

// Read ends only behind all that was asked for.
func (p *tape) Read(wait time.Duration, v perfpipe.Visitor) error {
	if len(p.done) < len(p.asked) {
		p.done = append(p.done, p.asked[len(p.done)])
		return nil
	}
	return p.script.Read(wait, v)
}

func at(times ...int64) (list []perfpipe.Record) {
	for _, t := range times {
		list = append(list, perfpipe.Record{Time: t, CPU: 3, TID: 77})
	}
	return list
}

// span is a window without the rest.
type span struct{ from, to, at int64 }

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after time.Duration
		rounds        [][]perfpipe.Record
		// clock is what the time is at each Read; it stays at the last.
		clock []int64
		want  []span
	}{
		{"none", 5, 5, nil, []int64{100}, nil},
		{"not yet", 5, 5, [][]perfpipe.Record{at(10)}, []int64{12, 14}, []span{{5, 15, 10}}},
		{"one", 5, 5, [][]perfpipe.Record{at(10)}, []int64{12, 15}, []span{{5, 15, 10}}},
		{"all the way back", 0, 5, [][]perfpipe.Record{at(10)}, []int64{15}, []span{{0, 15, 10}}},
		{"within after", 5, 5, [][]perfpipe.Record{at(10, 12, 15)}, []int64{12, 15}, []span{{5, 15, 10}}},
		{"a later one", 5, 5, [][]perfpipe.Record{at(10, 30)}, []int64{12, 15, 40}, []span{{5, 15, 10}, {25, 35, 30}}},
		{"two that meet are one where both are due", 5, 5, [][]perfpipe.Record{at(10, 18)}, []int64{40}, []span{{5, 23, 10}}},
		{"and two where the second is not", 5, 5, [][]perfpipe.Record{at(10, 18)}, []int64{16, 40}, []span{{5, 15, 10}, {13, 23, 18}}},
		{"a storm without after", 5, 0, [][]perfpipe.Record{at(10, 11, 12, 13)}, []int64{20}, []span{{5, 13, 10}}},
		{"what does not match", 5, 5, [][]perfpipe.Record{at(-1, -2, 10)}, []int64{40}, []span{{5, 15, 10}}},
		{"the end comes first", 5, 500, [][]perfpipe.Record{at(10)}, []int64{20}, []span{{5, 510, 10}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec, trig := &tape{}, &script{rounds: c.rounds}
			clock := c.clock
			s := Wrap(rec, Trigger{
				Source: trig, Before: c.before, After: c.after,
				Match: func(r *perfpipe.Record) bool { return r.Time > 0 },
				Now: func() int64 {
					now := clock[0]
					if len(clock) > 1 {
						clock = clock[1:]
					}
					return now
				},
			})
			for range 5 {
				if err := s.Read(time.Second, nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; n < 20; n++ {
				if err := s.Read(time.Second, nil); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if n == 20 {
				t.Error("it does not end")
			}
			var got []span
			for _, d := range rec.done {
				got = append(got, span{d.From, d.To, d.Time})
				if d.Reason != perfpipe.DumpTrigger || d.Event != "a:b" || d.CPU != 3 || d.TID != 77 {
					t.Errorf("got %+v", d)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil || !rec.closed || !trig.closed {
				t.Errorf("close: %v, closed %v and %v", err, rec.closed, trig.closed)
			}
		})
	}
}

func TestTriggerFails(t *testing.T) {
	broken := errors.New("broken")
	s := Wrap(&tape{}, Trigger{Source: &script{fail: broken}, Now: func() int64 { return 0 }})
	if err := s.Read(0, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	s.w.Lost(perfpipe.Loss{Count: 3})
	if s.Unseen() != 3 {
		t.Errorf("unseen: got %d, want 3", s.Unseen())
	}
}
