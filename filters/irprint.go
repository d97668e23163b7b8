package filters

import (
	"fmt"
	"strconv"
	"strings"
)

// IR returns the typed intermediate form that every tier is made from, as text: what is
// kept, the functions, and the statements, expressions with the operator first.
func (p *Program) IR() string {
	w := &irPrinter{}
	if p.body == nil {
		w.line("return %s", irNode(p.root))
		return w.b.String()
	}
	for _, k := range p.body.layout.cells {
		if k.name == "" {
			continue
		}
		what := "state"
		if k.perCPU {
			what = "percpu state"
		}
		w.line("%s %s %s = %s", what, k.vtype.name, k.name, number(k.vtype.typ, k.init))
	}
	for _, m := range p.body.layout.tables {
		w.line("map<%s, %s> %s[%d]", m.key.name, m.val.name, m.name, m.cap)
	}
	for _, e := range p.body.emits {
		null := "not null"
		if e.Nullable {
			null = "null"
		}
		w.line("column %s %s %s", e.Name, e.Type, null)
	}
	for _, f := range p.body.funcs {
		var args []string
		for _, v := range f.params {
			args = append(args, v.vtype.name+" "+irVar(v))
		}
		w.line("function %s %s(%s)", f.ret.name, f.name, strings.Join(args, ", "))
		w.block(f.body)
	}
	w.line("main, budget %d", p.budget)
	w.block(p.body.main)
	return w.b.String()
}

type irPrinter struct {
	b      strings.Builder
	indent int
}

func (w *irPrinter) line(format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", min(w.indent, 32)))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

func (w *irPrinter) block(list []*stmt) {
	w.indent++
	defer func() { w.indent-- }()
	for _, s := range list {
		switch s.op {
		case stSet:
			w.line("%s %s = %s", s.v.vtype.name, irVar(s.v), irNode(s.x))
		case stState:
			w.line("%s = %s", irCell(s.cell), irNode(s.x))
		case stMap:
			op := "="
			if s.bin != 0 {
				op = s.bin.String() + "="
			}
			w.line("%s[%s] %s %s", s.m.name, irNode(s.key), op, irNode(s.x))
		case stDelete:
			w.line("delete %s[%s]", s.m.name, irNode(s.key))
		case stIf:
			w.line("if %s", irNode(s.cond))
			w.block(s.body)
			if len(s.els) > 0 {
				w.line("else")
				w.block(s.els)
			}
		case stFor:
			bound := "no more rounds than the constants say"
			if s.max > 0 {
				bound = fmt.Sprintf("at most %d rounds", s.max)
			}
			w.line("for %s = %s while %s, %s", irVar(s.v), irNode(s.x), irNode(s.cond), bound)
			w.block(s.body)
		case stBreak:
			w.line("break")
		case stContinue:
			w.line("continue")
		case stReturn:
			w.line("return %s", irNode(s.x))
		case stEmit:
			if s.cond == nil {
				w.line("emit %d = %s", s.emit, irNode(s.x))
			} else {
				w.line("emit %d = %s where %s", s.emit, irNode(s.x), irNode(s.cond))
			}
		case stCall:
			w.line("%s", irNode(s.x))
		}
	}
}

func irVar(v *variable) string { return fmt.Sprintf("%s.%d", v.name, v.id) }

func irCell(k *cell) string {
	switch {
	case k.perCPU:
		return fmt.Sprintf("percpu[%d]", k.at)
	case k.name == "":
		return fmt.Sprintf("memory[%d]", k.at)
	}
	return fmt.Sprintf("state[%d]", k.at)
}

var irOps = map[op]string{
	opNeg: "neg", opCompl: "compl", opCond: "select", opNot: "not", opAnd: "and", opOr: "or", opIn: "in", opMask: "any", opStrEq: "streq", opGlob: "glob",
	opStrFn: "strfn", opCPUs: "cpus", opCIDR: "cidr", opKernel: "kernel", opPresent: "present", opDelta: "delta", opChanged: "changed", opRate: "rate",
}

// irNode writes an expression as (operator:type operands).
func irNode(n *node) string {
	if n == nil {
		return "nothing"
	}
	switch n.op {
	case opConst:
		if n.typ == tBool {
			return strconv.FormatBool(n.val != 0)
		}
		return number(n.typ, n.val) + ":" + n.typ.String()
	case opStrConst:
		return strconv.Quote(n.str)
	case opLoad:
		return fmt.Sprintf("%s@%d:%s%d", n.load.name, n.load.off, signLetter(n.load.signed), 8*int(n.load.size))
	case opMeta, opComm:
		return metaName(n)
	case opStrField, opField, opKStr:
		return n.fld.Name + ":" + n.typ.String()
	case opVar:
		return irVar(n.v)
	case opState:
		return irCell(n.cell)
	}
	name := irOps[n.op]
	var args []string
	for _, k := range n.kids {
		args = append(args, irNode(k))
	}
	switch n.op {
	case opElem:
		return fmt.Sprintf("%s[%s]:%s%d", n.fld.Name, args[0], signLetter(n.load.signed), 8*int(n.load.size))
	case opMapGet:
		return fmt.Sprintf("%s[%s]", n.m.name, args[0])
	case opMapHas:
		return fmt.Sprintf("(has %s %s)", n.m.name, args[0])
	case opUser:
		name = n.call.name + ":" + n.call.ret.name
	case opBin:
		name = n.bin.String() + ":" + n.typ.String()
	case opCmp:
		name = n.bin.String()
	case opCast:
		name = fmt.Sprintf("%s%d", signLetter(n.typ == tInt), n.width)
	case opCall:
		name = n.fun.name() + ":" + n.typ.String()
	case opStrFn:
		name = n.fun.name()
	case opIn:
		for _, s := range n.set {
			a, b := number(n.kids[0].typ, s.lo), number(n.kids[0].typ, s.hi)
			if a != b {
				a += ".." + b
			}
			args = append(args, a)
		}
	case opMask:
		args = append(args, fmt.Sprintf("%#x", n.val))
	case opGlob:
		args = append(args, globText(n.glob))
	case opDelta, opChanged, opRate:
		args = append(args, irCell(n.cell))
	case opPresent, opCIDR, opCPUs:
		args = append(args, n.fld.Name)
	case opKernel:
		args = append(args, strconv.Quote(n.kstr.text))
	}
	return "(" + strings.Join(append([]string{name}, args...), " ") + ")"
}

// globText writes a pattern as the kind of comparison that it became.
func globText(g *glob) string {
	kind := [...]string{globAny: "any", globExact: "exact", globPrefix: "prefix", globSuffix: "suffix", globContains: "contains", globGeneral: "pattern"}[g.kind]
	if g.kind == globGeneral {
		return kind + " " + strconv.Quote(g.pat)
	}
	return kind + " " + strconv.Quote(string(g.lit))
}

func signLetter(signed bool) string {
	if signed {
		return "s"
	}
	return "u"
}

func (f builtin) name() string {
	for _, b := range Builtins() {
		if b.fn == f {
			return b.Name
		}
	}
	return "?"
}
