package filters

import (
	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// xop is what an instruction of a program does. "a <- b" sets register a. Tests jump
// to t where they hold and to f where they do not, and cost 1 of the budget.
type xop uint8

const (
	// These may fault:
	xRangeU8  xop = iota // a <- load; a - lo <= len
	xRangeU16            //
	xRangeU32            //
	xRange64             //
	xRangeS8             //
	xRangeS16            //
	xRangeS32            //
	xText8               // the 8 bytes at off, of which mask len counts, are lo
	xSuffix              // the text in the 16 bytes at off ends with the b bytes of lo
	xTest                // aux.in, a test that needs the record alone
	// These change nothing and cannot fault, but for the loop's variable:
	xRange   // b - lo <= len
	xNext    // a <- a + 1; a - lo <= len
	xBits    // b & lo != 0
	xEqual   // b == c
	xLessS   // b < c, signed
	xLessU   // b < c, unsigned
	xCompare // b k c, by value
	xNonZero // b != 0
	xInSet   // b in aux.set
	xMapHas  // b in table; a <- table [b]
	xStrEq   // string b == string c
	xStrGlob // string b ~ aux.glob
	xStrFn   // aux.fun(string b, string c)
	xNever   // no: what was to be found out is
	// These change cells:
	xChanged // b is not cells[off+1], or cells[off] is 0; sets both
	xRate    // at most lo times in len ns by cells[off..off+2]
	// No tests:
	xJump     // to t; the first that is no test
	xBack     // to t: costs lo
	xCharge   // costs lo
	xCall     // to t; a <- the place behind it: costs 1
	xRet      // to a
	xFault    // ends with the fault lo
	xRound    // a <- a + 1; a fault where it was lo
	xMove     // a <- b
	xMoveTo   // a <- b; to t
	xRangeAdd // where b - lo <= len, a <- the low 64 - size bits of a + c
	xLoadU8   // a <- load
	xLoadU16  //
	xLoadU32  //
	xLoad64   //
	xLoadS8   //
	xLoadS16  //
	xLoadS32  //
	xAdd      // a <- b + c
	xSub      // a <- b - c
	xMul      // a <- b * c
	xAnd      // a <- b & c
	xOr       // a <- b | c
	xXor      // a <- b ^ c
	xMask     // a <- b & lo
	xAddMask  // a <- (b + c) & lo
	xSubMask  // a <- (b - c) & lo
	xShr      // a <- b >> c, unsigned
	xSar      // a <- b >> c, signed
	xShl      // a <- b << c
	xBin      // a <- b k c, which may fault
	xNeg      // a <- -b
	xCompl    // a <- ^b
	xCast     // a <- the low size bits of b
	xFn       // a <- aux.fun(b, c)
	xElem     // a <- aux.in.fld[b]
	xMeta     // a <- meta b
	xState    // a <- cells[off]
	xSetState // cells[off] <- b
	xAddState // cells[off] <- (cells[off] + b) & lo
	xCPUState // a <- the processor's cells[off]
	xSubCPU   // a <- b - the processor's cells[off]
	xSetCPU   // the processor's cells[off] <- b
	xAddCPU   // the processor's cells[off] <- (cells[off] + b) & lo
	xMapGet   // a <- table off [b]
	xMapSet   // table off [b] <- c
	xMapAdd   // a, table off [b] <- (table off [b] + c) & lo
	xMapOp    // table off [b] <- table off [b] k c, cut to size
	xMapDel   // takes b out of table off
	xDelta    // a <- b - cells[off+1], 0 where cells[off] is 0; sets both
	xStrField // string a <- aux.in.fld
	xStrConst // string a <- aux.str
	xStrComm  // string a <- task name
	xStrMove  // string a <- string b
	xStrlen   // a <- strlen(string b)
	xHash     // a <- hash(string b)
	xEmit     // column off <- b
	xEmits    // as xEmit, for each of aux.emits
	xEmitStr  // column off <- string b
	xEmitNull // column off has no value
	xVisit    // names aux.name to the tracer
)

const (
	// firstEffect is the first test that changes something.
	firstEffect = xChanged
	// firstPlain is the first operation that is no test.
	firstPlain = xJump
)

// xinstr is one instruction.
type xinstr struct {
	op      xop
	a, b, c uint8
	cost    uint8 // of the budget, of tests
	k       syntax.Kind
	typ     typ
	typ2    typ
	size    uint8
	end     uint16 // of the bytes that xText8 and xSuffix read
	off     uint32
	t, f    int32
	lo, len uint64
	aux     *xaux
}

// xaux is what an instruction needs rarely.
type xaux struct {
	in   *instr // a test of the record, or what says which element
	set  []span
	glob *glob
	str  []byte
	fun  builtin
	fld  *perfpipe.Field
	name string
	// emits are columns and the registers of their values.
	emits []columnOf
}

type columnOf struct {
	column uint32
	reg    uint8
}

// Registers of a machine. What stays there is at their upper end: the time, constants, fields.
const (
	xRegs = 256
	xStrs = 32
)

// machine runs a program. It belongs to one goroutine, as its memory does.
type machine struct {
	regs    [xRegs]uint64
	clock   uint8 // the register of the time
	strs    [xStrs][]byte
	comm    [16]byte
	mem     *memory
	tables  []*hashTable // those of mem
	cells   []uint64     // those of mem
	perCPU  bool         // the program has cells of each processor
	cpu     []uint64     // those of the record's processor
	emitted uint64       // the columns that have a value
	ints    []uint64
	texts   [][]byte
	used    int // of the budget, by the last record
	trace   *tracer
}

// pause is what run returns for an operation that it leaves to its caller.
const pause Fault = 255

// exec decides the program for r.
func (p *Program) exec(r *perfpipe.Record) (bool, Fault) {
	m := p.machine
	m.emitted = 0
	m.regs[m.clock] = uint64(r.Time)
	m.cells = m.mem.cells
	if m.perCPU {
		m.cpu = m.mem.cpu(r.CPU)
	}
	raw := r.Raw[:len(r.Raw):len(r.Raw)]
	pc, left, fault := m.run(p.xcode, raw, 0, p.budget)
	for fault == pause {
		if pc, left, fault = m.step(&p.xcode[pc], r, pc, left); fault == 0 {
			pc, left, fault = m.run(p.xcode, raw, pc, left)
		}
	}
	m.used = p.budget - left
	if fault != 0 {
		m.emitted = 0
		return p.onFault, fault
	}
	return pc == toTrue, 0
}

// step does one operation that run leaves to it, and returns where to go on.
func (m *machine) step(in *xinstr, r *perfpipe.Record, pc int32, left int) (int32, int, Fault) {
	if in.op >= firstPlain {
		return pc + 1, left, m.rare(in, r)
	}
	hit, fault := m.rareTest(in, r)
	if fault != 0 {
		return pc, left, fault
	}
	if left -= int(in.cost); left < 0 {
		return pc, -1, FaultBudget
	}
	if hit {
		return in.t, left, 0
	}
	return in.f, left, 0
}

// execTraced is exec, and tells t what is read of the record.
func (p *Program) execTraced(r *perfpipe.Record, t *tracer) (bool, Fault) {
	if p.traced == nil {
		g := &xgen{size: p.schema.Size, trace: true, opt: opt{sparing: p.sparing}}
		p.traced = g.program(p.body)
	}
	q := *p
	q.xcode = p.traced
	p.machine.trace = t
	defer func() { p.machine.trace = nil }()
	return q.exec(r)
}

// rareTest decides the tests of registers that are seldom made.
func (m *machine) rareTest(in *xinstr, r *perfpipe.Record) (bool, Fault) {
	switch in.op {
	case xText8, xSuffix, xTest:
		return in.aux.in.test(r)
	case xCompare:
		return compare(in.k, in.typ, m.regs[in.b], in.typ2, m.regs[in.c]), 0
	case xInSet:
		return inSet(in.aux.set, in.typ, m.regs[in.b]), 0
	case xStrEq:
		return string(m.strs[in.b%xStrs]) == string(m.strs[in.c%xStrs]), 0
	case xStrGlob:
		return in.aux.glob.match(m.strs[in.b%xStrs]), 0
	case xStrFn:
		return stringFn(in.aux.fun, m.strs[in.b%xStrs], m.strs[in.c%xStrs]), 0
	case xChanged:
		k := m.cells[in.off : in.off+2]
		v := m.regs[in.b]
		hit := k[0] == 0 || k[1] != v
		k[0], k[1] = 1, v
		return hit, 0
	}
	// xRate. Times may go back where a recording is not in order.
	k := m.cells[in.off : in.off+3]
	now := uint64(r.Time)
	if k[0] == 0 || int64(now-k[1]) >= int64(in.len) {
		k[0], k[1], k[2] = 1, now, 0
	}
	if k[2] >= in.lo {
		return false, 0
	}
	k[2]++
	return true, 0
}

// rare does what is seldom done.
func (m *machine) rare(in *xinstr, r *perfpipe.Record) Fault {
	regs := &m.regs
	switch in.op {
	case xFault:
		return Fault(in.lo)
	case xBin:
		v, fault := binOp(in.k, in.typ, regs[in.b], regs[in.c])
		regs[in.a] = v
		return fault
	case xMeta:
		regs[in.a] = metaOf(meta(in.b), r)
	case xCast:
		regs[in.a] = extend(regs[in.b], in.size, in.typ)
	case xNeg:
		regs[in.a] = -regs[in.b]
	case xCompl:
		regs[in.a] = ^regs[in.b]
	case xFn:
		regs[in.a] = callInt(in.aux.fun, in.typ, regs[in.b], regs[in.c])
	case xMapDel:
		m.tables[in.off].remove(regs[in.b])
	case xElem:
		v, fault := in.aux.in.element(r.Raw, regs[in.b])
		regs[in.a] = v
		return fault
	case xMapOp:
		s := m.tables[in.off].slot(regs[in.b])
		if s == nil {
			return FaultMapFull
		}
		v, fault := binOp(in.k, in.typ, s.val, regs[in.c])
		s.val = extend(v, in.size*8, in.typ)
		return fault
	case xDelta:
		k := m.cells[in.off : in.off+2]
		v := regs[in.b]
		regs[in.a] = (v - k[1]) * k[0]
		k[0], k[1] = 1, v
	case xEmitStr:
		m.texts[in.off] = m.strs[in.b%xStrs]
		m.emitted |= 1 << in.off
	case xEmitNull:
		m.emitted &^= 1 << in.off
	case xVisit:
		if m.trace != nil {
			m.trace.visit(in.aux.name)
		}
	default:
		return m.text(in, r)
	}
	return 0
}

// text does what has to do with strings.
func (m *machine) text(in *xinstr, r *perfpipe.Record) Fault {
	switch in.op {
	case xStrField:
		s, ok := text(in.aux.fld, r.Raw)
		if !ok {
			return FaultTruncated
		}
		m.strs[in.a%xStrs] = s
	case xStrConst:
		m.strs[in.a%xStrs] = in.aux.str
	case xStrComm:
		m.strs[in.a%xStrs] = m.comm[:copy(m.comm[:], r.Comm)]
	case xStrMove:
		m.strs[in.a%xStrs] = m.strs[in.b%xStrs]
	case xStrlen:
		m.regs[in.a] = uint64(len(m.strs[in.b%xStrs]))
	case xHash:
		m.regs[in.a] = hashBytes(m.strs[in.b%xStrs])
	}
	return 0
}
