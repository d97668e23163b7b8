//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/lifecycle"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// addLives adds the events that the table of lives is made of to cfg, behind those of
// the plan, where the plan has that table; else it returns nil.
func addLives(st streams, command string, t *tracefs.FS, plan []*planned, cfg *perfev.Config, c *configs.Capture) (*lifecycle.Options, error) {
	if !slices.ContainsFunc(plan, func(p *planned) bool { return p.life }) {
		return nil, nil
	}
	events, missing, err := lifecycle.Events(t.SchemaOf)
	if err != nil {
		return nil, err
	}
	for _, m := range missing {
		fmt.Fprintf(st.err, "perfpipe %s: this kernel has no %s: %s\n", command, m.Event, m.Means)
	}
	o := &lifecycle.Options{Events: events}
	for i := range cfg.Events {
		if name := cfg.Events[i].Schema.Event(); slices.Contains(events, name) {
			// The rows need every record: what the user filters is filtered here.
			o.Keep = append(o.Keep, name)
			cfg.Events[i].Filter = ""
			for _, p := range plan {
				if p.schema == cfg.Events[i].Schema {
					if p.filtered() && (c.Tier == tierKernel || c.Tier == tierBPF) {
						return nil, usageError(fmt.Errorf("event %s: --tier %s: lifecycle is made of all of its records, so that its filter can only decide in process", name, c.Tier))
					}
					p.withoutCode("lifecycle is made of all of the event's records")
					if err := p.unpush(); err != nil {
						return nil, usageError(err)
					}
				}
			}
		}
	}
	for _, name := range events {
		if slices.Contains(o.Keep, name) {
			continue
		}
		s, err := t.SchemaOf(name)
		if err != nil {
			return nil, err
		}
		cfg.Events = append(cfg.Events, perfev.Event{Schema: s})
	}
	return o, nil
}
