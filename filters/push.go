package filters

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// KernelFeatures is what the running kernel's filter engine knows.
type KernelFeatures struct {
	// Function: field.function == name (6.5 and newer; 6.1 has it not).
	Function bool
	// CPUS: field & CPUS{list} (6.6 and newer).
	CPUS bool
	// CPUCount is the number of processors that CPUS{} may name (nr_cpu_ids);
	// without it CPUS{} is not used.
	CPUCount int
}

// Pushed is what the kernel is given of a filter.
type Pushed struct {
	// Text is the kernel's filter, at most 4095 bytes; "" is none. Every record
	// that the filter lets through is let through by Text.
	Text string
	// Exact is true where Text decides the filter alone: Match need not be asked.
	Exact bool
	// Parts are the filter's terms that && joins, in their order.
	Parts []Part
	// Rest decides what Text leaves open, for records that Text let through; nil
	// where Exact.
	Rest *Program
	// Err is not nil where a term can be decided by the kernel alone (.ustring,
	// char *) and yet cannot be pushed: the filter cannot work.
	Err error
}

// Part is one term of a filter.
type Part struct {
	// Source is the term as written, Text what the kernel is given of it ("" is nothing).
	Source, Text string
	// Reason says why this much.
	Reason string
	// Exact is true where Text decides the term.
	Exact bool
}

// clause is kernel text as a tree: a leaf has text.
type clause struct {
	kind  clauseKind
	text  string
	kids  []*clause
	exact bool
}

type clauseKind uint8

const (
	clauseTrue clauseKind = iota
	clauseFalse
	clauseAtom
	clauseAnd
	clauseOr
)

// pusher makes clauses. All of them are weaker than what they stand for, or equal.
type pusher struct {
	schema   *perfpipe.Schema
	features KernelFeatures
	pass     bool // faults let records through
	reason   string
	budget   int
}

// Push says in the kernel's language as much of p as it can: exactly, or weaker.
func (p *Program) Push(k KernelFeatures) Pushed {
	var terms []*node
	if p.body == nil {
		terms = conjuncts(p.root, nil)
	} else {
		terms = p.prefix()
	}
	var out Pushed
	size, faulted := 0, false
	for _, n := range terms {
		ps := &pusher{schema: p.schema, features: k, pass: p.onFault, budget: 4096}
		c := ps.open("a term before it can fault, and then the record passes (on-fault is pass)")
		if !faulted || !p.onFault {
			ps.reason = ""
			c = ps.push(n, false)
		}
		faulted = faulted || n.faults
		part := Part{Source: p.termSource(n), Exact: c.exact, Reason: ps.reason}
		switch c.kind {
		case clauseFalse:
			// The kernel's language has no false; no bit of nothing is set.
			c = ps.open("it is never true, and the event has no common_type to say so with")
			if f := findKernelField("common_type", p.schema); f != nil && f.kind == kernelOther {
				c = &clause{kind: clauseAtom, text: "common_type & 0", exact: part.Exact}
				part.Text, ps.reason = c.text, "it is never true"
				size += len(part.Text) + len(" && ")
			}
			part.Exact, part.Reason = c.exact, ps.reason
		case clauseTrue:
		default:
			part.Text = c.render(len(terms) > 1)
			size += len(part.Text) + len(" && ")
		}
		out.Parts = append(out.Parts, part)
	}
	for size-len(" && ") > maxKernelText {
		long := 0
		for i := range out.Parts {
			if len(out.Parts[i].Text) > len(out.Parts[long].Text) {
				long = i
			}
		}
		t := &out.Parts[long]
		size -= len(t.Text) + len(" && ")
		t.Text, t.Exact, t.Reason = "", false, "the kernel takes at most 4095 bytes"
	}
	var texts []string
	var rest *node
	out.Exact = p.body == nil
	for i := range out.Parts {
		t := &out.Parts[i]
		if t.Text != "" {
			texts = append(texts, t.Text)
		}
		if t.Exact {
			if t.Reason == "" {
				t.Reason = "the kernel decides it"
			}
			continue
		}
		out.Exact = false
		if needsKernel(terms[i]) && out.Err == nil {
			out.Err = fmt.Errorf("push filter to the kernel: %s reads text that is in no record, and the kernel cannot decide the whole of it: %s", short(t.Source), t.Reason)
		}
		if rest == nil {
			rest = terms[i]
		} else {
			rest = mkAnd(rest, terms[i])
		}
	}
	out.Text = strings.Join(texts, " && ")
	if p.body != nil {
		// The terms come again in it.
		out.Rest = p
	} else if !out.Exact {
		q := *p
		q.root = rest
		// What was compiled as a whole compiles in part.
		if err := q.generate(); err == nil {
			out.Rest = &q
		} else {
			out.Rest = p
		}
	}
	return out
}

// termSource is how a term was written.
func (p *Program) termSource(n *node) string {
	if n.src == nil && n.op == opNot && n.kids[0].src != nil {
		return "!(" + syntax.Print(syntax.Bare(n.kids[0].src)) + ")"
	}
	if n.src == nil {
		return p.source
	}
	return syntax.Print(syntax.Bare(n.src))
}

// conjuncts takes the chain of && apart.
func conjuncts(n *node, list []*node) []*node {
	var right []*node
	for n.op == opAnd && !n.guarded {
		right = append(right, n.kids[1])
		n = n.kids[0]
	}
	list = append(list, n)
	for i := len(right) - 1; i >= 0; i-- {
		if right[i].op == opAnd && !right[i].guarded {
			list = conjuncts(right[i], list)
		} else {
			list = append(list, right[i])
		}
	}
	return list
}

// open is a clause that leaves everything to a later tier, and why.
func (ps *pusher) open(reason string) *clause {
	if ps.reason == "" {
		ps.reason = reason
	}
	return &clause{kind: clauseTrue}
}

func atom(text string) *clause { return &clause{kind: clauseAtom, text: text, exact: true} }

func truthClause(b bool) *clause {
	if b {
		return &clause{kind: clauseTrue, exact: true}
	}
	return &clause{kind: clauseFalse, exact: true}
}

func join(kind clauseKind, kids ...*clause) *clause {
	neutral, absorbing := clauseTrue, clauseFalse
	if kind == clauseOr {
		neutral, absorbing = clauseFalse, clauseTrue
	}
	out := &clause{kind: kind, exact: true}
	for _, k := range kids {
		if k.kind == absorbing {
			// What stood before it may have faulted.
			return &clause{kind: absorbing, exact: k.exact && out.exact}
		}
		out.exact = out.exact && k.exact
		switch k.kind {
		case neutral:
		case kind:
			out.kids = append(out.kids, k.kids...)
		default:
			out.kids = append(out.kids, k)
		}
	}
	switch len(out.kids) {
	case 0:
		return &clause{kind: neutral, exact: out.exact}
	case 1:
		return &clause{kind: out.kids[0].kind, text: out.kids[0].text, kids: out.kids[0].kids, exact: out.exact}
	}
	return out
}

// render writes c; grouped where it stands beside && terms.
func (c *clause) render(grouped bool) string {
	var b strings.Builder
	c.write(&b, grouped)
	return b.String()
}

func (c *clause) write(b *strings.Builder, grouped bool) {
	sep := " && "
	switch c.kind {
	case clauseAtom:
		b.WriteString(c.text)
		return
	case clauseOr:
		sep = " || "
		if grouped {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
	}
	for i, k := range c.kids {
		if i > 0 {
			b.WriteString(sep)
		}
		k.write(b, true)
	}
}

// push is n, or !n where neg is true, as a clause.
func (ps *pusher) push(n *node, neg bool) *clause {
	if ps.budget--; ps.budget < 0 {
		return ps.open("it is too long for the kernel's 4095 bytes")
	}
	switch n.op {
	case opConst:
		return truthClause(n.val != 0 != neg)
	case opNot:
		return ps.push(n.kids[0], !neg)
	case opAnd, opOr:
		return ps.both(n.op == opAnd != neg, n.kids[0], ps.push(n.kids[0], neg), func() *clause { return ps.push(n.kids[1], neg) })
	case opCond:
		if needsKernel(n) {
			return ps.open("?: is not pushed")
		}
		c := n.kids[0]
		yes := ps.both(true, c, ps.push(c, false), func() *clause { return ps.push(n.kids[1], neg) })
		no := ps.both(true, c, ps.push(c, true), func() *clause { return ps.push(n.kids[2], neg) })
		return join(clauseOr, yes, no)
	case opIn:
		return ps.in(n, neg)
	case opMask:
		return ps.mask(n, neg)
	case opStrEq, opGlob:
		return ps.str(n, neg)
	case opKernel:
		if n.kstr.user && (ps.pass || neg && strings.Contains(n.kstr.text, "~")) {
			return ps.open("the kernel calls an unreadable string unequal, whatever is asked")
		}
		return atom(negate(n.kstr.text, neg))
	case opCPUs:
		return ps.cpus(n, neg)
	case opPresent:
		return ps.open("the kernel cannot tell a value that could not be read from zeroes")
	case opCmp:
		return ps.open("the kernel compares fields with constants alone")
	case opCIDR:
		return ps.open("the kernel's language has no networks of 16 bytes")
	case opStrFn:
		return ps.open("the kernel compares strings with literals alone")
	}
	return ps.open("the kernel's language has no such operation")
}

// both joins the clauses of a and b by && or ||. Where a fault lets the record
// through, nothing behind what can fault may reject it.
func (ps *pusher) both(and bool, a *node, left *clause, right func() *clause) *clause {
	if !and {
		return join(clauseOr, left, right())
	}
	if ps.pass && a.faults {
		return join(clauseAnd, left, ps.open("what stands before it can fault, and then the record passes (on-fault is pass)"))
	}
	return join(clauseAnd, left, right())
}

// negate writes !text; a ! before a predicate takes it whole.
func negate(text string, neg bool) string {
	switch {
	case !neg:
		return text
	case strings.HasPrefix(text, "!"):
		return text[1:]
	case strings.Contains(text, " == "):
		return strings.Replace(text, " == ", " != ", 1)
	}
	return "!" + text
}

// kernelName returns what the kernel calls the integer that n reads, and the
// values that it holds.
func (ps *pusher) kernelName(n *node) (name string, d span, ok bool) {
	switch {
	case n.op == opLoad && n.fld != nil && n.fld.Array && n.fld.Probed != nil:
		ps.open("the kernel does not compare arrays of probes")
	case n.op == opCast && n.kids[0].op == opLoad && n.kids[0].fld.SignBits > 0:
		ps.open("the kernel has " + n.kids[0].load.name + " without its sign")
	case n.op == opLoad && n.load.elem:
		ps.open("the kernel compares no elements of arrays")
	case n.op == opLoad:
		f := findKernelField(n.load.name, ps.schema)
		if f == nil || f.isString() || f.size != int(n.load.size) || f.offset != n.load.off {
			ps.open("the kernel does not take " + n.load.name + " for a number")
			return "", span{}, false
		}
		return n.load.name, n.load.bounds(), true
	case n.op == opMeta && n.meta == metaCPU:
		for _, name := range [...]string{"CPU", "cpu", "common_cpu"} {
			if ps.schema.Field(name) == nil {
				return name, span{0, math.MaxUint16}, true
			}
		}
		ps.open("fields of the event hide the kernel's CPU")
	case n.op == opMeta && n.meta == metaTID:
		if f := ps.schema.Field("common_pid"); f != nil && f.Signed && f.Size == 4 {
			l, _ := wholeLoad(f)
			return f.Name, l.bounds(), true
		}
		ps.open("the event has no common_pid")
	case n.op == opMeta:
		ps.open("the kernel's filter cannot see " + metaName(n))
	default:
		ps.open("the kernel's language has no arithmetic")
	}
	return "", span{}, false
}

func (ps *pusher) in(n *node, neg bool) *clause {
	kid := n.kids[0]
	if kid.op == opBin && kid.bin == syntax.And && kid.kids[1].isConst() && kid.kids[0].op == opLoad {
		return ps.bits(n, neg)
	}
	name, d, ok := ps.kernelName(kid)
	if !ok {
		return &clause{kind: clauseTrue}
	}
	if n.str != "" && ps.features.Function {
		return atom(negate(n.str, neg) + " ")
	}
	t := kid.typ
	var alt []*clause
	for _, s := range n.set {
		if less(t, s.hi, t, d.lo) || less(t, d.hi, t, s.lo) {
			continue
		}
		low, high := !less(t, d.lo, t, s.lo), !less(t, s.hi, t, d.hi)
		lo, hi := number(t, s.lo), number(t, s.hi)
		var c *clause
		switch {
		case low && high:
			c = truthClause(!neg)
		case s.lo == s.hi:
			c = atom(name + pick(neg, " != ", " == ") + lo)
		case low:
			c = atom(name + pick(neg, " > ", " <= ") + hi)
		case high:
			c = atom(name + pick(neg, " < ", " >= ") + lo)
		case neg:
			c = join(clauseOr, atom(name+" < "+lo), atom(name+" > "+hi))
		default:
			c = join(clauseAnd, atom(name+" >= "+lo), atom(name+" <= "+hi))
		}
		alt = append(alt, c)
	}
	if len(alt) == 0 {
		return truthClause(neg)
	}
	ps.budget -= len(alt)
	if neg {
		return join(clauseAnd, alt...)
	}
	return join(clauseOr, alt...)
}

func pick(neg bool, yes, no string) string {
	if neg {
		return yes
	}
	return no
}

func (ps *pusher) mask(n *node, neg bool) *clause {
	kid := n.kids[0]
	if kid.op == opMeta && kid.meta == metaCPU {
		return ps.open("the kernel's CPU & is never true")
	}
	name, _, ok := ps.kernelName(kid)
	if !ok {
		return &clause{kind: clauseTrue}
	}
	size, signed := uint8(4), true
	if kid.op == opLoad {
		size, signed = kid.load.size, kid.load.signed
	}
	return maskAtom(name, size, signed, n.val, neg)
}

// maskAtom is name & mask. The kernel reads the mask by the sign of the field.
func maskAtom(name string, size uint8, signed bool, mask uint64, neg bool) *clause {
	t := tUint
	if signed {
		t = tInt
	}
	mask = extend(mask, size*8, t)
	if mask == 0 {
		return truthClause(neg)
	}
	text := name + " & " + number(t, mask)
	if !signed {
		text = name + " & 0x" + strconv.FormatUint(mask, 16)
	}
	return atom(pick(neg, "!", "") + text)
}

// bits is (f & mask) in set, by single bits: the kernel's & asks for any of them.
func (ps *pusher) bits(n *node, neg bool) *clause {
	kid := n.kids[0]
	l, mask := kid.kids[0].load, kid.kids[1].val
	name, _, ok := ps.kernelName(kid.kids[0])
	if !ok {
		return &clause{kind: clauseTrue}
	}
	if l.size < 8 && mask>>(8*l.size) != 0 {
		return ps.open("the mask reaches beyond the field")
	}
	kind, outer := clauseAnd, clauseOr
	if neg {
		kind, outer = clauseOr, clauseAnd
	}
	var alt []*clause
	for _, s := range n.set {
		// The set may be wider than the mask: values beyond it do not occur.
		lo, hi := s.lo, min(s.hi, mask)
		if kid.typ == tInt && int64(mask) >= 0 {
			if int64(s.hi) < 0 {
				continue
			}
			if lo, hi = uint64(max(int64(s.lo), 0)), uint64(min(int64(s.hi), int64(mask))); int64(s.hi) < int64(lo) {
				continue
			}
		} else if kid.typ == tInt {
			if s.lo != s.hi {
				return ps.open("a range of bits")
			}
			hi = s.hi
		}
		if lo > hi {
			continue
		}
		if hi-lo > 16 {
			if lo == 1 && hi == mask {
				alt = append(alt, maskAtom(name, l.size, l.signed, mask, neg))
				continue
			}
			return ps.open("a range of bits")
		}
		for v := lo; ; v++ {
			if v&^mask == 0 {
				var all []*clause
				if off := mask &^ v; off != 0 {
					all = append(all, maskAtom(name, l.size, l.signed, off, !neg))
				}
				for on := v; on != 0; on &= on - 1 {
					all = append(all, maskAtom(name, l.size, l.signed, 1<<bits.TrailingZeros64(on), neg))
				}
				alt = append(alt, join(kind, all...))
			}
			if v == hi {
				break
			}
		}
	}
	if len(alt) == 0 {
		return truthClause(neg)
	}
	ps.budget -= len(alt)
	return join(outer, alt...)
}

func (ps *pusher) cpus(n *node, neg bool) *clause {
	name := n.fld.Name
	if !ps.features.CPUS {
		return ps.open("this kernel has no CPUS{}")
	}
	f := findKernelField(name, ps.schema)
	if f == nil || f.kind != kernelMask {
		return ps.open("the kernel does not take " + name + " for a cpumask")
	}
	var list []string
	for _, s := range n.cpus {
		if s.hi >= uint64(ps.features.CPUCount) {
			return ps.open("the list names processors that this machine has not")
		}
		if s.lo == s.hi {
			list = append(list, strconv.FormatUint(s.lo, 10))
		} else {
			list = append(list, fmt.Sprintf("%d-%d", s.lo, s.hi))
		}
	}
	set := "CPUS{" + strings.Join(list, ",") + "}"
	if n.bin == syntax.Eq {
		return atom(name + pick(neg, " != ", " == ") + set)
	}
	return atom(pick(neg, "!", "") + name + " & " + set)
}
