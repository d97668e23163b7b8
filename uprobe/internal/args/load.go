package args

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// sections are those of DWARF that names and types are read from. The large rest, line
// tables and locations, stays on disk: in libc's debug file, whose sections are
// compressed, it is more than half of the time.
var sections = [...]string{"addr", "line_str", "str_offsets", "rnglists"}

// Load reads as much of a file's DWARF as [Resolve] and [Params] need; it has no line
// tables. It returns nil where the file has no debug information. f may be closed
// afterwards. Files that want relocating first, those of the compiler (ET_REL), are
// left to [elf.File.DWARF].
func Load(f *elf.File) (*dwarf.Data, error) {
	if f.Type == elf.ET_REL {
		return f.DWARF()
	}
	var types [][]byte
	more := map[string][]byte{}
	read := func(s *elf.Section) ([]byte, error) {
		b, err := s.Data()
		if err != nil {
			return nil, fmt.Errorf("read the section %s: %w", s.Name, err)
		}
		return b, nil
	}
	for _, s := range f.Sections {
		name, ok := strings.CutPrefix(s.Name, ".debug_")
		if !ok {
			name, ok = strings.CutPrefix(s.Name, ".zdebug_")
		}
		switch {
		case !ok, s.Type == elf.SHT_NOBITS:
		case name == "types":
			b, err := read(s)
			if err != nil {
				return nil, err
			}
			types = append(types, b)
		case name == "abbrev", name == "info", name == "str", name == "ranges", slices.Contains(sections[:], name):
			b, err := read(s)
			if err != nil {
				return nil, err
			}
			more[name] = b
		}
	}
	if len(more["info"]) == 0 {
		return nil, nil
	}
	d, err := dwarf.New(more["abbrev"], nil, nil, more["info"], nil, nil, more["ranges"], more["str"])
	if err != nil {
		return nil, fmt.Errorf("read the debug information: %w", err)
	}
	for i, b := range types {
		if err := d.AddTypes(fmt.Sprintf("types-%d", i), b); err != nil {
			return nil, fmt.Errorf("read the section .debug_types: %w", err)
		}
	}
	for _, name := range sections {
		if err := d.AddSection(".debug_"+name, more[name]); err != nil {
			return nil, fmt.Errorf("read the section .debug_%s: %w", name, err)
		}
	}
	return d, nil
}
