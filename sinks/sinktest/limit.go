//go:build unix

package sinktest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// fileLimit runs f while no file of the process may grow beyond n bytes: writes
// fail with EFBIG, wherever they go (RLIMIT_FSIZE; the Go runtime ignores SIGXFSZ).
func fileLimit(t *testing.T, n uint64, f func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatalf("read the limit of file sizes: %v", err)
	}
	lim := old
	lim.Cur = n
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &lim); err != nil {
		t.Fatalf("set the limit of file sizes: %v", err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
			t.Fatalf("restore the limit of file sizes: %v", err)
		}
	}()
	f()
}
