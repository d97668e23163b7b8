package perfev

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// getppids makes n calls of getppid.
func getppids(n int) {
	for range n {
		syscall.Getppid()
	}
}

// TestProgramLoss: what a small ring does not take is counted to the last record, by
// event and processor.
func TestProgramLoss(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		event  string
		target Target
	}{
		{"syscalls:sys_enter_getppid", Target{PIDs: []int{os.Getpid()}}},
		{"syscalls:sys_exit_getppid", Target{PIDs: []int{os.Getpid()}}},
		{"task:task_rename", Target{PIDs: []int{os.Getpid()}}},
	} {
		const n = 30000
		// Nothing is read meanwhile.
		k, _ := recorded(t, Config{Engine: EngineBPF, Events: eventsOf(t, tt.event), Target: tt.target, KeepSelf: true, RingBytes: 64 << 10}, func() {
			onCPU(t, 0, func() {
				if strings.HasPrefix(tt.event, "task:") {
					renames(t, n)
					return
				}
				getppids(n)
			})
		})
		lost := k.lost("")
		if got := uint64(len(k.records)) + lost; got != n || lost == 0 {
			t.Errorf("%s: got %d records and %d lost, want %d and some lost", tt.event, len(k.records), lost, n)
		}
		for _, l := range k.losses {
			if l.Event != tt.event || l.Reason == perfpipe.LostRing && l.CPU != 0 {
				t.Errorf("%s: got loss %+v", tt.event, l)
			}
		}
	}
}

// shell runs text in a shell that waits for a line first, and returns what goes on with it.
func shell(t *testing.T, text string) (pid int, goOn func()) {
	t.Helper()
	c := exec.Command("sh", "-c", "read x; "+text)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()
	})
	return c.Process.Pid, func() {
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// filenames are those of sched_process_exec.
func filenames(k *kept, s *perfpipe.Schema) []string {
	var list []string
	for i := range k.records {
		b, _, _, _ := s.Field("filename").Text(k.records[i].Raw)
		list = append(list, filepath.Base(string(b)))
	}
	return list
}

// TestProgramScope: later children of a process, the descendants that live, a process
// from its execve on.
func TestProgramScope(t *testing.T) {
	testpriv.Need(t)
	events := eventsOf(t, "sched:sched_process_exec")
	twice := "/usr/bin/env true; /usr/bin/env /usr/bin/env true"
	tests := []struct {
		name, text string
		target     func(pid int) Target
		want       string
	}{
		{"children", twice, func(pid int) Target { return Target{PIDs: []int{pid}} }, "[env true env env true]"},
		{"grandchildren", "(" + twice + "; true)", func(pid int) Target { return Target{PIDs: []int{pid}} }, "[env true env env true]"},
		{"from its execve on", "exec /usr/bin/env sh -c '/usr/bin/env true'", func(pid int) Target {
			return Target{TIDs: []int{pid}, EnableOnExec: true}
		}, "[env sh env true]"},
	}
	for _, tt := range tests {
		pid, goOn := shell(t, tt.text)
		got := together(t, []Config{{Engine: EngineBPF, Events: events, Target: tt.target(pid)}}, goOn)[0]
		if names := fmt.Sprint(filenames(got, events[0].Schema)); names != tt.want || got.lost("") > 0 {
			t.Errorf("%s: got %s, %d lost, want %s", tt.name, names, got.lost(""), tt.want)
		}
	}
}

func TestProgramTree(t *testing.T) {
	testpriv.Need(t)
	c := exec.Command("sh", "-c", "sh -c 'echo ready; read x; /usr/bin/env true'; true")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	events := eventsOf(t, "sched:sched_process_exec")
	got := together(t, []Config{
		{Engine: EngineBPF, Events: events, Target: Target{PIDs: []int{c.Process.Pid}}},
		{Engine: EngineBPF, Events: events, Target: Target{PIDs: []int{c.Process.Pid}, Tree: true}},
	}, func() {
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
	if names := fmt.Sprint(filenames(got[0], events[0].Schema)); names != "[]" {
		t.Errorf("without those that live already: got %s, want none", names)
	}
	if names := fmt.Sprint(filenames(got[1], events[0].Schema)); names != "[env true]" {
		t.Errorf("with the tree: got %s, want [env true]", names)
	}
}

// TestProgramThreads: new threads of a process are recorded, its own and no other's.
func TestProgramThreads(t *testing.T) {
	testpriv.Need(t)
	got := together(t, []Config{{Engine: EngineBPF, Events: eventsOf(t, "syscalls:sys_enter_getppid"), KeepSelf: true, Target: Target{PIDs: []int{os.Getpid()}}}}, func() {
		for range 3 {
			onCPU(t, 0, func() { getppids(100) })
		}
	})[0]
	tids := map[int32]int{}
	for _, r := range got.records {
		tids[r.TID]++
		if r.PID != int32(os.Getpid()) {
			t.Errorf("got a record of process %d", r.PID)
		}
	}
	if len(got.records) != 300 || len(tids) != 3 {
		t.Errorf("got %d records of threads %v, want 300 of three", len(got.records), tids)
	}
}

// TestProgramWakeup: of a process, its being woken by others is recorded, as by perf.
func TestProgramWakeup(t *testing.T) {
	testpriv.Need(t)
	events := eventsOf(t, "sched:sched_waking")
	pid, goOn := shell(t, "true")
	cfg := Config{Engine: EngineBPF, Events: events, KeepSelf: true, Target: Target{PIDs: []int{pid}}}
	got := together(t, []Config{cfg}, goOn)[0]
	for i := range got.records {
		if v, _ := events[0].Schema.Field("pid").Uint(got.records[i].Raw); int(v) == pid {
			return
		}
	}
	t.Errorf("got %d records, none of them of the waking of process %d", len(got.records), pid)
}

func TestProgramProcessors(t *testing.T) {
	testpriv.Need(t)
	got := together(t, []Config{{Engine: EngineBPF, Events: eventsOf(t, "syscalls:sys_enter_getppid"), KeepSelf: true, Target: Target{CPUs: []int{0}}}}, func() {
		cpus, err := OnlineCPUs()
		if err != nil {
			t.Error(err)
		}
		for _, cpu := range cpus {
			onCPU(t, cpu, func() { getppids(50) })
		}
	})[0]
	n := 0
	for _, r := range got.records {
		if r.CPU != 0 {
			t.Fatalf("got a record of cpu %d", r.CPU)
		}
		if r.PID == int32(os.Getpid()) {
			n++
		}
	}
	if n != 50 {
		t.Errorf("got %d records of the 50 calls on cpu 0", n)
	}
}

// TestProgramCgroup: the tasks of a cgroup of the second hierarchy and of those below.
func TestProgramCgroup(t *testing.T) {
	testpriv.Need(t)
	root := cgroup2(t)
	dir, err := os.MkdirTemp(root, "perfpipe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	pid, goOn := shell(t, "/usr/bin/env true")
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	events := eventsOf(t, "sched:sched_process_exec")
	got := together(t, []Config{{Engine: EngineBPF, Events: events, Target: Target{Cgroups: []string{dir}}}}, func() {
		if err := exec.Command("/usr/bin/env", "env", "true").Run(); err != nil {
			t.Error(err)
		}
		goOn()
	})[0]
	if names := fmt.Sprint(filenames(got, events[0].Schema)); names != "[env true]" {
		t.Errorf("got %s, want [env true]", names)
	}
}

// cgroup2 is where the second hierarchy is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && strings.Contains(line, " - cgroup2 ") {
			return f[4]
		}
	}
	t.Skip("the second hierarchy of cgroups is not mounted")
	return ""
}

// stormEnv has the test binary make events for others to count.
const stormEnv, storm = "PERFPIPE_TEST_STORM", 5000

// TestStorm is no test but a process of its own.
func TestStorm(t *testing.T) {
	if os.Getenv(stormEnv) == "" {
		t.Skip("it is the load of another test")
	}
	onCPU(t, 0, func() {
		getppids(storm)
		renames(t, storm)
	})
}

// TestProgramsLeaveOthers: perf and bpftrace on the same tracepoints see every event, be
// it that programs record it or that their code rejects all.
func TestProgramsLeaveOthers(t *testing.T) {
	testpriv.Need(t)
	perf, bpftrace := testpriv.NeedTool(t, "perf"), testpriv.NeedTool(t, "bpftrace")
	t.Setenv(stormEnv, "1")
	load := []string{os.Args[0], "-test.run=^TestStorm$"}
	tests := []struct {
		name string
		args []string
		// line begins where the count stands.
		line *regexp.Regexp
	}{
		{"perf", append([]string{perf, "stat", "-x", " ", "-e", "syscalls:sys_enter_getppid,task:task_rename", "--"}, load...), regexp.MustCompile(`(?m)^(\d+)  (?:syscalls|task):`)},
		{"bpftrace", []string{
			bpftrace, "-c", strings.Join(load, " "), "-e",
			"tracepoint:syscalls:sys_enter_getppid /pid == cpid/ { @a = count(); } tracepoint:task:task_rename /pid == cpid/ { @b = count(); }",
		}, regexp.MustCompile(`(?m)^@[ab]: (\d+)`)},
	}
	for i := range 2 * len(tests) {
		tt := tests[i/2]
		var out []byte
		events := eventsOf(t, "syscalls:sys_enter_getppid", "task:task_rename", "raw_syscalls:*")
		if i%2 == 1 {
			tt.name += ", and code that rejects all"
			for k := range events {
				p, err := filters.Compile("common_pid < 0", events[k].Schema, filters.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if events[k].Code, err = p.BPF(); err != nil {
					t.Fatal(err)
				}
			}
		}
		together(t, []Config{{Engine: EngineBPF, Events: events}}, func() {
			var err error
			if out, err = exec.Command(tt.args[0], tt.args[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", tt.name, err, out)
			}
		})
		counts := tt.line.FindAllSubmatch(out, -1)
		if len(counts) != 2 {
			t.Errorf("%s: got %s, want two counts", tt.name, out)
			continue
		}
		for _, c := range counts {
			if n, err := strconv.Atoi(string(c[1])); err != nil || n < storm {
				t.Errorf("%s: got %s, want %d at least", tt.name, c[0], storm)
			}
		}
	}
}

// renames sets the name of the thread so many times.
func renames(t *testing.T, n int) {
	t.Helper()
	f, err := os.OpenFile("/proc/thread-self/comm", os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	for range n {
		if _, err := f.WriteString("storm"); err != nil {
			t.Error(err)
			break
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
