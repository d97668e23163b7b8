package filters

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe/filters/syntax"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// Limits of the code for eBPF.
const (
	// maxFollowed is how many rounds of loops within each other the verifier is asked to
	// follow one by one where there is another way: with branches within them, 20 were seen
	// to take it a second, and 3600 took 16 seconds before it gave up.
	maxFollowed = 8
	// maxBPFRounds is the same where there is none.
	maxBPFRounds = 4096
	// maxMayGoto is how often a program may come to an exit of its loops. Linux 6.18 looks
	// at the clock after 65535 times, and was seen to leave the loop then.
	maxMayGoto = 1<<16 - 2
	// maxNested and maxNestedCode are how deep loops may lie within each other, and how many
	// instructions a program may have where they lie deeper. One of 4 levels and 5000
	// instructions was seen to take the verifier 75 seconds before it gave up.
	maxNested, maxNestedCode = 2, 1200
	// maxBPFCode keeps jumps within the 16 bits that they have.
	maxBPFCode = 28000
	// maxBPFEmits is how many values the stack has room for beside the rest.
	maxBPFEmits = 12
)

// BPF returns p as code for a program in the kernel. The error says what of p such a
// program cannot do; the verifier of the running kernel may still say no to the rest.
//
// Of several programs of one [Set], all must be compiled before the first is asked.
func (p *Program) BPF() (*bpf.Filter, error) {
	b := &body{main: []*stmt{{op: stReturn, x: p.root}}, passes: true}
	if p.body != nil {
		b = p.body
	}
	f := &bpf.Filter{Emits: len(b.emits), PassFaults: p.onFault, Mute: !b.passes}
	if f.Emits > maxBPFEmits {
		return nil, fmt.Errorf("it emits %d columns, a program in the kernel has room for %d", f.Emits, maxBPFEmits)
	}
	if b.layout != nil {
		f.Memory = b.layout.memory()
	}
	g := newBPFGen(p, b)
	f.Late, f.Text = g.needs()
	f.Write = func(place *bpf.Place) (asm.Instructions, error) { return newBPFGen(p, b).write(place) }
	// What is not possible is so wherever it is put.
	if _, err := f.Write(trialPlace(p, f)); err != nil {
		return nil, err
	}
	return f, nil
}

// Ordered reports whether p keeps something that records of all processors change, so
// that what it says depends on the order in which they are looked at. Programs in the
// kernel look at them as they happen, several at a time.
func (p *Program) Ordered() bool {
	if p.body == nil {
		return false
	}
	shared := slices.ContainsFunc(p.body.layout.cells, func(k *cell) bool { return !k.perCPU })
	return shared || slices.ContainsFunc(p.body.layout.tables, func(m *table) bool { return m.key.name != "tid" && m.key.name != "cpu" })
}

// PerProcessor reports whether p keeps something for each processor. Programs in the
// kernel for several events may interrupt each other there between looking at it and
// changing it.
func (p *Program) PerProcessor() bool {
	if p.body == nil {
		return false
	}
	l := p.body.layout
	return l.perCPU > 0 || slices.ContainsFunc(l.tables, func(m *table) bool { return m.key.name == "cpu" })
}

// memory describes what l names, the same for everybody who asks.
func (l *layout) memory() *bpf.Memory {
	if l.kept == nil {
		l.kept = &bpf.Memory{}
	}
	m := l.kept
	m.Cells, m.CPUCells, m.Tables = make([]uint64, l.global), make([]uint64, l.perCPU), nil
	for _, k := range l.cells {
		if k.perCPU {
			m.CPUCells[k.at] = k.init
		} else {
			m.Cells[k.at] = k.init
		}
	}
	for _, t := range l.tables {
		m.Tables = append(m.Tables, t.cap)
	}
	return m
}

// trialPlace is a place as programs have it, with descriptors of nothing.
func trialPlace(p *Program, f *bpf.Filter) *bpf.Place {
	none := func(asm.Register) asm.Instructions { return nil }
	m := bpf.MemoryMaps{CPUs: 1}
	if f.Memory != nil {
		m.Tables = make([]int, len(f.Memory.Tables))
	}
	return &bpf.Place{
		Size: bpf.RawOffset + p.schema.Size, Stack: -64, Emits: -64, PID: bpf.RawOffset + 4, Accept: "a", Reject: "r", Fault: "f", Prefix: "x", Maps: m,
		CPU: none, Process: none, Comm: func(int) asm.Instructions { return nil },
	}
}

// cost is the most of the budget that the statements use, and whether it is bounded.
func cost(list []*stmt) (n uint64, bounded bool) {
	bounded = true
	add := func(m uint64, ok bool) {
		n, bounded = min(n+m, MaxBudget), bounded && ok
	}
	for _, s := range list {
		for _, x := range [...]*node{s.key, s.x} {
			add(nodeCost(x))
		}
		switch s.op {
		case stFor:
			rounds, ok := s.rounds()
			once, ok2 := cost(s.body)
			c, ok3 := nodeCost(s.cond)
			add(min(rounds, MaxBudget)*(once+c+1)+c, ok && ok2 && ok3)
		default:
			add(nodeCost(s.cond))
			add(cost(s.body))
			add(cost(s.els))
		}
	}
	return n, bounded
}

// nodeCost is at least what n can use.
func nodeCost(n *node) (uint64, bool) {
	if n == nil {
		return 0, true
	}
	sum, bounded := uint64(0), true
	for _, k := range n.kids {
		c, ok := nodeCost(k)
		sum, bounded = min(sum+c, MaxBudget), bounded && ok
	}
	switch {
	case n.op == opUser:
		c, ok := cost(n.call.body)
		return min(sum+c+2, MaxBudget), bounded && ok
	case n.op == opNot, n.op == opAnd, n.op == opOr, n.op == opConst:
		return sum, bounded
	}
	// Whatever else it is, it may stand where a predicate does.
	return sum + 1, bounded
}

// loopsOf is how many loops are written in b. Each is entered at most as often as the
// block around it goes round or its function is called, which the budget counts.
func loopsOf(b *body) int {
	n := countLoops(b.main)
	for _, f := range b.funcs {
		n += countLoops(f.body)
	}
	return n
}

func countLoops(list []*stmt) (n int) {
	for _, s := range list {
		if s.op == stFor {
			n++
		}
		n += countLoops(s.body) + countLoops(s.els)
	}
	return n
}

// mostRounds is how many rounds loops within each other go at most, and whether that is
// known.
func mostRounds(list []*stmt) (most uint64, known bool) {
	most, known = 1, true
	add := func(n uint64, ok bool) { most, known = max(most, n), known && ok }
	calls := func(n *node) {
		if n.op == opUser {
			add(mostRounds(n.call.body))
		}
	}
	for _, s := range list {
		in := []*node{s.key, s.x, s.cond}
		if s.op == stFor {
			in = in[:2]
			n, ok := s.rounds()
			// What decides on a round is looked at before each.
			cond := &stmt{op: stCall, x: s.cond}
			once, ok2 := mostRounds(append([]*stmt{cond}, s.body...))
			add(min(n, MaxBudget)*once, ok && ok2)
		} else {
			add(mostRounds(s.body))
			add(mostRounds(s.els))
		}
		for _, x := range in {
			each(x, calls)
		}
	}
	return min(most, MaxBudget), known
}

// nesting is how many loops lie within each other at most, functions put in where they
// are called.
func nesting(list []*stmt) (deepest int) {
	for _, s := range list {
		inner := max(nesting(s.body), nesting(s.els))
		calls := func(n *node) {
			if n.op == opUser {
				inner = max(inner, nesting(n.call.body))
			}
		}
		for _, x := range [...]*node{s.key, s.x, s.cond} {
			each(x, calls)
		}
		if s.op == stFor {
			inner++
		}
		deepest = max(deepest, inner)
	}
	return deepest
}

// rounds is how often the loop goes round at most, as far as constants tell.
func (s *stmt) rounds() (uint64, bool) {
	if s.max > 0 {
		return s.max, true
	}
	c := s.cond
	if !s.x.isConst() || c.op != opIn || c.kids[0].op != opVar || c.kids[0].v != s.v || len(c.set) != 1 {
		return 0, c.isFalse()
	}
	if n := c.set[0].hi - s.x.val; int64(n) >= 0 {
		return n + 1, true
	}
	return 0, true
}

// errBPF is an error that only code for eBPF has.
func errBPF(format string, args ...any) error { return fmt.Errorf(format, args...) }

// errStack is one of programs that hold too much at a time.
var errStack = errors.New("its variables and intermediate values need more than the 512 bytes that a program in the kernel has for them")

// binJump is the jump for x k y of integers that are signed, or not.
func binJump(k syntax.Kind, signed bool) asm.JumpOp {
	switch k {
	case syntax.Eq:
		return asm.JEq
	case syntax.Ne:
		return asm.JNE
	case syntax.Lt:
		if signed {
			return asm.JSLT
		}
		return asm.JLT
	case syntax.Le:
		if signed {
			return asm.JSLE
		}
		return asm.JLE
	case syntax.Gt:
		if signed {
			return asm.JSGT
		}
		return asm.JGT
	}
	if signed {
		return asm.JSGE
	}
	return asm.JGE
}
