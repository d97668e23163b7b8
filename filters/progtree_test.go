package filters

import (
	"math/big"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// progEval runs the statements of a program directly, with maps of Go and big
// integers: what the instructions are compared with.
type progEval struct {
	b      *body
	budget int
	cells  map[*cell]map[uint16]*big.Int // of a state by processor, 0 where it is one for all
	memory map[int]*big.Int              // those of delta, changed and rate, by place
	tables map[*table]map[string]*big.Int

	ints   map[*variable]*big.Int
	strs   map[*variable]string
	result string // of the last function that gave a string
	left   int
	emits  map[int]any
}

func newProgEval(p *Program) *progEval {
	return &progEval{b: p.body, budget: p.budget, cells: make(map[*cell]map[uint16]*big.Int), memory: make(map[int]*big.Int), tables: make(map[*table]map[string]*big.Int)}
}

// how a statement left.
type exit int

const (
	goesOn exit = iota
	breaks
	continues
	returns
)

// decide runs the program on r. emits are the columns that got a value: *big.Int or string.
func (p *progEval) decide(r *perfpipe.Record, pass bool) (ok bool, fault Fault) {
	p.ints, p.strs, p.left, p.emits = make(map[*variable]*big.Int), make(map[*variable]string), p.budget, make(map[int]any)
	e := &treeEval{r: r, prog: p}
	how, v := p.block(e, p.b.main, nil)
	if e.fault != 0 {
		p.emits = make(map[int]any)
		return pass, e.fault
	}
	return how == returns && v.Sign() != 0, 0
}

func (p *progEval) charge(e *treeEval) {
	if p.left--; p.left < 0 {
		e.fail(FaultBudget)
	}
}

func (p *progEval) set(e *treeEval, v *variable, x *node) {
	if v.typ == tStr {
		p.strs[v] = e.str(x)
		return
	}
	p.ints[v] = e.value(x)
}

func (p *progEval) block(e *treeEval, list []*stmt, fn *function) (exit, *big.Int) {
	for _, s := range list {
		if how, v := p.stmt(e, s, fn); how != goesOn || e.fault != 0 {
			return how, v
		}
	}
	return goesOn, nil
}

func (p *progEval) stmt(e *treeEval, s *stmt, fn *function) (exit, *big.Int) {
	switch s.op {
	case stSet:
		p.set(e, s.v, s.x)
	case stState:
		v := e.value(s.x)
		if e.fault == 0 {
			p.state(e, s.cell).Set(v)
		}
	case stMap:
		k := e.value(s.key)
		x := e.value(s.x)
		if e.fault != 0 {
			break
		}
		m := p.table(s.m)
		old, ok := m[keyOf(s.m, k)]
		if !ok && len(m) >= s.m.cap {
			e.fail(FaultMapFull)
			break
		}
		if !ok {
			old = new(big.Int)
		}
		m[keyOf(s.m, k)] = p.stored(s, old, x)
	case stDelete:
		if k := e.value(s.key); e.fault == 0 {
			delete(p.table(s.m), keyOf(s.m, k))
		}
	case stIf:
		yes := e.truth(s.cond)
		if e.fault != 0 {
			break
		}
		if yes {
			return p.block(e, s.body, fn)
		}
		return p.block(e, s.els, fn)
	case stFor:
		p.ints[s.v] = e.value(s.x)
		for n := uint64(0); e.fault == 0 && e.truth(s.cond); n++ {
			if s.max > 0 && n == s.max {
				e.fail(FaultLoop)
				break
			}
			how, v := p.block(e, s.body, fn)
			if e.fault != 0 || how == returns {
				return how, v
			}
			if how == breaks {
				break
			}
			p.ints[s.v] = new(big.Int).Add(p.ints[s.v], big.NewInt(1))
			p.charge(e)
		}
	case stBreak:
		return breaks, nil
	case stContinue:
		return continues, nil
	case stReturn:
		switch {
		case fn == nil:
			if e.truth(s.x) {
				return returns, big.NewInt(1)
			}
			return returns, new(big.Int)
		case fn.ret.typ == tStr:
			p.result = e.str(s.x)
			return returns, new(big.Int)
		}
		return returns, e.value(s.x)
	case stEmit:
		if s.cond != nil && !e.truth(s.cond) {
			if e.fault == 0 {
				delete(p.emits, s.emit)
			}
			break
		}
		if s.x.typ == tStr {
			p.emits[s.emit] = e.str(s.x)
		} else {
			p.emits[s.emit] = e.value(s.x)
		}
	case stCall:
		p.value(e, s.x)
	}
	return goesOn, nil
}

// stored is what a map holds after an assignment.
func (p *progEval) stored(s *stmt, old, x *big.Int) *big.Int {
	t := s.m.val
	z := new(big.Int)
	switch s.bin {
	case syntax.Plus:
		z.Add(old, x)
	case syntax.Minus:
		z.Sub(old, x)
	case syntax.And:
		z.And(old, typed(x, tUint))
		z.And(typed(old, tUint), typed(x, tUint))
	case syntax.Or:
		z.Or(typed(old, tUint), typed(x, tUint))
	case syntax.Xor:
		z.Xor(typed(old, tUint), typed(x, tUint))
	default:
		z.Set(x)
	}
	u := typed(z, tUint).Uint64()
	return ofUint(extend(u, t.size*8, t.typ), t.typ)
}

func (p *progEval) state(e *treeEval, k *cell) *big.Int {
	at := uint16(0)
	if k.perCPU {
		at = e.r.CPU
	}
	if p.cells[k] == nil {
		p.cells[k] = make(map[uint16]*big.Int)
	}
	if p.cells[k][at] == nil {
		p.cells[k][at] = ofUint(k.init, k.vtype.typ)
	}
	return p.cells[k][at]
}

// keyOf is a key as m keeps it: of 64 bits, one that was computed in the other type is
// taken as it is.
func keyOf(m *table, k *big.Int) string { return typed(k, m.key.typ).String() }

func (p *progEval) table(m *table) map[string]*big.Int {
	if p.tables[m] == nil {
		p.tables[m] = make(map[string]*big.Int)
	}
	return p.tables[m]
}

func (p *progEval) value(e *treeEval, n *node) *big.Int {
	zero := new(big.Int)
	switch n.op {
	case opVar:
		if n.v.typ == tStr {
			return zero
		}
		return typed(p.ints[n.v], n.typ)
	case opState:
		return new(big.Int).Set(p.state(e, n.cell))
	case opMapGet:
		k := e.value(n.kids[0])
		if e.fault != 0 {
			return zero
		}
		if v := p.table(n.m)[keyOf(n.m, k)]; v != nil {
			return new(big.Int).Set(v)
		}
		return zero
	case opDelta:
		v := e.value(n.kids[0])
		if e.fault != 0 {
			return zero
		}
		old, ok := p.memory[n.cell.at]
		p.memory[n.cell.at] = v
		if !ok {
			return zero
		}
		return typed(new(big.Int).Sub(v, old), tInt)
	case opUser:
		return p.call(e, n)
	}
	return e.value(n)
}

func (p *progEval) call(e *treeEval, n *node) *big.Int {
	ints, strs := make([]*big.Int, len(n.kids)), make([]string, len(n.kids))
	for i, k := range n.kids {
		if k.typ == tStr {
			strs[i] = e.str(k)
		} else {
			ints[i] = e.value(k)
		}
	}
	if e.fault == 0 {
		p.charge(e)
	}
	if e.fault != 0 {
		return new(big.Int)
	}
	for i, v := range n.call.params {
		if v.typ == tStr {
			p.strs[v] = strs[i]
		} else {
			p.ints[v] = typed(ints[i], v.typ)
		}
	}
	_, v := p.block(e, n.call.body, n.call)
	if v == nil {
		v = new(big.Int)
	}
	return typed(v, n.call.ret.typ)
}

// test decides the predicates that keep something.
func (p *progEval) test(e *treeEval, n *node) bool {
	switch n.op {
	case opMapHas:
		k := e.value(n.kids[0])
		_, ok := p.table(n.m)[keyOf(n.m, k)]
		return ok && e.fault == 0
	case opChanged:
		v := typed(e.value(n.kids[0]), tUint)
		if e.fault != 0 {
			return false
		}
		old := p.memory[n.cell.at]
		p.memory[n.cell.at] = v
		return old == nil || old.Cmp(v) != 0
	}
	now := big.NewInt(e.r.Time)
	start, count := p.memory[n.cell.at], p.memory[n.cell.at+1]
	if start == nil || new(big.Int).Sub(now, start).Cmp(new(big.Int).SetUint64(n.kids[1].val)) >= 0 {
		start, count = now, new(big.Int)
	}
	hit := count.Cmp(new(big.Int).SetUint64(n.kids[0].val)) < 0
	if hit {
		count = new(big.Int).Add(count, big.NewInt(1))
	}
	p.memory[n.cell.at], p.memory[n.cell.at+1] = start, count
	return hit
}
