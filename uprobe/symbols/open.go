package symbols

import (
	"debug/buildinfo"
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// Options say where files are.
type Options struct {
	// Root is put before every absolute path, and symbolic links are followed below
	// it: "/proc/PID/root" for a process in another mount namespace. "" is "/".
	Root string
	// DebugDirs are the folders, below Root, that hold debug files; nil is
	// /usr/lib/debug.
	DebugDirs []string
	// Machine is the only one that is accepted; 0 accepts all.
	Machine elf.Machine
	// NoDebug: look for no separate debug files.
	NoDebug bool
}

func (o Options) debugDirs() []string {
	if o.DebugDirs == nil {
		return []string{"/usr/lib/debug"}
	}
	return o.DebugDirs
}

// ErrNotELF is wrapped by the error of [Open] for a file of another kind.
var ErrNotELF = errors.New("not an ELF file")

// ErrMachine is wrapped by the error of [Open] for a file of another machine than
// [Options.Machine].
var ErrMachine = errors.New("made for another machine")

// File is an ELF executable or shared library. It is for one goroutine at a time.
// What it hands out stays valid after Close, except [File.ELF].
type File struct {
	elf    *elf.File
	r      io.ReaderAt
	closer io.Closer
	path   string
	real   string
	size   int64
	o      Options

	buildID string
	exec    []span // file-backed parts of the executable segments
	plt     []span

	tables   []*table
	loaded   bool
	loadNote []string // where symbols were looked for, for errors
	index    *index

	debug     *File // the separate debug file
	debugDone bool
	debugNote []string // what was looked for and is no debug file of this one
	// debugMissing are the names that were looked for and are not there.
	debugMissing []string
	dwarf        *dwarf.Data
	dwarfErr     error
	dwarfDone    bool

	goVersion     string
	goVersionDone bool
}

// span is the addresses from lo up to hi, hi not included.
type span struct{ lo, hi uint64 }

func (s span) holds(a uint64) bool { return a >= s.lo && a < s.hi }

// Open opens the ELF file at path, which is below o.Root. The caller closes it. The
// error wraps [ErrNotELF], [ErrMachine], or what the operating system says.
func Open(path string, o Options) (*File, error) {
	real, err := resolve(o.Root, path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	return openReal(real, path, o)
}

// openReal opens the file at real, which is called path.
func openReal(real, path string, o Options) (*File, error) {
	fd, err := os.Open(real)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	st, err := fd.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("a %s, %w", kindOfFile(st.Mode()), ErrNotELF)
	}
	if err != nil {
		_ = fd.Close()
		return nil, fmt.Errorf("open %s: %w", path, cause(err))
	}
	f, err := OpenReader(fd, st.Size(), path, o)
	if err != nil {
		_ = fd.Close()
		return nil, err
	}
	f.closer, f.real = fd, real
	return f, nil
}

// Opened returns the path that opens the file here: below Options.Root, with the
// symbolic links followed that would lead out of it; "" of [OpenReader]'s files.
func (f *File) Opened() string { return f.real }

func kindOfFile(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&os.ModeNamedPipe != 0:
		return "pipe"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// cause leaves the path out of what the operating system says, as it is said already.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// OpenReader is [Open] for a file of size bytes that is read through r; path is its
// name in errors and where debug files are looked for from. Close does not close r.
func OpenReader(r io.ReaderAt, size int64, path string, o Options) (*File, error) {
	var ident [20]byte
	n, _ := r.ReadAt(ident[:], 0)
	if n < 4 || string(ident[:4]) != elf.ELFMAG {
		return nil, fmt.Errorf("open %s: %w%s", path, ErrNotELF, scriptNote(ident[:n]))
	}
	e, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("open %s: damaged ELF file: %w", path, err)
	}
	if o.Machine != elf.EM_NONE && e.Machine != o.Machine {
		return nil, fmt.Errorf("open %s: %w: it is %s, this is %s", path, ErrMachine, machineName(e.Machine), machineName(o.Machine))
	}
	f := &File{elf: e, r: r, path: path, size: size, o: o}
	f.segments()
	f.buildID = buildID(e)
	return f, nil
}

// scriptNote tells a script from other files, as its interpreter is the program that
// can be probed.
func scriptNote(head []byte) string {
	if len(head) >= 2 && string(head[:2]) == "#!" {
		return " but a script; probe its interpreter"
	}
	return ""
}

func machineName(m elf.Machine) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

// segments notes the parts of the address space that can hold functions.
func (f *File) segments() {
	for _, p := range f.elf.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_X == 0 || p.Off > uint64(f.size) {
			continue
		}
		n := min(p.Filesz, uint64(f.size)-p.Off, math.MaxUint64-p.Vaddr)
		f.exec = append(f.exec, span{p.Vaddr, p.Vaddr + n})
	}
	for _, s := range f.elf.Sections {
		if strings.HasPrefix(s.Name, ".plt") && s.Flags&elf.SHF_ALLOC != 0 && s.Addr+s.Size >= s.Addr {
			f.plt = append(f.plt, span{s.Addr, s.Addr + s.Size})
		}
	}
}

// Close closes the file and its debug file. It may be called twice.
func (f *File) Close() error {
	var errs []error
	if f.debug != nil {
		errs = append(errs, f.debug.Close())
	}
	if f.closer != nil {
		errs = append(errs, f.closer.Close())
		f.closer = nil
	}
	return errors.Join(errs...)
}

// Path returns the path that the file was opened by, below [Options.Root].
func (f *File) Path() string { return f.path }

// ELF returns the file's headers and sections. They are f's and end with it.
func (f *File) ELF() *elf.File { return f.elf }

// BuildID returns the GNU build id in lower-case hex, "" where the file has none.
func (f *File) BuildID() string { return f.buildID }

// Machine returns the machine that the file is for.
func (f *File) Machine() elf.Machine { return f.elf.Machine }

// Type returns [elf.ET_EXEC], or [elf.ET_DYN] for shared libraries and for
// executables that can be loaded anywhere (PIE).
func (f *File) Type() elf.Type { return f.elf.Type }

// HasExceptTable reports whether functions of the file may catch exceptions or clean
// up after them (.gcc_except_table): a return trampoline ends such a program.
func (f *File) HasExceptTable() bool {
	for _, s := range f.elf.Sections {
		if strings.HasPrefix(s.Name, ".gcc_except_table") && s.Size > 0 {
			return true
		}
	}
	return false
}

// Stripped reports whether the file itself has no .symtab.
func (f *File) Stripped() bool {
	s := f.elf.SectionByType(elf.SHT_SYMTAB)
	return s == nil || s.Size == 0
}

// IsGo reports whether Go's linker made the file.
func (f *File) IsGo() bool {
	for _, s := range f.elf.Sections {
		if strings.HasSuffix(s.Name, ".gopclntab") || s.Name == ".note.go.buildid" || s.Name == ".go.buildinfo" {
			return true
		}
	}
	return false
}

// GoVersion returns the version of Go that built the file ("go1.26.1"), "" for other
// files and where it was removed.
func (f *File) GoVersion() string {
	if f.goVersionDone || !f.IsGo() {
		return f.goVersion
	}
	f.goVersionDone = true
	info, err := buildinfo.Read(f.r)
	if err == nil {
		f.goVersion = info.GoVersion
	}
	return f.goVersion
}
