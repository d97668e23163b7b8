package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// rename gives from the name to in the folder fd, and fails with EEXIST where
// anything has that name (renameat2 with RENAME_NOREPLACE, Linux 3.15; some network
// and user-space filesystems have no such rename: EINVAL).
func rename(fd int, from, to string) error {
	err := unix.Renameat2(fd, from, fd, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return relink(fd, from, to)
	}
	return err
}
