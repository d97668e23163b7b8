package main

import (
	"fmt"

	"github.com/perfpipe/perfpipe/configs"
)

// describe says on stderr what a capture is about to open.
func describe(st streams, plan []*planned, c *configs.Capture) {
	for _, p := range plan {
		fmt.Fprintf(st.err, "event %s: id %d, %d fields\n", p.schema.Event(), p.schema.ID, len(p.schema.Fields))
		if p.probe != nil && p.variant == 0 {
			fmt.Fprint(st.err, describeProbe(p.probe))
		}
		if p.source == "" {
			continue
		}
		fmt.Fprintf(st.err, "  filter: %s\n", p.source)
		switch {
		case p.needsCode != nil && p.code != nil:
			fmt.Fprintf(st.err, "  in a program in the kernel: all of it\n")
			continue
		case p.code != nil:
			fmt.Fprintf(st.err, "  in a program in the kernel: all of it, where one records the event; otherwise:\n")
		}
		switch {
		case p.push == "":
			fmt.Fprintf(st.err, "  in process: all of it\n")
		case p.exact:
			fmt.Fprintf(st.err, "  in the kernel: %s\n", p.push)
		default:
			fmt.Fprintf(st.err, "  in the kernel: %s\n  in process: what that leaves open\n", p.push)
		}
	}
	fmt.Fprint(st.err, describeBudget(c))
	for _, o := range c.Outputs {
		fmt.Fprintf(st.err, "output %s\n", o.Path)
	}
}
