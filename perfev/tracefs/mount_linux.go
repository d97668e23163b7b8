package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// MountPoint is where the kernel makes a folder for tracefs (since 4.1).
const MountPoint = "/sys/kernel/tracing"

// debugPoint is where debugfs mounts it by itself.
const debugPoint = "/sys/kernel/debug/tracing"

// find returns the mount point, mounting where that is needed and wanted.
func (t *FS) find(noMount bool) (string, error) {
	// The mount table is asked first: it answers without touching a file that a
	// stuck tracing lock could hold, and without permission for debugfs.
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil {
		if p := mountOf(string(b)); p != "" {
			return p, nil
		}
	}
	for _, p := range []string{MountPoint, debugPoint} {
		is, err := within(t, "stat", p, func() (bool, error) { return isTracefs(p) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
		if is {
			return p, nil
		}
	}
	const command = "mount -t tracefs nodev " + MountPoint
	if noMount {
		return "", fmt.Errorf("open tracefs: %w; mount it: sudo %s", ErrNotMounted, command)
	}
	_, err = within(t, "mount tracefs at", MountPoint, func() (struct{}, error) {
		return struct{}{}, unix.Mount("nodev", MountPoint, "tracefs", 0, "")
	})
	switch {
	case err == nil:
		return MountPoint, nil
	case errors.Is(err, ErrStuck):
		return "", err
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("open tracefs: %w, and mounting it needs CAP_SYS_ADMIN: %w; run: sudo %s", ErrNotMounted, fs.ErrPermission, command)
	case errors.Is(err, unix.ENODEV):
		return "", fmt.Errorf("open tracefs: %w, and this kernel has none (CONFIG_TRACING): %w", ErrNotMounted, unix.ENODEV)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("open tracefs: %w, and there is no %s to mount it at: is /sys mounted, has the kernel CONFIG_TRACING?", ErrNotMounted, MountPoint)
	}
	return "", fmt.Errorf("open tracefs: %w; %w; run: sudo %s", ErrNotMounted, err, command)
}

func isTracefs(path string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, err
	}
	return st.Type == unix.TRACEFS_MAGIC, nil
}

// mountOf finds tracefs in the text of /proc/PID/mountinfo (proc_pid_mountinfo(5)):
// the usual places first, then whatever comes first.
func mountOf(info string) string {
	var found []string
	for line := range strings.Lines(info) {
		left, right, ok := strings.Cut(line, " - ")
		if !ok {
			continue
		}
		l, r := strings.Fields(left), strings.Fields(right)
		// Only the root of the file system, not an instance bound elsewhere.
		if len(l) < 5 || len(r) < 1 || r[0] != "tracefs" || l[3] != "/" {
			continue
		}
		found = append(found, unescapeMount(l[4]))
	}
	for _, want := range []string{MountPoint, debugPoint} {
		for _, p := range found {
			if p == want {
				return p
			}
		}
	}
	if len(found) > 0 {
		return found[0]
	}
	return ""
}

// unescapeMount undoes the \ooo of mangle() in fs/seq_file.c.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			v, ok := 0, true
			for _, c := range []byte(s[i+1 : i+4]) {
				ok = ok && c >= '0' && c <= '7'
				v = v<<3 | int(c-'0')
			}
			if ok && v < 256 {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// owner says whose a file is.
func owner(fi fs.FileInfo) string {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf(", owner %d:%d", st.Uid, st.Gid)
	}
	return ""
}
