package filters

import (
	"fmt"
	"runtime"
	"sort"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// name resolves an identifier: a field of the event, a generic field of the
// kernel, true and false, a symbolic value.
func (c *checker) name(x *syntax.Ident, near *perfpipe.Field) *node {
	if c.env != nil {
		if n, ok := c.envName(x); ok {
			return n
		}
	}
	if f := c.schema.Field(x.Name); f != nil {
		return c.field(x, f)
	}
	switch x.Name {
	case "CPU", "cpu", "common_cpu":
		return &node{op: opMeta, typ: tInt, meta: metaCPU, str: x.Name}
	case "COMM", "comm":
		return &node{op: opComm, typ: tStr, str: x.Name}
	case "stacktrace":
		return &node{op: opField, typ: tStack, str: x.Name}
	case "true":
		return boolNode(true)
	case "false":
		return boolNode(false)
	}
	if v, ok := c.symbol(x.Name, near); ok {
		n := constNode(v, tInt)
		if v >= 1<<63 {
			n.typ = tUint
		}
		return n
	}
	return c.unknown(x)
}

// field is a field as a value.
func (c *checker) field(x syntax.Expr, f *perfpipe.Field) *node {
	n := c.field1(x, f)
	if n != nil {
		maybeNull(n, f)
	}
	return n
}

func (c *checker) field1(x syntax.Expr, f *perfpipe.Field) *node {
	switch {
	case f.Probed != nil && f.Probed.Never:
		return unreadable(f)
	case f.Kind == perfpipe.KindString:
		return &node{op: opStrField, typ: tStr, fld: f}
	case f.Kind == perfpipe.KindCPUMask:
		return &node{op: opField, typ: tMask, fld: f}
	case f.Loc != perfpipe.LocStatic || f.Array:
		return &node{op: opField, typ: tArray, fld: f}
	}
	if l, ok := wholeLoad(f); ok {
		if f.Signed && f.SignBits > 0 && f.SignBits < int(l.size)*8 {
			l.signed = false
			kid := &node{op: opLoad, typ: tUint, load: l, fld: f}
			n := mkNode(opCast, tInt, maybeNull(kid, f))
			n.width = uint8(f.SignBits)
			return n
		}
		return &node{op: opLoad, typ: l.typ(), load: l, fld: f}
	}
	return c.errorf(x, rankStrict, "the kernel takes comparisons of it, and finds them all false", "%s is no integer but %s of %d bytes", f.Name, f.CType, f.Size)
}

// wholeLoad reads a field in place as one integer by its size and sign, as the
// kernel does whatever the C type is.
func wholeLoad(f *perfpipe.Field) (load, bool) {
	switch f.Size {
	case 1, 2, 4, 8:
		return load{off: f.Offset, size: uint8(f.Size), signed: f.Signed, name: f.Name}, f.Offset >= 0
	}
	return load{}, false
}

func (l load) typ() typ {
	if l.signed {
		return tInt
	}
	return tUint
}

// symbol resolves a symbolic value: first a name of the field near, then one
// that has the same value wherever the event's print format knows it, then errno
// and signal names, and system calls beside a field that holds their number.
func (c *checker) symbol(name string, near *perfpipe.Field) (uint64, bool) {
	if near != nil {
		for _, s := range near.Symbols {
			if s.Name == name {
				return widen(s.Value, near), true
			}
		}
		if isSyscallField(near) {
			if v, ok := syscallNumber(name, c.arch()); ok {
				return v, true
			}
		}
	}
	var v uint64
	found := 0
	for i := range c.schema.Fields {
		for _, s := range c.schema.Fields[i].Symbols {
			if s.Name == name && (found == 0 || s.Value != v) {
				v = s.Value
				found++
			}
		}
	}
	if found == 1 && len(name) > 2 {
		return v, true
	}
	if v, ok := errnoNumber(name); ok {
		return v, true
	}
	return signalNumber(name)
}

// widen takes a symbol's value as the field holds it: (u64)-1 is -1 in a signed field.
func widen(v uint64, f *perfpipe.Field) uint64 {
	if l, ok := wholeLoad(f); ok && f.Loc == perfpipe.LocStatic && !f.Signed {
		return v & l.bounds().hi
	}
	return v
}

func (c *checker) arch() string {
	a := c.opts.Arch
	if a == "" {
		a = runtime.GOARCH
	}
	if a == "arm64" {
		return a
	}
	return "amd64"
}

// isSyscallField tells the fields that hold the number of a system call: id of
// raw_syscalls, __syscall_nr and nr of syscalls.
func isSyscallField(f *perfpipe.Field) bool {
	switch f.Name {
	case "id", "nr", "__syscall_nr", "syscall", "syscall_nr":
		return true
	}
	return false
}

// unknown reports a name that nothing has.
func (c *checker) unknown(x *syntax.Ident) *node {
	pos, end := x.Span()
	e := &Error{Pos: pos, End: end, Reason: fmt.Sprintf("unknown field %q", x.Name), Nearest: nearestField(x.Name, c.schema), Fields: describeFields(c.schema)}
	switch x.Name {
	case "pid", "tid", "time":
		e.Hint = fmt.Sprintf("the task's and the record's own are $pid, $tid and $time: write $%s", x.Name)
		e.Nearest = ""
	case "ts", "timestamp", "common_timestamp":
		e.Hint = "the time of the record, in nanoseconds, is $time"
		e.Nearest = ""
	default:
		if e.Nearest == "" {
			e.Hint = `if text is meant, quote it: "` + x.Name + `"`
		}
	}
	c.errs = append(c.errs, e)
	return nil
}

// describeFields lists the event's own fields with their types, then the common ones.
func describeFields(s *perfpipe.Schema) []string {
	var out []string
	for i := range s.Fields {
		out = append(out, s.Fields[i].Name+" "+TypeOf(&s.Fields[i]))
	}
	for i := range s.Common {
		out = append(out, s.Common[i].Name+" "+TypeOf(&s.Common[i]))
	}
	return out
}

// TypeOf returns a field's type in the language's words: "s32", "u8[4]",
// "string", "char[16]", "cpumask", "u64 pointer", "12 bytes".
func TypeOf(f *perfpipe.Field) string {
	sign := "u"
	if f.Kind == perfpipe.KindInt || f.Kind != perfpipe.KindUint && f.Signed {
		sign = "s"
	}
	elem := fmt.Sprintf("%s%d", sign, 8*f.ElemSize)
	switch f.Kind {
	case perfpipe.KindString:
		if f.Loc == perfpipe.LocStatic {
			return fmt.Sprintf("char[%d]", f.Size)
		}
		return "string"
	case perfpipe.KindCPUMask:
		return "cpumask"
	case perfpipe.KindBool:
		elem = "bool"
	case perfpipe.KindBytes:
		return fmt.Sprintf("%d bytes", f.Size)
	case perfpipe.KindPointer:
		if !f.Array {
			return elem + " pointer"
		}
	}
	switch {
	case f.Array && f.Loc == perfpipe.LocStatic:
		return fmt.Sprintf("%s[%d]", elem, f.Count)
	case f.Array || f.Loc != perfpipe.LocStatic:
		return elem + "[]"
	}
	return elem
}

// nearestField returns the name that is least unlike name: at most a third of it differs.
func nearestField(name string, s *perfpipe.Schema) string {
	names := []string{"CPU", "COMM"}
	for i := range s.Fields {
		names = append(names, s.Fields[i].Name)
	}
	for i := range s.Common {
		names = append(names, s.Common[i].Name)
	}
	sort.Strings(names)
	best, at := "", 1+max(len(name)/3, 1)
	for _, n := range names {
		d := distance(strings.ToLower(name), strings.ToLower(n))
		if strings.HasSuffix(n, "_"+name) || strings.HasPrefix(n, name+"_") {
			d = min(d, 1)
		}
		if d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or exchange (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}

// metaValue resolves $name.
func (c *checker) metaValue(x *syntax.Meta) *node {
	switch x.Name {
	case "cpu":
		return &node{op: opMeta, typ: tInt, meta: metaCPU}
	case "pid":
		return &node{op: opMeta, typ: tInt, meta: metaPID}
	case "tid":
		return &node{op: opMeta, typ: tInt, meta: metaTID}
	case "time":
		return &node{op: opMeta, typ: tUint, meta: metaTime}
	case "comm":
		return &node{op: opComm, typ: tStr}
	case "event":
		return &node{op: opStrConst, typ: tStr, str: c.schema.Event()}
	}
	return c.errorf(x, rankKernel, "there are $cpu, $pid, $tid, $comm, $time and $event", "unknown $%s", x.Name)
}

// suffix resolves .ustring; .function has a value only in a comparison.
func (c *checker) suffix(x *syntax.Suffix) *node {
	id, ok := syntax.Bare(x.X).(*syntax.Ident)
	if !ok {
		return c.errorf(x, rankKernel, "", ".%s belongs behind the name of a field", x.Name)
	}
	f := c.fieldOf(id.Name)
	if f == nil {
		return c.name(id, nil)
	}
	if x.Name == "function" {
		return maybeNull(&node{op: opField, typ: tFunc, fld: f}, f)
	}
	if f.Kind == perfpipe.KindString {
		// The text is in the record: the suffix has nothing to do.
		return maybeNull(&node{op: opStrField, typ: tStr, fld: f}, f)
	}
	if f.Loc == perfpipe.LocStatic && f.Size == 8 && !f.Array {
		return maybeNull(&node{op: opKStr, typ: tKStr, fld: f, str: ".ustring", faults: true}, f)
	}
	return c.errorf(x, rankStrict, "", ".ustring needs a pointer, %s is %s", f.Name, TypeOf(f))
}

// index is v[i]: an element of an array, a byte of a string.
func (c *checker) index(x *syntax.Index) *node {
	if m := c.mapOf(x.X); m != nil {
		return c.element(m, x.I)
	}
	a := c.value(x.X, nil)
	i := c.value(x.I, nil)
	if a == nil || i == nil {
		return nil
	}
	if a.typ != tArray && a.op != opStrField {
		return c.errorf(x.X, rankKernel, "", "only arrays and strings of the record have elements, this is %s", article(a.typ))
	}
	if i = c.needInt(x.I, i, "the index"); i == nil {
		return nil
	}
	f := a.fld
	size, signed := f.ElemSize, f.Kind == perfpipe.KindInt || f.Kind == perfpipe.KindPointer && f.Signed
	if a.typ == tStr {
		size, signed = 1, false
	}
	if size != 1 && size != 2 && size != 4 && size != 8 || f.Kind == perfpipe.KindBytes {
		return c.errorf(x.X, rankKernel, "", "the elements of %s are no integers but %d bytes each", f.Name, size)
	}
	if i.isConst() {
		if i.negative() || f.Loc == perfpipe.LocStatic && i.val >= uint64(f.Size/size) || i.val > 1<<16 {
			hint := ""
			if f.Loc == perfpipe.LocStatic {
				hint = fmt.Sprintf("%s has the elements 0 to %d", f.Name, f.Size/size-1)
			}
			return c.errorf(x.I, rankKernel, hint, "index %s is out of range", syntax.Print(x.I))
		}
		if f.Loc == perfpipe.LocStatic && (a.typ != tStr || f.Probed == nil) {
			l := load{off: f.Offset + int(i.val)*size, size: uint8(size), signed: signed, name: f.Name, elem: true}
			return maybeNull(&node{op: opLoad, typ: l.typ(), load: l, fld: f}, f)
		}
	}
	l := load{size: uint8(size), signed: signed, name: f.Name, elem: true}
	n := mkNode(opElem, l.typ(), i)
	n.fld, n.load, n.faults = f, l, true
	return maybeNull(n, f)
}
