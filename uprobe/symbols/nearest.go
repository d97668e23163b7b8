package symbols

import (
	"cmp"
	"slices"
	"strings"
)

// maxNearest is how many names an error offers.
const maxNearest = 5

// unknown makes the error for a name that nothing matched.
func (f *File) unknown(name string) *UnknownFunctionError {
	e := &UnknownFunctionError{Name: name, Path: f.path, Nearest: f.nearest(name)}
	if f.Stripped() && f.DebugPath() == "" {
		e.Note = "the file is stripped"
		if f.o.NoDebug {
			e.Note += ", and debug files are turned off"
		} else if at := f.searched(); at != "" {
			e.Note += ", and its debug file was not found (" + at + ")"
		}
	}
	if len(f.loadNote) > 0 {
		e.Note = strings.TrimPrefix(e.Note+"; "+strings.Join(f.loadNote, "; "), "; ")
	}
	return e
}

// nearest returns the names that are most like name: other versions of it, its
// clones, the same in other case, then the fewest edits.
func (f *File) nearest(name string) []string {
	plain, _, _ := splitVersion(name)
	want := strings.ToLower(lastPart(plain))
	if want == "" {
		return nil
	}
	type scored struct {
		name string
		cost int
	}
	limit := (len(want) + 2) / 3 // two neighbours that are swapped cost two
	best := make(map[string]int)
	var row []int
	f.each(func(t *table, i int, s sym) bool {
		raw := string(t.str(s.name))
		shown, part := raw, raw
		if d, ok := demangled(raw, baseName); ok {
			shown, part = d, lastPart(d)
		} else if v, def := t.version(i); v != "" {
			shown = versioned(raw, v, def)
		}
		base, _, _ := splitVersion(part)
		base, clone := splitClone(base)
		if diff := len(base) - len(want); diff > limit || -diff > limit {
			return true
		}
		var cost int
		cost, row = distance(strings.ToLower(base), want, limit, row)
		if cost > limit {
			return true
		}
		cost *= 2
		if clone != "" {
			cost++
		}
		if c, ok := best[shown]; !ok || cost < c {
			best[shown] = cost
		}
		return true
	})
	all := make([]scored, 0, len(best))
	for n, c := range best {
		if n != name {
			all = append(all, scored{n, c})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
	})
	names := make([]string, 0, maxNearest)
	for _, s := range all[:min(len(all), maxNearest)] {
		names = append(names, s.name)
	}
	return names
}

// lastPart returns what follows the last "::" or "." of a name, its parameters and
// template arguments left out.
func lastPart(s string) string {
	if i := strings.IndexAny(s, "(<"); i > 0 {
		s = s[:i]
	}
	if i := strings.LastIndex(s, "::"); i >= 0 {
		return s[i+2:]
	}
	return s
}

// distance returns the number of edits (Levenshtein) from a to b, or more than limit
// where they are more. row is working space, which it returns.
func distance(a, b string, limit int, row []int) (int, []int) {
	row = row[:0]
	for j := range len(b) + 1 {
		row = append(row, j)
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		least := row[0]
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, diag+1)
			least = min(least, row[j+1])
		}
		if least > limit {
			return least, row
		}
	}
	return row[len(b)], row
}
