package maps

import (
	"math"

	"github.com/perfpipe/perfpipe"
)

const (
	// keepEnded is how many ended processes can still be looked up: as many as
	// package tasks keeps, for records that come after an end.
	keepEnded = 4096
	// maxFiles bounds the files that are told apart. Beyond it they are all
	// forgotten and get new numbers as they are mapped again.
	maxFiles = 1 << 16
	// maxSpaces bounds the processes where exits were lost; the kernel's own limit
	// of tasks is 32768 on small machines.
	maxSpaces = 1 << 17
	// maxMappings bounds those of one process: vm.max_map_count is 65530.
	maxMappings = 1 << 17
	// rereadEvery bounds how often a process's mappings are read again, in nanoseconds.
	rereadEvery = int64(1e9)
	// nobody is no process, not even the -1 of one that is not known.
	nobody = math.MinInt32
)

// Options are what a [Table] asks of the live machine. All may be nil: a recorded file.
type Options struct {
	// Read lists the executable mappings of a process, in any order; nil where it
	// cannot. [ReadProc] asks /proc.
	Read func(pid int32) []Region
	// BuildID reads the build id of what a process has mapped at m, "" where there is
	// none. [BuildIDOf] asks the file.
	BuildID func(pid int32, m Mapping) string
}

// Region is one mapping as the kernel tells of it.
type Region struct {
	// Path, BuildID, Dev and Inode are as in [File].
	Path, BuildID string
	Dev, Inode    uint64
	// Start, Size and Offset are bytes.
	Start, Size, Offset uint64
}

// fileKey tells files apart: by build id where there is one.
type fileKey struct {
	path, buildID string
	dev, inode    uint64
}

// Table is what is known of all processes at one moment. It belongs to one goroutine.
type Table struct {
	opt    Options
	spaces map[int32]*Space
	files  map[fileKey]*File
	// ended is a ring of the processes that ended last.
	ended    [keepEnded]int32
	next     int
	dead     map[int32]bool
	versions uint64
	fileIDs  uint32
	// lastPID and lastSpace are what Of returned last.
	lastPID   int32
	lastSpace *Space
}

// New returns an empty table.
func New(o Options) *Table {
	return &Table{opt: o, spaces: map[int32]*Space{}, files: map[fileKey]*File{}, dead: map[int32]bool{}, lastPID: nobody}
}

// Len returns the number of processes known, the ended ones that are kept included.
func (t *Table) Len() int { return len(t.spaces) }

// Of returns the space of a process, and reads it where it is not known yet. now is
// the time of the record that asks, in nanoseconds. The space is valid until the
// table is next fed.
func (t *Table) Of(pid int32, now int64) *Space {
	if pid == t.lastPID {
		return t.lastSpace
	}
	s := t.spaces[pid]
	if s == nil {
		s = t.set(pid, &Space{read: now})
		t.load(pid, s)
	}
	t.lastPID, t.lastSpace = pid, s
	return s
}

// Again reads the mappings of a process anew, and returns its space: some of its
// records must have been lost. It does so once a second at most.
func (t *Table) Again(pid int32, now int64) (s *Space, read bool) {
	s = t.Of(pid, now)
	if now-s.read < rereadEvery || t.dead[pid] || t.opt.Read == nil {
		return s, false
	}
	s = t.own(pid, s)
	s.read = now
	t.load(pid, s)
	return s, true
}

func (t *Table) load(pid int32, s *Space) {
	if t.opt.Read == nil || pid <= 0 {
		return
	}
	for _, r := range t.opt.Read(pid) {
		t.put(pid, s, r)
	}
}

// Map takes PERF_RECORD_MMAP2: process pid has mapped r.
func (t *Table) Map(pid int32, r Region, now int64) {
	if pid <= 0 {
		return
	}
	s := t.spaces[pid]
	if s == nil {
		// What it had mapped before is in /proc, and this most likely as well.
		s = t.Of(pid, now)
	}
	t.put(pid, s, r)
}

func (t *Table) put(pid int32, s *Space, r Region) {
	if r.Size == 0 || r.Start+r.Size < r.Start {
		return
	}
	m := Mapping{File: t.file(r), Start: r.Start, End: r.Start + r.Size, Offset: r.Offset}
	switch {
	case m.File.Kind == perfpipe.FrameAnon:
		m.Offset = m.Start
	case m.File.Path == VDSO:
		m.Offset = 0
	}
	if s.has(m) {
		return
	}
	s = t.own(pid, s)
	if len(s.list) >= maxMappings {
		s.list = s.list[:0]
	}
	s.put(m)
	t.versions++
	s.version = t.versions
}

// own makes s a space that pid alone has.
func (t *Table) own(pid int32, s *Space) *Space {
	if s.users <= 1 {
		return s
	}
	c := *s
	c.list = append(make([]Mapping, 0, len(s.list)+4), s.list...)
	c.users = 0
	return t.set(pid, &c)
}

// set gives a process its space.
func (t *Table) set(pid int32, s *Space) *Space {
	if old := t.spaces[pid]; old != nil {
		old.users--
	} else if len(t.spaces) >= maxSpaces {
		for p, o := range t.spaces {
			o.users--
			delete(t.spaces, p)
			delete(t.dead, p)
			break
		}
	}
	s.users++
	t.spaces[pid] = s
	delete(t.dead, pid)
	t.lastPID = nobody
	return s
}

// Fork takes PERF_RECORD_FORK of a process: pid begins with what ppid has.
func (t *Table) Fork(pid, ppid int32, now int64) {
	if pid <= 0 || pid == ppid {
		return
	}
	s := t.spaces[ppid]
	if s == nil {
		if ppid <= 0 {
			return
		}
		s = t.Of(ppid, now)
	}
	t.set(pid, s)
}

// Exec takes PERF_RECORD_COMM with PERF_RECORD_MISC_COMM_EXEC: whatever pid had
// mapped is gone, and what it maps from here on is told.
func (t *Table) Exec(pid int32, now int64) {
	if pid > 0 {
		t.set(pid, &Space{read: now})
	}
}

// Exit says that process pid has ended, with all its threads. It can still be
// looked up for a while.
func (t *Table) Exit(pid int32) {
	if t.spaces[pid] == nil || t.dead[pid] {
		return
	}
	if old := t.ended[t.next]; old != 0 && t.dead[old] {
		t.spaces[old].users--
		delete(t.spaces, old)
		delete(t.dead, old)
		t.lastPID = nobody
	}
	t.ended[t.next] = pid
	t.next = (t.next + 1) % keepEnded
	t.dead[pid] = true
}

// file returns the one File of what r shows.
func (t *Table) file(r Region) *File {
	k := fileKey{path: r.Path, dev: r.Dev, inode: r.Inode}
	if r.BuildID != "" {
		k = fileKey{buildID: r.BuildID}
	}
	if f := t.files[k]; f != nil {
		return f
	}
	if len(t.files) >= maxFiles {
		clear(t.files)
	}
	t.fileIDs++
	f := &File{Path: r.Path, BuildID: r.BuildID, Dev: r.Dev, Inode: r.Inode, ID: t.fileIDs, Kind: kindOf(r.Path)}
	if f.Path == "//anon" {
		f.Path = ""
	}
	t.files[k] = f
	return f
}

// Resolve returns the file that process pid has mapped at m with its build id,
// which is read from the file where the kernel did not tell it: the same file then
// for every mapping of that build id.
func (t *Table) Resolve(pid int32, m *Mapping) *File {
	f := m.File
	if f.same != nil {
		return f.same
	}
	f.same = f
	if f.BuildID != "" || f.Kind != perfpipe.FrameFile || f.Path == VDSO || t.opt.BuildID == nil {
		return f
	}
	if id := t.opt.BuildID(pid, *m); id != "" {
		f.same = t.file(Region{Path: f.Path, BuildID: id, Dev: f.Dev, Inode: f.Inode})
	}
	return f.same
}
