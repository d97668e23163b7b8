package perfev

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// mostProcesses bounds how many processes a scope follows at a time.
const mostProcesses = 1 << 16

// processScope is whose events the programs on tracepoints record, kept in the kernel.
type processScope struct {
	// pids are the processes; waiting those that come in when they call execve.
	pids, waiting *ebpf.Map
	cgroups       *ebpf.Map
	// progs keep pids.
	progs []tracepointProgram
}

// prepareScope makes the maps of the target and plans the programs that keep them: from
// when they are attached on, nothing that a target makes is missed.
func (s *Source) prepareScope(k bpf.Types, task bpf.Task) (plan []tracing, err error) {
	t, target := s.programs.points, s.cfg.Target
	sc := &t.scope
	if len(target.Cgroups) > 0 {
		return nil, s.prepareCgroups()
	}
	if !target.perTask() {
		return nil, nil
	}
	most := uint32(min(pidMax(), mostProcesses))
	if sc.pids, err = makeMap(&ebpf.MapSpec{Name: "pp_pids", Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: most}); err != nil {
		return nil, fmt.Errorf("make the list of processes: %w", err)
	}
	t.maps.Scope.PIDs = sc.pids.FD()
	f := bpf.Follow{PIDs: sc.pids.FD(), Waiting: -1, Task: task}
	if target.EnableOnExec {
		if sc.waiting, err = makeMap(&ebpf.MapSpec{Name: "pp_waiting", Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: most}); err != nil {
			return nil, fmt.Errorf("make the list of processes to come: %w", err)
		}
		f.Waiting = sc.waiting.FD()
		// The earlier place is there from Linux 6.10 on.
		at := "sched_prepare_exec"
		if _, err := k.Args(at); err != nil {
			at = "sched_process_exec"
		}
		plan = append(plan, tracing{tracepoint: at, code: bpf.AssembleExec(f)})
	}
	return append(plan,
		tracing{tracepoint: "sched_process_fork", code: bpf.AssembleFork(f)},
		tracing{tracepoint: "sched_process_free", code: bpf.AssembleFree(f)},
	), nil
}

// pidMax is one more than the highest number of a process.
func pidMax() int {
	b, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return mostProcesses
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || n < 1 {
		return mostProcesses
	}
	return n
}

// seedScope puts the processes that are there into the scope. Those that they make
// meanwhile are in it by the programs.
func (s *Source) seedScope() error {
	sc, t := &s.programs.points.scope, s.cfg.Target
	if sc.pids == nil {
		return nil
	}
	to := sc.pids
	if sc.waiting != nil {
		to = sc.waiting
	}
	put := func(pids []int) error {
		for _, pid := range pids {
			// What a program put there knows more.
			err := to.Update(uint32(pid), uint64(0), ebpf.UpdateNoExist)
			if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
				return fmt.Errorf("record process %d: %w", pid, err)
			}
		}
		return nil
	}
	// With EnableOnExec, threads are processes of one thread.
	roots := slices.Concat(t.PIDs, t.TIDs)
	if err := put(roots); err != nil || !t.Tree {
		return err
	}
	return put(withDescendants(roots))
}

// prepareCgroups makes the list of the cgroups.
func (s *Source) prepareCgroups() error {
	t := s.programs.points
	paths, err := cgroupFolders(s.cfg.Target.Cgroups)
	if err != nil {
		return err
	}
	if len(paths) > bpf.MaxCgroups {
		return fmt.Errorf("a program looks for up to %d cgroups, not %d", bpf.MaxCgroups, len(paths))
	}
	if t.scope.cgroups, err = makeMap(&ebpf.MapSpec{Name: "pp_cgroups", Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(len(paths))}); err != nil {
		return fmt.Errorf("make the list of cgroups: %w", err)
	}
	for i, p := range paths {
		if !isCgroup2(p) {
			return fmt.Errorf("%s is of the first hierarchy of cgroups, a program sees the second", p)
		}
		if err := putCgroup(t.scope.cgroups, i, p); err != nil {
			return err
		}
	}
	t.maps.Scope.Cgroups, t.maps.Scope.CgroupCount = t.scope.cgroups.FD(), len(paths)
	return nil
}

func putCgroup(m *ebpf.Map, i int, path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open cgroup: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	// The map holds it.
	defer func() { _ = unix.Close(fd) }()
	if err := m.Put(uint32(i), uint32(fd)); err != nil {
		return fmt.Errorf("record cgroup %s: %w", path, err)
	}
	return nil
}

// isCgroup2 reports whether path is a folder of the second hierarchy.
func isCgroup2(path string) bool {
	var v unix.Statfs_t
	return unix.Statfs(path, &v) == nil && v.Type == unix.CGROUP2_SUPER_MAGIC
}

// close frees the maps; those that were not made need nothing.
func (sc *processScope) close() error {
	return errors.Join(sc.pids.Close(), sc.waiting.Close(), sc.cgroups.Close())
}
