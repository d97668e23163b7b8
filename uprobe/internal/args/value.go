package args

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// registers are the kernel's names of registers (regoffset_table of
// arch/x86/kernel/ptrace.c), without the %.
var registers = [...]string{
	"di", "si", "dx", "cx", "r8", "r9", "ax", "bx", "r10", "r11", "r12", "r13", "r14", "r15", "ip", "sp", "bp", "flags",
}

// value is a value of the program, of a type and at a place.
type value struct {
	pl place
	t  *typ
	// err says why the place is not known.
	err error
	// next is the place of the next position, for Go's text without DWARF.
	next *place
	// name is the column's name so far, src what was written.
	name, src string
	// bit and bits are a bitfield's, in bits from the place on.
	bit, bits int64
	// raw: nothing is known of the type.
	raw bool
	// always: it is a constant, and in no register.
	always bool
}

// unknown returns a value of 8 bytes of which nothing is known.
func unknown(name string, p place) value {
	return value{pl: p, t: &typ{kind: kindPointer, size: 8}, name: name, raw: true}
}

func valueNames(list []value) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.name)
	}
	return out
}

func names(list []value) string { return strings.Join(valueNames(list), ", ") }

// walk takes the steps from a value.
func (r *resolver) walk(v value, base string, path []Step) (value, error) {
	for i, st := range path {
		v.src = text(base, path[:i])
		next, err := r.step(v, st)
		if err != nil {
			var nv noValue
			if errors.As(err, &nv) {
				err = fmt.Errorf("%s %s", article(v.t), nv.why)
			}
			if i+1 < len(path) {
				err = fmt.Errorf("%s: %w", text(base, path[:i+1]), err)
			}
			return v, err
		}
		v = next
	}
	v.src = text(base, path)
	return v, nil
}

func (r *resolver) step(v value, st Step) (value, error) {
	v, err := r.referent(v)
	if err != nil {
		return v, err
	}
	if v.bits > 0 {
		return v, fmt.Errorf("%s is a bitfield", v.src)
	}
	switch st.Kind {
	case StepMember:
		return r.dot(v, st.Name)
	case StepArrow:
		if v.t.kind == kindStruct || v.t.kind == kindUnion {
			return v, fmt.Errorf("%s is %s and no pointer: write %s.%s", v.src, article(v.t), v.src, st.Name)
		}
		v, err := r.pointed(v)
		if err != nil {
			return v, err
		}
		return r.member(v, st.Name)
	case StepIndex:
		return r.index(v, st.Index)
	}
	return r.deref(v)
}

// referent follows a reference of C++.
func (r *resolver) referent(v value) (value, error) {
	for hops := 0; v.t.kind == kindRef && hops < maxTypeDepth; hops++ {
		t, err := r.ts.of(v.t.elem)
		if err != nil {
			return v, err
		}
		if v.pl, err = v.pl.behind(); err != nil {
			return v, err
		}
		v.t = t
	}
	return v, nil
}

// pointed follows a pointer.
func (r *resolver) pointed(v value) (value, error) {
	if v.t.kind != kindPointer || v.bits > 0 {
		return v, fmt.Errorf("%s is %s and no pointer", v.src, article(v.t))
	}
	t, err := r.ts.of(v.t.elem)
	if err != nil {
		return v, err
	}
	if v.pl, err = v.pl.behind(); err != nil {
		return v, err
	}
	if !v.raw { // else a pointer again, of which as little is known
		v.t = t
	}
	return v, nil
}

func (r *resolver) dot(v value, name string) (value, error) {
	if v.t.kind != kindPointer {
		return r.member(v, name)
	}
	to, err := r.ts.of(v.t.elem)
	if err != nil {
		return v, err
	}
	if r.ts.lang != langGo && r.ts.lang != langRust && !v.raw && (to.kind == kindStruct || to.kind == kindUnion) {
		return v, fmt.Errorf("%s is a pointer: write %s->%s", v.src, v.src, name)
	}
	if v, err = r.pointed(v); err != nil {
		return v, err
	}
	return r.member(v, name)
}

func (r *resolver) member(v value, name string) (value, error) {
	if v.raw {
		return v, fmt.Errorf("nothing is known of what %s points to: without debug information there are no members", v.src)
	}
	if v.t.kind != kindStruct && v.t.kind != kindUnion {
		return v, fmt.Errorf("%s leads to %s, which has no members", v.src, article(v.t))
	}
	m, ok, err := r.ts.find(v.t, name, 0)
	if err != nil {
		return v, err
	}
	if !ok {
		list := r.ts.names(v.t, 0)
		return v, fmt.Errorf("%s has no member %s%s: it has %s", v.t.text, name, meant(name, list), listed(list))
	}
	if m.virtual {
		return v, fmt.Errorf("%s is in a virtual base, whose place is known to the running program alone", name)
	}
	v.name = name
	if m.bits > 0 {
		v.bit, v.bits = m.bit, m.bits
	} else {
		v.pl = v.pl.at(m.off)
	}
	v.t, err = r.ts.of(m.typ)
	return v, err
}

func (r *resolver) index(v value, n int) (value, error) {
	name := v.name + "_" + strings.Replace(strconv.Itoa(n), "-", "m", 1)
	const most = 1 << 24 // offsets of the kernel's expressions are ints
	if n > most || n < -most {
		return v, fmt.Errorf("index %d is too large", n)
	}
	var err error
	switch {
	case v.t.kind == kindArray:
		if n < 0 || len(v.t.dims) > 0 && v.t.dims[0] >= 0 && int64(n) >= v.t.dims[0] {
			return v, fmt.Errorf("%s has %d elements, from 0 to %d", v.src, v.t.dims[0], v.t.dims[0]-1)
		}
		if v.t, err = r.ts.element(v.t); err != nil {
			return v, err
		}
	case r.ts.isSlice(v.t) || r.ts.isString(v.t):
		list, merr := r.ts.members(v.t)
		if merr != nil {
			return v, merr
		}
		if v.t, err = r.ts.of(list[0].typ); err != nil {
			return v, err
		}
		if v, err = r.pointed(v); err != nil {
			return v, err
		}
	default:
		if v, err = r.pointed(v); err != nil {
			return v, err
		}
	}
	if v.raw || v.t.size <= 0 {
		return v, fmt.Errorf("the size of what %s points to is not known", v.src)
	}
	v.pl = v.pl.at(int64(n) * v.t.size)
	v.name = name
	return v, nil
}

func (r *resolver) deref(v value) (value, error) {
	if v.t.kind == kindArray {
		el, err := r.ts.element(v.t)
		v.t = el
		return v, err
	}
	return r.pointed(v)
}

func article(t *typ) string {
	s := or(t.text, "a value of 8 bytes")
	if strings.HasPrefix(s, "a ") {
		return s
	}
	if strings.ContainsRune("aeiouAEIO", rune(s[0])) && !strings.HasPrefix(s, "un") && !strings.HasPrefix(s, "uint") {
		return "an " + s
	}
	return "a " + s
}
