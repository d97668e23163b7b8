package filters

import (
	"fmt"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// Limits of programs.
const (
	// MaxMap is the greatest capacity of a map: 24 MiB of memory.
	MaxMap = 1 << 19
	// maxEmits is the most columns of one program: a set of them fits a word.
	maxEmits = 64
	// DefaultBudget is how many predicates, calls and ways back to the head of a loop a
	// program may use on one record.
	DefaultBudget = 1000
	// MaxBudget is the most that it may be allowed.
	MaxBudget = 1 << 20
)

// env is what the names of a program stand for.
type env struct {
	file   *syntax.File
	layout *layout
	consts map[string]*constant
	states map[string]*cell
	tables map[string]*table
	funcs  map[string]*declared
	used   map[string]bool
	order  []*function
	scopes []map[string]*variable
	fn     *function // nil in a clause
	vars   int
	loops  int
	emits  []Emit
	// done are the columns that have a value here on every way; all those of the ways
	// that let a record through have one in always.
	done, always uint64
	passes       bool
}

type constant struct {
	decl *syntax.ConstDecl
	n    *node
	busy bool
}

type declared struct {
	decl *syntax.FuncDecl
	fn   *function
	busy bool
}

// reserved are the columns that tables have beside the event's fields.
var reserved = [...]string{"time", "ts", "cpu", "pid", "tid", "comm", "event", "truncated", "stack_id", "stack", "cgroup"}

func (c *checker) errorAt(pos, end int, hint, format string, args ...any) {
	c.errs = append(c.errs, &Error{Pos: pos, End: end, Reason: fmt.Sprintf(format, args...), Hint: hint})
}

// program checks a program; clause is the block or the expression of it that is for
// the event. It returns nil where it reported an error.
func (c *checker) program(f *syntax.File, clause *syntax.Block, l *layout, budget int) *body {
	e := &env{
		file: f, layout: l, consts: make(map[string]*constant), states: make(map[string]*cell), tables: make(map[string]*table),
		funcs: make(map[string]*declared), used: make(map[string]bool), always: ^uint64(0),
	}
	c.env = e
	c.budget = budget
	c.declare(f.Decls)
	b := &body{layout: l}
	e.push()
	if clause != nil {
		var ends bool
		if b.main, ends = c.block(clause); !ends {
			c.errorAt(clause.Stop-1, clause.Stop, "end it with return true; to keep the record, or return false; to drop it", "the block can end without a verdict")
		}
	} else if x := c.cond(f.Expr); x != nil {
		b.main = []*stmt{{op: stReturn, x: x}}
		e.passes = !x.isFalse()
	}
	for _, d := range f.Decls {
		// What nothing calls is still to be right.
		if fd, ok := d.(*syntax.FuncDecl); ok && e.funcs[fd.Name] != nil && e.funcs[fd.Name].decl == fd && !e.used[fd.Name] && len(f.Ons) == 0 {
			c.declared(e.funcs[fd.Name])
			c.warns = append(c.warns, Warning{Pos: fd.NameAt, End: fd.NameAt + len(fd.Name), Text: fmt.Sprintf("the function %s is never called", fd.Name)})
		}
	}
	if len(c.errs) > 0 {
		return nil
	}
	b.funcs, b.emits, b.passes = e.order, e.emits, e.passes
	for i := range b.emits {
		if e.always&(1<<i) == 0 || c.opts.OnFault == Pass {
			b.emits[i].Nullable = true
		}
	}
	unreadable := func(n *node) {
		if (n.op == opKStr || n.op == opKernel && n.kstr.user) && n.src != nil {
			c.errorf(n.src, rankKernel, "keep it in a --filter that is one expression of its own", "the kernel alone can read text behind a pointer, and a program does not run there")
		}
	}
	walk(b.main, unreadable)
	for _, fn := range b.funcs {
		walk(fn.body, unreadable)
	}
	return b
}

func (e *env) push() { e.scopes = append(e.scopes, make(map[string]*variable)) }
func (e *env) pop()  { e.scopes = e.scopes[:len(e.scopes)-1] }

// find returns the variable of that name.
func (e *env) find(name string) *variable {
	for i := len(e.scopes) - 1; i >= 0; i-- {
		if v := e.scopes[i][name]; v != nil {
			return v
		}
	}
	return nil
}

// knows reports whether the program declares the name.
func (e *env) knows(name string) bool {
	return e.find(name) != nil || e.consts[name] != nil || e.states[name] != nil || e.tables[name] != nil || e.funcs[name] != nil
}

// declare takes in what stands before the blocks.
func (c *checker) declare(list []syntax.Decl) {
	e := c.env
	seen := make(map[string]bool)
	fresh := func(name string, at int) bool {
		switch {
		case seen[name]:
			c.errorAt(at, at+len(name), "", "%s is declared already", name)
			return false
		case isBuiltin(name):
			c.errorAt(at, at+len(name), "choose another name", "%s() is built in", name)
			return false
		}
		seen[name] = true
		c.shadows(name, at)
		return true
	}
	for _, d := range list {
		switch d := d.(type) {
		case *syntax.ConstDecl:
			if fresh(d.Name, d.NameAt) {
				e.consts[d.Name] = &constant{decl: d}
			}
		case *syntax.FuncDecl:
			if fresh(d.Name, d.NameAt) {
				e.funcs[d.Name] = &declared{decl: d}
			}
		}
	}
	for _, d := range list {
		switch d := d.(type) {
		case *syntax.StateDecl:
			if fresh(d.Name, d.NameAt) {
				c.state(d)
			}
		case *syntax.MapDecl:
			if fresh(d.Name, d.NameAt) {
				c.mapDecl(d)
			}
		case *syntax.ConstDecl:
			if k := e.consts[d.Name]; k != nil && k.decl == d {
				c.constantOf(k)
			}
		}
	}
}

// shadows warns of a name that hides a field of the event.
func (c *checker) shadows(name string, at int) {
	if c.schema.Field(name) != nil && len(c.warns) < maxWarnings {
		c.warns = append(c.warns, Warning{Pos: at, End: at + len(name), Text: fmt.Sprintf("%s hides the field %s of the event", name, name)})
	}
}

func (c *checker) state(d *syntax.StateDecl) {
	t := typeOf(d.Type)
	if t.typ == tStr {
		c.errorAt(d.At, d.NameAt+len(d.Name), "keep hash(s) in a u64", "state holds integers and bool, no strings")
		return
	}
	init := uint64(0)
	if d.Init != nil {
		n := c.convert(d.Init, c.valueFor(d.Init, t), t, d.Name)
		if n == nil {
			return
		}
		if !n.isConst() {
			c.errorf(d.Init, rankKernel, "", "state begins with a constant")
			return
		}
		init = n.val
	}
	if !d.PerCPU {
		c.warns = append(c.warns, Warning{Pos: d.At, End: d.NameAt + len(d.Name),
			Text: fmt.Sprintf("state %s is one for all processors: its value depends on the order of their events; percpu state or a map<tid, ...> does not", d.Name)})
	}
	// Programs of one text for several events share the memory.
	for _, k := range c.env.layout.cells {
		if k.name == d.Name {
			c.env.states[d.Name] = k
			return
		}
	}
	c.env.states[d.Name] = c.env.layout.cell(d.Name, t, d.PerCPU, init)
}

func (c *checker) mapDecl(d *syntax.MapDecl) {
	key, val := typeOf(d.Key), typeOf(d.Value)
	if key.typ == tStr || val.typ == tStr {
		c.errorAt(d.At, d.NameAt+len(d.Name), "use hash(s) as a u64", "maps hold integers and bool, no strings")
		return
	}
	n := c.value(d.Size, nil)
	if n == nil {
		return
	}
	if !n.isConst() || !n.typ.integer() {
		c.errorf(d.Size, rankKernel, "", "the capacity of a map is a constant")
		return
	}
	if n.negative() || n.val == 0 || n.val > MaxMap {
		c.errorf(d.Size, rankKernel, fmt.Sprintf("a map has room for 1 to %d entries", MaxMap), "a map of %s entries", number(n.typ, n.val))
		return
	}
	l := c.env.layout
	for _, m := range l.tables {
		if m.name == d.Name {
			c.env.tables[d.Name] = m
			return
		}
	}
	m := &table{name: d.Name, key: key, val: val, cap: int(n.val), at: len(l.tables)}
	l.tables = append(l.tables, m)
	c.env.tables[d.Name] = m
}

// constantOf computes a constant, once.
func (c *checker) constantOf(k *constant) *node {
	d := k.decl
	if k.n != nil || k.busy {
		if k.busy {
			c.errorAt(d.NameAt, d.NameAt+len(d.Name), "", "the constant %s is made of itself", d.Name)
			return nil
		}
		return k.n
	}
	k.busy = true
	scopes := c.env.scopes
	c.env.scopes = nil
	n := c.value(d.X, nil)
	c.env.scopes = scopes
	k.busy = false
	if n == nil {
		return nil
	}
	if n.op != opConst && n.op != opStrConst {
		return c.errorf(d.X, rankKernel, "a value that changes belongs into a variable or into state", "%s is no constant", d.Name)
	}
	k.n = n
	return n
}

// envName resolves what the program declares; ok is false where it does not.
func (c *checker) envName(x *syntax.Ident) (n *node, ok bool) {
	e := c.env
	if v := e.find(x.Name); v != nil {
		return varNode(v), true
	}
	if k := e.consts[x.Name]; k != nil {
		if n := c.constantOf(k); n != nil {
			same := *n
			same.src = nil
			return &same, true
		}
		return nil, true
	}
	if k := e.states[x.Name]; k != nil {
		n := mkNode(opState, k.vtype.typ)
		n.cell, n.inner, n.load = k, true, load{size: k.vtype.size, signed: k.vtype.signed}
		c.touches()
		return n, true
	}
	switch {
	case e.tables[x.Name] != nil:
		return c.errorf(x, rankKernel, fmt.Sprintf("write %s[key], or key in %s", x.Name, x.Name), "%s is a map", x.Name), true
	case e.funcs[x.Name] != nil:
		return c.errorf(x, rankKernel, fmt.Sprintf("write %s(...)", x.Name), "%s is a function", x.Name), true
	}
	return nil, false
}

// touches notes that the function being checked reads state.
func (c *checker) touches() {
	if f := c.env.fn; f != nil {
		f.inner = true
	}
}

// changes notes that the function being checked changes state.
func (c *checker) changes() {
	if f := c.env.fn; f != nil {
		f.inner, f.effects = true, true
	}
}

func varNode(v *variable) *node {
	n := mkNode(opVar, v.typ)
	n.v, n.inner = v, true
	n.load = load{size: v.size, signed: v.signed}
	return n
}

// element is m[key] of a map.
func (c *checker) element(m *table, key syntax.Expr) *node {
	k := c.convert(key, c.valueFor(key, m.key), m.key, "the key of "+m.name)
	if k == nil {
		return nil
	}
	n := mkNode(opMapGet, m.val.typ, k)
	n.m, n.inner, n.load = m, true, load{size: m.val.size, signed: m.val.signed}
	c.touches()
	return n
}

// mapOf is the map that x names, nil for none.
func (c *checker) mapOf(x syntax.Expr) *table {
	id, ok := x.(*syntax.Ident)
	if !ok || c.env == nil || c.env.find(id.Name) != nil {
		return nil
	}
	return c.env.tables[id.Name]
}

// inMap is key in m.
func (c *checker) inMap(x *syntax.Binary, id *syntax.Ident) *node {
	m := c.mapOf(id)
	if m == nil {
		c.errorAt(x.OpAt, x.OpAt+len("in"), "write in {1, 2, 5..9}", "in needs a set in braces behind it")
		return nil
	}
	n := c.element(m, x.X)
	if n == nil {
		return nil
	}
	h := mkNode(opMapHas, tBool, n.kids...)
	h.m, h.inner = m, true
	return guard(h)
}

// valueFor checks x as a value for t.
func (c *checker) valueFor(x syntax.Expr, t vtype) *node {
	if t.typ == tBool {
		if num, ok := syntax.Bare(x).(*syntax.Number); ok && num.OK && num.Value <= 1 {
			return boolNode(num.Value != 0)
		}
		return c.cond(x)
	}
	n := c.value(x, nil)
	if s, ok := syntax.Bare(x).(*syntax.String); ok && n != nil && t.typ != tStr && s.Quote == '\'' && len(s.Value) == 1 {
		return constNode(uint64(s.Value[0]), tInt)
	}
	return n
}

// convert makes n a value of t, as an assignment does: cut to its size.
func (c *checker) convert(x syntax.Expr, n *node, t vtype, what string) *node {
	if n == nil {
		return nil
	}
	switch t.typ {
	case tStr:
		if n.typ != tStr {
			return c.errorf(x, rankKernel, stringHint(x), "%s is a string, this is %s", what, article(n.typ))
		}
		return n
	case tBool:
		return truth(n)
	}
	if !n.typ.integer() {
		hint := ""
		if n.typ == tStr {
			hint = "hash(s) and strlen(s) are integers"
		}
		return c.errorf(x, rankKernel, hint, "%s is %s, this is %s", what, t.name, article(n.typ))
	}
	return c.cut(x, n, t)
}

// cut brings the integer n into t; a constant must be there already.
func (c *checker) cut(x syntax.Expr, n *node, t vtype) *node {
	d := load{size: t.size, signed: t.signed}.bounds()
	if n.isConst() {
		if less(n.typ, n.val, t.typ, d.lo) || less(t.typ, d.hi, n.typ, n.val) {
			return c.errorf(x, rankKernel, fmt.Sprintf("cast it to cut it: (%s)%s", t.name, short(syntax.Print(x))), "%s does not fit in %s, which holds %s to %s", number(n.typ, n.val), t.name, number(t.typ, d.lo), number(t.typ, d.hi))
		}
		k := constNode(n.val, t.typ)
		k.src = n.src
		return k
	}
	if t.size == 8 {
		return n
	}
	if nd := n.domain(); !less(n.typ, nd.lo, t.typ, d.lo) && !less(t.typ, d.hi, n.typ, nd.hi) {
		return n
	}
	m := mkNode(opCast, t.typ, n)
	m.width = t.size * 8
	return m
}

// userCall is a call of a declared function.
func (c *checker) userCall(x *syntax.Call, d *declared) *node {
	e := c.env
	if len(x.Args) != len(d.decl.Params) {
		return c.errorf(x, rankKernel, "it is "+signature(d.decl), "%s() takes %d arguments, not %d", d.decl.Name, len(d.decl.Params), len(x.Args))
	}
	if d.busy {
		return c.errorf(x, rankKernel, "a for loop with max repeats", "%s() calls itself: there is no recursion", d.decl.Name)
	}
	e.used[d.decl.Name] = true
	if d.fn == nil {
		c.declared(d)
	}
	n := mkNode(opUser, typeOf(d.decl.Type).typ)
	good := true
	for i, a := range x.Args {
		t := typeOf(d.decl.Params[i].Type)
		k := c.convert(a, c.valueFor(a, t), t, d.decl.Params[i].Name)
		if k == nil {
			good = false
			continue
		}
		n.kids = append(n.kids, k)
		n.effects = n.effects || k.effects
	}
	if !good || d.fn == nil {
		return nil
	}
	n.call, n.inner, n.faults = d.fn, true, true
	n.effects = n.effects || d.fn.effects
	n.load = load{size: d.fn.ret.size, signed: d.fn.ret.signed}
	if f := e.fn; f != nil {
		f.inner, f.effects = f.inner || d.fn.inner, f.effects || d.fn.effects
	}
	return n
}

func signature(d *syntax.FuncDecl) string {
	s := d.Type + " " + d.Name + "("
	for i, a := range d.Params {
		if i > 0 {
			s += ", "
		}
		s += a.Type + " " + a.Name
	}
	return s + ")"
}

// declared checks a declared function for this event.
func (c *checker) declared(d *declared) {
	e := c.env
	saved := *e
	fn := &function{name: d.decl.Name, ret: typeOf(d.decl.Type)}
	e.scopes, e.fn, e.vars, e.loops = nil, fn, 0, 0
	e.push()
	for _, a := range d.decl.Params {
		fn.params = append(fn.params, c.local(a.Name, a.NameAt, typeOf(a.Type)))
	}
	d.busy = true
	before := len(c.errs)
	body, ends := c.block(d.decl.Body)
	d.busy = false
	if !ends && len(c.errs) == before {
		c.errorAt(d.decl.Body.Stop-1, d.decl.Body.Stop, "", "%s() can end without return", d.decl.Name)
	}
	e.scopes, e.fn, e.vars, e.loops, e.done = saved.scopes, saved.fn, saved.vars, saved.loops, saved.done
	fn.body = body
	if len(c.errs) > before {
		// It is known, and told once.
		d.fn = fn
		return
	}
	d.fn = fn
	e.order = append(e.order, fn)
}

// local declares a variable in the innermost scope.
func (c *checker) local(name string, at int, t vtype) *variable {
	e := c.env
	if e.scopes[len(e.scopes)-1][name] != nil {
		c.errorAt(at, at+len(name), "", "%s is declared already", name)
	}
	c.shadows(name, at)
	v := &variable{name: name, vtype: t, id: e.vars}
	e.vars++
	e.scopes[len(e.scopes)-1][name] = v
	return v
}

func isBuiltin(name string) bool {
	for _, b := range Builtins() {
		if b.Name == name {
			return true
		}
	}
	return false
}

// fieldOf is the schema's field of that name where the program declares none.
func (c *checker) fieldOf(name string) *perfpipe.Field {
	if c.env != nil && c.env.knows(name) {
		return nil
	}
	return c.schema.Field(name)
}
