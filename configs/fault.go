package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a job file, and where.
type Fault struct {
	// File is the name that Load was given, "" where there is none.
	File string
	// Line and Column count from 1, Column in characters. Column is 0 where only
	// the line is known: the YAML parser names no more of a syntax error.
	Line, Column int
	// Text says what is wrong and how to mend it.
	Text string
}

// Error returns "FILE:LINE:COLUMN: TEXT", which editors and terminals make a link of.
func (f Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	fmt.Fprintf(&b, "%d:", f.Line)
	if f.Column > 0 {
		fmt.Fprintf(&b, "%d:", f.Column)
	}
	return b.String() + " " + f.Text
}

// Faults are all that is wrong in a file, in the order of its lines. It is never empty.
type Faults []Fault

// Error returns a line for each fault; where the text of one has several lines,
// these follow it.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// nearest returns the one of names that word was likely meant to be, "" where none is like it.
func nearest(word string, names []string) string {
	best, least := "", max(1, len(word)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(word), n); d <= least && (d < least || best == "") {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours between a and b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
