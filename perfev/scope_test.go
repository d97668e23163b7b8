package perfev

import (
	"slices"
	"testing"
)

func TestScope(t *testing.T) {
	fork := func(pid, ptid, tid int32) func(*scope) {
		return func(s *scope) { s.fork(taskRecord{pid: pid, ptid: ptid, tid: tid}) }
	}
	exit := func(tid int32) func(*scope) { return func(s *scope) { s.exit(tid) } }
	exec := func(pid int32) func(*scope) { return func(s *scope) { s.exec(pid) } }
	alone := func(s *scope) { s.alone = true }
	hold := func(tid int32) func(*scope) { return func(s *scope) { s.hold(tid) } }
	for _, tt := range []struct {
		name string
		// Thread 10 of process 10 and threads 20 and 21 of process 20 are in it.
		do   []func(*scope)
		want []int32
	}{
		{"as it begins", nil, []int32{10, 20, 21}},
		{"a thread of another", []func(*scope){fork(30, 30, 31)}, []int32{10, 20, 21}},
		{"a process", []func(*scope){fork(11, 10, 11), fork(12, 11, 12)}, []int32{10, 11, 12, 20, 21}},
		{"a process of one alone", []func(*scope){alone, fork(11, 10, 11)}, []int32{10, 20, 21}},
		{"told twice", []func(*scope){fork(20, 20, 21), exit(21)}, []int32{10, 20}},
		{"ends", []func(*scope){exit(10), exit(20), exit(99)}, []int32{21}},
		{"a number comes again", []func(*scope){exit(10), fork(10, 50, 10)}, []int32{20, 21}},
		{"waits", []func(*scope){hold(10), fork(11, 10, 11)}, []int32{20, 21}},
		{"waited", []func(*scope){hold(10), fork(11, 10, 11), exec(10)}, []int32{10, 20, 21}},
		{"its child waited", []func(*scope){hold(10), fork(11, 10, 11), exec(11)}, []int32{11, 20, 21}},
		{"execve of a first thread", []func(*scope){exec(20)}, []int32{10, 20}},
		{"execve of another thread", []func(*scope){exit(20), exec(20)}, []int32{10, 20}},
		{"execve of a stranger", []func(*scope){exec(30)}, []int32{10, 20, 21}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScope()
			s.add(10, 10)
			s.add(20, 20)
			s.add(20, 21)
			for _, f := range tt.do {
				s.has(10) // what was answered before is not answered again
				f(s)
			}
			var got []int32
			for tid := range int32(100) {
				if again := s.has(tid); s.has(tid) != again {
					t.Fatalf("two answers for %d", tid)
				}
				if s.has(tid) {
					got = append(got, tid)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestScopeTellsOfANewNumber(t *testing.T) {
	s := newScope()
	s.add(20, 20)
	s.add(20, 21)
	if s.exec(20) {
		t.Error("the first thread has its number still")
	}
	s.add(20, 21)
	s.exit(20)
	if !s.exec(20) {
		t.Error("thread 21 is 20 now, and that was not told")
	}
}
