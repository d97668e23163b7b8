package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/perfdata"
)

const demoHelp = `Record one second of context switches of the whole machine into ./perfpipe.data
and print the first rows of the table.

Where the kernel may not be traced (a container, no privilege, another system
than Linux) it says why in one line, and takes a small recording made elsewhere
through the same pipeline, so that it ends with a table all the same.`

// demoRows is how many rows the demo prints.
const demoRows = 10

func newDemo(st streams) *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		Short:   "record a second of this machine and print the first rows",
		Long:    demoHelp,
		Example: "  perfpipe demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := &peek{limit: demoRows}
			c := &configs.Capture{
				Events:   []configs.Event{{Select: []string{"sched:sched_switch"}}},
				Outputs:  []configs.Output{{Path: defaultOutput}},
				Duration: time.Second,
			}
			o := captureOptions{Command: "demo", Extra: []collector.Output{{Sink: p, Merged: true}}}
			if err := runCapture(cmd.Context(), st, c, o); err != nil {
				fmt.Fprintf(st.err, "perfpipe demo: the kernel of this machine is not recorded (%v); here is a recording made elsewhere:\n", firstLine(err))
				if err := convertSample(cmd.Context(), st, c, o.Extra); err != nil {
					return err
				}
			}
			return p.print(st.out)
		},
	}
}

// convertSample takes the recording that perfpipe carries through the same run.
func convertSample(ctx context.Context, st streams, c *configs.Capture, extra []collector.Output) error {
	r, err := perfdata.Sample()
	if err != nil {
		return err
	}
	c.OnFault, c.Types, c.Period = "drop", "kernel", 1
	return errors.Join(runConvert(ctx, st, r, "the sample", c, convertOptions{sample: true, extra: extra}), r.Close())
}

// firstLine is the first line of an error's text.
func firstLine(err error) string {
	s, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(s)
}

// peek is a sink that keeps the first rows of the first table, as text.
type peek struct {
	head  []string
	rows  [][]string
	limit int
}

var _ perfpipe.Sink = (*peek)(nil)

// Write keeps rows up to the limit.
func (p *peek) Write(b *perfpipe.Batch) error {
	if p.head == nil {
		for _, d := range b.Table.Columns {
			p.head = append(p.head, d.Name)
		}
	}
	for i := 0; i < b.Rows && len(p.rows) < p.limit; i++ {
		row := make([]string, len(b.Columns))
		for c := range b.Columns {
			row[c] = valueText(&b.Columns[c], i)
		}
		p.rows = append(p.rows, row)
	}
	return nil
}

// Sync, Bytes and Close have nothing to do: nothing lasts.
func (p *peek) Sync(perfpipe.SyncOp) error { return nil }

// Bytes is 0.
func (p *peek) Bytes() int64 { return 0 }

// Close does nothing.
func (p *peek) Close(perfpipe.Summary) error { return nil }

// valueText is a value as the demo shows it.
func valueText(c *perfpipe.Column, i int) string {
	switch {
	case c.IsNull(i):
		return ""
	case c.Type == perfpipe.TypeString:
		return string(c.Text(i))
	case c.Type == perfpipe.TypeTimestamp:
		return time.UnixMicro(int64(c.Int(i))).UTC().Format("15:04:05.000000")
	case c.Type == perfpipe.TypeList:
		var b []byte
		for j := c.Offsets[i]; j < c.Offsets[i+1]; j++ {
			if len(b) > 0 {
				b = append(b, ',')
			}
			b = append(b, valueText(c.Child, int(j))...)
		}
		return "[" + string(b) + "]"
	case c.Type.Signed():
		return strconv.FormatInt(int64(c.Int(i)), 10)
	}
	return strconv.FormatUint(c.Int(i), 10)
}

// print writes the rows as a table with columns as wide as they need.
func (p *peek) print(w io.Writer) error {
	width := make([]int, len(p.head))
	for _, row := range append([][]string{p.head}, p.rows...) {
		for i, v := range row {
			width[i] = max(width[i], len(v))
		}
	}
	var b bytes.Buffer
	for _, row := range append([][]string{p.head}, p.rows...) {
		for i, v := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			fmt.Fprintf(&b, "%-*s", width[i], v)
		}
		b.Truncate(len(bytes.TrimRight(b.Bytes(), " ")))
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}
