//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// event is what all recorders record: the loop makes one a call.
const event = "raw_syscalls:sys_enter"

// bench is one run of all measurements.
type bench struct {
	o                    options
	dir                  string
	log                  io.Writer
	self, perf, perfpipe string
	// engines are those that perfpipe was asked for already.
	engines map[string]engine
	// standIns says that trace-cmd runs with stand-ins for files that it cannot write.
	standIns bool
}

// prepare finds or builds the programs.
func (b *bench) prepare(ctx context.Context) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.perf, err = exec.LookPath("perf"); err != nil {
		return fmt.Errorf("find perf: %w; install it (Debian: apt-get install linux-perf)", err)
	}
	if b.o.perfpipe != "" {
		// Recorders stand in another folder.
		b.perfpipe, err = filepath.Abs(b.o.perfpipe)
		return err
	}
	b.perfpipe = filepath.Join(b.dir, "perfpipe")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.perfpipe, "./cmd/perfpipe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build perfpipe: %w\n%s", err, out)
	}
	return nil
}

// section is a part of the run that can be run alone.
type section struct {
	name, what string
	run        func(*bench, context.Context, *Results) error
}

// sections are all of them, in the order of a run.
var sections = [...]section{
	{"loop", "added cost, CPU time and bytes of every tool, in rounds", (*bench).loop},
	{"rate", "what each engine keeps up with, and the account of what it loses", (*bench).rates},
	{"stop", "from SIGINT to whole tables", (*bench).stop},
	{"memory", "the resident set over a long recording", (*bench).memory},
	{"stages", "Go benchmarks of the stages, and converting with two threads", (*bench).stages},
	{"start", "until all system calls are armed", (*bench).starts},
	{"others", "other tools on the same tracepoint beside perfpipe", (*bench).others},
	{"filters", "what filters cost: on the loop, in process, and until they are loaded", (*bench).filters},
	{"probes", "probes in user space", func(b *bench, ctx context.Context, r *Results) (err error) {
		r.Probes, err = b.probes(ctx)
		return err
	}},
}

// measure runs the sections that are wanted.
func (b *bench) measure(ctx context.Context) (*Results, error) {
	begin := time.Now()
	r := &Results{Machine: b.machine(ctx), Calls: b.o.calls, Ring: b.o.ring}
	for _, s := range sections {
		if !b.o.wants(s.name) {
			continue
		}
		at := time.Now()
		if err := s.run(b, ctx, r); err != nil {
			return nil, fmt.Errorf("measure section %s: %w", s.name, err)
		}
		fmt.Fprintf(b.log, "section %s took %.0f s\n", s.name, time.Since(at).Seconds())
	}
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}

// say logs a line about what was measured, or nothing but why it was not.
func (b *bench) say(refused, format string, args ...any) {
	if refused != "" {
		format, args = "%s", []any{refused}
	}
	fmt.Fprintf(b.log, format+"\n", args...)
}

// machine says what was measured and on what.
func (b *bench) machine(ctx context.Context) Machine {
	m := Machine{Date: time.Now().UTC().Format(time.DateOnly), CPU: cpuModel()}
	var un unix.Utsname
	if unix.Uname(&un) == nil {
		m.Kernel = unix.ByteSliceToString(un.Release[:])
	}
	m.CPUs = onlineCPUs()
	m.MemoryMB = memoryMB()
	m.Perf = firstLine(ctx, b.perf, "--version")
	m.TraceCmd = firstLine(ctx, "trace-cmd", "--version")
	m.Bpftrace = firstLine(ctx, "bpftrace", "--version")
	m.Perfpipe = firstLine(ctx, b.perfpipe, "version")
	m.Go = firstLine(ctx, "go", "version")
	m.Commit = firstLine(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12")
	load, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return m
}

func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	// trace-cmd ends with 1 when it has said its version, and begins with an empty line.
	if err != nil && len(bytes.TrimSpace(out)) == 0 {
		return name + " is not here"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func onlineCPUs() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return 0
	}
	return set.Count()
}

func memoryMB() int {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0
	}
	return int(si.Totalram * uint64(si.Unit) >> 20)
}

// size returns the bytes of a file, or of all files below a folder.
func size(path string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
