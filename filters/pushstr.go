package filters

import (
	"strings"

	"github.com/perfpipe/perfpipe"
)

// quote puts s in the kernel's quotes, which know no escapes.
func (ps *pusher) quote(s string) (string, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			ps.open("the text holds control characters")
			return "", false
		}
	}
	switch {
	case len(s) > maxKernelString:
		ps.open("the kernel takes strings of at most 255 bytes")
	case strings.IndexByte(s, '"') < 0:
		return `"` + s + `"`, true
	case strings.IndexByte(s, '\'') < 0:
		return "'" + s + "'", true
	default:
		ps.open("the text holds both quotes")
	}
	return "", false
}

// str is a test of a string with a literal or a glob.
func (ps *pusher) str(n *node, neg bool) *clause {
	x := n.kids[0]
	g := n.glob
	if n.op == opStrEq {
		if n.kids[1].op != opStrConst {
			return ps.open("the kernel compares strings with literals alone")
		}
		g = newGlob(globExact, n.kids[1].str)
	}
	if x.op == opKStr {
		return ps.pointer(x, g, neg)
	}
	if x.op == opStrField && !ps.probedText(x.fld, g, neg) {
		return &clause{kind: clauseTrue}
	}
	name, size, ends := ps.textField(x)
	if name == "" {
		return &clause{kind: clauseTrue}
	}
	if size > 0 && len(g.lit) > size {
		return truthClause(neg) // no such text fits
	}
	switch g.kind {
	case globAny:
		return truthClause(!neg)
	case globExact:
		return ps.equal(name, string(g.lit), neg)
	case globPrefix:
		return ps.glob(name, g.pattern(), neg)
	case globGeneral:
		switch {
		case strings.Contains(g.pat, "[!"):
			return ps.open("[!...] differs between kernels")
		case size > 0 && !ends:
			return ps.open("the kernel may read beyond the end of " + name)
		}
		return ps.glob(name, g.pat, neg)
	}
	if size == 0 { // __data_loc: the kernel knows where it ends
		return ps.glob(name, g.pattern(), neg)
	}
	if ends {
		// A backslash makes it a glob, which ends at the NUL: "*sh" would test the
		// end of the array, and "*sh*" look behind the NUL as well.
		pat := g.pattern()
		if pat[1] != '\\' {
			pat = `*\` + pat[1:]
		}
		return ps.glob(name, pat, neg)
	}
	if neg {
		return ps.open("the kernel tests the end of the array " + name + ", not that of its text")
	}
	c := ps.glob(name, newGlob(globContains, string(g.lit)).pattern(), false)
	if c.kind == clauseAtom {
		ps.open("weakened to \"contains\": the kernel tests the array " + name + ", not its text")
		c.exact = false
	}
	return c
}

// textField names a string for the kernel. size is that of an array, 0 of a
// __data_loc; ends tells that the array surely holds a NUL, as task names do.
func (ps *pusher) textField(x *node) (name string, size int, ends bool) {
	switch x.op {
	case opComm:
		for _, name := range [...]string{"COMM", "comm"} {
			if ps.schema.Field(name) == nil {
				return name, 15, true
			}
		}
		ps.open("fields of the event hide the kernel's COMM")
	case opStrField:
		f := findKernelField(x.fld.Name, ps.schema)
		if f == nil || f.fld != x.fld || !f.isString() || f.kind == kernelPtr {
			ps.open("the kernel does not take " + x.fld.Name + " for a string")
			return "", 0, false
		}
		if x.fld.Loc != perfpipe.LocStatic {
			return f.name, 0, true
		}
		return f.name, f.size, f.size == 16 && strings.HasSuffix(f.name, "comm")
	default:
		ps.open("the kernel compares fields with literals alone")
	}
	return "", 0, false
}

func (ps *pusher) equal(name, lit string, neg bool) *clause {
	q, ok := ps.quote(lit)
	if !ok {
		return &clause{kind: clauseTrue}
	}
	return atom(name + pick(neg, " != ", " == ") + q)
}

// glob writes a pattern. The kernel takes a first "!" for an inversion, and what
// begins with a digit for no pattern at all; a backslash before it says otherwise.
func (ps *pusher) glob(name, pattern string, neg bool) *clause {
	if pattern[0] == '!' || isDigit(pattern[0]) {
		pattern = `\` + pattern
	}
	q, ok := ps.quote(pattern)
	if !ok {
		return &clause{kind: clauseTrue}
	}
	return atom(pick(neg, "!", "") + name + " ~ " + q)
}

// pointer is a test of text behind a pointer. The kernel holds it false where the
// text cannot be read, which is also what a fault with on-fault=drop makes of it.
func (ps *pusher) pointer(x *node, g *glob, neg bool) *clause {
	switch {
	case ps.pass:
		return ps.open("text that cannot be read is a fault, and on-fault is pass")
	case g.kind == globExact:
		return ps.equal(x.fld.Name+x.str, string(g.lit), neg)
	case neg:
		return ps.open("the kernel holds a pointer's text unequal where it cannot be read, also under !")
	case g.kind == globGeneral && strings.Contains(g.pat, "[!"):
		return ps.open("[!...] differs between kernels")
	}
	return ps.glob(x.fld.Name+x.str, g.pattern(), false)
}
