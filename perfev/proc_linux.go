//go:build linux

package perfev

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OnlineCPUs returns the processors that are online (/sys/devices/system/cpu/online).
func OnlineCPUs() ([]int, error) {
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, fmt.Errorf("list online cpus: %w", err)
	}
	return ParseCPUs(strings.TrimSpace(string(b)))
}

// threadsOf lists the threads of process pid. It reads until the list stays the
// same, so that a thread started meanwhile by one already seen is not missed.
func threadsOf(pid int) ([]int, error) {
	var last []int
	for range 100 {
		ents, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return nil, fmt.Errorf("record process %d: there is no such process", pid)
		}
		var tids []int
		for _, e := range ents {
			if tid, err := strconv.Atoi(e.Name()); err == nil {
				tids = append(tids, tid)
			}
		}
		slices.Sort(tids)
		if slices.Equal(tids, last) {
			return tids, nil
		}
		last = tids
	}
	return last, nil
}

// Alive reports whether the process or thread id exists and is no zombie.
func Alive(id int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if err != nil {
		return false
	}
	// The state stands behind the name, which may itself hold parentheses.
	i := bytes.LastIndexByte(b, ')')
	return i >= 0 && i+2 < len(b) && b[i+2] != 'Z' && b[i+2] != 'X'
}

// checkFiles compares the descriptors that the events need with what is allowed,
// before the first is opened. open are those of other engines, room is for the files of
// the output and what is open besides.
func checkFiles(events, cpus, threads, open int) error {
	const room = 32
	need := uint64(events)*uint64(cpus)*uint64(threads) + 3*uint64(cpus) + uint64(open) + room
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if need <= lim.Cur {
		return nil
	}
	if need <= lim.Max {
		lim.Cur = lim.Max
		return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &lim))
	}
	what := fmt.Sprintf("%d events on %d cpus", events, cpus)
	if threads > 1 {
		what += fmt.Sprintf(" for %d threads", threads)
	}
	return fmt.Errorf("recording %s takes %d open files, RLIMIT_NOFILE allows %d: raise it with 'ulimit -n %d', or record fewer events, or fewer processors with -C: %w",
		what, need, lim.Max, need, unix.EMFILE)
}

func paranoid() string {
	b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return "not readable"
	}
	return strings.TrimSpace(string(b))
}
