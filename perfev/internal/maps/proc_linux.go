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

// BuildIDOf reads the build id of the file that a process has mapped at m, "" where
// it has none or cannot be reached.
func BuildIDOf(pid int32, m Mapping) string {
	f, err := Open(pid, m)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	return ReadBuildID(f)
}

// Open opens the file that a process has mapped at m: through /proc/PID/map_files,
// which also reaches what was removed meanwhile, else by its path in the process's
// own root, else by its path, where the inode is still the same. The inode is not
// known of a file whose build id the kernel told: there the build id must be the same.
func Open(pid int32, m Mapping) (*os.File, error) {
	f, err := openFile(fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.Start, m.End))
	if err == nil {
		return f, nil
	}
	for _, root := range []string{fmt.Sprintf("/proc/%d/root", pid), ""} {
		if f, err = openFile(root + m.File.Path); err != nil {
			continue
		}
		var st unix.Stat_t
		switch same := unix.Fstat(int(f.Fd()), &st) == nil; {
		case same && m.File.Inode != 0 && st.Ino == m.File.Inode:
			return f, nil
		case m.File.BuildID != "" && ReadBuildID(f) == m.File.BuildID:
			return f, nil
		}
		_ = f.Close()
		err = fmt.Errorf("open %s: it is not the file any more that was mapped", m.File.Path)
	}
	return nil, err
}

// openFile opens a regular file.
func openFile(path string) (*os.File, error) {
	// Not to wait for the writer of a pipe that has taken the file's place.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open %s: it is no regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
