//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func usageOf(s *os.ProcessState) usage {
	u := usage{User: s.UserTime().Seconds(), System: s.SystemTime().Seconds()}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		u.Peak = r.Maxrss << 10
	}
	return u
}

// startOn starts cmd on one processor. The new process inherits the affinity of
// the thread that starts it, which is put back afterwards.
func startOn(cpu int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return fmt.Errorf("read affinity: %w", err)
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to processor %d: %w", cpu, err)
	}
	err := cmd.Start()
	if e := unix.SchedSetaffinity(0, &old); e != nil && err == nil {
		err = fmt.Errorf("restore affinity: %w", e)
	}
	return err
}

// process is a command that is told by SIGINT that ctx is over, so that recorders remove
// what they have made, and killed where it does not listen.
func (b *bench) process(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// command runs a program to its end on the recorder's processor and returns what it used and
// what it said on stderr. stdout nil drops its output.
func (b *bench) command(ctx context.Context, stdout io.Writer, name string, args ...string) (usage, string, error) {
	cmd := b.process(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if err := startOn(b.o.recordCPU, cmd); err != nil {
		return usage{}, "", fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Wait(); err != nil {
		return usage{}, "", fmt.Errorf("run %s: %w\n%s", cmd, err, stderr.Bytes())
	}
	return usageOf(cmd.ProcessState), stderr.String(), nil
}

// recording runs a recorder, whose arguments end before the command to record, around during,
// which is told the recorder's process.
// The command is cat: what it echoes shows that recording has begun, and closing
// its input ends it. So the load is no child of the recorder, and the recorder's
// usage is its own.
func (b *bench) recording(ctx context.Context, recorder []string, during func(pid int) error) (usage, string, error) {
	return b.recordingAs(ctx, nil, recorder, during)
}

// recordingAs is recording with what the recorder's process has of its own, nil where it
// has nothing.
func (b *bench) recordingAs(ctx context.Context, attr *syscall.SysProcAttr, recorder []string, during func(pid int) error) (usage, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := b.process(ctx, recorder[0], append(recorder[1:len(recorder):len(recorder)], "--", "cat")...)
	cmd.SysProcAttr = attr
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return usage{}, "", err
	}
	echo, err := cmd.StdoutPipe()
	if err != nil {
		return usage{}, "", err
	}
	if err := startOn(b.o.recordCPU, cmd); err != nil {
		return usage{}, "", fmt.Errorf("start %s: %w", recorder[0], err)
	}
	_, err = io.WriteString(in, "begun\n")
	if err == nil {
		_, err = bufio.NewReader(echo).ReadString('\n')
	}
	if err == nil {
		err = during(cmd.Process.Pid)
	}
	err = errors.Join(err, in.Close())
	if e := cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("run %s: %w\n%s", cmd, e, stderr.Bytes()))
	}
	return usageOf(cmd.ProcessState), stderr.String(), err
}

// load runs the loop in a process of its own.
func (b *bench) load(ctx context.Context, args ...string) (Load, error) {
	out, err := exec.CommandContext(ctx, b.self, b.loadArgs(args...)[1:]...).Output()
	if err != nil {
		return Load{}, fmt.Errorf("run load: %w", err)
	}
	return decodeLoad(out)
}

// loadArgs is the command line of the load.
func (b *bench) loadArgs(args ...string) []string {
	return append([]string{b.self, loadCommand, "-cpu", strconv.Itoa(b.o.loadCPU)}, args...)
}

func decodeLoad(out []byte) (Load, error) {
	var l Load
	if err := json.Unmarshal(out, &l); err != nil {
		return Load{}, fmt.Errorf("read what the load printed: %w", err)
	}
	return l, nil
}
