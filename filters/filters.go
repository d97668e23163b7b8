package filters

import (
	"sort"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// Options are how a filter is read.
type Options struct {
	// Functions resolves the names and addresses of .function; nil refuses them.
	Functions Functions
	// Arch chooses the system call numbers, "amd64" or "arm64"; "" is that of the
	// machine the program runs on.
	Arch string
	// CPUs is the number of processors of the machine that recorded (nr_cpu_ids).
	// It bounds CPUS{} under KernelCompat; 0 is 8192, the most a kernel knows.
	CPUs int
	// OnFault is the verdict on a record whose filter faults.
	OnFault Verdict
	// Budget is how many predicates, calls and rounds of loops a program may use on one
	// record; 0 is DefaultBudget. An expression alone has no loops and needs none.
	Budget int
	// Where is an expression that must hold before a program is asked, "" is none. Only
	// programs (ShapeOf) have it: an expression is joined by &&.
	Where string
	// KernelCompat takes the kernel's language alone, and gives it exactly the
	// kernel engine's meaning, quirks included.
	KernelCompat bool
}

// Functions knows where the kernel's functions are.
type Functions interface {
	// ByName returns the address range [lo, hi) of the function.
	ByName(name string) (lo, hi uint64, ok bool)
	// ByAddr returns that of the function that holds addr.
	ByAddr(addr uint64) (lo, hi uint64, ok bool)
}

// Program is a filter made ready for the records of one event. Of an expression alone
// it is read-only and may be used by several goroutines; with statements or state it
// belongs to one.
type Program struct {
	source  string
	schema  *perfpipe.Schema
	opts    Options
	tree    syntax.Expr // nil for the kernel's language and for parts of a filter
	root    *node
	warns   []Warning
	code    []instr
	regs    int
	strs    int
	min     int  // length from which on no static field is cut off
	simple  bool // only fused atoms: match runs it
	onFault bool
	flat    flat // all tests of a program of few, where they cannot fault

	// Of a program with statements or state, which has no root and no code:
	file    *syntax.File
	body    *body
	xcode   []xinstr
	machine *machine
	budget  int
	traced  []xinstr // xcode with visits, made when it is first asked for
	sparing bool     // xcode had not enough registers for all that it could keep
}

// Compile reads src as a filter on the records of s. Its errors are *Error.
func Compile(src string, s *perfpipe.Schema, o Options) (*Program, error) {
	p := &Program{source: src, schema: s, opts: o, onFault: o.OnFault == Pass}
	if o.KernelCompat {
		root, kerr := parseKernel(src, s, o)
		if kerr != nil {
			return nil, joinErrors(src, s, []*Error{kerr})
		}
		p.root = root
		return p, p.generate()
	}
	file, serr := syntax.Parse(src)
	if serr == nil && (!file.Plain() || usesState(file.Expr)) {
		return compileFile(src, file, s, o)
	}
	c := &checker{schema: s, opts: o}
	if file.Expr != nil && (serr == nil || !serr.Lexical) {
		p.root = c.cond(file.Expr)
	}
	if serr != nil {
		c.errs = append(c.errs, fromSyntax(serr))
	}
	if err := joinErrors(src, s, c.errs); err != nil {
		return nil, err
	}
	p.tree = file.Expr
	p.setWarnings(c.warns)
	return p, p.generate()
}

func (p *Program) setWarnings(list []Warning) {
	sort.SliceStable(list, func(i, j int) bool { return list[i].Pos < list[j].Pos })
	p.warns = list
}

// Source returns the text that p was compiled from.
func (p *Program) Source() string { return p.source }

// Schema returns the event that p is for.
func (p *Program) Schema() *perfpipe.Schema { return p.schema }

// Warnings returns what p says that may not be meant, in the order of the text.
func (p *Program) Warnings() []Warning { return p.warns }

// Parsed returns the filter with parentheses that show how it was read; under
// KernelCompat the source as it is.
func (p *Program) Parsed() string {
	if p.body != nil {
		return syntax.PrintFile(p.file)
	}
	if p.tree == nil {
		return p.source
	}
	return syntax.PrintGrouped(p.tree)
}

// NeedsKernel reports whether p reads a string that only the kernel can
// (.ustring, char *): Match then faults wherever it comes to it, and the filter
// works only where [Program.Push] says it all.
func (p *Program) NeedsKernel() bool { return p.body == nil && needsKernel(p.root) }

// Reads reports whether p reads a field of that name, in what it was reduced to.
func (p *Program) Reads(field string) bool {
	if p.body == nil {
		return reads(p.root, field)
	}
	found := false
	note := func(n *node) {
		found = found || n.op < opVar && (n.load.name == field || n.fld != nil && n.fld.Name == field)
	}
	walk(p.body.main, note)
	for _, f := range p.body.funcs {
		walk(f.body, note)
	}
	return found
}

func reads(n *node, field string) bool {
	if n.load.name == field || n.fld != nil && n.fld.Name == field {
		return true
	}
	for _, k := range n.kids {
		if reads(k, field) {
			return true
		}
	}
	return false
}

func needsKernel(n *node) bool {
	if n.op == opKStr || n.op == opKernel && n.kstr.user {
		return true
	}
	for _, k := range n.kids {
		if needsKernel(k) {
			return true
		}
	}
	return false
}
