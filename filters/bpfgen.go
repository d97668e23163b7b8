package filters

import (
	"github.com/cilium/ebpf/asm"

	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// bpfGen makes the code for eBPF of a program: a walk over the typed tree. A value is
// computed into R0; what must outlive that lies on the stack, where variables are too.
// R7 is the record, R9 what is left of the budget where that is counted.
type bpfGen struct {
	code.Code
	p     *Program
	b     *body
	place *bpf.Place
	// counted is whether the budget can run out, so that R9 holds what is left.
	counted bool
	next    int // the stack is free below this offset
	vars    map[*variable]int
	scope   []*variable // those of the blocks around what is being made
	faults  map[Fault]string
	texts   *bpfTexts
	memory  int // of each of two texts
	// functions are the loops that go through texts; they stand behind all else.
	functions asm.Instructions
	fn        *bpfFrame
	brk       string
	cont      string
	rounds    uint64 // of the loops around what is being made
	// large: there are loops of more rounds than the verifier is to follow one by one.
	large bool
	err   error
}

// bpfFrame is a function that is being put in where it is called.
type bpfFrame struct {
	end string
	ret int // where its result goes
}

func newBPFGen(p *Program, b *body) *bpfGen {
	t := newBPFTexts(b)
	return &bpfGen{p: p, b: b, vars: make(map[*variable]int), texts: t, memory: t.textMemory(b), faults: make(map[Fault]string), rounds: 1}
}

// fail notes the first thing that code for eBPF cannot do.
func (g *bpfGen) fail(format string, args ...any) {
	if g.err == nil {
		g.err = errBPF(format, args...)
	}
}

// write makes the code for a place.
func (g *bpfGen) write(place *bpf.Place) (asm.Instructions, error) {
	g.place, g.Prefix, g.next = place, place.Prefix, place.Stack
	most, bounded := cost(g.b.main)
	g.counted = g.b.layout != nil && (place.Left || !bounded || most > uint64(g.p.budget))
	if n, ok := mostRounds(g.b.main); !place.Follow && (!ok || n > maxFollowed) {
		g.large = true
		if most := maxMayGoto/(1+uint64(loopsOf(g.b))) - 1; uint64(g.p.budget) > most {
			g.fail("its loops may go round as often as its budget of %d lets them; in the kernel that may be at most %d", g.p.budget, most)
		}
	}
	if g.counted {
		// The verifier is not to know the number: it would look at all that comes behind
		// a branch once for each number that the ways through it leave.
		at := g.slot()
		g.hide(at, uint64(g.p.budget))
		g.load(asm.R9, at)
		g.next = place.Stack
	}
	g.block(g.b.main)
	for f := FaultNone; f <= FaultMapFull; f++ {
		if label, ok := g.faults[f]; ok {
			g.Mark(label)
			g.Add(asm.Mov.Imm(asm.R1, int32(f)))
			g.Jump(place.Fault)
		}
	}
	for range 8 {
		for g.Tidy() {
		}
		g.Out = bpf.Prune(g.Out)
		if !g.Tidy() {
			break
		}
	}
	g.Out = append(g.Out, g.functions...)
	if g.err == nil && g.large && len(g.Out) > maxNestedCode {
		if n := nesting(g.b.main); n > maxNested {
			g.fail("its loops lie %d deep within each other, with %d instructions: more than the kernel's verifier can follow in time", n, len(g.Out))
		}
	}
	if g.err == nil && len(g.Out) > maxBPFCode {
		g.fail("it is %d instructions, more than the %d that jumps reach over", len(g.Out), maxBPFCode)
	}
	return g.Out, g.err
}

// slot takes 8 bytes of the stack.
func (g *bpfGen) slot() int { return g.room(8) }

// room takes n bytes of the stack, a multiple of 8.
func (g *bpfGen) room(n int) int {
	if g.next-n < bpf.StackEnd {
		if g.err == nil {
			g.err = errStack
		}
		return bpf.StackEnd
	}
	g.next -= n
	return g.next
}

// store puts a register into a slot, load takes it out.
func (g *bpfGen) store(at int, reg asm.Register) {
	g.Add(asm.StoreMem(asm.RFP, int16(at), reg, asm.DWord))
}

// keep is store of R0 where that is an integer, and may change it. In a program with
// large loops the verifier is not to know what lies there: it would look at a round
// again for all that the rounds before it make of it.
func (g *bpfGen) keep(at int) {
	if !g.large {
		g.store(at, asm.R0)
		return
	}
	g.Add(
		asm.StoreMem(asm.RFP, int16(at), asm.R0, asm.Word),
		asm.RSh.Imm(asm.R0, 32),
		asm.StoreMem(asm.RFP, int16(at+4), asm.R0, asm.Word),
	)
}

func (g *bpfGen) load(reg asm.Register, at int) {
	g.Add(asm.LoadMem(reg, asm.RFP, int16(at), asm.DWord))
}

// hide puts v into a slot so that the verifier does not know what the slot holds.
func (g *bpfGen) hide(at int, v uint64) {
	g.Add(
		asm.StoreImm(asm.RFP, int16(at), int64(int32(uint32(v))), asm.Word),
		asm.StoreImm(asm.RFP, int16(at+4), int64(int32(uint32(v>>32))), asm.Word),
	)
}

// fault is the label that ends the evaluation with f.
func (g *bpfGen) fault(f Fault) string {
	label, ok := g.faults[f]
	if !ok {
		label = g.Label()
		g.faults[f] = label
	}
	return label
}

// charge takes 1 of the budget.
func (g *bpfGen) charge() {
	switch {
	case !g.counted:
	case g.large:
		// Nor is it to know what may be left.
		g.Add(asm.Add.Imm(asm.R9, -1), asm.Mov.Reg(asm.R5, asm.R9), asm.RSh.Imm(asm.R5, 63), asm.JNE.Imm(asm.R5, 0, g.fault(FaultBudget)))
	default:
		g.Add(asm.Add.Imm(asm.R9, -1), asm.JSLT.Imm(asm.R9, 0, g.fault(FaultBudget)))
	}
}

// block makes statements; the stack that their variables took is free behind it.
func (g *bpfGen) block(list []*stmt) {
	next, scope := g.next, len(g.scope)
	for _, s := range list {
		if g.err != nil {
			return
		}
		g.stmt(s)
	}
	for _, v := range g.scope[scope:] {
		delete(g.vars, v)
	}
	g.next, g.scope = next, g.scope[:scope]
}

func (g *bpfGen) stmt(s *stmt) {
	if s.op == stSet {
		g.set(s.v, s.x)
		return
	}
	next := g.next
	defer func() { g.next = next }()
	switch s.op {
	case stState:
		g.value(s.x)
		g.setCell(s.cell)
	case stMap:
		g.setMap(s)
	case stDelete:
		g.value(s.key)
		at := g.slot()
		g.keep(at)
		g.table(s.m, at)
		g.Add(asm.FnMapDeleteElem.Call())
	case stIf:
		yes, end := g.Label(), g.Label()
		no := end
		if len(s.els) > 0 {
			no = g.Label()
		}
		g.cond(s.cond, code.Target{True: yes, False: no, Next: yes})
		g.Mark(yes)
		g.block(s.body)
		if len(s.els) > 0 {
			g.Jump(end)
			g.Mark(no)
			g.block(s.els)
		}
		g.Mark(end)
	case stFor:
		g.loop(s)
	case stBreak:
		g.Jump(g.brk)
	case stContinue:
		g.Jump(g.cont)
	case stReturn:
		g.ret(s.x)
	case stCall:
		g.value(s.x)
	case stEmit:
		g.emit(s)
	}
}

// set gives v a value, and a place where it has none.
func (g *bpfGen) set(v *variable, x *node) {
	at, ok := g.vars[v]
	if !ok {
		at = g.slot()
		g.vars[v] = at
		g.scope = append(g.scope, v)
	}
	if g.large && x.isConst() {
		// What is known at the head of a loop would be so in each round.
		g.hide(at, x.val)
		return
	}
	next := g.next
	g.value(x)
	g.keep(at)
	g.next = next
}

func (g *bpfGen) ret(x *node) {
	if g.fn == nil {
		g.cond(x, code.Target{True: g.place.Accept, False: g.place.Reject})
		return
	}
	g.value(x)
	g.keep(g.fn.ret)
	g.Jump(g.fn.end)
}

// loop makes a loop. The verifier follows those of few rounds one by one. In a program
// with others every loop has an exit, may_goto, that the kernel takes where there seems
// to be no end to it; the budget ends each before that.
func (g *bpfGen) loop(s *stmt) {
	n, ok := s.rounds()
	around := g.rounds
	g.rounds *= max(n, 1)
	defer func() { g.rounds = around }()
	if g.place.Follow && (!ok || n > maxBPFRounds || g.rounds > maxBPFRounds) {
		g.fail("its loops may go round more than %d times, more than this kernel follows", maxBPFRounds)
		return
	}
	scope := len(g.scope)
	g.set(s.v, s.x)
	count := 0
	if s.max > 0 {
		count = g.slot()
		if g.large {
			g.hide(count, 0)
		} else {
			g.Add(code.StoreConst(asm.RFP, count, 0))
		}
	}
	head, in, next, end := g.Label(), g.Label(), g.Label(), g.Label()
	g.Mark(head)
	if g.large {
		g.MayGoto(g.fault(FaultBudget))
	}
	g.cond(s.cond, code.Target{True: in, False: end, Next: in})
	g.Mark(in)
	if s.max > 0 {
		g.load(asm.R0, count)
		g.Add(asm.JGE.Imm(asm.R0, int32(s.max), g.fault(FaultLoop)), asm.Add.Imm(asm.R0, 1))
		g.keep(count)
	}
	brk, cont := g.brk, g.cont
	g.brk, g.cont = end, next
	g.block(s.body)
	g.brk, g.cont = brk, cont
	g.Mark(next)
	at := g.vars[s.v]
	g.load(asm.R0, at)
	g.Add(asm.Add.Imm(asm.R0, 1))
	g.keep(at)
	g.charge()
	g.Jump(head)
	g.Mark(end)
	delete(g.vars, s.v)
	g.scope = g.scope[:scope]
}

// emit gives a column its value, or none.
func (g *bpfGen) emit(s *stmt) {
	mask, at, bit := g.place.Emits, g.place.Emits+8+8*s.emit, int32(1)<<s.emit
	null, end := "", ""
	if s.x.typ == tStr {
		g.fail("it emits %s, which is a string", g.b.emits[s.emit].Name)
		return
	}
	if s.cond != nil {
		yes := g.Label()
		null, end = g.Label(), g.Label()
		g.cond(s.cond, code.Target{True: yes, False: null, Next: yes})
		g.Mark(yes)
	}
	g.value(s.x)
	g.keep(at)
	g.load(asm.R0, mask)
	g.Add(asm.Or.Imm(asm.R0, bit))
	g.keep(mask)
	if s.cond != nil {
		g.Jump(end)
		g.Mark(null)
		g.load(asm.R0, mask)
		g.Add(asm.And.Imm(asm.R0, ^bit))
		g.keep(mask)
		g.Mark(end)
	}
}

// call puts a function in where it is called, its result into R0.
func (g *bpfGen) call(n *node) {
	f := n.call
	next := g.next
	defer func() { g.next = next }()
	args := make([]int, len(n.kids))
	for i, k := range n.kids {
		g.value(k)
		args[i] = g.slot()
		g.keep(args[i])
	}
	for i, v := range f.params {
		g.vars[v] = args[i]
	}
	g.charge()
	fr, brk, cont := g.fn, g.brk, g.cont
	g.fn = &bpfFrame{end: g.Label(), ret: g.slot()}
	g.block(f.body)
	g.Mark(g.fn.end)
	g.load(asm.R0, g.fn.ret)
	g.fn, g.brk, g.cont = fr, brk, cont
}
