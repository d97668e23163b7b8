package perfev

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
