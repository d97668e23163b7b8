package filters

// opt is what a generator knows to save work: which fields are in registers already,
// which loops and functions are small enough to stand where they are run.
type opt struct {
	// sparing: registers are short, nothing is kept that can be had again.
	sparing bool
	// clock holds the record's time, sink takes what nobody reads.
	clock, sink uint8
	// loads counts the places that read a field, slots are the registers of those that
	// several do, have those of them that are loaded on every way to here, in the order of trail.
	loads map[load]int
	slots map[load]uint8
	have  map[load]uint8
	trail []fact
	// found are the registers that hold m[key], for keys in registers that are set once;
	// values are the registers for that.
	found  map[entry]uint8
	values map[entry]uint8
	// loud: the statement being made changes state while it is computed.
	loud bool
	// declared are the variables of the blocks around this place.
	declared []*variable
	// fixed are the values of the loop variables of unrolled loops, times the rounds
	// of all of them.
	fixed  map[*variable]uint64
	times  int
	inline map[*function]bool
}

// fact is what is known from a place on: that a field is loaded, or an element of a map.
type fact struct {
	load load
	entry
}

// entry is an element of a map, by the register of its key.
type entry struct {
	m   *table
	key uint8
}

// prepare counts the loads, and finds the functions that stand where they are called.
func (g *xgen) prepare(b *body) {
	g.loads, g.slots, g.have = make(map[load]int), make(map[load]uint8), make(map[load]uint8)
	g.found, g.values = make(map[entry]uint8), make(map[entry]uint8)
	g.fixed, g.times, g.inline = make(map[*variable]uint64), 1, make(map[*function]bool)
	if g.sparing {
		return
	}
	count := func(n *node) {
		if n.op == opLoad {
			g.loads[n.load]++
		}
	}
	sizes := make(map[*function]int)
	for _, f := range b.funcs {
		walk(f.body, count)
		n := g.nodes(f.body, sizes)
		g.inline[f] = n <= maxInlined && f.ret.typ != tStr && !loops(f.body) && !takesText(f)
		sizes[f] = n
	}
	walk(b.main, count)
}

// known is how many facts there are; forget goes back to that where ways join again.
func (g *xgen) known() int { return len(g.trail) }

func (g *xgen) forget(n int) {
	for _, f := range g.trail[n:] {
		if f.m != nil {
			delete(g.found, f.entry)
		} else {
			delete(g.have, f.load)
		}
	}
	g.trail = g.trail[:n]
}

// changed forgets the elements of m, of every map where m is nil.
func (g *xgen) changed(m *table) {
	for e := range g.found {
		if m == nil || e.m == m {
			delete(g.found, e)
		}
	}
}

// find is the register for m[key] of an operation that finds it, and remembers that it
// is there; the sink where nothing would know when key is another.
func (g *xgen) find(m *table, key uint8) uint8 {
	if g.sparing || int(key) < g.low {
		return g.sink
	}
	e := entry{m, key}
	r, ok := g.values[e]
	if !ok {
		if g.low-1 <= g.high {
			return g.sink
		}
		g.low--
		r = uint8(g.low)
		g.values[e] = r
	}
	g.found[e] = r
	g.trail = append(g.trail, fact{entry: e})
	return r
}

// element is the register that holds m[key] for n, where one does.
func (g *xgen) element(n *node) (r uint8, ok bool) {
	key, known := uint8(0), false
	switch k := n.kids[0]; k.op {
	case opLoad:
		key, known = g.have[k.load]
	default:
		if v, is := g.constOf(k); is {
			key, known = g.consts[v]
		}
	}
	if !known {
		return 0, false
	}
	r, ok = g.found[entry{n.m, key}]
	return r, ok
}

// slot is the register that keeps the field, ok is false where none does.
func (g *xgen) slot(l load) (r uint8, ok bool) {
	if r, ok = g.slots[l]; ok || g.loads[l] < 2 || g.sparing {
		return r, ok
	}
	if g.low-1 <= g.high {
		return 0, false
	}
	g.low--
	g.slots[l] = uint8(g.low)
	return uint8(g.low), true
}

func (g *xgen) remember(l load, r uint8) {
	g.have[l] = r
	g.trail = append(g.trail, fact{load: l})
}

// loaded is the register of a field that several places read, where it is loaded first.
func (g *xgen) loaded(l load) (r uint8, ok bool) {
	if r, ok = g.have[l]; ok {
		return r, true
	}
	if r, ok = g.slot(l); !ok {
		return 0, false
	}
	g.visit(l.name)
	g.emit(xinstr{op: loadAt(xLoadU8, l), a: r, off: uint32(l.off)})
	g.remember(l, r)
	return r, true
}

// rangeOf makes out the test of the field kid, which it loads where it is not.
func (g *xgen) rangeOf(kid *node, out *xinstr) {
	if r, ok := g.have[kid.load]; ok {
		out.op, out.b = xRange, r
		return
	}
	g.visit(kid.load.name)
	out.op, out.off, out.a = loadAt(xRangeU8, kid.load), uint32(kid.load.off), g.sink
	if r, ok := g.slot(kid.load); ok {
		out.a = r
		g.remember(kid.load, r)
	}
}

func (g *xgen) move(a, b uint8) {
	if a != b {
		g.emit(xinstr{op: xMove, a: a, b: b})
	}
}

// charge costs n of the budget.
func (g *xgen) charge(n uint64) { g.emit(xinstr{op: xCharge, lo: n}) }
