package maps

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ReadProc reads /proc/PID/maps; nil where the process is gone or another's.
func ReadProc(pid int32) []Region {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	return ParseMaps(string(b))
}

// BuildIDOf reads the build id of the file that a process has mapped at m: through
// /proc/PID/map_files, which also reaches what was removed meanwhile, else by its
// path in the process's own root, where the inode is still the same.
func BuildIDOf(pid int32, m Mapping) string {
	id, ok := readFile(fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.Start, m.End), 0)
	if !ok {
		id, _ = readFile(fmt.Sprintf("/proc/%d/root%s", pid, m.File.Path), m.File.Inode)
	}
	return id
}

// readFile reads the build id of the file at path, where it has that inode; 0 is any.
func readFile(path string, inode uint64) (id string, ok bool) {
	// Not to wait for the writer of a pipe that has taken the file's place.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || inode != 0 && st.Ino != inode {
		return "", false
	}
	return ReadBuildID(f), true
}
