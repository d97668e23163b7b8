package perfev

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// whose is one target of perf_event_open: the caller where it is zero, a thread, a
// cgroup by the descriptor of its folder, or everybody (-1).
type whose struct {
	id, flags int
}

// targets lists whose events are opened. Descriptors among them are the caller's.
func (s *Source) targets() ([]whose, error) {
	var list []whose
	switch t := s.cfg.Target; {
	case len(t.Cgroups) > 0:
		paths, err := cgroupFolders(t.Cgroups)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			fd, err := unix.Open(p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return list, fmt.Errorf("open cgroup: %w", &os.PathError{Op: "open", Path: p, Err: err})
			}
			list = append(list, whose{id: fd, flags: unix.PERF_FLAG_PID_CGROUP})
		}
	case t.perTask():
		tids, err := s.threads()
		if err != nil {
			return nil, err
		}
		for _, tid := range tids {
			list = append(list, whose{id: tid})
		}
	default:
		list = append(list, whose{id: -1})
	}
	return list, nil
}

// targetCount is how many targets there are at the moment.
func (s *Source) targetCount() (int, error) {
	t := s.cfg.Target
	if !t.perTask() {
		return max(1, len(t.Cgroups)), nil
	}
	tids, err := s.threads()
	return len(tids), err
}

// threads lists the threads of the target.
func (s *Source) threads() ([]int, error) {
	t := s.cfg.Target
	tids := slices.Clone(t.TIDs)
	for _, tid := range t.TIDs {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", tid)); err != nil {
			return nil, fmt.Errorf("record thread %d: there is no such thread", tid)
		}
	}
	pids := t.PIDs
	if t.Tree {
		pids = withDescendants(pids)
	}
	s.wanted = make(map[int32]bool)
	for i, pid := range pids {
		list, err := threadsOf(pid)
		if err != nil && i >= len(t.PIDs) {
			continue // a descendant that has ended
		}
		if err != nil {
			return nil, err
		}
		s.wanted[int32(pid)] = true
		tids = append(tids, list...)
	}
	slices.Sort(tids)
	return slices.Compact(tids), nil
}

// withDescendants returns pids and behind them the processes that descend from
// them. It looks until it finds no more, as one may be made while it reads.
func withDescendants(pids []int) []int {
	list := slices.Clone(pids)
	for range 100 {
		n := len(list)
		parents := parentsOf()
		for changed := true; changed; {
			changed = false
			for pid, ppid := range parents {
				if slices.Contains(list, ppid) && !slices.Contains(list, pid) {
					list, changed = append(list, pid), true
				}
			}
		}
		if len(list) == n {
			break
		}
	}
	return list
}

// parentsOf reads the parent of every process.
func parentsOf() map[int]int {
	m := make(map[int]int)
	ents, err := os.ReadDir("/proc")
	if err != nil {
		return m
	}
	for _, e := range ents {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// State and parent stand behind the name, which may hold parentheses.
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) < 2 {
			continue
		}
		if ppid, err := strconv.Atoi(string(f[1])); err == nil {
			m[pid] = ppid
		}
	}
	return m
}

// watchForks has the side rings tell of forks while the events are opened.
func (s *Source) watchForks() error {
	for i := range s.cpus {
		if err := s.cpus[i].sideEv.Enable(); err != nil {
			return fmt.Errorf("enable task records on cpu %d: %w", s.cpus[i].cpu, err)
		}
	}
	return nil
}

// fork is a thread that was made.
type fork struct {
	taskRecord
	time int64
}

// forks takes the FORK records from the side rings, in order of time, and drops
// what else is there: the tasks are scanned when the source is started.
func (s *Source) forks() []fork {
	var list []fork
	for i := range s.cpus {
		r := s.cpus[i].side
		for more := true; more; {
			more = r.find(roundBytes)
			for ; r.pending(); r.at++ {
				h, rec := r.record(r.idx[r.at].pos)
				if h.kind != recordFork {
					continue
				}
				if t, ok := decodeTask(rec); ok {
					list = append(list, fork{taskRecord: t, time: r.idx[r.at].time})
				}
			}
			r.release()
		}
	}
	slices.SortFunc(list, func(a, b fork) int { return cmp.Compare(a.time, b.time) })
	return list
}

// openLate opens the events of the threads that were made after the listing by one
// whose events were not all open: a new thread inherits what is open at its maker
// at that moment, and what it inherited must not be opened once more, or each of
// its events would be recorded twice.
//
// A FORK record is made some ten microseconds after the inheriting, of a process
// with much memory up to milliseconds. Events that were opened at the maker within
// that time are taken for inherited: they may be missing, but never come twice.
func (o *opening) openLate() error {
	const (
		// pause lets forks that are under way come to their record.
		pause = time.Millisecond
		// patience ends the pursuit of threads that each make the next and end at once: on
		// a busy machine many of them are gone by the time that their record is read.
		patience = 3 * time.Second
	)
	s, end := o.s, time.Now().Add(patience)
	for quiet := 0; quiet < 2 && time.Now().Before(end); {
		quiet++
		for _, f := range s.forks() {
			maker, tid := o.times[int(f.ptid)], int(f.tid)
			if maker == nil || o.times[tid] != nil {
				continue
			}
			inherited, whole := inheritedAt(maker, f.time)
			if whole {
				o.times[tid] = inherited
				continue
			}
			quiet = 0
			if err := o.open(whose{id: tid}, inherited); err != nil {
				return err
			}
			if s.wanted != nil {
				s.wanted[f.pid] = true
			}
		}
		if quiet == 1 {
			time.Sleep(pause)
		}
	}
	var errs []error
	for i := range s.cpus {
		errs = append(errs, s.cpus[i].sideEv.Disable())
	}
	s.forks() // what is left is older than the scan that follows
	return errors.Join(errs...)
}

// inheritedAt returns which slots a thread inherited that was made at time at by
// one whose slots were opened at the times of maker: 0 is not, else at. whole
// reports whether it is all of them.
func inheritedAt(maker []int64, at int64) (times []int64, whole bool) {
	times, whole = make([]int64, len(maker)), true
	for k, opened := range maker {
		if opened > at {
			whole = false
			continue
		}
		times[k] = at
	}
	return times, whole
}
