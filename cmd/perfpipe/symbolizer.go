package main

import (
	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/uprobe/symbolize"
)

// namer lets a symbolizer name frames for the collector.
type namer struct{ *symbolize.Symbolizer }

var (
	_ collector.Symbolizer = namer{}
	_ collector.Loader     = namer{}
)

func newSymbolizer() namer { return namer{symbolize.New(symbolize.Options{Lines: true})} }

// Symbolize implements [collector.Symbolizer].
func (n namer) Symbolize(f perfpipe.Frame) (symbol string, offset uint64, file string, line int, ok bool) {
	s, ok := n.Symbolizer.Symbolize(f)
	return s.Name, s.Offset, s.File, s.Line, ok
}
