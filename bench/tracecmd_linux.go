//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// standInCommand is the first argument that makes this program trace-cmd, in a mount
// namespace where files that it cannot write on this machine have stand-ins.
const standInCommand = "stand-in"

// standIns are the files that trace-cmd insists on writing and that recording events does
// not need: a kernel may refuse them. The first is of /proc, the rest of tracefs.
var standIns = [...]string{"/proc/sys/kernel/ftrace_enabled", "set_ftrace_filter", "set_ftrace_notrace", "set_ftrace_pid"}

// standIn binds empty files over those of standIns and becomes the command. Its mounts end
// with its mount namespace, which is its own.
func standIn(args []string) error {
	if len(args) < 3 {
		return errors.New("run with stand-ins: it takes a folder, an instance and a command")
	}
	dir, inst, command := args[0], args[1], args[2:]
	enabled, empty := filepath.Join(dir, "one"), filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(enabled, []byte("1\n"), 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		return err
	}
	for i, name := range standIns {
		from, to := enabled, []string{name}
		if i > 0 {
			from, to = empty, []string{filepath.Join(tracing, name), filepath.Join(inst, name)}
		}
		for _, t := range to {
			if _, err := os.Stat(t); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err := unix.Mount(from, t, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("bind a stand-in over %s: %w", t, err)
			}
		}
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return unix.Exec(path, command, os.Environ())
}

// traceCmdArgs are of a recording into an instance of ours; nothing at the top of tracefs is touched.
func (b *bench) traceCmdArgs(in *instance, data string) []string {
	return []string{"trace-cmd", "record", "-q", "-B", in.name(), "-M", strconv.FormatUint(1<<b.o.loadCPU, 16),
		"-C", "mono", "-b", strconv.Itoa(ringBytes >> 10), "-e", event, "-o", data}
}

// traceCmd has trace-cmd record the loop and make text of it.
func (b *bench) traceCmd(ctx context.Context, load ...string) (r Run, err error) {
	in, err := newInstance("cmd", b.o.loadCPU)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	data := filepath.Join(b.dir, "trace.dat")
	args := b.traceCmdArgs(in, data)
	var attr *syscall.SysProcAttr
	if b.standIns {
		args = append([]string{b.self, standInCommand, b.dir, in.dir}, args...)
		attr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	}
	u, stderr, err := b.recordingAs(ctx, attr, args, func(int) (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err != nil {
		return r, err
	}
	r.usage = u
	if r.Bytes, err = size(data); err != nil {
		return r, fmt.Errorf("find what trace-cmd wrote: %w\n%s", err, stderr)
	}
	text := data + ".txt"
	if r.After, err = b.textOf(ctx, text, "trace-cmd", "report", "-i", data); err != nil {
		return r, err
	}
	if r.TextBytes, err = size(text); err != nil {
		return r, err
	}
	if r.Events, r.Lost, err = countReport(text); err != nil {
		return r, err
	}
	return r, errors.Join(os.Remove(text), os.Remove(data))
}

// countReport counts the events of trace-cmd report's text.
func countReport(path string) (events, lost int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		e, l := reportLine(sc.Bytes())
		events, lost = events+e, lost+l
	}
	return events, lost, sc.Err()
}

// textOf runs a program whose output goes into a file.
func (b *bench) textOf(ctx context.Context, path, name string, args ...string) (*usage, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	u, _, err := b.command(ctx, f, name, args...)
	if e := f.Close(); err == nil {
		err = e
	}
	return &u, err
}

// tryTraceCmd finds out how trace-cmd runs here: as it is, with stand-ins, or not at all.
func (b *bench) tryTraceCmd(ctx context.Context, t *Tool) {
	if _, err := exec.LookPath("trace-cmd"); err != nil {
		t.Refused = "trace-cmd is not installed"
		return
	}
	_, plain := b.traceCmd(ctx, "-calls", "10000")
	if plain == nil || ctx.Err() != nil {
		return
	}
	b.standIns = true
	if _, err := b.traceCmd(ctx, "-calls", "10000"); err != nil {
		t.Refused = "refused: " + lastLine(err.Error())
		return
	}
	t.Note = fmt.Sprintf("On this kernel trace-cmd refuses as it is (%q), as it insists on writing files that recording events does not need and "+
		"that are read-only here (kernel.ftrace_enabled, set_ftrace_filter and its like): it ran in a mount namespace of its own, with stand-ins bound over them.", refusal(plain))
}
