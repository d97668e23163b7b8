package form

import (
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// Lost returns the metadata that a file of t gets at its end: "lost", the events
// that are missing from it, and "lost.unattributed", those of which nobody knows
// whether they are. Files that end before the run (rotation) have neither. What a
// flight recorder overwrote is in none of them: see [perfpipe.Intended].
func Lost(t *perfpipe.Table, s perfpipe.Summary) map[string]string {
	sum := func(ev string) (n uint64) {
		for reason, c := range s.LostBy[ev] {
			if !perfpipe.Intended(reason) {
				n += c
			}
		}
		return n
	}
	n, rest := s.Lost, uint64(0)
	if list := t.Meta["event"]; list != "" && len(s.LostBy) > 0 {
		n, rest = 0, sum("")
		for ev := range strings.SplitSeq(list, ",") {
			n += sum(ev)
		}
	}
	m := map[string]string{"lost": strconv.FormatUint(n, 10)}
	if rest > 0 {
		m["lost.unattributed"] = strconv.FormatUint(rest, 10)
	}
	return m
}
