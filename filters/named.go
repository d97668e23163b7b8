package filters

import (
	"strings"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// named compares a field that stands for a text (CType "name" of made-up schemas, whose
// column holds the symbol's name) with a text: it becomes a set of the values that have
// such names. ok is false where x is no such comparison.
func (c *checker) named(x *syntax.Binary, a, b *node) (n *node, ok bool) {
	if a.op != opLoad || a.load.elem || a.fld.CType != "name" || len(a.fld.Symbols) == 0 || b.op != opStrConst {
		return nil, false
	}
	g, inverted := newGlob(globExact, b.str), x.Op == syntax.Ne
	switch x.Op {
	case syntax.Eq, syntax.Ne:
	case syntax.Tilde:
		g, inverted = parseGlob(b.str)
	default:
		return nil, false
	}
	var spans []span
	var names []string
	seen := make(map[uint64]bool)
	for _, s := range a.fld.Symbols {
		v := widen(s.Value, a.fld)
		if seen[v] {
			continue // the column shows the first name
		}
		seen[v] = true
		names = append(names, s.Name)
		if g.match([]byte(s.Name)) {
			spans = append(spans, span{v, v})
		}
	}
	if len(spans) == 0 && x.Op != syntax.Tilde {
		hint := ""
		if len(names) <= 20 {
			hint = "it is one of " + strings.Join(names, " ")
		}
		return c.errorf(x.Y, rankStrict, hint, "%s is never %q", a.fld.Name, b.str), true
	}
	n = mkIn(a, spans...)
	if inverted {
		n = mkNot(n)
	}
	return guard(n), true
}
