//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// textOf is what strings.c makes of a length.
func textOf(n int) string {
	head := fmt.Sprintf("%d.", n)
	return head + strings.Repeat("x", n-len(head))
}

// TestStrings: what cannot be read is null, what is empty is "", and what is longer
// than there is room for is its beginning, with truncated saying so. Samples have a
// page for all of an event, of a longer text they have eight bytes; programs have 4096
// bytes of each.
func TestStrings(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "strings.c", "-g", "-O2", "-w")
	type text struct {
		name, want string // want "null" is none
		least      int    // bytes that there are at least, of a text that is cut
	}
	same := []text{
		{"NULL", "null", 0}, {"a bad pointer", "null", 0}, {"a page that is not there", "null", 0}, {"an address that is none", "null", 0},
		{"empty", "", 0}, {"one byte", "a", 0}, {"100", textOf(100), 0}, {"4000", textOf(4000), 0},
	}
	edge := text{"up to the end of a page", "edge", 0}
	for engine, more := range map[string][]text{
		"perf": {{"4095", textOf(4095), 3900}, {"4096", textOf(4096), 8}, {"10000", textOf(10000), 8}, edge},
		"auto": {{"4095", textOf(4095), 0}, {"4096", textOf(4096), 0}, {"10000", textOf(10000), 4096}, edge},
	} {
		t.Run(engine, func(t *testing.T) {
			if engine == "auto" {
				needPrograms(t)
			}
			rows := recordRows(t, "--engine", engine, "-e", "uprobe:"+prog+":one(s)", "--", prog)
			tests := slices.Concat(same, more)
			if len(rows) != len(tests) {
				t.Fatalf("got %d rows, want %d", len(rows), len(tests))
			}
			for i, tt := range tests {
				checkText(t, tt.name, rows[i], "s", tt.want, tt.least)
				if got, want := rows[i].value("truncated"), fmt.Sprint(tt.least > 0); got != want {
					t.Errorf("%s: truncated: got %s, want %s", tt.name, got, want)
				}
			}
		})
	}
}

// checkText compares a text, of which there are at least so many bytes where it is
// cut; 0 is all of it.
func checkText(t *testing.T, name string, r row, col, want string, least int) {
	t.Helper()
	got, there := r[col].(string)
	switch {
	case want == "null":
		if there {
			t.Errorf("%s: %s: got %.80q, want null", name, col, got)
		}
	case !there:
		t.Errorf("%s: %s: got null, want %.80q", name, col, want)
	case least == 0 && got != want:
		t.Errorf("%s: %s: got %.80q with %d bytes, want %.80q with %d", name, col, got, len(got), want, len(want))
	case least > 0 && (!strings.HasPrefix(want, got) || len(got) < least || len(got) == len(want)):
		t.Errorf("%s: %s: got %.80q with %d bytes, want at least %d of %.80q", name, col, got, len(got), least, want)
	}
}

// TestStringsBesideOneThatIsTooLong: it takes nothing of the others, and where there
// is no room for all of them, truncated says so.
func TestStringsBesideOneThatIsTooLong(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "strings.c", "-g", "-O2", "-w")
	type text struct {
		want  string
		least int
	}
	type event struct {
		a, b, c   text
		truncated string
	}
	whole := func(s string) text { return text{s, 0} }
	for engine, tests := range map[string][]event{
		"perf": {
			{whole("first"), text{textOf(10000), 5}, whole("third"), "true"},
			{text{textOf(10000), 5}, whole("second"), whole("null"), "true"},
			{whole(""), whole("null"), whole("third"), "false"},
			{whole(textOf(2000)), whole(textOf(1500)), whole(textOf(300)), "false"},
			{whole(textOf(3000)), text{textOf(3000), 8}, whole("third"), "true"},
		},
		"auto": {
			{whole("first"), text{textOf(10000), 4096}, whole("third"), "true"},
			{text{textOf(10000), 4096}, whole("second"), whole("null"), "true"},
			{whole(""), whole("null"), whole("third"), "false"},
			{whole(textOf(2000)), whole(textOf(1500)), whole(textOf(300)), "false"},
			{whole(textOf(3000)), whole(textOf(3000)), whole("third"), "false"},
		},
	} {
		t.Run(engine, func(t *testing.T) {
			if engine == "auto" {
				needPrograms(t)
			}
			rows := recordRows(t, "--engine", engine, "-e", "uprobe:"+prog+":three(a, b, c)", "--", prog)
			if len(rows) != len(tests) {
				t.Fatalf("got %d rows, want %d", len(rows), len(tests))
			}
			for i, tt := range tests {
				for col, w := range map[string]text{"a": tt.a, "b": tt.b, "c": tt.c} {
					checkText(t, fmt.Sprintf("row %d", i), rows[i], col, w.want, w.least)
				}
				if got := rows[i].value("truncated"); got != tt.truncated {
					t.Errorf("row %d: truncated: got %s, want %s", i, got, tt.truncated)
				}
			}
		})
	}
}

// TestNullIsNotZero: what is behind a pointer that leads nowhere is null, and a zero
// that is there is 0.
func TestNullIsNotZero(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "strings.c", "-g", "-O2", "-w")
	rows := recordRows(t, "-e", "uprobe:"+prog+":boxed(p->a, p->b, p->c, p->s, *q, deep=pp[0]->a, text=pp[0]->s)", "--", prog)
	for col, want := range map[string]string{
		"a": "0 0 null null null 0", "b": "-1 0 null null null -1", "c": "1 0 null null null 1",
		"s": `"in a box" null null null null "in a box"`, "q": "7 0 null null null 7",
		"deep": "0 0 null null null null", "text": `"in a box" null null null null null`,
	} {
		if got := column(rows, col); got != want {
			t.Errorf("%s: got %s, want %s", col, got, want)
		}
	}
}
