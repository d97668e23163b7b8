package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// counter is an Emitter that lets every step-th record through, with how many it saw.
type counter struct {
	name string
	step int
	seen int
	cols []perfpipe.ColumnDef
}

func (c *counter) Match(*perfpipe.Record) (bool, uint8) {
	c.seen++
	return c.seen%c.step == 0, 0
}

func (c *counter) Columns() []perfpipe.ColumnDef { return c.cols }

func (c *counter) Value(i int) (uint64, []byte, bool) {
	switch c.cols[i].Type {
	case perfpipe.TypeString:
		return 0, fmt.Appendf(nil, "%s-%d", c.name, c.seen), true
	case perfpipe.TypeInt32:
		return uint64(-int64(c.seen)), nil, c.seen%2 == 0
	}
	return uint64(c.seen), nil, true
}

func newCounter(name string, step int) *counter {
	return &counter{name: name, step: step, cols: []perfpipe.ColumnDef{
		{Name: "seen", Type: perfpipe.TypeUint8}, {Name: "by", Type: perfpipe.TypeString}, {Name: "negative", Type: perfpipe.TypeInt32, Nullable: true},
	}}
}

func emitRun(t *testing.T, merged bool, o Options, filters [][]Filter, n int) *memory {
	t.Helper()
	var rounds []func(perfpipe.Visitor)
	for i := range int64(n) {
		rounds = append(rounds, one(int(i)%len(filters), i, rawWakeup("x", 1, 1, 1, 1)))
	}
	schemas := []*perfpipe.Schema{wakeup(), wakeup()}[:len(filters)]
	if len(schemas) > 1 {
		schemas[1].Name = "other"
	}
	m := newMemory()
	if _, err := Run(context.Background(), Config{
		Source: &script{schemas: schemas, rounds: rounds}, Start: start, Outputs: []Output{{Sink: m, Merged: merged}},
		Filters: filters, Columns: o, FaultName: func(uint8) string { return "" },
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

// behind are the rows from a column on.
func behind(rows []string, column string) (out []string) {
	for _, r := range rows {
		_, tail, _ := strings.Cut(r, " "+column+"=")
		out = append(out, tail)
	}
	return out
}

func TestEmittedColumns(t *testing.T) {
	m := emitRun(t, false, Options{}, [][]Filter{{newCounter("a", 3)}}, 12)
	got := behind(m.rows["sched.wakeup"], "flags")
	want := []string{"1 seen=3 by=a-3 negative=null", "1 seen=6 by=a-6 negative=-6", "1 seen=9 by=a-9 negative=null", "1 seen=12 by=a-12 negative=-12"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	defs := m.tables["sched.wakeup"].Columns
	if d := defs[len(defs)-3]; d.Nullable || d.Type != perfpipe.TypeUint8 {
		t.Errorf("got %+v, want a uint8 that is never null", d)
	}
}

func TestEmittedColumnsWithStacksAndPortable(t *testing.T) {
	m := emitRun(t, false, Options{Portable: true, Cgroup: true}, [][]Filter{{newCounter("a", 2)}}, 2)
	defs := m.tables["sched.wakeup"].Columns
	if d := defs[len(defs)-4]; d.Name != "seen" || d.Type != perfpipe.TypeInt16 {
		t.Errorf("got %+v, want seen as int16", d)
	}
	if got := behind(m.rows["sched.wakeup"], "flags"); len(got) != 1 || got[0] != "1 seen=2 by=a-2 negative=-2 cgroup=0" {
		t.Errorf("got %q", got)
	}
}

// All filters that remember see all records, whatever the others say; the first that
// lets a record through gives the values.
func TestEmittersSeeEverything(t *testing.T) {
	a, b := newCounter("a", 2), newCounter("b", 3)
	m := emitRun(t, false, Options{}, [][]Filter{{a, even{}, b}}, 6)
	if a.seen != 6 || b.seen != 6 {
		t.Errorf("they saw %d and %d records, want 6", a.seen, b.seen)
	}
	for _, r := range behind(m.rows["sched.wakeup"], "by") {
		if !strings.HasPrefix(r, "a-2") && !strings.HasPrefix(r, "a-4") && !strings.HasPrefix(r, "a-6") && !strings.HasPrefix(r, "b-3") && !strings.HasPrefix(r, "null") {
			t.Errorf("got %q", r)
		}
	}
}

func TestEmittedColumnsInOneTable(t *testing.T) {
	m := emitRun(t, true, Options{}, [][]Filter{{newCounter("a", 1)}, nil}, 4)
	for _, rows := range m.rows {
		got := behind(rows, "seen")
		want := []string{"1 by=a-1 negative=null", "null by=null negative=null", "2 by=a-2 negative=-2", "null by=null negative=null"}
		if len(rows) == 4 && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if len(m.rows) == 0 {
		t.Error("got no table")
	}
}
