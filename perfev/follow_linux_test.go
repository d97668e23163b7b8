package perfev_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
)

// recursive enters f to the depth that it is told and returns.
const recursive = `
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
__attribute__((noinline)) int f(int n) { return n ? f(n - 1) + 1 : 0; }
static void *thread(void *p) { f(*(int *)p); return 0; }
int main(int argc, char **argv) {
	char line[64];
	int depth = atoi(argv[1]), threads = atoi(argv[2]);
	puts("ready"); fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < threads; i++) { pthread_t t; pthread_create(&t, 0, thread, &depth); pthread_join(t, 0); }
		if (!threads) f(depth);
		puts("done"); fflush(stdout);
	}
	return 0;
}`

func TestReturnsUnseen(t *testing.T) {
	testpriv.Need(t)
	p := compile(t, recursive, "-O0", "-pthread")
	s := p.probe(t, "r ret f ret=$retval:s32", "p in f")
	for _, tt := range []struct {
		name           string
		depth, threads int
		filter         string
		all            bool
		records        int
		lost           uint64
	}{
		{"flat", 5, 0, "", false, 6, 0},
		{"recursion of 101", 100, 0, "", false, 64, 37},
		{"every process", 100, 0, "", true, 64, 37},
		{"new threads", 100, 3, "", false, 192, 111},
		// Followed are the returns of the outermost 64.
		{"with a filter", 100, 0, "ret == 90", false, 1, 37},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.start(t, strconv.Itoa(tt.depth), strconv.Itoa(tt.threads))
			r.line(t)
			cfg := perfev.Config{Events: []perfev.Event{{Schema: s[0], Filter: tt.filter}}, Entries: []perfev.Entry{{Schema: s[1], Of: 0, Path: p.path}}}
			if !tt.all {
				cfg.Target.PIDs = []int{r.cmd.Process.Pid}
			}
			c := capture(t, cfg, func() { r.goOn(t); r.rest(t) })
			var lost uint64
			for _, l := range c.losses {
				if l.Reason != perfpipe.LostReturn || l.Event != s[0].Event() || l.CPU != -1 {
					t.Errorf("loss: got %+v, want one of returns of %s", l, s[0].Event())
				}
				lost += l.Count
			}
			if len(c.records) != tt.records || lost != tt.lost {
				t.Errorf("got %d records, %d returns lost; want %d, %d", len(c.records), lost, tt.records, tt.lost)
			}
		})
	}
}

// family makes processes and threads that call getppid, and says how many calls it made.
const family = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>
static void *calls(void *p) { for (int i = 0; i < 10; i++) getppid(); return 0; }
static void *churn(void *p) {
	volatile int *stop = p;
	long n = 0;
	while (!*stop) { pthread_t t; pthread_create(&t, 0, calls, 0); pthread_join(t, 0); n++; }
	return (void *)n;
}
static pthread_attr_t detached;
static void *chain(void *p) {
	volatile int *stop = p;
	pthread_t t;
	struct timespec a, b;
	calls(0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	do clock_gettime(CLOCK_MONOTONIC, &b); while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < 200000);
	for (int e; !*stop && (e = pthread_create(&t, &detached, chain, p)); usleep(1000))
		fprintf(stderr, "pthread_create: %s\n", strerror(e));
	return 0;
}
int main(int argc, char **argv) {
	char line[64];
	if (!strcmp(argv[1], "tree")) {
		int up[2], down[2];
		pipe(up); pipe(down);
		if (!fork()) {
			/* a child with a child, there before anybody records */
			int in[2];
			pipe(in);
			if (!fork()) { read(down[0], line, 1); calls(0); exit(0); }
			write(up[1], "r", 1);
			wait(0);
			calls(0);
			write(up[1], "d", 1);
			exit(0);
		}
		read(up[0], line, 1);
		puts("ready"); fflush(stdout);
		fgets(line, sizeof line, stdin);
		write(down[1], "g", 1);
		read(up[0], line, 1);
		if (!fork()) { calls(0); pthread_t t; pthread_create(&t, 0, calls, 0); pthread_join(t, 0); exit(0); }
		while (wait(0) > 0) {}
		puts("done"); fflush(stdout);
		return 0;
	}
	/* threads that come and go while the events are opened */
	volatile int stop = 0;
	pthread_t t[2];
	if (!strcmp(argv[1], "chain")) {
		/* each thread makes the next and ends */
		pthread_attr_init(&detached);
		pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
		pthread_create(&t[0], &detached, chain, (void *)&stop);
		puts("ready"); fflush(stdout);
		fgets(line, sizeof line, stdin);
		stop = 1;
		usleep(20000);
		puts("done"); fflush(stdout);
		return 0;
	}
	for (int i = 0; i < 2; i++) pthread_create(&t[i], 0, churn, (void *)&stop);
	puts("ready"); fflush(stdout);
	fgets(line, sizeof line, stdin);
	stop = 1;
	for (int i = 0; i < 2; i++) pthread_join(t[i], 0);
	puts("done"); fflush(stdout);
	return 0;
}`

func TestTree(t *testing.T) {
	testpriv.Need(t)
	p := compile(t, family, "-O0", "-pthread", "-w")
	call := schema(t, "syscalls:sys_enter_getppid")
	for _, tt := range []struct {
		name string
		tree bool
		want int
	}{{"with those that live", true, 40}, {"later ones alone", false, 20}} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.start(t, "tree")
			r.line(t)
			c := capture(t, perfev.Config{Events: events(call), Target: perfev.Target{PIDs: []int{r.cmd.Process.Pid}, Tree: tt.tree}}, func() { r.goOn(t) })
			if len(c.records) != tt.want {
				t.Errorf("got %d records, want %d", len(c.records), tt.want)
			}
		})
	}
}

// TestThreadsMadeWhileOpening: threads that a process makes while its events are
// opened are recorded from there on, and none of them twice.
func TestThreadsMadeWhileOpening(t *testing.T) {
	testpriv.Need(t)
	p := compile(t, family, "-O0", "-pthread", "-w")
	evs := events(schema(t, "syscalls:sys_enter_getppid"), schema(t, "syscalls:sys_exit_getppid"))
	for _, mode := range []string{"churn", "chain"} {
		t.Run(mode, func(t *testing.T) {
			r := p.start(t, mode)
			r.line(t)
			for range 5 {
				c := capture(t, perfev.Config{Events: evs, Target: perfev.Target{PIDs: []int{r.cmd.Process.Pid}}}, func() { work(r.cmd.Process.Pid) })
				type key struct {
					tid   int32
					event int
				}
				n := map[key]int{}
				for _, rec := range c.records {
					n[key{rec.TID, rec.Event}]++
				}
				ten := 0
				for k, v := range n {
					if v > 10 {
						t.Errorf("thread %d, event %d: %d records of 10 calls", k.tid, k.event, v)
					}
					if v == 10 {
						ten++
					}
				}
				if ten < len(n)*8/10 || len(n) == 0 {
					t.Errorf("got 10 records for %d of %d threads and events", ten, len(n))
				}
			}
			r.goOn(t)
		})
	}
}

// work waits until a process has had some of a processor, however busy the machine is.
func work(pid int) {
	ticks := func() (n int) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, v := range f[11:13] { // utime and stime, of threads that ended as well
			t, _ := strconv.Atoi(v)
			n += t
		}
		return n
	}
	const some = 3 // ticks of 10 ms
	first := ticks()
	for end := time.Now().Add(5 * time.Second); ticks() < first+some && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// newCgroup makes a v2 cgroup, removed when the test has ended.
func newCgroup(t *testing.T, name string) (path string) {
	t.Helper()
	root, err := perfev.CgroupPath("/")
	if err != nil {
		t.Skip(err)
	}
	path = filepath.Join(root, fmt.Sprintf("pptest_%d_%s", os.Getpid(), name))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if err = os.Remove(path); !errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("remove cgroup: %v", err)
		}
	})
	return path
}

func TestCgroup(t *testing.T) {
	testpriv.Need(t)
	path := newCgroup(t, "a")
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	// In the cgroup from its first instruction on: the shell puts itself there.
	cfg := perfev.Config{Events: events(schema(t, "raw_syscalls:sys_enter")), CgroupIDs: true, CallChain: perfev.CallChain{Kernel: true, User: true}}
	run := func() {
		out, err := exec.Command("sh", "-c", "echo $$ > "+path+"/cgroup.procs; exec ls /").CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	cfg.Target.Cgroups = []string{path, filepath.Base(path), "/" + filepath.Base(path)}
	c := capture(t, cfg, run)
	pids := map[int32]bool{}
	for _, r := range c.records {
		pids[r.PID] = true
		if r.Cgroup != st.Ino {
			t.Fatalf("cgroup: got %d, want the folder's inode %d", r.Cgroup, st.Ino)
		}
		if r.Stack == 0 {
			t.Error("a record has no call chain")
		}
	}
	if len(pids) != 1 || len(c.records) < 10 || c.untold != 0 {
		t.Errorf("got %d records of processes %v, want some of one", len(c.records), pids)
	}
	// Without the target, the others have other cgroups.
	cfg.Target.Cgroups, cfg.CallChain = nil, perfev.CallChain{}
	c = capture(t, cfg, run)
	in, out := 0, 0
	for _, r := range c.records {
		if r.Cgroup == st.Ino {
			in++
		} else if r.Cgroup != 0 {
			out++
		}
	}
	if in < 10 || out == 0 {
		t.Errorf("got %d records inside, %d outside, want both", in, out)
	}
}

func TestCgroupPathErrors(t *testing.T) {
	testpriv.Need(t)
	_, err := perfev.CgroupPath("no/such/cgroup")
	if !errors.Is(err, fs.ErrNotExist) && !strings.Contains(fmt.Sprint(err), "mount") {
		t.Errorf("no such cgroup: got %v", err)
	}
	for _, name := range []string{"", "../x"} {
		if p, err := perfev.CgroupPath(name); err == nil {
			t.Errorf("%q: got %s, want an error", name, p)
		}
	}
	sw := events(schema(t, "sched:sched_switch"))
	for name, cfg := range map[string]perfev.Config{
		"no such cgroup":       {Events: sw, Target: perfev.Target{Cgroups: []string{"no/such"}}},
		"cgroup and process":   {Events: sw, Target: perfev.Target{Cgroups: []string{"/"}, PIDs: []int{1}}},
		"stack of odd size":    {Events: sw, CallChain: perfev.CallChain{User: true, StackBytes: 100}},
		"stack without user":   {Events: sw, CallChain: perfev.CallChain{Kernel: true, StackBytes: 1024}},
		"too many frames":      {Events: sw, CallChain: perfev.CallChain{User: true, MaxFrames: 7999}},
		"entry without return": {Events: sw, Entries: []perfev.Entry{{Schema: sw[0].Schema, Of: 1}}},
	} {
		if src, err := perfev.Open(cfg); err == nil {
			t.Errorf("%s: no error", name)
			_ = src.Close()
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestNamespacePIDs(t *testing.T) {
	testpriv.Need(t)
	unshare := testpriv.NeedTool(t, "unshare")
	c := capture(t, perfev.Config{Events: events(schema(t, "syscalls:sys_enter_getppid"))}, func() {
		if out, err := exec.Command(unshare, "--pid", "--fork", "--mount-proc", "sh", "-c", "sleep 0.05; (exec sleep 0.05)").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	inside := map[int32]string{}
	for _, k := range c.byTID {
		if k.NSPID > 0 && k.NSPID != k.PID {
			inside[k.NSPID] = k.Comm
		}
	}
	if inside[1] != "sh" || len(inside) < 2 {
		t.Errorf("got tasks %v by their number in another namespace, want sh as 1 and sleep", inside)
	}
	self := c.byTID[int32(os.Getpid())]
	if self.NSTID != self.TID || self.NSPID != self.PID {
		t.Errorf("this process: got %d, %d in its namespace, want %d, %d", self.NSPID, self.NSTID, self.PID, self.TID)
	}
}
