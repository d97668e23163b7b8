package insn

// operand says what stands behind an opcode.
type operand uint16

const (
	none     operand = 0
	hasModRM operand = 1 << iota
	imm8
	imm16
	imm32
	immZ   // 4 bytes, 2 with 66
	immV   // 4 bytes, 2 with 66, 8 with REX.W
	moffs  // an address of 8 bytes, 4 with 67
	group3 // an immediate with reg 0 and 1 alone (F6, F7)
	invalid
)

// Short names, for the maps alone.
const (
	xx = invalid
	mm = hasModRM
	m1 = hasModRM | imm8
	mz = hasModRM | immZ
)

// oneByteMap is SDM volume 2, table A-2, in 64-bit mode. Prefixes, escapes, returns
// and jumps are handled before it is asked.
var oneByteMap = [256]operand{
	mm, mm, mm, mm, imm8, immZ, xx, xx, mm, mm, mm, mm, imm8, immZ, xx, xx, // 00
	mm, mm, mm, mm, imm8, immZ, xx, xx, mm, mm, mm, mm, imm8, immZ, xx, xx, // 10
	mm, mm, mm, mm, imm8, immZ, xx, xx, mm, mm, mm, mm, imm8, immZ, xx, xx, // 20
	mm, mm, mm, mm, imm8, immZ, xx, xx, mm, mm, mm, mm, imm8, immZ, xx, xx, // 30
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, // 40: REX
	none, none, none, none, none, none, none, none, none, none, none, none, none, none, none, none, // 50
	xx, xx, xx, mm, xx, xx, xx, xx, immZ, mz, imm8, m1, none, none, none, none, // 60
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, // 70: branches
	m1, mz, xx, m1, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 80
	none, none, none, none, none, none, none, none, none, none, xx, none, none, none, none, none, // 90
	moffs, moffs, moffs, moffs, none, none, none, none, imm8, immZ, none, none, none, none, none, none, // A0
	imm8, imm8, imm8, imm8, imm8, imm8, imm8, imm8, immV, immV, immV, immV, immV, immV, immV, immV, // B0
	m1, m1, xx, xx, xx, xx, m1, mz, imm16 | imm8, none, xx, xx, none, imm8, xx, none, // C0
	mm, mm, mm, mm, xx, xx, xx, none, mm, mm, mm, mm, mm, mm, mm, mm, // D0
	xx, xx, xx, xx, imm8, imm8, imm8, imm8, imm32, xx, xx, xx, none, none, none, none, // E0
	xx, none, xx, xx, xx, none, m1 | group3, mz | group3, none, none, none, none, none, none, mm, xx, // F0
}

// twoByteMap is SDM volume 2, table A-3 (opcodes that begin with 0F), and gives the
// immediates of VEX and EVEX map 1, which are the same.
var twoByteMap = [256]operand{
	mm, mm, mm, mm, xx, none, none, none, none, none, xx, none, xx, mm, none, m1, // 00
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 10
	mm, mm, mm, mm, xx, xx, xx, xx, mm, mm, mm, mm, mm, mm, mm, mm, // 20
	none, none, none, none, none, none, xx, none, xx, xx, xx, xx, xx, xx, xx, xx, // 30
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 40
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 50
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 60
	m1, m1, m1, m1, mm, mm, mm, none, mm, mm, xx, xx, mm, mm, mm, mm, // 70
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, // 80: branches
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // 90
	none, none, none, mm, m1, mm, mm, mm, none, none, none, mm, m1, mm, mm, mm, // A0
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, m1, mm, mm, mm, mm, mm, // B0
	mm, mm, m1, mm, m1, m1, m1, mm, none, none, none, none, none, none, none, none, // C0
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // D0
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // E0
	mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, mm, // F0
}
