//go:build linux

package main

import (
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestNullsBehindPointers: where a pointer on the way leads nowhere the kernel leaves what
// the record before had there. That is null, and no row is lost for it.
func TestNullsBehindPointers(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "nested.c", "-g", "-O2", "-w")
	// On one CPU, so that records have those before them.
	probe := "uprobe:" + prog + ":take(t, a=r->id, name=r->name, in=r->in->id, arr=r->in->arr, s=r->in->s, d=r->next->in->id, ds=r->next->next->name)"
	rows := recordRows(t, "-e", probe, "--", testpriv.NeedTool(t, "taskset"), "-c", "0", prog)
	if len(rows) != 8 {
		t.Fatalf("got %d rows, want 8", len(rows))
	}
	want := map[string]map[string]string{
		"all":         {"a": "7", "name": `"alpha"`, "in": "11", "arr": "[1,2,3,4]", "s": `"inner"`, "d": "11", "ds": `"alpha"`},
		"NULL":        {"a": "null"},
		"NULL within": {"a": "8"},
		"bad":         {"a": "null"},
		"bad within":  {"a": "9"},
	}
	for i, r := range rows {
		what := r.text("t")
		for _, col := range []string{"a", "name", "in", "arr", "s", "d", "ds"} {
			w, ok := want[what][col]
			if !ok {
				w = "null"
			}
			if got := r.value(col); got != w {
				t.Errorf("row %d, %s: %s: got %s, want %s", i, what, col, got, w)
			}
		}
		if got := r.value("truncated"); got != "false" {
			t.Errorf("row %d, %s: truncated: got %s", i, what, got)
		}
	}
}
