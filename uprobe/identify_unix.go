//go:build unix

package uprobe

import (
	"os"
	"syscall"
)

// fileID is a file, by whatever name.
type fileID struct{ dev, ino uint64 }

func identify(path string) (fileID, bool) {
	fi, err := os.Stat(path)
	if err != nil {
		return fileID{}, false
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, false
	}
	//nolint:unconvert // Dev and Ino are of other widths on other systems
	return fileID{uint64(st.Dev), uint64(st.Ino)}, true
}
