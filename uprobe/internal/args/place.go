package args

import "fmt"

// part is a register that holds some bytes of a value.
type part struct {
	reg string
	// null says why the bytes cannot be fetched: they are in a vector register.
	null string
	// off and size are the bytes of the value, in its own coordinates.
	off, size int64
	// derefs is 1 where reg is a place on the stack, as in "+8(%sp)".
	derefs int
}

// place is where a value is: in parts, or in memory at base+off.
type place struct {
	// base is an expression of the kernel for an address; "" where the value is in parts.
	base  string
	parts []part
	// off is added to base; with parts it is where the value begins in their coordinates.
	off int64
	// derefs is the number of dereferences within base.
	derefs int
}

// source is an expression for some bytes of a value.
type source struct {
	expr   string
	derefs int
	// shift is the bit of the register at which the bytes begin.
	shift int64
	mem   bool
}

// The reasons for a part without an expression; before them goes the value's type.
const (
	inVector = "is in a vector register, which a probe does not see"
	inX87    = "is on the stack of the floating-point unit, which a probe does not see"
	nowhere  = "is passed in no register"
)

// noValue is the reason why there is never a value: no fault of the asker's.
type noValue struct{ why string }

func (e noValue) Error() string { return e.why }

// memory returns the place behind an address.
func memory(base string, off int64) place { return place{base: base, off: off} }

// at returns the place n bytes further on.
func (p place) at(n int64) place {
	p.off += n
	return p
}

// read returns the expression for size bytes at the place.
func (p place) read(size int64) (source, error) {
	if p.base != "" {
		return source{expr: fmt.Sprintf("%+d(%s)", p.off, p.base), derefs: p.derefs + 1, mem: true}, nil
	}
	for _, x := range p.parts {
		if p.off < x.off || p.off >= x.off+x.size {
			continue
		}
		if x.null != "" {
			return source{}, noValue{x.null}
		}
		// From the beginning on, all of the register may be asked for.
		if p.off+size > x.off+x.size && (p.off > x.off || size > 8) {
			return source{}, fmt.Errorf("it is spread over two registers: take its halves with :x64 or its members")
		}
		return source{expr: x.reg, derefs: p.derefs + x.derefs, shift: (p.off - x.off) * 8}, nil
	}
	return source{}, noValue{nowhere}
}

// behind returns the place that the pointer at p points to.
func (p place) behind() (place, error) {
	s, err := p.read(8)
	if err != nil {
		return place{}, err
	}
	if s.shift != 0 {
		return place{}, fmt.Errorf("the pointer is not at the beginning of a register")
	}
	return place{base: s.expr, derefs: s.derefs}, nil
}
