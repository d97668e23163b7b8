package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/cilium/ebpf"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// Where filters decide, as --tier names it. auto is "" as well.
const (
	tierAuto    = "auto"
	tierKernel  = "kernel"
	tierBPF     = "bpf"
	tierProcess = "process"
)

// checkTier reports a word that is no tier.
func checkTier(s string) error {
	switch s {
	case "", tierAuto, tierKernel, tierBPF, tierProcess:
		return nil
	}
	return fmt.Errorf("--tier %q is none of auto, kernel, bpf and process", s)
}

// maxCallPrograms is how many single system calls' events auto gives code: each has a
// program of its own, and every call runs them all; without code one program is for all.
const maxCallPrograms = 8

// placeFilters settles in which tier the filters of a plan decide. What a filter cannot
// do in the tier that is asked for is an error.
//
// Under auto, code in a program comes first, then text for the kernel, then the
// process: as far as the rows are the same.
func placeFilters(plan []*planned, c *configs.Capture) error {
	for _, p := range plan {
		var err error
		switch c.Tier {
		case tierKernel:
			err = p.wholeInKernel()
		case tierProcess:
			p.noCode = "all is decided in process, as --tier says"
			err = p.unpush()
		default:
			p.codeFor(c)
		}
		if err != nil {
			return usageError(err)
		}
	}
	if c.Tier != tierBPF {
		thinCalls(plan)
		interrupted(plan)
	}
	together(plan)
	return allCan(plan, c.Tier)
}

// filtered reports whether anything is to be decided of the event's records.
func (p *planned) filtered() bool { return len(p.progs) > 0 }

// codeFor makes the code of the event's filter, or notes why there is none.
func (p *planned) codeFor(c *configs.Capture) {
	if !p.filtered() {
		return
	}
	prog := p.progs[0]
	switch {
	case p.life:
		p.noCode = "its rows are made of other events, behind the rings"
	case p.all:
		p.noCode = "the event is recorded whole as well, and a program in the kernel would leave records out"
	case len(p.progs) > 1:
		p.noCode = fmt.Sprintf("%d filters are for the event, and a program has room for one; join them by ||", len(p.progs))
	case c.Tier != tierBPF && c.KernelCompat:
		p.noCode = "--kernel-compat asks for what the kernel's own engine says"
	case c.Tier != tierBPF && prog.NeedsKernel() && len(p.pushes) == 1 && p.pushes[0].Exact:
		p.noCode = "it reads text behind a pointer, which the kernel's own filter takes for another where it cannot be read"
	case c.Tier != tierBPF && prog.Ordered():
		p.noCode = "it keeps what the records of all processors change, which programs see in another order than that of the times; --tier bpf takes that"
	default:
		code, err := prog.BPF()
		switch {
		case err != nil:
			p.noCode = err.Error()
		case p.probe != nil && code.Text > 0:
			p.noCode = "it copies texts, which the next task on the processor would change: a program on a probe may be interrupted by another task"
		case p.probe != nil && c.Tier != tierBPF && code.Memory != nil && len(code.Memory.CPUCells) > 0:
			p.noCode = "it keeps percpu state, and a program on a probe may be interrupted by another task; --tier bpf takes that"
		default:
			p.code = code
		}
	}
}

// wholeInKernel has the kernel's own language say all of the event's filters.
func (p *planned) wholeInKernel() error {
	p.noCode = "the kernel decides, as --tier says"
	fail := func(part, why string) error {
		return fmt.Errorf("event %s: --tier kernel: the kernel's filters cannot say %s: %s", p.schema.Event(), part, why)
	}
	switch {
	case !p.filtered():
		return nil
	case p.life:
		return fail(fmt.Sprintf("%q", p.source), "the rows are made of other events, behind the rings")
	}
	always := false
	for i, prog := range p.progs {
		if prog.Stateful() {
			return fail("a program", "their language has no statements and keeps nothing from record to record")
		}
		push := p.pushes[i]
		for k := range push.Parts {
			if part := &push.Parts[k]; !part.Exact {
				return fail(fmt.Sprintf("%q", part.Source), part.Reason)
			}
		}
		if !push.Exact {
			return fail("a program", "their language has no statements")
		}
		always = always || push.Text == ""
	}
	switch {
	case always:
		p.push, p.exact = "", true
	case p.push == "":
		return fail("all of the event's filters together", fmt.Sprintf("it takes at most %d bytes", maxPush))
	}
	return nil
}

// thinCalls leaves the events of single system calls without code where they are many.
func thinCalls(plan []*planned) {
	for _, prefix := range [...]string{"syscalls:sys_enter_", "syscalls:sys_exit_"} {
		of := func(p *planned) bool { return p.code != nil && strings.HasPrefix(p.schema.Event(), prefix) }
		n := 0
		for _, p := range plan {
			if of(p) {
				n++
			}
		}
		if n <= maxCallPrograms {
			continue
		}
		for _, p := range plan {
			if of(p) {
				p.withoutCode(fmt.Sprintf("every system call would run the programs of all %d events; a filter on raw_syscalls has one", n))
			}
		}
	}
}

// interrupted takes the code of events away that keep something for each processor
// together: an interrupt's event may come in the middle of another's.
func interrupted(plan []*planned) {
	events := make(map[*bpf.Memory]int)
	for _, p := range plan {
		if p.code != nil && p.code.Memory != nil {
			events[p.code.Memory]++
		}
	}
	for _, p := range plan {
		if p.code != nil && events[p.code.Memory] > 1 && p.progs[0].PerProcessor() {
			p.withoutCode("its events share what is kept for each processor, and one may interrupt the other; --tier bpf takes that")
		}
	}
}

// withoutCode has the event decided otherwise.
func (p *planned) withoutCode(why string) { p.code, p.decided, p.noCode = nil, false, why }

// keeps reports whether code remembers anything.
func keeps(f *bpf.Filter) bool {
	m := f.Memory
	return m != nil && len(m.Cells)+len(m.CPUCells)+len(m.Tables) > 0
}

// together takes the code of events away that share what they keep with one that has
// no code: what is kept is either in the kernel or in the process. It reports whether
// there was such an event.
func together(plan []*planned) (changed bool) {
	for _, p := range plan {
		if p.code != nil {
			continue
		}
		for _, q := range plan {
			if q.code == nil || !keeps(q.code) || !slices.ContainsFunc(q.sets, func(s *filters.Set) bool { return slices.Contains(p.sets, s) }) {
				continue
			}
			q.withoutCode(fmt.Sprintf("it shares what it keeps with %s, which no program decides: %s", p.schema.Event(), p.noCode))
			changed = true
		}
	}
	return changed
}

// allCan refuses a plan of which a filter has no code, where it needs that or it was
// asked for.
func allCan(plan []*planned, tier string) error {
	for _, p := range plan {
		switch {
		case !p.filtered() || p.code != nil:
		case tier == tierBPF:
			return usageError(fmt.Errorf("event %s: --tier bpf: no program in the kernel can decide its filter: %s", p.schema.Event(), p.noCode))
		case p.needsCode != nil:
			return usageError(fmt.Errorf("%w; nor can a program in the kernel: %s", p.needsCode, p.noCode))
		}
	}
	return nil
}

// tier says where the event's filter decides.
func (p *planned) tier() string {
	switch {
	case !p.filtered():
		return "none: every record is a row"
	case p.code != nil:
		return tierBPF
	case p.exact && p.push == "":
		return "none: it is always true"
	case p.exact:
		return tierKernel
	case p.push != "":
		return "kernel, then process"
	}
	return tierProcess
}

// describeTier says where the event's filter decides, and why not where it costs less.
func (p *planned) describeTier() string {
	if !p.filtered() {
		return ""
	}
	text := p.tier() + "\n"
	if p.code == nil && p.noCode != "" {
		text += "  not bpf: " + p.noCode + "\n"
	}
	if p.code == nil && !p.exact {
		if why := p.notKernel(); why != "" {
			text += "  not kernel alone: " + why + "\n"
		}
	}
	return text
}

// notKernel says why the kernel's own language does not decide all.
func (p *planned) notKernel() string {
	switch {
	case p.life || p.all || len(p.pushes) != len(p.progs):
		return ""
	case slices.ContainsFunc(p.progs, (*filters.Program).Stateful):
		return "its language has no statements and keeps nothing"
	}
	for i := range p.pushes {
		for k := range p.pushes[i].Parts {
			if part := &p.pushes[i].Parts[k]; !part.Exact {
				return part.Source + ": " + part.Reason
			}
		}
	}
	return ""
}

// briefly is the first line of an error, without what the verifier said.
func briefly(err error) string {
	var v *ebpf.VerifierError
	switch {
	case errors.Is(err, syscall.E2BIG):
		return "the kernel does not take the program: its verifier follows a million instructions, and there are more ways through it"
	case errors.Is(err, syscall.EFAULT):
		return "the kernel does not take the program: its verifier fails at it"
	case errors.As(err, &v):
		return fmt.Sprintf("the kernel does not take the program: %v", v.Cause)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// noEngine says why no program records an event.
func noEngine(ch perfev.Choice) string {
	for _, r := range ch.Refusals {
		if r.Engine == perfev.EngineBPF {
			return briefly(r.Err)
		}
	}
	return fmt.Sprintf("the engine is %s, and only programs run code", ch.Engine)
}

// emitted are the columns of a program that has decided in the kernel.
type emitted struct {
	cols []perfpipe.ColumnDef
	rec  *perfpipe.Record
}

// decidedFilter is what is left of a filter whose code runs in the kernel: the columns
// that it adds, nil for none.
func decidedFilter(p *filters.Program) []collector.Filter {
	if len(p.Emits()) == 0 {
		return nil
	}
	return []collector.Filter{&emitted{cols: newWatcher(p).cols}}
}

var _ collector.Emitter = (*emitted)(nil)

// Match implements [collector.Filter]: what is here was let through.
func (e *emitted) Match(r *perfpipe.Record) (bool, uint8) {
	e.rec = r
	return true, 0
}

// Columns implements [collector.Emitter].
func (e *emitted) Columns() []perfpipe.ColumnDef { return e.cols }

// Value implements [collector.Emitter].
func (e *emitted) Value(i int) (v uint64, text []byte, ok bool) {
	v, ok = e.rec.Emitted(i)
	return v, nil, ok
}
