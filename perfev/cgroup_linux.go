package perfev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// CgroupPath finds the folder of a cgroup: a path to it, or its name as
// /proc/PID/cgroup has it ("/system.slice/x.service", with or without the first
// slash), below the hierarchy that perf follows: v1's perf_event where that is
// mounted, else v2's.
func CgroupPath(name string) (string, error) {
	if name == "" {
		return "", errors.New("find cgroup: its name is empty")
	}
	if filepath.IsAbs(name) && isCgroup(name) {
		return filepath.EvalSymlinks(name)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup %s: %w", name, err)
	}
	mounts := cgroupMounts(string(b))
	if len(mounts) == 0 {
		return "", fmt.Errorf("find cgroup %s: no hierarchy that perf follows is mounted; 'mount -t cgroup2 none /sys/fs/cgroup' mounts one", name)
	}
	local := strings.TrimLeft(name, "/")
	if local != "" && !filepath.IsLocal(local) {
		return "", fmt.Errorf("find cgroup %s: the name leads out of the hierarchy", name)
	}
	for _, m := range mounts {
		if p := filepath.Join(m, local); isCgroup(p) {
			return filepath.EvalSymlinks(p)
		}
	}
	return "", fmt.Errorf("find cgroup %s: there is no such folder in %s: %w", name, strings.Join(mounts, " or "), fs.ErrNotExist)
}

// isCgroup reports whether path is a folder of a cgroup file system.
func isCgroup(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return false
	}
	var v unix.Statfs_t
	if unix.Statfs(path, &v) != nil {
		return false
	}
	return v.Type == unix.CGROUP2_SUPER_MAGIC || v.Type == unix.CGROUP_SUPER_MAGIC
}

// cgroupFolders finds the folders of the named cgroups. One that lies below another
// is left out, as its events are the other's as well and would come twice.
func cgroupFolders(names []string) ([]string, error) {
	var all, list []string
	for _, n := range names {
		p, err := CgroupPath(n)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.Sort(all)
	for _, p := range slices.Compact(all) {
		if !slices.ContainsFunc(list, func(o string) bool { return strings.HasPrefix(p, strings.TrimSuffix(o, "/")+"/") }) {
			list = append(list, p)
		}
	}
	return list, nil
}
