package args

import (
	"errors"
	"fmt"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

const (
	// maxDerefs is the number of dereferences in one expression that was found to work
	// on every kernel tried (FETCH_INSN_MAX of kernel/trace/trace_probe.h bounds it).
	maxDerefs = 11
	// maxExpr is the length of an expression with its type (MAX_ARGSTR_LEN of
	// kernel/trace/trace_probe.h).
	maxExpr = 63
	// maxElements is the length of an array (MAX_ARRAY_LEN, there as well).
	maxElements = 64
)

// typeNames are the types that may be written, besides buf[N].
var typeNames = [...]string{
	"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "x8", "x16", "x32", "x64", "bool", "char", "ptr", "string",
}

func validType(w Want) error {
	if w.Type == "" {
		return nil
	}
	if w.isBuf() {
		if n := w.Len; n < 1 || n > maxElements && n%8 != 0 || n > maxElements*8 {
			return fmt.Errorf("buf[%d] cannot be fetched: N is at most 64, or a multiple of 8 and at most 512", n)
		}
		return nil
	}
	for _, n := range typeNames {
		if w.Type == n {
			return nil
		}
	}
	return fmt.Errorf("unknown type %q%s: types are %s and buf[N]", w.Type, meant(w.Type, typeNames[:]), strings.Join(typeNames[:], " "))
}

// fetch returns how a value is fetched as the wanted type. The names of the results
// are suffixes for the column's name, where there are several.
func (r *resolver) fetch(v value, w Want) ([]fetch.Arg, error) {
	if v.err != nil {
		return nil, v.err
	}
	v.src = or(v.src, v.name)
	var list []fetch.Arg
	var err error
	switch {
	case w.isBuf():
		list, err = r.buf(v, w.Len)
	case w.Type == "string":
		list, err = r.text(v)
	case w.Type != "":
		list, err = r.typed(v, w.Type)
	default:
		list, err = r.natural(v)
	}
	var nv noValue
	if errors.As(err, &nv) {
		return []fetch.Arg{r.null(v, w.Type, article(v.t)+" "+nv.why)}, nil
	}
	return list, err
}

// null is a column that never has a value.
func (r *resolver) null(v value, asked, why string) fetch.Arg {
	a := fetch.Arg{Type: "x64", CType: v.t.text, Null: why}
	if asked == "string" || len(asked) > 1 && asked[1] >= '0' && asked[1] <= '9' {
		a.Type = asked
		return a
	}
	if v.t.kind == kindFloat && v.t.size == 4 {
		a.Type, a.Float = "x32", 4
	} else if v.t.kind == kindFloat && v.t.size == 8 {
		a.Float = 8
	}
	return a
}

// one checks an expression against the kernel's limits.
func one(a fetch.Arg, s source) ([]fetch.Arg, error) {
	a.Expr = s.expr
	if s.derefs > maxDerefs {
		return nil, fmt.Errorf("it takes %d dereferences, and the kernel follows at most %d: begin nearer to it", s.derefs, maxDerefs)
	}
	if n := len(a.Expr) + 1 + len(a.Type); n > maxExpr {
		return nil, fmt.Errorf("its expression %s:%s has %d characters, and the kernel takes at most %d: begin nearer to it", a.Expr, a.Type, n, maxExpr)
	}
	return []fetch.Arg{a}, nil
}

// scalar fetches size bytes as a number of the class u, s or x.
func (r *resolver) scalar(v value, a fetch.Arg, class byte, size int64) ([]fetch.Arg, error) {
	if v.bits > 0 {
		return r.bitfield(v, a, class)
	}
	s, err := v.pl.read(size)
	if err != nil {
		return nil, err
	}
	a.Type = fmt.Sprintf("%c%d", class, size*8)
	if s.shift > 0 {
		a.Type = fmt.Sprintf("b%d@%d/64", size*8, s.shift)
		if class == 's' {
			a.SignBits = int(size * 8)
		}
	}
	return one(a, s)
}

// bitfield fetches a bitfield: from a register, or from the smallest aligned container
// in memory that has all of it.
func (r *resolver) bitfield(v value, a fetch.Arg, class byte) ([]fetch.Arg, error) {
	if class == 's' && v.t.signed {
		a.SignBits = int(v.bits)
	}
	if v.pl.base == "" {
		first := v.bit / 8
		s, err := v.pl.at(first).read((v.bit%8 + v.bits + 7) / 8)
		if err != nil {
			return nil, err
		}
		a.Type = fmt.Sprintf("b%d@%d/64", v.bits, s.shift+v.bit%8)
		return one(a, s)
	}
	at, size := int64(-1), int64(0)
	for _, size = range [...]int64{1, 2, 4, 8} {
		if from := v.bit / 8 / size * size; v.bit+v.bits <= (from+size)*8 {
			at = from
			break
		}
	}
	for _, n := range [...]int64{1, 2, 4, 8} { // a packed structure
		if at < 0 && v.bit%8+v.bits <= n*8 {
			at, size = v.bit/8, n
		}
	}
	if at < 0 || v.bit < 0 {
		return nil, fmt.Errorf("the bitfield %s lies across more than 8 bytes", v.name)
	}
	s, err := v.pl.at(at).read(size)
	if err != nil {
		return nil, err
	}
	a.Type = fmt.Sprintf("b%d@%d/%d", v.bits, v.bit-at*8, size*8)
	return one(a, s)
}

// typed fetches a value as the number that was asked for.
func (r *resolver) typed(v value, name string) ([]fetch.Arg, error) {
	a := fetch.Arg{CType: name}
	class, size := name[0], int64(0)
	switch name {
	case "bool":
		class, size, a.Bool = 'u', 1, true
	case "char":
		class, size = 's', 1
	case "ptr":
		class, size, a.CType = 'x', 8, "void *"
	default:
		if _, err := fmt.Sscanf(name[1:], "%d", &size); err != nil {
			return nil, fmt.Errorf("unknown type %q", name)
		}
		size /= 8
	}
	if name != "ptr" {
		var err error
		if v, err = r.referent(v); err != nil {
			return nil, err
		}
	}
	return r.scalar(v, a, class, size)
}

// natural fetches a value as its own type.
func (r *resolver) natural(v value) ([]fetch.Arg, error) {
	if v.t.kind == kindRef {
		to, err := r.ts.of(v.t.elem)
		if err != nil {
			return nil, err
		}
		switch to.kind {
		case kindStruct:
			if r.ts.isStdString(to) {
				return r.text(v)
			}
		case kindInt, kindBool, kindChar, kindFloat, kindEnum, kindPointer:
			ctype := v.t.text
			if v, err = r.referent(v); err != nil {
				return nil, err
			}
			list, err := r.natural(v)
			for i := range list {
				list[i].CType = ctype
			}
			return list, err
		}
		return r.scalar(v, fetch.Arg{CType: v.t.text}, 'x', 8)
	}
	if err := v.t.known(); err != nil {
		return nil, err
	}
	a := fetch.Arg{CType: v.t.text, Symbols: v.t.symbols, Bool: v.t.kind == kindBool}
	switch v.t.kind {
	case kindPointer:
		return r.pointerOrText(v, a)
	case kindFunc:
		return r.scalar(v, a, 'x', 8)
	case kindInt, kindBool, kindChar, kindEnum:
		class := byte('u')
		if v.t.signed {
			class = 's'
		}
		if size := v.t.size; size != 1 && size != 2 && size != 4 && size != 8 {
			return nil, fmt.Errorf("%s is %s of %d bytes, for which the kernel has no type: take the lower half with :x64", v.src, article(v.t), size)
		}
		return r.scalar(v, a, class, v.t.size)
	case kindFloat:
		return r.float(v, a)
	case kindArray:
		return r.array(v, a)
	case kindStruct, kindUnion:
		return r.aggregate(v, a)
	case kindVoid:
		return nil, fmt.Errorf("%s is void, of which nothing is known: give a type, as in (%s:u32)", v.src, v.src)
	}
	// In a vector register it is no less unknown than elsewhere, but for another reason.
	if _, err := v.pl.read(max(v.t.size, 1)); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s is %s, for which the kernel has no type: give one, as in (%s:x64)", v.src, article(v.t), v.src)
}

func (r *resolver) pointerOrText(v value, a fetch.Arg) ([]fetch.Arg, error) {
	if !v.raw && v.bits == 0 {
		to, err := r.ts.of(v.t.elem)
		if err != nil {
			return nil, err
		}
		if to.isText() {
			a, s, err := r.cstring(v)
			if err != nil {
				return nil, err
			}
			return one(a, s)
		}
	}
	return r.scalar(v, a, 'x', 8)
}

func (r *resolver) float(v value, a fetch.Arg) ([]fetch.Arg, error) {
	if v.t.size != 4 && v.t.size != 8 {
		if _, err := v.pl.read(8); err != nil {
			return nil, err
		}
		return nil, noValue{fmt.Sprintf("has %d bytes, for which the kernel has no type", v.t.size)}
	}
	a.Float = int(v.t.size)
	return r.scalar(v, a, 'x', v.t.size)
}

// cstring fetches the text behind a pointer.
func (r *resolver) cstring(v value) (fetch.Arg, source, error) {
	p, err := v.pl.behind()
	if err != nil {
		return fetch.Arg{}, source{}, err
	}
	s, err := p.read(1)
	return fetch.Arg{Type: "string", CType: or(v.t.text, "char *")}, s, err
}

// text fetches a value as text.
func (r *resolver) text(v value) ([]fetch.Arg, error) {
	v, err := r.referent(v)
	if err != nil {
		return nil, err
	}
	if r.ts.isString(v.t) || r.ts.isSlice(v.t) {
		return r.counted(v)
	}
	if r.ts.isStdString(v.t) {
		w, err := r.member(v, "_M_dataplus")
		if err == nil {
			w, err = r.member(w, "_M_p")
		}
		if err != nil {
			return nil, err
		}
		w.t = &typ{kind: kindPointer, size: 8, text: v.t.text}
		return r.text(w)
	}
	if v.raw && v.next != nil {
		return r.countedAt(v.pl, *v.next, "string")
	}
	switch {
	case v.bits > 0 || v.t.kind != kindPointer && v.t.kind != kindArray && (v.t.kind != kindInt || v.t.size != 8):
		return nil, fmt.Errorf("%s is %s: text is an array or behind a pointer%s", v.src, article(v.t), r.has(v.t))
	case v.t.kind == kindArray:
		return r.textHere(v)
	}
	a, s, err := r.cstring(v)
	if err != nil {
		return nil, err
	}
	return one(a, s)
}

// textHere fetches an array of characters.
func (r *resolver) textHere(v value) ([]fetch.Arg, error) {
	if v.pl.base == "" {
		return nil, inRegisters(v)
	}
	s, err := v.pl.read(1)
	if err != nil {
		return nil, err
	}
	return one(fetch.Arg{Type: "string", CType: v.t.text}, s)
}

func inRegisters(v value) error {
	return fmt.Errorf("the array %s was passed in registers: take its elements, as in (%s[0])", v.src, v.src)
}

// buf fetches n bytes behind a pointer, or where the value is.
func (r *resolver) buf(v value, n int) ([]fetch.Arg, error) {
	v, err := r.referent(v)
	if err != nil {
		return nil, err
	}
	p := v.pl
	switch {
	case v.bits > 0:
		return nil, fmt.Errorf("%s is a bitfield", v.src)
	case v.t.kind == kindPointer, v.t.kind == kindInt && v.t.size == 8, r.ts.isString(v.t), r.ts.isSlice(v.t):
		if p, err = p.behind(); err != nil {
			return nil, err
		}
	case p.base == "":
		return nil, fmt.Errorf("%s is %s in registers: buf[N] is behind a pointer or an array in memory", v.src, article(v.t))
	}
	s, err := p.read(1)
	if err != nil {
		return nil, err
	}
	a := fetch.Arg{Type: fmt.Sprintf("u8[%d]", n), CType: fmt.Sprintf("buf[%d]", n)}
	if n > maxElements {
		a.Type = fmt.Sprintf("x64[%d]", n/8)
	}
	return one(a, s)
}

// array fetches all elements of an array in memory.
func (r *resolver) array(v value, a fetch.Arg) ([]fetch.Arg, error) {
	el, err := r.ts.of(v.t.elem)
	if err != nil {
		return nil, err
	}
	if el.isText() && el.name == "char" && len(v.t.dims) == 1 {
		return r.textHere(v)
	}
	n := int64(1)
	for _, d := range v.t.dims {
		n = product(n, max(d, 0))
	}
	class := byte('u')
	switch el.kind {
	case kindInt, kindChar, kindBool, kindEnum:
		if el.signed {
			class = 's'
		}
	case kindPointer, kindFunc:
		class = 'x'
	case kindFloat:
		class, a.Float = 'x', int(el.size)
	default:
		return nil, fmt.Errorf("%s is an array of %s: take an element, as in (%s[0])", v.src, el.text, v.src)
	}
	switch {
	case v.pl.base == "":
		if _, err := v.pl.read(1); err != nil {
			return nil, err
		}
		return nil, inRegisters(v)
	case n == 0:
		return nil, fmt.Errorf("the length of the array %s is not known: take an element, as in (%s[0]), or bytes: (%s:buf[64])", v.src, v.src, v.src)
	case n > maxElements:
		return nil, fmt.Errorf("%s has %d elements, and the kernel fetches at most %d: take elements, as in (%s[0]), or bytes: (%s:buf[64])", v.src, n, maxElements, v.src, v.src)
	case el.size != 1 && el.size != 2 && el.size != 4 && el.size != 8:
		return nil, fmt.Errorf("%s has elements of %d bytes, for which the kernel has no type", v.src, el.size)
	}
	s, err := v.pl.read(el.size)
	if err != nil {
		return nil, err
	}
	a.Type = fmt.Sprintf("%c%d[%d]", class, el.size*8, n)
	a.Symbols, a.Bool = el.symbols, el.kind == kindBool
	return one(a, s)
}

// aggregate fetches those structures that are values to people: Go's strings, slices
// and interfaces, Rust's &str.
func (r *resolver) aggregate(v value, a fetch.Arg) ([]fetch.Arg, error) {
	switch {
	case r.ts.isString(v.t):
		return r.counted(v)
	case r.ts.isStdString(v.t):
		return r.text(v)
	case r.ts.isSlice(v.t):
		return r.scalar(v, a, 'x', 8)
	case r.ts.isInterface(v.t):
		list, err := r.ts.members(v.t)
		if err != nil {
			return nil, err
		}
		var out []fetch.Arg
		for _, m := range list {
			w := v
			w.pl = v.pl.at(m.off)
			got, err := r.scalar(w, a, 'x', 8)
			if err != nil {
				return nil, err
			}
			got[0].Name = strings.TrimPrefix(m.name, "_")
			out = append(out, got...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is %s: take a member%s", v.src, article(v.t), r.has(v.t))
}

// has lists the members of a structure for an error's end.
func (r *resolver) has(t *typ) string {
	if t.kind != kindStruct && t.kind != kindUnion {
		return ""
	}
	list := r.ts.names(t, 0)
	if len(list) == 0 {
		return ""
	}
	return "; it has " + listed(list)
}

// counted fetches text whose length stands beside the pointer.
func (r *resolver) counted(v value) ([]fetch.Arg, error) {
	list, err := r.ts.members(v.t)
	if err != nil {
		return nil, err
	}
	return r.countedAt(v.pl.at(list[0].off), v.pl.at(list[1].off), v.t.text)
}

func (r *resolver) countedAt(ptr, length place, ctype string) ([]fetch.Arg, error) {
	n, err := length.read(8)
	if err != nil {
		return nil, err
	}
	p, err := ptr.behind()
	if err != nil {
		return nil, err
	}
	s, err := p.read(1)
	if err != nil {
		return nil, err
	}
	return one(fetch.Arg{Type: "string", CType: ctype, Length: n.expr}, s)
}

// The values of DW_AT_go_kind, those of reflect.Kind.
const (
	goInterface = 20
	goSlice     = 23
	goString    = 24
)

// isString reports whether t is a pointer to bytes and their number.
func (ts *types) isString(t *typ) bool {
	return t.kind == kindStruct && (t.goKind == goString || ts.lang == langRust && t.name == "&str") && ts.headed(t)
}

func (ts *types) isSlice(t *typ) bool {
	return t.kind == kindStruct && t.goKind == goSlice && ts.headed(t)
}

func (ts *types) isInterface(t *typ) bool {
	return t.kind == kindStruct && t.goKind == goInterface && ts.headed(t)
}

// isStdString reports whether t is std::string of libstdc++, whose text ends with a NUL.
func (ts *types) isStdString(t *typ) bool {
	if t.kind != kindStruct || !strings.HasPrefix(t.name, "basic_string<char,") {
		return false
	}
	m, ok, err := ts.find(t, "_M_dataplus", 0)
	return err == nil && ok && m.bits == 0
}

// headed reports whether a structure has the two members that it begins with.
func (ts *types) headed(t *typ) bool {
	list, err := ts.members(t)
	return err == nil && len(list) >= 2
}
