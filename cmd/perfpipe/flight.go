package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
)

// trigger is --trigger for one event of the plan.
type trigger struct {
	of *planned
	// push is the text for the kernel; match decides what that leaves open, nil for nothing.
	push  string
	prog  *filters.Program
	match *filters.Program
}

// planTriggers compiles the trigger of c for every event of the plan that has its
// fields. It returns none where there is no trigger.
func planTriggers(c *configs.Capture, plan []*planned, features filters.KernelFeatures) ([]trigger, error) {
	if c.Trigger == "" {
		return nil, nil
	}
	if !c.KernelCompat && filters.ShapeOf(c.Trigger) != filters.ShapeExpr {
		return nil, usageError(errors.New("--trigger: it is one expression without statements and state"))
	}
	comm, err := commFilter(c.Target.Comm)
	if err != nil {
		return nil, usageError(err)
	}
	opts := filterOptions(c)
	var list []trigger
	var lacking []string
	var lacks, faulty error
	for _, p := range plan {
		if p.life {
			continue // its rows are made of other events, behind the rings
		}
		prog, err := compileFilter(c.Trigger, withComm(c.Trigger, comm), comm, p.schema, opts)
		var fe *filters.Error
		switch {
		case err == nil:
		case errors.As(err, &fe) && len(fe.Fields) > 0:
			if lacks == nil {
				lacks = err
			}
			lacking = append(lacking, p.schema.Event())
			continue
		default:
			if faulty == nil {
				faulty = err
			}
			continue
		}
		t := trigger{of: p, prog: prog}
		push := prog.Push(features)
		if push.Err == nil && len(push.Text) <= maxPush {
			t.push = push.Text
		}
		switch {
		case t.push == "":
			t.match = prog
		case !push.Exact && push.Rest != nil:
			t.match = push.Rest
		case !push.Exact:
			t.match = prog
		}
		if t.match != nil && prog.NeedsKernel() && t.push == "" {
			return nil, usageError(fmt.Errorf("--trigger on event %s: it reads a string that only the kernel can, but not all of it can be given to the kernel", p.schema.Event()))
		}
		list = append(list, t)
	}
	switch {
	case len(list) > 0:
		return list, nil
	case faulty != nil:
		return nil, usageError(fmt.Errorf("--trigger: %w", faulty))
	case len(lacking) > 1:
		const show = 5
		more := ""
		if len(lacking) > show {
			more = fmt.Sprintf(" and %d more", len(lacking)-show)
			lacking = lacking[:show]
		}
		return nil, usageError(fmt.Errorf("--trigger: %w\nso it is with every event that is recorded: %s%s; name with -e an event that has the field", lacks, strings.Join(lacking, ", "), more))
	case lacks != nil:
		return nil, usageError(fmt.Errorf("--trigger: %w\nname with -e an event that has the field", lacks))
	}
	return nil, usageError(errors.New("--trigger: lifecycle alone is recorded, which is made behind the rings; name with -e an event that it is made of, such as sched:sched_process_exit"))
}

// describeTriggers says which records are looked for.
func describeTriggers(w io.Writer, list []trigger) {
	for _, t := range list {
		fmt.Fprintf(w, "trigger %s: %s\n", t.of.schema.Event(), t.prog.Source())
		switch {
		case t.push == "":
			fmt.Fprint(w, "  in process: all of it\n")
		case t.match == nil:
			fmt.Fprintf(w, "  in the kernel: %s\n", t.push)
		default:
			fmt.Fprintf(w, "  in the kernel: %s\n  in process: what that leaves open\n", t.push)
		}
	}
}

// dumpLine says what a dump was.
func dumpLine(n int, d perfpipe.Dump) string {
	why := "the end"
	switch d.Reason {
	case perfpipe.DumpSignal:
		why = "SIGUSR2"
	case perfpipe.DumpTrigger:
		why = fmt.Sprintf("trigger %s on cpu %d, thread %d", d.Event, d.CPU, d.TID)
	}
	return fmt.Sprintf("dump %d: %s: %s rows of %.3f s", n, why, commas(d.Rows), float64(d.To-d.From)/1e9)
}
