package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
)

// load reads the symbol tables, once.
func (f *File) load() {
	if f.loaded {
		return
	}
	f.loaded = true
	full := f.add(SourceSymtab, func() (*table, error) { return readTable(f.elf, elf.SHT_SYMTAB, SourceSymtab) })
	f.add(SourceDynsym, func() (*table, error) { return readTable(f.elf, elf.SHT_DYNSYM, SourceDynsym) })
	if full {
		return
	}
	if f.add(SourceDebugFile, f.debugTable) {
		return
	}
	f.add(SourceMini, f.miniTable)
	f.add(SourcePclntab, f.goTable)
}

// add reads one table, and reports whether there is one.
func (f *File) add(name string, read func() (*table, error)) bool {
	t, err := read()
	if err == nil && t.len() > 0 {
		f.tables = append(f.tables, t)
		return true
	}
	if err != nil && !errors.Is(err, errNoTable) {
		f.loadNote = append(f.loadNote, fmt.Sprintf("%s: %v", name, err))
	}
	return false
}

func (f *File) debugTable() (*table, error) {
	d := f.debugFile()
	if d == nil {
		return nil, errNoTable
	}
	return readTable(d.elf, elf.SHT_SYMTAB, SourceDebugFile)
}

// each calls yield with every function symbol of every table, the symbol's number
// in its table beside it, until it returns false.
func (f *File) each(yield func(t *table, i int, s sym) bool) {
	f.load()
	for _, t := range f.tables {
		n := t.len()
		for i := range n {
			s, ok := t.at(i)
			if !ok {
				continue
			}
			end, ok := f.clip(s.addr)
			if !ok {
				continue
			}
			// A damaged size would reach beyond the code.
			s.size = min(s.size, end-s.addr)
			if !yield(t, i, s) {
				return
			}
		}
	}
}
