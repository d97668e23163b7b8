package symbols

import (
	"debug/elf"
	"debug/gosym"
	"encoding/binary"
	"errors"
	"strings"
)

// goTable makes a symbol table of .gopclntab, which is there in stripped files too.
func (f *File) goTable() (*table, error) {
	lt, err := f.goLines()
	if err != nil {
		return nil, err
	}
	gt, err := gosym.NewTable(nil, lt)
	if err != nil {
		return nil, err
	}
	t := &table{source: SourcePclntab, order: binary.LittleEndian, wide: true, strs: []byte{0}}
	t.syms = make([]byte, 0, 24*len(gt.Funcs))
	for i := range gt.Funcs {
		fn := &gt.Funcs[i]
		if fn.Sym == nil || fn.Name == "" || fn.End < fn.Entry {
			continue
		}
		var b [24]byte
		binary.LittleEndian.PutUint32(b[:], uint32(len(t.strs)))
		b[4] = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC)
		binary.LittleEndian.PutUint16(b[6:], 1)
		binary.LittleEndian.PutUint64(b[8:], fn.Entry)
		binary.LittleEndian.PutUint64(b[16:], fn.End-fn.Entry)
		t.syms = append(t.syms, b[:]...)
		t.strs = append(append(t.strs, fn.Name...), 0)
	}
	return t, nil
}

// GoLines returns Go's table of functions, files and lines, by address: its PCToLine
// needs no DWARF. The error says why there is none.
func (f *File) GoLines() (*gosym.Table, error) {
	lt, err := f.goLines()
	if err != nil {
		return nil, err
	}
	return gosym.NewTable(nil, lt)
}

func (f *File) goLines() (*gosym.LineTable, error) {
	s := f.pclntab()
	if s == nil {
		return nil, errNoTable
	}
	b, err := sectionData(s)
	if err != nil {
		return nil, err
	}
	if !sanePclntab(b, f.elf.ByteOrder) {
		return nil, errors.New("damaged, or of a version of Go that is not known here")
	}
	return gosym.NewLineTable(b, f.goText(b)), nil
}

// pclntab finds the section: ".gopclntab", ".data.rel.ro.gopclntab" in PIE of older
// Go.
func (f *File) pclntab() *elf.Section {
	for _, s := range f.elf.Sections {
		if strings.HasSuffix(s.Name, ".gopclntab") {
			return s
		}
	}
	return nil
}

// sanePclntab checks that the table can hold as many functions as it claims:
// debug/gosym allocates for what it claims.
func sanePclntab(b []byte, order binary.ByteOrder) bool {
	if len(b) < 8+3*8 || b[4] != 0 || b[5] != 0 || (b[7] != 4 && b[7] != 8) {
		return false
	}
	var n uint64
	if b[7] == 8 {
		n = order.Uint64(b[8:])
	} else {
		n = uint64(order.Uint32(b[8:]))
	}
	return n < uint64(len(b))/8
}

// goText returns the address of runtime.text, to which the tables of Go 1.18 and
// newer are relative. With C code in the file it is not the beginning of .text.
func (f *File) goText(pclntab []byte) uint64 {
	var start, end uint64
	if s := f.elf.Section(".text"); s != nil {
		start, end = s.Addr, s.Addr+s.Size
	}
	if a, ok := f.symbolAddr("runtime.text"); ok {
		return a
	}
	ptr, order := int(pclntab[7]), f.elf.ByteOrder
	// Go 1.18 to 1.25 have it in the header, relocated in PIE (the section then holds
	// 0); Go 1.26 in runtime.moduledata alone, which has a section of its own.
	if a := word(pclntab[8+2*ptr:], ptr, order); a > start && a < end {
		return a
	}
	if a := f.moduleText(ptr); a > start && a < end {
		return a
	}
	return start
}

func word(b []byte, size int, order binary.ByteOrder) uint64 {
	if len(b) < size {
		return 0
	}
	if size == 8 {
		return order.Uint64(b)
	}
	return uint64(order.Uint32(b))
}

// moduleText reads moduledata.text (runtime/symtab.go): behind pcHeader, six slices,
// findfunctab, minpc and maxpc. In PIE it is the addend of the relocation there.
func (f *File) moduleText(ptr int) uint64 {
	s := f.elf.Section(".go.module")
	if s == nil {
		return 0
	}
	at := uint64((1 + 6*3 + 3) * ptr)
	b := make([]byte, ptr)
	if _, err := s.ReadAt(b, int64(at)); err != nil {
		return 0
	}
	if a := word(b, ptr, f.elf.ByteOrder); a != 0 {
		return a
	}
	return f.relocated(s.Addr + at)
}

// relocated returns the addend of the relocation of the word at addr, which is what
// the loader writes there; 0 where there is none.
func (f *File) relocated(addr uint64) uint64 {
	s := f.elf.Section(".rela.dyn")
	if s == nil || f.elf.Class != elf.ELFCLASS64 {
		return 0
	}
	b, err := sectionData(s)
	if err != nil {
		return 0
	}
	for ; len(b) >= 24; b = b[24:] {
		if f.elf.ByteOrder.Uint64(b) == addr {
			return f.elf.ByteOrder.Uint64(b[16:])
		}
	}
	return 0
}

// symbolAddr finds a symbol of any type in .symtab.
func (f *File) symbolAddr(name string) (uint64, bool) {
	t, err := readTable(f.elf, elf.SHT_SYMTAB, SourceSymtab)
	if err != nil || !t.wide {
		return 0, false
	}
	for i := range t.len() {
		b := t.syms[i*24:]
		if t.is(t.order.Uint32(b), name) {
			return t.order.Uint64(b[8:]), true
		}
	}
	return 0, false
}
