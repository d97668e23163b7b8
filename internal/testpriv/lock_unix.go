//go:build unix

package testpriv

import (
	"errors"
	"os"
	"syscall"
)

// lockFile waits for the lock on the file at path, which it makes where it is
// missing, and returns what releases it.
func lockFile(path string, m lockMode) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if m == lockShared {
		how = syscall.LOCK_SH
	}
	err = syscall.EINTR
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Flock(int(f.Fd()), how)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	// Closing the descriptor drops the lock; the file stays for the next one, as
	// removing it would let two processes lock two files of one name.
	return func() { _ = f.Close() }, nil
}
