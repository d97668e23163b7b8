package args

import (
	"fmt"
	"strings"
)

// class is a class of the System V ABI for x86-64 (psABI, section 3.2.3).
type class uint8

const (
	classNone class = iota
	classInteger
	classSSE
	classX87
	classMemory
)

// integerRegisters are those of INTEGER parameters, in their order.
var integerRegisters = [...]string{"%di", "%si", "%dx", "%cx", "%r8", "%r9"}

// vectorRegisters is the number of registers for SSE parameters.
const vectorRegisters = 8

// merge joins the classes of two members in one eightbyte.
func merge(a, b class) class {
	switch {
	case a == b || b == classNone:
		return a
	case a == classNone:
		return b
	case a == classMemory || b == classMemory:
		return classMemory
	case a == classInteger || b == classInteger:
		return classInteger
	case a == classX87 || b == classX87:
		return classMemory
	}
	return classSSE
}

// classify returns the classes of the eightbytes of a value: at most two, or one MEMORY.
func (ts *types) classify(t *typ) ([]class, error) {
	if t.kind == kindVector && t.size > 16 {
		return []class{classSSE}, nil
	}
	if t.isX87() {
		return []class{classX87, classX87}, nil
	}
	if t.size > 16 || t.size < 0 {
		return []class{classMemory}, nil
	}
	cl := make([]class, (t.size+7)/8)
	if err := ts.eightbytes(t, 0, cl, 0); err != nil {
		return nil, err
	}
	for _, c := range cl {
		if c == classMemory {
			return []class{classMemory}, nil
		}
	}
	return cl, nil
}

// isX87 reports whether t is C's long double.
func (t *typ) isX87() bool {
	return t.kind == kindFloat && t.size > 8 && !strings.Contains(strings.ToLower(t.name), "float128")
}

// eightbytes merges the classes of a value at off into cl.
func (ts *types) eightbytes(t *typ, off int64, cl []class, depth int) error {
	if depth > maxTypeDepth {
		return fmt.Errorf("classify %s: its members are nested more than %d deep", t.text, maxTypeDepth)
	}
	put := func(c class, from, size int64) {
		for i := from / 8; i*8 < from+size && i >= 0 && i < int64(len(cl)); i++ {
			cl[i] = merge(cl[i], c)
		}
	}
	switch t.kind {
	case kindFloat:
		c := classSSE
		if t.isX87() {
			c = classX87
		}
		put(c, off, t.size)
	case kindComplex:
		c := classSSE
		if t.size > 16 {
			c = classMemory
		}
		put(c, off, t.size)
	case kindVector:
		put(classSSE, off, t.size)
	case kindStruct, kindUnion:
		list, err := ts.members(t)
		if err != nil {
			return err
		}
		for _, m := range list {
			mt, err := ts.of(m.typ)
			if err != nil {
				return err
			}
			if m.bits > 0 {
				put(classInteger, (off*8+m.bit)/8, (m.bits+7)/8)
				continue
			}
			if a := ts.align(mt, 0); a > 0 && (off+m.off)%a != 0 {
				put(classMemory, 0, 1) // a packed member
			}
			if err := ts.eightbytes(mt, off+m.off, cl, depth+1); err != nil {
				return err
			}
		}
	case kindArray:
		el, err := ts.element(t)
		if err != nil || el.size <= 0 {
			return err
		}
		for at := int64(0); at+el.size <= t.size; at += el.size {
			if err := ts.eightbytes(el, off+at, cl, depth+1); err != nil {
				return err
			}
		}
	default:
		put(classInteger, off, t.size)
	}
	return nil
}

// align returns the alignment of a type in bytes, as C has it where nothing else is
// said, at least 1.
func (ts *types) align(t *typ, depth int) int64 {
	if depth > maxTypeDepth {
		return 1
	}
	switch t.kind {
	case kindStruct, kindUnion:
		list, err := ts.members(t)
		if err != nil {
			return 1
		}
		most := int64(1)
		for _, m := range list {
			if mt, err := ts.of(m.typ); err == nil {
				most = max(most, ts.align(mt, depth+1))
			}
		}
		return most
	case kindArray:
		if el, err := ts.element(t); err == nil {
			return ts.align(el, depth+1)
		}
		return 1
	case kindComplex:
		return max(t.size/2, 1)
	}
	switch t.size {
	case 2, 4, 8, 16:
		return t.size
	}
	return 1
}

// sysv hands out registers and stack in the order of the parameters.
type sysv struct {
	ts *types
	// stack is the address of the next parameter in memory, in bytes from the first.
	stack         int64
	ints, vectors int
}

// next returns the place of the next parameter.
func (s *sysv) next(t *typ) (place, error) {
	if err := t.known(); err != nil {
		return place{}, err
	}
	if t.kind == kindStruct || t.kind == kindUnion {
		if _, err := s.ts.members(t); err != nil {
			return place{}, err
		}
		if s.ts.lang == langRust {
			return s.rust(t)
		}
		if t.byRef {
			return s.reference(), nil
		}
		if t.size == 0 || len(t.mem) == 0 {
			return place{}, nil // C++ passes nothing for an empty class
		}
	}
	cl, err := s.ts.classify(t)
	if err != nil {
		return place{}, err
	}
	ints, vectors := 0, 0
	for _, c := range cl {
		switch c {
		case classInteger:
			ints++
		case classSSE:
			vectors++
		case classMemory, classX87:
			return s.onStack(t), nil
		}
	}
	if t.kind == kindVector || t.kind == kindFloat {
		vectors = min(vectors, 1) // SSE and SSEUP are one register
	}
	if s.ints+ints > len(integerRegisters) || s.vectors+vectors > vectorRegisters {
		return s.onStack(t), nil
	}
	s.vectors += vectors
	var p place
	for i, c := range cl {
		x := part{off: int64(i) * 8, size: 8}
		switch c {
		case classNone:
			continue
		case classInteger:
			x.reg = integerRegisters[s.ints]
			s.ints++
		default:
			x.null = inVector
		}
		p.parts = append(p.parts, x)
	}
	return p, nil
}

// reference returns the place of a value that is passed by its address.
func (s *sysv) reference() place {
	if s.ints >= len(integerRegisters) {
		s.stack += 8
		return place{base: fmt.Sprintf("%+d(%%sp)", s.stack), derefs: 1}
	}
	s.ints++
	return memory(integerRegisters[s.ints-1], 0)
}

// onStack returns the place of a parameter in memory: at the entry the return address
// is at the stack pointer, and the first parameter behind it.
func (s *sysv) onStack(t *typ) place {
	if a := s.ts.align(t, 0); a >= 16 {
		s.stack = (s.stack + a - 1) / a * a
	}
	p := memory("%sp", 8+s.stack)
	s.stack += (max(t.size, 0) + 7) / 8 * 8
	return p
}

// hidden reports whether a value of that type is returned in memory whose address the
// caller passes in the first register.
func (ts *types) hidden(t *typ) (bool, error) {
	if err := t.known(); err != nil {
		return false, err
	}
	if t.kind == kindStruct || t.kind == kindUnion {
		_, err := ts.members(t)
		if err != nil || t.byRef || t.opaque {
			return t.byRef || t.size > 16, err
		}
	}
	if t.kind == kindVoid || t.kind == kindFloat || t.kind == kindComplex || t.kind == kindVector {
		return false, nil
	}
	cl, err := ts.classify(t)
	return err == nil && len(cl) > 0 && cl[0] == classMemory, err
}

// returned returns the place of what a function returns. first is the expression for
// the register of the first integer.
func (ts *types) returned(t *typ, first string) (place, error) {
	mem, err := ts.hidden(t)
	if err != nil {
		return place{}, err
	}
	if mem {
		return memory(first, 0), nil
	}
	if ts.lang == langRust && (t.kind == kindStruct || t.kind == kindUnion) {
		return ts.rustReturned(t, first)
	}
	cl, err := ts.classify(t)
	if err != nil {
		return place{}, err
	}
	regs := [...]string{first, "%dx"}
	ints := 0
	var p place
	for i, c := range cl {
		x := part{off: int64(i) * 8, size: 8}
		switch {
		case c == classNone:
			continue
		case c == classInteger && ints < len(regs):
			x.reg = regs[ints]
			ints++
		case c == classX87:
			x.null = inX87
		default:
			x.null = inVector
		}
		p.parts = append(p.parts, x)
	}
	return p, nil
}
