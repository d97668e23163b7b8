package parquet

import (
	"math"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// TestInOrder: rows that fall are seen, whatever their numbers; bounds are right.
func TestInOrder(t *testing.T) {
	for name, c := range map[string]struct {
		v      []int64
		sorted bool
	}{
		"clock":     {[]int64{5, 5, 6, 1 << 60}, true},
		"falls":     {[]int64{5, 6, 5, 7}, false},
		"negative":  {[]int64{-7, -7, -3, 0, 4}, true},
		"overflow":  {[]int64{1 << 62, math.MinInt64 + 1, math.MaxInt64}, false},
		"extremes":  {[]int64{math.MinInt64, math.MaxInt64}, true},
		"backwards": {[]int64{math.MaxInt64, math.MinInt64}, false},
	} {
		t.Run(name, func(t *testing.T) {
			col, err := newColumn(&perfpipe.ColumnDef{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted})
			if err != nil {
				t.Fatal(err)
			}
			got, want := col.inOrder(c.v), intBounds64(c.v, true)
			if col.compare(got.min, want.min) != 0 || col.compare(got.max, want.max) != 0 {
				t.Errorf("bounds: got %x to %x, want %x to %x", got.min, got.max, want.min, want.max)
			}
			if col.unsorted == c.sorted || col.disordered == c.sorted {
				t.Errorf("got unsorted %v, disordered %v, want %v", col.unsorted, col.disordered, !c.sorted)
			}
		})
	}
}
