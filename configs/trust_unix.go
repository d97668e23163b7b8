//go:build unix

package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// trusted returns why the file of defaults must not be obeyed, nil where root or
// the caller owns it and nobody else may write it.
func trusted(fi fs.FileInfo) error {
	if !fi.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if uid := os.Geteuid(); st.Uid != 0 && int(st.Uid) != uid {
		return fmt.Errorf("it belongs to user id %d, and you are %d: chown it, or run perfpipe in another folder", st.Uid, uid)
	}
	if fi.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write it (mode %04o): chmod go-w it", fi.Mode().Perm())
	}
	return nil
}
