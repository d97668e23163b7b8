package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/perfdata"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// listOptions are the flags of list.
type listOptions struct {
	verbose, json bool
	formats       []string
	input         string
	exclude       []string
}

func newList(st streams) *cobra.Command {
	var o listOptions
	c := &cobra.Command{
		Use:   "list [EVENT...]",
		Short: "list the events that can be recorded, and their fields",
		Long: `List the trace events of the running kernel, or of a perf.data file (-i), or the one
that a format file describes (--format). EVENT is a name or a glob; without one all are
listed. -v adds every field with its type as filters see it, and the names that the
kernel has for its values. A probe (uprobe:bash:readline) is shown as it would be
recorded, and so is lifecycle; 'perfpipe probes' lists what of a program can be probed.

Exit status: 0 listed, 1 cannot be read, 2 usage or an unknown event, 77 no permission.`,
		Example: `  perfpipe list 'sched:*'
  perfpipe list -v irq:irq_handler_entry
  perfpipe list --json 'syscalls:sys_enter_open*' '!*:*_by_handle_at'
  perfpipe list -v 'uretprobe:bash:readline(ret:string)'
  perfpipe list -v -i perf.data
  perfpipe list -v --format sched_switch.format`,
		RunE: func(_ *cobra.Command, args []string) error {
			err := runList(st, args, o)
			var told *exitError
			switch {
			case err == nil || errors.As(err, &told):
				return err
			case errors.Is(err, fs.ErrPermission):
				return &exitError{err: fmt.Errorf("list: %w", err), code: exitPermission}
			}
			return fmt.Errorf("list: %w", err)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.verbose, "verbose", "v", false, "every field with its type, and the names of values")
	f.BoolVar(&o.json, "json", false, "one JSON document with all there is to say of the events")
	f.StringArrayVar(&o.formats, "format", nil, "describe the event of a format `FILE` (- is standard input); needs no privilege")
	f.StringVarP(&o.input, "input", "i", "", "list the events of a perf.data `FILE`; needs no privilege")
	f.StringArrayVar(&o.exclude, "exclude", nil, "take `EVENT`s away: names and globs")
	return c
}

func runList(st streams, patterns []string, o listOptions) error {
	w := bufio.NewWriter(st.out)
	var list []*perfpipe.Schema
	var err error
	switch {
	case len(o.formats) > 0 && (len(patterns) > 0 || o.input != ""):
		return usageError(errors.New("list: --format describes the events of its files: name no others, and no -i"))
	case len(o.formats) > 0:
		list, err = formatFiles(st, o.formats)
	default:
		var probes []string
		patterns, probes = splitProbes(patterns)
		if list, _, err = probeSchemas(probes); err != nil {
			return err
		}
		if len(probes) > 0 && len(patterns) == 0 {
			break
		}
		var names []string
		var from eventSource
		if from, err = openEvents(o.input); err != nil {
			return err
		}
		defer from.close()
		names, err = chooseEvents(from, patterns, o.exclude)
		switch {
		case errors.Is(err, fs.ErrPermission) || errors.Is(err, tracefs.ErrStuck):
			return err
		case err != nil:
			return usageError(fmt.Errorf("list: %w", err))
		}
		if !o.verbose && !o.json {
			for _, s := range list {
				fmt.Fprintln(w, s.Event())
			}
			for _, n := range names {
				fmt.Fprintln(w, n)
			}
			return w.Flush()
		}
		for _, n := range names {
			s, err := from.SchemaOf(n)
			if err != nil {
				return err
			}
			list = append(list, s)
		}
	}
	if err != nil {
		return err
	}
	switch {
	case o.json:
		err = writeJSON(w, list)
	case o.verbose:
		writeFields(w, list)
	default:
		for _, s := range list {
			fmt.Fprintln(w, s.Event())
		}
	}
	return errors.Join(err, w.Flush())
}

// splitProbes takes the probes out of a list of patterns.
func splitProbes(words []string) (patterns, probes []string) {
	for _, w := range words {
		if uprobe.IsSpec(w) || w == lifecycleEvent {
			probes = append(probes, w)
		} else {
			patterns = append(patterns, w)
		}
	}
	return patterns, probes
}

// chooseEvents is Select where patterns that only take away take from everything.
func chooseEvents(from schemas, patterns, exclude []string) ([]string, error) {
	all := true
	for _, p := range patterns {
		all = all && strings.HasPrefix(p, "!")
	}
	if all {
		patterns = append([]string{"*:*"}, patterns...)
	}
	return from.Select(patterns, exclude)
}

// eventSource is where list finds events.
type eventSource struct {
	schemas
	io.Closer
}

func (e eventSource) close() { _ = e.Close() }

// openEvents opens the running kernel's events, or those of a recording.
func openEvents(input string) (eventSource, error) {
	if input != "" {
		r, err := perfdata.Open(input)
		if err != nil {
			return eventSource{}, err
		}
		return eventSource{r, r}, nil
	}
	t, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		return eventSource{}, err
	}
	return eventSource{t, t}, nil
}

// maxFormatFile is more than any format file has, so that a device is not read for ever.
const maxFormatFile = 2 << 20

// formatFiles parses format files. The system is that of a path .../SYSTEM/NAME/format,
// where it is one.
func formatFiles(st streams, paths []string) ([]*perfpipe.Schema, error) {
	var list []*perfpipe.Schema
	for _, p := range paths {
		in := st.in
		if p != "-" {
			f, err := os.Open(p)
			if err != nil {
				return nil, fmt.Errorf("open format file: %w", err)
			}
			defer func() { _ = f.Close() }() // only read from
			in = f
		}
		b, err := io.ReadAll(io.LimitReader(in, maxFormatFile))
		if err != nil {
			return nil, fmt.Errorf("read format file %s: %w", p, err)
		}
		if !tracefs.IsFormat(b) {
			return nil, fmt.Errorf("read format file %s: it does not begin with \"name:\": no format file", p)
		}
		s, err := tracefs.ParseFormat(systemOf(p), b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// systemOf is SYSTEM of .../SYSTEM/NAME/format, else "format".
func systemOf(path string) string {
	part := strings.Split(path, "/")
	if n := len(part); n >= 3 && part[n-1] == "format" && part[n-3] != "" {
		return part[n-3]
	}
	return "format"
}

// writeFields prints events as a person reads them.
func writeFields(w io.Writer, list []*perfpipe.Schema) {
	for i, s := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s (id %d)\n", s.Event(), s.ID)
		for j := range s.Fields {
			f := &s.Fields[j]
			fmt.Fprintf(w, "  %-10s %-24s %s\n", fieldType(f), f.Name, f.CType)
			for _, line := range symbolLines(f) {
				fmt.Fprintf(w, "  %-10s   %s\n", "", line)
			}
		}
	}
}

// fieldType is a field's type in the words of filters: s32, u8[16], string.
func fieldType(f *perfpipe.Field) string {
	var t string
	switch f.Kind {
	case perfpipe.KindInt:
		t = fmt.Sprintf("s%d", 8*f.ElemSize)
	case perfpipe.KindUint:
		t = fmt.Sprintf("u%d", 8*f.ElemSize)
	case perfpipe.KindBool:
		t = "bool"
	case perfpipe.KindPointer:
		t = "pointer"
	case perfpipe.KindCPUMask:
		return "cpumask"
	case perfpipe.KindString:
		if f.Loc == perfpipe.LocStatic {
			return fmt.Sprintf("char[%d]", f.Size)
		}
		return "string"
	case perfpipe.KindBytes:
		t = fmt.Sprintf("bytes%d", f.ElemSize)
	}
	switch {
	case f.Array && (f.Count > 0 || f.Loc == perfpipe.LocStatic):
		return fmt.Sprintf("%s[%d]", t, f.Count)
	case f.Array:
		return t + "[]"
	}
	return t
}

// symbolLines are the names of a field's values, several to a line.
func symbolLines(f *perfpipe.Field) []string {
	const width = 72
	var lines []string
	line := ""
	for i, s := range f.Symbols {
		text := s.Name + "=" + symbolValue(f, s)
		switch {
		case i == 0 && f.FlagsDelim != "":
			line = "flags: " + text
		case i == 0:
			line = text
		case len(line)+len(text) > width:
			lines = append(lines, line)
			line = text
		default:
			line += " " + text
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

func symbolValue(f *perfpipe.Field, s perfpipe.Symbol) string {
	switch {
	case f.FlagsDelim != "":
		return fmt.Sprintf("0x%x", s.Value)
	case int64(s.Value) < 0 && f.Signed:
		return fmt.Sprint(int64(s.Value))
	}
	return fmt.Sprint(s.Value)
}

// The JSON of list: keys are never renamed or taken away.
type (
	listJSON struct {
		Events []eventJSON `json:"events"`
	}
	eventJSON struct {
		Event        string      `json:"event"`
		System       string      `json:"system"`
		Name         string      `json:"name"`
		ID           int         `json:"id"`
		Size         int         `json:"size"`
		FormatSHA256 string      `json:"format_sha256"`
		Print        string      `json:"print"`
		Common       []fieldJSON `json:"common"`
		Fields       []fieldJSON `json:"fields"`
	}
	fieldJSON struct {
		Name    string       `json:"name"`
		Type    string       `json:"type"`
		CType   string       `json:"ctype"`
		Offset  int          `json:"offset"`
		Size    int          `json:"size"`
		Signed  bool         `json:"signed"`
		Array   bool         `json:"array"`
		Elem    int          `json:"elem_size"`
		Count   int          `json:"count"`
		Loc     string       `json:"loc"`
		Flags   bool         `json:"flags"`
		Symbols []symbolJSON `json:"symbols"`
	}
	symbolJSON struct {
		Name  string `json:"name"`
		Value string `json:"value"` // decimal: 64 bits do not fit a JSON number everywhere
	}
)

func writeJSON(w io.Writer, list []*perfpipe.Schema) error {
	doc := listJSON{Events: []eventJSON{}}
	for _, s := range list {
		doc.Events = append(doc.Events, eventJSON{
			Event: s.Event(), System: s.System, Name: s.Name, ID: s.ID, Size: s.Size,
			FormatSHA256: s.FormatSHA256, Print: s.Print, Common: fieldsJSON(s.Common), Fields: fieldsJSON(s.Fields),
		})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(doc)
}

func fieldsJSON(fields []perfpipe.Field) []fieldJSON {
	out := []fieldJSON{}
	for i := range fields {
		f := &fields[i]
		j := fieldJSON{
			Name: f.Name, Type: fieldType(f), CType: f.CType, Offset: f.Offset, Size: f.Size, Signed: f.Signed,
			Array: f.Array, Elem: f.ElemSize, Count: f.Count, Flags: f.FlagsDelim != "", Symbols: []symbolJSON{},
		}
		switch f.Loc {
		case perfpipe.LocStatic:
			j.Loc = "static"
		case perfpipe.LocData:
			j.Loc = "data_loc"
		case perfpipe.LocRel:
			j.Loc = "rel_loc"
		}
		for _, s := range f.Symbols {
			v := fmt.Sprint(s.Value)
			if f.Signed && int64(s.Value) < 0 {
				v = fmt.Sprint(int64(s.Value))
			}
			j.Symbols = append(j.Symbols, symbolJSON{s.Name, v})
		}
		out = append(out, j)
	}
	return out
}
