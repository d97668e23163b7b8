package collector

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// tape is a script each of whose rounds is a dump.
type tape struct {
	*script
	dumps []perfpipe.Dump
	now   perfpipe.Dump
	fresh bool
}

func (p *tape) Read(wait time.Duration, v perfpipe.Visitor) error {
	err := p.script.Read(wait, v)
	p.fresh = len(p.dumps) > 0
	if p.fresh {
		p.now, p.dumps = p.dumps[0], p.dumps[1:]
	}
	return err
}

func (p *tape) Dumped() (perfpipe.Dump, bool) { return p.now, p.fresh }

func TestDumps(t *testing.T) {
	raw := rawWakeup("x", 1, 1, 1, 1)
	p := &tape{
		script: &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){
			func(v perfpipe.Visitor) {
				v.Lost(perfpipe.Loss{Event: "sched:wakeup", CPU: 1, From: 1, To: 9, Count: 40, Reason: perfpipe.LostOverwritten})
				one(0, 10, raw)(v)
				one(0, 11, raw)(v)
				v.Lost(perfpipe.Loss{Event: "sched:wakeup", CPU: 1, From: 12, To: 13, Count: 2, Reason: perfpipe.LostPaused})
			},
			func(v perfpipe.Visitor) {
				one(0, 20, raw)(v)
				v.Lost(perfpipe.Loss{Event: "sched:wakeup", CPU: 1, From: 12, To: 13, Count: 3, Reason: perfpipe.LostRing})
			},
		}},
		// The last comes with the end of the source.
		dumps: []perfpipe.Dump{
			{Reason: perfpipe.DumpTrigger, Event: "a:b", CPU: 2, TID: 7, Time: 11, From: 10, To: 11},
			{Reason: perfpipe.DumpSignal, CPU: -1, TID: -1, Time: 21, From: 20, To: 20},
			{Reason: perfpipe.DumpExit, CPU: -1, TID: -1, Time: 30},
		},
	}
	m := newMemory()
	var told []uint64
	res, err := Run(context.Background(), Config{
		Source: p, Flight: p, Start: start, Outputs: []Output{{Sink: m}}, Rotate: Rotate{AfterDump: true},
		Dumped: func(d perfpipe.Dump) { told = append(told, d.Rows) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"ts=11 reason=trigger event=a:b cpu=2 tid=7 from_ts=10 to_ts=11 rows=2",
		"ts=21 reason=signal event=null cpu=null tid=null from_ts=20 to_ts=20 rows=1",
		"ts=30 reason=exit event=null cpu=null tid=null from_ts=null to_ts=null rows=0",
	}; !slices.Equal(m.rows["_dumps"], want) {
		t.Errorf("got %q, want %q", m.rows["_dumps"], want)
	}
	if !slices.Equal(told, []uint64{2, 1, 0}) {
		t.Errorf("told of dumps of %v rows, want 2, 1, 0", told)
	}
	// Behind the last there is nothing to be kept apart from it.
	if n := count(m.ops, perfpipe.SyncRotate); n != 2 {
		t.Errorf("got %d rotations, want 2", n)
	}
	if res.Lost != 3 || res.Overwritten != 42 || len(m.rows["_lost"]) != 3 {
		t.Errorf("got %d lost, %d overwritten, rows %q, want 3, 42 and 3 rows", res.Lost, res.Overwritten, m.rows["_lost"])
	}
}

func TestNoDumps(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){one(0, 1, rawWakeup("x", 1, 1, 1, 1))}}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}}); err != nil {
		t.Fatal(err)
	}
	if m.tables["_dumps"] != nil {
		t.Error("a run that is no flight recorder has the table _dumps")
	}
}
