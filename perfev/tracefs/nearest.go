package tracefs

import (
	"cmp"
	"slices"
	"strings"
)

// maxNearest is how many names a suggestion gives.
const maxNearest = 3

// Nearest returns at most three of events that are like name, the likeliest
// first: the same name in another system, names within a few typing errors, names
// that begin or end with it.
func Nearest(name string, events []string) []string { return nearest(name, events) }

func nearest(name string, events []string) []string {
	if strings.ContainsAny(name, "*?[") {
		return nearestGlob(name, events)
	}
	low := strings.ToLower(strings.ReplaceAll(name, "/", ":"))
	sys, half, both := strings.Cut(low, ":")
	if !both {
		half, sys = low, ""
	}
	type scored struct {
		name string
		d    int
	}
	var best []scored
	for _, e := range events {
		es, en, _ := strings.Cut(e, ":")
		limit := max(2, len(low)/4)
		d := limit + 1
		if half != "" && en == half {
			d = 0
			if both {
				d = min(distance(sys, es, 2), 2)
			}
		} else if both {
			d = distance(low, strings.ToLower(e), limit)
		} else if half != "" {
			d = distance(half, strings.ToLower(en), max(2, len(half)/4))
		}
		if d > limit && len(half) >= 4 && (!both || es == sys) && (strings.HasPrefix(en, half) || strings.HasSuffix(en, half)) {
			d = limit
		}
		if d <= limit {
			best = append(best, scored{e, d})
		}
	}
	slices.SortStableFunc(best, func(a, b scored) int { return cmp.Compare(a.d, b.d) })
	var out []string
	for _, s := range best {
		// Names much further off than the first only distract.
		if len(out) == maxNearest || s.d > best[0].d+1 {
			break
		}
		out = append(out, s.name)
	}
	return out
}

// nearestGlob suggests systems for a pattern whose system does not exist, and the
// pattern over every system for one without a colon.
func nearestGlob(pattern string, events []string) []string {
	sys, name, both := strings.Cut(pattern, ":")
	if !both {
		return []string{"'*:" + pattern + "'"}
	}
	if strings.ContainsAny(sys, "*?[") {
		return nil
	}
	best, limit := "", max(1, len(sys)/3)
	for _, e := range events {
		es, _, _ := strings.Cut(e, ":")
		if es == sys {
			return nil
		}
		if d := distance(sys, es, limit); d <= limit && es != best {
			best, limit = es, d-1
		}
	}
	if best == "" {
		return nil
	}
	return []string{"'" + best + ":" + name + "'"}
}

// distance is the number of typing errors between a and b: letters put in, left
// out, changed, or two neighbours swapped (optimal string alignment). It returns
// limit+1 as soon as it is more than limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, prev2[j-2]+1)
			}
			cur[j] = d
			least = min(least, d)
		}
		if least > limit {
			return limit + 1
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return min(prev[len(b)], limit+1)
}
