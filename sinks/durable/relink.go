//go:build unix

package durable

import "golang.org/x/sys/unix"

// relink is a rename that never replaces, for systems that have none: a second
// name is made, which fails with EEXIST where it is taken, and the first removed.
func relink(fd int, from, to string) error {
	if err := unix.Linkat(fd, from, fd, to, 0); err != nil {
		return err
	}
	return unix.Unlinkat(fd, from, 0)
}
