package filters

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// readJSON reads testdata/kernel-filter/name, where real kernels' verdicts are.
func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "kernel-filter", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// formatOf parses testdata/formats/SYSTEM.NAME, as tracefs of a 6.18 kernel shows it.
func formatOf(t testing.TB, event string) *perfpipe.Schema {
	t.Helper()
	system, name, _ := strings.Cut(event, "/")
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

// intField is an integer in place.
func intField(name, ctype string, off, size int, signed bool) perfpipe.Field {
	k := perfpipe.KindUint
	if signed {
		k = perfpipe.KindInt
	}
	return perfpipe.Field{Name: name, CType: ctype, Offset: off, Size: size, ElemSize: size, Count: 1, Kind: k, Signed: signed}
}

// uprobeSchema is the event hf/ev of semantics.json, as its format file would show it.
func uprobeSchema() *perfpipe.Schema {
	s := &perfpipe.Schema{System: "hf", Name: "ev", Common: commonFields()}
	off := 8
	add := func(name, ctype string, size int, signed bool) {
		s.Fields = append(s.Fields, intField(name, ctype, off, size, signed))
		off += size
	}
	add("__probe_ip", "unsigned long", 8, false)
	add("idx", "u64", 8, false)
	add("s8", "s8", 1, true)
	add("u8", "u8", 1, false)
	add("s16", "s16", 2, true)
	add("u16", "u16", 2, false)
	add("s32", "s32", 4, true)
	add("u32", "u32", 4, false)
	add("s64", "s64", 8, true)
	add("u64", "u64", 8, false)
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		add(n, "s32", 4, true)
	}
	s.Fields = append(s.Fields, perfpipe.Field{Name: "str", CType: "__data_loc char[]", Offset: off, Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData, Signed: true})
	off += 4
	s.Fields = append(s.Fields, perfpipe.Field{Name: "arr4", CType: "u32[4]", Offset: off, Size: 16, ElemSize: 4, Count: 4, Kind: perfpipe.KindUint, Array: true})
	off += 16
	s.Fields = append(s.Fields, perfpipe.Field{Name: "b4", CType: "u8[4]", Offset: off, Size: 4, ElemSize: 1, Count: 4, Kind: perfpipe.KindUint, Array: true})
	off += 4
	add("xx", "u64", 8, false)
	add("ch", "char", 1, false)
	s.Size = off
	return s
}

func commonFields() []perfpipe.Field {
	return []perfpipe.Field{
		intField("common_type", "unsigned short", 0, 2, false),
		intField("common_flags", "unsigned char", 2, 1, false),
		intField("common_preempt_count", "unsigned char", 3, 1, false),
		intField("common_pid", "int", 4, 4, true),
	}
}

// fill writes the values of a JSON record; what is absent is zero.
func fill(t testing.TB, s *perfpipe.Schema, rec map[string]any) []byte {
	t.Helper()
	raw := make([]byte, s.Size)
	if f := s.Field("__probe_ip"); f != nil {
		putInt(raw[f.Offset:f.Offset+8], 0x401179)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		v, ok := rec[f.Name]
		if !ok {
			switch f.Name {
			case "ch":
				v, ok = rec["u8"]
			case "xx":
				v, ok = rec["u64"]
			}
		}
		if f.Loc == perfpipe.LocData {
			text, _ := v.(string)
			binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw))|uint32(len(text)+1)<<16)
			raw = append(raw, text+"\x00"...)
			continue
		}
		if !ok {
			continue
		}
		switch v := v.(type) {
		case string:
			copy(raw[f.Offset:f.Offset+f.Size], v)
		case json.Number:
			putInt(raw[f.Offset:f.Offset+f.Size], parseInt(t, v))
		case []any:
			for i, e := range v {
				at := f.Offset + i*f.ElemSize
				putInt(raw[at:at+f.ElemSize], parseInt(t, e.(json.Number)))
			}
		}
	}
	return raw
}

func parseInt(t testing.TB, n json.Number) uint64 {
	t.Helper()
	var u uint64
	var i int64
	if _, err := fmt.Sscan(n.String(), &u); err == nil {
		return u
	}
	if _, err := fmt.Sscan(n.String(), &i); err != nil {
		t.Fatal(err)
	}
	return uint64(i)
}

func putInt(b []byte, v uint64) {
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
}

// kernelCase is a filter with records and what a real kernel made of them.
type kernelCase struct {
	Category string
	Event    string
	Filter   string
	Records  []map[string]any
	Accepted bool
	Match    []int
	Pos      *int
	Error    *string
}

func semanticsSchema(t testing.TB, c *kernelCase) *perfpipe.Schema {
	if strings.HasPrefix(c.Event, "signal:") {
		return formatOf(t, "signal/signal_generate")
	}
	return uprobeSchema()
}

// record is the record of a case: where it depends on the task, as the note of
// semantics.json says.
func (c *kernelCase) record(t testing.TB, s *perfpipe.Schema, i int) *perfpipe.Record {
	r := &perfpipe.Record{Raw: fill(t, s, c.Records[i]), Comm: "0123456789abcsh", CPU: 1, PID: 100, TID: 100}
	if v, ok := c.Records[i]["comm"].(string); ok {
		r.Comm = v
	}
	return r
}

func (c *kernelCase) verdicts(t testing.TB, p *Program, s *perfpipe.Schema) (got string) {
	t.Helper()
	for i := range c.Records {
		ok, fault := p.Match(c.record(t, s, i))
		switch {
		case fault != 0:
			got += "F"
		case ok:
			got += "1"
		default:
			got += "0"
		}
	}
	return got
}

func (c *kernelCase) want() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Match), " ", ""), "[]")
}

func kernelCases(t testing.TB) []kernelCase {
	var sem, fuzz struct{ Cases []kernelCase }
	readJSON(t, "semantics.json", &sem)
	readJSON(t, "fuzz_vectors.json", &fuzz)
	return append(sem.Cases, fuzz.Cases...)
}

// The kernel's own start-up test, in both modes: results, and what must not be
// evaluated.
func TestStartupVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Filter     string
			Match      bool
			Record     map[string]any
			NotVisited string `json:"not_visited"`
		}
	}
	readJSON(t, "startup_vectors.json", &file)
	if len(file.Vectors) < 20 {
		t.Fatalf("got %d vectors", len(file.Vectors))
	}
	s := uprobeSchema()
	for _, o := range []Options{{}, {KernelCompat: true}} {
		for _, v := range file.Vectors {
			p, err := Compile(v.Filter, s, o)
			if err != nil {
				t.Fatal(err)
			}
			r := &perfpipe.Record{Raw: fill(t, s, v.Record)}
			if ok, fault := p.Match(r); ok != v.Match || fault != 0 {
				t.Errorf("%s: got %v %v, want %v", v.Filter, ok, fault, v.Match)
			}
			visited, ok, fault := p.Visited(r, nil)
			if ok != v.Match || fault != 0 {
				t.Errorf("%s traced: got %v %v, want %v", v.Filter, ok, fault, v.Match)
			}
			for _, name := range visited {
				if strings.Contains(v.NotVisited, name) {
					t.Errorf("%s: visited %v, must not visit %s", v.Filter, visited, v.NotVisited)
				}
			}
		}
	}
}
