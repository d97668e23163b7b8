//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// trial is one perf_event_open that doctor tries.
type trial struct {
	name string
	// does says what the kernel can do where it succeeds.
	does string
	attr unix.PerfEventAttr
	// pid and cpu are those of perf_event_open(2).
	pid, cpu int
	// lacking is the state where the kernel refuses for another reason than
	// permission, without what says what that means, and fix what to do.
	lacking      state
	without, fix string
}

// trials opens events as record does, closes them at once, and says what came of it.
func trials() []finding {
	cpu := 0
	if cpus, err := perfev.OnlineCPUs(); err == nil && len(cpus) > 0 {
		cpu = cpus[0]
	}
	dummy := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Size: unix.PERF_ATTR_SIZE_VER5, Config: unix.PERF_COUNT_SW_DUMMY,
		Bits: unix.PerfBitDisabled | unix.PerfBitUseClockID, Clockid: unix.CLOCK_MONOTONIC,
	}
	// What the process does itself everybody may count, unless the kernel refuses all.
	own := dummy
	own.Bits |= unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
	lost := own
	lost.Read_format = unix.PERF_FORMAT_LOST
	list := []trial{
		{name: "perf events", does: "perf_event_open works, on CLOCK_MONOTONIC", attr: own, pid: 0, cpu: -1, lacking: stateMissing,
			without: "perf_event_open fails", fix: "boot a kernel of 4.1 or newer with CONFIG_PERF_EVENTS"},
		{name: "system-wide", does: fmt.Sprintf("every task of cpu %d can be recorded", cpu), attr: dummy, pid: -1, cpu: cpu, lacking: stateMissing,
			without: "an event on a whole processor fails", fix: "boot a kernel with CONFIG_PERF_EVENTS"},
		{name: "loss by event", does: "PERF_FORMAT_LOST: the kernel counts what each event lost", attr: lost, pid: 0, cpu: -1, lacking: stateNote,
			without: "no PERF_FORMAT_LOST: what is lost last, or with no record after it, stays unknown", fix: "Linux 6.0 or newer"},
	}
	var found []finding
	for _, t := range list {
		found = append(found, t.try())
	}
	return append(found, tryTracepoint(cpu), findLeftBehind())
}

// findLeftBehind looks for probes whose perfpipe is gone.
func findLeftBehind() finding {
	here, err := tracefs.Open(tracefs.Options{NoMount: true})
	if err != nil {
		return leftBehind(nil, err)
	}
	groups, err := here.DeadGroups()
	if cerr := here.Close(); err == nil {
		err = cerr
	}
	return leftBehind(groups, err)
}

// try opens the event and closes it.
func (t *trial) try() finding {
	fd, err := unix.PerfEventOpen(&t.attr, t.pid, t.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err == nil {
		err = unix.Close(fd)
	}
	switch {
	case err == nil:
		return finding{Name: t.name, State: stateOK, Value: t.does}
	case errors.Is(err, fs.ErrPermission):
		return finding{Name: t.name, State: stateDenied, Value: fmt.Sprintf("perf_event_open(pid %d, cpu %d): %v", t.pid, t.cpu, err), Fix: grantFix}
	}
	return finding{Name: t.name, State: t.lacking, Value: fmt.Sprintf("%s: %v", t.without, err), Fix: t.fix}
}

// tryTracepoint opens the tracepoint that every kernel with tracing has.
func tryTracepoint(cpu int) finding {
	const name = "tracepoints"
	here, err := tracefs.Open(tracefs.Options{NoMount: true})
	if err != nil {
		return finding{Name: name, State: stateNote, Value: fmt.Sprintf("not tried: %v", err)}
	}
	s, err := here.Schema("sched", "sched_switch")
	if cerr := here.Close(); err == nil {
		err = cerr
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return finding{Name: name, State: stateDenied, Value: err.Error(), Fix: grantFix}
	case err != nil:
		return finding{Name: name, State: stateMissing, Value: err.Error(), Fix: "boot a kernel with CONFIG_EVENT_TRACING"}
	}
	t := trial{
		name: name, does: "sched:sched_switch opens with its raw data", pid: -1, cpu: cpu, lacking: stateMissing,
		without: "sched:sched_switch does not open", fix: "boot a kernel with CONFIG_EVENT_TRACING",
		attr: unix.PerfEventAttr{
			Type: unix.PERF_TYPE_TRACEPOINT, Size: unix.PERF_ATTR_SIZE_VER5, Config: uint64(s.ID),
			Sample: 1, Sample_type: unix.PERF_SAMPLE_RAW | unix.PERF_SAMPLE_TIME | unix.PERF_SAMPLE_TID,
			Bits: unix.PerfBitDisabled | unix.PerfBitUseClockID, Clockid: unix.CLOCK_MONOTONIC,
		},
	}
	return t.try()
}
