package lifecycle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// formats are those of a 6.18 kernel.
func format(t testing.TB, event string) *perfpipe.Schema {
	t.Helper()
	system, name, _ := strings.Cut(event, ":")
	b, err := os.ReadFile(filepath.Join("testdata", "formats", system+"."+name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := tracefs.ParseFormat(system, b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func allEvents() []string {
	return []string{evNewTask, evExec, evExecve, evExecveat, evExitGroup, evExitOne, evExit, evGenerate, evDeliver, evRename}
}

func formatsOf(t testing.TB, events ...string) []*perfpipe.Schema {
	t.Helper()
	var out []*perfpipe.Schema
	for _, e := range events {
		out = append(out, format(t, e))
	}
	return out
}

// script is a source of records, losses and tasks that a test made.
type script struct {
	schemas         []*perfpipe.Schema
	do              []func(v perfpipe.Visitor)
	stopped, closed int
}

func (s *script) Schemas() []*perfpipe.Schema { return s.schemas }
func (s *script) Stop() error                 { s.stopped++; return nil }
func (s *script) Close() error                { s.closed++; return nil }
func (s *script) Read(_ time.Duration, v perfpipe.Visitor) error {
	for _, f := range s.do {
		f(v)
	}
	s.do = nil
	return io.EOF
}

// record makes a record of "PID/TID EVENT field=value ...", EVENT without its system.
func record(t testing.TB, schemas []*perfpipe.Schema, line string) perfpipe.Record {
	t.Helper()
	words := strings.Fields(line)
	r := perfpipe.Record{Event: -1, Comm: "task", CPU: 1, Stack: 7, Cgroup: 8}
	if _, err := fmt.Sscanf(words[0], "%d/%d", &r.PID, &r.TID); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	for i, s := range schemas {
		if s.Name == words[1] {
			r.Event = i
		}
	}
	if r.Event < 0 {
		t.Fatalf("%q: no such event", line)
	}
	s := schemas[r.Event]
	r.Raw = make([]byte, s.Size)
	binary.LittleEndian.PutUint16(r.Raw, uint16(s.ID))
	binary.LittleEndian.PutUint32(r.Raw[4:], uint32(r.TID))
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		f := s.Field(name)
		if f == nil {
			t.Fatalf("%q: no field %s", line, name)
		}
		switch {
		case f.Loc == perfpipe.LocData:
			binary.LittleEndian.PutUint32(r.Raw[f.Offset:], uint32(len(value)+1)<<16|uint32(len(r.Raw)))
			r.Raw = append(append(r.Raw, value...), 0)
		case f.Kind == perfpipe.KindString:
			copy(r.Raw[f.Offset:f.Offset+f.Size], value)
		default:
			n, err := strconv.ParseInt(value, 0, 64)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			b := binary.LittleEndian.AppendUint64(nil, uint64(n))
			copy(r.Raw[f.Offset:f.Offset+f.Size], b)
		}
	}
	return r
}

// seen writes down what comes out.
type seen struct {
	t       testing.TB
	schemas []*perfpipe.Schema
	lines   []string
	rows    int
	lost    map[string]uint64
	tasks   int
}

func (o *seen) Record(r *perfpipe.Record) {
	s := o.schemas[r.Event]
	if s.Event() != Event {
		o.lines = append(o.lines, fmt.Sprintf("%d/%d %s", r.PID, r.TID, s.Name))
		return
	}
	o.rows++
	o.lines = append(o.lines, fmt.Sprintf("%d/%d %s", r.PID, r.TID, show(o.t, s, r.Raw)))
}

func (o *seen) Lost(l perfpipe.Loss) {
	if o.lost == nil {
		o.lost = map[string]uint64{}
	}
	o.lost[l.Event+" "+l.Reason] += l.Count
}
func (o *seen) Task(perfpipe.Task)    { o.tasks++ }
func (o *seen) Stack(*perfpipe.Stack) {}
func (o *seen) Frame(perfpipe.Frame)  {}

// show writes the fields of a row that have a value.
func show(t testing.TB, s *perfpipe.Schema, raw []byte) string {
	t.Helper()
	var b strings.Builder
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Kind == perfpipe.KindString {
			text, present, cut, ok := f.Text(raw)
			if !ok || cut {
				t.Fatalf("%s: got ok %v, cut %v", f.Name, ok, cut)
			}
			if present {
				fmt.Fprintf(&b, " %s=%q", f.Name, text)
			}
			continue
		}
		present, ok := f.Present(raw)
		v, whole := f.Uint(raw)
		if !ok || !whole {
			t.Fatalf("%s: got ok %v, whole %v", f.Name, ok, whole)
		}
		switch {
		case !present:
			if v != 0 {
				t.Fatalf("%s: is null and %d", f.Name, v)
			}
		case f.CType == CTypeName:
			text := ""
			for _, sym := range f.Symbols {
				if sym.Value == v {
					text = sym.Name
				}
			}
			if f.Name == "kind" {
				b.WriteString(text)
				continue
			}
			fmt.Fprintf(&b, " %s=%s", f.Name, text)
		case f.Name == "clone_flags" || f.Name == "handler":
			fmt.Fprintf(&b, " %s=%#x", f.Name, v)
		default:
			fmt.Fprintf(&b, " %s=%d", f.Name, int64(v))
		}
	}
	return b.String()
}

// wrapped runs lines through Wrap: records, or "lost EVENT".
func wrapped(t testing.TB, schemas []*perfpipe.Schema, o Options, lines ...string) *seen {
	t.Helper()
	sc := &script{schemas: schemas}
	for i, line := range lines {
		if event, ok := strings.CutPrefix(line, "lost "); ok {
			sc.do = append(sc.do, func(v perfpipe.Visitor) {
				v.Lost(perfpipe.Loss{Event: strings.Trim(event, "-"), Count: 1, Reason: perfpipe.LostRing})
			})
			continue
		}
		r := record(t, schemas, line)
		r.Time = int64(i + 1)
		sc.do = append(sc.do, func(v perfpipe.Visitor) { v.Record(&r) })
	}
	src, err := Wrap(sc, o)
	if err != nil {
		t.Fatal(err)
	}
	out := &seen{t: t, schemas: src.Schemas()}
	if err := src.Read(0, out); !errors.Is(err, io.EOF) {
		t.Fatalf("read: got %v, want EOF", err)
	}
	return out
}
