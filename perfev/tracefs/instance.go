package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// instancePrefix begins the name of every instance of perfpipe's:
// perfpipe_<pid>_<start time of pid>_<pid namespace>_<number>.
const instancePrefix = "perfpipe_"

// Instance is a ring and a set of events of our own below instances/: what is
// switched on or filtered in it nobody else sees. It outlives the process unless
// closed; SweepInstances removes those of the dead.
type Instance struct {
	fs   *FS
	name string
	once sync.Once
	err  error
}

// Name returns the folder's path below the mount point: "instances/NAME".
func (in *Instance) Name() string { return "instances/" + in.name }

// NewInstance makes an instance. Close it.
func (t *FS) NewInstance() (*Instance, error) {
	id, err := selfIdentity()
	if err != nil {
		return nil, fmt.Errorf("make tracefs instance: %w", err)
	}
	// More than a few of one process at once are a leak.
	const most = 64
	for n := range most {
		name := fmt.Sprintf("%s%d_%d_%d_%d", instancePrefix, id.pid, id.start, id.namespace, n)
		path := filepath.Join(t.path, "instances", name)
		_, err := within(t, "mkdir", path, func() (struct{}, error) { return struct{}{}, os.Mkdir(path, 0o700) })
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &Instance{fs: t, name: name}, nil
	}
	return nil, fmt.Errorf("make tracefs instance: this process has %d already", most)
}

// Close removes the instance. It may be called twice.
func (in *Instance) Close() error {
	in.once.Do(func() { in.err = in.fs.removeInstance(in.name) })
	return in.err
}

func (t *FS) removeInstance(name string) error {
	path := filepath.Join(t.path, "instances", name)
	_, err := within(t, "rmdir", path, func() (struct{}, error) { return struct{}{}, os.Remove(path) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SweepInstances removes the instances of perfpipe processes that are gone, and
// returns how many. Those of other pid namespaces are left alone: whether their
// process lives cannot be seen from here.
func (t *FS) SweepInstances() (removed int, err error) {
	self, err := selfIdentity()
	if err != nil {
		return 0, fmt.Errorf("sweep tracefs instances: %w", err)
	}
	dir := filepath.Join(t.path, "instances")
	entries, err := within(t, "read", dir, func() ([]fs.DirEntry, error) { return os.ReadDir(dir) })
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range entries {
		id, ok := parseInstance(e.Name())
		if !ok || id.namespace != self.namespace || id.alive() {
			continue
		}
		if err := t.removeInstance(e.Name()); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// identity is a process that no later one can be taken for.
type identity struct {
	pid int
	// start is field 22 of /proc/PID/stat, in clock ticks since boot.
	start uint64
	// namespace is the inode of the pid namespace that pid is a number of.
	namespace uint64
}

func parseInstance(name string) (id identity, ok bool) {
	rest, ok := strings.CutPrefix(name, instancePrefix)
	if !ok {
		return id, false
	}
	id, last, ok := parseIdentity(rest)
	if _, err := strconv.ParseUint(last, 10, 32); err != nil {
		return id, false
	}
	return id, ok
}

// parseIdentity reads <pid>_<start time>_<pid namespace>_<last>.
func parseIdentity(s string) (id identity, last string, ok bool) {
	part := strings.Split(s, "_")
	if len(part) != 4 {
		return id, "", false
	}
	pid, err := strconv.ParseUint(part[0], 10, 31)
	start, err1 := strconv.ParseUint(part[1], 10, 64)
	ns, err2 := strconv.ParseUint(part[2], 10, 64)
	if errors.Join(err, err1, err2) != nil {
		return id, "", false
	}
	return identity{int(pid), start, ns}, part[3], true
}
