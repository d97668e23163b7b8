package symbolize

import (
	"bytes"
	"debug/gosym"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// vdso is the name of the kernel's library that every process has.
const vdso = "[vdso]"

// fileKey tells files apart: by build id, else by the process that saw the path.
type fileKey struct {
	path, buildID string
	pid           int32
}

// image is a file that code was mapped from.
type image struct {
	file  *symbols.File
	info  os.FileInfo
	names map[uint64]string // of functions that were asked for, by address
	lines *lineTable
	goTab *gosym.Table
	// linesDone: lines and goTab were looked for.
	linesDone bool
}

// image opens the file of a frame, once; nil where it cannot be.
func (s *Symbolizer) image(f perfpipe.Frame) *image {
	key := fileKey{path: f.File, buildID: f.BuildID}
	if f.BuildID == "" {
		key.pid = f.PID
	}
	img, ok := s.files[key]
	if !ok {
		img = s.openImage(f)
		s.files[key] = img
	}
	return img
}

func (s *Symbolizer) openImage(f perfpipe.Frame) *image {
	if f.File == vdso {
		file, err := s.openVDSO()
		if err != nil {
			return nil
		}
		return s.keep(file, nil)
	}
	if img := s.held(f); img != nil {
		return img
	}
	for _, c := range s.candidates(f) {
		st, err := os.Stat(filepath.Join(c.o.Root, c.path))
		if err == nil {
			if img := s.known(st); img != nil && (f.BuildID == "" || img.file.BuildID() == f.BuildID) {
				return img
			}
		}
		file, err := symbols.Open(c.path, c.o)
		if err != nil {
			continue
		}
		if f.BuildID != "" && file.BuildID() != f.BuildID {
			_ = file.Close()
			continue
		}
		return s.keep(file, st)
	}
	return nil
}

// Hold opens the file at path now, as Load does, for frames that may only be seen
// after it was deleted. They are told by their build id, so a file without one is
// not held. A file that cannot be opened is left alone.
func (s *Symbolizer) Hold(path string) {
	st, err := os.Stat(path)
	if err != nil || s.known(st) != nil {
		return
	}
	o := s.o.Symbols
	o.Root = ""
	file, err := symbols.Open(path, o)
	if err != nil {
		return
	}
	if file.BuildID() == "" {
		_ = file.Close() // only read from
		return
	}
	s.keep(file, st)
}

// held returns an open image with the build id of f.
func (s *Symbolizer) held(f perfpipe.Frame) *image {
	if f.BuildID == "" {
		return nil
	}
	for _, img := range s.images {
		if img.file.BuildID() == f.BuildID {
			return img
		}
	}
	return nil
}

// known returns the image that is open already: containers and pids share files.
func (s *Symbolizer) known(st os.FileInfo) *image {
	for _, img := range s.images {
		if img.info != nil && os.SameFile(img.info, st) {
			return img
		}
	}
	return nil
}

func (s *Symbolizer) keep(file *symbols.File, st os.FileInfo) *image {
	// Its debug file as well, before the process's root goes away.
	file.DebugPath()
	img := &image{file: file, info: st, names: make(map[uint64]string)}
	s.images = append(s.images, img)
	return img
}

// candidate is a place where a frame's file may be.
type candidate struct {
	path string
	o    symbols.Options
}

// candidates are the places in the order in which they are tried: as the process sees
// them, as we do, and by build id alone.
func (s *Symbolizer) candidates(f perfpipe.Frame) []candidate {
	var all []candidate
	// The kernel appends this to the path of a file that is gone.
	path := strings.TrimSuffix(f.File, " (deleted)")
	if f.PID != 0 {
		dir := filepath.Join(s.o.Proc, strconv.Itoa(int(f.PID)))
		o := s.o.Symbols
		if p := s.process(f.PID); p.root != "" {
			o.Root = p.root
			all = append(all, candidate{path, o})
		}
		// A deleted executable is still there.
		if to, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && strings.TrimSuffix(to, " (deleted)") == path {
			o.Root = ""
			all = append(all, candidate{filepath.Join(dir, "exe"), o})
		}
	}
	all = append(all, candidate{path, s.o.Symbols})
	if id := f.BuildID; len(id) > 2 {
		dirs := s.o.Symbols.DebugDirs
		if dirs == nil {
			dirs = []string{"/usr/lib/debug"}
		}
		for _, d := range dirs {
			// Without .debug: the executable itself, where a distribution keeps it.
			for _, suffix := range []string{"", ".debug"} {
				all = append(all, candidate{filepath.Join(d, ".build-id", id[:2], id[2:]+suffix), s.o.Symbols})
			}
		}
	}
	return all
}

// openVDSO copies the vdso out of this process's memory.
func (s *Symbolizer) openVDSO() (*symbols.File, error) {
	maps, err := os.ReadFile(filepath.Join(s.o.Proc, "self/maps"))
	if err != nil {
		return nil, err
	}
	lo, hi, ok := parseVDSO(string(maps))
	if !ok {
		return nil, errors.New("find the vdso: this process has none")
	}
	mem, err := os.Open(filepath.Join(s.o.Proc, "self/mem"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = mem.Close() }() // only read from
	b := make([]byte, hi-lo)
	if _, err := mem.ReadAt(b, int64(lo)); err != nil {
		return nil, fmt.Errorf("read the vdso: %w", err)
	}
	o := s.o.Symbols
	o.NoDebug = true
	return symbols.OpenReader(bytes.NewReader(b), int64(len(b)), vdso, o)
}

// parseVDSO finds the vdso in /proc/PID/maps.
func parseVDSO(maps string) (lo, hi uint64, ok bool) {
	for line := range strings.Lines(maps) {
		if !strings.HasSuffix(strings.TrimSpace(line), vdso) {
			continue
		}
		var n int
		if n, _ = fmt.Sscanf(line, "%x-%x", &lo, &hi); n == 2 && hi > lo && hi-lo < 1<<24 {
			return lo, hi, true
		}
	}
	return 0, 0, false
}

// find names an offset of the file.
func (img *image) find(off uint64, lines bool) (Symbol, bool) {
	addr, ok := img.file.Vaddr(off)
	if !ok {
		return Symbol{}, false
	}
	start, ok := img.file.Start(addr)
	if !ok {
		return Symbol{}, false
	}
	name, ok := img.names[start]
	if !ok {
		fn, _ := img.file.At(addr)
		if name = fn.Demangled; name == "" {
			name = fn.Name
		}
		img.names[start] = name
	}
	s := Symbol{Name: name, Offset: addr - start}
	if lines {
		s.File, s.Line = img.line(addr)
	}
	return s, true
}

// line returns the source of an address: by Go's own table where there is one, as it
// is smaller than DWARF and never stripped.
func (img *image) line(addr uint64) (string, int) {
	if !img.linesDone {
		img.linesDone = true
		if t, err := img.file.GoLines(); err == nil {
			img.goTab = t
		} else if d, err := img.file.DWARF(); err == nil {
			img.lines = newLineTable(d)
		}
	}
	if img.goTab != nil {
		if file, line, fn := img.goTab.PCToLine(addr); fn != nil && line > 0 {
			return file, line
		}
	}
	if img.lines != nil {
		return img.lines.find(addr)
	}
	return "", 0
}
