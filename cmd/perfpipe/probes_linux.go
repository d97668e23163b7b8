//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// installProbes defines the plan's probes in the kernel and gives the plan what it
// made of them. It returns nil where the plan has none.
func installProbes(t *tracefs.FS, plan []*planned) (*uprobe.Installed, error) {
	var probes []*uprobe.Probe
	at := map[*uprobe.Probe]bool{}
	for _, p := range plan {
		if p.probe != nil && !at[p.probe] {
			at[p.probe] = true
			probes = append(probes, p.probe)
		}
	}
	if len(probes) == 0 {
		return nil, nil
	}
	in, err := uprobe.Install(t, probes)
	if err != nil {
		return nil, probeError(err)
	}
	for _, ev := range in.Events {
		for _, p := range plan {
			if p.probe == ev.Probe && p.variant == ev.Variant {
				p.schema, p.entry, p.program = ev.Schema, ev.Entry, ev.Program
			}
		}
	}
	return in, nil
}

// probeError says what a failed definition means for the person at the terminal.
func probeError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; this kernel may have been built without CONFIG_UPROBE_EVENTS", err)
	}
	return err
}

// callChain is what the kernel is asked for.
func callChain(s configs.Stacks) perfev.CallChain {
	c := perfev.CallChain{Kernel: s.Kernel, User: s.User}
	switch s.Mode {
	case "":
		return perfev.CallChain{}
	case "dwarf":
		c.StackBytes = s.Size
		if c.StackBytes == 0 {
			c.StackBytes = defaultStackCopy
		}
		if !c.User {
			c.StackBytes = 0
		}
	}
	return c
}

// defaultStackCopy is perf record's for --call-graph dwarf.
const defaultStackCopy = 8192

// warnProbes says what the user should know of the probes before relying on them.
func warnProbes(st streams, command string, plan []*planned, pids []int) {
	told := map[*uprobe.Probe]bool{}
	for _, p := range plan {
		if p.probe == nil || told[p.probe] {
			continue
		}
		told[p.probe] = true
		for _, w := range p.probe.Warnings {
			fmt.Fprintf(st.err, "perfpipe %s: %s: %s\n", command, p.probe.Event(), w)
		}
		for _, pid := range pids {
			if w := uprobe.Debugged(pid, p.probe); w != "" {
				fmt.Fprintf(st.err, "perfpipe %s: %s: %s\n", command, p.probe.Event(), w)
			}
		}
	}
}
