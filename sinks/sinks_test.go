package sinks

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func demoTable(name string) *perfpipe.Table {
	return &perfpipe.Table{Name: name, Meta: map[string]string{"event": "demo:" + name}, Columns: []perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		{Name: "cpu", Type: perfpipe.TypeUint16, Hint: perfpipe.HintFew},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "args", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64},
		{Name: "note", Type: perfpipe.TypeUint32, Nullable: true},
	}}
}

func demoBatch(t *perfpipe.Table, from, rows int) *perfpipe.Batch {
	b := perfpipe.NewBatch(t, rows)
	for i := from; i < from+rows; i++ {
		c := b.Columns
		c[0].AppendInt(uint64(1764000000000000 + i))
		c[1].AppendInt(uint64(1000 * i))
		c[2].AppendInt(uint64(i % 4))
		c[3].AppendString([]string{"bash", "", "swapper/0"}[i%3])
		for j := range i % 4 {
			c[4].Child.AppendInt(^uint64(0) - uint64(j))
		}
		c[4].EndList()
		if i%5 == 0 {
			c[5].AppendNull()
		} else {
			c[5].AppendInt(uint64(i))
		}
	}
	b.Rows = rows
	if rows > 0 {
		b.MinTime, b.MaxTime = int64(1000*from), int64(1000*(from+rows-1))
	}
	return b
}

func TestOpenDataset(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rec")
	s, err := Open(Output{Path: dir}, Run{Host: "h", Kernel: "k", Version: "v"})
	if err != nil {
		t.Fatal(err)
	}
	a, z := demoTable("a"), demoTable("z")
	for _, b := range []*perfpipe.Batch{demoBatch(a, 0, 100), demoBatch(z, 0, 0), demoBatch(a, 100, 70000)} {
		if err := s.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(perfpipe.Summary{Complete: true}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Files []struct {
			Path string
			Rows int64
		}
		Totals struct{ Rows int64 }
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Files) != 2 || m.Totals.Rows != 70100 {
		t.Errorf("manifest: got %+v, want 2 files and 70100 rows", m)
	}
}
