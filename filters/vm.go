package filters

import (
	"bytes"
	"encoding/binary"

	"github.com/perfpipe/perfpipe"
)

// Match decides the filter for r. fault is not 0 where it could not be decided;
// ok is then what Options.OnFault says. Match does not allocate, and keeps nothing of r.
func (p *Program) Match(r *perfpipe.Record) (ok bool, fault Fault) {
	if raw := r.Raw; len(raw) >= p.min && p.simple {
		if p.flat.n > 0 {
			return p.flat.all(raw), FaultNone
		}
		return p.match(r)
	}
	return p.other(r)
}

// other decides what is more than plain tests.
func (p *Program) other(r *perfpipe.Record) (bool, Fault) {
	if p.body != nil {
		return p.exec(r)
	}
	if p.regs <= smallRegs {
		return p.runSmall(r, nil)
	}
	return p.runLarge(r, nil)
}

// Visited decides the filter like Match, and appends to names the fields that were
// evaluated, in the order of their first evaluation. Generic fields appear as they
// are written, what begins with $ with its $.
func (p *Program) Visited(r *perfpipe.Record, names []string) (visited []string, ok bool, fault Fault) {
	t := &tracer{names: names, from: len(names)}
	if p.body != nil {
		ok, fault = p.execTraced(r, t)
		return t.names, ok, fault
	}
	if p.regs <= smallRegs {
		ok, fault = p.runSmall(r, t)
	} else {
		ok, fault = p.runLarge(r, t)
	}
	return t.names, ok, fault
}

// tracer collects the names of the fields that were read.
type tracer struct {
	names []string
	from  int
}

func (t *tracer) visit(name string) {
	for _, n := range t.names[t.from:] {
		if n == name {
			return
		}
	}
	t.names = append(t.names, name)
}

// match runs a program of tests alone on a record that is long enough for all of
// them: the way that nearly all records of nearly all filters go.
func (p *Program) match(r *perfpipe.Record) (bool, Fault) {
	raw, code := r.Raw, p.code
	pc := int32(0)
	for uint(pc) < uint(len(code)) {
		in := &code[pc]
		var v uint64
		hit := false
		switch in.op {
		case iRangeU8:
			hit = uint64(raw[in.off])-in.lo <= in.len
		case iRangeU16:
			hit = uint64(binary.LittleEndian.Uint16(raw[in.off:]))-in.lo <= in.len
		case iRangeU32:
			hit = uint64(binary.LittleEndian.Uint32(raw[in.off:]))-in.lo <= in.len
		case iRange64:
			hit = binary.LittleEndian.Uint64(raw[in.off:])-in.lo <= in.len
		case iRangeS8:
			hit = uint64(int64(int8(raw[in.off])))-in.lo <= in.len
		case iRangeS16:
			hit = uint64(int64(int16(binary.LittleEndian.Uint16(raw[in.off:]))))-in.lo <= in.len
		case iRangeS32:
			hit = uint64(int64(int32(binary.LittleEndian.Uint32(raw[in.off:]))))-in.lo <= in.len
		case iMaskU8:
			hit = uint64(raw[in.off])&in.lo != 0
		case iMaskU16:
			hit = uint64(binary.LittleEndian.Uint16(raw[in.off:]))&in.lo != 0
		case iMaskU32:
			hit = uint64(binary.LittleEndian.Uint32(raw[in.off:]))&in.lo != 0
		case iMask64:
			hit = binary.LittleEndian.Uint64(raw[in.off:])&in.lo != 0
		case iMaskS8:
			v = uint64(int64(int8(raw[in.off])))
			hit = v&in.lo != 0
		case iMaskS16:
			v = uint64(int64(int16(binary.LittleEndian.Uint16(raw[in.off:]))))
			hit = v&in.lo != 0
		case iMaskS32:
			v = uint64(int64(int32(binary.LittleEndian.Uint32(raw[in.off:]))))
			hit = v&in.lo != 0
		case iText8:
			hit = binary.LittleEndian.Uint64(raw[in.off:])&in.len == in.lo
		case iText:
			lit := in.aux.str
			hit = string(raw[in.off:int(in.off)+len(lit)]) == string(lit)
		default:
			var fault Fault
			if hit, fault = in.test(r); fault != 0 {
				return p.onFault, fault
			}
		}
		if hit {
			pc = in.t
		} else {
			pc = in.f
		}
	}
	return pc == toTrue, FaultNone
}

// number loads the integer of in from raw.
func (in *instr) number(raw []byte) (uint64, bool) {
	off, size := int(in.off), int(in.size)
	if off+size > len(raw) {
		return 0, false
	}
	return perfpipe.LoadInt(raw[off:off+size], in.signed)
}

// test decides the tests that need no register, on a record of any length.
func (in *instr) test(r *perfpipe.Record) (bool, Fault) {
	raw := r.Raw
	switch in.op {
	case iRangeU8, iRangeU16, iRangeU32, iRange64, iRangeS8, iRangeS16, iRangeS32:
		v, ok := in.loadAs(raw, in.op-iRangeU8)
		if !ok {
			return false, FaultTruncated
		}
		return v-in.lo <= in.len, 0
	case iMaskU8, iMaskU16, iMaskU32, iMask64, iMaskS8, iMaskS16, iMaskS32:
		v, ok := in.loadAs(raw, in.op-iMaskU8)
		if !ok {
			return false, FaultTruncated
		}
		return v&in.lo != 0, 0
	case iText8, iText, iGlob:
		s, ok := text(in.aux.fld, raw)
		if !ok {
			return false, FaultTruncated
		}
		return in.aux.glob.match(s), 0
	case iSet:
		v, ok := in.number(raw)
		if !ok {
			return false, FaultTruncated
		}
		return inSet(in.aux.set, in.aux.typ, v), 0
	case iMeta:
		return metaOf(in.meta, r)-in.lo <= in.len, 0
	case iComm:
		var buf [16]byte
		n := copy(buf[:], r.Comm)
		return in.aux.glob.match(buf[:n]), 0
	case iKernel:
		return in.aux.kstr.decide(r)
	case iCPUs:
		mask, ok := in.aux.fld.Bytes(raw)
		if !ok {
			return false, FaultTruncated
		}
		return matchCPUs(mask, in.k, in.aux.set), 0
	case iCIDR:
		addr, ok := in.aux.fld.Bytes(raw)
		if !ok {
			return false, FaultTruncated
		}
		return in.aux.net.match(addr), 0
	case iPresent:
		return present(in.aux.fld, raw)
	case iFault:
		return false, Fault(in.lo)
	}
	return true, 0 // iJump
}

// loadAs loads by the width that an opcode's distance from its base stands for.
func (in *instr) loadAs(raw []byte, width opcode) (uint64, bool) {
	size := [...]int{1, 2, 4, 8, 1, 2, 4}[width]
	off := int(in.off)
	if off+size > len(raw) {
		return 0, false
	}
	return perfpipe.LoadInt(raw[off:off+size], width >= 4)
}

// text returns the bytes of a string field, which ends at its first NUL.
func text(f *perfpipe.Field, raw []byte) ([]byte, bool) {
	if f.Probed != nil {
		b, _, _, ok := f.Text(raw)
		return b, ok
	}
	b, ok := f.Bytes(raw)
	if !ok {
		return nil, false
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return b, true
}

// inSet looks v up in disjoint, ascending ranges of t.
func inSet(set []span, t typ, v uint64) bool {
	bias := uint64(0)
	if t == tInt {
		bias = 1 << 63
	}
	v ^= bias
	lo, hi := 0, len(set)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch {
		case v < set[mid].lo^bias:
			hi = mid
		case v > set[mid].hi^bias:
			lo = mid + 1
		default:
			return true
		}
	}
	return false
}

func metaOf(m meta, r *perfpipe.Record) uint64 {
	switch m {
	case metaCPU:
		return uint64(r.CPU)
	case metaPID:
		return uint64(int64(r.PID))
	case metaTID:
		return uint64(int64(r.TID))
	}
	return uint64(r.Time)
}

// decide finds the string of a kernel test in the record.
func (ks *kernelString) decide(r *perfpipe.Record) (bool, Fault) {
	switch ks.field.kind {
	case kernelComm:
		var buf [16]byte
		copy(buf[:15], r.Comm)
		return ks.test(buf[:], 16), 0
	case kernelStatic:
		end := ks.field.offset + ks.field.size
		if end > len(r.Raw) {
			return false, FaultTruncated
		}
		return ks.test(r.Raw[ks.field.offset:], ks.field.size), 0
	case kernelDyn, kernelRel:
		b, ok := ks.field.fld.Bytes(r.Raw)
		if !ok {
			return false, FaultTruncated
		}
		if len(b) > 0 {
			return ks.test(b, len(b)), 0
		}
		// Nothing was recorded: the kernel compares what lies where it would be.
		off := int(binary.LittleEndian.Uint32(r.Raw[ks.field.offset:]) & 0xffff)
		if ks.field.kind == kernelRel {
			off += ks.field.offset + 4
		}
		return ks.test(r.Raw[min(off, len(r.Raw)):], 0), 0
	}
	return false, FaultUnreadable
}

// smallRegs is enough for the expressions that people write, and cheap to clear.
const smallRegs = 12

func (p *Program) runSmall(r *perfpipe.Record, t *tracer) (bool, Fault) {
	var regs [smallRegs]uint64
	return p.run(r, regs[:], t)
}

func (p *Program) runLarge(r *perfpipe.Record, t *tracer) (bool, Fault) {
	var regs [maxRegs + 2]uint64
	return p.run(r, regs[:], t)
}

// run executes any program on any record.
func (p *Program) run(r *perfpipe.Record, regs []uint64, t *tracer) (bool, Fault) {
	var strs [maxStrs][]byte
	var comm [16]byte
	code := p.code
	pc := int32(0)
	for uint(pc) < uint(len(code)) {
		in := &code[pc]
		if t != nil && in.aux.name != "" {
			t.visit(in.aux.name)
		}
		if in.op < firstRegister {
			hit, fault := in.test(r)
			if fault != 0 {
				return p.onFault, fault
			}
			if pc = in.f; hit {
				pc = in.t
			}
			continue
		}
		hit := false
		switch in.op {
		case iConst:
			regs[in.a] = in.lo
		case iLoad:
			v, ok := in.number(r.Raw)
			if !ok {
				return p.onFault, FaultTruncated
			}
			regs[in.a] = v
		case iElem:
			v, fault := in.element(r.Raw, regs[in.b])
			if fault != 0 {
				return p.onFault, fault
			}
			regs[in.a] = v
		case iGet:
			regs[in.a] = metaOf(in.meta, r)
		case iBin:
			v, fault := binOp(in.k, in.typ, regs[in.a], regs[in.b])
			if fault != 0 {
				return p.onFault, fault
			}
			regs[in.a] = v
		case iNeg:
			regs[in.a] = -regs[in.a]
		case iCompl:
			regs[in.a] = ^regs[in.a]
		case iCast:
			regs[in.a] = extend(regs[in.a], in.size, in.typ)
		case iCall:
			regs[in.a] = callInt(in.aux.fun, in.typ, regs[in.a], regs[in.b])
		case iStrlen:
			regs[in.a] = uint64(len(strs[in.b]))
		case iHash:
			regs[in.a] = hashBytes(strs[in.b])
		case iStrField:
			s, ok := text(in.aux.fld, r.Raw)
			if !ok {
				return p.onFault, FaultTruncated
			}
			strs[in.a] = s
		case iStrConst:
			strs[in.a] = in.aux.str
		case iStrComm:
			strs[in.a] = comm[:copy(comm[:], r.Comm)]
		case iJump:
			pc = in.t
			continue
		default:
			switch in.op {
			case iIn:
				hit = inSet(in.aux.set, in.aux.typ, regs[in.a])
			case iBits:
				hit = regs[in.a]&in.lo != 0
			case iCmp:
				hit = compare(in.k, in.typ, regs[in.a], in.typ2, regs[in.b])
			case iStrEq:
				hit = string(strs[in.a]) == string(strs[in.b])
			case iStrGlob:
				hit = in.aux.glob.match(strs[in.a])
			case iStrFn:
				hit = stringFn(in.aux.fun, strs[in.a], strs[in.b])
			}
			if pc = in.f; hit {
				pc = in.t
			}
			continue
		}
		pc++
	}
	return pc == toTrue, FaultNone
}

// element loads aux.fld[i].
func (in *instr) element(raw []byte, i uint64) (uint64, Fault) {
	var b []byte
	var ok bool
	if f := in.aux.fld; f.Probed != nil && f.Kind == perfpipe.KindString {
		b, ok = text(f, raw)
	} else {
		b, ok = f.Bytes(raw)
	}
	if !ok {
		return 0, FaultTruncated
	}
	size := uint64(in.size)
	if i >= uint64(len(b))/size {
		return 0, FaultIndex
	}
	v, _ := perfpipe.LoadInt(b[i*size:i*size+size], in.signed)
	return v, 0
}

func stringFn(f builtin, s, part []byte) bool {
	switch f {
	case fnStartsWith:
		return bytes.HasPrefix(s, part)
	case fnEndsWith:
		return bytes.HasSuffix(s, part)
	}
	return bytes.Contains(s, part)
}
