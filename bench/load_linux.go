//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loadCommand is the first argument that makes this program the load.
const loadCommand = "load"

// chunk is how many calls are timed together, some milliseconds. The clock is that of the
// thread's own time on the processor, which what the kernel does for a tracer is part of, and
// what other tasks take is not; an interrupt makes its chunk stand out from the others.
const chunk = 10_000

// runLoad calls getppid in a loop on one processor, so many times or for so long,
// and prints a Load as JSON. A second processor may do the same beside it; its calls are
// counted and not timed.
func runLoad(args []string, out io.Writer) error {
	fl := flag.NewFlagSet(loadCommand, flag.ContinueOnError)
	cpu := fl.Int("cpu", 1, "processor")
	also := fl.Int("also", -1, "another processor, whose loop makes as many calls")
	number := fl.Int("call", unix.SYS_GETPPID, "number of the system call; one that is of none fails and is an event all the same")
	every := fl.Int("every", 0, "one of so many calls has the number -rare instead; a divisor of the calls that are timed together")
	rare := fl.Int("rare", 0, "that number")
	calls := fl.Int("calls", 0, "number of calls of each, in whole chunks")
	length := fl.Duration("duration", 0, "go on until then instead")
	if err := fl.Parse(args); err != nil {
		return err
	}
	if *every < 0 || *every > 0 && chunk%*every != 0 {
		return fmt.Errorf("one call in %d of another number: %d calls are timed together", *every, chunk)
	}
	if *every == 0 {
		*every, *rare = chunk, *number
	}
	mix := mixture{number: *number, rare: *rare, every: *every}
	debug.SetGCPercent(-1)
	timed, other := make(chan callsOn, 1), make(chan callsOn, 1)
	go func() { timed <- callLoop(*cpu, mix, *calls, *length) }()
	if *also >= 0 {
		go func() { other <- callLoop(*also, mix, *calls, *length) }()
	} else {
		other <- callsOn{}
	}
	this, that := <-timed, <-other
	if err := errors.Join(this.err, that.err); err != nil {
		return err
	}
	this.load.Calls += that.load.Calls
	return json.NewEncoder(out).Encode(this.load)
}

// callsOn is what one processor has done.
type callsOn struct {
	load Load
	err  error
}

// mixture are the calls of the loop: the first of every so many has the number rare.
type mixture struct{ number, rare, every int }

// callLoop makes the calls. It belongs into a goroutine of its own, with which the thread
// that it pins ends.
func callLoop(cpu int, mix mixture, calls int, length time.Duration) callsOn {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return callsOn{err: fmt.Errorf("pin to processor %d: %w", cpu, err)}
	}
	times := make([]float64, 0, 1<<16)
	l := Load{}
	begin := time.Now()
	at, err := threadTime()
	for err == nil {
		if length > 0 && time.Since(begin) >= length || length == 0 && l.Calls >= calls {
			break
		}
		for range chunk / mix.every {
			_, _, _ = unix.RawSyscall(uintptr(mix.rare), 0, 0, 0)
			for range mix.every - 1 {
				_, _, _ = unix.RawSyscall(uintptr(mix.number), 0, 0, 0)
			}
		}
		var now int64
		now, err = threadTime()
		l.Calls += chunk
		if len(times) < cap(times) {
			times = append(times, float64(now-at)/chunk)
		}
		at = now
	}
	if l.Calls > 0 {
		l.MeanNS = float64(time.Since(begin)) / float64(l.Calls)
		slices.Sort(times)
		l.NS = times[len(times)/2]
	}
	return callsOn{l, err}
}

// threadTime is the time that this thread has had on a processor, in nanoseconds.
func threadTime() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read the thread's time: %w", err)
	}
	return t.Nano(), nil
}
