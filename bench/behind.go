package main

import (
	"fmt"
	"strings"
)

// behind says plainly where perfpipe is behind: bars that are missed, figures that could
// not be made, and peers that cost less.
func (r *Results) behind(figures []Figure) string {
	var b strings.Builder
	list := func(verdict string, line func(Figure) string) {
		for _, f := range figures {
			if f.Verdict == verdict {
				fmt.Fprintf(&b, "- %s\n", line(f))
			}
		}
	}
	list(verdict(false), func(f Figure) string {
		line := fmt.Sprintf("missed: %s: %s", f.What, f.Perfpipe)
		if f.Ratio != "-" {
			line += fmt.Sprintf(", which is %s x, not %s", f.Ratio, f.Bar)
		} else {
			line += ", not " + f.Bar
		}
		return line
	})
	for _, l := range r.cheaper() {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	list("not measured", func(f Figure) string { return fmt.Sprintf("not measured: %s: %s", f.What, f.reason()) })
	if b.Len() == 0 {
		return "Nowhere in what was measured.\n"
	}
	return b.String()
}

// reason is what stands where a value would.
func (f Figure) reason() string {
	if f.Perf != "-" {
		return f.Perf
	}
	return f.Perfpipe
}

// cheaper names the peers that add less to the loop than the best engine, use less of
// the processor than the leanest, or write less than the smallest.
func (r *Results) cheaper() []string {
	var out []string
	measures := []struct {
		what, format string
		v            value
	}{
		{"adds less to the loop", "%.0f ns", r.added},
		{"takes less CPU time for a million events", "%.3f s", ofRun((*Run).perMillion)},
		{"takes fewer bytes for an event", "%.2f", ofRun((*Run).bytesPerEvent)},
	}
	for _, m := range measures {
		var best *Tool
		var least spread
		for _, t := range r.Tools {
			if s := t.over(m.v); ours(t) && !s.none() && (best == nil || s.median < least.median) {
				best, least = t, s
			}
		}
		if best == nil {
			continue
		}
		for _, t := range r.Tools {
			if ours(t) || t.ID == untraced {
				continue
			}
			if s := t.over(m.v); !s.none() && s.median < least.median {
				out = append(out, fmt.Sprintf("%s %s than perfpipe: %s beside %s (%s)%s",
					t.Name, m.what, s.text(m.format), least.text(m.format), best.Name, caveat(t)))
			}
		}
	}
	return out
}

// caveat says what the tool does not do.
func caveat(t *Tool) string {
	switch t.ID {
	case bpftraceCount:
		return "; it counts and keeps no event"
	case bpftracePrint:
		return "; it loses most events at this rate"
	case ftraceRing, perfRing, bpfRing:
		return "; it is a ring whose events nobody keeps"
	}
	return ""
}
