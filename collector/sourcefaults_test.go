package collector

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// TestSourceFaults: what filters of the source faulted is told beside what those of the
// run did, by event and cause.
func TestSourceFaults(t *testing.T) {
	var rounds []func(perfpipe.Visitor)
	for i := range int64(100) {
		rounds = append(rounds, one(0, i, rawWakeup("x", 1, 1, 1, 1)))
	}
	other := wakeup()
	other.Name = "other"
	ended := false
	res, err := Run(context.Background(), Config{
		Source: &script{schemas: []*perfpipe.Schema{wakeup(), other}, rounds: rounds}, Start: start, Outputs: []Output{{Sink: newMemory()}},
		Filters: [][]Filter{{even{}}, nil}, FaultName: func(f uint8) string { return fmt.Sprint("fault ", f) },
		Clock: func() perfpipe.Clock { ended = true; return start },
		SourceFaults: func(event int) []uint64 {
			if !ended {
				t.Error("it is asked before the source has ended")
			}
			return [][]uint64{{0, 0, 0, 0, 0, 0, 7}, {0, 2}}[event]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(res.FaultsBy[wakeup().Event()])
	sum := uint64(0)
	for _, n := range want {
		sum += n
	}
	if sum != 17 || want["fault 6"] < 7 {
		t.Errorf("got %v of the first event, want 10 of the run's and 7 of the source's", want)
	}
	if n := res.FaultsBy[other.Event()]["fault 1"]; n != 2 {
		t.Errorf("got %v, want the 2 of the second event", res.FaultsBy)
	}
	if res.Lost != 10 {
		t.Errorf("got %d lost, want the run's 10: the source tells its own", res.Lost)
	}
}
