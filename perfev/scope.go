package perfev

import "maps"

// scope are the threads whose events are kept, where what the kernel filters by is
// more: as perf has them, whose events are inherited by what a thread makes. It is fed
// in order of time.
type scope struct {
	// procs is the process of each thread in it, threads how many each process has.
	procs   map[int32]int32
	threads map[int32]int
	// waiting are the threads whose events begin with execve.
	waiting map[int32]bool
	// alone leaves out what the threads make.
	alone bool
	// last and kept remember an answer, as records of one thread come together.
	last int32
	kept bool
}

func newScope() *scope {
	return &scope{procs: map[int32]int32{}, threads: map[int32]int{}, waiting: map[int32]bool{}, last: -1}
}

// clone returns a scope of its own that is the same.
func (s *scope) clone() *scope {
	c := *s
	c.procs, c.threads, c.waiting = maps.Clone(s.procs), maps.Clone(s.threads), maps.Clone(s.waiting)
	return &c
}

// follow takes a record of the side band. renamed and pid are as exec has them.
func (s *scope) follow(h header, rec []byte) (pid int32, renamed bool) {
	switch h.kind {
	case recordFork:
		if t, ok := decodeTask(rec); ok {
			s.fork(t)
		}
	case recordExit:
		if t, ok := decodeTask(rec); ok {
			s.exit(t.tid)
		}
	case recordComm:
		if pid, _, _, ok := decodeComm(rec); ok && h.misc&miscCommExec != 0 {
			return pid, s.exec(pid)
		}
	}
	return 0, false
}

// add takes in a thread.
func (s *scope) add(pid, tid int32) {
	s.last = -1
	if _, ok := s.procs[tid]; ok {
		return
	}
	s.procs[tid] = pid
	s.threads[pid]++
}

// hold has the events of a thread begin with its execve, and of those it makes before.
func (s *scope) hold(tid int32) {
	s.last = -1
	s.waiting[tid] = true
}

// has reports whether events of the thread are kept.
func (s *scope) has(tid int32) bool {
	if tid == s.last {
		return s.kept
	}
	_, in := s.procs[tid]
	s.last, s.kept = tid, in && !s.waiting[tid]
	return s.kept
}

// fork follows a thread that was made by another.
func (s *scope) fork(t taskRecord) {
	if _, in := s.procs[t.ptid]; !in || s.alone {
		return
	}
	s.add(t.pid, t.tid)
	if s.waiting[t.ptid] {
		s.hold(t.tid)
	}
}

// exit leaves out a thread that ended.
func (s *scope) exit(tid int32) {
	pid, in := s.procs[tid]
	if !in {
		return
	}
	s.last = -1
	delete(s.procs, tid)
	delete(s.waiting, tid)
	if s.threads[pid]--; s.threads[pid] == 0 {
		delete(s.threads, pid)
	}
}

// exec follows a process that began another program. Where it was not the first thread
// that did, that one has its number from then on, and the others are gone: renamed is
// true, and the kernel does not know the thread by that number.
func (s *scope) exec(pid int32) (renamed bool) {
	s.last = -1
	delete(s.waiting, pid)
	n := s.threads[pid]
	_, first := s.procs[pid]
	if n == 0 || n == 1 && first {
		return false
	}
	for tid, p := range s.procs {
		if p == pid && tid != pid {
			s.exit(tid)
		}
	}
	s.add(pid, pid)
	return !first
}
