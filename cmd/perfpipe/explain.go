package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// explainOptions are the flags of explain.
type explainOptions struct {
	shape   shapeOptions
	compat  bool
	onFault string
	tier    string
	ir, bpf bool
	// overwrite asks which engine is the flight recorder's.
	overwrite bool
}

func newExplain(st streams) *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain [FILTER] (-e EVENT | --format FILE | --fields LIST)",
		Short: "show how a filter is read and which tier decides what",
		Long: `Print how the filter is read, which of its terms the kernel's own filters decide and which
are left to perfpipe, and why; the text that the kernel is given; what looks like a mistake;
and in which tier record has it decide: bpf (code in a program), kernel, or process.
With -e, where tracefs may be written, the kernel is asked whether it takes the text
(in a tracing instance of its own, removed afterwards).

Without a filter: what the event has that filters can use. Of a probe
(uprobe:bash:readline): the file, the places where it fires, and warnings.

Exit status: 0 explained, 1 the kernel refuses the text, 2 usage or a bad filter, 77 no
permission.`,
		Example: `  perfpipe explain 'prev_pid == 0 && next_comm ~ "*sh"' -e sched:sched_switch
  perfpipe explain -e irq:irq_handler_entry
  perfpipe explain -e 'uretprobe:bash:readline(ret:string)'
  perfpipe explain 'arg0 > 4096' -e 'uprobe:libc.so.6:malloc(arg0:u64)'
  perfpipe explain 'a * 2 > 8 && b == 1' --fields 'a:u32,b:u8'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(fmt.Errorf("explain: want one filter, in quotes, and got %d arguments\nsee '%s --help'", len(args), c.CommandPath()))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			filter := ""
			if len(args) == 1 {
				filter = args[0]
			}
			return runExplain(st, filter, &o)
		},
	}
	f := c.Flags()
	o.shape.addFlags(c)
	f.BoolVar(&o.compat, "kernel-compat", false, "follow the kernel's filter engine to the letter")
	f.BoolVar(&o.ir, "ir", false, "print the typed intermediate form that every tier is made from")
	f.BoolVar(&o.bpf, "bpf", false, "print the filter as code for a program in the kernel, and ask the kernel whether it takes it")
	f.StringVar(&o.tier, "tier", tierAuto, "say what record --tier `TIER` makes of it: auto, kernel, bpf or process")
	f.BoolVar(&o.overwrite, "overwrite", false, "say which engine records the event for record --overwrite")
	f.StringVar(&o.onFault, "on-fault", "drop", "the verdict on a record whose filter faults, drop or `pass`")
	completeTier(c)
	return c
}

func runExplain(st streams, filter string, o *explainOptions) error {
	verdict, err := onFaultVerdict(o.onFault)
	if err != nil {
		return err
	}
	if err := checkTier(o.tier); err != nil {
		return usageError(fmt.Errorf("explain: %w", err))
	}
	if filter, err = filterText(filter); err != nil {
		return usageError(err)
	}
	if o.shape.none() && filters.ShapeOf(filter) == filters.ShapeSet {
		// The program names its events itself.
		set, err := filters.ParseSet(filter)
		if err != nil {
			return usageError(err)
		}
		for _, c := range set.Clauses() {
			o.shape.events = append(o.shape.events, c.Events...)
		}
	}
	shapes, err := o.shape.schemas(st)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(st.out)
	var refused error
	var plan []*planned
	if filter != "" {
		plan, refused, err = explainPlan(filter, shapes, o, verdict)
		if err != nil {
			return usageError(err)
		}
	}
	for i, s := range shapes {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if pr := o.shape.probes[s]; pr != nil {
			fmt.Fprintf(out, "probe:   %s\n%s", pr.Spec.Text, describeProbe(pr))
			for _, w := range pr.Warnings {
				fmt.Fprintf(out, "  warning: %s\n", w)
			}
		}
		if filter == "" {
			explainEvent(out, s)
			explainEngine(out, o, perfev.Event{Schema: s, User: o.shape.probes[s] != nil})
			continue
		}
		p, push := plan[i].progs[0], plan[i].pushes[0]
		explainFilter(out, p, push)
		if refused == nil {
			text := plan[i].describeTier()
			if plan[i].code != nil {
				text = "bpf: a program in the kernel decides all of it; what is above is for where none can\n"
			}
			fmt.Fprintf(out, "tier:    %s", text)
		}
		explainEngine(out, o, explainedEvent(plan[i], o))
		if o.ir {
			fmt.Fprintf(out, "ir:\n%s", indented(p.IR()))
		}
		if o.bpf {
			refused = errors.Join(refused, explainCode(out, p))
		}
		if len(o.shape.events) > 0 && s.ID != 0 && push.Text != "" {
			refused = errors.Join(refused, askKernel(out, s.Event(), push.Text))
		}
		if push.Err != nil && plan[i].code == nil {
			refused = errors.Join(refused, usageError(push.Err))
		}
	}
	return errors.Join(out.Flush(), refused)
}

// explainEvent lists what an event has that filters can use.
func explainEvent(w io.Writer, s *perfpipe.Schema) {
	fmt.Fprintf(w, "event:   %s\n", eventName(s))
	fmt.Fprintf(w, "fields:\n")
	for _, list := range [...][]perfpipe.Field{s.Fields, s.Common} {
		for i := range list {
			f := &list[i]
			fmt.Fprintf(w, "  %-24s %-12s %s\n", f.Name, filters.TypeOf(f), symbolList(f))
		}
	}
	fmt.Fprintf(w, "beside them: CPU, COMM, $cpu, $pid, $tid, $comm, $time, $event\n")
	fmt.Fprintf(w, "functions:\n")
	for _, b := range filters.Builtins() {
		fmt.Fprintf(w, "  %-32s %s\n", b.Signature, b.Doc)
	}
}

func eventName(s *perfpipe.Schema) string {
	switch {
	case s.Name == "":
		return "(fields given)"
	case s.System == "":
		return s.Name
	}
	return s.Event()
}

// symbolList is the names of a field's values, the first few of many.
func symbolList(f *perfpipe.Field) string {
	const show = 12
	var names []string
	for i, sym := range f.Symbols {
		if i == show {
			names = append(names, fmt.Sprintf("and %d more", len(f.Symbols)-show))
			break
		}
		names = append(names, fmt.Sprintf("%s=%d", sym.Name, sym.Value))
	}
	return strings.Join(names, " ")
}

func explainFilter(w io.Writer, p *filters.Program, push filters.Pushed) {
	fmt.Fprintf(w, "event:   %s\n", eventName(p.Schema()))
	fmt.Fprintf(w, "filter:  %s\n", hanging(p.Source()))
	fmt.Fprintf(w, "read as: %s\n", hanging(p.Parsed()))
	for _, e := range p.Emits() {
		null := ""
		if e.Nullable {
			null = ", may be null"
		}
		fmt.Fprintf(w, "column:  %s %s%s\n", e.Name, e.Type, null)
	}
	if len(push.Parts) > 0 {
		fmt.Fprintf(w, "terms:\n")
	}
	for i := range push.Parts {
		part := &push.Parts[i]
		tier := "process"
		switch {
		case part.Exact && part.Text == "":
			tier = "nowhere"
		case part.Exact:
			tier = "kernel"
		case part.Text != "":
			tier = "kernel, then process"
		}
		reason := part.Reason
		if tier == "nowhere" {
			reason = "it is always true"
		}
		fmt.Fprintf(w, "  %d. %s\n     tier:   %s\n     why:    %s\n", i+1, part.Source, tier, reason)
		if part.Text != "" {
			fmt.Fprintf(w, "     pushed: %s\n", part.Text)
		}
	}
	text := push.Text
	if text == "" {
		text = "(nothing)"
	}
	fmt.Fprintf(w, "pushed:  %s\n", text)
	switch {
	case push.Exact:
		fmt.Fprintf(w, "process: nothing is left to decide\n")
	case p.Stateful():
		fmt.Fprintf(w, "process: runs the program on the records that the kernel lets through\n")
	default:
		fmt.Fprintf(w, "process: decides the rest of the records that the kernel lets through\n")
	}
	for _, warn := range p.Warnings() {
		fmt.Fprintf(w, "warning: %s\n", warn.Text)
	}
}

// askKernel tries the pushed text. A machine that cannot be asked is no error.
func askKernel(w io.Writer, event, text string) error {
	t, err := tracefs.Open(tracefs.Options{NoMount: true})
	if err != nil {
		fmt.Fprintf(w, "kernel:  not asked: %v\n", err)
		return nil
	}
	err = t.DryRun(event, text)
	if cerr := t.Close(); err == nil && cerr != nil {
		return fmt.Errorf("remove the tracing instance of the dry run: %w", cerr)
	}
	var no *tracefs.FilterError
	switch {
	case err == nil:
		fmt.Fprintf(w, "kernel:  takes the pushed text\n")
		return nil
	case errors.As(err, &no):
		fmt.Fprintf(w, "kernel:  refuses the pushed text: %s\n", no.Text)
		return err
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(w, "kernel:  not asked: only root may make a tracing instance\n")
		return nil
	}
	return err
}

// explainEngine says what records an event of this machine, and why not what would
// cost less.
func explainEngine(w io.Writer, o *explainOptions, ev perfev.Event) {
	if ev.Schema.ID == 0 || ev.User {
		// Of a probe it is known when it is installed: record -v says it.
		return
	}
	ch := (&perfev.Config{Events: []perfev.Event{ev}, Overwrite: o.overwrite}).Choose()[0]
	fmt.Fprintf(w, "engine:  %s, where every task is recorded, without stacks\n%s", ch.Engine, describeRefusals(ch))
}

// describeRefusals says why other engines do not record an event.
func describeRefusals(ch perfev.Choice) string {
	var b strings.Builder
	for _, r := range ch.Refusals {
		fmt.Fprintf(&b, "  not %s: %s\n", r.Engine, briefly(r.Err))
	}
	return b.String()
}

// indented is text with blanks before each line.
func indented(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

// hanging is text whose further lines stand below the first, behind a label of nine letters.
func hanging(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n         ")
}
