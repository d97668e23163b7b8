//go:build readers

// Package readers reads what perfpipe writes with the readers that its users
// have: DuckDB, ClickHouse, Polars, arrow-js, parquet-wasm and hyparquet. It needs
// node and the packages of package-lock.json; `make test-readers` sees to both.
package readers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/sinks"
)

// expectation is expect.json, as check.mjs describes it.
type expectation struct {
	Tables map[string]table `json:"tables"`
	Files  []file           `json:"files"`
}

type table struct {
	Columns []column         `json:"columns,omitempty"`
	Values  map[string][]any `json:"values,omitempty"`
}

type column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Elem     string `json:"elem,omitempty"`
	Nullable bool   `json:"nullable"`
	Values   []any  `json:"values"`
}

type file struct {
	Path   string `json:"path"`
	Format string `json:"format"`
	Table  string `json:"table"`
	Rows   int    `json:"rows"`
}

// check runs check.mjs on dir, whose expect.json it writes first.
func check(t *testing.T, dir string, e expectation) {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "expect.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatalf("find the readers: %v; run `npm ci` in readers, or `make test-readers`", err)
	}
	out, err := exec.Command(testpriv.NeedTool(t, "node"), "check.mjs", dir).CombinedOutput()
	t.Logf("node check.mjs:\n%s", out)
	if err != nil {
		t.Fatalf("a reader disagrees with what was written: node check.mjs: %v", err)
	}
}

// formats are the endings that a table's file may have, by the name check.mjs knows.
var formats = []string{"parquet", "arrow", "arrows"}

// TestSyntheticTables writes rows of every type, with their extremes, through
// every sink whose files others read.
func TestSyntheticTables(t *testing.T) {
	dir := t.TempDir()
	e := expectation{Tables: map[string]table{}}
	tables := []struct {
		name string
		rows int
		// memory bounds the open row group, so that the larger tables have several.
		memory int64
		def    *perfpipe.Table
	}{
		{"required", 20_000, 2 << 20, requiredTable()},
		{"nullable", 50_000, 12 << 20, nullableTable()},
		{"one", 1, 0, requiredTable()},
		{"empty", 0, 0, nullableTable()},
	}
	for _, tt := range tables {
		batches := makeBatches(tt.def, tt.rows)
		e.Tables[tt.name] = tableOf(tt.def, batches)
		for _, format := range formats {
			f := file{Path: tt.name + "." + format, Format: format, Table: tt.name, Rows: tt.rows}
			write(t, sinks.Output{Path: filepath.Join(dir, f.Path)}, sinks.Run{Memory: tt.memory}, batches)
			e.Files = append(e.Files, f)
		}
	}
	small := makeBatches(nullableTable(), 3000)
	e.Tables["small"] = tableOf(nullableTable(), small)
	for _, compression := range []string{"zstd", "snappy", "gzip", "none"} {
		f := file{Path: "small-" + compression + ".parquet", Format: "parquet", Table: "small", Rows: 3000}
		write(t, sinks.Output{Path: filepath.Join(dir, f.Path), Compression: compression}, sinks.Run{}, small)
		e.Files = append(e.Files, f)
	}
	check(t, dir, e)
}

func write(t *testing.T, o sinks.Output, r sinks.Run, batches []*perfpipe.Batch) {
	t.Helper()
	s, err := sinks.Open(o, r)
	if err != nil {
		t.Fatal(err)
	}
	sum := perfpipe.Summary{Complete: true}
	for _, b := range batches {
		if err := s.Write(b); err != nil {
			t.Fatalf("write %s: %v", o.Path, err)
		}
		sum.Rows += uint64(b.Rows)
	}
	if err := s.Close(sum); err != nil {
		t.Fatalf("close %s: %v", o.Path, err)
	}
}

// tableOf says what the readers must find, from the batches that were written.
func tableOf(def *perfpipe.Table, batches []*perfpipe.Batch) table {
	var out table
	for i, d := range def.Columns {
		c := column{Name: d.Name, Type: typeName(d.Type), Nullable: d.Nullable, Values: []any{}}
		if d.Type == perfpipe.TypeList {
			c.Elem = typeName(d.Elem)
		}
		for _, b := range batches {
			for row := range b.Rows {
				c.Values = append(c.Values, valueOf(&b.Columns[i], row))
			}
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

func typeName(t perfpipe.Type) string {
	if t == perfpipe.TypeTimestamp {
		return "timestamp"
	}
	return t.String()
}

// valueOf returns one value as expect.json has it.
func valueOf(c *perfpipe.Column, row int) any {
	if c.IsNull(row) {
		return nil
	}
	switch c.Type {
	case perfpipe.TypeBool:
		return c.Int(row) != 0
	case perfpipe.TypeString:
		return string(c.Text(row))
	case perfpipe.TypeList:
		list := []any{}
		for i := c.Offsets[row]; i < c.Offsets[row+1]; i++ {
			list = append(list, valueOf(c.Child, int(i)))
		}
		return list
	}
	if c.Type.Signed() {
		return strconv.FormatInt(int64(c.Int(row)), 10)
	}
	return strconv.FormatUint(c.Int(row), 10)
}
