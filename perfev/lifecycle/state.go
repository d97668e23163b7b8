package lifecycle

import "slices"

// ending is what ended a task, as wait would tell it.
type ending struct {
	// by is the thread that it came from.
	by int32
	// code is the exit code, or the signal where signaled.
	code     int32
	known    bool
	signaled bool
}

// process is what is known of a thread group.
type process struct {
	end ending
	// pending are the signals that were sent and not yet delivered and that end a
	// process without a core unless it takes them, in the order of sending.
	pending []uint8
}

// lives is what is known of tasks between their events. Entries go with the tasks; where
// the ends are not seen, there is at most one a number that the kernel gives to tasks.
type lives struct {
	procs map[int32]*process
	// group is the thread group of a thread, code what it handed to exit.
	group map[int32]int32
	code  map[int32]int32
}

func newLives() *lives {
	return &lives{procs: map[int32]*process{}, group: map[int32]int32{}, code: map[int32]int32{}}
}

// forget drops all: after a loss, what is known may be of tasks that are gone, whose
// numbers others have now. No ending is better than a wrong one.
func (l *lives) forget() {
	clear(l.procs)
	clear(l.group)
	clear(l.code)
}

// groupOf returns the thread group of a thread; unknown ones are their own, as the
// kernel addresses a signal for a process to its first thread.
func (l *lives) groupOf(tid int32) int32 {
	if pid, ok := l.group[tid]; ok {
		return pid
	}
	return tid
}

func (l *lives) process(pid int32) *process {
	p := l.procs[pid]
	if p == nil {
		p = &process{}
		l.procs[pid] = p
	}
	return p
}

// saw notes that a thread belongs to a group. It is for events of living threads alone:
// a thread sends SIGCHLD after its exit was seen.
func (l *lives) saw(tid, pid int32) {
	if tid > 0 && pid > 0 {
		l.group[tid] = pid
	}
}

// born begins a task. What is known under its number was another's.
func (l *lives) born(tid, pid int32) {
	delete(l.code, tid)
	if tid == pid {
		delete(l.procs, tid)
	}
	l.group[tid] = pid
}

// exitGroup: the thread calls exit_group. The first call or signal counts, unless it
// was this thread's own: then that signal has not ended it (init in a container).
func (l *lives) exitGroup(tid, pid, code int32) {
	p := l.process(pid)
	if !p.end.known || p.end.by == tid {
		p.end = ending{by: tid, code: code & 0xff, known: true}
	}
}

// exitOne: the thread calls exit.
func (l *lives) exitOne(tid, code int32) { l.code[tid] = code & 0xff }

// generated: a signal was sent. One that a process does not take, and that dumps no
// core, ends it here (complete_signal, kernel/signal.c), and what its threads are
// delivered is SIGKILL.
func (l *lives) generated(target, sig int32) {
	if !ends(sig) || dumps(sig) {
		return
	}
	p := l.process(l.groupOf(target))
	p.drop(sig)
	p.pending = append(p.pending, uint8(sig))
}

func (p *process) drop(sig int32) {
	if i := slices.Index(p.pending, uint8(sig)); i >= 0 {
		p.pending = slices.Delete(p.pending, i, i+1)
	}
}

// delivered: a thread takes a signal. handler 0 is SIG_DFL.
func (l *lives) delivered(tid, pid, sig int32, handler uint64) {
	p := l.procs[pid]
	if p == nil {
		if handler != 0 || !ends(sig) || sig == sigKill {
			return
		}
		p = l.process(pid)
	}
	switch {
	case sig != sigKill:
		p.drop(sig)
		if handler == 0 && ends(sig) && !p.end.known {
			p.end = ending{by: tid, code: sig, known: true, signaled: true}
		}
	case !p.end.known && len(p.pending) > 0:
		// Once a process is ending the kernel drops what else is sent to it (6.0 and
		// newer), so that the last one is the one.
		p.end = ending{by: tid, code: int32(p.pending[len(p.pending)-1]), known: true, signaled: true}
	}
}

// execed: a thread has begun another program, and goes on under its group's number.
func (l *lives) execed(tid, pid, old int32) {
	if p := l.procs[pid]; p != nil {
		// It is alive: what was taken for its end is that of its threads.
		p.end = ending{}
	}
	if old != tid {
		delete(l.group, old)
		delete(l.code, old)
	}
	delete(l.code, tid)
}

// ended returns what ended a thread, and forgets it; its group as well where dead.
func (l *lives) ended(tid, pid int32, dead bool) ending {
	e := ending{}
	if code, ok := l.code[tid]; ok {
		// A thread that is in exit takes no signal any more.
		e = ending{by: tid, code: code, known: true}
	} else if p := l.procs[pid]; p != nil {
		e = p.end
	}
	delete(l.code, tid)
	delete(l.group, tid)
	if dead {
		delete(l.procs, pid)
	}
	return e
}
