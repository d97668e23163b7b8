//go:build unix

package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a file that is being written. After the first failed write every
// further one fails with the same error, and so does Commit: a writer above it that
// swallows an error cannot lose it.
type File struct {
	dir  *Dir
	f    *os.File // nil once committed or aborted
	name string
	temp string
	n    int64
	err  error
	done bool
}

// Create begins the file that is to be called name in d. It is an error if
// anything has that name already.
func (d *Dir) Create(name string) (*File, error) {
	path := filepath.Join(d.path, name)
	if err := d.vacant(name); err != nil {
		return nil, err
	}
	fd := int(d.f.Fd())
	for try := 0; ; try++ {
		var r [8]byte
		rand.Read(r[:]) // never fails since Go 1.24
		// Not name itself in front: it may be as long as the filesystem allows.
		temp := ".perfpipe-" + hex.EncodeToString(r[:])
		h, err := unix.Openat(fd, d.at(temp), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
		if err == unix.EEXIST && try < 8 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", path, hint(err))
		}
		f := &File{dir: d, f: os.NewFile(uintptr(h), path), name: name, temp: temp}
		if err := f.f.Chmod(fileMode); err != nil {
			f.Abort()
			return nil, fmt.Errorf("set mode of %s: %w", path, err)
		}
		return f, nil
	}
}

// vacant reports an error if anything is called name.
func (d *Dir) vacant(name string) error {
	path := filepath.Join(d.path, name)
	if name == "" || name == "." || name == ".." || filepath.Base(name) != name {
		return fmt.Errorf("create %s: %q is no name of a file", path, name)
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(d.f.Fd()), d.at(name), &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return fmt.Errorf("create %s: %w", path, hint(err))
	case uint32(st.Mode)&unix.S_IFMT == unix.S_IFLNK:
		return fmt.Errorf("create %s: it is a symbolic link, which is not followed: name the file itself", path)
	case uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR:
		return fmt.Errorf("create %s: a folder has that name: choose another one", path)
	}
	return taken(path)
}

func taken(path string) error {
	return fmt.Errorf("create %s: %w already and is not overwritten: choose another name, or remove it first", path, errExists)
}

var errExists = errors.New("the file exists")

// Write appends b.
func (f *File) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.f == nil {
		return 0, fmt.Errorf("write %s: %w", f.Path(), os.ErrClosed)
	}
	n, err := f.f.Write(b)
	f.n += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		f.err = f.fail("write", err)
		return n, f.err
	}
	return n, nil
}

func (f *File) fail(verb string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s %s: %w", verb, f.Path(), hint(err))
}

// Err returns the error that a write failed with, nil if none did. It names the
// file and says what to do.
func (f *File) Err() error { return f.err }

// Bytes returns how many bytes were written.
func (f *File) Bytes() int64 { return f.n }

// Path returns the path that the file is to have.
func (f *File) Path() string { return filepath.Join(f.dir.path, f.name) }

// Commit makes the file last and gives it its name. check, unless nil, looks at
// what was written, after the sync and before the name; its error, like any other,
// removes the file. A second call does nothing and returns the same.
func (f *File) Commit(check func(r io.ReaderAt, size int64) error) error {
	if f.done {
		return f.err
	}
	if f.err == nil {
		f.err = f.commit(check)
	}
	if f.err != nil {
		f.Abort()
	}
	f.done = true
	return f.err
}

func (f *File) commit(check func(r io.ReaderAt, size int64) error) error {
	if err := f.f.Sync(); err != nil {
		return f.fail("sync", err)
	}
	st, err := f.f.Stat()
	if err != nil {
		return f.fail("stat", err)
	}
	if st.Size() != f.n {
		return fmt.Errorf("check %s: it has %d bytes, %d were written: something else writes to it", f.Path(), st.Size(), f.n)
	}
	if check != nil {
		if err := check(f.f, f.n); err != nil {
			return fmt.Errorf("check %s: %w", f.Path(), err)
		}
	}
	if err := f.f.Close(); err != nil {
		return f.fail("close", err)
	}
	f.f = nil
	if err := rename(int(f.dir.f.Fd()), f.dir.at(f.temp), f.dir.at(f.name)); err != nil {
		_ = unix.Unlinkat(int(f.dir.f.Fd()), f.dir.at(f.temp), 0) // the rename's error is the one that counts
		if errors.Is(err, unix.EEXIST) {
			return taken(f.Path())
		}
		return fmt.Errorf("rename %s to %s: %w", f.temp, f.Path(), hint(err))
	}
	return f.dir.Sync()
}

// Abort removes what was written. After a Commit that went well it does nothing.
func (f *File) Abort() {
	if f.done || f.f == nil {
		return
	}
	if f.err == nil {
		f.err = fmt.Errorf("write %s: %w", f.Path(), os.ErrClosed)
	}
	// There is nobody to tell, and nothing else to try.
	_ = f.f.Close()
	_ = unix.Unlinkat(int(f.dir.f.Fd()), f.dir.at(f.temp), 0)
	f.f = nil
	f.done = true
}
