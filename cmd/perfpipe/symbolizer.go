package main

import (
	"os/exec"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/uprobe/symbolize"
)

// namer lets a symbolizer name frames for the collector.
type namer struct{ *symbolize.Symbolizer }

var (
	_ collector.Symbolizer = namer{}
	_ collector.Loader     = namer{}
)

// holdBinaries returns a namer that has the binaries of the probes and of the command
// open already: those may be deleted, and their processes gone, before a first frame
// of them is read.
func holdBinaries(c *configs.Capture, plan []*planned) *namer {
	n := &namer{symbolize.New(symbolize.Options{Lines: true})}
	for _, p := range plan {
		if p.probe != nil {
			n.Hold(p.probe.Path)
		}
	}
	if len(c.Target.Command) > 0 {
		if path, err := exec.LookPath(c.Target.Command[0]); err == nil {
			n.Hold(path)
		}
	}
	return n
}

// Symbolize implements [collector.Symbolizer].
func (n namer) Symbolize(f perfpipe.Frame) (symbol string, offset uint64, file string, line int, ok bool) {
	s, ok := n.Symbolizer.Symbolize(f)
	return s.Name, s.Offset, s.File, s.Line, ok
}
