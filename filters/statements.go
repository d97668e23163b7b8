package filters

import (
	"fmt"
	"slices"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// block checks statements; ends is true where nothing behind them is reached.
func (c *checker) block(b *syntax.Block) (list []*stmt, ends bool) {
	c.env.push()
	defer c.env.pop()
	for _, s := range b.List {
		if ends {
			pos, end := s.Span()
			c.warns = append(c.warns, Warning{Pos: pos, End: end, Text: "nothing reaches what stands behind return, break and continue"})
			break
		}
		var more []*stmt
		more, ends = c.stmt(s)
		list = append(list, more...)
	}
	return list, ends
}

func (c *checker) stmt(s syntax.Stmt) (list []*stmt, ends bool) {
	switch s := s.(type) {
	case *syntax.Block:
		return c.block(s)
	case *syntax.VarStmt:
		t := typeOf(s.Type)
		x := c.convert(s.X, c.valueFor(s.X, t), t, s.Name)
		v := c.local(s.Name, s.NameAt, t)
		return single(&stmt{op: stSet, v: v, x: x}), false
	case *syntax.AssignStmt:
		return single(c.assign(s)), false
	case *syntax.IfStmt:
		return c.ifStmt(s)
	case *syntax.ForStmt:
		return single(c.forStmt(s)), false
	case *syntax.JumpStmt:
		if c.env.loops == 0 {
			c.errorAt(s.At, s.At+len(s.Word), "", "%s stands outside of a loop", s.Word)
		}
		op := stBreak
		if s.Word == "continue" {
			op = stContinue
		}
		return single(&stmt{op: op}), true
	case *syntax.ReturnStmt:
		return single(c.returnStmt(s)), true
	case *syntax.EmitStmt:
		return single(c.emit(s)), false
	case *syntax.DeleteStmt:
		m := c.mapOf(s.Target.X)
		if m == nil {
			c.errorf(s.Target.X, rankKernel, "", "delete takes an element of a map away, and this is none")
			return nil, false
		}
		n := c.element(m, s.Target.I)
		if n == nil {
			return nil, false
		}
		c.changes()
		return single(&stmt{op: stDelete, m: m, key: n.kids[0]}), false
	case *syntax.CallStmt:
		if c.env.funcs[s.X.Fun.Name] == nil && isBuiltin(s.X.Fun.Name) {
			c.errorf(s.X, rankKernel, "use its value, or take it away", "%s() does nothing but give a value", s.X.Fun.Name)
			return nil, false
		}
		return single(&stmt{op: stCall, x: c.call(s.X, nil)}), false
	}
	return nil, false
}

func single(s *stmt) []*stmt {
	if s == nil {
		return nil
	}
	return []*stmt{s}
}

// binOf are the operators of assignments.
var binOf = map[string]syntax.Kind{"+=": syntax.Plus, "++": syntax.Plus, "-=": syntax.Minus, "&=": syntax.And, "|=": syntax.Or, "^=": syntax.Xor}

func (c *checker) assign(s *syntax.AssignStmt) *stmt {
	e := c.env
	if ix, ok := s.Target.(*syntax.Index); ok {
		return c.assignElement(s, ix)
	}
	id := s.Target.(*syntax.Ident)
	v, k := e.find(id.Name), e.states[id.Name]
	switch {
	case v != nil && v.loop:
		c.errorf(id, rankKernel, "", "%s counts the loop, and nothing else changes it", id.Name)
		return nil
	case v != nil:
		k = nil
	case k == nil && e.tables[id.Name] != nil:
		c.errorf(id, rankKernel, fmt.Sprintf("write %s[key] = ...", id.Name), "%s is a map", id.Name)
		return nil
	case k == nil && (e.consts[id.Name] != nil || e.funcs[id.Name] != nil):
		c.errorf(id, rankKernel, "", "%s is no variable", id.Name)
		return nil
	case k == nil && c.schema.Field(id.Name) != nil:
		c.errorf(id, rankKernel, "", "%s is a field of the event, which nothing changes", id.Name)
		return nil
	case k == nil:
		c.errorf(id, rankKernel, fmt.Sprintf("declare it: s64 %s = ...; here, or state s64 %s; before the blocks to keep it from record to record", id.Name, id.Name), "unknown variable %q", id.Name)
		return nil
	}
	var t vtype
	if v != nil {
		t = v.vtype
	} else {
		t = k.vtype
		c.changes()
	}
	x := c.assigned(s, t, id.Name, func() *node { return c.name(id, nil) })
	if x == nil {
		return nil
	}
	if v != nil {
		return &stmt{op: stSet, v: v, x: x}
	}
	return &stmt{op: stState, cell: k, x: x}
}

// assigned is the value that s gives to what holds a t; old reads what it holds.
func (c *checker) assigned(s *syntax.AssignStmt, t vtype, name string, old func() *node) *node {
	if s.Op == "=" {
		return c.convert(s.X, c.valueFor(s.X, t), t, name)
	}
	if t.typ == tStr || t.typ == tBool {
		c.errorAt(s.OpAt, s.OpAt+len(s.Op), "", "%s is for integers, %s is %s", s.Op, name, t.name)
		return nil
	}
	y := c.operand(s)
	if y == nil {
		return nil
	}
	n := c.arith(&syntax.Binary{X: s.Target, Y: s.X, Op: binOf[s.Op], OpAt: s.OpAt}, old(), y)
	if n == nil {
		return nil
	}
	return c.cut(s.Target, n, t)
}

// operand is the right side of an assignment with an operator.
func (c *checker) operand(s *syntax.AssignStmt) *node {
	if s.X == nil {
		return constNode(1, tInt)
	}
	return c.needInt(s.X, c.value(s.X, nil), s.Op)
}

func (c *checker) assignElement(s *syntax.AssignStmt, ix *syntax.Index) *stmt {
	m := c.mapOf(ix.X)
	if m == nil {
		c.errorf(ix.X, rankKernel, "", "only elements of maps can be assigned to, and this is no map")
		return nil
	}
	n := c.element(m, ix.I)
	if n == nil {
		return nil
	}
	c.changes()
	out := &stmt{op: stMap, m: m, key: n.kids[0]}
	if s.Op == "=" {
		if out.x = c.convert(s.X, c.valueFor(s.X, m.val), m.val, m.name); out.x == nil {
			return nil
		}
		return out
	}
	if m.val.typ == tBool {
		c.errorAt(s.OpAt, s.OpAt+len(s.Op), "", "%s is for integers, %s holds bool", s.Op, m.name)
		return nil
	}
	out.bin = binOf[s.Op]
	if out.x = c.operand(s); out.x == nil {
		return nil
	}
	return out
}

func (c *checker) ifStmt(s *syntax.IfStmt) (list []*stmt, ends bool) {
	e := c.env
	cond := c.cond(s.If)
	if cond != nil && cond.isConst() && decidedByHas(s.If) {
		// What has() rules out is not checked: the event has not the fields for it.
		if cond.isTrue() {
			return c.block(s.Then)
		}
		return c.otherwise(s.Else)
	}
	before := e.done
	then, ends1 := c.block(s.Then)
	after1 := e.done
	e.done = before
	els, ends2 := c.otherwise(s.Else)
	switch {
	case ends1 && ends2:
	case ends1:
	case ends2:
		e.done = after1
	default:
		e.done &= after1
	}
	if cond == nil {
		return nil, ends1 && ends2
	}
	return single(&stmt{op: stIf, cond: cond, body: then, els: els}), ends1 && ends2
}

// otherwise is the part behind else.
func (c *checker) otherwise(s syntax.Stmt) (list []*stmt, ends bool) {
	if s == nil {
		return nil, false
	}
	return c.stmt(s)
}

func (c *checker) forStmt(s *syntax.ForStmt) *stmt {
	e := c.env
	t := typeOf("s64")
	from := c.convert(s.From, c.valueFor(s.From, t), t, s.Name)
	e.push()
	defer e.pop()
	v := c.local(s.Name, s.NameAt, t)
	v.loop = true
	bound := c.needInt(s.Bound, c.value(s.Bound, nil), "the bound of a loop")
	most := uint64(0)
	if s.Max != nil {
		m := c.value(s.Max, nil)
		switch {
		case m == nil:
		case !m.isConst() || !m.typ.integer():
			c.errorf(s.Max, rankKernel, "", "max is a constant")
		case m.negative() || m.val == 0 || m.val > MaxBudget:
			c.errorf(s.Max, rankKernel, "", "max is 1 to %d", MaxBudget)
		default:
			most = m.val
		}
	}
	if from != nil && bound != nil {
		known := from.isConst() && bound.isConst()
		if s.Max == nil && !known {
			x, what := s.Bound, "the bound of the loop is not constant"
			if bound.isConst() {
				x, what = s.From, "the start of the loop is not constant"
			}
			c.errorf(x, rankKernel, fmt.Sprintf("say how often it may go round: %s < %s max 100", s.Name, short(syntax.Print(s.Bound))), "%s", what)
		}
		if known && less(from.typ, from.val, bound.typ, bound.val) && bound.val-from.val > uint64(c.budget) && len(c.warns) < maxWarnings {
			c.warn(s.Bound, "the loop goes round %d times, the budget is %d: without break it faults", bound.val-from.val, c.budget)
		}
	}
	before := e.done
	e.loops++
	list, _ := c.block(s.Body)
	e.loops--
	e.done = before
	if from == nil || bound == nil {
		return nil
	}
	return &stmt{op: stFor, v: v, x: from, cond: guard(mkCmp(syntax.Lt, varNode(v), bound)), body: list, max: most}
}

func (c *checker) returnStmt(s *syntax.ReturnStmt) *stmt {
	e := c.env
	if f := e.fn; f != nil {
		x := c.convert(s.X, c.valueFor(s.X, f.ret), f.ret, f.name+"()")
		if x == nil {
			return nil
		}
		return &stmt{op: stReturn, x: x}
	}
	x := c.valueFor(s.X, typeOf("bool"))
	if x == nil {
		return nil
	}
	if !x.isFalse() {
		e.passes = true
		e.always &= e.done
	}
	return &stmt{op: stReturn, x: x}
}

func (c *checker) emit(s *syntax.EmitStmt) *stmt {
	e := c.env
	at, end := s.NameAt, s.NameAt+len(s.Name)
	t := typeOf(s.Type)
	x := c.convert(s.X, c.valueFor(s.X, t), t, s.Name)
	switch {
	case e.fn != nil:
		c.errorAt(s.At, end, "return the value, and emit it in the block", "emit stands in a function")
		return nil
	case c.schema.Field(s.Name) != nil || slices.Contains(reserved[:], s.Name):
		c.errorAt(at, end, "choose another name", "the table has a column %s already", s.Name)
		return nil
	}
	i := slices.IndexFunc(e.emits, func(m Emit) bool { return m.Name == s.Name })
	switch {
	case i >= 0 && e.emits[i].Type != s.Type:
		c.errorAt(s.At, end, "", "the column %s is %s already", s.Name, e.emits[i].Type)
		return nil
	case i < 0 && len(e.emits) == maxEmits:
		c.errorAt(s.At, end, "", "more than %d columns", maxEmits)
		return nil
	case i < 0:
		i = len(e.emits)
		e.emits = append(e.emits, Emit{Name: s.Name, Type: s.Type, vtype: t})
	}
	if x == nil {
		return nil
	}
	out := &stmt{op: stEmit, emit: i, x: x}
	if x.nulls {
		if p := presence(x); !p.isTrue() {
			out.cond = p
			e.emits[i].Nullable = true
		}
	}
	e.done |= 1 << i
	return out
}
