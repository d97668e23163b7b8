// Package unwind finds who called whom from a copy of a stack, by what binaries say
// of their frames in .eh_frame: the call frame information of DWARF 5, section 6.4,
// as the Linux Standard Base has it. It knows x86-64 alone.
//
// github.com/go-delve/delve/pkg/dwarf/frame was looked at for this: it panics on
// input that is cut off, and DW_CFA_restore loses the rule of the register, which
// every function that pops registers early needs.
package unwind

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// maxEHFrame bounds what is read of a file, in bytes; Chromium's is 30 MB.
const maxEHFrame = 256 << 20

// Table is the call frame information of one file. It is read-only once made.
type Table struct {
	loads []load
	fdes  []fde
}

// load is a PT_LOAD: where bytes of the file are in its address space.
type load struct {
	offset, size, addr uint64
}

// cie is a Common Information Entry: what several functions share.
type cie struct {
	code uint64
	data int64
	// ra is the column of the return address, enc how addresses are encoded.
	ra   uint64
	init []byte
	enc  uint8
	// sized: FDEs have augmentation data; signal: it is a signal's frame.
	sized, signal bool
}

// fde is a Frame Description Entry: one function.
type fde struct {
	begin, end uint64
	program    []byte
	cie        *cie
}

// errNone says that a file has no call frame information.
var errNone = errors.New("the file has no .eh_frame")

// Read takes the call frame information from an ELF file of x86-64.
func Read(r io.ReaderAt) (*Table, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	if f.Machine != elf.EM_X86_64 || f.ByteOrder.String() != "LittleEndian" {
		return nil, fmt.Errorf("unwind through a file for %v: only x86-64 is known", f.Machine)
	}
	s := f.Section(".eh_frame")
	if s == nil || s.Type == elf.SHT_NOBITS || s.FileSize > maxEHFrame {
		return nil, errNone
	}
	b, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("read .eh_frame: %w", err)
	}
	t := parse(b, s.Addr)
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			t.loads = append(t.loads, load{offset: p.Off, size: p.Filesz, addr: p.Vaddr})
		}
	}
	return t, nil
}

// addr is the address in the file's own space of what stands at offset in it.
func (t *Table) addr(offset uint64) (uint64, bool) {
	for _, l := range t.loads {
		if offset-l.offset < l.size {
			return offset - l.offset + l.addr, true
		}
	}
	return 0, false
}

// parse reads the entries of .eh_frame, b, which is mapped at addr. What it does
// not understand it passes over.
func parse(b []byte, addr uint64) *Table {
	t := &Table{}
	cies := make(map[uint64]*cie)
	r := reader{b: b, at: addr}
	for len(r.b) >= 4 {
		start := r.at
		n := uint64(r.u32())
		if n == 0 {
			continue // the end, or where the linker put several together
		}
		if n == 0xffffffff {
			n = r.u64()
		}
		idAt := r.at
		e := reader{at: idAt}
		e.b = r.next(n)
		if r.bad {
			break
		}
		id := uint64(e.u32())
		if id == 0 {
			if c, ok := parseCIE(e); ok {
				cies[start] = c
			}
			continue
		}
		c := cies[idAt-id]
		if c == nil {
			continue
		}
		if f, ok := parseFDE(e, c); ok {
			t.fdes = append(t.fdes, f)
		}
	}
	slices.SortFunc(t.fdes, func(a, b fde) int {
		switch {
		case a.begin < b.begin:
			return -1
		case a.begin > b.begin:
			return 1
		}
		return 0
	})
	return t
}

func parseCIE(r reader) (*cie, bool) {
	c := &cie{}
	version := r.u8()
	aug := r.text()
	if version == 4 {
		r.next(2) // sizes of addresses and segment selectors
	}
	c.code, c.data = r.uleb(), r.sleb()
	if version == 1 {
		c.ra = uint64(r.u8())
	} else {
		c.ra = r.uleb()
	}
	if aug != "" {
		if aug[0] != 'z' {
			return nil, false
		}
		c.sized = true
		n := r.uleb()
		d := reader{at: r.at}
		d.b = r.next(n)
		for _, a := range aug[1:] {
			switch a {
			case 'L':
				d.u8()
			case 'P':
				if _, ok := d.pointer(d.u8() &^ 0x80); !ok {
					return nil, false
				}
			case 'R':
				c.enc = d.u8()
			case 'S':
				c.signal = true
			case 'B':
			default:
				return nil, false
			}
		}
		if d.bad {
			return nil, false
		}
	}
	c.init = r.b
	return c, !r.bad && c.ra == regRA
}

func parseFDE(r reader, c *cie) (f fde, ok bool) {
	begin, ok1 := r.pointer(c.enc)
	size, ok2 := r.pointer(c.enc & 0x0f)
	if c.sized {
		r.next(r.uleb())
	}
	if !ok1 || !ok2 || r.bad || size == 0 || begin+size < begin || begin == 0 {
		return f, false
	}
	return fde{begin: begin, end: begin + size, program: r.b, cie: c}, true
}

// find returns the function at an address of the file's own space.
func (t *Table) find(addr uint64) (*fde, bool) {
	i := sort.Search(len(t.fdes), func(i int) bool { return t.fdes[i].begin > addr }) - 1
	if i < 0 || addr >= t.fdes[i].end {
		return nil, false
	}
	return &t.fdes[i], true
}
