package filters

import (
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// A string in the code for eBPF is a number: which of the things that strings can be in
// the program it is, a field, the task's name, a constant. Variables, arguments and
// results are such numbers. What is done with a string is written once for each thing
// that it can be there.

const (
	// maxTextMemory is the memory of a text behind the fields: no record of perf's has
	// more bytes (PERF_MAX_TRACE_SIZE, include/linux/trace_events.h).
	maxTextMemory = 8192
	// userTextMemory is that of a text behind a pointer: the kernel's filter looks at no
	// more (USTRING_BUF_SIZE, kernel/trace/trace_events_filter.c).
	userTextMemory = 1024
	// commSize is the size of a task's name, its NUL included.
	commSize = 16
)

// bpfTexts is what the strings of a program can be.
type bpfTexts struct {
	list  []*node
	vars  map[*variable][]int
	funcs map[*function][]int
}

func newBPFTexts(b *body) *bpfTexts {
	t := &bpfTexts{vars: make(map[*variable][]int), funcs: make(map[*function][]int)}
	t.everywhere(b, func(list []*stmt, _ *function) { walk(list, t.number) })
	// What a variable can be depends on what others can be, around loops as well.
	for more := true; more; {
		more = false
		t.everywhere(b, func(list []*stmt, f *function) { more = t.flow(list, f) || more })
	}
	return t
}

func (t *bpfTexts) everywhere(b *body, do func(list []*stmt, f *function)) {
	for _, f := range b.funcs {
		do(f.body, f)
	}
	do(b.main, nil)
}

// find is the number of n.
func (t *bpfTexts) find(n *node) int {
	return slices.IndexFunc(t.list, func(k *node) bool { return k.op == n.op && k.fld == n.fld && k.str == n.str })
}

// number gives n a number where it is something that strings are.
func (t *bpfTexts) number(n *node) {
	if (n.op == opStrConst || n.op == opStrField || n.op == opComm) && t.find(n) < 0 {
		t.list = append(t.list, n)
	}
}

// of is what n can be, ascending.
func (t *bpfTexts) of(n *node) []int {
	switch n.op {
	case opStrConst, opStrField, opComm:
		return []int{t.find(n)}
	case opVar:
		return t.vars[n.v]
	case opUser:
		return t.funcs[n.call]
	case opCond:
		return union(t.of(n.kids[1]), t.of(n.kids[2]))
	}
	return nil
}

func union(a, b []int) []int {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// flow notes what the statements of f give to variables, and whether that was news.
func (t *bpfTexts) flow(list []*stmt, f *function) (more bool) {
	variable := func(v *variable, x *node) {
		if v.typ != tStr {
			return
		}
		all := union(t.vars[v], t.of(x))
		more = more || len(all) > len(t.vars[v])
		t.vars[v] = all
	}
	var each func(list []*stmt)
	each = func(list []*stmt) {
		for _, s := range list {
			switch {
			case s.op == stSet:
				variable(s.v, s.x)
			case s.op == stReturn && f != nil && f.ret.typ == tStr:
				all := union(t.funcs[f], t.of(s.x))
				more = more || len(all) > len(t.funcs[f])
				t.funcs[f] = all
			}
			each(s.body)
			each(s.els)
		}
	}
	each(list)
	walk(list, func(n *node) {
		if n.op != opUser {
			return
		}
		for i, v := range n.call.params {
			variable(v, n.kids[i])
		}
	})
	return more
}

// needs says whether the code must run when the record has its time and its texts, and
// how much memory for texts it wants.
func (g *bpfGen) needs() (late bool, text int) {
	g.texts.everywhere(g.b, func(list []*stmt, _ *function) {
		walk(list, func(n *node) {
			late = late || n.op == opMeta && n.meta == metaTime || n.op == opRate || n.located()
		})
	})
	return late, g.textSize()
}

// located reports whether n reads what lies behind the fields.
func (n *node) located() bool {
	switch n.op {
	case opStrField, opElem, opCPUs, opPresent:
		return n.fld.Loc != perfpipe.LocStatic || n.fld.Probed != nil
	case opKernel:
		k := n.kstr.field.kind
		return k == kernelDyn || k == kernelRel || k == kernelStatic && n.kstr.match == matchGlob
	}
	return false
}

// textMemory is how many bytes each of two texts needs while the code looks at it, a
// multiple of 8; 0 where it needs no copy of any.
func (t *bpfTexts) textMemory(b *body) int {
	most := 0
	t.everywhere(b, func(list []*stmt, _ *function) {
		walk(list, func(n *node) {
			switch n.op {
			case opKernel:
				most = max(most, maxTextMemory)
			case opStrEq, opGlob:
				if n.kids[0].op == opKStr {
					most = max(most, userTextMemory)
					return
				}
				if gl := n.pattern(); gl != nil && gl.kind != globGeneral && gl.kind != globSuffix && gl.kind != globContains {
					// A field in place is compared where it is.
					most = max(most, t.most(n.kids[0], code.Flag(true)))
					return
				}
				most = max(most, t.most(n.kids[0], false))
				if len(n.kids) > 1 {
					most = max(most, t.most(n.kids[1], false))
				}
			case opStrFn:
				most = max(most, t.most(n.kids[0], false), t.most(n.kids[1], false))
			case opCall:
				if n.kids[0].typ == tStr {
					most = max(most, t.most(n.kids[0], false))
				}
			}
		})
	})
	return (most + 7) &^ 7
}

// most is the memory that the greatest text needs which n can be; compared where it is,
// only that of probes needs any.
func (t *bpfTexts) most(n *node, inPlace code.Flag) int {
	most := 0
	for _, i := range t.of(n) {
		if k := t.list[i]; !inPlace || k.op == opStrField && k.fld.Probed != nil {
			most = max(most, textRoom(k))
		}
	}
	return most
}

// textRoom is the memory of a text, with a NUL behind it.
func textRoom(n *node) int {
	switch {
	case n.op == opStrConst:
		return len(n.str) + 1
	case n.op == opComm:
		return commSize
	case n.fld.Loc == perfpipe.LocStatic && n.fld.Probed == nil:
		return n.fld.Size + 1
	}
	return maxTextMemory
}

// string puts the number of what n is into R0. n is no variable, call or choice.
func (g *bpfGen) string(n *node) {
	if n.op == opStrField {
		// A record that is too short for it ends the program here.
		g.find(n.fld)
	}
	g.Add(asm.Mov.Imm(asm.R0, int32(g.texts.find(n))))
}

// eachText makes the code for everything that n can be.
func (g *bpfGen) eachText(n *node, do func(text *node)) {
	ids := g.texts.of(n)
	if len(ids) == 0 {
		g.fail("it has a string that is nothing")
		return
	}
	switch n.op {
	case opStrConst, opStrField, opComm:
		do(n)
		return
	case opVar:
		if len(ids) > 1 {
			g.value(n)
		}
	default:
		g.value(n)
	}
	g.choose(ids, do)
}

// choose goes by the number in R0. What do makes goes on at its end, or goes elsewhere.
func (g *bpfGen) choose(ids []int, do func(text *node)) {
	end := g.Label()
	for i, id := range ids {
		next := g.Label()
		if i < len(ids)-1 {
			g.Add(asm.JNE.Imm(asm.R0, int32(id), next))
		}
		stack := g.next
		do(g.texts.list[id])
		g.next = stack
		if i < len(ids)-1 {
			g.Jump(end)
			g.Mark(next)
		}
	}
	g.Mark(end)
}

// bytesOf puts into R3 the offset from R7 of a field's bytes, and into R4 how many they
// are; a record without them ends the program. It changes R5.
func (g *bpfGen) bytesOf(f *perfpipe.Field) {
	if f.Loc == perfpipe.LocStatic {
		if bpf.RawOffset+f.Offset+f.Size > g.place.Size {
			g.fail("%s lies behind the record", f.Name)
		}
		g.Add(asm.Mov.Imm(asm.R3, int32(bpf.RawOffset+f.Offset)), asm.Mov.Imm(asm.R4, int32(f.Size)))
		return
	}
	g.field(asm.R4, load{off: f.Offset, size: 4, name: f.Name})
	base := bpf.RawOffset
	if f.Loc == perfpipe.LocRel {
		base += f.Offset + 4
	}
	g.Add(
		asm.Mov.Reg(asm.R3, asm.R4), asm.And.Imm(asm.R3, 0xffff), asm.Add.Imm(asm.R3, int32(base)),
		asm.RSh.Imm(asm.R4, 16),
		asm.Mov.Reg(asm.R5, asm.R3), asm.Add.Reg(asm.R5, asm.R4),
		asm.JGT.Imm(asm.R5, int32(g.place.Size), g.fault(FaultTruncated)),
	)
}

// find is bytes for a string, of a probe as well.
func (g *bpfGen) find(f *perfpipe.Field) {
	if f.Probed != nil {
		g.probed(f)
		return
	}
	g.bytesOf(f)
}
