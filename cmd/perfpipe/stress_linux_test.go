//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// slowSinkEnv is how long TestSlowSink generates events, such as 10m; else it is some
// seconds.
const slowSinkEnv = "PERFPIPE_TEST_SLOW_SINK"

// getppidEvent needs no filter: where one runs in process, what finds no room in a ring
// is lost without anybody knowing whether it would have been let through.
const getppidEvent = "syscalls:sys_enter_getppid"

// slowReader reads a stream at most so many bytes a second until it is let go.
type slowReader struct {
	rate  int
	hurry chan struct{}
}

// read hands what comes to take, and returns at the stream's end.
func (s *slowReader) read(r io.Reader, take func([]byte)) error {
	buf := make([]byte, s.rate/50)
	t := time.NewTicker(time.Second / 50)
	defer t.Stop()
	for {
		n, err := r.Read(buf)
		take(buf[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-s.hurry:
		case <-t.C:
		}
	}
}

// memoryOf is a line of /proc/PID/status in bytes, 0 where the process is gone.
func memoryOf(pid int, line string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^` + line + `:\s+(\d+) kB$`).FindSubmatch(b)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// TestSlowSink reads 1 MB a second of what a saturated processor makes: what does not
// fit is counted, the memory is bounded, and the stream is whole.
func TestSlowSink(t *testing.T) {
	testpriv.Need(t)
	length := os.Getenv(slowSinkEnv)
	if length == "" {
		length = "3s"
	}
	t.Run("ndjson", func(t *testing.T) {
		eachEngine(t, func(t *testing.T, engine string) { slowSink(t, engine, "ndjson", length) })
	})
	t.Run("arrows", func(t *testing.T) { slowSink(t, "auto", "arrows", length) })
}

func slowSink(t *testing.T, engine, format, length string) {
	dir := t.TempDir()
	args := append([]string{"record", "--engine", engine, "-e", getppidEvent, "-m", "8M",
		"-o", "-", "--format", format, "--"},
		stressCommand(t, length, filepath.Join(dir, "generated"))...)
	cmd := exec.Command(binary, args...)
	var errs safeBuffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slow := &slowReader{rate: 1_000_000, hurry: make(chan struct{})}
	saved, err := os.Create(filepath.Join(dir, "x.arrows"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = saved.Close() }()
	lines, last := 0, byte('\n')
	done := make(chan error, 1)
	go func() {
		done <- slow.read(out, func(b []byte) {
			if format != "ndjson" {
				_, _ = saved.Write(b)
			} else if lines += bytes.Count(b, []byte{'\n'}); len(b) > 0 {
				last = b[len(b)-1]
			}
		})
	}()
	var most, samples int64
	generated := 0
	for hurried, ended := false, false; !ended; {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("read the stream: %v", err)
			}
			ended = true
		case <-time.After(50 * time.Millisecond):
		}
		if rss := memoryOf(cmd.Process.Pid, "VmRSS"); rss > 0 {
			most = max(most, rss)
			samples++
		}
		b, err := os.ReadFile(filepath.Join(dir, "generated"))
		if n, aerr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && aerr == nil && !hurried {
			// What was recorded is still in memory: the rest of the stream may go fast.
			generated, hurried = n, true
			close(slow.hurry)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	rows, lost := closingNumbers(t, errs.String())
	t.Logf("%s by %s for %s: %d generated, %d rows, %d lost, at most %d MB of memory in %d samples", format, engine, length, generated, rows, lost, most>>20, samples)
	if rows+lost != generated || generated == 0 {
		t.Errorf("%d rows and %d lost, want %d together\n%s", rows, lost, generated, errs.String())
	}
	if lost == 0 {
		t.Errorf("nothing lost by a reader of 1 MB/s: the test shows nothing")
	}
	// The rings, the pool of batches, and the sink's buffers.
	if most > 250<<20 {
		t.Errorf("got %d MB of memory", most>>20)
	}
	if format == "ndjson" {
		if lines != rows || last != '\n' {
			t.Errorf("the stream has %d lines and ends with %q, want %d lines", lines, last, rows)
		}
		return
	}
	if got := countLines(t, "cat", "--format", "csv", saved.Name()); got != rows+1 {
		t.Errorf("the stream has %d rows, want %d", got-1, rows)
	}
}

// closingNumbers reads rows and losses from the closing line.
func closingNumbers(t *testing.T, stderr string) (rows, lost int) {
	t.Helper()
	m := regexp.MustCompile(`wrote ([0-9,]+) rows .*\(([0-9,]+) lost\) \]`).FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("no closing line:\n%s", stderr)
	}
	number := func(s string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return number(m[1]), number(m[2])
}

// countLines runs perfpipe and counts what it prints.
func countLines(t *testing.T, args ...string) (n int) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	var errs safeBuffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewReader(out)
	for {
		b, err := sc.ReadSlice('\n')
		n += bytes.Count(b, []byte{'\n'})
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("perfpipe %q: %v\n%s", args, err, errs.String())
	}
	return n
}

// TestStorm has four processes call at once, on however few processors.
func TestStorm(t *testing.T) {
	testpriv.Need(t)
	const processes, calls = 4, 250_000
	eachEngine(t, func(t *testing.T, engine string) {
		for _, ring := range []string{"8K", "16M"} {
			out := filepath.Join(t.TempDir(), "d")
			args := []string{"record", "--engine", engine, "-e", getppidEvent, "-m", ring, "-o", out, "--"}
			r := invoke(t, append(args, stressCommand(t, fmt.Sprintf("%dx%d", processes, calls), "")...)...)
			r.want(t, 0)
			m := readManifest(t, out)
			if m.Totals.Rows+m.Lost.Total != processes*calls {
				t.Errorf("ring of %s: %d rows and %d lost, want %d together\n%s", ring, m.Totals.Rows, m.Lost.Total, processes*calls, r.stderr)
			}
			t.Logf("%s, ring of %s: %d rows, %d lost", engine, ring, m.Totals.Rows, m.Lost.Total)
		}
	})
}

// TestOthersLoseNothing has perf record and bpftrace count the calls that perfpipe
// records.
func TestOthersLoseNothing(t *testing.T) {
	testpriv.Need(t)
	perf, bpftrace := testpriv.NeedTool(t, "perf"), testpriv.NeedTool(t, "bpftrace")
	const n = 200_000
	eachEngine(t, func(t *testing.T, engine string) {
		dir := t.TempDir()
		// The calls have a mark, as others call getppid as well.
		const mark = 0x70657266
		count := exec.Command(bpftrace, "-e", fmt.Sprintf(`tracepoint:raw_syscalls:sys_enter /args->id == 110 && args->args[0] == %d/ { @calls = count(); } BEGIN { printf("ready\n"); }`, mark))
		var counted safeBuffer
		count.Stdout, count.Stderr = &counted, &counted
		if err := count.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- count.Wait() }()
		stopped := false
		stop := func() {
			if !stopped {
				stopped = true
				_ = count.Process.Signal(syscall.SIGINT)
				<-ended
			}
		}
		t.Cleanup(stop)
		eventually(t, "bpftrace", func() bool { return strings.Contains(counted.String(), "ready") })

		r := start(t, "record", "-q", "--engine", engine, "-e", "raw_syscalls:sys_enter", "--filter", fmt.Sprintf("id == 110 && args[0] == %d", mark), "-a", "-m", "32M", "-o", "-", "--format", "ndjson")
		before := 0
		eventually(t, "a row", func() bool {
			syscall.RawSyscall(syscall.SYS_GETPPID, mark, 0, 0)
			before++
			return len(r.rows()) > 0
		})
		// The load is made by a program of its own that perf starts.
		data := filepath.Join(dir, "perf.data")
		load := exec.Command(perf, "record", "-q", "-m", "64M", "-e", "raw_syscalls:sys_enter", "--filter", "id==110", "-o", data, "--", markedLoad(t), fmt.Sprint(mark), fmt.Sprint(n))
		if text, err := load.CombinedOutput(); err != nil {
			t.Fatalf("perf record: %v\n%s", err, text)
		}
		rows := r.interrupt()
		stop()
		stats, err := exec.Command(perf, "report", "--stats", "-i", data).CombinedOutput()
		if err != nil {
			t.Fatalf("perf report: %v\n%s", err, stats)
		}
		if m := regexp.MustCompile(`SAMPLE events:\s+(\d+)`).FindSubmatch(stats); m == nil || string(m[1]) != fmt.Sprint(n) {
			t.Errorf("perf: want %d samples\n%s", n, stats)
		}
		if bytes.Contains(stats, []byte("LOST")) {
			t.Errorf("perf lost some:\n%s", stats)
		}
		if m := regexp.MustCompile(`@calls: (\d+)`).FindStringSubmatch(counted.String()); m == nil || m[1] != fmt.Sprint(n+before) {
			t.Errorf("bpftrace: want %d calls\n%s", n+before, counted.String())
		}
		if strings.Contains(counted.String(), "Lost") {
			t.Errorf("bpftrace lost some:\n%s", counted.String())
		}
		// The first call may be before the events were on.
		if len(rows) < n || len(rows) > n+before {
			t.Errorf("perfpipe: got %d rows, want %d to %d", len(rows), n, n+before)
		}
	})
}

// markedLoad makes a program that calls getppid so many times with a first argument
// that getppid does not look at.
func markedLoad(t *testing.T) string {
	t.Helper()
	return compileC(t, "marked", `#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
	(void)argc;
	long mark = atol(argv[1]), n = atol(argv[2]);
	while (n-- > 0)
		syscall(SYS_getppid, mark);
	return 0;
}`)
}

// footprint is what a process has of the kernel's tracing.
type footprint struct {
	Instances, Definitions []string
	// IDs are numbers of programs, links and maps, as bpftool's "prog", "link" and "map"
	// list them. The kernel does not give a number again soon.
	IDs map[string][]int
}

// footprintOf lists what a running process has.
func footprintOf(t *testing.T, pid int) footprint {
	t.Helper()
	f := footprint{Definitions: definitionsOf(t, pid), Instances: instancesOf(t, pid), IDs: map[string][]int{}}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // closed meanwhile
		}
		for _, m := range regexp.MustCompile(`(?m)^(prog|link|map)_id:\s+(\d+)$`).FindAllStringSubmatch(string(b), -1) {
			id, err := strconv.Atoi(m[2])
			if err != nil {
				t.Fatal(err)
			}
			f.IDs[m[1]] = append(f.IDs[m[1]], id)
		}
	}
	return f
}

// instancesOf lists the instances of tracefs that are named after a process.
func instancesOf(t *testing.T, pid int) []string {
	t.Helper()
	dirs, err := filepath.Glob(fmt.Sprintf("/sys/kernel/tracing/instances/perfpipe_%d_*", pid))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// stays fails the test where anything of f, a process's that ended, is there still.
func (f footprint) stays(t *testing.T, when string, pid int) {
	t.Helper()
	if left := instancesOf(t, pid); len(left) > 0 {
		t.Errorf("%s: instances stay: %v", when, left)
	}
	if left := definitionsOf(t, pid); len(left) > 0 {
		t.Errorf("%s: definitions stay: %v", when, left)
	}
	for what, ids := range f.IDs {
		// The kernel frees them when every processor has passed a quiet state.
		eventually(t, fmt.Sprintf("%s: the end of every %s of %v", when, what, ids), func() bool {
			return !slices.ContainsFunc(bpfList(t, what), func(id int) bool { return slices.Contains(ids, id) })
		})
	}
}

// bpfList lists the numbers of the programs, links or maps of the machine.
func bpfList(t *testing.T, what string) (ids []int) {
	t.Helper()
	b, err := exec.Command(testpriv.NeedTool(t, "bpftool"), "-j", what, "list").Output()
	if err != nil {
		t.Fatalf("bpftool %s list: %v", what, err)
	}
	var list []struct {
		ID int `json:"id"`
	}
	if err := json.Unmarshal(b, &list); err != nil && len(bytes.TrimSpace(b)) > 0 {
		t.Fatalf("bpftool %s list: %v\n%s", what, err, b)
	}
	for _, x := range list {
		ids = append(ids, x.ID)
	}
	return ids
}

// TestNothingStays: after the end, and after SIGKILL and the next start, nothing that
// perfpipe made is there, and the sizes of the kernel's own buffers are what they were.
func TestNothingStays(t *testing.T) {
	testpriv.Need(t)
	testpriv.NeedTool(t, "bpftool")
	testpriv.Lock(t)
	eachEngine(t, func(t *testing.T, engine string) {
		buffer := readFile(t, "/sys/kernel/tracing/buffer_size_kb")
		enabled := readFile(t, "/sys/kernel/tracing/set_event")
		begin := func() (*recording, footprint) {
			t.Helper()
			r := start(t, "record", "-q", "--engine", engine, "-e", "raw_syscalls:sys_enter,sched:sched_switch", "-m", "8M", "-a", "-o", "-", "--format", "ndjson")
			eventually(t, "a row", func() bool { r.alive(); return len(r.out.String()) > 0 })
			f := footprintOf(t, r.cmd.Process.Pid)
			// What is looked for can be seen while it is there.
			if engine == "ftrace" && len(f.Instances) == 0 || engine == "bpf" && len(f.IDs["prog"])+len(f.IDs["link"]) == 0 {
				t.Errorf("while it records: got %+v", f)
			}
			return r, f
		}
		check := func(when string, r *recording, f footprint) {
			t.Helper()
			f.stays(t, when, r.cmd.Process.Pid)
			if got := readFile(t, "/sys/kernel/tracing/buffer_size_kb"); got != buffer {
				t.Errorf("%s: buffer_size_kb: got %s, want %s", when, got, buffer)
			}
			if got := readFile(t, "/sys/kernel/tracing/set_event"); got != enabled {
				t.Errorf("%s: set_event: got %q, want %q", when, got, enabled)
			}
		}
		r, has := begin()
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		r.wait()
		check("after the end", r, has)

		killed, had := begin()
		killed.over = true // what it leaves is for the next to sweep
		_ = killed.cmd.Process.Kill()
		<-killed.done
		next, has := begin()
		check("after SIGKILL and the next start", killed, had)
		if err := next.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		next.wait()
		check("after the end of the next", next, has)
	})
}
