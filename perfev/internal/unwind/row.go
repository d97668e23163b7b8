package unwind

// Registers of x86-64 as DWARF numbers them (System V ABI, figure 3.36).
const (
	regBP = 6
	regSP = 7
	regRA = 16
	// NumRegs is how many a frame has: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to
	// r15, and the return address.
	NumRegs = 17
)

// Regs are the registers of a frame, by their DWARF number; the last is the place.
type Regs [NumRegs]uint64

// ruleKind is how a register of the caller is found.
type ruleKind uint8

const (
	ruleSame      ruleKind = iota // it has not changed
	ruleUndefined                 // it is lost
	ruleOffset                    // at CFA + off
	ruleValOffset                 // is CFA + off
	ruleRegister                  // is in register reg
	ruleExpr                      // at the address that expr gives
	ruleValExpr                   // is what expr gives
)

type rule struct {
	expr []byte
	off  int64
	kind ruleKind
	reg  uint8
}

// row says how the caller's frame is found at one place.
type row struct {
	// cfa is the canonical frame address: register cfaReg + cfaOff, or cfaExpr.
	cfaExpr []byte
	cfaOff  int64
	cfaReg  uint64
	regs    [NumRegs]rule
	signal  bool
}

// maxRemembered bounds DW_CFA_remember_state; compilers nest it once.
const maxRemembered = 64

// rowAt runs the function's program up to addr. ok is false where it says what is
// not known or cannot be.
func (f *fde) rowAt(addr uint64) (w row, ok bool) {
	w.cfaReg = NumRegs
	m := machine{row: &w, cie: f.cie, loc: f.begin}
	if !m.run(f.cie.init, ^uint64(0)) {
		return w, false
	}
	first := w
	m.first = &first
	ok = m.run(f.program, addr)
	w.signal = f.cie.signal
	return w, ok && (w.cfaExpr != nil || w.cfaReg < NumRegs)
}

// machine runs call frame instructions.
type machine struct {
	row *row
	// first is the row that the CIE gives.
	first *row
	cie   *cie
	saved []row
	loc   uint64
}

// set gives a register its rule; those that are not followed (vectors) are passed over.
func (m *machine) set(reg uint64, r rule) {
	if reg < NumRegs {
		m.row.regs[reg] = r
	}
}

func (m *machine) restore(reg uint64) {
	if m.first != nil && reg < NumRegs {
		m.row.regs[reg] = m.first.regs[reg]
	}
}

// run runs program until the location is past addr.
func (m *machine) run(program []byte, addr uint64) bool {
	r := reader{b: program}
	for len(r.b) > 0 && m.loc <= addr {
		op := r.u8()
		low := uint64(op & 0x3f)
		switch op >> 6 {
		case 1:
			if m.loc+low*m.cie.code > addr {
				return true
			}
			m.loc += low * m.cie.code
		case 2:
			m.set(low, rule{kind: ruleOffset, off: int64(r.uleb()) * m.cie.data})
		case 3:
			m.restore(low)
		default:
			if !m.extended(op, &r) {
				return false
			}
		}
		if r.bad {
			return false
		}
	}
	return true
}

// extended runs an instruction whose operands follow it (DWARF 5, table 7.29).
func (m *machine) extended(op uint8, r *reader) bool {
	w := m.row
	switch op {
	case 0x00: // nop
	case 0x01: // set_loc
		v, ok := r.pointer(m.cie.enc)
		m.loc = v
		// Its address is relative to the section's, which is not kept.
		return ok && m.cie.enc&0x70 == 0
	case 0x02:
		m.loc += uint64(r.u8()) * m.cie.code
	case 0x03:
		m.loc += uint64(r.u16()) * m.cie.code
	case 0x04:
		m.loc += uint64(r.u32()) * m.cie.code
	case 0x05: // offset_extended
		m.set(r.uleb(), rule{kind: ruleOffset, off: int64(r.uleb()) * m.cie.data})
	case 0x06: // restore_extended
		m.restore(r.uleb())
	case 0x07:
		m.set(r.uleb(), rule{kind: ruleUndefined})
	case 0x08:
		m.set(r.uleb(), rule{kind: ruleSame})
	case 0x09: // register
		reg, from := r.uleb(), r.uleb()
		if from >= NumRegs {
			return false
		}
		m.set(reg, rule{kind: ruleRegister, reg: uint8(from)})
	case 0x0a: // remember_state
		if len(m.saved) >= maxRemembered {
			return false
		}
		m.saved = append(m.saved, *w)
	case 0x0b: // restore_state
		n := len(m.saved) - 1
		if n < 0 {
			return false
		}
		*w, m.saved = m.saved[n], m.saved[:n]
	case 0x0c: // def_cfa
		w.cfaReg, w.cfaOff, w.cfaExpr = r.uleb(), int64(r.uleb()), nil
	case 0x0d: // def_cfa_register
		w.cfaReg, w.cfaExpr = r.uleb(), nil
	case 0x0e: // def_cfa_offset
		w.cfaOff = int64(r.uleb())
	case 0x0f: // def_cfa_expression
		w.cfaExpr = r.next(r.uleb())
	case 0x10, 0x16: // expression, val_expression
		reg, kind := r.uleb(), ruleExpr
		if op == 0x16 {
			kind = ruleValExpr
		}
		m.set(reg, rule{kind: kind, expr: r.next(r.uleb())})
	case 0x11: // offset_extended_sf
		m.set(r.uleb(), rule{kind: ruleOffset, off: r.sleb() * m.cie.data})
	case 0x12: // def_cfa_sf
		w.cfaReg, w.cfaOff, w.cfaExpr = r.uleb(), r.sleb()*m.cie.data, nil
	case 0x13: // def_cfa_offset_sf
		w.cfaOff = r.sleb() * m.cie.data
	case 0x14: // val_offset
		m.set(r.uleb(), rule{kind: ruleValOffset, off: int64(r.uleb()) * m.cie.data})
	case 0x15: // val_offset_sf
		m.set(r.uleb(), rule{kind: ruleValOffset, off: r.sleb() * m.cie.data})
	case 0x2e: // GNU_args_size
		r.uleb()
	case 0x2f: // GNU_negative_offset_extended
		m.set(r.uleb(), rule{kind: ruleOffset, off: -int64(r.uleb()) * m.cie.data})
	default:
		return false
	}
	return true
}
