package tasks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// steps drives a table and notes what it hands over.
type steps struct {
	*Table
	t    *testing.T
	done []string
}

func newSteps(t *testing.T, o Options) *steps {
	s := &steps{t: t}
	o.Done = func(k perfpipe.Task) {
		s.done = append(s.done, fmt.Sprintf("%d/%d<%d %s %s %d-%d", k.PID, k.TID, k.PPID, k.Comm, k.Exe, k.Start, k.End))
	}
	s.Table = New(o)
	return s
}

func (s *steps) want(tid, pid int32, comm string) {
	s.t.Helper()
	// Twice: from the map, then from the cache.
	for range 2 {
		if p, c := s.Lookup(tid, 0); p != pid || c != comm {
			s.t.Errorf("Lookup(%d) = %d %q, want %d %q", tid, p, c, pid, comm)
		}
	}
}

func (s *steps) wantDone(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.done, want) {
		s.t.Errorf("handed over\n got %s\nwant %s", strings.Join(s.done, "\n     "), strings.Join(want, "\n     "))
	}
	s.done = nil
}

func TestTable(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(s *steps)
	}{
		{"idle task of each CPU", func(s *steps) {
			for _, cpu := range []uint16{3, 0, 200} {
				if p, c := s.Lookup(0, cpu); p != 0 || c != fmt.Sprintf("swapper/%d", cpu) {
					s.t.Errorf("Lookup(0, %d) = %d %q", cpu, p, c)
				}
			}
		}},
		{"unknown thread", func(s *steps) { s.want(77, -1, "") }},
		{"fork bears the maker's name, then its own", func(s *steps) {
			s.Comm(5, 10, 10, []byte("sh"))
			s.Fork(20, 11, 10, 11, 10)
			s.want(11, 11, "sh")
			s.Exec(30, 11, 11, []byte("ls\x00\x00junk"))
			s.want(11, 11, "ls")
			s.want(10, 10, "sh")
			s.Exit(40, 11, 11)
			s.want(11, 11, "ls")
			s.wantDone("11/11<10 ls /bin/11 20-40")
			s.Exit(41, 11, 11)
			s.wantDone()
			s.Close()
			s.wantDone("10/10<-1 sh  0-0")
			s.want(11, -1, "")
		}},
		{"thread of a process", func(s *steps) {
			s.Comm(1, 10, 10, []byte("srv"))
			s.Fork(2, 10, 10, 12, 10)
			s.Comm(3, 10, 12, []byte("worker"))
			s.want(12, 10, "worker")
			s.want(10, 10, "srv")
		}},
		{"thread of a forked process has the process's parent", func(s *steps) {
			s.Comm(1, 9, 9, []byte("init"))
			s.Fork(2, 10, 9, 10, 9)
			s.Fork(3, 10, 10, 12, 10)
			s.Exit(4, 10, 12)
			s.wantDone("10/12<9 init  3-4")
		}},
		{"tid used again after exit", func(s *steps) {
			s.Fork(1, 11, 10, 11, 10)
			s.Comm(2, 11, 11, []byte("a"))
			s.Exit(3, 11, 11)
			s.want(11, 11, "a")
			s.Fork(9, 11, 20, 11, 20)
			s.want(11, 11, "")
			s.Comm(10, 11, 11, []byte("b"))
			s.want(11, 11, "b")
			s.Close()
			s.wantDone("11/11<10 a  1-3", "11/11<20 b  9-0")
		}},
		{"tid used again though its exit was lost", func(s *steps) {
			s.Fork(1, 11, 10, 11, 10)
			s.Fork(9, 50, 50, 11, 50)
			s.want(11, 50, "")
			s.wantDone("11/11<10   1-0")
		}},
		{"exec by another thread than the first", func(s *steps) {
			s.Fork(1, 10, 1, 10, 1)
			s.Comm(1, 10, 10, []byte("jvm"))
			s.Fork(2, 10, 10, 12, 10)
			s.Comm(2, 10, 12, []byte("spawner"))
			s.Fork(3, 10, 10, 13, 10)
			s.done = nil
			// The kernel ends the others, the first thread among them, and gives
			// thread 12 the number 10.
			s.Exit(5, 10, 13)
			s.Exit(5, 10, 10)
			s.Exec(6, 10, 10, []byte("ls"))
			s.want(10, 10, "ls")
			s.wantDone("10/13<1 jvm  3-5", "10/10<1 jvm  1-5", "10/12<1 spawner  2-6")
			if s.Len() != 1 {
				s.t.Errorf("Len() = %d, want 1", s.Len())
			}
			s.Exit(8, 10, 10)
			s.wantDone("10/10<1 ls /bin/10 1-8")
		}},
		{"fork while another thread execs", func(s *steps) {
			s.Fork(1, 10, 1, 10, 1)
			s.Comm(1, 10, 10, []byte("sh"))
			s.Fork(2, 20, 10, 20, 10)
			s.Exec(3, 10, 10, []byte("vi"))
			// The child is of another process: the exec does not touch it.
			s.want(20, 20, "sh")
			s.want(10, 10, "vi")
			s.wantDone()
		}},
		{"exec of a process that was not known", func(s *steps) {
			s.Exec(3, 10, 10, []byte("vi"))
			s.want(10, 10, "vi")
			s.Close()
			s.wantDone("10/10<-1 vi /bin/10 0-0")
		}},
		{"exit of a thread that was not known", func(s *steps) {
			s.Exit(3, 10, 12)
			s.want(12, 10, "")
			s.wantDone("10/12<-1   0-3")
		}},
		{"exit with another process number is of another life", func(s *steps) {
			s.Fork(1, 11, 10, 11, 10)
			s.Exit(2, 99, 11)
			s.wantDone()
		}},
		{"records made up at time 0", func(s *steps) {
			s.Fork(0, 10, 1, 10, 1)
			s.Comm(0, 10, 10, []byte("old"))
			s.Fork(0, 10, 1, 10, 1)
			s.want(10, 10, "old")
			s.wantDone()
		}},
		{"child inherits the executable until its exec", func(s *steps) {
			s.Exec(1, 10, 10, []byte("sh"))
			s.Fork(2, 11, 10, 11, 10)
			s.Exit(3, 11, 11)
			s.wantDone("11/11<10 sh /bin/10 2-3")
		}},
		{"negative and zero tids are nobody", func(s *steps) {
			s.Fork(1, 0, 0, 0, 0)
			s.Comm(1, -1, -1, []byte("x"))
			s.Exec(1, 0, 0, []byte("x"))
			s.Exit(1, -1, -1)
			s.want(-1, -1, "")
			if s.Len() != 0 {
				s.t.Errorf("Len() = %d, want 0", s.Len())
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.run(newSteps(t, Options{Exe: func(pid int32) string { return fmt.Sprintf("/bin/%d", pid) }}))
		})
	}
}

// A task that /proc showed before its own FORK record was read is one task, not two.
func TestForkAfterScan(t *testing.T) {
	s := newSteps(t, Options{})
	s.Comm(0, 10, 10, []byte("sh"))
	k := s.add(11, 11)
	k.start, k.scanned, k.comm = 20_000_000, 500, "ls"
	s.Fork(300, 11, 10, 11, 10)
	s.want(11, 11, "sh")
	s.Exec(310, 11, 11, []byte("ls"))
	s.Exit(600, 11, 11)
	s.wantDone("11/11<10 ls  300-600")

	// A fork after the scan is another task.
	k = s.add(12, 12)
	k.scanned = 500
	s.Fork(700, 12, 10, 12, 10)
	s.wantDone("12/12<-1   0-0")
}

// Events for tasks and for mappings on one processor write a record of the fork each.
func TestForkToldTwice(t *testing.T) {
	s := newSteps(t, Options{})
	s.Comm(5, 10, 10, []byte("sh"))
	s.Fork(1_000_000, 10, 10, 11, 10)
	s.Fork(1_001_400, 10, 10, 11, 10)
	s.Exit(2_000_000, 10, 11)
	s.Exit(2_001_000, 10, 11)
	s.wantDone("10/11<-1 sh  1000000-2000000")
	// Later it is another thread, and the end of the first was lost.
	s.Fork(3_000_000, 10, 10, 12, 10)
	s.Fork(3_000_000+twice, 10, 10, 12, 10)
	s.wantDone("10/12<-1 sh  3000000-0")
}

func TestEndedAreForgottenInTurn(t *testing.T) {
	s := newSteps(t, Options{})
	const n = keepEnded + 10
	for i := int32(1); i <= n; i++ {
		s.Fork(int64(i), i, 0, i, 0)
		s.Comm(int64(i), i, i, []byte("x"))
		s.Exit(int64(i), i, i)
	}
	s.want(10, -1, "")
	s.want(11, 11, "x")
	if len(s.done) != n {
		t.Errorf("handed over %d, want %d", len(s.done), n)
	}
	if len(s.tasks) != keepEnded || len(s.groups) != 0 || s.Len() != 0 {
		t.Errorf("kept %d tasks, %d groups, %d living; want %d, 0, 0", len(s.tasks), len(s.groups), s.Len(), keepEnded)
	}
}

func TestMemoryIsBoundedWithoutExits(t *testing.T) {
	s := newSteps(t, Options{MaxLive: 100, Alive: func(tid int32) bool { return tid == 1 }})
	for i := int32(1); i <= 10_000; i++ {
		s.Fork(int64(i), i, 0, i, 0)
	}
	if s.Len() != 100 || len(s.tasks) != 100 || len(s.groups) != 100 {
		t.Errorf("kept %d, %d, %d; want 100 each", s.Len(), len(s.tasks), len(s.groups))
	}
	s.want(1, 1, "")
	s.want(2, -1, "")
	s.want(10_000, 10_000, "")
	if len(s.done) != 9900 {
		t.Errorf("handed over %d, want 9900", len(s.done))
	}
	for i := range maxInterned + 5 {
		s.Comm(1, 1, 1, fmt.Appendf(nil, "n%d", i))
	}
	if len(s.names) > maxInterned {
		t.Errorf("%d names kept, want at most %d", len(s.names), maxInterned)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	s := New(Options{})
	for i := int32(1); i < 2000; i++ {
		s.Comm(0, i, i, []byte("x"))
	}
	s.Lookup(0, 7)
	tid := int32(0)
	if n := testing.AllocsPerRun(5000, func() {
		tid = (tid + 1) % 2100
		s.Lookup(tid, 7)
	}); n != 0 {
		t.Errorf("Lookup allocates %v times, want 0", n)
	}
	name := []byte("x\x00\x00")
	if n := testing.AllocsPerRun(1000, func() { s.Comm(0, 5, 5, name) }); n != 0 {
		t.Errorf("Comm of a known name allocates %v times, want 0", n)
	}
}

// FuzzTable feeds arbitrary records; whatever comes, each task is handed over
// once, and the lists agree with the map.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 1, 1, 1, 1, 2, 1, 1, 0, 3, 1, 1, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		done := 0
		s := New(Options{MaxLive: 8, Done: func(perfpipe.Task) { done++ }})
		for i := 0; i+4 <= len(ops); i += 4 {
			pid, tid := int32(ops[i+1]%16), int32(ops[i+2]%16)
			switch now := int64(i); ops[i] % 4 {
			case 0:
				s.Fork(now, pid, int32(ops[i+3]%16), tid, int32(ops[i+3]%16))
			case 1:
				s.Comm(now, pid, tid, ops[i:i+4])
			case 2:
				s.Exec(now, pid, tid, ops[i:i+4])
			case 3:
				s.Exit(now, pid, tid)
			}
			n := 0
			for k := s.oldest; k != nil; k = k.newer {
				n++
				if k.ended || s.tasks[k.tid] != k || s.groups[k.pid] != k.group {
					t.Fatalf("living task %d/%d: ended %v, seats %v %v", k.pid, k.tid, k.ended, s.tasks[k.tid] == k, s.groups[k.pid] == k.group)
				}
			}
			if n != s.Len() || n > 8 {
				t.Fatalf("%d in the list, Len %d, want equal and at most 8", n, s.Len())
			}
			members := 0
			for _, g := range s.groups {
				for k := g.first; k != nil; k = k.after {
					members++
				}
			}
			if members != n {
				t.Fatalf("%d in groups, %d in the list", members, n)
			}
			for tid := int32(1); tid < 16; tid++ {
				p, _ := s.Lookup(tid, 0)
				if k := s.tasks[tid]; k == nil && p != -1 || k != nil && p != k.pid {
					t.Fatalf("Lookup(%d) = %d, the map says %+v", tid, p, k)
				}
			}
		}
		living := s.Len()
		before := done
		s.Close()
		if done-before != living {
			t.Fatalf("Close handed over %d, want %d", done-before, living)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int32{16, 4096} {
		b.Run(fmt.Sprintf("tasks=%d", n), func(b *testing.B) {
			s := New(Options{})
			for i := int32(1); i <= n; i++ {
				s.Comm(0, i, i, []byte("x"))
			}
			b.ReportAllocs()
			for i := range b.N {
				s.Lookup(1+int32(i)%n, 0)
			}
		})
	}
}
