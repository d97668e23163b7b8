package insn

import (
	"encoding/binary"
	"errors"
)

// maxLen is the greatest length of an instruction (SDM volume 2, 2.3.11).
const maxLen = 15

// kind is how an instruction goes on.
type kind uint8

const (
	next    kind = iota // to the next instruction, or back to it as a call does
	ret                 // returns to the caller
	jump                // to next + rel
	branch              // to next + rel, or to the next
	jumpFar             // to where a register or memory says
	stop                // nowhere: ud2, hlt
)

// inst is one decoded instruction.
type inst struct {
	len  int
	rel  int64
	kind kind
}

var (
	errShort   = errors.New("the code ends within an instruction")
	errUnknown = errors.New("unknown instruction")
)

// decoder reads one instruction.
type decoder struct {
	b       []byte // no more than maxLen bytes
	at      int
	opsize  bool // 66
	addr32  bool // 67
	rexW    bool
	rep     byte // F2 or F3, 0 without
	tooLong bool // b was cut at maxLen
}

// decode reads the instruction that b begins with.
func decode(b []byte) (inst, error) {
	d := decoder{b: b}
	if len(b) > maxLen {
		d.b, d.tooLong = b[:maxLen], true
	}
	in, err := d.instruction()
	if err != nil {
		return inst{}, err
	}
	in.len = d.at
	return in, nil
}

func (d *decoder) short() error {
	if d.tooLong {
		return errUnknown
	}
	return errShort
}

func (d *decoder) byte() (byte, error) {
	if d.at >= len(d.b) {
		return 0, d.short()
	}
	c := d.b[d.at]
	d.at++
	return c, nil
}

func (d *decoder) skip(n int) error {
	if n > len(d.b)-d.at {
		return d.short()
	}
	d.at += n
	return nil
}

// rel reads a signed displacement of n bytes, 1 or 4.
func (d *decoder) rel(n int) (int64, error) {
	if err := d.skip(n); err != nil {
		return 0, err
	}
	if n == 1 {
		return int64(int8(d.b[d.at-1])), nil
	}
	return int64(int32(binary.LittleEndian.Uint32(d.b[d.at-4:]))), nil
}

// prefixes reads legacy prefixes and REX, and returns the first opcode byte.
func (d *decoder) prefixes() (byte, error) {
	for {
		c, err := d.byte()
		if err != nil {
			return 0, err
		}
		switch {
		case c == 0x66:
			d.opsize, d.rexW = true, false
		case c == 0x67:
			d.addr32, d.rexW = true, false
		case c == 0xf2 || c == 0xf3:
			d.rep, d.rexW = c, false
		case c == 0x26 || c == 0x2e || c == 0x36 || c == 0x3e || c == 0x64 || c == 0x65 || c == 0xf0:
			// A REX before another prefix counts for nothing (SDM volume 2, 2.2.1).
			d.rexW = false
		case c&0xf0 == 0x40:
			d.rexW = c&8 != 0
		default:
			return c, nil
		}
	}
}

func (d *decoder) instruction() (inst, error) {
	op, err := d.prefixes()
	if err != nil {
		return inst{}, err
	}
	switch op {
	case 0x0f:
		return d.twoByte()
	case 0xc4:
		return d.vex(3)
	case 0xc5:
		return d.vex(2)
	case 0x62:
		return d.evex()
	case 0x8f:
		if d.at < len(d.b) && d.b[d.at]&0x38 != 0 {
			return d.xop()
		}
	}
	return d.oneByte(op)
}

func (d *decoder) oneByte(op byte) (inst, error) {
	switch op {
	case 0xc3, 0xcb:
		return inst{kind: ret}, nil
	case 0xc2, 0xca:
		return inst{kind: ret}, d.skip(2)
	case 0xeb:
		rel, err := d.rel(1)
		return inst{kind: jump, rel: rel}, err
	case 0xe9:
		rel, err := d.rel(4)
		return inst{kind: jump, rel: rel}, err
	case 0xf4:
		return inst{kind: stop}, nil
	case 0xff:
		// /4 is a near jump, /5 a far one.
		k := next
		if d.at < len(d.b) && (d.b[d.at]>>3&7 == 4 || d.b[d.at]>>3&7 == 5) {
			k = jumpFar
		}
		_, err := d.modrm()
		return inst{kind: k}, err
	}
	if op&0xf0 == 0x70 || op&0xfc == 0xe0 {
		rel, err := d.rel(1)
		return inst{kind: branch, rel: rel}, err
	}
	return inst{}, d.operands(oneByteMap[op])
}

func (d *decoder) twoByte() (inst, error) {
	op, err := d.byte()
	if err != nil {
		return inst{}, err
	}
	switch {
	case op == 0x38:
		if err := d.skip(1); err != nil {
			return inst{}, err
		}
		return inst{}, d.operands(hasModRM)
	case op == 0x3a:
		if err := d.skip(1); err != nil {
			return inst{}, err
		}
		return inst{}, d.operands(hasModRM | imm8)
	case op&0xf0 == 0x80:
		rel, err := d.rel(4)
		return inst{kind: branch, rel: rel}, err
	case op == 0x0b:
		return inst{kind: stop}, nil
	case op >= 0x20 && op <= 0x23:
		// Moves of control and debug registers: always two registers.
		return inst{}, d.skip(1)
	case op == 0x78 && (d.opsize || d.rep == 0xf2):
		// extrq and insertq of SSE4a.
		return inst{}, d.operands(hasModRM | imm16)
	}
	return inst{}, d.operands(twoByteMap[op])
}

// vex reads what follows C4 (n is 3) or C5 (n is 2).
func (d *decoder) vex(n int) (inst, error) {
	opmap := byte(1)
	p, err := d.byte()
	if err != nil {
		return inst{}, err
	}
	if n == 3 {
		opmap = p & 0x1f
		if err := d.skip(1); err != nil {
			return inst{}, err
		}
	}
	return inst{}, d.vector(opmap)
}

func (d *decoder) evex() (inst, error) {
	p, err := d.byte()
	if err != nil {
		return inst{}, err
	}
	if err := d.skip(2); err != nil {
		return inst{}, err
	}
	return inst{}, d.vector(p & 7)
}

// vector reads the opcode and operands of a VEX or EVEX instruction.
func (d *decoder) vector(opmap byte) error {
	op, err := d.byte()
	if err != nil {
		return err
	}
	switch opmap {
	case 1:
		if op == 0x77 {
			return nil // vzeroupper, vzeroall
		}
		return d.operands(hasModRM | twoByteMap[op]&imm8)
	case 2, 5, 6:
		return d.operands(hasModRM)
	case 3:
		return d.operands(hasModRM | imm8)
	}
	return errUnknown
}

// xop reads what follows 8F in AMD's XOP instructions.
func (d *decoder) xop() (inst, error) {
	opmap := d.b[d.at] & 0x1f
	if err := d.skip(3); err != nil {
		return inst{}, err
	}
	switch opmap {
	case 8:
		return inst{}, d.operands(hasModRM | imm8)
	case 9:
		return inst{}, d.operands(hasModRM)
	case 10:
		return inst{}, d.operands(hasModRM | imm32)
	}
	return inst{}, errUnknown
}

// operands skips what stands behind an opcode.
func (d *decoder) operands(o operand) error {
	if o == invalid {
		return errUnknown
	}
	var reg byte
	if o&hasModRM != 0 {
		var err error
		if reg, err = d.modrm(); err != nil {
			return err
		}
	}
	if o&group3 != 0 && reg > 1 {
		return nil // not, neg, mul, div: test alone has an immediate
	}
	return d.skip(d.immediate(o))
}

func (d *decoder) immediate(o operand) int {
	n := 0
	if o&imm8 != 0 {
		n++
	}
	if o&imm16 != 0 {
		n += 2
	}
	if o&imm32 != 0 {
		n += 4
	}
	switch {
	case o&immZ != 0 && d.opsize && !d.rexW:
		n += 2
	case o&immV != 0 && d.rexW:
		n += 8
	case o&immV != 0 && d.opsize:
		n += 2
	case o&(immZ|immV) != 0:
		n += 4
	case o&moffs != 0 && d.addr32:
		n += 4
	case o&moffs != 0:
		n += 8
	}
	return n
}

// modrm skips ModRM, SIB and the displacement (SDM volume 2, tables 2-2 and 2-3), and
// returns the reg field.
func (d *decoder) modrm() (reg byte, err error) {
	m, err := d.byte()
	if err != nil {
		return 0, err
	}
	mod, rm := m>>6, m&7
	reg = m >> 3 & 7
	if mod == 3 {
		return reg, nil
	}
	disp := [3]int{0, 1, 4}[mod]
	if rm == 4 {
		sib, err := d.byte()
		if err != nil {
			return 0, err
		}
		if sib&7 == 5 && mod == 0 {
			disp = 4
		}
	}
	if rm == 5 && mod == 0 {
		disp = 4 // relative to the next instruction
	}
	return reg, d.skip(disp)
}
