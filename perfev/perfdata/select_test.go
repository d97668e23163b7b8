package perfdata

import (
	"errors"
	"testing"

	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

func TestOnly(t *testing.T) {
	want := map[string]int{}
	r, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	last := r.Last()
	all, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all.rows {
		want[w.Event]++
	}
	if n := all.rows[len(all.rows)-1].TS; n != last {
		t.Errorf("Last() = %d, the last row has %d", last, n)
	}

	r, err = Sample()
	if err != nil {
		t.Fatal(err)
	}
	names, err := r.Select([]string{"sched:*wakeup", "irq:irq_*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Only(names); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for _, w := range got.rows {
		by[w.Event]++
		if w.Comm == "" || len(w.Fields) == 0 {
			t.Errorf("row %+v", w)
		}
	}
	if len(by) != 3 || len(got.schemas) != 3 || got.schemas[0].Name != "sched_wakeup" {
		t.Errorf("events %v of %d schemas", by, len(got.schemas))
	}
	for e, n := range by {
		if n != want[e] || n == 0 {
			t.Errorf("%s: %d rows, want %d", e, n, want[e])
		}
	}

	var unknown *tracefs.UnknownEventError
	if err := r.Only([]string{"sched:none"}); !errors.As(err, &unknown) {
		t.Errorf("Only an event that is not there: %v", err)
	}
	if err := r.Only([]string{"sched:sched_wakeup", "sched:sched_wakeup"}); err == nil {
		t.Error("Only an event twice: no error")
	}
	if _, err := r.SchemaOf("sched:sched_wakeu"); !errors.As(err, &unknown) || len(unknown.Nearest) == 0 {
		t.Errorf("SchemaOf a misspelt event: %v", err)
	}
}
