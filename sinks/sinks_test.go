package sinks

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func oneColumn(name string) *perfpipe.Table {
	return &perfpipe.Table{Name: name, Columns: []perfpipe.ColumnDef{{Name: "ts", Type: perfpipe.TypeInt64}}}
}

func batchOf(t *perfpipe.Table, rows int) *perfpipe.Batch {
	b := perfpipe.NewBatch(t, rows)
	for i := range rows {
		b.Columns[0].AppendInt(uint64(i))
	}
	b.Rows = rows
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dirNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestOpenChoosesFormat(t *testing.T) {
	for _, c := range []struct {
		o     Output
		one   bool
		magic string // of the file
		file  string
	}{
		{Output{Path: "x.parquet"}, true, "PAR1", "x.parquet"},
		{Output{Path: "x.arrow"}, true, "ARROW1", "x.arrow"},
		{Output{Path: "x.arrows"}, true, "\xff\xff\xff\xff", "x.arrows"},
		{Output{Path: "x.csv"}, true, "ts\r\n", "x.csv"},
		{Output{Path: "x.ndjson"}, true, `{"ts":0}`, "x.ndjson"},
		{Output{Path: "x.txt"}, true, "tab: ts=0", "x.txt"},
		{Output{Path: "x.csv", Format: "ndjson"}, true, `{"ts":0}`, "x.csv"},
		{Output{Path: "x"}, false, "PAR1", "x/tab/part-000000.parquet"},
		{Output{Path: "x.data"}, false, "PAR1", "x.data/tab/part-000000.parquet"},
		{Output{Path: "x", Format: "arrow"}, false, "ARROW1", "x/tab/part-000000.arrow"},
	} {
		dir := t.TempDir()
		if got := OneTable(c.o); got != c.one {
			t.Errorf("%+v: one table: got %v, want %v", c.o, got, c.one)
		}
		c.o.Path = filepath.Join(dir, c.o.Path)
		s, err := Open(c.o, Run{})
		must(t, err)
		must(t, s.Write(batchOf(oneColumn("tab"), 2)))
		must(t, s.Close(perfpipe.Summary{Complete: true}))
		b, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil || !strings.HasPrefix(string(b), c.magic) {
			t.Errorf("%+v: got %.20q, %v, want a file that begins with %q", c.o, b, err, c.magic)
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "old.parquet"), nil, 0o600))
	for _, c := range []struct {
		name string
		o    Output
		r    Run
		want []string
	}{
		{"no path", Output{}, Run{}, []string{"path is empty"}},
		{"unknown format", Output{Path: filepath.Join(dir, "x"), Format: "orc"}, Run{}, []string{"orc", "parquet, arrow, arrows, csv, ndjson, txt"}},
		{"unknown compression", Output{Path: filepath.Join(dir, "x.parquet"), Compression: "lz4"}, Run{}, []string{"lz4", "zstd, snappy, gzip or none"}},
		{"compression of Arrow", Output{Path: filepath.Join(dir, "x.arrow"), Compression: "gzip"}, Run{}, []string{"gzip", "none or zstd"}},
		{"level of Arrow", Output{Path: filepath.Join(dir, "x.arrow"), Level: 3}, Run{}, []string{"level 3"}},
		{"compression of text", Output{Path: filepath.Join(dir, "x.csv"), Compression: "zstd"}, Run{}, []string{"csv is not compressed"}},
		{"parquet on stdout", Output{Path: "-", Format: "parquet"}, Run{Stdout: new(bytes.Buffer)}, []string{"parquet", "arrows, csv, ndjson or txt"}},
		{"arrow file on stdout", Output{Path: "-", Format: "arrow"}, Run{Stdout: new(bytes.Buffer)}, []string{"arrow", "arrows"}},
		{"no stdout", Output{Path: "-"}, Run{}, []string{"no standard output"}},
		{"existing file", Output{Path: filepath.Join(dir, "old.parquet")}, Run{}, []string{"old.parquet", "exists already"}},
		{"existing folder", Output{Path: dir}, Run{}, []string{dir, "not empty"}},
	} {
		_, err := Open(c.o, c.r)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want an error that says %q", c.name, err, w)
			}
		}
	}
	if got := dirNames(t, dir); !slices.Equal(got, []string{"old.parquet"}) {
		t.Errorf("names: got %v, want old.parquet alone", got)
	}
}

func TestFileRotation(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Output{Path: filepath.Join(dir, "out.csv")}, Run{Rotate: true, MaxFiles: 2})
	must(t, err)
	tab := oneColumn("tab")
	for range 4 {
		must(t, s.Write(batchOf(tab, 3)))
		must(t, s.Sync(perfpipe.SyncRotate))
		must(t, s.Sync(perfpipe.SyncRotate))
	}
	must(t, s.Write(batchOf(tab, 0)))
	must(t, s.Close(perfpipe.Summary{Complete: true}))
	if got, want := dirNames(t, dir), []string{"out-000002.csv", "out-000003.csv"}; !slices.Equal(got, want) {
		t.Errorf("names: got %v, want %v", got, want)
	}
	if got, want := s.Bytes(), int64(4*len("ts\r\n0\r\n1\r\n2\r\n")); got != want {
		t.Errorf("bytes: got %d, want %d", got, want)
	}
}

func TestFileNeedsRows(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Output{Path: filepath.Join(dir, "out.parquet")}, Run{})
	must(t, err)
	must(t, s.Write(batchOf(oneColumn("_lost"), 3))) // a single file has no room for it
	must(t, s.Close(perfpipe.Summary{}))
	if got := dirNames(t, dir); len(got) != 0 {
		t.Errorf("names of a run that never had a table: got %v, want none", got)
	}
	s, err = Open(Output{Path: filepath.Join(dir, "out.parquet")}, Run{})
	must(t, err)
	must(t, s.Write(batchOf(oneColumn("tab"), 0)))
	must(t, s.Close(perfpipe.Summary{}))
	if got := dirNames(t, dir); !slices.Equal(got, []string{"out.parquet"}) {
		t.Errorf("names of a run whose event never fired: got %v, want an empty table", got)
	}
}

// shut is a standard output whose reader has gone.
type shut struct{ err error }

func (s shut) Write([]byte) (int, error) { return 0, s.err }

func TestStreamError(t *testing.T) {
	gone := errors.New("broken pipe")
	for _, format := range []string{"arrows", "csv", "ndjson", "txt"} {
		s, err := Open(Output{Path: "-", Format: format}, Run{Stdout: shut{gone}})
		must(t, err)
		err = errors.Join(s.Write(batchOf(oneColumn("tab"), 2)), s.Sync(perfpipe.SyncFlush))
		if !errors.Is(err, gone) {
			t.Errorf("%s: got %v, want the error of the pipe", format, err)
		}
		if err := s.Write(batchOf(oneColumn("tab"), 2)); !errors.Is(err, gone) {
			t.Errorf("%s: later write: got %v, want the same error", format, err)
		}
		must(t, s.Close(perfpipe.Summary{}))
	}
}
