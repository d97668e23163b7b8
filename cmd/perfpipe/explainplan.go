package main

import (
	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev"
)

// explainPlan compiles a filter for events and places it as a recording would. refused
// is why it cannot decide in the tier that was asked for.
func explainPlan(filter string, shapes []*perfpipe.Schema, o *explainOptions, onFault filters.Verdict) (plan []*planned, refused, err error) {
	opts := withFunctions(filters.Options{KernelCompat: o.compat, OnFault: onFault}, filter)
	var sets []*filters.Set
	if filters.ShapeOf(filter) == filters.ShapeSet {
		set, err := filters.ParseSet(filter)
		if err != nil {
			return nil, nil, err
		}
		sets = append(sets, set)
	}
	for _, s := range shapes {
		prog, err := filters.Compile(filter, s, opts)
		if err != nil {
			return nil, nil, err
		}
		push := prog.Push(kernelFeatures())
		plan = append(plan, &planned{
			schema: s, progs: []*filters.Program{prog}, sets: sets, source: filter,
			push: push.Text, exact: push.Exact, rest: []*filters.Program{push.Rest}, pushes: []filters.Pushed{push},
		})
	}
	c := &configs.Capture{Tier: o.tier, KernelCompat: o.compat}
	if refused = placeFilters(plan, c); refused != nil {
		return plan, refused, nil
	}
	for _, p := range plan {
		if p.code == nil || p.schema.ID == 0 || o.shape.probes[p.schema] != nil {
			continue
		}
		if ch := (&perfev.Config{Events: []perfev.Event{explainedEvent(p, o)}, Overwrite: o.overwrite}).Choose()[0]; ch.Engine != perfev.EngineBPF {
			p.withoutCode(noEngine(ch))
		}
	}
	together(plan)
	return plan, allCan(plan, o.tier), nil
}

// explainedEvent is the event as a recording would open it.
func explainedEvent(p *planned, o *explainOptions) perfev.Event {
	prog := p.progs[0]
	ev := perfev.Event{Schema: p.schema, User: o.shape.probes[p.schema] != nil, Filter: p.push, Code: p.code, ReadsContext: readsContext(prog)}
	switch o.tier {
	case tierKernel:
		ev.KernelFilter = p.push != ""
	case tierProcess:
	default:
		ev.KernelFilter = prog.NeedsKernel() || o.compat
	}
	return ev
}
