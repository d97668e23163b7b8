package text

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/sinktest"
)

func render(t testing.TB, format string, b *perfpipe.Batch) string {
	t.Helper()
	var out bytes.Buffer
	e, err := New(&out, b.Table, format)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// event is a row as most events have them.
func event(comm, text string, ptr uint64, args []any, note any) *perfpipe.Batch {
	t := &perfpipe.Table{Name: "sched.x", Meta: map[string]string{"event": "sched:x"}, Columns: []perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp}, {Name: "ts", Type: perfpipe.TypeInt64}, {Name: "cpu", Type: perfpipe.TypeUint16},
		{Name: "pid", Type: perfpipe.TypeInt32}, {Name: "tid", Type: perfpipe.TypeInt32}, {Name: "comm", Type: perfpipe.TypeString},
		{Name: "text", Type: perfpipe.TypeString}, {Name: "ptr", CType: "const char *", Type: perfpipe.TypeUint64},
		{Name: "args", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64}, {Name: "note", Type: perfpipe.TypeInt64, Nullable: true},
	}}
	b := perfpipe.NewBatch(t, 1)
	sinktest.Append(b, []any{int64(1764000000000042), int64(52721123456789), uint64(3), int64(1234), int64(1235), comm, text, ptr, args, note})
	return b
}

func TestRows(t *testing.T) {
	top := ^uint64(0)
	for _, c := range []struct {
		name, format string
		b            *perfpipe.Batch
		want         string
	}{
		{"line", "txt", event("bash", "word", 0xffff8881, []any{uint64(1), top}, int64(-1)),
			"bash            1234/1235 [003] 52721.123456: sched:x: text=word ptr=0xffff8881 args=[1,18446744073709551615] note=-1\n"},
		{"line: null, empty, spaces", "txt", event("Web Content", "", 0, []any{}, nil),
			"Web Content     1234/1235 [003] 52721.123456: sched:x: text=\"\" ptr=0x0 args=[]\n"},
		{"line: nothing moves the cursor", "txt", event("a\nb\x1b[2J", "x\r\n\"y\" =\u202e\x7f", 0, []any{}, nil),
			"a\\x0ab\\x1b[2J   1234/1235 [003] 52721.123456: sched:x: text=\"x\\x0d\\x0a\\\"y\\\" =\\xe2\\x80\\xae\\x7f\" ptr=0x0 args=[]\n"},
		{"line: escapes stay", "txt", event("\\xff", "\\\\", 0, []any{}, nil),
			"\\xff            1234/1235 [003] 52721.123456: sched:x: text=\\\\ ptr=0x0 args=[]\n"},
		{"csv", "csv", event("a,b", "say \"hi\"\r\n", top, []any{uint64(1), top}, nil),
			"time,ts,cpu,pid,tid,comm,text,ptr,args,note\r\n2025-11-24T16:00:00.000042Z,52721123456789,3,1234,1235,\"a,b\",\"say \"\"hi\"\"\r\n\",18446744073709551615,\"[1,18446744073709551615]\",\r\n"},
		{"csv: empty and null", "csv", event("", "x", 0, []any{}, nil),
			"time,ts,cpu,pid,tid,comm,text,ptr,args,note\r\n2025-11-24T16:00:00.000042Z,52721123456789,3,1234,1235,\"\",x,0,[],\r\n"},
		{"ndjson", "ndjson", event("a\"b", "\\xff\n\t\x01é🙂", top, []any{top}, nil),
			`{"time":"2025-11-24T16:00:00.000042Z","ts":52721123456789,"cpu":3,"pid":1234,"tid":1235,"comm":"a\"b","text":"\\xff\n\t\u0001é🙂","ptr":18446744073709551615,"args":[18446744073709551615]}` + "\n"},
	} {
		if got := render(t, c.format, c.b); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestOtherTables(t *testing.T) {
	lost := &perfpipe.Table{Name: "_lost", Columns: []perfpipe.ColumnDef{{Name: "event", Type: perfpipe.TypeString}, {Name: "cpu", Type: perfpipe.TypeInt32}, {Name: "count", Type: perfpipe.TypeUint64}}}
	b := perfpipe.NewBatch(lost, 1)
	sinktest.Append(b, []any{"sched:x", int64(-1), uint64(7)})
	if got, want := render(t, "txt", b), "_lost: event=sched:x cpu=-1 count=7\n"; got != want {
		t.Errorf("own table: got %q, want %q", got, want)
	}
	m := event("bash", "w", 1, []any{}, nil)
	m.Table = &perfpipe.Table{Name: "events", Columns: append([]perfpipe.ColumnDef{{Name: "event", Type: perfpipe.TypeString}}, m.Table.Columns...)}
	ev := perfpipe.Column{Type: perfpipe.TypeString, Offsets: []int32{0}}
	ev.AppendString("irq:y")
	m.Columns = append([]perfpipe.Column{ev}, m.Columns...)
	if got, want := render(t, "txt", m), "bash            1234/1235 [003] 52721.123456: irq:y: text=w ptr=0x1 args=[]\n"; got != want {
		t.Errorf("several events in one: got %q, want %q", got, want)
	}
}

func TestSeconds(t *testing.T) {
	for ns, want := range map[int64]string{0: "0.000000", 999: "0.000000", 1000: "0.000001", 1e9: "1.000000", -1500: "-0.000001", 1<<63 - 1: "9223372036.854775", -1 << 63: "-9223372036.854775"} {
		if got := string(appendSeconds(nil, ns)); got != want {
			t.Errorf("%d ns: got %s, want %s", ns, got, want)
		}
	}
}

// FuzzStrings: whatever a string holds, every format gives it back, a line stays
// one line, and nothing in it is a control character.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "bash", "a,b", "\"", "\r\n", "\\x", "é\u202e🙂", "\x00", "\xff", "]["} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, comm, text string) {
		c, _ := perfpipe.AppendText(nil, []byte(comm))
		x, _ := perfpipe.AppendText(nil, []byte(text))
		b := event(string(c), string(x), 1, []any{}, nil)
		line := render(t, "txt", b)
		if strings.Count(line, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(line) {
			t.Errorf("line: got %q, want one line without control characters", line)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(render(t, "ndjson", b)), &m); err != nil || m["comm"] != string(c) || m["text"] != string(x) {
			t.Errorf("ndjson: got %q and %q, %v, want %q and %q", m["comm"], m["text"], err, c, x)
		}
		r := csv.NewReader(strings.NewReader(render(t, "csv", b)))
		rows, err := r.ReadAll()
		// encoding/csv reads \r\n as \n within a field.
		plain := func(s []byte) string { return strings.ReplaceAll(string(s), "\r\n", "\n") }
		if err != nil || len(rows) != 2 || rows[1][5] != plain(c) || rows[1][6] != plain(x) {
			t.Errorf("csv: got %q, %v, want %q and %q", rows, err, c, x)
		}
	})
}
