package filters

import (
	"fmt"
	"path"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// Shape is what kind of a filter a text is.
type Shape uint8

const (
	// ShapeExpr is one expression that keeps nothing from record to record. Text that
	// does not parse counts as one.
	ShapeExpr Shape = iota
	// ShapeProgram has declarations, statements or state.
	ShapeProgram
	// ShapeSet has on clauses: a program for several events, see [ParseSet].
	ShapeSet
)

// ShapeOf returns the shape of a filter's text.
func ShapeOf(src string) Shape {
	file, err := syntax.Parse(src)
	switch {
	case err != nil:
		return ShapeExpr
	case len(file.Ons) > 0:
		return ShapeSet
	case !file.Plain() || usesState(file.Expr):
		return ShapeProgram
	}
	return ShapeExpr
}

// Set is a program for several events, whose state they share. The programs that it
// compiles belong to one goroutine together.
type Set struct {
	src    string
	file   *syntax.File
	layout *layout
	mem    *memory
}

// Clause is one on clause of a set.
type Clause struct {
	// Events are what it names: events, globs, probes.
	Events []string
}

// ParseSet reads a program that has on clauses. What it says is checked when it is
// compiled for an event. Its errors are *Error.
func ParseSet(src string) (*Set, error) {
	file, serr := syntax.Parse(src)
	none := &perfpipe.Schema{}
	if serr != nil {
		return nil, joinErrors(src, none, []*Error{fromSyntax(serr)})
	}
	if len(file.Ons) == 0 {
		e := &Error{Pos: 0, End: 0, Reason: "the program names no event", Hint: "write on sched:sched_switch { ...; return true; }, or give it to --filter behind an -e"}
		return nil, joinErrors(src, none, []*Error{e})
	}
	return &Set{src: src, file: file, layout: newLayout(), mem: &memory{}}, nil
}

// Clauses returns the on clauses in their order.
func (s *Set) Clauses() []Clause {
	var out []Clause
	for _, on := range s.file.Ons {
		var c Clause
		for _, e := range on.Events {
			c.Events = append(c.Events, e.Name)
		}
		out = append(out, c)
	}
	return out
}

// Compile makes clause number i of s ready for the records of an event.
func (s *Set) Compile(i int, schema *perfpipe.Schema, o Options) (*Program, error) {
	return compileProgram(s.src, s.file, s.file.Ons[i].Body, schema, o, s.layout, s.mem)
}

// For returns the number of the clause that names the event, -1 for none. An exact
// name comes before a glob.
func (s *Set) For(event string) int { return clauseFor(s.file, event) }

func clauseFor(f *syntax.File, event string) int {
	glob := -1
	for i, on := range f.Ons {
		for _, e := range on.Events {
			name := strings.TrimPrefix(e.Name, "tracepoint:")
			if name == event {
				return i
			}
			if ok, err := path.Match(name, event); ok && err == nil && glob < 0 {
				glob = i
			}
		}
	}
	return glob
}

func newLayout() *layout { return &layout{sites: make(map[int]*cell)} }

// compileFile compiles a program for the event that s is.
func compileFile(src string, file *syntax.File, s *perfpipe.Schema, o Options) (*Program, error) {
	clause := file.Body
	if len(file.Ons) > 0 {
		i := clauseFor(file, s.Event())
		if i < 0 && len(file.Ons) == 1 && s.Name == "" {
			i = 0 // fields that were made up fit the only clause
		}
		if i < 0 {
			on := file.Ons[0]
			e := &Error{Pos: on.At, End: on.Events[len(on.Events)-1].Stop, Reason: fmt.Sprintf("the program has no clause for %s", s.Event())}
			return nil, joinErrors(src, s, []*Error{e})
		}
		clause = file.Ons[i].Body
	}
	return compileProgram(src, file, clause, s, o, newLayout(), &memory{})
}

func compileProgram(src string, file *syntax.File, clause *syntax.Block, s *perfpipe.Schema, o Options, l *layout, mem *memory) (*Program, error) {
	p := &Program{source: src, schema: s, opts: o, onFault: o.OnFault == Pass, file: file, budget: o.Budget}
	if p.budget <= 0 {
		p.budget = DefaultBudget
	}
	where, err := whereNode(s, o)
	if err != nil {
		return nil, err
	}
	c := &checker{schema: s, opts: o}
	p.body = c.program(file, clause, l, p.budget)
	if err := joinErrors(src, s, c.errs); err != nil {
		return nil, err
	}
	if where != nil {
		no := &stmt{op: stReturn, x: boolNode(false)}
		p.body.main = append([]*stmt{{op: stIf, cond: mkNot(where), body: []*stmt{no}}}, p.body.main...)
	}
	p.setWarnings(c.warns)
	mem.grow(l)
	p.machine = &machine{mem: mem}
	return p, p.generateBody()
}

// whereNode is Options.Where as a condition, nil without one.
func whereNode(s *perfpipe.Schema, o Options) (*node, error) {
	if o.Where == "" {
		return nil, nil
	}
	file, serr := syntax.Parse(o.Where)
	c := &checker{schema: s, opts: o}
	var n *node
	switch {
	case serr != nil:
		c.errs = append(c.errs, fromSyntax(serr))
	case !file.Plain():
		c.errs = append(c.errs, &Error{Reason: "a condition before a program is one expression"})
	default:
		n = c.cond(file.Expr)
	}
	return n, joinErrors(o.Where, s, c.errs)
}

// Emits returns the columns that p adds to its event's table.
func (p *Program) Emits() []Emit {
	if p.body == nil {
		return nil
	}
	return p.body.emits
}

// Stateful reports whether what p says of a record depends on those before it: it must
// then see all of them, in their order.
func (p *Program) Stateful() bool { return p.body != nil }

// Passes is false where p lets no record through, whatever it is, as the clause that
// notes when something began.
func (p *Program) Passes() bool { return p.body == nil || p.body.passes || p.onFault }

// EmittedInt returns the integer that the last call of [Program.Match] gave column i
// (0 or 1 for bool); ok is false where it has none.
func (p *Program) EmittedInt(i int) (v uint64, ok bool) {
	return p.machine.ints[i], p.machine.emitted&(1<<i) != 0
}

// EmittedText is EmittedInt for strings. The bytes are those of the record.
func (p *Program) EmittedText(i int) (text []byte, ok bool) {
	return p.machine.texts[i], p.machine.emitted&(1<<i) != 0
}

// Used returns how much of the budget the last call of [Program.Match] used, 0 for an
// expression alone, which has none.
func (p *Program) Used() int {
	if p.body == nil {
		return 0
	}
	return p.machine.used
}
