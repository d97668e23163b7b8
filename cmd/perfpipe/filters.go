package main

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/filters"
)

const filtersHelp = `List the built-in functions of the filter language with their signatures, what is known
beside the fields of an event, and how programs are written. docs/filters.md shows
programs for many questions; 'go doc github.com/perfpipe/perfpipe/filters' is the manual.

Exit status: 0 listed, 2 usage.`

// languageForms are the statements and declarations, each with what it does.
var languageForms = [...][2]string{
	{"const NAME = x;", "a constant"},
	{"state TYPE NAME = x;", "a variable that keeps its value from record to record"},
	{"percpu state TYPE NAME;", "one for each processor"},
	{"map<KEY, TYPE> NAME[N];", "N entries at most; KEY is pid, tid, cpu or an integer type"},
	{"TYPE NAME(TYPE x, ...) { ... }", "a function, without recursion"},
	{"on SYSTEM:EVENT, ... { ... }", "what is done for records of these events (record --program)"},
	{"TYPE x = y;  x = y;  x += y;  x++;", "variables of a block; = += -= &= |= ^= ++"},
	{"m[k] = y;  m[k]++;  k in m;  delete m[k];", "entries of maps; one that is not there reads 0"},
	{"if (x) { ... } else { ... }", "braces may be left out around one statement"},
	{"for (i = 0; i < n max 100; i++) { ... }", "max is needed where n is no constant; break; continue;"},
	{"emit TYPE NAME = x;", "a column of the event's table"},
	{"return x;", "true keeps the record"},
}

func newFilters(st streams) *cobra.Command {
	return &cobra.Command{
		Use:     "filters",
		Short:   "list the functions and statements of the filter language",
		Long:    filtersHelp,
		Example: "  perfpipe filters\n  perfpipe filters | grep -i string",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Errorf("filters: it takes no argument; 'perfpipe explain FILTER -e EVENT' explains one\nsee '%s --help'", c.CommandPath()))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			w := bufio.NewWriter(st.out)
			fmt.Fprintf(w, "functions:\n")
			for _, b := range filters.Builtins() {
				fmt.Fprintf(w, "  %-41s %s\n", b.Signature, b.Doc)
			}
			fmt.Fprintf(w, "beside the fields:\n")
			for _, m := range [...][2]string{{"CPU  $cpu", "the processor"}, {"COMM  $comm", "the name of the task"}, {"$pid  $tid", "process and thread"}, {"$time", "nanoseconds on CLOCK_MONOTONIC"}, {"$event", "system:name"}} {
				fmt.Fprintf(w, "  %-41s %s\n", m[0], m[1])
			}
			fmt.Fprintf(w, "programs:\n")
			for _, f := range languageForms {
				fmt.Fprintf(w, "  %-41s %s\n", f[0], f[1])
			}
			if err := w.Flush(); err != nil {
				return fmt.Errorf("write list: %w", err)
			}
			return nil
		},
	}
}
