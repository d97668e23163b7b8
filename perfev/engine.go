package perfev

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Engine says what makes the records of events.
type Engine string

const (
	// EngineAuto is, for each event, the cheapest of the others that records exactly
	// what is asked for and accounts for every loss.
	EngineAuto Engine = ""
	// EnginePerf is perf samples.
	EnginePerf Engine = "perf"
	// EngineFtrace is the ring of an instance of tracefs of our own.
	EngineFtrace Engine = "ftrace"
	// EngineBPF is a program of our own for the event, which writes to a BPF ring.
	EngineBPF Engine = "bpf"
)

// ParseEngine reads "auto", "perf", "ftrace" or "bpf"; "" is auto.
func ParseEngine(s string) (Engine, error) {
	switch s {
	case "", "auto":
		return EngineAuto, nil
	case "perf", "ftrace", "bpf":
		return Engine(s), nil
	}
	return "", fmt.Errorf("%q is none of auto, perf, ftrace and bpf", s)
}

// Refusal is why an engine does not record an event.
type Refusal struct {
	Engine Engine
	Err    error
}

// Choice is which engine records an event, and why those do not that would have been
// taken before it. Where the engine was named, it is the only one.
type Choice struct {
	Engine   Engine
	Refusals []Refusal
	// rest are those that follow where the engine fails.
	rest []Engine
}

// Choose says what [Open] would choose for each event of c, as far as that can be
// known without opening anything.
func (c *Config) Choose() []Choice {
	list := make([]Choice, len(c.Events))
	for i := range c.Events {
		ch := &list[i]
		ch.rest = c.order(i)
		ch.next()
		for {
			err := c.unable(ch.Engine, i)
			if err == nil || !ch.refuse(err) {
				break
			}
		}
	}
	return list
}

// next goes on to the next engine.
func (ch *Choice) next() { ch.Engine, ch.rest = ch.rest[0], ch.rest[1:] }

// refuse notes why the engine cannot be, and goes on to the next where there is one.
func (ch *Choice) refuse(err error) bool {
	ch.Refusals = append(ch.Refusals, Refusal{Engine: ch.Engine, Err: err})
	if len(ch.rest) == 0 {
		return false
	}
	ch.next()
	return true
}

// order lists the engines for an event, the best first.
//
// Of tracepoints a program costs the traced task least, then the ring of ftrace, then
// perf. Where the kernel can filter, a record that it rejects costs less than one that
// a program makes, but not less than one that code of the program rejects. A probe of user space cannot be in ftrace's ring and counted by perf
// at once, and ftrace would place its breakpoints in every process: so it comes last.
func (c *Config) order(event int) []Engine {
	ev := &c.Events[event]
	switch {
	case c.Engine != EngineAuto:
		return []Engine{c.Engine}
	case ev.Program != nil || ev.User:
		return []Engine{EngineBPF, EnginePerf}
	case ev.Filter != "" && ev.Code == nil:
		return []Engine{EngineFtrace, EngineBPF, EnginePerf}
	}
	return []Engine{EngineBPF, EngineFtrace, EnginePerf}
}

// unable says why an engine cannot record an event as it is asked for, nil where it
// may be tried.
func (c *Config) unable(e Engine, event int) error {
	switch e {
	case EngineBPF:
		return c.noProgram(event)
	case EngineFtrace:
		return c.noTrace(event)
	}
	return nil
}

// sampled says what only perf's samples have, nil where nothing of it is asked for.
func (c *Config) sampled() error {
	switch {
	case c.CallChain.on():
		return errors.New("call chains are taken by perf")
	case c.CgroupIDs:
		return errors.New("ids of cgroups are taken by perf")
	case c.Period > 1:
		return errors.New("every so many-th event is chosen by perf")
	}
	return nil
}

// noProgram says why a program cannot record an event. One on a probe of user space
// runs at every hit in a process in which the breakpoint is placed: it knows no single
// threads.
func (c *Config) noProgram(event int) error {
	t, ev := c.Target, &c.Events[event]
	switch {
	case c.Overwrite:
		return errors.New("a BPF ring cannot overwrite what was not read")
	case runtime.GOARCH != "amd64":
		return fmt.Errorf("programs are made for x86-64, this is %s", runtime.GOARCH)
	case ev.KernelFilter && ev.Code == nil:
		return errors.New("its filter is the kernel's to decide, and a program has none")
	case len(t.TIDs) > 0 && !t.EnableOnExec:
		return errors.New("single threads are recorded, and a program sees whole processes")
	case t.perTask() && t.NoInherit:
		return errors.New("later threads are left out, and a program sees whole processes")
	}
	if err := c.sampled(); err != nil {
		return err
	}
	if ev.Program == nil {
		return c.noTracepoint(ev)
	}
	if len(t.Cgroups) > 0 {
		return errors.New("a cgroup is recorded, and a program sees whole processes")
	}
	return nil
}

// noTrace says why the ring of ftrace cannot record an event.
func (c *Config) noTrace(event int) error {
	if err := c.sampled(); err != nil {
		return err
	}
	if len(c.Target.Cgroups) > 0 {
		return errors.New("a cgroup is recorded, and ftrace knows none")
	}
	if slices.ContainsFunc(c.Entries, func(e Entry) bool { return e.Of == event }) {
		return errors.New("its returns are counted by perf, which the kernel refuses beside ftrace")
	}
	if !c.Target.perTask() {
		return nil
	}
	ev := &c.Events[event]
	switch system := ev.Schema.System; {
	case strings.HasPrefix(ev.Schema.Event(), "sched:sched_stat_"):
		return errors.New("ftrace leaves it out where another than the thread that it is about makes it")
	case c.Engine == EngineAuto && !c.Target.NoInherit && !ev.User && system != "syscalls" && system != "raw_syscalls":
		// The kernel takes a thread off its list at sched_process_exit, and goes by the
		// list whenever the thread is switched to.
		return errors.New("ftrace leaves out some of what a thread does on its way out")
	}
	return nil
}
