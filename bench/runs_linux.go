//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stop measures the end of recordings of many rows.
func (b *bench) stop(ctx context.Context, r *Results) error {
	s := &Stops{Engine: "auto"}
	for range b.o.repeats {
		one, err := b.stopOnce(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.log, "stop: %.0f ms after SIGINT with %d rows, %d lost\n", one.Seconds*1e3, one.Rows, one.Lost)
		s.Runs = append(s.Runs, one)
	}
	r.Stops = s
	return nil
}

func (b *bench) stopOnce(ctx context.Context) (s Stop, err error) {
	out := filepath.Join(b.dir, "stop")
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	var at time.Time
	args := append(append([]string{b.perfpipe}, b.recordArgs()...), "-o", out)
	_, stderr, err := b.recording(ctx, args, func(pid int) error {
		if _, err := b.load(ctx, "-calls", strconv.Itoa(b.o.rows)); err != nil {
			return err
		}
		at = time.Now()
		return unix.Kill(pid, unix.SIGINT)
	})
	s.Seconds = time.Since(at).Seconds()
	rows, lost, e := parsePerfpipe(stderr)
	// The status is that of the command, which the signal has ended.
	if e != nil {
		return s, errors.Join(err, e)
	}
	s.Rows, s.Lost = rows, lost
	s.Whole, err = whole(filepath.Join(out, "manifest.json"))
	return s, err
}

// whole is what a manifest says of its dataset.
func whole(path string) (bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var m struct {
		Complete bool `json:"complete"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	return m.Complete, nil
}

// memory records the busy processor for a long while and looks at the recorder.
func (b *bench) memory(ctx context.Context, r *Results) (err error) {
	m := &Memory{Engine: "auto"}
	out := filepath.Join(b.dir, "memory")
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	args := []string{b.perfpipe, "record", "-e", event, "-a", "-C", strconv.Itoa(b.o.loadCPU), "-o", out}
	u, stderr, err := b.recording(ctx, args, func(pid int) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan error, 1)
		last := b.o.lengths[len(b.o.lengths)-1]
		begin := time.Now()
		go func() {
			_, err := b.load(ctx, "-duration", (last + 300*time.Millisecond).String())
			done <- err
		}()
		for _, d := range b.o.lengths {
			if err := sleep(ctx, time.Until(begin.Add(d))); err != nil {
				return errors.Join(err, <-done)
			}
			p, err := resident(pid)
			if err != nil {
				cancel()
				return errors.Join(err, <-done)
			}
			p.Seconds = d.Seconds()
			fmt.Fprintf(b.log, "memory after %.0f s: %.0f MB, largest %.0f\n", p.Seconds, float64(p.Resident)/1e6, float64(p.Largest)/1e6)
			m.Points = append(m.Points, p)
		}
		return <-done
	})
	if err != nil {
		return err
	}
	m.Peak = u.Peak
	if m.Rows, m.Lost, err = parsePerfpipe(stderr); err != nil {
		return err
	}
	r.Memory = m
	return nil
}

// resident reads a process's resident set.
func resident(pid int) (MemoryPoint, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return MemoryPoint{}, err
	}
	return parseStatus(string(text))
}

// allCalls is the selection of more than 700 events.
const allCalls = "syscalls:*"

// starts measures how long each engine takes to arm all system calls.
func (b *bench) starts(ctx context.Context, r *Results) error {
	n, err := filepath.Glob(filepath.Join(tracing, "events", "syscalls", "*", "enable"))
	if err != nil {
		return err
	}
	for _, e := range engines {
		s := Start{Engine: e, Event: allCalls, Events: len(n)}
		for range b.o.repeats {
			a, err := b.armed(ctx, "--engine", e, "-e", allCalls, "-a")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.Refused = "refused: " + refusal(err)
				break
			}
			s.Seconds = append(s.Seconds, a.seconds)
			s.PerfDescriptors, s.Descriptors = a.perfEvents, a.descriptors
		}
		b.say(s.Refused, "start by %s: %s ms, %d descriptors, %d of perf events", e, spreadOf(s.Seconds).milliseconds(), s.Descriptors, s.PerfDescriptors)
		r.Starts = append(r.Starts, s)
	}
	return nil
}

// armament is a recording that has begun.
type armament struct {
	// seconds are those until its command had begun.
	seconds float64
	// perfEvents and all descriptors that perfpipe held then.
	perfEvents, descriptors int
}

// armed measures the time until the command that is recorded has begun.
func (b *bench) armed(ctx context.Context, args ...string) (a armament, err error) {
	out := filepath.Join(b.dir, "armed")
	begin := time.Now()
	_, _, err = b.recording(ctx, append([]string{b.perfpipe, "record", "-o", out}, args...), func(pid int) (err error) {
		a.seconds = time.Since(begin).Seconds()
		a.perfEvents, a.descriptors, err = descriptors(pid)
		return err
	})
	return a, errors.Join(err, os.RemoveAll(out))
}

// descriptors counts a process's, and the perf events among them.
func descriptors(pid int) (perfEvents, all int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range list {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == "anon_inode:[perf_event]" {
			perfEvents++
		}
	}
	return perfEvents, len(list), nil
}

// others has perf record and bpftrace count calls alone and beside perfpipe.
func (b *bench) others(ctx context.Context, r *Results) error {
	counters := []struct {
		name  string
		count func(context.Context) (int, error)
	}{{"perf record", b.perfCount}, {"bpftrace", b.bpftraceCount}}
	for _, c := range counters {
		alone, err := c.count(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range engines {
			o := Other{Tool: c.name, Engine: e, Generated: b.o.few, Alone: alone}
			switch refused := b.engine(ctx, e).refused; {
			case err != nil:
				o.Refused = "failed alone: " + refusal(err)
			case refused != "":
				o.Refused = refused
			default:
				if err := b.beside(ctx, &o, c.count); err != nil {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					o.Refused = failed + refusal(err)
				}
			}
			b.say(o.Refused, "%s counts %d of %d alone, %d beside perfpipe --engine %s", c.name, o.Alone, o.Generated, o.Beside, e)
			r.Others = append(r.Others, o)
		}
	}
	return nil
}

// beside counts while perfpipe records the same event.
func (b *bench) beside(ctx context.Context, o *Other, count func(context.Context) (int, error)) error {
	out := filepath.Join(b.dir, "beside")
	args := append(append([]string{b.perfpipe}, b.recordArgs()...), "--engine", o.Engine, "-o", out)
	_, stderr, err := b.recording(ctx, args, func(int) (err error) {
		o.Beside, err = count(ctx)
		return err
	})
	if err == nil {
		o.Rows, o.Lost, err = parsePerfpipe(stderr)
	}
	return errors.Join(err, os.RemoveAll(out))
}

// unusedCall is the number of a system call that is of none, and that nobody else makes:
// its events are told from those of everything else on the machine.
func unusedCall() int { return 1_000_000 + os.Getpid() }

// fewCalls makes so many of them that they fit into a ring.
func (b *bench) fewCalls(ctx context.Context) error {
	_, err := b.load(ctx, "-calls", strconv.Itoa(b.o.few), "-call", strconv.Itoa(unusedCall()))
	return err
}

func (b *bench) perfCount(ctx context.Context) (int, error) {
	data := filepath.Join(b.dir, "count.data")
	args := append([]string{b.perf}, b.recordArgs()...)
	// perf's --filter belongs to the -e before it: the rest follows.
	args = append(args, "--filter", fmt.Sprintf("id == %d", unusedCall()), "-o", data)
	_, stderr, err := b.recording(ctx, args, func(int) error { return b.fewCalls(ctx) })
	if err = errors.Join(err, os.RemoveAll(data)); err != nil {
		return 0, err
	}
	return parsePerf(stderr)
}

func (b *bench) bpftraceCount(ctx context.Context) (int, error) {
	var out strings.Builder
	program := fmt.Sprintf("tracepoint:%s /args->id == %d && cpu == %d/ { @ = count(); }", event, unusedCall(), b.o.loadCPU)
	_, err := b.bpftrace(ctx, program, &out, func() error { return b.fewCalls(ctx) })
	if err != nil {
		return 0, err
	}
	return parseCount(out.String())
}
