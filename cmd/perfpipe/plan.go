package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/lifecycle"
	"github.com/perfpipe/perfpipe/uprobe"
)

// planned is one event of a capture: its layout, its filters, and what of them the kernel does.
type planned struct {
	schema *perfpipe.Schema
	// progs are the filters of every selection that names the event; a record is
	// wanted where any lets it through. It is empty where one has no filter.
	progs []*filters.Program
	// source is the filters' text, for metadata.
	source string
	// push is the text for the kernel, "" is none; exact where progs need not run after it.
	push  string
	exact bool
	// keepEmpty: the event was named, not matched by a glob.
	keepEmpty bool
	all       bool // some selection has no filter
	// rest are what is left of each of progs when the kernel had its part, pushes what
	// of each can be said to the kernel.
	rest   []*filters.Program
	pushes []filters.Pushed
	// sets are the programs of several events that have a clause for this one.
	sets []*filters.Set
	// code decides in a program in the kernel, nil where none can: noCode is why.
	// decided says that a program that was opened runs it.
	code    *bpf.Filter
	noCode  string
	decided bool
	// needsCode is why nobody but such a program can decide, nil where others can.
	needsCode error
	// probe and variant are where a probe's event comes from; probe is nil for tracepoints.
	probe   *uprobe.Probe
	variant int
	// life: the rows are made of other events, see perfev/lifecycle. It comes last.
	life bool
	// entry is the event that counts the calls of a return probe by trampoline.
	entry *perfpipe.Schema
	// program describes the program that can make the records of a probe, nil for none.
	program *bpf.Probe
}

// schemas looks events up: tracefs does, and a recorded file.
type schemas interface {
	Select(patterns, exclude []string) ([]string, error)
	SchemaOf(event string) (*perfpipe.Schema, error)
}

// planner makes a plan of selections.
type planner struct {
	c    *configs.Capture
	from schemas
	// probes makes probes of words; nil where there are none, as in a recorded file.
	probes *prober
	list   []*planned
	byName map[string]*planned
}

// makePlan resolves the selections of c and compiles its filters. probes may be nil.
func makePlan(c *configs.Capture, from schemas, probes *prober, features filters.KernelFeatures) ([]*planned, error) {
	opts := filterOptions(c)
	comm, err := commFilter(c.Target.Comm)
	if err != nil {
		return nil, usageError(err)
	}
	pl := &planner{c: c, from: from, probes: probes, byName: make(map[string]*planned)}
	for _, sel := range c.Events {
		chosen, err := pl.choose(sel)
		if err != nil {
			return nil, err
		}
		var bad []string
		var badErr error
		for _, p := range chosen {
			text := withComm(sel.Filter, comm)
			if text == "" {
				p.all = true
				continue
			}
			prog, err := compileFilter(sel.Filter, text, comm, p.schema, opts)
			if err != nil {
				bad = append(bad, p.schema.Event())
				if badErr == nil {
					badErr = err
				}
				continue
			}
			p.progs = append(p.progs, prog)
			p.source = joinFilter(p.source, prog.Source())
		}
		if badErr != nil {
			return nil, usageError(filterError(badErr, bad, len(chosen)))
		}
	}
	for _, text := range c.Programs {
		if err := pl.program(text, comm, opts); err != nil {
			return nil, err
		}
	}
	if len(pl.list) == 0 {
		return nil, usageError(errors.New("every event is taken away again"))
	}
	for _, p := range pl.list {
		if err := p.settle(features); err != nil {
			return nil, usageError(err)
		}
	}
	slices.SortStableFunc(pl.list, func(a, b *planned) int {
		switch {
		case a.life == b.life:
			return 0
		case a.life:
			return 1
		}
		return -1
	})
	return pl.list, nil
}

// commLen is the most bytes that a task's name has: TASK_COMM_LEN less the NUL,
// include/linux/sched.h.
const commLen = 15

// commFilter is the filter that --comm stands for, "" for none.
func commFilter(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	quote := `"`
	if strings.Contains(name, quote) {
		quote = "'"
	}
	if strings.Contains(name, quote) || strings.ContainsAny(name, "\x00\n") {
		return "", fmt.Errorf("--comm %q: a name with both kinds of quotes, a NUL or a line break cannot be said in a filter", name)
	}
	op := "=="
	if strings.ContainsAny(name, "*?[") {
		op = "~"
	} else {
		name = name[:min(len(name), commLen)]
	}
	return "COMM " + op + " " + quote + name + quote, nil
}

// withComm joins a filter with that of --comm.
func withComm(filter, comm string) string {
	switch {
	case comm == "":
		return filter
	case filter == "":
		return comm
	}
	return "(" + comm + ") && (" + filter + ")"
}

// compileFilter compiles text, which the user's filter is a part of: its own faults are
// told by its own words.
func compileFilter(own, text, comm string, s *perfpipe.Schema, o filters.Options) (*filters.Program, error) {
	o = withFunctions(o, own)
	if !o.KernelCompat && own != "" {
		switch filters.ShapeOf(own) {
		case filters.ShapeSet:
			return nil, errors.New("the filter has on clauses, which name events of their own: give it to --program, without an -e")
		case filters.ShapeProgram:
			if text != own {
				o.Where = comm
			}
			return filters.Compile(own, s, o)
		}
	}
	if own != "" && own != text {
		if _, err := filters.Compile(own, s, o); err != nil {
			return nil, err
		}
	}
	return filters.Compile(text, s, o)
}

// choose returns the events of one selection: tracepoints, then probes.
func (pl *planner) choose(sel configs.Event) ([]*planned, error) {
	var patterns, words []string
	life := false
	for _, w := range sel.Select {
		if w == lifecycleEvent {
			life = true
		} else if isProbe(sel, w) {
			words = append(words, w)
		} else {
			patterns = append(patterns, w)
		}
	}
	var chosen []*planned
	if len(patterns) > 0 {
		names, err := pl.from.Select(patterns, pl.c.Exclude)
		if err != nil {
			return nil, usageError(err)
		}
		for _, name := range names {
			p := pl.byName[name]
			if p == nil {
				s, err := pl.from.SchemaOf(name)
				if err != nil {
					return nil, err
				}
				p = pl.add(name, &planned{schema: s})
			}
			for _, pat := range patterns {
				if pat == name || strings.TrimPrefix(pat, "tracepoint:") == name {
					p.keepEmpty = true
				}
			}
			chosen = append(chosen, p)
		}
	}
	if life && pl.probes == nil {
		return nil, usageError(errors.New("lifecycle is made of the running kernel's events: it cannot be made of a recorded file"))
	}
	if life {
		p := pl.byName[lifecycleEvent]
		if p == nil {
			p = pl.add(lifecycleEvent, &planned{schema: lifecycle.Schema(), life: true, keepEmpty: true})
		}
		chosen = append(chosen, p)
	}
	for _, w := range words {
		if pl.probes == nil {
			return nil, usageError(fmt.Errorf("%s is a probe, and a recorded file has none that can be added; name its events as 'perfpipe list -i FILE' shows them", w))
		}
		pr, err := pl.probes.plan(sel, w)
		if err != nil {
			return nil, err
		}
		for i := range pr.Variants {
			key := fmt.Sprintf("%s#%d", pr.Event(), i)
			p := pl.byName[key]
			if p == nil {
				p = pl.add(key, &planned{schema: pr.Variants[i].Schema, probe: pr, variant: i, keepEmpty: true})
			}
			chosen = append(chosen, p)
		}
	}
	return chosen, nil
}

func (pl *planner) add(key string, p *planned) *planned {
	pl.byName[key] = p
	pl.list = append(pl.list, p)
	return p
}

func filterOptions(c *configs.Capture) filters.Options {
	o := filters.Options{KernelCompat: c.KernelCompat, CPUs: possibleCPUs(), Budget: c.FilterBudget}
	if c.OnFault == "pass" {
		o.OnFault = filters.Pass
	}
	return o
}

func joinFilter(a, b string) string {
	if a == "" {
		return b
	}
	return "(" + a + ") || (" + b + ")"
}

// filterError is the first event's error, and who else has it where only some do.
func filterError(err error, bad []string, of int) error {
	if of == 1 {
		return err
	}
	const show = 5
	names := bad
	more := ""
	if len(names) > show {
		more = fmt.Sprintf(" and %d more", len(names)-show)
		names = names[:show]
	}
	return fmt.Errorf("%w\nso it is with %d of the %d events of this -e: %s%s; has(FIELD) is true only where an event has the field, so that\nhas(FIELD) && ... serves all of them, or give those events a -e of their own", err, len(bad), of, strings.Join(names, ", "), more)
}

// settle decides what the kernel is given. Of several selections' filters the
// kernel gets the alternatives, and none at all where one of them cannot be said.
// The text of a single filter on an event that is asked for once is what it would be alone.
func (p *planned) settle(features filters.KernelFeatures) error {
	if p.life {
		// No kernel sees these records.
		if p.all {
			p.watchers()
		}
		p.exact = p.all && len(p.progs) == 0
		return p.unpushed()
	}
	if p.all {
		p.watchers()
		p.exact = len(p.progs) == 0
		return nil
	}
	var texts []string
	p.exact = true
	for _, prog := range p.progs {
		push := prog.Push(features)
		if push.Err != nil {
			p.needsCode = fmt.Errorf("event %s: %w", p.schema.Event(), push.Err)
		}
		p.exact = p.exact && push.Exact
		p.rest, p.pushes = append(p.rest, push.Rest), append(p.pushes, push)
		texts = append(texts, push.Text)
	}
	p.push = texts[0]
	if len(texts) > 1 {
		p.push = "(" + strings.Join(texts, ") || (") + ")"
	}
	if slices.Contains(texts, "") || len(p.push) > maxPush {
		if err := p.unpush(); err != nil && p.needsCode == nil {
			p.needsCode = err
		}
	}
	return nil
}

// unpush leaves the whole filter to the process.
func (p *planned) unpush() error {
	p.push, p.exact, p.rest = "", len(p.progs) == 0, nil
	return p.unpushed()
}

// unpushed refuses filters that only the kernel can run.
func (p *planned) unpushed() error {
	for _, prog := range p.progs {
		if prog.NeedsKernel() {
			return fmt.Errorf("event %s: the filter %q reads a string that only the kernel can (.ustring, char *), but not all of it can be given to the kernel; 'perfpipe explain' shows which part cannot", p.schema.Event(), prog.Source())
		}
	}
	return nil
}

// maxPush is the longest text that the kernel takes: a page less the NUL.
const maxPush = 4095

// inProcess are the filters that run on records: none where the kernel does it
// all, and what it left open where a single filter was given to it.
func (p *planned) inProcess() []collector.Filter {
	if p.decided {
		return decidedFilter(p.progs[0])
	}
	if p.exact {
		return nil
	}
	var list []collector.Filter
	if p.all {
		list = append(list, everything{})
	}
	for i, prog := range p.progs {
		if p.push != "" && len(p.progs) == 1 && p.rest[i] != nil {
			prog = p.rest[i]
		}
		if prog.Stateful() {
			list = append(list, newWatcher(prog))
			continue
		}
		list = append(list, decider{prog})
	}
	return list
}

// decider lets a program decide for the collector.
type decider struct{ p *filters.Program }

// Match implements [collector.Filter].
func (v decider) Match(r *perfpipe.Record) (bool, uint8) {
	ok, fault := v.p.Match(r)
	return ok, uint8(fault)
}

// faultName is what the collector calls a fault.
func faultName(f uint8) string { return filters.Fault(f).String() }
