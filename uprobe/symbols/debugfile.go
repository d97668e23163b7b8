package symbols

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// debugFile finds and opens the separate debug file, once; nil where there is none.
func (f *File) debugFile() *File {
	if f.debugDone || f.o.NoDebug {
		return f.debug
	}
	f.debugDone = true
	f.debug = f.findDebug()
	return f.debug
}

// DebugPath returns the path of the separate debug file, below [Options.Root], ""
// where none was found.
func (f *File) DebugPath() string {
	if d := f.debugFile(); d != nil {
		return d.path
	}
	return ""
}

func (f *File) findDebug() *File {
	// As gdb does: "Debugging Information in Separate Files".
	if id := f.buildID; len(id) > 2 {
		for _, dir := range f.o.debugDirs() {
			name := path.Join(dir, ".build-id", id[:2], id[2:]+".debug")
			if d := f.tryDebug(name, f.sameBuildID); d != nil {
				return d
			}
		}
	}
	name, sum, ok := f.debugLink()
	if !ok {
		return nil
	}
	for _, own := range f.folders() {
		places := []string{path.Join(own, name), path.Join(own, ".debug", name)}
		for _, dir := range f.o.debugDirs() {
			places = append(places, path.Join(dir, own, name))
		}
		for _, p := range places {
			if d := f.tryDebug(p, sameSum(sum)); d != nil {
				return d
			}
		}
	}
	return nil
}

// folders are where the file is: by the path that it was opened by, and, below root
// as well, with links followed (/lib is a link to /usr/lib, and packages know one).
func (f *File) folders() []string {
	own, err := filepath.Abs(f.path)
	if err != nil {
		return []string{path.Dir(f.path)}
	}
	dirs := []string{path.Dir(filepath.ToSlash(own))}
	real, err := resolve(f.o.Root, own)
	if err != nil {
		return dirs
	}
	if root := f.o.Root; root == "" || root == "/" {
		if real, err = filepath.EvalSymlinks(own); err != nil {
			return dirs
		}
	} else {
		real = path.Join("/", strings.TrimPrefix(filepath.ToSlash(real), filepath.ToSlash(filepath.Clean(root))))
	}
	if d := path.Dir(filepath.ToSlash(real)); d != dirs[0] {
		dirs = append(dirs, d)
	}
	return dirs
}

// tryDebug opens a debug file that check accepts.
func (f *File) tryDebug(name string, check func(*File) error) *File {
	if name == f.path {
		return nil
	}
	o := f.o
	o.NoDebug = true
	o.Machine = f.elf.Machine
	d, err := Open(name, o)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			f.debugMissing = append(f.debugMissing, name)
		} else {
			f.debugNote = append(f.debugNote, strings.TrimPrefix(err.Error(), "open "))
		}
		return nil
	}
	if err := check(d); err != nil {
		f.debugNote = append(f.debugNote, fmt.Sprintf("%s: %v", name, err))
		_ = d.Close()
		return nil
	}
	return d
}

func (f *File) sameBuildID(d *File) error {
	if d.buildID == f.buildID {
		return nil
	}
	return fmt.Errorf("its build id is %q, not %q", d.buildID, f.buildID)
}

// sameSum checks a debug file against the checksum of .gnu_debuglink.
func sameSum(want uint32) func(*File) error {
	return func(d *File) error {
		h := crc32.NewIEEE()
		if _, err := io.Copy(h, io.NewSectionReader(d.r, 0, d.size)); err != nil {
			return err
		}
		if got := h.Sum32(); got != want {
			return fmt.Errorf("its checksum is %08x, not %08x: it belongs to another build", got, want)
		}
		return nil
	}
}

// debugLink reads .gnu_debuglink: the name of a debug file, and its CRC-32.
func (f *File) debugLink() (name string, sum uint32, ok bool) {
	s := f.elf.Section(".gnu_debuglink")
	if s == nil || s.FileSize > 1<<16 {
		return "", 0, false
	}
	b, err := sectionData(s)
	if err != nil {
		return "", 0, false
	}
	return parseDebugLink(b, f.elf.ByteOrder)
}

// parseDebugLink reads a file name, its NUL, padding to four bytes and the checksum.
func parseDebugLink(b []byte, order binary.ByteOrder) (name string, sum uint32, ok bool) {
	n := bytes.IndexByte(b, 0)
	at := (n + 4) &^ 3
	if n <= 0 || at+4 > len(b) || bytes.IndexByte(b[:n], '/') >= 0 {
		return "", 0, false
	}
	return string(b[:n]), order.Uint32(b[at:]), true
}

// DWARF returns the debugging information: the file's own, else its debug file's. The
// error says what was looked for, and where.
func (f *File) DWARF() (*dwarf.Data, error) {
	if !f.dwarfDone {
		f.dwarfDone = true
		f.dwarf, f.dwarfErr = f.readDWARF()
	}
	return f.dwarf, f.dwarfErr
}

func (f *File) readDWARF() (*dwarf.Data, error) {
	from := f
	if !hasDWARF(f.elf) {
		if from = f.debugFile(); from == nil || !hasDWARF(from.elf) {
			return nil, fmt.Errorf("no debugging information for %s: %s", f.path, f.lookedFor())
		}
	}
	if err := saneDWARF(from); err != nil {
		return nil, fmt.Errorf("read debugging information of %s: %w", from.path, err)
	}
	d, err := from.elf.DWARF()
	if err != nil {
		return nil, fmt.Errorf("read debugging information of %s: %w", from.path, err)
	}
	return d, nil
}

func hasDWARF(e *elf.File) bool {
	for _, s := range e.Sections {
		if (s.Name == ".debug_info" || s.Name == ".zdebug_info") && s.Type != elf.SHT_NOBITS && s.FileSize > 0 {
			return true
		}
	}
	return false
}

// maxPacked is how many times smaller than its contents a compressed section may be:
// zlib cannot do more than 1032.
const maxPacked = 1100

// saneDWARF refuses sections that claim to unpack to more than can be: debug/elf
// allocates what they claim.
func saneDWARF(f *File) error {
	for _, s := range f.elf.Sections {
		size := s.Size
		if strings.HasPrefix(s.Name, ".zdebug_") {
			var head [12]byte
			if _, err := s.ReadAt(head[:], 0); err == nil && string(head[:4]) == "ZLIB" {
				size = binary.BigEndian.Uint64(head[4:])
			}
		}
		if s.Type != elf.SHT_NOBITS && size/maxPacked > uint64(f.size) {
			return fmt.Errorf("damaged: %s claims %d bytes", s.Name, size)
		}
	}
	return nil
}

// lookedFor says where a debug file was looked for.
func (f *File) lookedFor() string {
	switch {
	case f.o.NoDebug:
		return "the file has none, and separate debug files are turned off"
	case f.debug != nil:
		return f.debug.path + " has none either"
	case f.searched() != "":
		return "the file has none; looked for " + f.searched() + "; install the package's debug symbols"
	}
	return "the file has none, and neither a build id nor a .gnu_debuglink that says where it is; compile it with -g"
}

// searched lists the places of the debug file: what is wrong with those that are
// there, and of the others the first, which goes by build id where there is one.
func (f *File) searched() string {
	list := slices.Clone(f.debugNote)
	switch n := len(f.debugMissing); {
	case n == 1:
		list = append(list, f.debugMissing[0])
	case n > 1:
		list = append(list, fmt.Sprintf("%s and %d other names", f.debugMissing[0], n-1))
	}
	return strings.Join(list, "; ")
}

// exists reports whether a regular file is at name below root.
func exists(root, name string) (os.FileInfo, bool) {
	real, err := resolve(root, name)
	if err != nil {
		return nil, false
	}
	st, err := os.Stat(real)
	return st, err == nil && st.Mode().IsRegular()
}
