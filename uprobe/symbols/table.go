package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Sources of functions, as [Func.Source] has them.
const (
	SourceSymtab    = ".symtab"
	SourceDynsym    = ".dynsym"
	SourceDebugFile = "debug file"
	SourceMini      = ".gnu_debugdata"
	SourcePclntab   = ".gopclntab"
)

// typeIFunc is STT_GNU_IFUNC of elf.h.
const typeIFunc = 10

// table is a symbol table as it is in the file: symbols are decoded when they are
// asked for, as one of 150,000 is wanted and a string for each costs more than all
// the rest.
type table struct {
	source string
	syms   []byte
	strs   []byte
	vers   []byte // .gnu.version, two bytes a symbol; nil without versions
	names  map[uint16]string
	order  binary.ByteOrder
	wide   bool // ELFCLASS64
	arm    bool // bit 0 of an address says Thumb
}

// sym is a symbol that is a function of this file.
type sym struct {
	addr, size uint64
	name       uint32
	info       uint8
}

func (s sym) ifunc() bool { return s.info&0xf == typeIFunc }

// entrySize is the size of Elf64_Sym or Elf32_Sym.
func (t *table) entrySize() int {
	if t.wide {
		return 24
	}
	return 16
}

func (t *table) len() int { return len(t.syms) / t.entrySize() }

// at decodes symbol i, false where it is no defined function.
func (t *table) at(i int) (sym, bool) {
	if t.wide {
		b := t.syms[i*24 : i*24+24]
		if typ := b[4] & 0xf; typ != byte(elf.STT_FUNC) && typ != typeIFunc {
			return sym{}, false
		}
		if t.order.Uint16(b[6:]) == uint16(elf.SHN_UNDEF) {
			return sym{}, false
		}
		return sym{name: t.order.Uint32(b), info: b[4], addr: t.addr(t.order.Uint64(b[8:])), size: t.order.Uint64(b[16:])}, true
	}
	b := t.syms[i*16 : i*16+16]
	if typ := b[12] & 0xf; typ != byte(elf.STT_FUNC) && typ != typeIFunc {
		return sym{}, false
	}
	if t.order.Uint16(b[14:]) == uint16(elf.SHN_UNDEF) {
		return sym{}, false
	}
	return sym{name: t.order.Uint32(b), info: b[12], addr: t.addr(uint64(t.order.Uint32(b[4:]))), size: uint64(t.order.Uint32(b[8:]))}, true
}

func (t *table) addr(a uint64) uint64 {
	if t.arm {
		return a &^ 1
	}
	return a
}

// str returns the name at off of the string table, without its NUL; it stays the
// table's. nil where it leaves the table.
func (t *table) str(off uint32) []byte {
	if uint64(off) >= uint64(len(t.strs)) {
		return nil
	}
	b := t.strs[off:]
	if n := bytes.IndexByte(b, 0); n >= 0 {
		return b[:n]
	}
	return nil
}

// is reports whether the name at off is name, or name and a version.
func (t *table) is(off uint32, name string) bool {
	if uint64(off)+uint64(len(name)) >= uint64(len(t.strs)) {
		return false
	}
	b := t.strs[off:]
	if string(b[:len(name)]) != name {
		return false
	}
	return b[len(name)] == 0 || b[len(name)] == '@'
}

// version returns the version of symbol i, "" where it has none, and whether a plain
// name means it.
func (t *table) version(i int) (name string, isDefault bool) {
	if 2*i+2 > len(t.vers) {
		return "", false
	}
	v := t.order.Uint16(t.vers[2*i:])
	// Bit 15 is VERSYM_HIDDEN; 0 and 1 are the local and the global unversioned.
	name = t.names[v&0x7fff]
	return name, name != "" && v&0x8000 == 0
}

// errNoTable: the file has no such table.
var errNoTable = errors.New("none")

// readTable reads the symbol table of type typ of e.
func readTable(e *elf.File, typ elf.SectionType, source string) (*table, error) {
	s := e.SectionByType(typ)
	if s == nil || s.Size == 0 {
		return nil, errNoTable
	}
	if int(s.Link) >= len(e.Sections) {
		return nil, fmt.Errorf("%s has no names", s.Name)
	}
	t := &table{source: source, order: e.ByteOrder, wide: e.Class == elf.ELFCLASS64, arm: e.Machine == elf.EM_ARM}
	var err error
	if t.syms, err = sectionData(s); err != nil {
		return nil, err
	}
	if t.strs, err = sectionData(e.Sections[s.Link]); err != nil {
		return nil, err
	}
	if typ == elf.SHT_DYNSYM {
		t.readVersions(e)
	}
	return t, nil
}

// sectionData reads a section that is kept as it is. Compressed ones are refused: a
// symbol table never is one, and its size could be anything.
func sectionData(s *elf.Section) ([]byte, error) {
	if s.Type == elf.SHT_NOBITS {
		return nil, fmt.Errorf("%s is not in the file", s.Name)
	}
	if s.Flags&elf.SHF_COMPRESSED != 0 {
		return nil, fmt.Errorf("%s is compressed", s.Name)
	}
	b, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, eof(err))
	}
	return b, nil
}

func eof(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends before it")
	}
	return err
}

// readVersions reads .gnu.version and .gnu.version_d (Elf64_Verdef, the same for
// 32 bits). Damaged ones leave symbols without versions.
func (t *table) readVersions(e *elf.File) {
	vs, defs := e.SectionByType(elf.SHT_GNU_VERSYM), e.SectionByType(elf.SHT_GNU_VERDEF)
	if vs == nil || defs == nil || int(defs.Link) >= len(e.Sections) {
		return
	}
	vers, err := sectionData(vs)
	if err != nil {
		return
	}
	b, err := sectionData(defs)
	if err != nil {
		return
	}
	strs, err := sectionData(e.Sections[defs.Link])
	if err != nil {
		return
	}
	t.vers = vers
	t.names = parseVersions(b, strs, e.ByteOrder)
}

// parseVersions returns the versions' names by their index.
func parseVersions(b, strs []byte, order binary.ByteOrder) map[uint16]string {
	names := make(map[uint16]string)
	st := table{strs: strs}
	for len(b) >= 20 {
		flags, ndx := order.Uint16(b[2:]), order.Uint16(b[4:])
		aux, next := order.Uint32(b[12:]), order.Uint32(b[16:])
		// Flag 1 is VER_FLG_BASE: the file's own name.
		if uint64(aux)+8 <= uint64(len(b)) && flags&1 == 0 {
			names[ndx&0x7fff] = string(st.str(order.Uint32(b[aux:])))
		}
		if next < 20 || uint64(next) > uint64(len(b)) {
			break
		}
		b = b[next:]
	}
	return names
}
