//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Programs of bpftrace: each event as text with what a row of perfpipe has in it, and how
// many there were.
const (
	printProgram = `tracepoint:` + event + ` { printf("%llu %d %d %d %s %ld %lx %lx %lx %lx %lx %lx\n", nsecs, cpu, pid, tid, comm, args->id, ` +
		`args->args[0], args->args[1], args->args[2], args->args[3], args->args[4], args->args[5]); }`
	countProgram = `tracepoint:` + event + ` { @ = count(); }`
)

// bpftrace runs a program around during and returns what it has printed to stdout's end.
func (b *bench) bpftrace(ctx context.Context, program string, stdout io.Writer, during func() error) (u usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := b.process(ctx, "bpftrace", "-e", program)
	cmd.Env = append(os.Environ(), "BPFTRACE_PERF_RB_PAGES=4096")
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if err := startOn(b.o.recordCPU, cmd); err != nil {
		return u, fmt.Errorf("start bpftrace: %w", err)
	}
	err = b.attached(ctx, cmd.Process.Pid)
	if err == nil {
		err = during()
	}
	if e := cmd.Process.Signal(os.Interrupt); e != nil && !errors.Is(e, os.ErrProcessDone) {
		err = errors.Join(err, e)
	}
	if e := cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("run bpftrace: %w\n%s", e, stderr.String()))
	}
	return usageOf(cmd.ProcessState), err
}

// attached waits until bpftrace has its tracepoint: one perf event more than the buffers
// of the processors. It says nothing of it where its output goes to /dev/null.
func (b *bench) attached(ctx context.Context, pid int) error {
	for {
		n, _, err := descriptors(pid)
		if err != nil {
			return fmt.Errorf("wait for bpftrace: %w", err)
		}
		if n > onlineCPUs() {
			// The last step after the event is open is one call.
			return sleep(ctx, 100*time.Millisecond)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for bpftrace: %w", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// printed has bpftrace print every event to /dev/null.
func (b *bench) printed(ctx context.Context, load ...string) (r Run, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return r, err
	}
	defer func() { _ = null.Close() }()
	r.usage, err = b.bpftrace(ctx, printProgram, null, func() (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	// Events stays 0: what is printed to nowhere is not counted.
	return r, err
}

// counted has bpftrace count the events.
func (b *bench) counted(ctx context.Context, load ...string) (r Run, err error) {
	var out strings.Builder
	u, err := b.bpftrace(ctx, countProgram, &out, func() (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err != nil {
		return r, err
	}
	r.Peak = u.Peak
	r.Events, err = parseCount(out.String())
	return r, err
}

// printedLines has bpftrace print into a file, and says how many of the loop's events are in it.
func (b *bench) printedLines(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "printed")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(path) }()
	var l Load
	_, err = b.bpftrace(ctx, printProgram, f, func() (err error) {
		l, err = b.load(ctx, "-calls", fmt.Sprint(b.o.calls))
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	lines, err := printedEvents(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("It does not say how many it loses; a run into a file printed %s lines of %s calls.", grouped(lines), grouped(l.Calls)), nil
}

// printedEvents counts the lines that printProgram has made: those that begin with a time.
func printedEvents(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	n := 0
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if line := sc.Bytes(); len(line) > 0 && line[0] >= '0' && line[0] <= '9' {
			n++
		}
	}
	return n, sc.Err()
}

// tryBpftrace says whether there is one.
func tryBpftrace(t *Tool) {
	if _, err := exec.LookPath("bpftrace"); err != nil {
		t.Refused = "bpftrace is not installed"
	}
}
