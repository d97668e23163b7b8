package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev"
)

// needsKernel reports whether nobody but the kernel may decide the event's filter: as
// it was asked to, or because the filter shall mean what the kernel makes of it or reads
// what only the kernel can.
func (p *planned) needsKernel(c *configs.Capture) bool {
	switch c.Tier {
	case tierKernel:
		return p.push != ""
	case tierProcess:
		return false
	}
	return p.unpushed() != nil || c.KernelCompat && p.source != ""
}

// openSource opens the events, again without the code of programs that turn out to be
// unable to decide all that shares its memory. Where the kernel does not take a filter
// that was made for it, which no kernel known does, the filters run in process: a failed
// filter leaves an event unfiltered, never unrecorded.
func openSource(st streams, cfg perfev.Config, plan []*planned, tier string) (*perfev.Source, error) {
	events := cfg.Events
	for {
		cfg.Events = slices.Clone(events)
		giveCode(&cfg, plan)
		if err := allCan(plan, tier); err != nil {
			return nil, err
		}
		src, err := perfev.Open(cfg)
		var fe *perfev.FilterError
		switch {
		case errors.As(err, &fe) && tier != tierKernel && slices.ContainsFunc(events, func(e perfev.Event) bool { return e.Filter != "" }):
			fmt.Fprintf(st.err, "perfpipe: %v; filters run in process instead\n", fe)
			for i, p := range plan {
				// What only code can decide is seen by allCan where it has none.
				if err := p.unpush(); err != nil {
					if p.code == nil {
						return nil, err
					}
					p.needsCode = err
				}
				if !p.life {
					events[i].Filter = ""
				}
			}
			continue
		case err != nil:
			return nil, err
		}
		again := settleCode(src, plan)
		if err := allCan(plan, tier); err != nil {
			return nil, errors.Join(err, src.Close())
		}
		if !again {
			return src, nil
		}
		if err := src.Close(); err != nil {
			return nil, fmt.Errorf("open the events again, as not all of a program can decide in the kernel: %w", err)
		}
	}
}

// giveCode gives events the code of their filters, but where it is known that no
// program will record them.
func giveCode(cfg *perfev.Config, plan []*planned) {
	put := func() {
		for i, p := range plan {
			if !p.life {
				cfg.Events[i].Code = p.code
			}
		}
	}
	put()
	for i, ch := range cfg.Choose() {
		if i < len(plan) && plan[i].code != nil && ch.Engine != perfev.EngineBPF {
			plan[i].withoutCode(noEngine(ch))
		}
	}
	together(plan)
	put()
}

// settleCode notes which events programs decide, and reports whether they must be opened
// again, as another one that shares what they keep is not among them.
func settleCode(src *perfev.Source, plan []*planned) (again bool) {
	for i, p := range plan {
		if p.code == nil {
			continue
		}
		if p.decided = src.Decides(i); p.decided {
			continue
		}
		if err := src.Undecided(i); err != nil {
			p.withoutCode(briefly(err))
			continue
		}
		p.withoutCode(noEngine(src.Choice(i)))
	}
	return together(plan)
}
