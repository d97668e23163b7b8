//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Modes of what is made here, whatever the umask: a trace holds names, paths and
// arguments of every user of the machine.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// Dir is an open folder. It is used by one goroutine.
type Dir struct {
	f    *os.File
	path string
	// below is the name of the folder in f that is meant, "" for f itself: a
	// dataset of hundreds of tables holds one descriptor of a folder, not hundreds.
	// Nobody else can put a link in its place, since nobody else may write to f.
	below string
}

// at returns what name in d is called relative to d's descriptor.
func (d *Dir) at(name string) string { return filepath.Join(d.below, name) }

// OpenDir opens an existing folder to make files in.
func OpenDir(path string) (*Dir, error) {
	f, err := openDir(unix.AT_FDCWD, path, path)
	if err != nil {
		return nil, err
	}
	return &Dir{f: f, path: path}, nil
}

// NewDir opens the folder path for a dataset: it makes the folder, or takes one
// that is there and empty. made says which.
func NewDir(path string) (d *Dir, made bool, err error) {
	path = filepath.Clean(path)
	parent, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, false, err
	}
	defer parent.Close()
	d, made, err = parent.sub(filepath.Base(path), path)
	if err != nil {
		return nil, false, err
	}
	if made {
		return d, true, nil
	}
	names, err := d.f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if len(names) > 0 {
		d.Close()
		return nil, false, fmt.Errorf("create dataset %s: the folder is not empty (it holds %q): choose another one, or remove it first", path, names[0])
	}
	if err != nil {
		d.Close()
		return nil, false, fmt.Errorf("read folder %s: %w", path, err)
	}
	return d, false, nil
}

// Sub makes the folder name in d, or takes the one that is there. It is valid
// while d is open, and holds no descriptor of its own.
func (d *Dir) Sub(name string) (*Dir, error) {
	path := filepath.Join(d.path, name)
	s, _, err := d.sub(d.at(name), path)
	if err != nil {
		return nil, err
	}
	s.Close()
	return &Dir{f: d.f, path: path, below: d.at(name)}, nil
}

func (d *Dir) sub(name, path string) (s *Dir, made bool, err error) {
	fd := int(d.f.Fd())
	err = unix.Mkdirat(fd, name, dirMode)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, false, fmt.Errorf("make folder %s: %w", path, hint(err))
	}
	if made = err == nil; made {
		// Before it is opened: the umask may have left no bit to open it by.
		if err := unix.Fchmodat(fd, name, dirMode, 0); err != nil {
			return nil, false, fmt.Errorf("set mode of folder %s: %w", path, err)
		}
	}
	f, err := openDir(fd, name, path)
	if err != nil {
		return nil, false, err
	}
	return &Dir{f: f, path: path}, made, nil
}

func openDir(at int, name, path string) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fmt.Errorf("open folder %s: %w", path, hint(err))
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFDIR:
	case unix.S_IFLNK:
		return nil, fmt.Errorf("open folder %s: it is a symbolic link, which could be pointed elsewhere meanwhile: name the folder itself", path)
	default:
		return nil, fmt.Errorf("open folder %s: it is no folder", path)
	}
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open folder %s: %w", path, hint(err))
	}
	f := os.NewFile(uintptr(fd), path)
	if err := unix.Fstat(fd, &st); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open folder %s: %w", path, err)
	}
	if mode := uint32(st.Mode); mode&0o022 != 0 && mode&unix.S_ISVTX == 0 {
		_ = f.Close()
		return nil, fmt.Errorf("open folder %s: others may write to it (mode %04o), and so could replace files in it: run chmod go-w %s, or choose another folder", path, mode&0o7777, path)
	}
	return f, nil
}

// Path returns the path that d was opened by.
func (d *Dir) Path() string { return d.path }

// Remove removes the file name from d.
func (d *Dir) Remove(name string) error {
	if err := unix.Unlinkat(int(d.f.Fd()), d.at(name), 0); err != nil {
		return fmt.Errorf("remove %s: %w", filepath.Join(d.path, name), err)
	}
	return nil
}

// Prune removes the folder name from d if it is empty, and leaves it otherwise.
func (d *Dir) Prune(name string) {
	// Anything but an empty folder makes rmdir fail, which is what is wanted.
	_ = unix.Unlinkat(int(d.f.Fd()), d.at(name), unix.AT_REMOVEDIR)
}

// Sync makes names that were added to d or taken from it last.
func (d *Dir) Sync() error {
	f := d.f
	if d.below != "" {
		var err error
		if f, err = openDir(int(d.f.Fd()), d.below, d.path); err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
	}
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some filesystems know no fsync of folders
		return fmt.Errorf("sync folder %s: %w", d.path, err)
	}
	return nil
}

// Close closes the descriptor, if it has one of its own. It may be called twice.
func (d *Dir) Close() error {
	if d.below != "" {
		return nil
	}
	if err := d.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// hinted is an error of the system with what to do about it.
type hinted struct {
	err error
	fix string
}

func (h *hinted) Error() string { return h.err.Error() + ": " + h.fix }
func (h *hinted) Unwrap() error { return h.err }

// hint adds the fix to the errors of the system that have one.
func hint(err error) error {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &hinted{err, "free some space there or choose another -o"}
	case errors.Is(err, unix.EROFS):
		return &hinted{err, "choose an -o on a filesystem that can be written"}
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return &hinted{err, "choose an -o in a folder that you may write"}
	case errors.Is(err, unix.ENOENT):
		return &hinted{err, "make the folder first"}
	case errors.Is(err, unix.EFBIG):
		return &hinted{err, "raise the limit (ulimit -f) or rotate with --switch-output"}
	case errors.Is(err, unix.EMFILE):
		return &hinted{err, "raise the limit (ulimit -n)"}
	}
	return err
}
