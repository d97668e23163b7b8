//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
)

// launchWord, as the first argument, makes perfpipe the launcher of a command: it
// waits until the events on it are open, then becomes the command by execve. The
// events are on the process's first thread, so that thread must be the one that
// calls execve; that is why main keeps to it.
const launchWord = "__launch"

//nolint:gochecknoinits // the documented way to keep main on the process's first thread
func init() {
	runtime.LockOSThread()
}

// Descriptors that the launcher finds open.
const (
	launchGo  = 3 // read: a byte is the word to start, end of file to give up
	launchErr = 4 // written: the errno of a failed execve; closed by a successful one
)

// launcher waits for the word and executes args: the path, then the words of the command.
func launcher(args []string) int {
	syscall.CloseOnExec(launchGo)
	syscall.CloseOnExec(launchErr)
	var b [1]byte
	n, err := io.ReadFull(os.NewFile(launchGo, "go"), b[:])
	if err != nil || n != 1 || len(args) < 2 || syscall.Gettid() != syscall.Getpid() {
		return exitRuntime
	}
	// What Go ignores or catches shall be the command's as perfpipe got it.
	signal.Reset()
	err = syscall.Exec(args[0], args[1:], os.Environ())
	var errno syscall.Errno
	if errors.As(err, &errno) {
		fmt.Fprintf(os.NewFile(launchErr, "err"), "%d", int(errno))
	}
	return exitRuntime
}

// command is a process that waits to become the command to be recorded.
type command struct {
	proc   *os.Process
	start  *os.File // a byte is the word
	failed *os.File
	words  []string
	// done carries how it ended, once; it is buffered.
	done chan *os.ProcessState
}

// launch starts the launcher for words. The command does not run until Release.
func launch(words []string, st streams) (*command, error) {
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	goR, goW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	// The launcher has its own; nothing was written to these.
	defer func() { _ = goR.Close() }()
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", words[0], err), goW.Close())
	}
	defer func() { _ = errW.Close() }()
	files := []*os.File{file(st.in, os.Stdin), file(st.out, os.Stdout), file(st.err, os.Stderr), goR, errW}
	argv := append([]string{"perfpipe", launchWord, path}, words...)
	p, err := os.StartProcess("/proc/self/exe", argv, &os.ProcAttr{Files: files, Env: os.Environ()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", words[0], err), goW.Close(), errR.Close())
	}
	return &command{proc: p, start: goW, failed: errR, words: words, done: make(chan *os.ProcessState, 1)}, nil
}

// file returns v where it is a file, else the process's own.
func file(v any, own *os.File) *os.File {
	if f, ok := v.(*os.File); ok {
		return f
	}
	return own
}

// Release lets the command run and returns once it does, or why it cannot.
func (c *command) Release() error {
	_, err := c.start.Write([]byte{1})
	if err := errors.Join(err, c.start.Close()); err != nil {
		return fmt.Errorf("start %s: %w", c.words[0], err)
	}
	b, err := io.ReadAll(c.failed)
	if err = errors.Join(err, c.failed.Close()); err != nil {
		return fmt.Errorf("start %s: %w", c.words[0], err)
	}
	if len(b) > 0 {
		n, _ := strconv.Atoi(string(b))
		_, err := c.proc.Wait()
		return errors.Join(fmt.Errorf("start %s: %w", c.words[0], syscall.Errno(n)), err)
	}
	go func() {
		s, err := c.proc.Wait()
		if err != nil {
			s = nil
		}
		c.done <- s
	}()
	return nil
}

// Abandon ends a launcher that was never released.
func (c *command) Abandon() error {
	err := errors.Join(c.start.Close(), c.failed.Close())
	_, werr := c.proc.Wait()
	return errors.Join(err, werr)
}

// Terminate asks the command to end.
func (c *command) Terminate() {
	// It may have ended by itself: then there is nobody to ask.
	_ = c.proc.Signal(syscall.SIGTERM)
}

// exitStatus is what a shell would make of how the command ended.
func exitStatus(s *os.ProcessState) int {
	if s == nil {
		return exitRuntime
	}
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return s.ExitCode()
}
