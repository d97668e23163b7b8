package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// userHz is the unit of /proc/PID/stat's times: USER_HZ is 100 on every
// architecture that Linux has (include/asm-generic/param.h) but alpha and ia64.
const userHz = 100

// Scan adds every thread that /proc shows, with the parent, executable and cgroup
// of its process. Call it once the records of forks and exits are being made, and
// before the first is fed. A start time is exact to 10 ms, the unit of field 22 of
// /proc/PID/stat; a thread's own FORK record corrects it. Threads that end while
// the scan runs are left out, and so is what the caller may not read.
func (t *Table) Scan() error {
	dir, err := os.Open("/proc")
	if err != nil {
		return fmt.Errorf("scan tasks: %w", err)
	}
	names, err := dir.Readdirnames(-1)
	if e := dir.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("scan tasks: %w", err)
	}
	offset := bootOffset()
	for _, name := range names {
		pid, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			continue
		}
		t.scanProcess(int32(pid), offset)
	}
	return nil
}

func (t *Table) scanProcess(pid int32, offset int64) {
	base := "/proc/" + strconv.Itoa(int(pid))
	dir, err := os.Open(base + "/task")
	if err != nil {
		return
	}
	names, _ := dir.Readdirnames(-1)
	_ = dir.Close()
	told := false
	for _, name := range names {
		tid, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			continue
		}
		ppid, ok := t.scanThread(pid, int32(tid), base+"/task/"+name, offset)
		if !ok {
			continue
		}
		k := t.tasks[int32(tid)]
		if g := k.group; !told {
			g.ppid, g.exe, g.cgroup, told = ppid, ExeOf(pid), cgroupOf(base), true
			if t.opt.Space != nil {
				g.space = t.opt.Space(pid)
			}
		}
		t.number(k)
	}
}

// scanThread adds one thread, or brings it up to date, and returns its parent process.
func (t *Table) scanThread(pid, tid int32, dir string, offset int64) (ppid int32, ok bool) {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, false
	}
	ppid, ticks, ok := parseStat(stat)
	if !ok {
		return 0, false
	}
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return 0, false
	}
	start := int64(ticks)*(1e9/userHz) - offset
	// CLOCK_MONOTONIC began with the kernel: a task of the first ticks started at
	// its beginning, and 0 would say that it is unknown.
	start = max(start, 1)
	k := t.tasks[tid]
	if k == nil || k.ended || k.pid != pid || k.start > 0 && abs(k.start-start) > 2e9/userHz {
		if k != nil && !k.ended {
			t.end(k, 0)
		}
		k = t.add(pid, tid)
		k.start = start
	}
	k.scanned = monotonic()
	// proc_task_name writes the name and a line feed; the name may hold others.
	k.comm = t.intern(taskName(bytes.TrimSuffix(comm, []byte("\n")), ppid))
	return ppid, true
}

// kthreadd is the parent of every kernel thread.
const kthreadd = 2

// taskName undoes what proc_task_name (fs/proc/array.c) adds to the names of
// kernel threads: the whole of a long one, and to a worker's "-" or "+" and the
// work queue that it serves at the moment. task->comm, which events and the
// kernel's filters have, ends before that, and after 15 bytes.
func taskName(comm []byte, ppid int32) []byte {
	if ppid != kthreadd {
		return comm
	}
	if bytes.HasPrefix(comm, []byte("kworker/")) && !bytes.HasPrefix(comm, []byte("kworker/R-")) {
		if i := bytes.IndexAny(comm, "-+"); i > 0 {
			comm = comm[:i]
		}
	}
	return comm[:min(len(comm), 15)]
}

func abs(v int64) int64 { return max(v, -v) }

// parseStat takes the parent's pid (field 4) and the start (field 22) from
// /proc/PID/stat. The name in field 2 may hold blanks and parentheses.
func parseStat(b []byte) (ppid int32, ticks uint64, ok bool) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return 0, 0, false
	}
	p, err := strconv.ParseInt(string(f[1]), 10, 32)
	ticks, err2 := strconv.ParseUint(string(f[19]), 10, 64)
	return int32(p), ticks, err == nil && err2 == nil
}

// ExeOf returns the path of the executable that a process runs, "" where /proc
// does not say: kernel threads, the dead, another user's.
func ExeOf(pid int32) string {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/exe")
	if err != nil {
		return ""
	}
	return exe
}

// SpaceOf compares the pid namespace of a process with that of the caller.
func SpaceOf(pid int32) Space {
	own, err1 := os.Readlink("/proc/self/ns/pid")
	ns, err2 := os.Readlink("/proc/" + strconv.Itoa(int(pid)) + "/ns/pid")
	switch {
	case err1 != nil || err2 != nil || ns == "":
		return SpaceUnknown
	case ns == own:
		return SpaceOwn
	}
	return SpaceForeign
}

// InsideOf returns the number that a task has in its own pid namespace, 0 where it is gone.
func InsideOf(tid int32) int32 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(tid)) + "/status")
	if err != nil {
		return 0
	}
	return parseNSpid(string(b))
}

// parseNSpid takes the innermost number from the text of /proc/TID/status: the line
// "NSpid:" has one for each namespace that the reader sees, its own first.
func parseNSpid(status string) int32 {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) == 0 {
			return 0
		}
		n, err := strconv.ParseInt(f[len(f)-1], 10, 32)
		if err != nil || n < 0 {
			return 0
		}
		return int32(n)
	}
	return 0
}

// AliveIn reports whether /proc still shows the thread.
func AliveIn(tid int32) bool {
	_, err := os.Lstat("/proc/" + strconv.Itoa(int(tid)))
	return !errors.Is(err, fs.ErrNotExist)
}

// cgroupOf reads a process's cgroup: that of v2 (hierarchy 0), else of the first v1 line.
func cgroupOf(base string) string {
	b, err := os.ReadFile(base + "/cgroup")
	if err != nil {
		return ""
	}
	return parseCgroup(string(b))
}

// parseCgroup takes the path from the text of /proc/PID/cgroup (cgroups(7)).
func parseCgroup(text string) string {
	first, seen := "", false
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(part) != 3 {
			continue
		}
		// Beside v1 hierarchies the v2 one is often mounted without controllers,
		// and everything sits in its root.
		if part[0] == "0" && (part[2] != "/" || !seen) {
			return part[2]
		}
		if !seen {
			first, seen = part[2], true
		}
	}
	return first
}

// bootOffset is CLOCK_BOOTTIME, in which starts are told, minus CLOCK_MONOTONIC:
// the time that the machine was asleep. The two are read a moment apart.
func bootOffset() int64 {
	var boot unix.Timespec
	mono := monotonic()
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return 0
	}
	if d := boot.Nano() - mono; d > 1e9/userHz {
		return d
	}
	return 0
}

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
