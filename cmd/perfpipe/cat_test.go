package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks"
)

func TestCat(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.parquet")
	s, err := sinks.Open(sinks.Output{Path: file}, sinks.Run{})
	if err != nil {
		t.Fatal(err)
	}
	tab := &perfpipe.Table{Name: "tab", Columns: []perfpipe.ColumnDef{{Name: "n", Type: perfpipe.TypeUint64}}}
	b := perfpipe.NewBatch(tab, 2)
	b.Columns[0].AppendInt(1)
	b.Columns[0].AppendInt(^uint64(0))
	b.Rows = 2
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(perfpipe.Summary{Complete: true}); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.parquet")
	if err := os.WriteFile(broken, []byte("PAR1 and then nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		out  string
		err  string
	}{
		{"lines", []string{"cat", file}, exitOK, "tab: n=1\ntab: n=18446744073709551615\n", ""},
		{"ndjson, one row", []string{"cat", "--format", "ndjson", "-n", "1", file}, exitOK, "{\"n\":1}\n", ""},
		{"damaged", []string{"cat", broken}, exitRuntime, "", "broken.parquet"},
		{"missing", []string{"cat", filepath.Join(dir, "none")}, exitRuntime, "", "no such file"},
		{"no argument", []string{"cat"}, exitUsage, "", "takes one file or folder"},
		{"unknown format", []string{"cat", "--format", "xml", file}, exitUsage, "", "use csv, ndjson, txt"},
		{"negative rows", []string{"cat", "-n", "-1", file}, exitUsage, "", "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(context.Background(), c.args, strings.NewReader(""), &out, &errs)
			if code != c.code || out.String() != c.out || !strings.Contains(errs.String(), c.err) {
				t.Errorf("got status %d, %q, %q, want %d, %q and an error with %q", code, out.String(), errs.String(), c.code, c.out, c.err)
			}
		})
	}
}
