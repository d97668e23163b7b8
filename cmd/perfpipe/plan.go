package main

import (
	"errors"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
)

// planned is one event of a capture: its layout, its filters, and what of them the kernel does.
type planned struct {
	schema *perfpipe.Schema
	// progs are the filters of every selection that names the event; a record is
	// wanted where any lets it through. It is empty where one has no filter.
	progs []collector.Filter
	// source is the filters' text, for metadata.
	source string
	// push is the text for the kernel, "" is none; exact where progs need not run after it.
	push  string
	exact bool
	// keepEmpty: the event was named, not matched by a glob.
	keepEmpty bool
	all       bool // some selection has no filter
}

// schemas looks events up: tracefs does, and a recorded file.
type schemas interface {
	Select(patterns, exclude []string) ([]string, error)
	SchemaOf(event string) (*perfpipe.Schema, error)
}

// makePlan resolves the selections of c and compiles its filters.
func makePlan(c *configs.Capture, from schemas) ([]*planned, error) {
	var list []*planned
	byName := make(map[string]*planned)
	for _, sel := range c.Events {
		names, err := from.Select(sel.Select, c.Exclude)
		if err != nil {
			return nil, usageError(err)
		}
		for _, name := range names {
			p := byName[name]
			if p == nil {
				s, err := from.SchemaOf(name)
				if err != nil {
					return nil, err
				}
				p = &planned{schema: s}
				byName[name] = p
				list = append(list, p)
			}
			for _, pat := range sel.Select {
				if pat == name || strings.TrimPrefix(pat, "tracepoint:") == name {
					p.keepEmpty = true
				}
			}
			if sel.Filter == "" {
				p.all = true
				continue
			}
			return nil, usageError(errors.New("filters come with the next change"))
		}
	}
	if len(list) == 0 {
		return nil, usageError(errors.New("every event is taken away again"))
	}
	return list, nil
}

// inProcess are the filters that run on records.
func (p *planned) inProcess() []collector.Filter { return p.progs }
