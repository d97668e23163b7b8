package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
)

// matchOptions are the flags of match.
type matchOptions struct {
	shape   shapeOptions
	visited bool
	compat  bool
	onFault string
	budget  int
	verdict bool // --on-fault was given: faults carry the verdict
}

func newMatch(st streams) *cobra.Command {
	var o matchOptions
	c := &cobra.Command{
		Use:   "match FILTER (--event EVENT | --format FILE | --fields LIST) < RECORDS.ndjson",
		Short: "try a filter on records given as JSON",
		Long: `Read records as JSON, one object a line, and print for each {"match":true},
{"match":false} or {"fault":"..."}; of a program also the columns that it adds. It needs no
privilege but with --event.

A field that the object does not name is zero, and names that are no fields are passed
over. Integers may have all 64 bits; strings may use \xNN for bytes that are no UTF-8;
arrays are arrays. "$cpu", "$pid", "$tid", "$comm" and "$time" are what is known beside
the fields; CPU and COMM follow them.

--fields takes "name:type, ..." with the types s8 to s64, u8 to u64, bool, string,
char[N] and arrays of integers as u32[4]; the order gives the offsets.

Exit status: 0 all lines were decided, 1 a line is no record, 2 usage or a bad filter,
77 no permission.`,
		Example: `  echo '{"prev_pid":7}' | perfpipe match 'prev_pid == 7' --event sched:sched_switch
  perfpipe match 'a & 4 && s ~ "k*"' --fields 'a:u32,s:char[16]' < records.ndjson`,
		Args: oneFilter,
		RunE: func(c *cobra.Command, args []string) error {
			o.verdict = c.Flags().Changed("on-fault")
			return runMatch(st, args[0], &o)
		},
	}
	f := c.Flags()
	o.shape.addFlags(c)
	f.BoolVar(&o.visited, "visited", false, "name the fields that were evaluated, in order")
	f.BoolVar(&o.compat, "kernel-compat", false, "follow the kernel's filter engine to the letter")
	f.IntVar(&o.budget, "filter-budget", filters.DefaultBudget, "predicates, calls and rounds of loops that a program may use on a record: `N`")
	f.StringVar(&o.onFault, "on-fault", "drop", "the verdict on a record whose filter faults, drop or `pass`; faults then name it")
	return c
}

// oneFilter wants the filter as the only argument.
func oneFilter(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError(fmt.Errorf("%s: want one filter, in quotes, and got %d arguments\nsee '%s --help'", c.Name(), len(args), c.CommandPath()))
	}
	return nil
}

// onFaultVerdict reads --on-fault.
func onFaultVerdict(s string) (filters.Verdict, error) {
	switch s {
	case "drop":
		return filters.Drop, nil
	case "pass":
		return filters.Pass, nil
	}
	return 0, usageError(fmt.Errorf("--on-fault %s: want drop or pass", s))
}

func runMatch(st streams, filter string, o *matchOptions) error {
	verdict, err := onFaultVerdict(o.onFault)
	if err != nil {
		return err
	}
	if o.shape.format == "-" {
		return usageError(errors.New("match: the records come from standard input: give --format a file"))
	}
	shapes, err := o.shape.schemas(st)
	if err != nil {
		return err
	}
	if len(shapes) != 1 {
		return usageError(fmt.Errorf("match: --event selects %d events, want one", len(shapes)))
	}
	s := shapes[0]
	if filter, err = filterText(filter); err != nil {
		return usageError(err)
	}
	p, err := filters.Compile(filter, s, withFunctions(filters.Options{KernelCompat: o.compat, OnFault: verdict, Budget: o.budget}, filter))
	if err != nil {
		return usageError(err)
	}
	for _, w := range p.Warnings() {
		fmt.Fprintf(st.err, "perfpipe: warning: %s\n", w.Text)
	}
	out := bufio.NewWriter(st.out)
	err = matchLines(st.in, out, p, o)
	return errors.Join(err, out.Flush())
}

// matchLines decides every line of in.
func matchLines(in io.Reader, out *bufio.Writer, p *filters.Program, o *matchOptions) error {
	br := bufio.NewReaderSize(in, 1<<16)
	enc := newRecordEncoder(p.Schema())
	var visited []string
	for line := 1; ; line++ {
		text, rerr := br.ReadBytes('\n')
		if rerr != nil && rerr != io.EOF {
			return fmt.Errorf("read records: line %d: %w", line, rerr)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			rec, err := enc.record(text)
			if err != nil {
				return fmt.Errorf("read records: line %d: %w", line, err)
			}
			var ok bool
			var fault filters.Fault
			if o.visited {
				visited, ok, fault = p.Visited(rec, visited[:0])
			} else {
				ok, fault = p.Match(rec)
			}
			writeVerdict(out, p, ok, fault, visited, o)
			if br.Buffered() == 0 {
				if err := out.Flush(); err != nil {
					return fmt.Errorf("write results: %w", err)
				}
			}
		}
		if rerr == io.EOF {
			return nil
		}
	}
}

func writeVerdict(w *bufio.Writer, p *filters.Program, ok bool, fault filters.Fault, visited []string, o *matchOptions) {
	b := w.AvailableBuffer()
	if fault != 0 {
		b = append(b, `{"fault":`...)
		b = strconv.AppendQuote(b, fault.String())
		if o.verdict {
			b = strconv.AppendBool(append(b, `,"match":`...), ok)
		}
	} else {
		b = strconv.AppendBool(append(b, `{"match":`...), ok)
	}
	if o.visited {
		b = append(b, `,"visited":[`...)
		for i, name := range visited {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendQuote(b, name)
		}
		b = append(b, ']')
	}
	if ok && len(p.Emits()) > 0 {
		b = appendEmitted(append(b, `,"emit":`...), p)
	}
	// A failed write is reported by the next Flush.
	_, _ = w.Write(append(b, '}', '\n'))
}

// appendEmitted appends the columns that the last record got, as a JSON object.
func appendEmitted(b []byte, p *filters.Program) []byte {
	open := byte('{')
	for i, e := range p.Emits() {
		b = strconv.AppendQuote(append(b, open), e.Name)
		b = append(b, ':')
		open = ','
		if e.Type == "string" {
			text, ok := p.EmittedText(i)
			if !ok {
				b = append(b, "null"...)
				continue
			}
			escaped, _ := perfpipe.AppendText(nil, text)
			quoted, err := json.Marshal(string(escaped))
			if err == nil { // text always marshals
				b = append(b, quoted...)
			}
			continue
		}
		v, ok := p.EmittedInt(i)
		switch {
		case !ok:
			b = append(b, "null"...)
		case e.Type == "bool":
			b = strconv.AppendBool(b, v != 0)
		case e.Type[0] == 's':
			b = strconv.AppendInt(b, int64(v), 10)
		default:
			b = strconv.AppendUint(b, v, 10)
		}
	}
	return append(b, '}')
}

// recordEncoder makes raw records of JSON objects, by the layout of one event. A
// record is valid until the next one.
type recordEncoder struct {
	schema *perfpipe.Schema
	raw    []byte
	rec    perfpipe.Record
}

func newRecordEncoder(s *perfpipe.Schema) *recordEncoder { return &recordEncoder{schema: s} }

// record encodes one line.
func (e *recordEncoder) record(line []byte) (*perfpipe.Record, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var obj map[string]any
	if err := d.Decode(&obj); err != nil {
		return nil, fmt.Errorf("want a JSON object: %w", err)
	}
	if obj == nil {
		return nil, errors.New("want a JSON object, got null")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value on the line")
	}
	e.raw = append(e.raw[:0], make([]byte, e.schema.Size)...)
	e.rec = perfpipe.Record{}
	if err := e.meta(obj); err != nil {
		return nil, err
	}
	for _, list := range [...][]perfpipe.Field{e.schema.Common, e.schema.Fields} {
		for i := range list {
			f := &list[i]
			v, ok := obj[f.Name]
			if !ok || v == nil {
				v = nil
			}
			if err := e.field(f, v); err != nil {
				return nil, fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
	}
	e.rec.Raw = e.raw
	return &e.rec, nil
}

// meta sets what is known beside the fields. common_pid and $tid are one thing.
func (e *recordEncoder) meta(obj map[string]any) error {
	integer := func(def uint64, bits int, names ...string) (uint64, error) {
		for _, name := range names {
			v, ok := obj[name]
			if !ok || v == nil || name[0] != '$' && e.schema.Field(name) != nil && name != "common_pid" {
				continue
			}
			n, err := jsonInt(v, bits)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", name, err)
			}
			return n, nil
		}
		return def, nil
	}
	tid, err := integer(0, 32, "$tid", "common_pid")
	if err != nil {
		return err
	}
	pid, err := integer(tid, 32, "$pid")
	if err != nil {
		return err
	}
	cpu, err := integer(0, 16, "$cpu", "CPU")
	if err != nil {
		return err
	}
	at, err := integer(0, 64, "$time")
	if err != nil {
		return err
	}
	if _, ok := obj["common_pid"]; !ok && obj["$tid"] != nil {
		obj["common_pid"] = obj["$tid"]
	}
	e.rec.TID, e.rec.PID, e.rec.CPU, e.rec.Time = int32(tid), int32(pid), uint16(cpu), int64(at)
	for _, name := range [...]string{"$comm", "COMM"} {
		v, ok := obj[name]
		if !ok || v == nil || name == "COMM" && e.schema.Field(name) != nil {
			continue
		}
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s: want a string, got %v", name, v)
		}
		// A task's name has at most 15 bytes; prctl cuts it as well.
		b := perfpipe.UnescapeText(s)
		e.rec.Comm = string(b[:min(len(b), 15)])
		break
	}
	return nil
}

// field writes v at f's place. Dynamic data goes behind what is there; without a
// value it is empty.
func (e *recordEncoder) field(f *perfpipe.Field, v any) error {
	if f.Loc == perfpipe.LocStatic {
		if v == nil {
			return nil
		}
		data, err := encodeValue(f, v)
		if err != nil {
			return err
		}
		if len(data) > f.Size {
			return fmt.Errorf("%d bytes do not fit in %s", len(data), f.CType)
		}
		copy(e.raw[f.Offset:f.Offset+f.Size], data)
		return nil
	}
	var data []byte
	if v != nil {
		var err error
		if data, err = encodeValue(f, v); err != nil {
			return err
		}
	}
	if f.Kind == perfpipe.KindString {
		data = append(data, 0)
	}
	at := len(e.raw)
	if f.Loc == perfpipe.LocRel {
		at -= f.Offset + 4
	}
	if len(data) > 1<<16-1 || at > 1<<16-1 {
		return errors.New("the record grows beyond 65535 bytes")
	}
	loc := uint32(at) | uint32(len(data))<<16
	putUint(e.raw[f.Offset:f.Offset+4], uint64(loc))
	e.raw = append(e.raw, data...)
	return nil
}
