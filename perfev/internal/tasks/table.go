// Package tasks knows which process a thread belongs to and what it is called,
// at the time of each event: fed in time order by the kernel's task records
// (PERF_RECORD_COMM, FORK and EXIT) and, live, by a scan of /proc.
package tasks

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/perfpipe/perfpipe"
)

const (
	// cacheSize is that of the direct-mapped cache before the map, a power of two:
	// a CPU switches between a few dozen tasks within the time of a round.
	cacheSize = 512
	// keepEnded is how many ended tasks can still be looked up. A task's last
	// records (its final sched_switch, sched_process_free) follow its EXIT within
	// microseconds; thousands of others would have to end in between.
	keepEnded = 4096
	// maxLive bounds the table where exits were lost. An entry takes some 200
	// bytes; the kernel's own default limit is 32768 tasks on small machines.
	maxLive = 1 << 18
	// maxInterned bounds the names kept for sharing.
	maxInterned = 1 << 16
)

// Table is what is known of tasks at one moment. It belongs to one goroutine.
type Table struct {
	tasks map[int32]*task
	cache [cacheSize]slot
	// ended is a ring of the tasks that ended last.
	ended [keepEnded]*task
	next  int
	// oldest and newest are the ends of the list of the living, by age in the table.
	oldest, newest *task
	live           int
	groups         map[int32]*group
	names          map[string]string
	idle           []string
	opt            Options
}

// Options are the optional parts of a [Table].
type Options struct {
	// Done takes every task once: with End set when it ended, and when the table
	// is closed or has no room for it with End 0. Nil drops them.
	Done func(perfpipe.Task)
	// Exe names the executable of a process that just called exec, "" if it
	// cannot. [ExeOf] asks /proc. Nil where nothing can be asked: a recorded file.
	Exe func(pid int32) string
	// Space tells the pid namespace of a process. [SpaceOf] asks /proc. Nil where
	// nothing can be asked: the numbers in the namespace are then not known.
	Space func(pid int32) Space
	// Inside returns the number that a task has in its own pid namespace, 0 where it
	// is not known. It is asked only of those in a foreign one. [InsideOf] asks /proc.
	Inside func(tid int32) int32
	// Alive reports whether a thread still is. It is asked only when the table is
	// full. Nil is no.
	Alive func(tid int32) bool
	// MaxLive is the most living tasks kept, 0 is 262144.
	MaxLive int
}

// Space says where the numbers of a process are.
type Space uint8

const (
	// SpaceUnknown: it could not be asked.
	SpaceUnknown Space = iota
	// SpaceOwn: the caller's pid namespace.
	SpaceOwn
	// SpaceForeign: another, where tasks have other numbers.
	SpaceForeign
)

type slot struct {
	tid int32
	t   *task
}

// task is one thread.
type task struct {
	comm       string
	group      *group
	start, end int64
	// scanned is when /proc told of it, 0 where a record did.
	scanned  int64
	tid, pid int32
	// inside is tid in the task's own pid namespace, 0 is unknown.
	inside int32
	ended  bool
	// older and newer link the living in the order of their arrival, before and
	// after those of one group.
	older, newer  *task
	before, after *task
}

// group is a thread group: a process.
type group struct {
	exe, cgroup string
	first       *task
	pid, ppid   int32
	// inside is pid in the process's own pid namespace, 0 is unknown.
	inside int32
	space  Space
}

// New returns an empty table.
func New(o Options) *Table {
	if o.MaxLive <= 0 {
		o.MaxLive = maxLive
	}
	return &Table{tasks: map[int32]*task{}, groups: map[int32]*group{}, names: map[string]string{}, opt: o}
}

// Lookup returns the process of a thread and the thread's name, both at the time
// of what was last fed. The idle task (tid 0) is process 0, "swapper/CPU"; of a
// thread that nobody told of, pid is -1 and comm empty. It does not allocate.
func (t *Table) Lookup(tid int32, cpu uint16) (pid int32, comm string) {
	if tid == 0 {
		if int(cpu) < len(t.idle) {
			return 0, t.idle[cpu]
		}
		return 0, t.idleName(cpu)
	}
	s := &t.cache[uint32(tid)%cacheSize]
	if s.tid == tid {
		return s.t.pid, s.t.comm
	}
	k := t.tasks[tid]
	if k == nil {
		return -1, ""
	}
	s.tid, s.t = tid, k
	return k.pid, k.comm
}

// idleName makes the names of the idle tasks up to cpu.
func (t *Table) idleName(cpu uint16) string {
	for n := len(t.idle); n <= int(cpu); n++ {
		t.idle = append(t.idle, "swapper/"+strconv.Itoa(n))
	}
	return t.idle[cpu]
}

// Len returns the number of living tasks.
func (t *Table) Len() int { return t.live }

// HasProcess reports whether a thread of process pid lives.
func (t *Table) HasProcess(pid int32) bool { return t.groups[pid] != nil }

// Processes returns the processes of which a thread lives, in no order.
func (t *Table) Processes() []int32 {
	list := make([]int32, 0, len(t.groups))
	for pid := range t.groups {
		list = append(list, pid)
	}
	return list
}

// twice bounds, in nanoseconds, the time between two records of one fork: every event
// of a processor that asks for tasks or for mappings writes one
// (perf_event_task_match, kernel/events/core.c). The kernel does not use the number
// of a thread again within it.
const twice = 100_000_000

// Fork takes PERF_RECORD_FORK: thread tid of process pid was made by thread ptid
// of process ppid. It bears its maker's name, executable and cgroup. time is in
// nanoseconds on CLOCK_MONOTONIC, 0 where the record was made up for a task that
// already was.
func (t *Table) Fork(time int64, pid, ppid, tid, ptid int32) {
	if tid <= 0 {
		return
	}
	parent := t.tasks[ptid]
	if k := t.tasks[tid]; k != nil && !k.ended {
		if k.scanned >= time && k.pid == pid && (k.scanned > 0 || time == 0) {
			// /proc told of this task before its own record came.
			if time > 0 {
				k.start, k.scanned = time, 0
				if parent != nil && parent != k {
					k.comm = parent.comm
				}
			}
			if k.group.ppid < 0 && pid != ppid {
				k.group.ppid = ppid
			}
			return
		}
		if k.pid == pid && time > 0 && k.scanned == 0 && k.start > 0 && time-k.start < twice {
			return
		}
		t.end(k, 0)
	}
	k := t.add(pid, tid)
	k.start = time
	if parent == nil || parent == k {
		if pid != ppid {
			k.group.ppid = ppid
		}
		return
	}
	k.comm = parent.comm
	if pid != ppid {
		k.group.ppid = ppid
		k.group.exe, k.group.cgroup, k.group.space = parent.group.exe, parent.group.cgroup, parent.group.space
	}
	t.number(k)
}

// number finds what a task is called in its own pid namespace.
func (t *Table) number(k *task) {
	g := k.group
	switch {
	case g.space == SpaceOwn:
		k.inside, g.inside = k.tid, k.pid
	case g.space == SpaceForeign && t.opt.Inside != nil:
		if k.inside == 0 {
			k.inside = t.opt.Inside(k.tid)
		}
		if k.tid == k.pid {
			g.inside = k.inside
		} else if g.inside == 0 {
			g.inside = t.opt.Inside(k.pid)
		}
	}
}

// Comm takes PERF_RECORD_COMM without PERF_RECORD_MISC_COMM_EXEC: thread tid gave
// itself a name. comm ends at its first NUL; it is copied.
func (t *Table) Comm(_ int64, pid, tid int32, comm []byte) {
	if tid <= 0 {
		return
	}
	k := t.tasks[tid]
	if k == nil || k.pid != pid {
		if k != nil && !k.ended {
			t.end(k, 0)
		}
		k = t.add(pid, tid)
	}
	k.comm = t.intern(comm)
}

// Exec takes PERF_RECORD_COMM with PERF_RECORD_MISC_COMM_EXEC: process pid runs
// another program. All its other threads are gone; where one of them called exec,
// it has taken the place of the first, tid = pid, and there was no record of its
// own end.
func (t *Table) Exec(time int64, pid, tid int32, comm []byte) {
	if tid <= 0 {
		return
	}
	k := t.tasks[tid]
	if k == nil || k.ended || k.pid != pid {
		if k != nil && !k.ended {
			t.end(k, 0)
		}
		start := int64(0)
		if k != nil && k.pid == pid {
			start = k.start
		}
		k = t.add(pid, tid)
		k.start = start
	}
	for o := k.group.first; o != nil; {
		after := o.after
		if o != k {
			t.end(o, time)
		}
		o = after
	}
	k.comm = t.intern(comm)
	k.group.exe = ""
	if t.opt.Exe != nil {
		k.group.exe = t.opt.Exe(pid)
	}
	// Of a process that was made with a namespace of its own the fork did not tell.
	if t.opt.Space != nil {
		if sp := t.opt.Space(pid); sp != SpaceUnknown && sp != k.group.space {
			k.group.space, k.group.inside, k.inside = sp, 0, 0
		}
	}
	t.number(k)
}

// Exit takes PERF_RECORD_EXIT: thread tid ended. It can still be looked up.
func (t *Table) Exit(time int64, pid, tid int32) {
	k := t.tasks[tid]
	if k == nil {
		if tid <= 0 {
			return
		}
		k = t.add(pid, tid)
	}
	if !k.ended && k.pid == pid {
		t.end(k, time)
	}
}

// Close hands the living over, in the order of their start, and empties the table.
func (t *Table) Close() {
	list := make([]*task, 0, t.live)
	for k := t.oldest; k != nil; k = k.newer {
		list = append(list, k)
	}
	slices.SortStableFunc(list, func(a, b *task) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.tid, b.tid))
	})
	for _, k := range list {
		t.hand(k)
	}
	*t = *New(t.opt)
}

// add makes a living task and gives it its seat. An ended one of the same tid
// loses it.
func (t *Table) add(pid, tid int32) *task {
	if t.live >= t.opt.MaxLive {
		t.evict()
	}
	g := t.groups[pid]
	if g == nil {
		g = &group{pid: pid, ppid: -1}
		t.groups[pid] = g
	}
	k := &task{tid: tid, pid: pid, group: g, older: t.newest, after: g.first}
	if t.newest != nil {
		t.newest.newer = k
	} else {
		t.oldest = k
	}
	t.newest = k
	if g.first != nil {
		g.first.before = k
	}
	g.first = k
	t.live++
	t.tasks[tid] = k
	t.cache[uint32(tid)%cacheSize] = slot{}
	return k
}

// end takes k from the living, hands it over, and keeps it to be looked up.
func (t *Table) end(k *task, time int64) {
	k.ended, k.end = true, time
	t.unlink(k)
	t.hand(k)
	if old := t.ended[t.next]; old != nil && t.tasks[old.tid] == old {
		t.forget(old)
	}
	t.ended[t.next] = k
	t.next = (t.next + 1) % keepEnded
}

// evict makes room: the oldest task that nobody knows to be alive goes. With all
// of the first few alive the very oldest does.
func (t *Table) evict() {
	const tries = 64
	for range min(tries, t.live) {
		k := t.oldest
		if t.opt.Alive == nil || !t.opt.Alive(k.tid) {
			break
		}
		// To the young end of the list.
		t.unage(k)
		k.older, k.newer = t.newest, nil
		if t.newest != nil {
			t.newest.newer = k
		} else {
			t.oldest = k
		}
		t.newest = k
	}
	k := t.oldest
	t.unlink(k)
	t.hand(k)
	t.forget(k)
}

func (t *Table) forget(k *task) {
	delete(t.tasks, k.tid)
	if s := &t.cache[uint32(k.tid)%cacheSize]; s.tid == k.tid {
		*s = slot{}
	}
}

// unlink takes k out of both lists, and its group out of the table with the last.
func (t *Table) unlink(k *task) {
	t.unage(k)
	if k.before != nil {
		k.before.after = k.after
	} else {
		k.group.first = k.after
	}
	if k.after != nil {
		k.after.before = k.before
	}
	k.before, k.after = nil, nil
	if k.group.first == nil && t.groups[k.pid] == k.group {
		delete(t.groups, k.pid)
	}
	t.live--
}

// unage takes k out of the list by age.
func (t *Table) unage(k *task) {
	if k.older != nil {
		k.older.newer = k.newer
	} else {
		t.oldest = k.newer
	}
	if k.newer != nil {
		k.newer.older = k.older
	} else {
		t.newest = k.older
	}
	k.older, k.newer = nil, nil
}

func (t *Table) hand(k *task) {
	if t.opt.Done == nil {
		return
	}
	t.opt.Done(perfpipe.Task{
		TID: k.tid, PID: k.pid, PPID: k.group.ppid,
		Comm: k.comm, Exe: k.group.exe, Cgroup: k.group.cgroup,
		Start: k.start, End: k.end,
		NSTID: k.inside, NSPID: k.group.inside,
	})
}

// intern returns the one string for a name that ends at its first NUL.
func (t *Table) intern(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	if s, ok := t.names[string(b)]; ok {
		return s
	}
	if len(t.names) >= maxInterned {
		clear(t.names)
	}
	s := string(b)
	t.names[s] = s
	return s
}
