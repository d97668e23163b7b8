package perfev

import (
	"errors"
	"fmt"
	"runtime"
)

// Engine says what makes the records of events.
type Engine string

const (
	// EngineAuto is a program of our own where [Event.Program] describes one and it
	// records exactly what is asked for, else perf.
	EngineAuto Engine = ""
	// EnginePerf is perf samples.
	EnginePerf Engine = "perf"
	// EngineBPF is a program for every event that has an [Event.Program]; where it
	// cannot be, [Open] says why.
	EngineBPF Engine = "bpf"
)

// ParseEngine reads "auto", "perf" or "bpf"; "" is auto.
func ParseEngine(s string) (Engine, error) {
	switch s {
	case "", "auto":
		return EngineAuto, nil
	case "perf", "bpf":
		return Engine(s), nil
	}
	return "", fmt.Errorf("%q is none of auto, perf and bpf", s)
}

// noProgram says why programs cannot record what is asked for, nil where they can. A
// program runs at every hit in a process in which the breakpoint is placed: it knows
// no single threads.
func (c *Config) noProgram() error {
	t := c.Target
	switch {
	case runtime.GOARCH != "amd64":
		return fmt.Errorf("programs are made for x86-64, this is %s", runtime.GOARCH)
	case len(t.TIDs) > 0 && !t.EnableOnExec:
		return errors.New("single threads are recorded, and a program sees whole processes")
	case t.perTask() && t.NoInherit:
		return errors.New("later threads are left out, and a program sees whole processes")
	case len(t.Cgroups) > 0:
		return errors.New("a cgroup is recorded, and a program sees whole processes")
	case c.CallChain.on():
		return errors.New("call chains are taken by perf")
	case c.CgroupIDs:
		return errors.New("ids of cgroups are taken by perf")
	case c.Period > 1:
		return errors.New("every so many-th event is chosen by perf")
	}
	return nil
}
