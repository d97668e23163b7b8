//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// tracer is a debugger or strace on a process.
type tracer struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  safeBuffer
	done chan struct{}
}

// trace starts a program that attaches to a process; the end of the test ends it.
func trace(t *testing.T, name string, args ...string) *tracer {
	t.Helper()
	tr := &tracer{t: t, cmd: exec.Command(testpriv.NeedTool(t, name), args...), done: make(chan struct{})}
	tr.cmd.Stdout, tr.cmd.Stderr = &tr.out, &tr.out
	tr.cmd.Dir = t.TempDir()
	tr.cmd.Env = append(os.Environ(), "DEBUGINFOD_URLS=", "HOME="+tr.cmd.Dir)
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = tr.cmd.Wait(); close(tr.done) }()
	t.Cleanup(func() {
		select {
		case <-tr.done:
			return
		default:
		}
		_ = tr.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-tr.done:
		case <-time.After(patience):
			_ = tr.cmd.Process.Kill()
			<-tr.done
		}
	})
	return tr
}

func (tr *tracer) says(text string) {
	tr.t.Helper()
	eventually(tr.t, tr.cmd.Args[0]+" says "+text, func() bool {
		select {
		case <-tr.done:
			if !strings.Contains(tr.out.String(), text) {
				tr.t.Fatalf("%s ended:\n%s", tr.cmd.Args[0], tr.out.String())
			}
		default:
		}
		return strings.Contains(tr.out.String(), text)
	})
}

// gdb attaches gdb to a process, with a breakpoint at which it says "at N" and goes on.
func gdb(t *testing.T, pid int, at string) *tracer {
	t.Helper()
	script := filepath.Join(t.TempDir(), "script")
	text := "set pagination off\nset confirm off\nhandle SIGTERM nostop noprint pass\nbreak " + at + "\ncommands\nsilent\nprintf \"at %d\\n\", $edi\ncontinue\nend\necho armed\\n\ncontinue\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := trace(t, "gdb", "-nx", "-q", "-batch", "-p", fmt.Sprint(pid), "-x", script)
	tr.says("armed\n")
	return tr
}

func TestBesideDebugger(t *testing.T) {
	testpriv.Need(t)
	const calls = 60
	path := compileC(t, "crew", crewSource, "-O1")
	for _, first := range []string{"gdb", "perfpipe"} {
		t.Run(first+" comes first", func(t *testing.T) {
			c := hire(t, path)
			var g *tracer
			if first == "gdb" {
				g = gdb(t, c.pid, "*other")
			}
			r := record(t, "-e", probeOf(path), "-e", "uretprobe:"+path+":work(ret)", "-p", fmt.Sprint(c.pid))
			c.awaitHits(r, "self")
			if first != "gdb" {
				g = gdb(t, c.pid, "*other")
			}
			c.do("pair 0 %d", calls)
			c.do("standing %d 10", calls) // another thread, that is stopped with the first
			c.dismiss()
			rows := r.finish()
			wantBoth(t, rows, calls+10)
			g.says("exited normally")
			var want []string
			for n := range calls {
				want = append(want, fmt.Sprintf("at %d", n))
			}
			if got := linesWith(g.out.String(), "at "); !slices.Equal(got, want) {
				t.Errorf("gdb's breakpoint: got %d hits, want %d\n%s", len(got), len(want), g.out.String())
			}
		})
	}
}

// wantBoth wants a row of each call of work and one of each return.
func wantBoth(t *testing.T, rows []row, calls int64) {
	t.Helper()
	entered := slices.DeleteFunc(slices.Clone(rows), func(w row) bool { _, is := w["ret"]; return is })
	wantNumbers(t, entered, 0, calls)
	var rets []int64
	for _, w := range rows {
		if _, is := w["ret"]; is && w.num("ret") != warm+1 {
			rets = append(rets, w.num("ret"))
		}
	}
	slices.Sort(rets)
	// work returns one more than its number; that of the warm-ups is 0.
	for i, got := range rets {
		if got != int64(i+1) {
			t.Errorf("return %d: got %d", i, got)
			break
		}
	}
	if int64(len(rets)) != calls {
		t.Errorf("got %d returns, want %d", len(rets), calls)
	}
}

// linesWith are the lines of text that begin so.
func linesWith(text, prefix string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			list = append(list, strings.TrimSuffix(line, "\n"))
		}
	}
	return list
}

func TestBesideStrace(t *testing.T) {
	testpriv.Need(t)
	const calls = 200
	path := compileC(t, "crew", crewSource, "-O1")
	for _, first := range []string{"strace", "perfpipe"} {
		t.Run(first+" comes first", func(t *testing.T) {
			c := hire(t, path)
			out := filepath.Join(t.TempDir(), "calls")
			attach := func() *tracer {
				s := trace(t, "strace", "-f", "-e", "trace=getppid", "-o", out, "-p", fmt.Sprint(c.pid))
				s.says("attached")
				return s
			}
			var s *tracer
			if first == "strace" {
				s = attach()
			}
			r := record(t, "-e", probeOf(path), "-e", "uretprobe:"+path+":work(ret)", "-e", "syscalls:sys_enter_getppid", "-p", fmt.Sprint(c.pid))
			c.awaitHits(r, "self")
			if first != "strace" {
				s = attach()
			}
			c.do("pair 0 %d", calls)
			c.do("thread %d 10", calls)
			c.dismiss()
			rows := r.finish()
			select {
			case <-s.done:
			case <-time.After(patience):
				t.Fatal("strace does not end with its process")
			}
			probes := slices.DeleteFunc(slices.Clone(rows), func(w row) bool { return w.text("event") == "syscalls:sys_enter_getppid" })
			wantBoth(t, probes, calls+10)
			if got := len(rows) - len(probes); got != calls {
				t.Errorf("rows of getppid: got %d, want %d", got, calls)
			}
			if got := strings.Count(readFile(t, out), "getppid("); got != calls {
				t.Errorf("lines of strace: got %d, want %d", got, calls)
			}
		})
	}
}

// TestBreakpointAtTheProbe only looks: a probe that went away there would leave a
// trap behind for gdb to put back.
func TestBreakpointAtTheProbe(t *testing.T) {
	testpriv.Need(t)
	path := compileC(t, "crew", crewSource, "-O1")
	c := hire(t, path)
	args := []string{"record", "--dry-run", "-e", probeOf(path), "-p", fmt.Sprint(c.pid)}
	if r := invoke(t, args...); strings.Contains(r.stderr, "traced by") || r.status != 0 {
		t.Errorf("a warning without a debugger, or none at all: status %d\n%s", r.status, r.stderr)
	}
	g := gdb(t, c.pid, "*work")
	who := fmt.Sprintf("process %d is debugged by process %d", c.pid, g.cmd.Process.Pid)
	var r result
	eventually(t, "a warning of the breakpoint", func() bool { // which gdb sets when the process goes on
		r = invoke(t, args...)
		return strings.Contains(r.stderr, "breakpoint at the probed address")
	})
	r.want(t, 0, who, "(work, offset 0x")
	c.do("self 0 3")
	if got := linesWith(g.out.String(), "at "); len(got) != 3 {
		t.Errorf("gdb's breakpoint: got %q, want 3 hits", got)
	}
	// With a breakpoint elsewhere there is a hint alone.
	c2 := hire(t, path)
	gdb(t, c2.pid, "*other")
	invoke(t, "record", "--dry-run", "-e", probeOf(path), "-p", fmt.Sprint(c2.pid)).want(t, 0, fmt.Sprintf("process %d is traced by process", c2.pid))
}
