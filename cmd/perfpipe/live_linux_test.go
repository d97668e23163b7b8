//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// binary is perfpipe built once for all tests of this package that run it.
var binary string

// loadEnv makes the test binary a load: so many getppid calls, then the end.
const loadEnv = "PERFPIPE_TEST_GETPPID"

func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv(loadEnv)); err == nil {
		for range n {
			syscall.Getppid()
		}
		os.Exit(0)
	}
	if stressLoad() {
		os.Exit(0)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "perfpipe-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "perfpipe")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build perfpipe: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// result is how a run of the binary ended.
type result struct {
	pid            int
	stdout, stderr string
	status         int
}

// invoke runs the binary in a fresh folder and waits for it.
func invoke(t *testing.T, args ...string) result {
	t.Helper()
	return runIn(t, t.TempDir(), args...)
}

func runIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		var xe *exec.ExitError
		if err != nil && !errors.As(err, &xe) {
			t.Fatalf("run perfpipe %q: %v\n%s", args, err, errs.String())
		}
	case <-time.After(90 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Fatalf("perfpipe %q does not end\n%s", args, errs.String())
	}
	status := cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	return result{pid: cmd.Process.Pid, stdout: out.String(), stderr: errs.String(), status: status}
}

// want fails the test where the run ended otherwise, or its messages lack a text.
func (r result) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("exit status: got %d, want %d\n%s", r.status, status, r.stderr)
	}
	for _, s := range texts {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("stderr lacks %q:\n%s", s, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("it panicked:\n%s", r.stderr)
	}
}

type row map[string]any

func (r row) num(name string) int64 {
	n, ok := r[name].(json.Number)
	if !ok {
		return -1 << 63
	}
	v, err := n.Int64()
	if err != nil {
		u, _ := strconv.ParseUint(n.String(), 10, 64)
		return int64(u)
	}
	return v
}

func (r row) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// readRows reads ndjson.
func readRows(t *testing.T, text string) []row {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var rows []row
	for {
		var r row
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatalf("row %d: %v", len(rows)+1, err)
		}
		rows = append(rows, r)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// noLeftovers fails where files that are not whole, or instances of ours, are left.
func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && path != dir && strings.HasPrefix(e.Name(), ".") {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheLineThisBeganWith(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	r := runIn(t, dir, "record", "-R", "-f", "-e", "irq:irq_handler_entry", "--filter", "irq==18 || irq==19", "sleep", "1")
	r.want(t, 0, "[ perfpipe record: wrote ", " to perfpipe.data (0 lost) ]")
	for _, f := range []string{"manifest.json", "irq.irq_handler_entry/part-000000.parquet", "_clock/part-000000.parquet"} {
		if _, err := os.Stat(filepath.Join(dir, "perfpipe.data", f)); err != nil {
			t.Error(err)
		}
	}
	// Again in the same place: the first is kept, as perf keeps perf.data.old.
	runIn(t, dir, "record", "-e", "irq:irq_handler_entry", "true").want(t, 0)
	if _, err := os.Stat(filepath.Join(dir, "perfpipe.data.old", "manifest.json")); err != nil {
		t.Error(err)
	}
	noLeftovers(t, dir)
}

func TestCommandIsFollowed(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-e", "syscalls:sys_enter_execve,sched:sched_process_exec", "-o", out, "--", "sh", "-c", "/bin/true; /bin/true").want(t, 0)
	var names []string
	for _, r := range readRows(t, readFile(t, out)) {
		if r.text("event") == "sched:sched_process_exec" {
			// execve has a filename of its own, a pointer, which took the plain name.
			names = append(names, r.text("sched_process_exec_filename")+" "+r.text("comm"))
			if r.num("pid") != r.num("tid") || r.num("args_pid") != r.num("tid") {
				t.Errorf("pid %d, tid %d, args_pid %d: want all the same", r.num("pid"), r.num("tid"), r.num("args_pid"))
			}
		}
	}
	got := strings.Join(names, ", ")
	if !strings.HasPrefix(got, "/usr/bin/sh sh") && !strings.HasPrefix(got, "/bin/sh sh") || strings.Count(got, "/bin/true true") != 2 {
		t.Errorf("got %s", got)
	}
}

func TestExitStatus(t *testing.T) {
	testpriv.Need(t)
	tests := []struct {
		name   string
		cmd    []string
		status int
	}{
		{"success", []string{"true"}, 0},
		{"the command's own", []string{"sh", "-c", "exit 42"}, 42},
		{"killed by a signal", []string{"sh", "-c", "kill -TERM $$"}, 128 + 15},
		{"not found", []string{"no-such-command-anywhere"}, 127},
		{"not executable", []string{"/etc/passwd"}, 126},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "d")
			args := append([]string{"record", "-e", "sched:sched_process_exit", "-o", out, "--"}, tt.cmd...)
			invoke(t, args...).want(t, tt.status)
		})
	}
}

func TestInheritance(t *testing.T) {
	testpriv.Need(t)
	count := func(args ...string) int {
		out := filepath.Join(t.TempDir(), "x.ndjson")
		all := append([]string{"record", "-q", "-e", "syscalls:sys_enter_execve", "-o", out}, args...)
		invoke(t, append(all, "sh", "-c", "/bin/true; /bin/true; /bin/true; exit 0")...).want(t, 0)
		return len(readRows(t, readFile(t, out)))
	}
	// The shell's own execve happens before its entry event is on: only its children's count.
	if n := count(); n != 3 {
		t.Errorf("with inheritance: got %d execs, want 3", n)
	}
	if n := count("-i"); n != 0 {
		t.Errorf("without: got %d execs, want 0", n)
	}
}

func TestProcessTarget(t *testing.T) {
	testpriv.Need(t)
	target := exec.Command("sh", "-c", "while :; do read x < /proc/self/stat; done")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	for _, flag := range []string{"-p", "-t"} {
		out := filepath.Join(t.TempDir(), "x.ndjson")
		invoke(t, "record", "-q", "-e", "syscalls:sys_enter_openat", flag, fmt.Sprint(target.Process.Pid), "--duration", "300ms", "-o", out).want(t, 0)
		rows := readRows(t, readFile(t, out))
		if len(rows) == 0 {
			t.Errorf("%s: no rows", flag)
		}
		for _, r := range rows {
			if r.num("tid") != int64(target.Process.Pid) || r.text("comm") != "sh" {
				t.Fatalf("%s: got a row of %s, tid %d", flag, r.text("comm"), r.num("tid"))
			}
		}
	}
}

func TestTargetEndsTheRecording(t *testing.T) {
	testpriv.Need(t)
	target := exec.Command("sleep", "0.5")
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = target.Wait() }()
	invoke(t, "record", "-e", "sched:sched_switch", "-p", fmt.Sprint(target.Process.Pid), "-o", filepath.Join(t.TempDir(), "d")).want(t, 0, "wrote")
	// And one that is gone already.
	invoke(t, "record", "-e", "sched:sched_switch", "-p", fmt.Sprint(target.Process.Pid), "-o", filepath.Join(t.TempDir(), "d")).want(t, 1, "there is no such process")
}

func TestOwnThreadsNeverAppear(t *testing.T) {
	testpriv.Need(t)
	seen := func(args ...string) (own, all int) {
		out := filepath.Join(t.TempDir(), "x.ndjson")
		base := []string{"record", "-q", "-e", "raw_syscalls:sys_enter,sched:sched_switch", "-a", "-o", out, "--duration", "500ms"}
		cmd := exec.Command(binary, append(base, args...)...)
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		for _, r := range readRows(t, readFile(t, out)) {
			all++
			if r.num("pid") == int64(cmd.Process.Pid) {
				own++
			}
		}
		return own, all
	}
	if own, all := seen(); own != 0 || all == 0 {
		t.Errorf("got %d rows of perfpipe's own of %d", own, all)
	}
	if own, _ := seen("--trace-self"); own == 0 {
		t.Error("--trace-self: no row of perfpipe's own")
	}
}

func TestSignalsEndCleanly(t *testing.T) {
	testpriv.Need(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(binary, "record", "-e", "sched:sched_switch", "-a", "-o", filepath.Join(dir, "d"))
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(700 * time.Millisecond)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("got %v, want status 0\n%s", err, errs.String())
			}
			m := readManifest(t, filepath.Join(dir, "d"))
			if !m.Complete || m.Totals.Rows == 0 {
				t.Errorf("manifest: got %+v", m)
			}
			noLeftovers(t, dir)
		})
	}
}

type manifestView struct {
	Complete bool `json:"complete"`
	Totals   struct {
		Rows uint64 `json:"rows"`
	} `json:"totals"`
	Lost struct {
		Total uint64 `json:"total"`
		By    []struct {
			Event  string `json:"event"`
			Reason string `json:"reason"`
			Count  uint64 `json:"count"`
		} `json:"by"`
	} `json:"lost"`
	Files []struct {
		Table string `json:"table"`
		Rows  int    `json:"rows"`
	} `json:"files"`
}

func readManifest(t *testing.T, dir string) manifestView {
	t.Helper()
	var m manifestView
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "manifest.json"))), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBadInput(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there.parquet"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(dir, "link.parquet")); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		args   []string
		status int
		texts  []string
	}{
		{"unknown event", []string{"-e", "shed:sched_switch", "true"}, 2, []string{`unknown event "shed:sched_switch"`, "did you mean sched:sched_switch?"}},
		{"glob without a match", []string{"-e", "nothing:*", "true"}, 2, []string{"nothing:*"}},
		{"no event", []string{"true"}, 2, []string{"no event is named"}},
		{"filter before any event", []string{"--filter", "a==1", "-e", "sched:sched_switch", "true"}, 2, []string{"put -e EVENT first"}},
		{"unknown flag", []string{"--frobnicate"}, 2, []string{"frobnicate"}},
		{"bad cpu list", []string{"-e", "sched:sched_switch", "-C", "2-0", "true"}, 2, []string{"cpu list"}},
		{"cpu that is not online", []string{"-e", "sched:sched_switch", "-C", "8000", "true"}, 1, []string{"8000"}},
		{"existing output", []string{"-e", "sched:sched_switch", "-o", "there.parquet", "true"}, 1, []string{"there.parquet"}},
		{"symlinked output", []string{"-e", "sched:sched_switch", "-o", "link.parquet", "true"}, 1, []string{"link.parquet"}},
		{"folder that others may write", []string{"-e", "sched:sched_switch", "-o", "open/x.parquet", "true"}, 1, []string{"open"}},
		{"no such folder", []string{"-e", "sched:sched_switch", "-o", "no/such/x.parquet", "true"}, 1, []string{"no/such"}},
		{"all and pid", []string{"-e", "sched:sched_switch", "-a", "-p", "1"}, 2, []string{"-a"}},
		{"event that may not be sampled", []string{"--engine", "perf", "-e", "irq_vectors:irq_work_exit", "true"}, 1, []string{"the kernel lets nobody sample this event"}},
		{"glob of such events alone", []string{"--engine", "perf", "-e", "irq_vectors:irq_work_exi?", "true"}, 1, []string{"irq_vectors:irq_work_exit"}},
		{"bad size", []string{"-e", "sched:sched_switch", "--max-size", "many", "true"}, 2, []string{"many"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runIn(t, dir, append([]string{"record"}, tt.args...)...).want(t, tt.status, tt.texts...)
		})
	}
	if got := readFile(t, filepath.Join(dir, "there.parquet")); got != "mine" {
		t.Errorf("the existing file was changed: %q", got)
	}
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("the symbolic link was followed")
	}
	noLeftovers(t, dir)
}

func TestEventsThatMayNotBeSampledAreLeftOutOfGlobs(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "d")
	invoke(t, "record", "--engine", "perf", "-e", "irq_vectors:*", "-a", "-o", out, "--duration", "100ms").want(t, 0,
		"left out, as the kernel lets nobody sample them: irq_vectors:irq_work_exit", "wrote")
}

func TestTracefsIsMountedWhereItIsNot(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	// In a mount namespace of its own, so that this machine's stays as it is.
	script := `umount -l /sys/kernel/debug/tracing /sys/kernel/debug 2>/dev/null; umount -l /sys/kernel/tracing && ! [ -e /sys/kernel/tracing/events ] && exec "$0" record -e sched:sched_switch -a -o "$1" --duration 100ms`
	out, err := exec.Command("unshare", "-m", "sh", "-c", script, binary, filepath.Join(dir, "d")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "wrote") {
		t.Errorf("got %v\n%s", err, out)
	}
	// Without the right to mount, the error says what does it.
	script = `umount -l /sys/kernel/debug/tracing /sys/kernel/debug 2>/dev/null; umount -l /sys/kernel/tracing && exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$0" record -e sched:sched_switch -a -o "$1" true`
	out, err = exec.Command("unshare", "-m", "sh", "-c", script, binary, filepath.Join(dir, "e")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mount -t tracefs") {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestNoPrivilege(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	// nobody must reach the binary and may write here.
	pub := filepath.Join(dir, "pub")
	if err := os.Mkdir(pub, 0o755); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(pub, "perfpipe")
	b, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "record", "-e", "sched:sched_switch", "-o", "-", "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitPermission {
		t.Errorf("got %v, want status %d\n%s", err, exitPermission, out)
	}
	if s := string(out); !strings.Contains(s, "root") && !strings.Contains(s, "CAP_") {
		t.Errorf("no way out is named:\n%s", s)
	}
}

func TestFewFiles(t *testing.T) {
	testpriv.Need(t)
	cmd := exec.Command("sh", "-c", `ulimit -n 64; exec "$0" "$@"`, binary, "record", "-e", "syscalls:*", "-a", "-o", filepath.Join(t.TempDir(), "d"), "true")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "RLIMIT_NOFILE allows 64") || !strings.Contains(string(out), "ulimit -n") {
		t.Errorf("got %v\n%s", err, out)
	}
	// What fits is recorded.
	dir := filepath.Join(t.TempDir(), "d")
	cmd = exec.Command("sh", "-c", `ulimit -n 64; exec "$0" "$@"`, binary, "record", "-e", "sched:sched_switch", "-a", "-o", dir, "true")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestFullDisk(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	load := exec.Command("sh", "-c", "i=0; while [ $i -lt 20000 ]; do read x < /proc/self/stat; i=$((i+1)); done")
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = load.Process.Kill(); _ = load.Wait() }()
	r := runIn(t, t.TempDir(), "record", "-e", "raw_syscalls:*", "-a", "-o", filepath.Join(dir, "x.ndjson"), "--duration", "20s")
	r.want(t, 1, "no space left on device")
	ents, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ents {
		t.Errorf("left on the full disk: %s", e.Name())
	}
}

func TestReadOnlyFolder(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	runIn(t, t.TempDir(), "record", "-e", "sched:sched_switch", "-o", filepath.Join(dir, "d"), "true").want(t, 1, "read-only file system")
}

func TestShortLivedChildren(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "d")
	const n = 10_000
	r := invoke(t, "record", "-e", "sched:sched_process_fork,sched:sched_process_exit", "-o", out, "-m", "32M", "--", "sh", "-c",
		fmt.Sprintf("i=0; while [ $i -lt %d ]; do (:); i=$((i+1)); done", n))
	r.want(t, 0, "(0 lost)")
	if m := readManifest(t, out); m.Totals.Rows != 2*n+1 {
		t.Errorf("got %d rows, want %d forks and %d exits", m.Totals.Rows, n, n+1)
	}
}

func TestStrangeNames(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	name := "a\n\\\x1b\xff\"b"
	invoke(t, "record", "-q", "-e", "syscalls:sys_enter_kill", "-o", out, "--", "sh", "-c",
		fmt.Sprintf("printf '%%b' '%s' > /proc/$$/comm; kill -0 $$", `a\n\\\033\0377\042b`)).want(t, 0)
	rows := readRows(t, readFile(t, out))
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	if got, want := rows[len(rows)-1].text("comm"), "a\n\\\\\x1b\\xff\"b"; got != want {
		t.Errorf("comm: got %q, want %q for the bytes %q", got, want, name)
	}
}

func TestStreamIsLive(t *testing.T) {
	testpriv.Need(t)
	cmd := exec.Command(binary, "record", "-q", "-e", "sched:sched_switch", "-a", "-o", "-", "--format", "ndjson")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Closing the pipe ends it: the reader has seen enough.
	defer func() { _ = pipe.Close(); _ = cmd.Wait() }()
	b := make([]byte, 1)
	begin := time.Now()
	if _, err := io.ReadFull(pipe, b); err != nil {
		t.Fatal(err)
	}
	// Opening takes its part; after that the bar is a second.
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("the first row came after %v", d)
	}
}

func TestSecondSignalLeavesAtOnce(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	// Nobody reads the pipe: the writer hangs, and a first signal cannot be obeyed.
	cmd := exec.Command(binary, "record", "-q", "-e", "raw_syscalls:*", "--trace-self", "-a", "-o", "-", "--format", "ndjson", "-o", filepath.Join(dir, "d"))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("it is still there after a second SIGINT")
	}
	if got := cmd.ProcessState.ExitCode(); got != 128+int(syscall.SIGINT) {
		t.Errorf("exit status: got %d, want %d", got, 128+int(syscall.SIGINT))
	}
	// Nothing half-written under a final name.
	files, err := filepath.Glob(filepath.Join(dir, "d", "*", "[^.]*"))
	if err != nil || len(files) != 0 {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestReaderGoesAway(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "d")
	r := invoke(t, "record", "-e", "sched:sched_process_exit", "-o", out, "sh", "-c", "exit 0")
	r.want(t, 0)
	cmd := exec.Command("sh", "-c", `"$0" record -q -e sched:sched_switch -a -o - --format txt | head -n 1`, binary)
	b, err := cmd.Output()
	if err != nil || bytes.Count(b, []byte("\n")) != 1 {
		t.Errorf("got %q, %v", b, err)
	}
}

// load returns the words of a command that calls getppid n times.
func load(t *testing.T, n int) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", fmt.Sprintf("%s=%d", loadEnv, n), self}
}

func TestEveryEventIsARowOrCountedAsLost(t *testing.T) {
	testpriv.Need(t)
	const n = 400_000
	for _, ring := range []string{"8K", "64M"} {
		t.Run(ring, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "d")
			args := []string{"record", "-e", "raw_syscalls:sys_enter", "--filter", "id == getppid", "-m", ring, "-o", out, "--"}
			r := invoke(t, append(args, load(t, n)...)...)
			r.want(t, 0)
			m := readManifest(t, out)
			if m.Totals.Rows+m.Lost.Total != n {
				t.Errorf("%d rows and %d lost, want %d together\n%s", m.Totals.Rows, m.Lost.Total, n, r.stderr)
			}
			if ring == "64M" && m.Lost.Total != 0 {
				t.Errorf("%d lost with a ring of 64 MiB", m.Lost.Total)
			}
			if ring == "8K" && m.Lost.Total == 0 {
				t.Error("nothing lost with a ring of two pages: the test shows nothing")
			}
			// _lost says the same, by event.
			c := invoke(t, "cat", "--table", "_lost", "--format", "ndjson", out)
			c.want(t, 0)
			var sum uint64
			for _, l := range readRows(t, c.stdout) {
				sum += uint64(l.num("count"))
				if l.text("event") != "raw_syscalls:sys_enter" || l.text("reason") != "ring_full" || l.num("to_ts") < l.num("from_ts") {
					t.Errorf("_lost: got %v", l)
				}
			}
			if sum != m.Lost.Total {
				t.Errorf("_lost has %d, the manifest %d", sum, m.Lost.Total)
			}
		})
	}
	out := filepath.Join(t.TempDir(), "d")
	args := []string{"record", "-q", "--fail-on-loss", "-e", "raw_syscalls:sys_enter", "--filter", "id == getppid", "-m", "8K", "-o", out, "--"}
	invoke(t, append(args, load(t, n)...)...).want(t, exitLoss)
}

func TestPushedAndInProcessAgree(t *testing.T) {
	testpriv.Need(t)
	// The same calls through a filter the kernel decides, one it helps with, and one it cannot help with.
	const n = 20_000
	for _, f := range []string{"id == getppid", "id == getppid && args[0] == args[0]", "id * 2 == 220 && $comm != 'x'", "id ^ 110 ? false : true"} {
		out := filepath.Join(t.TempDir(), "d")
		args := []string{"record", "-e", "raw_syscalls:sys_enter", "--filter", f, "-m", "64M", "-o", out, "--"}
		invoke(t, append(args, load(t, n)...)...).want(t, 0, "(0 lost)")
		if m := readManifest(t, out); m.Totals.Rows != n {
			t.Errorf("%s: got %d rows, want %d", f, m.Totals.Rows, n)
		}
	}
}

func TestSwitchOutput(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	args := []string{"record", "-e", "raw_syscalls:sys_enter", "-a", "-o", filepath.Join(dir, "d"), "-o", filepath.Join(dir, "x.ndjson"),
		"--switch-output=500ms", "--switch-max-files", "2", "--duration", "2400ms"}
	invoke(t, args...).want(t, 0, "wrote")
	for _, pattern := range []string{"d/raw_syscalls.sys_enter/part-*.parquet", "x-*.ndjson"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) != 2 {
			t.Errorf("%s: got %v, %v, want the newest two", pattern, files, err)
		}
	}
	noLeftovers(t, dir)
}

func TestMaxSize(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-e", "raw_syscalls:*", "--trace-self", "-a", "-o", out, "--max-size", "200K").want(t, 0, "ended by --max-size")
	if fi, err := os.Stat(out); err != nil || fi.Size() < 200<<10 {
		t.Errorf("got %v, %v", fi, err)
	}
}

func TestTasksTable(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "d")
	invoke(t, "record", "-e", "sched:sched_process_exit", "-o", out, "sh", "-c", "/bin/sleep 0.01; exit 0").want(t, 0)
	c := invoke(t, "cat", "--table", "_tasks", "--format", "ndjson", out)
	c.want(t, 0)
	found := false
	for _, r := range readRows(t, c.stdout) {
		if r.text("comm") != "sleep" || !strings.HasSuffix(r.text("exe"), "/sleep") && r.text("exe") != "" {
			continue
		}
		if r.num("end_ts") > r.num("start_ts") && r.num("start_ts") > 0 {
			found = true
		}
	}
	if !found {
		t.Errorf("no task of sleep that began and ended:\n%s", c.stdout)
	}
}

func TestDelay(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	begin := time.Now()
	invoke(t, "record", "-q", "-e", "sched:sched_switch", "-a", "-D", "400", "--duration", "900ms", "-o", out).want(t, 0)
	rows := readRows(t, readFile(t, out))
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	first, err := time.Parse(time.RFC3339Nano, rows[0].text("time"))
	if err != nil {
		t.Fatal(err)
	}
	if d := first.Sub(begin); d < 400*time.Millisecond {
		t.Errorf("the first row is %v after the start, with a delay of 400 ms", d)
	}
}

// TestCommIsTheKernels: on a switch the task that runs is the one that is left, so
// comm, from the side band and /proc, must be what the kernel put into prev_comm.
func TestCommIsTheKernels(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-e", "sched:sched_switch", "-a", "-o", out, "sh", "-c", "for i in 1 2 3 4 5; do /bin/sleep 0.1; sync; /bin/true; done").want(t, 0)
	rows, wrong := readRows(t, readFile(t, out)), 0
	for _, r := range rows {
		comm, _, _ := strings.Cut(r.text("comm"), "/") // the idle tasks' swapper/0
		prev, _, _ := strings.Cut(r.text("prev_comm"), "/")
		if r.num("tid") != r.num("prev_pid") || comm != prev || r.num("pid") < 0 || r.num("tid") != 0 && r.text("comm") != r.text("prev_comm") {
			if wrong++; wrong <= 5 {
				t.Errorf("tid %d pid %d comm %q, the kernel has prev_pid %d prev_comm %q", r.num("tid"), r.num("pid"), r.text("comm"), r.num("prev_pid"), r.text("prev_comm"))
			}
		}
	}
	if len(rows) < 50 || wrong > 0 {
		t.Errorf("%d of %d rows have a wrong name", wrong, len(rows))
	}
}

func TestUserTarget(t *testing.T) {
	testpriv.Need(t)
	target := exec.Command("sh", "-c", "while :; do read x < /proc/self/stat; done")
	target.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	target.Dir = "/"
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Process.Kill(); _ = target.Wait() }()
	for _, user := range []string{"nobody", "65534"} {
		out := filepath.Join(t.TempDir(), "x.ndjson")
		invoke(t, "record", "-q", "-e", "syscalls:sys_enter_openat", "-u", user, "--duration", "200ms", "-o", out).want(t, 0)
		rows := readRows(t, readFile(t, out))
		seen := false
		for _, r := range rows {
			seen = seen || r.num("pid") == int64(target.Process.Pid)
		}
		if !seen {
			t.Errorf("-u %s: no row of its process among %d", user, len(rows))
		}
	}
	invoke(t, "record", "-e", "sched:sched_switch", "-u", "no-such-user", "--duration", "100ms").want(t, 2, `no user "no-such-user"`)
}

func TestProcessorsMeanEveryTaskOnThem(t *testing.T) {
	testpriv.Need(t)
	out := filepath.Join(t.TempDir(), "x.ndjson")
	invoke(t, "record", "-q", "-e", "sched:sched_switch", "-C", "0", "-o", out, "sleep", "0.3").want(t, 0)
	tids := map[int64]bool{}
	for _, r := range readRows(t, readFile(t, out)) {
		if r.num("cpu") != 0 {
			t.Fatalf("got a row of cpu %d", r.num("cpu"))
		}
		tids[r.num("tid")] = true
	}
	// The sleep alone would be one; a busy machine has no idle task to show.
	if len(tids) < 2 {
		t.Errorf("got rows of %d tasks, want those of others beside the command", len(tids))
	}
}
