package maps

import (
	"strings"

	"github.com/perfpipe/perfpipe"
)

// File is what a mapping shows: one for every process that maps the same.
type File struct {
	// Path is that of the file as the process saw it, "[vdso]", or the name that the
	// kernel has for memory without a file, "" where it has none.
	Path string
	// BuildID is the GNU build id in lower-case hex, "" where there is none or none
	// was looked for yet: see [Table.Resolve].
	BuildID string
	// Dev and Inode are those of the file, 0 where the kernel told the build id instead.
	Dev, Inode uint64
	// same is the file of the same build id, nil as long as nobody looked.
	same *File
	// ID is a number that no other file has, from 1 on.
	ID uint32
	// Kind is perfpipe.FrameFile, or FrameAnon where no file is behind it.
	Kind perfpipe.FrameKind
}

// VDSO is the path of the code that the kernel maps into every process.
const VDSO = "[vdso]"

// anonymous are the names that the kernel has for executable memory that no file
// of a file system is behind (mm/shmem.c, mm/memfd.c, ipc/shm.c, kernel/events/core.c).
var anonymous = [...]string{"//anon", "/memfd:", "/dev/zero", "/anon_hugepage", "/SYSV", "["}

// kindOf says what a mapping of that name is.
func kindOf(path string) perfpipe.FrameKind {
	if path == VDSO {
		return perfpipe.FrameFile
	}
	if path == "" {
		return perfpipe.FrameAnon
	}
	for _, p := range anonymous {
		if strings.HasPrefix(path, p) {
			return perfpipe.FrameAnon
		}
	}
	return perfpipe.FrameFile
}
