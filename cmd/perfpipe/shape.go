package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/lifecycle"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// shapeOptions say what the records of a filter look like: as an event of this
// machine, a format file, or a list of fields.
type shapeOptions struct {
	events         []string
	format, fields string
	// probes are what the schemas of probes come from.
	probes map[*perfpipe.Schema]*uprobe.Probe
}

func (o *shapeOptions) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVarP(&o.events, "event", "e", nil, "an `EVENT` of the running kernel, sched:sched_switch")
	f.StringVar(&o.format, "format", "", "the `FILE` that describes the event, as tracefs has it")
	f.StringVar(&o.fields, "fields", "", "the fields as a `LIST`, 'a:s32,b:u8,s:string,c:char[16],v:u32[4]'")
}

// none reports whether nothing says what the records look like.
func (o *shapeOptions) none() bool { return len(o.events) == 0 && o.format == "" && o.fields == "" }

// schemas resolves the flags. Its errors carry their exit status.
func (o *shapeOptions) schemas(st streams) ([]*perfpipe.Schema, error) {
	given := 0
	for _, is := range [...]bool{len(o.events) > 0, o.format != "", o.fields != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, usageError(errors.New("say what the records look like by one of --event, --format and --fields"))
	case o.fields != "":
		s, err := parseFields(o.fields)
		if err != nil {
			return nil, usageError(fmt.Errorf("--fields: %w", err))
		}
		return []*perfpipe.Schema{s}, nil
	case o.format != "":
		s, err := readFormat(st, o.format)
		if err != nil {
			return nil, err
		}
		return []*perfpipe.Schema{s}, nil
	}
	var patterns, probes []string
	for _, e := range o.events {
		for _, w := range uprobe.SplitList(e) {
			if uprobe.IsSpec(w) || w == lifecycleEvent {
				probes = append(probes, w)
			} else {
				patterns = append(patterns, w)
			}
		}
	}
	out, from, err := probeSchemas(probes)
	o.probes = from
	if err != nil || len(patterns) == 0 {
		return out, err
	}
	t, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		return nil, tracefsError(err)
	}
	defer func() { _ = t.Close() }() // nothing was written
	names, err := t.Select(patterns, nil)
	if err != nil {
		return nil, tracefsError(err)
	}
	for _, n := range names {
		s, err := t.SchemaOf(n)
		if err != nil {
			return nil, tracefsError(err)
		}
		out = append(out, s)
	}
	return out, nil
}

// probeSchemas are the layouts of probes, which needs their binaries and no privilege.
func probeSchemas(words []string) (out []*perfpipe.Schema, from map[*perfpipe.Schema]*uprobe.Probe, err error) {
	if len(words) == 0 {
		return nil, nil, nil
	}
	from = make(map[*perfpipe.Schema]*uprobe.Probe)
	p, err := newProber(&configs.Capture{}, nil)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for _, w := range words {
		if w == lifecycleEvent {
			out = append(out, lifecycle.Schema())
			continue
		}
		pr, err := p.plan(configs.Event{}, w)
		if err != nil {
			return nil, nil, err
		}
		for i := range pr.Variants {
			out = append(out, pr.Variants[i].Schema)
			from[pr.Variants[i].Schema] = pr
		}
	}
	return out, from, nil
}

// tracefsError gives an error of tracefs its exit status.
func tracefsError(err error) error {
	var unknown *tracefs.UnknownEventError
	switch {
	case errors.As(err, &unknown):
		return usageError(err)
	case errors.Is(err, fs.ErrPermission):
		return &exitError{err: err, code: exitPermission}
	}
	return err
}

// readFormat reads a format file. Of .../events/SYSTEM/NAME/format the system is known.
func readFormat(st streams, path string) (*perfpipe.Schema, error) {
	var b []byte
	var err error
	if path == "-" {
		b, err = io.ReadAll(st.in)
	} else {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, usageError(fmt.Errorf("read format: %w", err))
	}
	system := ""
	if abs, err := filepath.Abs(path); err == nil && filepath.Base(abs) == "format" {
		system = filepath.Base(filepath.Dir(filepath.Dir(abs)))
	}
	s, err := tracefs.ParseFormat(system, b)
	if err != nil {
		return nil, usageError(err)
	}
	return s, nil
}

// shapeItem is a type of --fields: char[16], u32[4], s64.
var shapeItem = regexp.MustCompile(`^(s8|s16|s32|s64|u8|u16|u32|u64|bool|char|string)(?:\[([0-9]+)\])?$`)

// parseFields makes a schema of "name:type, ...", behind the four fields that
// every event begins with.
func parseFields(list string) (*perfpipe.Schema, error) {
	integer := func(name, ctype string, off, size int, kind perfpipe.Kind) perfpipe.Field {
		return perfpipe.Field{Name: name, CType: ctype, Offset: off, Size: size, ElemSize: size, Count: 1, Kind: kind, Signed: kind == perfpipe.KindInt}
	}
	s := &perfpipe.Schema{Common: []perfpipe.Field{
		integer("common_type", "unsigned short", 0, 2, perfpipe.KindUint),
		integer("common_flags", "unsigned char", 2, 1, perfpipe.KindUint),
		integer("common_preempt_count", "unsigned char", 3, 1, perfpipe.KindUint),
		integer("common_pid", "int", 4, 4, perfpipe.KindInt),
	}, Size: 8}
	for _, item := range strings.Split(list, ",") {
		name, text, ok := strings.Cut(strings.TrimSpace(item), ":")
		name, text = strings.TrimSpace(name), strings.TrimSpace(text)
		m := shapeItem.FindStringSubmatch(text)
		if !ok || m == nil || !validFieldName(name) {
			return nil, fmt.Errorf("%q is no field: want name:type with a type of s8 to s64, u8 to u64, bool, string, char[N], or an array as u32[4]", item)
		}
		if s.Field(name) != nil {
			return nil, fmt.Errorf("field %s is there twice", name)
		}
		count, isArray := 1, m[2] != ""
		if isArray {
			n, err := strconv.Atoi(m[2])
			if err != nil || n < 1 || n > 8192 {
				return nil, fmt.Errorf("%q: want 1 to 8192 elements", item)
			}
			count = n
		}
		f := perfpipe.Field{Name: name, CType: text, Offset: s.Size, Count: count, Array: isArray}
		switch {
		case m[1] == "string" && isArray:
			return nil, fmt.Errorf("%q: there are no arrays of strings; char[N] is a string of N bytes", item)
		case m[1] == "string":
			f.CType, f.Kind, f.Loc, f.Size, f.ElemSize, f.Count = "__data_loc char[]", perfpipe.KindString, perfpipe.LocData, 4, 1, 0
		case m[1] == "char" && isArray:
			f.Kind, f.Size, f.ElemSize, f.Array = perfpipe.KindString, count, 1, false
		case m[1] == "char":
			f.Kind, f.Size, f.ElemSize = perfpipe.KindUint, 1, 1
		case m[1] == "bool":
			f.Kind, f.ElemSize, f.Size = perfpipe.KindBool, 1, count
		default:
			bits, _ := strconv.Atoi(m[1][1:])
			f.Kind, f.ElemSize = perfpipe.KindUint, bits/8
			if m[1][0] == 's' {
				f.Kind, f.Signed = perfpipe.KindInt, true
			}
			f.Size = f.ElemSize * count
		}
		s.Fields = append(s.Fields, f)
		s.Size += f.Size
	}
	if s.Size > 1<<15 {
		return nil, fmt.Errorf("the fields take %d bytes, 32768 is the most", s.Size)
	}
	return s, nil
}

func validFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
