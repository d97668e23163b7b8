package filters

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// Error is what is wrong with a filter.
type Error struct {
	// Source is the filter.
	Source string
	// Event is "system:name", "" for a made-up schema.
	Event string
	// Pos and End bound what is wrong, in bytes of Source.
	Pos, End int
	// Line and Col are those of Pos, from 1; Col counts characters.
	Line, Col int
	// Reason says what is wrong, Hint how to mend it ("" where nothing is known).
	Reason, Hint string
	// Nearest is the field whose name is most like the unknown one, "" if none is.
	Nearest string
	// Fields are the event's fields with their types ("prev_pid s32"), given
	// where the reason is an unknown field.
	Fields []string
	// Also are the further faults of the same filter.
	Also []*Error

	rank rank
}

// rank orders faults: what the kernel would stop at comes before what only we refuse.
type rank uint8

const (
	rankKernel rank = iota // the kernel refuses this as well
	rankStrict             // the kernel takes this and makes something odd of it
)

// Error renders the fault: the line, a caret, the reason, and the mend.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("filter")
	if e.Event != "" {
		b.WriteString(" of " + e.Event)
	}
	b.WriteString(": ")
	e.render(&b)
	for i, a := range e.Also {
		if i == 4 {
			fmt.Fprintf(&b, "\nand %d more", len(e.Also)-i)
			break
		}
		b.WriteString("\nalso: ")
		a.render(&b)
	}
	return b.String()
}

func (e *Error) render(b *strings.Builder) {
	b.WriteString(e.Reason)
	b.WriteString("\n" + e.Caret())
	if e.Nearest != "" {
		fmt.Fprintf(b, "\n  did you mean %s?", e.Nearest)
	}
	if e.Hint != "" {
		b.WriteString("\n  " + e.Hint)
	}
	if len(e.Fields) > 0 {
		b.WriteString("\n  fields: " + strings.Join(e.Fields, ", "))
	}
}

// Caret returns two lines, indented by two blanks: the line of the filter (cut
// where it is long) and under it a caret with a tilde for each further character.
func (e *Error) Caret() string {
	start := strings.LastIndexByte(e.Source[:e.Pos], '\n') + 1
	stop := len(e.Source)
	if n := strings.IndexByte(e.Source[e.Pos:], '\n'); n >= 0 {
		stop = e.Pos + n
	}
	const before, after = 60, 60
	prefix, suffix := "", ""
	if e.Pos-start > before {
		start, prefix = e.Pos-before, "..."
		for start < e.Pos && !utf8.RuneStart(e.Source[start]) {
			start++
		}
	}
	end := min(max(e.End, e.Pos), stop)
	if stop-end > after {
		stop, suffix = end+after, "..."
	}
	if stop-e.Pos > 2*after {
		stop, suffix = e.Pos+2*after, "..."
	}
	end = min(end, stop)
	var line, mark strings.Builder
	line.WriteString("  " + prefix)
	mark.WriteString("  " + strings.Repeat(" ", len(prefix)))
	for i, r := range e.Source[start:stop] {
		at := start + i
		switch {
		case r == '\t' || r < ' ':
			r = ' '
		case r == utf8.RuneError:
			r = '?'
		}
		line.WriteRune(r)
		switch {
		case at < e.Pos:
			mark.WriteByte(' ')
		case at == e.Pos:
			mark.WriteByte('^')
		case at < end:
			mark.WriteByte('~')
		}
	}
	line.WriteString(suffix)
	if e.Pos >= stop {
		mark.WriteByte('^')
	}
	if e.Line > 1 {
		return fmt.Sprintf("  line %d, column %d:\n%s\n%s", e.Line, e.Col, line.String(), mark.String())
	}
	return line.String() + "\n" + mark.String()
}

// place fills in what follows from Source and Pos.
func (e *Error) place(src string) {
	e.Source = src
	e.Pos = min(max(e.Pos, 0), len(src))
	e.End = min(max(e.End, e.Pos), len(src))
	e.Line = 1 + strings.Count(src[:e.Pos], "\n")
	e.Col = 1 + utf8.RuneCountInString(src[strings.LastIndexByte(src[:e.Pos], '\n')+1:e.Pos])
}

// joinErrors makes one error of a filter's faults, the first first; nil of none.
func joinErrors(src string, s *perfpipe.Schema, list []*Error) error {
	if len(list) == 0 {
		return nil
	}
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].rank != list[j].rank {
			return list[i].rank < list[j].rank
		}
		return list[i].Pos < list[j].Pos
	})
	event := ""
	if s.Name != "" {
		event = s.Event()
	}
	for _, e := range list {
		e.place(src)
		e.Event = event
	}
	first := list[0]
	for _, e := range list[1:] {
		// One list of fields is enough.
		e.Fields = nil
		first.Also = append(first.Also, e)
	}
	return first
}

func fromSyntax(e *syntax.Error) *Error {
	return &Error{Pos: e.Pos, End: e.End, Reason: e.Msg, Hint: e.Hint}
}

// Warning is something that a filter says which its author may not have meant.
type Warning struct {
	// Pos and End bound it, in bytes of the filter.
	Pos, End int
	// Text says what it is and how to write it clearly.
	Text string
}
