package perfev

import (
	"bytes"
	"encoding/binary"
	"os"

	"github.com/perfpipe/perfpipe/perfev/internal/maps"
	"github.com/perfpipe/perfpipe/perfev/internal/unwind"
)

const (
	// userRegs are the registers of PERF_SAMPLE_REGS_USER: ax, bx, cx, dx, si, di, bp,
	// sp, ip and r8 to r15 (enum perf_event_x86_regs, arch/x86/include/uapi/asm/perf_regs.h).
	userRegs = 0xff01ff
	// abi64 is PERF_SAMPLE_REGS_ABI_64.
	abi64 = 2
	// regIP is the place of ip among them.
	regIP = 8
	// defaultFrames is what the kernel's own chains have at most
	// (PERF_MAX_STACK_DEPTH).
	defaultFrames = 127
	// maxTables bounds the files whose call frame information is kept.
	maxTables = 512
)

// dwarfRegs are the DWARF numbers of userRegs, in the order of the sample.
var dwarfRegs = [...]int{0, 3, 2, 1, 4, 5, 6, 7, 16, 8, 9, 10, 11, 12, 13, 14, 15}

// unwinder finds the callers in copied stacks.
type unwinder struct {
	walker *unwind.Walker
	maps   *maps.Table
	tables map[*maps.File]*unwind.Table
	most   int
	// Of the sample at hand.
	stack unwind.Stack
	pid   int32
	now   int64
	space *maps.Space
	addrs []uint64
}

func newUnwinder(m *maps.Table, most int) *unwinder {
	if most == 0 {
		most = defaultFrames
	}
	return &unwinder{walker: unwind.NewWalker(), maps: m, most: most, tables: make(map[*maps.File]*unwind.Table)}
}

// walk returns the process's part of a sample's chain, valid until the next one. A
// task without user mode has none; of a 32-bit process it is the place alone.
func (u *unwinder) walk(v sampleView, pid int32, at int64) []uint64 {
	if len(v.regs) < len(dwarfRegs)*8 {
		return nil
	}
	var rg unwind.Regs
	for i, d := range dwarfRegs {
		rg[d] = binary.LittleEndian.Uint64(v.regs[i*8:])
	}
	if v.abi != abi64 {
		u.addrs = append(u.addrs[:0], binary.LittleEndian.Uint64(v.regs[regIP*8:]))
		return u.addrs
	}
	u.stack = unwind.Stack{Base: rg[7], Data: v.stack}
	u.pid, u.now, u.space = pid, at, u.maps.Of(pid, at)
	if _, ok := u.space.Find(rg[16]); !ok {
		// The process runs this very code: something was not told.
		u.space, _ = u.maps.Again(pid, at)
	}
	u.addrs = u.walker.Walk(u.addrs[:0], rg, &u.stack, u, u.most)
	return u.addrs
}

// Module implements [unwind.Modules].
func (u *unwinder) Module(addr uint64) (t *unwind.Table, offset uint64, mapped bool) {
	m, ok := u.space.Find(addr)
	if !ok {
		return nil, 0, false
	}
	offset = addr - m.Start + m.Offset
	f := u.maps.Resolve(u.pid, m)
	t, known := u.tables[f]
	if !known {
		if len(u.tables) >= maxTables {
			clear(u.tables)
		}
		t = u.read(*m, f)
		u.tables[f] = t
	}
	return t, offset, true
}

// read reads the call frame information of a mapped file, nil where it has none.
func (u *unwinder) read(m maps.Mapping, f *maps.File) *unwind.Table {
	switch {
	case f.Path == maps.VDSO:
		return vdso()
	case f.Kind == 0, f.Inode == 0 && f.BuildID == "":
		return nil
	}
	file, err := maps.Open(u.pid, m)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	t, err := unwind.Read(file)
	if err != nil {
		return nil
	}
	return t
}

// vdso reads the vdso from this process: it is the same in every 64-bit one.
func vdso() *unwind.Table {
	for _, r := range maps.ReadProc(int32(os.Getpid())) {
		if r.Path != maps.VDSO {
			continue
		}
		mem, err := os.Open("/proc/self/mem")
		if err != nil {
			return nil
		}
		defer func() { _ = mem.Close() }()
		b := make([]byte, r.Size)
		if _, err := mem.ReadAt(b, int64(r.Start)); err != nil {
			return nil
		}
		t, err := unwind.Read(bytes.NewReader(b))
		if err != nil {
			return nil
		}
		return t
	}
	return nil
}
