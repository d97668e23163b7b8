//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// terminal opens a pseudo terminal: our end, and the one for a shell.
func terminal(t *testing.T) (ours, shells *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	shells, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shells.Close() })
	return ours, shells
}

func TestShellLines(t *testing.T) {
	testpriv.Need(t)
	bash := testpriv.NeedTool(t, "bash")
	strip := testpriv.NeedTool(t, "strip")
	path := filepath.Join(t.TempDir(), "bash")
	if out, err := exec.Command(strip, "--strip-all", "-o", path, bash).CombinedOutput(); err != nil {
		t.Fatalf("strip %s: %v\n%s", bash, err, out)
	}
	ours, shells := terminal(t)
	shell := exec.Command(path, "--norc", "--noprofile", "-i")
	shell.Env = []string{"PS1=typed> ", "TERM=dumb", "PATH=/usr/bin:/bin", "HISTFILE="}
	shell.Stdin, shell.Stdout, shell.Stderr = shells, shells, shells
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, ours) }() // until the terminal is closed
	go func() { _ = shell.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = shell.Process.Kill()
		<-ended
	})
	enter := func(line string) {
		t.Helper()
		if _, err := io.WriteString(ours, line+"\r"); err != nil {
			t.Fatal(err)
		}
	}
	r := record(t, "-e", "uretprobe:"+path+":readline(ret:string)", "-e", "uprobe:"+path+":readline(prompt=arg0:string)", "-p", fmt.Sprint(shell.Process.Pid))
	typed := func() (lines []string) {
		for _, w := range r.rows() {
			if s, ok := w["ret"].(string); ok && s != ": begin" {
				lines = append(lines, s)
			}
		}
		return lines
	}
	eventually(t, "a first line that the shell reads", func() bool {
		r.alive()
		enter(": begin")
		time.Sleep(50 * time.Millisecond) // not to fill the terminal
		return len(r.rows()) > 0
	})
	want := []string{"echo hello", "", "true 'two words' # ünïcode", "a=1"}
	for _, line := range want {
		enter(line)
	}
	eventually(t, "the lines that were typed", func() bool { return len(typed()) >= len(want) })
	enter("exit")
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the shell does not end")
	}
	prompts := 0
	for _, w := range r.finish() {
		if s, ok := w["prompt"].(string); ok {
			prompts++
			if s != "typed> " {
				t.Errorf("prompt: got %q", s)
			}
		}
	}
	if got := typed(); !slices.Equal(got, append(want, "exit")) {
		t.Errorf("lines that were typed: got %q, want %q and exit", got, want)
	}
	if prompts < len(want) {
		t.Errorf("got %d prompts, want %d or more", prompts, len(want))
	}
}
