package view_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks"
	"github.com/perfpipe/perfpipe/sinks/view"
)

// event is a table with the head that lines have, and one field.
func event(name string) *perfpipe.Table {
	return &perfpipe.Table{Name: strings.Replace(name, ":", ".", 1), Meta: map[string]string{"event": name}, Columns: []perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp}, {Name: "ts", Type: perfpipe.TypeInt64}, {Name: "cpu", Type: perfpipe.TypeUint16},
		{Name: "pid", Type: perfpipe.TypeInt32}, {Name: "tid", Type: perfpipe.TypeInt32}, {Name: "comm", Type: perfpipe.TypeString},
		{Name: "addr", Type: perfpipe.TypeUint64}}}
}

func rows(t *perfpipe.Table, ts ...int64) *perfpipe.Batch {
	b := perfpipe.NewBatch(t, len(ts))
	for _, at := range ts {
		for i, v := range []uint64{uint64(at / 1000), uint64(at), 1, 7, 8} {
			b.Columns[i].AppendInt(v)
		}
		b.Columns[5].AppendString("sh")
		b.Columns[6].AppendInt(^uint64(0))
		b.Rows++
	}
	return b
}

// record writes batches to path, a rotation after each.
func record(t *testing.T, o sinks.Output, batches ...*perfpipe.Batch) {
	t.Helper()
	s, err := sinks.Open(o, sinks.Run{})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range batches {
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		if !sinks.OneTable(o) && i+1 < len(batches) {
			if err := s.Sync(perfpipe.SyncRotate); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(perfpipe.Summary{Complete: true}); err != nil {
		t.Fatal(err)
	}
}

func show(path string, o view.Options) (string, error) {
	var out bytes.Buffer
	err := view.Print(&out, strings.NewReader(""), path, o)
	return out.String(), err
}

func line(ts, ev string) string {
	return "sh              7/8 [001] " + ts + ": " + ev + ": addr=18446744073709551615\n"
}

func TestPrint(t *testing.T) {
	dir := t.TempDir()
	a, z := event("sched:a"), event("sched:z")
	lost := &perfpipe.Table{Name: "_lost", Columns: []perfpipe.ColumnDef{{Name: "count", Type: perfpipe.TypeUint64}}}
	lostRow := perfpipe.NewBatch(lost, 1)
	lostRow.Columns[0].AppendInt(3)
	lostRow.Rows = 1
	ds, csvs := filepath.Join(dir, "ds"), filepath.Join(dir, "csvs")
	record(t, sinks.Output{Path: ds}, rows(a, 1000, 4000), rows(z, 2000, 3000, 9000), lostRow, rows(a, 5000))
	record(t, sinks.Output{Path: csvs, Format: "csv"}, rows(a, 1000), rows(a, 2000, 3000))
	files := map[string]string{}
	for _, ext := range []string{"parquet", "arrow", "arrows", "csv", "ndjson", "txt"} {
		files[ext] = filepath.Join(dir, "x."+ext)
		record(t, sinks.Output{Path: files[ext]}, rows(a, 1000, 2000))
	}
	empty := filepath.Join(dir, "empty.parquet")
	record(t, sinks.Output{Path: empty}, rows(a))
	const csvHead = "time,ts,cpu,pid,tid,comm,addr\r\n"
	csvLine := func(ts string) string {
		return "1970-01-01T00:00:00.00000" + ts[:1] + "Z," + ts + ",1,7,8,sh,18446744073709551615\r\n"
	}
	jsonLine := func(ev, ts string) string {
		return "{" + ev + `"time":"1970-01-01T00:00:00.00000` + ts[:1] + `Z","ts":` + ts + `,"cpu":1,"pid":7,"tid":8,"comm":"sh","addr":18446744073709551615}` + "\n"
	}
	txt := line("0.000001", "sched:a") + line("0.000002", "sched:a")
	for _, c := range []struct {
		name, path string
		o          view.Options
		want       string
	}{
		{"parquet", files["parquet"], view.Options{}, txt},
		{"arrow", files["arrow"], view.Options{Format: "txt"}, txt},
		{"arrows", files["arrows"], view.Options{}, txt},
		{"txt as it is", files["txt"], view.Options{}, txt},
		{"csv as it is", files["csv"], view.Options{}, csvHead + csvLine("1000") + csvLine("2000")},
		{"ndjson as it is", files["ndjson"], view.Options{Rows: 1}, jsonLine("", "1000")},
		{"csv, one row", files["csv"], view.Options{Rows: 1}, csvHead + csvLine("1000")},
		{"parquet to csv", files["parquet"], view.Options{Format: "csv"}, csvHead + csvLine("1000") + csvLine("2000")},
		{"arrow to ndjson", files["arrow"], view.Options{Format: "ndjson"}, jsonLine("", "1000") + jsonLine("", "2000")},
		{"no rows", empty, view.Options{}, ""},
		{"no rows, csv", empty, view.Options{Format: "csv"}, csvHead},
		{"dataset in order of time", ds, view.Options{}, line("0.000001", "sched:a") + line("0.000002", "sched:z") + line("0.000003", "sched:z") + line("0.000004", "sched:a") + line("0.000005", "sched:a") + line("0.000009", "sched:z")},
		{"dataset, first rows", ds, view.Options{Rows: 2}, line("0.000001", "sched:a") + line("0.000002", "sched:z")},
		{"dataset as ndjson", ds, view.Options{Format: "ndjson", Rows: 2}, jsonLine(`"event":"sched:a",`, "1000") + jsonLine(`"event":"sched:z",`, "2000")},
		{"one table by its event", ds, view.Options{Table: "sched:a", Format: "csv"}, csvHead + csvLine("1000") + csvLine("4000") + csvLine("5000")},
		{"one table by its name", ds, view.Options{Table: "sched.a", Rows: 1}, line("0.000001", "sched:a")},
		{"own table", ds, view.Options{Table: "_lost"}, "_lost: count=3\n"},
		{"dataset of csv: one header", csvs, view.Options{}, csvHead + csvLine("1000") + csvLine("2000") + csvLine("3000")},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := show(c.path, c.o)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v\nwant %q", got, err, c.want)
			}
		})
	}
}

func TestPrintErrors(t *testing.T) {
	dir := t.TempDir()
	ds := filepath.Join(dir, "ds")
	record(t, sinks.Output{Path: ds}, rows(event("sched:a"), 1), rows(event("sched:z"), 1))
	file := filepath.Join(dir, "x.parquet")
	record(t, sinks.Output{Path: file}, rows(event("sched:a"), 1))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bare := filepath.Join(dir, "bare")
	os.Mkdir(bare, 0o700)
	flipped := bytes.Clone(whole)
	for i := 10; i < 80; i++ {
		flipped[i] ^= 0xff
	}
	for _, c := range []struct {
		name, path string
		o          view.Options
		usage      bool
		want       string
	}{
		{"missing", filepath.Join(dir, "none"), view.Options{}, false, "no such file"},
		{"cut short", put("cut.parquet", whole[:len(whole)-9]), view.Options{}, false, "cut.parquet"},
		{"damaged pages", put("flipped.parquet", flipped), view.Options{}, false, "flipped.parquet"},
		{"of no kind", put("x.bin", []byte("hello")), view.Options{}, false, "unknown kind"},
		{"empty file", put("e.arrow", nil), view.Options{}, false, "too few"},
		{"no dataset", bare, view.Options{}, false, "no tables"},
		{"unknown format", file, view.Options{Format: "xml"}, true, "txt"},
		{"table of a file", file, view.Options{Table: "x"}, true, "one file"},
		{"unknown table", ds, view.Options{Table: "sched:b"}, true, "sched.a, sched.z"},
		{"several as csv", ds, view.Options{Format: "csv"}, true, "--table"},
		{"text as something else", put("t.csv", []byte("a\r\n")), view.Options{Format: "ndjson"}, true, "csv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := show(c.path, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, view.ErrUsage) != c.usage {
				t.Errorf("got %v, want an error that says %q (usage: %v)", err, c.want, c.usage)
			}
		})
	}
}

// TestLiveStream shows rows of a stream that has not ended.
func TestLiveStream(t *testing.T) {
	in, feed := io.Pipe()
	out, shown := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := view.Print(shown, in, "-", view.Options{})
		shown.Close()
		ended <- err
	}()
	s, err := sinks.Open(sinks.Output{Path: "-"}, sinks.Run{Stdout: feed})
	if err != nil {
		t.Fatal(err)
	}
	want := line("0.000001", "sched:a")
	tab := event("sched:a")
	for range 3 {
		if err := errors.Join(s.Write(rows(tab, 1000)), s.Sync(perfpipe.SyncFlush)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
			t.Fatalf("while it records: got %q, %v, want %q", got, err, want)
		}
	}
	if err := s.Close(perfpipe.Summary{}); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if rest, err := io.ReadAll(out); len(rest) > 0 || err != nil {
		t.Errorf("after the end: got %q, %v, want nothing", rest, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("print: %v", err)
	}
}

// Nulls and lists of texts, as rows of probes with stacks have them.
func TestNullsAndStacks(t *testing.T) {
	tab := event("uprobe:readline")
	tab.Columns = append(tab.Columns,
		perfpipe.ColumnDef{Name: "line", Type: perfpipe.TypeString, Nullable: true},
		perfpipe.ColumnDef{Name: "n", Type: perfpipe.TypeInt32, Nullable: true},
		perfpipe.ColumnDef{Name: "truncated", Type: perfpipe.TypeBool},
		perfpipe.ColumnDef{Name: "stack", Type: perfpipe.TypeList, Elem: perfpipe.TypeString, Nullable: true})
	b := rows(tab, 1000, 2000)
	c := b.Columns[7:]
	c[0].AppendString("ls -l")
	c[0].AppendNull()
	c[1].AppendInt(7)
	c[1].AppendNull()
	c[2].AppendInt(1)
	c[2].AppendInt(0)
	c[3].Child.AppendString("readline+0x0")
	c[3].Child.AppendString("[unknown] 0x12 (/bin/a)")
	c[3].EndList()
	c[3].AppendNull()
	for _, ext := range []string{"parquet", "arrow"} {
		path := filepath.Join(t.TempDir(), "x."+ext)
		record(t, sinks.Output{Path: path}, b)
		for format, want := range map[string][2]string{
			"txt":    {`line="ls -l" n=7 truncated=true stack=[readline+0x0,"[unknown] 0x12 (/bin/a)"]`, " truncated=false"},
			"csv":    {`ls -l,7,true,"[""readline+0x0"",""[unknown] 0x12 (/bin/a)""]"`, ",,,false,"},
			"ndjson": {`"line":"ls -l","n":7,"truncated":true,"stack":["readline+0x0","[unknown] 0x12 (/bin/a)"]}`, `"truncated":false}`},
		} {
			got, err := show(path, view.Options{Format: format})
			lines := strings.Split(strings.TrimRight(strings.ReplaceAll(got, "\r", ""), "\n"), "\n")
			if err != nil || len(lines) < 2 {
				t.Fatalf("%s as %s: got %q, %v", ext, format, got, err)
			}
			lines = lines[len(lines)-2:]
			for i := range lines {
				if !strings.HasSuffix(lines[i], want[i]) || strings.Contains(lines[i], "null") {
					t.Errorf("%s as %s: got %q, want %q at its end", ext, format, lines[i], want[i])
				}
			}
		}
	}
}
