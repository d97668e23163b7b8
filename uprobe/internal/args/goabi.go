package args

import "fmt"

// goRegisters are the integer registers of Go's ABIInternal on amd64, in their order,
// for parameters and again for results (src/cmd/compile/abi-internal.md).
var goRegisters = [...]string{"%ax", "%bx", "%cx", "%di", "%si", "%r8", "%r9", "%r10", "%r11"}

// goVectors is the number of floating-point registers, X0 to X14.
const goVectors = 15

// goABI hands out registers and stack as Go does: a value goes into registers with all
// of its fields, or onto the stack.
type goABI struct {
	ts *types
	// first stands for the first register where the kernel has a better name for it.
	first         string
	stack         int64
	ints, vectors int
	// abi0: the older convention, with everything on the stack.
	abi0 bool
}

// results turns to the results: the registers from the start, the stack behind the
// parameters.
func (g *goABI) results() {
	g.stack = (g.stack + 7) / 8 * 8
	g.ints, g.vectors = 0, 0
}

// next returns the place of the next parameter or result. sp is the distance of the
// first one on the stack from the stack pointer, in bytes.
func (g *goABI) next(t *typ, sp int64) (place, error) {
	ints, vectors := g.ints, g.vectors
	var p place
	ok, err := g.assign(&p, t, 0, 0)
	if err != nil {
		return place{}, err
	}
	if ok && t.size != 0 && !g.abi0 {
		return p, nil
	}
	g.ints, g.vectors = ints, vectors
	a := g.ts.align(t, 0)
	g.stack = (g.stack + a - 1) / a * a
	p = memory("%sp", sp+g.stack)
	g.stack += max(t.size, 0)
	return p, nil
}

// assign gives registers to the value at off of the whole, and reports whether all of
// it is in registers.
func (g *goABI) assign(p *place, t *typ, off int64, depth int) (bool, error) {
	if depth > maxTypeDepth {
		return false, fmt.Errorf("assign registers to %s: its fields are nested more than %d deep", t.text, maxTypeDepth)
	}
	switch t.kind {
	case kindStruct:
		list, err := g.ts.members(t)
		if err != nil {
			return false, err
		}
		for _, m := range list {
			mt, err := g.ts.of(m.typ)
			if err != nil {
				return false, err
			}
			if ok, err := g.assign(p, mt, off+m.off, depth+1); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	case kindArray:
		if len(t.dims) == 0 || t.dims[0] == 0 {
			return true, nil
		}
		if t.dims[0] != 1 {
			return false, nil
		}
		el, err := g.ts.element(t)
		if err != nil {
			return false, err
		}
		return g.assign(p, el, off, depth+1)
	case kindFloat:
		return g.vector(p, off, t.size), nil
	case kindComplex:
		return g.vector(p, off, t.size/2) && g.vector(p, off+t.size/2, t.size/2), nil
	case kindInt, kindBool, kindChar, kindEnum, kindPointer, kindRef, kindFunc:
		return g.integer(p, off, t.size), nil
	}
	return false, nil
}

func (g *goABI) integer(p *place, off, size int64) bool {
	if g.ints >= len(goRegisters) || size > 8 {
		return false
	}
	reg := goRegisters[g.ints]
	if g.ints == 0 && g.first != "" {
		reg = g.first
	}
	g.ints++
	p.parts = append(p.parts, part{reg: reg, off: off, size: size})
	return true
}

func (g *goABI) vector(p *place, off, size int64) bool {
	if g.vectors >= goVectors {
		return false
	}
	g.vectors++
	p.parts = append(p.parts, part{null: inVector, off: off, size: size})
	return true
}
