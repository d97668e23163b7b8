package symbols

import (
	"debug/elf"
	"fmt"
	"io"
)

// FileOffset returns where in the file the byte at virtual address vaddr is, through
// the segment (PT_LOAD) that holds it; false where none does.
func (f *File) FileOffset(vaddr uint64) (uint64, bool) {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && vaddr >= p.Vaddr && vaddr-p.Vaddr < p.Filesz {
			return vaddr - p.Vaddr + p.Off, true
		}
	}
	return 0, false
}

// Vaddr returns the virtual address of the byte at offset off of the file, as the
// file was linked; false where no segment loads it. Where two segments map one page
// of the file, the executable one counts.
func (f *File) Vaddr(off uint64) (uint64, bool) {
	var found uint64
	var ok bool
	for _, p := range f.elf.Progs {
		if p.Type != elf.PT_LOAD || off < p.Off || off-p.Off >= p.Filesz {
			continue
		}
		if p.Flags&elf.PF_X != 0 {
			return off - p.Off + p.Vaddr, true
		}
		if !ok {
			found, ok = off-p.Off+p.Vaddr, true
		}
	}
	return found, ok
}

// Code returns the bytes of fn, from the executable file. A function whose symbol
// says no size ends where the next one begins.
func (f *File) Code(fn Func) ([]byte, error) {
	size := fn.Size
	if size == 0 {
		var err error
		if size, err = f.extent(fn.Addr); err != nil {
			return nil, fmt.Errorf("read code of %s: %w", fn.Name, err)
		}
	}
	for _, p := range f.elf.Progs {
		if p.Type != elf.PT_LOAD || fn.Addr < p.Vaddr || fn.Addr-p.Vaddr >= p.Filesz {
			continue
		}
		at := fn.Addr - p.Vaddr
		left := min(p.Filesz-at, uint64(f.size))
		if size > left {
			return nil, fmt.Errorf("read code of %s: its %d bytes at 0x%x leave the segment", fn.Name, size, fn.Addr)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(io.NewSectionReader(p, int64(at), int64(size)), b); err != nil {
			return nil, fmt.Errorf("read code of %s from %s: %w", fn.Name, f.path, err)
		}
		return b, nil
	}
	return nil, fmt.Errorf("read code of %s: %s has no code at 0x%x", fn.Name, f.path, fn.Addr)
}

// clip returns the segment's end for addr, and whether addr can be a function's.
func (f *File) clip(addr uint64) (end uint64, ok bool) {
	for _, s := range f.exec {
		if s.holds(addr) {
			return s.hi, !inAny(f.plt, addr)
		}
	}
	return 0, false
}

func inAny(spans []span, addr uint64) bool {
	for _, s := range spans {
		if s.holds(addr) {
			return true
		}
	}
	return false
}
