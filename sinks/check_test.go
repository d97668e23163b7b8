package sinks

import (
	"bytes"
	"testing"
)

// TestCheckCountsRows: what is looked at between the sync and the name tells a
// file with a row too few or too many, and one that is cut short.
func TestCheckCountsRows(t *testing.T) {
	for _, name := range []string{"parquet", "arrow", "arrows"} {
		f, err := formatOf(name, Output{}, 1)
		must(t, err)
		var out bytes.Buffer
		tab := oneColumn("tab")
		e, err := f.New(&out, tab, nil)
		must(t, err)
		must(t, e.Write(batchOf(tab, 10)))
		must(t, e.Close(nil))
		b := out.Bytes()
		for _, c := range []struct {
			what string
			size int
			rows int64
			ok   bool
		}{{"whole", len(b), 10, true}, {"a row too few", len(b), 11, false}, {"a row too many", len(b), 9, false}, {"cut short", len(b) - 1, 10, false}} {
			if err := f.Check(bytes.NewReader(b[:c.size]), int64(c.size), c.rows); (err == nil) != c.ok {
				t.Errorf("%s, %s: got %v, want accepted: %v", name, c.what, err, c.ok)
			}
		}
	}
}
