package uprobe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

// Suffixes of hidden fields. The kernel takes no two fields of one name, and a name
// of 31 bytes leaves no room for them: arguments are cut to maxName.
const (
	checkSuffix  = "__c"
	headSuffix   = "__h"
	lengthSuffix = "__n"
	maxName      = 28
)

const (
	// headBytes is how much is kept of a string that is longer than the kernel takes: one
	// word, as each costs 80 ns a hit.
	headBytes = 8
	// goBytes is how much is taken of a text that does not end in NUL (Go, Rust): it is
	// read as words, as the kernel's strings go on to the next NUL, which in the text of
	// such programs may be far. Where its length is not 0 it is there: no check.
	goBytes = 256
)

// column is an argument of an event.
type column struct {
	arg fetch.Arg
	// bytes: an array of words that is shown as the bytes it is made of.
	bytes int
	// check is the name of the field that tells whether the memory could be read.
	check string
	// through are the names of the fields of the pointers that lead to it.
	through []string
}

// guard is a hidden field of an event, by the column that it serves.
type guard struct {
	column int
	suffix string
	// step is, for a pointer on the way to the value, which of them.
	step int
}

// pointerSuffix is that of the pointer at a step: there are at most ten.
func pointerSuffix(step int) string { return "__" + strconv.Itoa(step) }

// pointers are the expressions of the pointers in memory that lead to an argument,
// the nearest to it first: of "+0(+8(+16(%di)))" they are "+8(+16(%di))" and
// "+16(%di)". Where the kernel cannot read one, it stores nothing of the argument, and
// what an earlier record had there stays (process_fetch_insn_bottom,
// kernel/trace/trace_probe_tmpl.h). The last step it stores zeroes for, and zeroes
// as the length of a counted text are the empty text: there a register leads to it too.
func pointers(a *fetch.Arg) []string {
	expr := a.Expr
	if a.Length != "" {
		expr = a.Length // the text's own pointer may be 0 where the length is
	}
	var list []string
	for {
		_, inner, ok := splitDeref(expr)
		if !ok || inner == expr {
			return list
		}
		if _, _, ok := splitDeref(inner); !ok {
			if a.Length != "" && inner != "%sp" {
				list = append(list, inner)
			}
			return list
		}
		list, expr = append(list, inner), inner
	}
}

// taken is a field of a definition.
type taken struct {
	name, expr, typ string
	// serves is the suffix of a hidden field, "" for an argument.
	serves string
}

// newVariant lays an event out. Every site's arguments have the names and types of
// the first's.
func newVariant(sites []Site, bufs map[string]int) Variant {
	v := Variant{Sites: sites}
	seen := map[string]bool{}
	for i := range sites {
		seen[sites[i].Func] = true
	}
	v.numbered = len(seen) > 1
	var args []fetch.Arg
	if len(sites) > 0 {
		args = sites[0].args
	}
	// One check serves all fields behind the same pointer: the one of the lowest
	// offset, as a value of zeroes that could be read ends its string.
	lowest := map[string]int{}
	low := map[string]int64{}
	for i, a := range args {
		off, inner, ok := splitDeref(a.Expr)
		if a.Null != "" || !ok || a.Type == "string" {
			continue
		}
		if _, seen := lowest[inner]; !seen || off < low[inner] {
			lowest[inner], low[inner] = i, off
		}
	}
	fetched := map[string]string{} // pointers to their fields
	for i, a := range args {
		c := column{arg: a, bytes: bufs[a.Name]}
		if a.Null == "" {
			for step, expr := range pointers(&a) {
				name, ok := fetched[expr]
				if !ok {
					name = a.Name + pointerSuffix(step)
					fetched[expr] = name
					v.guards = append(v.guards, guard{column: i, suffix: pointerSuffix(step), step: step})
				}
				c.through = append(c.through, name)
			}
		}
		if _, inner, ok := splitDeref(a.Expr); ok && a.Null == "" && a.Type != "string" {
			c.check = args[lowest[inner]].Name + checkSuffix
		}
		v.columns = append(v.columns, c)
		switch {
		case a.Null != "":
		case a.Length != "":
			v.guards = append(v.guards, guard{column: i, suffix: lengthSuffix})
		case a.Type == "string":
			v.guards = append(v.guards, guard{column: i, suffix: headSuffix})
		}
		if c.check == a.Name+checkSuffix {
			v.guards = append(v.guards, guard{column: i, suffix: checkSuffix})
		}
	}
	return v
}

// fetches are the fields of a site's definition behind the function's number. Checks
// come first: the kernel measures the strings, a too long one as 0, and then copies each
// into what room there is, so that a too long one takes that of those behind it. Of
// the strings one whose room was taken is told by its head.
func (v *Variant) fetches(s *Site) []taken {
	var list []taken
	for _, g := range v.guards {
		if a := &s.args[g.column]; g.suffix == checkSuffix {
			list = append(list, taken{a.Name + checkSuffix, a.Expr, "string", checkSuffix})
		}
	}
	for i := range v.columns {
		a := &s.args[i]
		if a.Null != "" {
			continue
		}
		typ := a.Type
		if a.Length != "" {
			typ = fmt.Sprintf("x64[%d]", goBytes/8)
		}
		list = append(list, taken{name: a.Name, expr: a.Expr, typ: typ})
	}
	for _, g := range v.guards {
		a := &s.args[g.column]
		t := taken{name: a.Name + g.suffix, serves: g.suffix}
		switch g.suffix {
		case headSuffix:
			t.expr, t.typ = a.Expr, "x64"
		case lengthSuffix:
			t.expr, t.typ = a.Length, "s64"
		case checkSuffix:
			continue
		default:
			t.expr, t.typ = pointers(a)[g.step], "u64"
		}
		list = append(list, t)
	}
	return list
}

// schema makes the layout of the event's records, as the kernel will: fields follow
// each other without gaps (traceprobe_parse_probe_arg, kernel/trace/trace_probe.c).
// Fields shown are the function, the arguments and the probe's addresses.
func (v *Variant) schema(p *Probe, common []perfpipe.Field) *perfpipe.Schema {
	s := &perfpipe.Schema{System: p.System, Name: p.Name, Table: p.Table, Common: common}
	off := 0
	for i := range common {
		off = max(off, common[i].Offset+common[i].Size)
	}
	off = (off + 7) &^ 7
	addrs := []string{"__probe_ip"}
	if p.Mode == RetTrampoline {
		addrs = []string{"__probe_func", "__probe_ret_ip"}
	}
	for _, n := range addrs {
		s.Fields = append(s.Fields, perfpipe.Field{Name: n, CType: "unsigned long", Offset: off, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindUint})
		off += 8
	}
	if v.numbered {
		f := perfpipe.Field{Name: funcField, CType: "name", Offset: off, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint}
		seen := map[string]bool{}
		for i := range v.Sites {
			if name := v.Sites[i].Func; !seen[name] {
				f.Symbols = append(f.Symbols, perfpipe.Symbol{Name: name, Value: uint64(len(seen))})
				seen[name] = true
			}
		}
		s.Fields = append(s.Fields, f)
		off += 4
	}
	at, off := v.places(off)
	for i := range v.columns {
		s.Fields = append(s.Fields, v.columns[i].field(at))
	}
	s.Size = off
	return s
}

// places are the offsets of the fields of a definition, the first of which stands at
// off, and where they end.
func (v *Variant) places(off int) (at map[string]int, end int) {
	var site Site
	if len(v.Sites) > 0 {
		site = v.Sites[0]
	}
	at = map[string]int{}
	for _, t := range v.fetches(&site) {
		at[t.name] = off
		off += fetchSize(t.typ)
	}
	return at, off
}

// field describes an argument, whose fields stand at the offsets of at.
func (c *column) field(at map[string]int) perfpipe.Field {
	a := &c.arg
	f := perfpipe.Field{Name: a.Name, CType: a.CType, Symbols: a.Symbols, Offset: at[a.Name], Count: 1}
	probed := &perfpipe.Probed{Check: -1, Head: -1, Length: -1}
	if c.check != "" {
		probed.Check = at[c.check]
		f.Probed = probed
	}
	for _, n := range c.through {
		probed.Through = append(probed.Through, at[n])
		f.Probed = probed
	}
	if f.CType == "" {
		f.CType = a.Type
	}
	switch {
	case a.Null != "":
		probed.Never = true
		f.Probed = probed
		f.Kind, f.Size, f.ElemSize, f.Signed = perfpipe.KindInt, 8, 8, true
		f.Offset = 0
	case a.Length != "":
		f.Kind, f.Size, f.ElemSize = perfpipe.KindString, goBytes, 1
		probed.Length = at[a.Name+lengthSuffix]
		f.Probed = probed
	case a.Type == "string":
		f.Kind, f.Loc, f.Size, f.ElemSize, f.Count = perfpipe.KindString, perfpipe.LocData, 4, 1, 0
		probed.Head, probed.HeadSize = at[a.Name+headSuffix], headBytes
		f.Probed = probed
	default:
		c.integer(&f)
	}
	return f
}

// integer describes an integer, a bitfield or an array of integers.
func (c *column) integer(f *perfpipe.Field) {
	size, count, signed := typeOf(c.arg.Type)
	f.Kind, f.Signed = perfpipe.KindUint, signed
	if signed {
		f.Kind = perfpipe.KindInt
	}
	f.Size, f.ElemSize, f.Count = size*max(1, count), size, max(1, count)
	f.Array = count > 0
	if n := c.arg.SignBits; n > 0 {
		f.Kind, f.Signed, f.SignBits = perfpipe.KindInt, true, n
	}
	if c.arg.Bool && size == 1 && count == 0 {
		f.Kind = perfpipe.KindBool
	}
	if c.bytes > 0 {
		f.Array, f.ElemSize, f.Count, f.Kind, f.Signed = true, 1, c.bytes, perfpipe.KindUint, false
		f.CType = fmt.Sprintf("u8[%d]", c.bytes)
	}
}

// typeOf reads a fetch type of integers: the bytes of one, how many of an array (0
// for none), the sign. A bitfield b3@4/16 has the size of its container.
func typeOf(t string) (size, count int, signed bool) {
	if open := strings.IndexByte(t, '['); open >= 0 && strings.HasSuffix(t, "]") {
		count, _ = strconv.Atoi(t[open+1 : len(t)-1])
		t = t[:open]
	}
	if strings.HasPrefix(t, "b") {
		if i := strings.IndexByte(t, '/'); i >= 0 {
			bits, _ := strconv.Atoi(t[i+1:])
			return bits / 8, count, false
		}
	}
	if t == "" {
		return 8, count, false
	}
	bits, _ := strconv.Atoi(t[1:])
	return bits / 8, count, t[0] == 's'
}

// fetchSize is what a field of a fetch type takes in the record.
func fetchSize(t string) int {
	if t == "string" {
		return 4
	}
	size, count, _ := typeOf(t)
	return size * max(1, count)
}

// splitDeref takes a fetch expression apart that reads memory, "+8(%di)" into 8 and
// "%di"; "@..." reads memory at no pointer: the inner part is then the whole.
func splitDeref(expr string) (off int64, inner string, ok bool) {
	if strings.HasPrefix(expr, "@") {
		return 0, expr, true
	}
	if expr == "" || expr[0] != '+' && expr[0] != '-' || !strings.HasSuffix(expr, ")") {
		return 0, "", false
	}
	open := strings.IndexByte(expr, '(')
	if open < 0 {
		return 0, "", false
	}
	off, err := strconv.ParseInt(expr[:open], 0, 64)
	if err != nil {
		return 0, "", false
	}
	return off, expr[open+1 : len(expr)-1], true
}
