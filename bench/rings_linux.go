//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tracing is where tracefs is mounted.
const tracing = "/sys/kernel/tracing"

// ringBytes is the size of the bare rings, -m of the recorders.
const ringBytes = 16 << 20

// instance is a tracefs instance of this program.
type instance struct{ dir string }

// instancePrefix is of our instances' names; the number of the process follows.
const instancePrefix = "perfpipe_bench_"

// newInstance makes one with a ring for one processor.
func newInstance(what string, cpu int) (in *instance, err error) {
	in = &instance{dir: filepath.Join(tracing, "instances", fmt.Sprintf("%s%d_%s", instancePrefix, os.Getpid(), what))}
	if err := os.Mkdir(in.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a tracefs instance: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	for _, f := range [...][2]string{
		{"trace_clock", "mono"},
		{"options/overwrite", "1"},
		{"tracing_cpumask", strconv.FormatUint(1<<cpu, 16)},
		{fmt.Sprintf("per_cpu/cpu%d/buffer_size_kb", cpu), strconv.Itoa(ringBytes >> 10)},
	} {
		if err := in.set(f[0], f[1]); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *instance) name() string { return filepath.Base(in.dir) }

// set writes a file of the instance, which is not made where there is none.
func (in *instance) set(file, value string) error {
	f, err := os.OpenFile(filepath.Join(in.dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set %s of a tracefs instance: %w", file, err)
	}
	_, err = f.WriteString(value)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("set %s of a tracefs instance to %s: %w", file, value, err)
	}
	return nil
}

// close removes the instance, which trace-cmd may have done already.
func (in *instance) close() error {
	var err error
	// A recorder that is going may hold a file of it for a moment.
	for range 50 {
		err = unix.Rmdir(in.dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove tracefs instance %s: %w", in.name(), err)
}

// sweep removes the instances of runs that were killed.
func sweep() {
	list, err := os.ReadDir(filepath.Join(tracing, "instances"))
	if err != nil {
		return
	}
	for _, e := range list {
		rest, ok := strings.CutPrefix(e.Name(), instancePrefix)
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(rest, "_")
		pid, err := strconv.Atoi(text)
		if err != nil || unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		// What cannot be removed now is tried again by the next run.
		_ = unix.Rmdir(filepath.Join(tracing, "instances", e.Name()))
	}
}

// bareFtrace has the kernel write the loop's events into a ring that nobody reads.
func (b *bench) bareFtrace(ctx context.Context, load ...string) (r Recording, err error) {
	in, err := newInstance("ring", b.o.loadCPU)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	// Not for trace-cmd, which reads pages. Older kernels have sub-buffers of a page alone.
	if err := in.set("buffer_subbuf_size_kb", "64"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	enable := filepath.Join("events", strings.ReplaceAll(event, ":", "/"), "enable")
	if err := in.set(enable, "1"); err != nil {
		return r, err
	}
	if r.Load, err = b.load(ctx, load...); err != nil {
		return r, err
	}
	if err := in.set(enable, "0"); err != nil {
		return r, err
	}
	stats, err := os.ReadFile(filepath.Join(in.dir, fmt.Sprintf("per_cpu/cpu%d/stats", b.o.loadCPU)))
	if err != nil {
		return r, err
	}
	r.Events, err = parseRing(string(stats))
	return r, err
}

// barePerf has the kernel write the loop's events, with their time and data alone, into
// a perf ring that nobody reads: one mapped for reading only is written over.
func (b *bench) barePerf(ctx context.Context, load ...string) (r Recording, err error) {
	id, err := os.ReadFile(filepath.Join(tracing, "events", strings.ReplaceAll(event, ":", "/"), "id"))
	if err != nil {
		return r, err
	}
	config, err := strconv.ParseUint(strings.TrimSpace(string(id)), 10, 64)
	if err != nil {
		return r, fmt.Errorf("read the id of %s: %w", event, err)
	}
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_TRACEPOINT, Config: config, Sample: 1,
		Sample_type: unix.PERF_SAMPLE_RAW | unix.PERF_SAMPLE_TIME,
		Bits:        unix.PerfBitUseClockID, Clockid: unix.CLOCK_MONOTONIC,
	}
	attr.Size = uint32(unix.PERF_ATTR_SIZE_VER8)
	fd, err := unix.PerfEventOpen(&attr, -1, b.o.loadCPU, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return r, fmt.Errorf("open %s on processor %d: %w", event, b.o.loadCPU, err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	ring, err := unix.Mmap(fd, 0, os.Getpagesize()+ringBytes, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return r, fmt.Errorf("map a ring: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(ring)) }()
	if r.Load, err = b.load(ctx, load...); err != nil {
		return r, err
	}
	var count [8]byte
	if _, err := unix.Read(fd, count[:]); err != nil {
		return r, fmt.Errorf("read the number of events: %w", err)
	}
	r.Events = int(binary.NativeEndian.Uint64(count[:]))
	return r, nil
}

// pinned runs f on a thread that is on one processor, and does not give the thread back.
func pinned(cpu int, f func()) {
	go func() {
		// The thread ends with the goroutine, as it stays locked.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		// Where this fails the reader may share the loop's processor, which its figure shows.
		_ = unix.SchedSetaffinity(0, &set)
		f()
	}()
}
