package filters

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// Layout of the value that a program under test works on: what it is told of the task,
// what it found, and the record.
const (
	trialCPU     = 0
	trialPID     = 4
	trialComm    = 8
	trialVerdict = 24
	trialLeft    = 32
	trialEmits   = 40
	trialRecord  = 160
)

// trialMode is how the host counts.
type trialMode struct {
	// left has the code say what is left of the budget.
	left bool
	// seen is told what became of each record; nil is nobody.
	seen func(outcome)
}

// bpfTrial runs a program's code in the kernel on records of our making.
type bpfTrial struct {
	t     testing.TB
	prog  *ebpf.Program
	io    *ebpf.Map
	value []byte
	emits int
	left  bool
}

// outcome is what became of a record.
type outcome struct {
	ok    bool
	fault Fault
	used  int
	mask  uint64
	emits [maxBPFEmits]uint64
}

// bpfMemory are the maps of programs that share a memory.
type bpfMemory struct {
	maps bpf.MemoryMaps
	all  []*ebpf.Map
}

func (m *bpfMemory) close() {
	for _, k := range m.all {
		_ = k.Close()
	}
}

const trialCPUs = 16

// newBPFMemory makes the maps of m, and memory for texts.
func newBPFMemory(m *bpf.Memory, text int) (*bpfMemory, error) {
	out := &bpfMemory{maps: bpf.MemoryMaps{CPUs: trialCPUs}}
	array := func(words []uint64, n int) (int, error) {
		if len(words) == 0 {
			return 0, nil
		}
		var b []byte
		for range n {
			for _, w := range words {
				b = binary.LittleEndian.AppendUint64(b, w)
			}
		}
		k, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(b)), MaxEntries: 1})
		if err != nil {
			return 0, err
		}
		out.all = append(out.all, k)
		return k.FD(), k.Put(uint32(0), b)
	}
	var err error
	if m != nil {
		if out.maps.Cells, err = array(m.Cells, 1); err != nil {
			return out, err
		}
		if out.maps.CPUCells, err = array(m.CPUCells, trialCPUs); err != nil {
			return out, err
		}
		for _, n := range m.Tables {
			k, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: uint32(n)})
			if err != nil {
				return out, err
			}
			out.all = append(out.all, k)
			out.maps.Tables = append(out.maps.Tables, k.FD())
		}
	}
	if text > 0 {
		if out.maps.Text, err = array(make([]uint64, text/8), trialCPUs); err != nil {
			return out, err
		}
	}
	return out, nil
}

// newBPFTrial loads the code of p for records of up to size bytes.
func newBPFTrial(t testing.TB, f *bpf.Filter, mem *bpfMemory, size int, mode trialMode) (*bpfTrial, error) {
	room := (trialRecord + bpf.RawOffset + size + 64 + 7) &^ 7
	io, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(room), MaxEntries: 1, Flags: 1 << 10})
	if err != nil {
		return nil, err
	}
	out := &bpfTrial{t: t, io: io, value: make([]byte, room), emits: f.Emits, left: mode.left}
	list, err := trialCode(f, io.FD(), mem.maps, size, mode)
	if err != nil {
		_ = io.Close()
		return nil, err
	}
	out.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, Instructions: list, License: "GPL"})
	if err != nil {
		_ = io.Close()
		return nil, err
	}
	return out, nil
}

func (b *bpfTrial) close() {
	_ = b.prog.Close()
	_ = b.io.Close()
}

func trialCode(f *bpf.Filter, io int, maps bpf.MemoryMaps, size int, mode trialMode) (asm.Instructions, error) {
	emits := -64 - 8*(1+f.Emits)
	place := &bpf.Place{
		Size: bpf.RawOffset + size, Stack: emits, Emits: emits, PID: bpf.RawOffset + 4, Accept: "accept", Reject: "reject", Fault: "fault", Prefix: "hook", Left: mode.left, Maps: maps,
		CPU: func(to asm.Register) asm.Instructions {
			return asm.Instructions{asm.LoadMem(to, asm.R6, trialCPU, asm.Word)}
		},
		Process: func(to asm.Register) asm.Instructions {
			return asm.Instructions{asm.LoadMem(to, asm.R6, trialPID, asm.Word)}
		},
		Comm: func(at int) asm.Instructions {
			return asm.Instructions{
				asm.LoadMem(asm.R0, asm.R6, trialComm, asm.DWord), asm.StoreMem(asm.RFP, int16(at), asm.R0, asm.DWord),
				asm.LoadMem(asm.R0, asm.R6, trialComm+8, asm.DWord), asm.StoreMem(asm.RFP, int16(at)+8, asm.R0, asm.DWord),
			}
		},
	}
	out := asm.Instructions{
		asm.LoadMapValue(asm.R6, io, 0),
		asm.Mov.Reg(asm.R7, asm.R6), asm.Add.Imm(asm.R7, trialRecord),
		asm.Mov.Imm(asm.R9, 0),
	}
	for i := range 1 + f.Emits {
		out = append(out, code.StoreConst(asm.RFP, emits+8*i, 0))
	}
	body, err := f.Write(place)
	if err != nil {
		return nil, err
	}
	out = append(out, body...)
	out = append(out,
		asm.Mov.Imm(asm.R1, 1).WithSymbol("accept"), asm.Ja.Label("end"),
		asm.Mov.Imm(asm.R1, 0).WithSymbol("reject"), asm.Ja.Label("end"),
		asm.LSh.Imm(asm.R1, 8).WithSymbol("fault"),
		asm.StoreMem(asm.R6, trialVerdict, asm.R1, asm.DWord).WithSymbol("end"),
		asm.StoreMem(asm.R6, trialLeft, asm.R9, asm.DWord),
	)
	for i := range 1 + f.Emits {
		out = append(out, asm.LoadMem(asm.R1, asm.RFP, int16(emits+8*i), asm.DWord), asm.StoreMem(asm.R6, int16(trialEmits+8*i), asm.R1, asm.DWord))
	}
	return bpf.Prune(append(out, asm.Mov.Imm(asm.R0, 0), asm.Return())), nil
}

// run has the program decide r, which budget is that of p.
func (b *bpfTrial) run(p *Program, r *perfpipe.Record) (outcome, error) {
	v := b.value
	clear(v[:trialRecord])
	binary.LittleEndian.PutUint32(v[trialCPU:], uint32(r.CPU))
	binary.LittleEndian.PutUint32(v[trialPID:], uint32(r.PID))
	copy(v[trialComm:trialComm+15], r.Comm)
	binary.LittleEndian.PutUint64(v[trialRecord:], uint64(r.Time))
	n := copy(v[trialRecord+8:], r.Raw)
	clear(v[trialRecord+8+n : min(trialRecord+8+n+64, len(v))])
	if err := b.io.Put(uint32(0), v); err != nil {
		return outcome{}, err
	}
	if _, err := b.prog.Run(&ebpf.RunOptions{}); err != nil {
		return outcome{}, fmt.Errorf("run program: %w", err)
	}
	runtime.KeepAlive(b)
	if err := b.io.Lookup(uint32(0), v); err != nil {
		return outcome{}, err
	}
	verdict := binary.LittleEndian.Uint64(v[trialVerdict:])
	out := outcome{ok: verdict == 1, fault: Fault(verdict >> 8)}
	if out.fault != 0 {
		out.ok = p.onFault
	} else {
		out.mask = binary.LittleEndian.Uint64(v[trialEmits:])
		for i := range b.emits {
			out.emits[i] = binary.LittleEndian.Uint64(v[trialEmits+8+8*i:])
		}
	}
	if p.body != nil && b.left {
		out.used = p.budget - int(int64(binary.LittleEndian.Uint64(v[trialLeft:])))
	}
	return out, nil
}

// inProcess is what the evaluator says.
func inProcess(p *Program, r *perfpipe.Record) outcome {
	ok, fault := p.Match(r)
	out := outcome{ok: ok, fault: fault, used: p.Used()}
	for i, e := range p.Emits() {
		v, has := uint64(0), false
		if e.Type != "string" {
			v, has = p.EmittedInt(i)
		}
		if has {
			out.mask |= 1 << i
			out.emits[i] = v
		}
	}
	for i := range out.emits {
		if out.mask>>i&1 == 0 {
			out.emits[i] = 0
		}
	}
	return out
}

// compareBPF runs p on records in the kernel and in process, one after the other, and
// fails where they differ. It returns why there is no code, nil where there is.
func compareBPF(t testing.TB, p *Program, records []*perfpipe.Record) error {
	t.Helper()
	return compareBPFAs(t, p, records, trialMode{left: true})
}

func compareBPFAs(t testing.TB, p *Program, records []*perfpipe.Record, mode trialMode) error {
	t.Helper()
	f, err := p.BPF()
	if err != nil {
		return err
	}
	mem, err := newBPFMemory(f.Memory, f.Text)
	defer mem.close()
	if err != nil {
		t.Fatal(err)
	}
	size := p.schema.Size
	for _, r := range records {
		size = max(size, len(r.Raw))
	}
	b, err := newBPFTrial(t, f, mem, size, mode)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer b.close()
	for i, r := range records {
		if len(r.Raw) < p.schema.Size {
			continue // a program in the kernel makes none of these
		}
		want := inProcess(p, r)
		if !mode.left {
			want.used = 0
		}
		if mode.seen != nil {
			mode.seen(want)
		}
		got, err := b.run(p, r)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%s\n%s\nrecord %d (%x): the kernel says %+v, want %+v", p.source, p.IR(), i, r.Raw, got, want)
		}
	}
	return nil
}

func TestBPFSameAsInProcess(t *testing.T) {
	testpriv.Need(t)
	s := randomSchema()
	for _, src := range []string{
		"a == 1", "a > 5 && b < 7 || !(u8 & 3)", "s64 < u64", "u64 > s8", "u64 == a", "a in {1, 3..9, -4}", "a / b == 2", "a % b == 1", "u64 / u8 > 4", "s64 << u8 == 4",
		"s8 >> (u8 & 7) < 0", "abs(a) > 3", "min(a, b) == a", "max(u8, u16) == u8", "popcount(u64) > 30", "log2(u64) == 62", "ntohs(u16) == 1", "ntohl(u32) < 9", "bswap(u64) > 5", "hash(a) & 1",
		"saddr[a] == 0", "(s8)u64 < 0", "(u16)(a + b) > 100", "sample(1/3)", "$cpu == 1", "$tid == 0 || $pid > 3", "a == 1 ? b > 2 : u8 == 0",
		"percpu state u32 n; { n += 1; return n % 3 == 0; }",
		"state s8 n = 5; { n -= a; return n > 0; }",
		"map<tid, u64> m[4]; { m[a] += u8; if (m[a] > 10) { delete m[a]; return true; } emit u64 x = m[a]; return b > 0; }",
		"s32 f(s32 x) { if (x < 0) return (s32)(0 - x); return x; } { u64 sum = 0; for (i = 0; i < u8 max 7; i++) { if (i == 5) continue; sum += f(a) + i; } if (b > 0) { emit u64 total = sum; } return sum > 9; }",
		"delta(a) > 3", "changed(u8)", "rate(2, 1)",
	} {
		p, err := Compile(src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		w := &writer{r: rand.New(rand.NewPCG(7, 7))}
		var list []*perfpipe.Record
		for range 60 {
			r := w.plainRecord(s)
			r.Time = int64(len(list)) * 300_000
			r.CPU = uint16(w.r.IntN(4))
			list = append(list, r)
		}
		if err := compareBPF(t, p, list); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}
