//go:build !linux

package tracefs

import (
	"fmt"
	"io/fs"
	"runtime"
)

// find fails: only Linux has tracefs.
func (t *FS) find(bool) (string, error) {
	return "", fmt.Errorf("open tracefs: %w: %s has none, Linux has", ErrNotMounted, runtime.GOOS)
}

func owner(fs.FileInfo) string { return "" }
