//go:build linux

package testpriv

import (
	"fmt"
	"os"
	"syscall"
)

// tracefsMagic is TRACEFS_MAGIC of include/uapi/linux/magic.h.
const tracefsMagic = 0x74726163

// tracefsDirs are the mount points that the kernel makes for tracefs.
var tracefsDirs = [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// privilege returns why this process may not trace, or nil.
func privilege() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("trace the kernel: user id %d is not root; run the tests as root", uid)
	}
	for _, dir := range tracefsDirs {
		if isTracefs(dir) {
			return nil
		}
	}
	if err := syscall.Mount("nodev", tracefsDirs[0], "tracefs", 0, ""); err != nil {
		return fmt.Errorf("mount tracefs at %s: %w", tracefsDirs[0], err)
	}
	return nil
}

func isTracefs(dir string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(dir, &st) == nil && int64(st.Type) == tracefsMagic
}
