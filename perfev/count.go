package perfev

import (
	"cmp"
	"maps"
	"slices"
)

// counter is one event that is counted and not recorded.
type counter struct {
	// name is "system:name", id the number of the tracepoint.
	name string
	id   uint64
	// of indexes Config.Events: the return event.
	of int
	// sign is 1 for entries, -1 for returns.
	sign int
}

// counters lists what is counted: first each return event of Config.Entries, once,
// then the entries. Returns are counted as well, as of their records the filter
// may have taken some.
func (c *Config) counters() []counter {
	var list []counter
	seen := make(map[int]bool)
	for _, e := range c.Entries {
		if seen[e.Of] {
			continue
		}
		seen[e.Of] = true
		sc := c.Events[e.Of].Schema
		list = append(list, counter{name: sc.Event(), id: uint64(sc.ID), of: e.Of, sign: -1})
	}
	for _, e := range c.Entries {
		list = append(list, counter{name: e.Schema.Event(), id: uint64(e.Schema.ID), of: e.Of, sign: 1})
	}
	return list
}

// settle takes the calls that are under way off the entries without a return, by
// event. Which event a call under way is of is not known: where there are several,
// those with the fewest are taken first, as a thread is in few calls at once, and
// what is lost by deep nesting is many.
func settle(unseen map[int]int64, pending uint64) (lost map[int]uint64, underWay uint64) {
	lost = make(map[int]uint64)
	events := slices.SortedFunc(maps.Keys(unseen), func(a, b int) int {
		return cmp.Or(cmp.Compare(unseen[a], unseen[b]), cmp.Compare(a, b))
	})
	for _, ev := range events {
		if unseen[ev] <= 0 {
			continue
		}
		n := uint64(unseen[ev])
		take := min(n, pending)
		pending -= take
		underWay += take
		if n > take {
			lost[ev] = n - take
		}
	}
	return lost, underWay
}
