package unwind

// maxSteps and maxStack bound an expression; those of .eh_frame have some ten steps.
const maxSteps, maxStack = 1000, 64

// eval computes a DWARF expression (DWARF 5, section 2.5) with the registers of a
// frame, on a stack that begins with push. ok is false where it reads what is not
// there or has an operation that frames do not use.
func eval(expr []byte, rg *Regs, mem Memory, push ...uint64) (v uint64, ok bool) {
	e := evaluation{stack: append(make([]uint64, 0, 8), push...), r: reader{b: expr}, rg: rg, mem: mem}
	for n := 0; len(e.r.b) > 0; n++ {
		if n == maxSteps || len(e.stack) > maxStack || !e.step() || e.r.bad {
			return 0, false
		}
	}
	v = e.pop()
	return v, !e.empty
}

type evaluation struct {
	stack []uint64
	r     reader
	rg    *Regs
	mem   Memory
	// empty: something was taken from an empty stack.
	empty bool
}

func (e *evaluation) push(v uint64) { e.stack = append(e.stack, v) }

func (e *evaluation) pop() uint64 {
	n := len(e.stack) - 1
	if n < 0 {
		e.empty = true
		return 0
	}
	v := e.stack[n]
	e.stack = e.stack[:n]
	return v
}

// step runs one operation (DWARF 5, table 7.9).
func (e *evaluation) step() bool {
	r := &e.r
	switch op := r.u8(); {
	case op >= 0x30 && op <= 0x4f: // lit0 to lit31
		e.push(uint64(op - 0x30))
	case op >= 0x70 && op <= 0x8f: // breg0 to breg31
		reg := op - 0x70
		if reg >= NumRegs {
			return false
		}
		e.push(e.rg[reg] + uint64(r.sleb()))
	case op >= 0x08 && op <= 0x11:
		e.push(constant(op, r))
	case op == 0x06: // deref
		v, ok := e.mem.Word(e.pop())
		e.push(v)
		return ok && !e.empty
	case op == 0x12: // dup
		v := e.pop()
		e.push(v)
		e.push(v)
	case op == 0x13: // drop
		e.pop()
	case op == 0x16: // swap
		a, b := e.pop(), e.pop()
		e.push(a)
		e.push(b)
	case op == 0x23: // plus_uconst
		e.push(e.pop() + r.uleb())
	case op == 0x1f: // neg
		e.push(-e.pop())
	case op == 0x20: // not
		e.push(^e.pop())
	case op == 0x96: // nop
	default:
		b, a := e.pop(), e.pop()
		v, ok := binaryOp(op, a, b)
		e.push(v)
		return ok && !e.empty
	}
	return !e.empty
}

// constant is the operand of const1u to consts.
func constant(op uint8, r *reader) uint64 {
	switch op {
	case 0x08:
		return uint64(r.u8())
	case 0x09:
		return uint64(int8(r.u8()))
	case 0x0a:
		return uint64(r.u16())
	case 0x0b:
		return uint64(int16(r.u16()))
	case 0x0c:
		return uint64(r.u32())
	case 0x0d:
		return uint64(int32(r.u32()))
	case 0x0e, 0x0f:
		return r.u64()
	case 0x10:
		return r.uleb()
	}
	return uint64(r.sleb())
}

func binaryOp(op uint8, a, b uint64) (v uint64, ok bool) {
	truth := func(t bool) (uint64, bool) {
		if t {
			return 1, true
		}
		return 0, true
	}
	switch op {
	case 0x1a:
		return a & b, true
	case 0x1c:
		return a - b, true
	case 0x1e:
		return a * b, true
	case 0x21:
		return a | b, true
	case 0x22:
		return a + b, true
	case 0x24:
		return a << b, true
	case 0x25:
		return a >> b, true
	case 0x26:
		return uint64(int64(a) >> b), true
	case 0x27:
		return a ^ b, true
	case 0x29:
		return truth(a == b)
	case 0x2a:
		return truth(int64(a) >= int64(b))
	case 0x2b:
		return truth(int64(a) > int64(b))
	case 0x2c:
		return truth(int64(a) <= int64(b))
	case 0x2d:
		return truth(int64(a) < int64(b))
	case 0x2e:
		return truth(a != b)
	}
	return 0, false
}
