package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// The words are memory that programs and their reader share: one value of an array map.
//
//	0    on        not 0 while records are wanted
//	64   wake      not 0 while the reader sleeps: the next record wakes it and clears it
//	128  counters  64 bytes for each program and processor
const (
	// WordOn is the offset of a u32 in the words.
	WordOn = 0
	// WordWake is that of another, in a cache line of its own.
	WordWake     = 64
	counters     = 128
	counterBytes = 64
)

// Offsets of u64 words from where the counters of a program begin.
const (
	// WordStarted counts the runs that began.
	WordStarted = 0
	// WordDone counts those that ended.
	WordDone = 8
	// WordLost counts the records that found no room.
	WordLost = 16
	// WordHits counts the hits while records were wanted, where [Probe.Counted].
	WordHits = 24
)

// WordsSize is how many bytes the words of so many programs take.
func WordsSize(programs, cpus int) int { return counters + programs*cpus*counterBytes }

// Counters is the offset of the counters of a program on a processor.
func Counters(program, cpu, cpus int) int { return counters + (program*cpus+cpu)*counterBytes }

// Maps are what a program works on.
type Maps struct {
	// Rings is the descriptor of an array of BPF rings by processor: what happens on
	// one that has none is not recorded. Words is that of the words.
	Rings, Words int
	// CPUs is one more than the highest number of a processor with a ring.
	CPUs int
	// Program is this program's number among those that share the words.
	Program int
	// Code decides which records are kept; nil takes every one.
	Code *Code
}

// Layout of a record in a BPF ring: the time, then what the event's format describes.
const (
	// RawOffset is where the latter begins, behind the u64 of CLOCK_MONOTONIC.
	RawOffset = 8
	// TextMax is the most bytes that are taken of a string. A longer one has a
	// __data_loc of TextMax+2 bytes, longer than any that is whole.
	TextMax = 4096
)

const (
	// smallRoom is what is reserved for a string at first: most are shorter.
	smallRoom = 128
	// largeCap is asked of a string that did not fit: one byte more than the longest
	// whole one with its NUL, so that a longer one is told from it.
	largeCap  = TextMax + 2
	largeRoom = (largeCap + 7) &^ 7
	// nullPage: an address below is a NULL pointer with an offset, for which no page
	// needs to be fetched.
	nullPage = 4096
	// pageSize is that of x86-64.
	pageSize = 4096
	// maxProgram keeps jumps within the 16 bits that they have.
	maxProgram = 30000
	// maxSize keeps the fields in place within the offsets that an instruction has.
	maxSize = 32<<10 - 64
	// cutEntry and cutReturn are the ends at which perfpipe.Field.Text takes a string for cut by the
	// kernel's own fetch, whose room ends there: one that ends there by itself is
	// given without its NUL.
	cutEntry, cutReturn = 16 + 4096, 24 + 4096
)

// Flags of bpf_ringbuf_submit, include/uapi/linux/bpf.h.
const (
	noWakeup    = 1
	forceWakeup = 2
)

// Registers and the stack of the programs.
const (
	context = asm.R6 // struct pt_regs
	record  = asm.R7 // the reserved record
	mine    = asm.R8 // the program's counters on this processor
	value   = asm.R9 // what is being fetched, an address mostly

	slotCPU  = -8
	slotRing = -16
	slotWord = -24
)

// Assemble returns the program for p, of type kprobe and sleepable, for a uprobe of
// x86-64. It returns 0, so that the kernel makes no sample of its own. An error says
// what a program cannot fetch.
//
// A record is reserved with little room for strings and filled by reads that do not
// wait. Where a page is not in memory, the record is given up, the pages are fetched
// while nothing is reserved, and it is done again; where a string does not fit, again
// with much room. So a task that waits for its disk holds up no other's records.
func Assemble(p *Probe, m Maps) (asm.Instructions, error) {
	b := &builder{p: p, m: m}
	if err := b.read(); err != nil {
		return nil, err
	}
	b.enter()
	again := ""
	if b.memory {
		again = "again"
	}
	full := ""
	if b.texts > 0 {
		full = "full"
	}
	b.body(pass{name: "first", room: smallRoom, take: smallRoom, fault: again, full: full})
	if b.memory {
		b.mark("again")
		b.discard()
		b.touch()
		b.body(pass{name: "second", room: smallRoom, take: smallRoom, full: full})
	}
	if b.texts > 0 {
		b.mark("full")
		b.discard()
		b.body(pass{name: "third", room: largeRoom, take: largeCap})
	}
	b.leave()
	if b.err != nil {
		return nil, b.err
	}
	if m.Code != nil {
		b.out = Prune(b.out)
	}
	if len(b.out) > maxProgram {
		return nil, fmt.Errorf("a program of %d instructions: at most %d are possible", len(b.out), maxProgram)
	}
	return b.out, nil
}

// field is a Field that was read.
type field struct {
	Field
	expr
	valueType
	// nth numbers the strings.
	nth int
}

// builder writes a program.
type builder struct {
	p      *Probe
	m      Maps
	fields []field
	// texts is the number of strings, memory is whether any memory is read.
	texts  int
	memory bool
	code
}

// pass is one attempt to make the record.
type pass struct {
	name string
	// room is what is reserved for each string, take how much of it is asked for.
	room, take int
	// fault and full are where to go when memory could not be read and when a string
	// did not fit; "" takes it as it is.
	fault, full string
}

// read checks and reads what is described.
func (b *builder) read() error {
	p := b.p
	if p.Type < 0 || p.Type > 0xffff || p.Size < 8 || p.Size > maxSize || !b.inside(p.PID, 4) || !b.inside(p.IP, 8) || p.Func >= 0 && !b.inside(p.Func, 8) {
		return fmt.Errorf("a record of %d bytes of type %d: its common fields are not within", p.Size, p.Type)
	}
	if b.m.CPUs < 1 {
		return errors.New("no processor has a ring")
	}
	for _, f := range p.Fields {
		e, err := parseExpr(f.Expr)
		if err != nil {
			return err
		}
		t, err := parseType(f.Type)
		if err != nil {
			return err
		}
		if (t.text || t.count > 0) && len(e.derefs) == 0 {
			return fmt.Errorf("fetch %s:%s: it reads no memory", f.Expr, f.Type)
		}
		if !b.inside(f.Offset, t.bytes()) || f.Check >= 0 && !b.inside(f.Check, 4) {
			return fmt.Errorf("fetch %s:%s to %d: the record has %d bytes", f.Expr, f.Type, f.Offset, p.Size)
		}
		b.fields = append(b.fields, field{Field: f, expr: e, valueType: t, nth: b.texts})
		if t.text {
			b.texts++
		}
		b.memory = b.memory || len(e.derefs) > 0
	}
	if end := b.textAt(b.texts, largeRoom); b.texts > 0 && end > 0xffff {
		return fmt.Errorf("%d strings in a record: a record has 64 KiB", b.texts)
	}
	return nil
}

// inside reports whether n bytes at off are within the record.
func (b *builder) inside(off, n int) bool { return off >= 0 && off <= b.p.Size-n }

// textAt is where the room of a string begins.
func (b *builder) textAt(nth, room int) int { return (b.p.Size+7)&^7 + nth*room }

// count adds 1 to one of the program's counters.
func (b *builder) count(word int16) {
	b.add(asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(mine, asm.R1, asm.DWord, word))
}

// enter finds counters and ring, and leaves where no records are wanted. The run is
// counted before it is asked whether they are: who turns records off and then sees
// as many runs ended as began knows that none comes any more.
func (b *builder) enter() {
	b.add(
		asm.Mov.Reg(context, asm.R1),
		asm.FnGetSmpProcessorId.Call(),
		asm.JGE.Imm(asm.R0, int32(b.m.CPUs), "exit"),
		asm.StoreMem(asm.RFP, slotCPU, asm.R0, asm.Word),
		asm.Mov.Reg(mine, asm.R0),
		asm.Mul.Imm(mine, counterBytes),
		asm.LoadMapValue(asm.R1, b.m.Words, uint32(Counters(b.m.Program, 0, b.m.CPUs))),
		asm.Add.Reg(asm.R1, mine),
		asm.Mov.Reg(mine, asm.R1),
	)
	b.count(WordStarted)
	b.add(
		asm.LoadMapValue(asm.R1, b.m.Words, WordOn),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R1, 0, "done"),
	)
	if b.p.Counted {
		b.count(WordHits)
	}
	b.add(
		asm.LoadMapPtr(asm.R1, b.m.Rings),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, slotCPU),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "done"),
		asm.StoreMem(asm.RFP, slotRing, asm.R0, asm.DWord),
	)
}

// leave ends the program.
func (b *builder) leave() {
	b.mark("lost")
	b.count(WordLost)
	b.mark("done")
	b.count(WordDone)
	b.mark("exit")
	b.add(asm.Mov.Imm(asm.R0, 0), asm.Return())
}

// discard gives the reserved record up.
func (b *builder) discard() {
	b.add(asm.Mov.Reg(asm.R1, record), asm.Mov.Imm(asm.R2, noWakeup), asm.FnRingbufDiscard.Call())
}

// body reserves a record, fills it and hands it over.
func (b *builder) body(ps pass) {
	p := b.p
	end := b.textAt(b.texts, ps.room)
	b.add(
		asm.LoadMem(asm.R1, asm.RFP, slotRing, asm.DWord),
		asm.Mov.Imm(asm.R2, int32(b.m.Code.total(RawOffset+end))),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "lost"),
		asm.Mov.Reg(record, asm.R0),
		// The time is taken when the record has its place: of what is reserved behind a
		// record, and of what is not reserved yet, nothing is earlier.
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(record, 0, asm.R0, asm.DWord),
	)
	b.add(asm.Mov.Imm(asm.R1, 0))
	for at := 0; at < b.textAt(0, 0); at += 8 {
		b.add(asm.StoreMem(record, int16(RawOffset+at), asm.R1, asm.DWord))
	}
	b.add(
		asm.StoreImm(record, RawOffset, int64(p.Type), asm.Half),
		asm.FnGetCurrentPidTgid.Call(),
		asm.StoreMem(record, int16(RawOffset+p.PID), asm.R0, asm.Word),
	)
	ip, _ := register("ip")
	b.add(asm.LoadMem(asm.R1, context, ip, asm.DWord), asm.StoreMem(record, int16(RawOffset+p.IP), asm.R1, asm.DWord))
	if p.Func >= 0 {
		b.add(asm.Mov.Reg(asm.R1, context), asm.FnGetFuncIp.Call(), asm.StoreMem(record, int16(RawOffset+p.Func), asm.R0, asm.DWord))
	}
	for i := range b.fields {
		b.fetch(&b.fields[i], ps)
	}
	if b.m.Code != nil {
		b.decided(RawOffset + end)
	}
	woken := b.label("woken")
	b.add(
		asm.LoadMapValue(asm.R1, b.m.Words, WordWake),
		asm.Mov.Imm(asm.R2, noWakeup),
		asm.LoadMem(asm.R3, asm.R1, 0, asm.Word),
		asm.JEq.Imm(asm.R3, 0, woken),
		asm.StoreImm(asm.R1, 0, 0, asm.Word),
		asm.Mov.Imm(asm.R2, forceWakeup),
	)
	b.mark(woken)
	b.add(asm.Mov.Reg(asm.R1, record), asm.FnRingbufSubmit.Call(), asm.Ja.Label("done"))
}

// decided asks the code about the record of so many bytes.
func (b *builder) decided(size int) {
	emits := HookStack - b.m.Code.emitsSize()
	no, on := b.label("no"), b.label("kept")
	b.decide(b.m.Code, Place{
		Size: size, Stack: emits, Emits: emits, PID: RawOffset + b.p.PID, Reject: no, CPU: cpuNumber, Comm: taskName,
		Process: func(to asm.Register) asm.Instructions {
			return asm.Instructions{asm.FnGetCurrentPidTgid.Call(), asm.Mov.Reg(to, asm.R0), asm.RSh.Imm(to, 32)}
		},
	})
	b.add(asm.Ja.Label(on))
	b.mark(no)
	b.discard()
	b.add(asm.Ja.Label("done"))
	b.mark(on)
	b.emitted(b.m.Code, emits, size)
}

// base puts the register or the constant into value.
func (b *builder) base(f *field) {
	if f.reg < 0 {
		b.add(asm.LoadImm(value, f.value, asm.DWord))
		return
	}
	b.add(asm.LoadMem(value, context, f.reg, asm.DWord))
}

// shift adds an offset to value.
func (b *builder) shift(off int32) {
	if off != 0 {
		b.add(asm.Add.Imm(value, off))
	}
}

// call reads size bytes at value by a helper, to an offset from a register.
func (b *builder) call(fn asm.BuiltinFunc, to asm.Register, off, size int) {
	b.add(
		asm.Mov.Reg(asm.R1, to), asm.Add.Imm(asm.R1, int32(off)),
		asm.Mov.Imm(asm.R2, int32(size)),
		asm.Mov.Reg(asm.R3, value),
		fn.Call(),
	)
}

// failed goes on at ok where the read that was just made of value succeeded, else to
// where the pass says, or to end with what the record has there: zeroes.
func (b *builder) failed(ps pass, ok asm.Instruction, end string) {
	b.add(ok)
	if ps.fault != "" {
		b.add(asm.JGE.Imm(value, nullPage, ps.fault))
	}
	b.add(asm.Ja.Label(end))
}

// fetch writes one field.
func (b *builder) fetch(f *field, ps pass) {
	end := b.label("end")
	to := RawOffset + f.Offset
	b.base(f)
	if len(f.derefs) == 0 {
		b.mask(f)
		b.add(asm.StoreMem(record, int16(to), value, sizeOf(f.size)))
		return
	}
	last := len(f.derefs) - 1
	for _, off := range f.derefs[:last] {
		b.shift(off)
		ok := b.label("ok")
		b.call(asm.FnProbeReadUser, asm.RFP, slotWord, 8)
		b.failed(ps, asm.JEq.Imm(asm.R0, 0, ok), end)
		b.mark(ok)
		b.add(asm.LoadMem(value, asm.RFP, slotWord, asm.DWord))
	}
	b.shift(f.derefs[last])
	ok := b.label("ok")
	switch {
	case f.text:
		b.text(f, ps, ok, end)
	case f.count > 0 && ps.fault == "":
		b.call(asm.FnProbeReadUser, record, to, f.bytes())
		b.add(asm.JEq.Imm(asm.R0, 0, ok))
		b.elements(f)
		b.add(asm.Ja.Label(end))
		b.mark(ok)
	default:
		b.call(asm.FnProbeReadUser, record, to, f.bytes())
		b.failed(ps, asm.JEq.Imm(asm.R0, 0, ok), end)
		b.mark(ok)
		if f.bits > 0 {
			size := sizeOf(f.size)
			b.add(asm.LoadMem(value, record, int16(to), size))
			b.mask(f)
			b.add(asm.StoreMem(record, int16(to), value, size))
		}
	}
	b.readable(f)
	b.mark(end)
}

// readable says in the field's check that the value is there.
func (b *builder) readable(f *field) {
	if f.Check >= 0 {
		b.add(asm.StoreImm(record, int16(RawOffset+f.Check), 1<<16, asm.Word))
	}
}

// elements reads an array of which not all can be read, each element by itself.
func (b *builder) elements(f *field) {
	for i := range f.count {
		b.call(asm.FnProbeReadUser, record, RawOffset+f.Offset+i*f.size, f.size)
		if i == 0 && f.Check >= 0 {
			next := b.label("next")
			b.add(asm.JNE.Imm(asm.R0, 0, next))
			b.readable(f)
			b.mark(next)
		}
		b.shift(int32(f.size))
	}
}

// text reads the string at value into its room and says where it is.
func (b *builder) text(f *field, ps pass, ok, end string) {
	at := b.textAt(f.nth, ps.room)
	b.call(asm.FnProbeReadUserStr, record, RawOffset+at, ps.take)
	b.failed(ps, asm.JSGT.Imm(asm.R0, 0, ok), end)
	b.mark(ok)
	if ps.full != "" {
		b.add(asm.JEq.Imm(asm.R0, int32(ps.take), ps.full))
	}
	for _, cut := range [...]int{cutEntry, cutReturn} {
		n := cut - at
		if n < 1 || n > ps.take {
			continue
		}
		next := b.label("next")
		b.add(asm.JNE.Imm(asm.R0, int32(n), next), asm.Mov.Imm(asm.R0, int32(n-1)))
		b.mark(next)
	}
	b.add(
		asm.LSh.Imm(asm.R0, 16),
		asm.Or.Imm(asm.R0, int32(at)),
		asm.StoreMem(record, int16(RawOffset+f.Offset), asm.R0, asm.Word),
	)
}

// mask cuts a bitfield out of value.
func (b *builder) mask(f *field) {
	if f.bits == 0 {
		return
	}
	b.add(asm.LSh.Imm(value, int32(64-f.bits-f.shift)), asm.RSh.Imm(value, int32(64-f.bits)))
}

// touch has the pages of every field be in memory, where they can be. It waits for them.
func (b *builder) touch() {
	for i := range b.fields {
		f := &b.fields[i]
		if len(f.derefs) == 0 {
			continue
		}
		end := b.label("end")
		b.base(f)
		last := len(f.derefs) - 1
		for _, off := range f.derefs[:last] {
			b.shift(off)
			b.call(asm.FnCopyFromUser, asm.RFP, slotWord, 8)
			b.add(asm.JNE.Imm(asm.R0, 0, end), asm.LoadMem(value, asm.RFP, slotWord, asm.DWord))
		}
		b.shift(f.derefs[last])
		if !f.text && f.count == 0 {
			b.call(asm.FnCopyFromUser, asm.RFP, slotWord, f.size)
			b.mark(end)
			continue
		}
		// What is read of a text or an array lies in this page and the next.
		b.call(asm.FnCopyFromUser, asm.RFP, slotWord, 1)
		b.add(asm.JNE.Imm(asm.R0, 0, end), asm.Add.Imm(value, pageSize), asm.And.Imm(value, -pageSize))
		b.call(asm.FnCopyFromUser, asm.RFP, slotWord, 1)
		b.mark(end)
	}
}

func sizeOf(n int) asm.Size {
	switch n {
	case 1:
		return asm.Byte
	case 2:
		return asm.Half
	case 4:
		return asm.Word
	}
	return asm.DWord
}
