package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// prober makes probes of what selections name. Its files stay open until close.
type prober struct {
	opt uprobe.Options
	// main is the binary of a probe that names none: the command's.
	main     string
	resolver *uprobe.Resolver
	// planned are the probes so far, by their text and binary.
	planned map[string]*uprobe.Probe
	names   map[string]int
}

// newProber returns a prober for the capture's target. common are the fields that
// every event begins with, nil where the kernel cannot be asked.
func newProber(c *configs.Capture, common []perfpipe.Field) (*prober, error) {
	mode, err := uprobe.ParseRetMode(c.RetMode)
	if err != nil {
		return nil, usageError(fmt.Errorf("--ret-mode %w", err))
	}
	p := &prober{
		opt:     uprobe.Options{RetMode: mode, UnsafeUretprobe: c.UnsafeUretprobe, Common: common},
		planned: map[string]*uprobe.Probe{}, names: map[string]int{},
	}
	if len(c.Target.PIDs) > 0 {
		p.opt.PID = c.Target.PIDs[0]
	} else if len(c.Target.TIDs) > 0 {
		p.opt.PID = c.Target.TIDs[0]
	}
	if len(c.Target.Command) > 0 {
		// Where there is none of that name, starting it says so.
		p.main, _ = exec.LookPath(c.Target.Command[0])
	}
	p.resolver = uprobe.NewResolver(p.opt)
	return p, nil
}

func (p *prober) close() error { return p.resolver.Close() }

// isProbe reports whether a word of a selection is a probe: by its beginning, or
// because the selection is of a binary.
func isProbe(sel configs.Event, word string) bool {
	return sel.Binary != "" || uprobe.IsSpec(word)
}

// plan resolves one word of a selection.
func (p *prober) plan(sel configs.Event, word string) (*uprobe.Probe, error) {
	binary := sel.Binary
	if binary == "" {
		binary = p.main
	}
	key := binary + "\x00" + word
	if have := p.planned[key]; have != nil {
		return have, nil
	}
	s, err := uprobe.ParseIn(binary, word)
	if err != nil {
		return nil, usageError(err)
	}
	pr, err := p.resolver.Plan(s)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, &exitError{err: err, code: exitPermission}
		}
		return nil, usageError(err)
	}
	// Two probes on one function with other arguments are two events.
	name := pr.Event()
	if p.names[name]++; p.names[name] > 1 {
		pr.Rename(fmt.Sprintf("%s#%d", pr.Name, p.names[name]))
	}
	p.planned[key] = pr
	return pr, nil
}

// commonFields reads what every event of this kernel begins with.
func commonFields(t *tracefs.FS) []perfpipe.Field {
	s, err := t.Schema("sched", "sched_switch")
	if err != nil {
		return nil
	}
	return s.Common
}

// describeProbe lists where a probe fires.
func describeProbe(pr *uprobe.Probe) string {
	var b strings.Builder
	sites := 0
	for i := range pr.Variants {
		sites += len(pr.Variants[i].Sites)
	}
	fmt.Fprintf(&b, "  file:   %s", pr.Binary)
	if pr.BuildID != "" {
		fmt.Fprintf(&b, " (build id %s)", pr.BuildID)
	}
	fmt.Fprintf(&b, "\n  places: %d", sites)
	if pr.Mode != uprobe.RetAuto {
		fmt.Fprintf(&b, ", returns by %s", pr.Mode)
	}
	const show = 8
	n := 0
	for i := range pr.Variants {
		for _, s := range pr.Variants[i].Sites {
			if n++; n > show {
				continue
			}
			fmt.Fprintf(&b, "\n    0x%x", s.Offset)
			if s.Func != "" {
				fmt.Fprintf(&b, " %s", s.Func)
			}
			if s.RefCtr != 0 {
				fmt.Fprintf(&b, " (turned on by the counter at 0x%x)", s.RefCtr)
			}
		}
	}
	if n > show {
		fmt.Fprintf(&b, "\n    and %d more", n-show)
	}
	return b.String() + "\n"
}
