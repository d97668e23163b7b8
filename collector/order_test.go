package collector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// TestLateRecords: records that come late stand where their time puts them, with all
// their columns, nulls, texts and lists.
func TestLateRecords(t *testing.T) {
	const n = 3000
	records := make([]func(perfpipe.Visitor), n)
	for i := range records {
		at := int64(1000 + 10*i)
		if i%3 == 0 {
			records[i] = one(0, at, rawWakeup(fmt.Sprint("task ", i%50), int32(i), 100, byte(i&1), 3))
		} else {
			records[i] = one(1, at, rawOpen(fmt.Sprint("/a path that is long/", i), uint32(i), byte(i)))
		}
	}
	late := slices.Clone(records)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 20; i < n; i++ {
		if k := r.IntN(20); k > 0 && i%7 == 0 {
			late[i], late[i-k] = late[i-k], late[i]
		}
	}
	run := func(list []func(perfpipe.Visitor), merged bool) map[string][]string {
		m := newMemory()
		round := func(v perfpipe.Visitor) {
			for _, f := range list {
				f(v)
			}
		}
		_, err := Run(context.Background(), Config{Source: &script{schemas: []*perfpipe.Schema{wakeup(), open()}, rounds: []func(perfpipe.Visitor){round}},
			Start: start, Columns: Options{Names: true}, Outputs: []Output{{Sink: m, Merged: merged}}})
		if err != nil {
			t.Fatal(err)
		}
		return m.rows
	}
	for _, merged := range []bool{false, true} {
		got, want := run(late, merged), run(records, merged)
		for table, rows := range want {
			if len(rows) != len(got[table]) {
				t.Fatalf("%s: got %d rows, want %d", table, len(got[table]), len(rows))
			}
			wrong := 0
			for i := range rows {
				if rows[i] != got[table][i] {
					wrong++
				}
			}
			// A record that is later than its batch's end stays in the next one.
			if limit := 4 * n / firstRows; wrong > limit {
				t.Errorf("%s: %d of %d rows are not where they belong", table, wrong, len(rows))
			}
			slices.Sort(rows)
			slices.Sort(got[table])
			if !slices.Equal(rows, got[table]) {
				t.Errorf("%s: the rows are others", table)
			}
		}
	}
}

// TestOrderOfBatch: rows of a batch are sorted, those of the same time keep their order.
func TestOrderOfBatch(t *testing.T) {
	l := mergedLayout([]*perfpipe.Schema{wakeup(), open()}, make([]map[string]string, 2), Options{})
	b := perfpipe.NewBatch(l.tables[0], 64)
	for i, at := range []int64{5, 3, 3, 9, 1, 3} {
		rec := &perfpipe.Record{Time: at, Event: i % 2, PID: int32(i), Comm: fmt.Sprint("c", i)}
		if rec.Event == 0 {
			rec.Raw = rawWakeup("w", int32(i), 1, 1, 1)
		} else {
			rec.Raw = rawOpen(fmt.Sprint("/path/", i), 5, byte(1<<i))
		}
		l.encs[rec.Event].append(b, rec, 0)
	}
	seal(b, -1)
	if !l.encs[0].late && !l.encs[1].late || b.MinTime != 1 || b.MaxTime != 9 {
		t.Fatalf("late %v %v, from %d to %d: want late, from 1 to 9", l.encs[0].late, l.encs[1].late, b.MinTime, b.MaxTime)
	}
	var o order
	o.sort(b)
	var got []string
	name := slices.IndexFunc(b.Table.Columns, func(d perfpipe.ColumnDef) bool { return d.Name == "name" })
	mask := slices.IndexFunc(b.Table.Columns, func(d perfpipe.ColumnDef) bool { return d.Name == "mask" })
	for i := range b.Rows {
		c := &b.Columns[mask]
		bit := -1
		if c.Offsets[i+1] > c.Offsets[i] {
			bit = int(c.Child.Int(int(c.Offsets[i])))
		}
		got = append(got, fmt.Sprintf("%d %d %s %s %v %d", b.Columns[colTS].Int(i), b.Columns[colPID].Int(i), b.Columns[colComm].Text(i), b.Columns[name].Text(i), b.Columns[name].IsNull(i), bit))
	}
	want := []string{"1 4 c4  true -1", "3 1 c1 /path/1 false 1", "3 2 c2  true -1", "3 5 c5 /path/5 false 5", "5 0 c0  true -1", "9 3 c3 /path/3 false 3"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}
