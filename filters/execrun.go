package filters

import (
	"encoding/binary"
	"math/bits"
)

// run executes code on the raw data of a record, from pc on and with a budget of left. It
// returns where it ended, what is left, and [pause] before an operation that it leaves to
// step. It calls nothing, so that what it works with stays in the processor's registers:
// the capacity of raw is its length, which the compiler proves the loads' bounds by.
func (m *machine) run(code []xinstr, raw []byte, start int32, left int) (int32, int, Fault) {
	regs := &m.regs
	le := binary.LittleEndian
	pc := uint(start)
	for pc < uint(len(code)) {
		in := &code[pc]
		hit := false
		switch in.op {
		case xRangeU8:
			off := int(in.off)
			if off >= len(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(raw[off])
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRangeU16:
			off := int(in.off)
			if off+2 > cap(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(le.Uint16(raw[off : off+2 : off+2]))
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRangeU32:
			off := int(in.off)
			if off+4 > cap(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(le.Uint32(raw[off : off+4 : off+4]))
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRange64:
			off := int(in.off)
			if off+8 > cap(raw) {
				return 0, left, FaultTruncated
			}
			v := le.Uint64(raw[off : off+8 : off+8])
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRangeS8:
			off := int(in.off)
			if off >= len(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(int64(int8(raw[off])))
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRangeS16:
			off := int(in.off)
			if off+2 > cap(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(int64(int16(le.Uint16(raw[off : off+2 : off+2]))))
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xRangeS32:
			off := int(in.off)
			if off+4 > cap(raw) {
				return 0, left, FaultTruncated
			}
			v := uint64(int64(int32(le.Uint32(raw[off : off+4 : off+4]))))
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xText8:
			off := int(in.off)
			if off+8 > cap(raw) || int(in.end) > len(raw) {
				return int32(pc), left, pause // a field of less than 8 bytes may be there
			}
			hit = le.Uint64(raw[off:off+8:off+8])&in.len == in.lo
		case xSuffix:
			off := int(in.off)
			if off+16 > cap(raw) {
				return 0, left, FaultTruncated
			}
			// The text ends at the first zero byte, or with its 16 bytes.
			const ones, tops = 0x0101010101010101, 0x8080808080808080
			x, n := le.Uint64(raw[off:off+8:off+8]), 0
			z := (x - ones) &^ x & tops
			if z == 0 {
				x, n = le.Uint64(raw[off+8:off+16:off+16]), 8
				z = (x - ones) &^ x & tops
			}
			n += bits.TrailingZeros64(z) / 8 // 64 of 0
			hit = n >= int(in.b) && le.Uint64(raw[off+n-8:])>>(in.len&63) == in.lo
		case xRange:
			hit = regs[in.b]-in.lo <= in.len
		case xNext:
			v := regs[in.a] + 1
			regs[in.a] = v
			hit = v-in.lo <= in.len
		case xBits:
			hit = regs[in.b]&in.lo != 0
		case xEqual:
			hit = regs[in.b] == regs[in.c]
		case xLessS:
			hit = int64(regs[in.b]) < int64(regs[in.c])
		case xLessU:
			hit = regs[in.b] < regs[in.c]
		case xNonZero:
			hit = regs[in.b] != 0
		case xMapHas:
			v := uint64(0)
			if s := m.tables[in.off].find(regs[in.b]); s != nil {
				v, hit = s.val, true
			}
			regs[in.a] = v
		case xNever:
		case xJump:
			pc = uint(in.t)
			continue
		case xBack:
			left -= int(in.lo)
			if left < 0 {
				return 0, -1, FaultBudget
			}
			pc = uint(in.t)
			continue
		case xCharge:
			left -= int(in.lo)
			if left < 0 {
				return 0, -1, FaultBudget
			}
			pc++
			continue
		case xCall:
			left--
			if left < 0 {
				return 0, left, FaultBudget
			}
			regs[in.a] = uint64(pc + 1)
			pc = uint(in.t)
			continue
		case xRet:
			pc = uint(regs[in.a])
			continue
		case xRound:
			if regs[in.a] == in.lo {
				return 0, left, FaultLoop
			}
			regs[in.a]++
			pc++
			continue
		case xMove:
			regs[in.a] = regs[in.b]
			pc++
			continue
		case xMoveTo:
			regs[in.a] = regs[in.b]
			pc = uint(in.t)
			continue
		case xRangeAdd:
			if left -= int(in.cost); left < 0 {
				return 0, -1, FaultBudget
			}
			if regs[in.b]-in.lo <= in.len {
				n := in.size & 63
				regs[in.a] = (regs[in.a] + regs[in.c]) << n >> n
			}
			pc++
			continue
		case xLoadU8:
			off := int(in.off)
			if off >= len(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(raw[off])
			pc++
			continue
		case xLoadU16:
			off := int(in.off)
			if off+2 > cap(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(le.Uint16(raw[off : off+2 : off+2]))
			pc++
			continue
		case xLoadU32:
			off := int(in.off)
			if off+4 > cap(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(le.Uint32(raw[off : off+4 : off+4]))
			pc++
			continue
		case xLoad64:
			off := int(in.off)
			if off+8 > cap(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = le.Uint64(raw[off : off+8 : off+8])
			pc++
			continue
		case xLoadS8:
			off := int(in.off)
			if off >= len(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(int64(int8(raw[off])))
			pc++
			continue
		case xLoadS16:
			off := int(in.off)
			if off+2 > cap(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(int64(int16(le.Uint16(raw[off : off+2 : off+2]))))
			pc++
			continue
		case xLoadS32:
			off := int(in.off)
			if off+4 > cap(raw) {
				return 0, left, FaultTruncated
			}
			regs[in.a] = uint64(int64(int32(le.Uint32(raw[off : off+4 : off+4]))))
			pc++
			continue
		case xAdd:
			regs[in.a] = regs[in.b] + regs[in.c]
			pc++
			continue
		case xSub:
			regs[in.a] = regs[in.b] - regs[in.c]
			pc++
			continue
		case xMul:
			regs[in.a] = regs[in.b] * regs[in.c]
			pc++
			continue
		case xAnd:
			regs[in.a] = regs[in.b] & regs[in.c]
			pc++
			continue
		case xOr:
			regs[in.a] = regs[in.b] | regs[in.c]
			pc++
			continue
		case xXor:
			regs[in.a] = regs[in.b] ^ regs[in.c]
			pc++
			continue
		case xMask:
			regs[in.a] = regs[in.b] & in.lo
			pc++
			continue
		case xAddMask:
			regs[in.a] = (regs[in.b] + regs[in.c]) & in.lo
			pc++
			continue
		case xSubMask:
			regs[in.a] = (regs[in.b] - regs[in.c]) & in.lo
			pc++
			continue
		case xShr:
			n := regs[in.c]
			if n > 63 {
				return 0, left, FaultShift
			}
			regs[in.a] = regs[in.b] >> n
			pc++
			continue
		case xSar:
			n := regs[in.c]
			if n > 63 {
				return 0, left, FaultShift
			}
			regs[in.a] = uint64(int64(regs[in.b]) >> n)
			pc++
			continue
		case xShl:
			n := regs[in.c]
			if n > 63 {
				return 0, left, FaultShift
			}
			regs[in.a] = regs[in.b] << n
			pc++
			continue
		case xState:
			regs[in.a] = m.cells[in.off]
			pc++
			continue
		case xSetState:
			m.cells[in.off] = regs[in.b]
			pc++
			continue
		case xAddState:
			k := &m.cells[in.off]
			*k = (*k + regs[in.b]) & in.lo
			pc++
			continue
		case xAddCPU:
			k := &m.cpu[in.off]
			*k = (*k + regs[in.b]) & in.lo
			pc++
			continue
		case xCPUState:
			regs[in.a] = m.cpu[in.off]
			pc++
			continue
		case xSubCPU:
			regs[in.a] = regs[in.b] - m.cpu[in.off]
			pc++
			continue
		case xSetCPU:
			m.cpu[in.off] = regs[in.b]
			pc++
			continue
		case xMapGet:
			v := uint64(0)
			if s := m.tables[in.off].find(regs[in.b]); s != nil {
				v = s.val
			}
			regs[in.a] = v
			pc++
			continue
		case xMapSet:
			s := m.tables[in.off].slot(regs[in.b])
			if s == nil {
				return 0, left, FaultMapFull
			}
			s.val = regs[in.c]
			pc++
			continue
		case xMapAdd:
			s := m.tables[in.off].slot(regs[in.b])
			if s == nil {
				return 0, left, FaultMapFull
			}
			s.val = (s.val + regs[in.c]) & in.lo
			regs[in.a] = s.val
			pc++
			continue
		case xMapDel:
			if !m.tables[in.off].removeAlone(regs[in.b]) {
				return int32(pc), left, pause
			}
			pc++
			continue
		case xEmits:
			for _, e := range in.aux.emits {
				m.ints[e.column] = regs[e.reg]
				m.emitted |= 1 << (e.column & 63)
			}
			pc++
			continue
		case xEmit:
			m.ints[in.off] = regs[in.b]
			m.emitted |= 1 << (in.off & 63)
			pc++
			continue
		default:
			return int32(pc), left, pause
		}
		left -= int(in.cost)
		if left < 0 {
			return 0, -1, FaultBudget
		}
		if hit {
			pc = uint(in.t)
		} else {
			pc = uint(in.f)
		}
	}
	return int32(pc), left, 0
}
