package filters

import code "github.com/perfpipe/perfpipe/filters/bpf"

// needs says whether the code must run when the record has its time and its texts, and
// how much memory for texts it wants.
func (g *bpfGen) needs() (late bool, text int) {
	note := func(n *node) {
		late = late || n.op == opMeta && n.meta == metaTime || n.op == opRate
	}
	walk(g.b.main, note)
	for _, f := range g.b.funcs {
		walk(f.body, note)
	}
	return late, 0
}

// text resolves a string to what it is: a field, the task's name, a constant.
func (g *bpfGen) text(n *node) *node {
	g.fail("it reads strings")
	return n
}

// setText lets v stand for a string.
func (g *bpfGen) setText(*variable, *node) { g.fail("it keeps a string in a variable") }

// textCall is strlen or hash of a string.
func (g *bpfGen) textCall(*node) { g.fail("it reads strings") }

// textTest is a predicate of strings or of other bytes.
func (g *bpfGen) textTest(*node, code.Target) { g.fail("it compares strings") }

// located is an element of an array whose place the record tells.
func (g *bpfGen) located(*node) { g.fail("it reads an array behind the record") }
