package tasks

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"golang.org/x/sys/unix"
)

func TestScan(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := os.ReadFile("/proc/thread-self/comm")
	if err != nil {
		t.Fatal(err)
	}
	const name = "a b) \n\xff(c"
	rename := func(to string) {
		if err := os.WriteFile("/proc/thread-self/comm", []byte(to), 0); err != nil {
			t.Fatal(err)
		}
	}
	rename(name)
	defer rename(strings.TrimSuffix(string(old), "\n"))

	before := monotonic()
	child := exec.Command("sleep", "30")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()

	byTID := map[int32]perfpipe.Task{}
	tab := New(Options{Done: func(k perfpipe.Task) { byTID[k.TID] = k }})
	for range 2 {
		if err := tab.Scan(); err != nil {
			t.Fatal(err)
		}
	}
	tid, pid := int32(unix.Gettid()), int32(os.Getpid())
	if p, c := tab.Lookup(tid, 0); p != pid || c != name {
		t.Errorf("Lookup of this thread = %d %q, want %d %q", p, c, pid, name)
	}
	tab.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if k := byTID[tid]; k.Exe != self || k.PPID != int32(os.Getppid()) {
		t.Errorf("this thread: exe %q parent %d, want %q %d", k.Exe, k.PPID, self, os.Getppid())
	}
	k := byTID[int32(child.Process.Pid)]
	if k.PPID != pid || k.PID != k.TID {
		t.Errorf("child: parent %d, pid %d, tid %d; want parent %d", k.PPID, k.PID, k.TID, pid)
	}
	// A tick is 10 ms, and the start is rounded down to one.
	if k.Start < before-20e6 || k.Start > monotonic() {
		t.Errorf("child started at %d, want between %d and %d", k.Start, before-20e6, monotonic())
	}
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	if k.Cgroup == "" || !strings.Contains(string(cgroup), ":"+k.Cgroup+"\n") {
		t.Errorf("cgroup %q, want one of %q", k.Cgroup, cgroup)
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 3 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2"
	for _, tt := range []struct {
		name, in string
		ppid     int32
		ticks    uint64
		ok       bool
	}{
		{"plain", "12 (sh)" + tail, 1, 98765, true},
		{"name with parentheses and blanks", "12 (a) S 7 (b) )" + tail, 1, 98765, true},
		{"short", "12 (sh) S 1 2", 0, 0, false},
		{"empty", "", 0, 0, false},
		{"no number", "12 (sh) S x" + tail[4:], 0, 98765, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ppid, ticks, ok := parseStat([]byte(tt.in))
			if ok != tt.ok || ok && (ppid != tt.ppid || ticks != tt.ticks) {
				t.Errorf("got %d %d %v, want %d %d %v", ppid, ticks, ok, tt.ppid, tt.ticks, tt.ok)
			}
		})
	}
}

func TestParseCgroup(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"v2", "0::/user.slice/a:b\n", "/user.slice/a:b"},
		{"v1", "12:cpu,cpuacct:/x\n1:name=systemd:/y\n", "/x"},
		{"both, v2 unused", "12:cpu:/x\n0::/\n", "/x"},
		{"both, v2 used", "12:cpu:/x\n0::/z\n", "/z"},
		{"root", "0::/\n", "/"},
		{"nothing", "", ""},
		{"junk", "abc\n1:2\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseCgroup(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTaskName(t *testing.T) {
	tests := []struct {
		comm string
		ppid int32
		want string
	}{
		{"kworker/0:1H-kblockd", 2, "kworker/0:1H"},
		{"kworker/u8:3+flush-8:0", 2, "kworker/u8:3"},
		{"kworker/1:2", 2, "kworker/1:2"},
		{"kworker/R-kvfree_rcu_reclaim", 2, "kworker/R-kvfre"},
		{"kworker/R-netns", 2, "kworker/R-netns"},
		{"kworker/0:1H-mine", 1, "kworker/0:1H-mine"},
		{"rcu_preempt", 2, "rcu_preempt"},
		{"rcu_tasks_trace_kthread", 2, "rcu_tasks_trace"},
		{"a-b", 2, "a-b"},
	}
	for _, tt := range tests {
		if got := string(taskName([]byte(tt.comm), tt.ppid)); got != tt.want {
			t.Errorf("taskName(%q, %d): got %q, want %q", tt.comm, tt.ppid, got, tt.want)
		}
	}
}
