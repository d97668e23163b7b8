package args

import "fmt"

// Rust's own convention is not written down, and this is what rustc 1.70 and newer were
// seen to do: a structure of one or two scalars is passed as these scalars, each in a
// register or on the stack for itself, one of more than 16 bytes by its address. How
// smaller ones and enums with data are passed depends on the compiler.

// leaf is a scalar within a structure.
type leaf struct {
	t   *typ
	off int64
}

// leaves returns the scalars of a type, in the order of memory, and whether it has
// nothing but scalars.
func (ts *types) leaves(t *typ, off int64, depth int) ([]leaf, bool) {
	switch t.kind {
	case kindInt, kindBool, kindChar, kindEnum, kindPointer, kindRef, kindFunc, kindFloat:
		return []leaf{{t, off}}, t.size <= 8
	case kindStruct:
	default:
		return nil, t.size == 0
	}
	list, err := ts.members(t)
	if err != nil || t.opaque || depth > maxTypeDepth {
		return nil, false
	}
	var out []leaf
	for _, m := range list {
		mt, err := ts.of(m.typ)
		if err != nil {
			return nil, false
		}
		in, ok := ts.leaves(mt, off+m.off, depth+1)
		if !ok {
			return nil, false
		}
		for _, l := range in {
			at := len(out)
			for at > 0 && out[at-1].off > l.off {
				at--
			}
			out = append(out[:at], append([]leaf{l}, out[at:]...)...)
		}
	}
	return out, true
}

// pair returns the scalars of a structure that Rust passes as such.
func (ts *types) pair(t *typ) ([]leaf, error) {
	list, ok := ts.leaves(t, 0, 0)
	if !ok || len(list) > 2 {
		return nil, fmt.Errorf("how Rust passes %s depends on the compiler; take registers: (%%di:u64)", article(t))
	}
	return list, nil
}

// rust returns the place of the next parameter that is a structure.
func (s *sysv) rust(t *typ) (place, error) {
	if t.size > 16 {
		return s.reference(), nil
	}
	list, err := s.ts.pair(t)
	if err != nil {
		return place{}, err
	}
	var p place
	for _, l := range list {
		x := part{off: l.off, size: l.t.size}
		switch {
		case l.t.kind == kindFloat && s.vectors < vectorRegisters:
			x.null = inVector
			s.vectors++
		case l.t.kind != kindFloat && s.ints < len(integerRegisters):
			x.reg = integerRegisters[s.ints]
			s.ints++
		default:
			s.stack += 8
			x.reg, x.derefs = fmt.Sprintf("%+d(%%sp)", s.stack), 1
		}
		p.parts = append(p.parts, x)
	}
	return p, nil
}

// rustReturned returns the place of a structure that Rust returns in registers.
func (ts *types) rustReturned(t *typ, first string) (place, error) {
	list, err := ts.pair(t)
	if err != nil {
		return place{}, err
	}
	regs := [...]string{first, "%dx"}
	var p place
	ints := 0
	for _, l := range list {
		x := part{off: l.off, size: l.t.size, null: inVector}
		if l.t.kind != kindFloat {
			x.reg, x.null = regs[ints], ""
			ints++
		}
		p.parts = append(p.parts, x)
	}
	return p, nil
}
