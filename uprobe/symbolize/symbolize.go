package symbolize

import (
	"errors"
	"os"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// Symbol is what a place in code is called.
type Symbol struct {
	// Name is the function's, demangled.
	Name string
	// File is the source file, "" where it is not known.
	File string
	// Offset is in bytes, from the function's beginning.
	Offset uint64
	// Line is the line of File, from 1 on, 0 where it is not known.
	Line int
}

// Options are what a [Symbolizer] reads.
type Options struct {
	// Symbols say where files and their debug files are; its Root is the one for
	// files that are not reached through their process.
	Symbols symbols.Options
	// Kallsyms is the path of the kernel's symbols, "" is /proc/kallsyms.
	Kallsyms string
	// Proc is where processes are, "" is /proc.
	Proc string
	// Lines: look for source files and lines too.
	Lines bool
}

// Symbolizer names frames. It is for one goroutine; the caller closes it.
type Symbolizer struct {
	o      Options
	kernel *kallsyms
	// kernelDone: kernel was looked for.
	kernelDone bool
	files      map[fileKey]*image // nil for a file that cannot be opened
	images     []*image
	maps       map[int32]*jitMap // nil for a process without one
	processes  map[int32]process
}

// New returns a Symbolizer that has read nothing yet.
func New(o Options) *Symbolizer {
	if o.Kallsyms == "" {
		o.Kallsyms = "/proc/kallsyms"
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	return &Symbolizer{
		o: o, files: make(map[fileKey]*image), maps: make(map[int32]*jitMap), processes: make(map[int32]process),
	}
}

// Load opens what naming f takes: its file with the debug file, or its process's JIT
// map, which stay open until Close, so that f can be named after they are deleted. A
// file is not taken for f's unless it has f's build id. What cannot be opened
// stays without names.
func (s *Symbolizer) Load(f perfpipe.Frame) {
	switch f.Kind {
	case perfpipe.FrameKernel:
		s.kernelTable()
	case perfpipe.FrameFile:
		s.image(f)
	case perfpipe.FrameAnon:
		s.jit(f.PID)
	}
	if f.File == vdso {
		s.image(f)
	}
}

// Symbolize returns the name of f, false where it is not known.
func (s *Symbolizer) Symbolize(f perfpipe.Frame) (Symbol, bool) {
	switch {
	case f.Kind == perfpipe.FrameKernel:
		return s.kernelTable().find(f.Offset)
	case f.Kind == perfpipe.FrameFile, f.File == vdso:
		if img := s.image(f); img != nil {
			return img.find(f.Offset, s.o.Lines)
		}
	case f.Kind == perfpipe.FrameAnon:
		if m := s.jit(f.PID); m != nil {
			return m.find(f.Offset)
		}
	}
	return Symbol{}, false
}

// kernelTable reads the kernel's symbols, once; nil where they cannot be read, which
// has no names.
func (s *Symbolizer) kernelTable() *kallsyms {
	if s.kernelDone {
		return s.kernel
	}
	s.kernelDone = true
	b, err := os.ReadFile(s.o.Kallsyms)
	if err == nil {
		s.kernel = parseKallsyms(b)
	}
	return s.kernel
}

// Close closes every file. It may be called twice.
func (s *Symbolizer) Close() error {
	var errs []error
	for _, img := range s.images {
		errs = append(errs, img.file.Close())
	}
	for _, m := range s.maps {
		if m != nil {
			errs = append(errs, m.close())
		}
	}
	s.images, s.files, s.maps = nil, make(map[fileKey]*image), make(map[int32]*jitMap)
	return errors.Join(errs...)
}
