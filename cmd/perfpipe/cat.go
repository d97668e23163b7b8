package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/sinks/view"
)

// catOptions are the flags of cat.
type catOptions struct {
	format string
	table  string
	rows   int64
}

func newCat(st streams) *cobra.Command {
	var o catOptions
	c := &cobra.Command{
		Use:   "cat FILE|DIR|-",
		Short: "print what was recorded as lines, csv or ndjson",
		Long: `Print a file or a dataset that perfpipe wrote: .parquet, .arrow and .arrows in any
format, .csv, .ndjson and .txt as they are. The events of a dataset come in the order
of their time; its own tables (_lost, _clock, _tasks) are printed with --table. "-"
prints an Arrow stream from standard input as it arrives.

Needs no privilege and runs on any system.

Exit status: 0 printed, 1 the file is damaged or cannot be read, 2 usage.`,
		Example: `  perfpipe cat perfpipe.data
  perfpipe cat --table sched:sched_switch --format csv -n 100 perfpipe.data
  perfpipe cat --table _lost --format ndjson perfpipe.data
  perfpipe record -e 'sched:*' -o - | perfpipe cat -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(fmt.Errorf("cat takes one file or folder, not %d: see 'perfpipe cat --help'", len(args)))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runCat(st, args[0], o) },
	}
	c.Flags().StringVar(&o.format, "format", "", "txt (default), csv or ndjson")
	c.Flags().StringVar(&o.table, "table", "", "print one `TABLE` of a dataset, by its name or its event's")
	c.Flags().Int64VarP(&o.rows, "rows", "n", 0, "stop after `N` rows (0: print all)")
	return c
}

func runCat(st streams, path string, o catOptions) error {
	if o.rows < 0 {
		return usageError(fmt.Errorf("cat: -n %d: the number of rows cannot be negative", o.rows))
	}
	err := view.Print(st.out, st.in, path, view.Options{Format: o.format, Table: o.table, Rows: o.rows})
	switch {
	case errors.Is(err, view.ErrUsage):
		return usageError(fmt.Errorf("cat: %w", err))
	case err != nil:
		return fmt.Errorf("cat: %w", err)
	}
	return nil
}
