package parquet

import (
	"bytes"
	"fmt"
	"testing"

	parquetgo "github.com/parquet-go/parquet-go"

	"github.com/perfpipe/perfpipe"
)

// TestBloom: filters say of every value of a row group that it may be there, and of most
// others that they are not.
func TestBloom(t *testing.T) {
	table := &perfpipe.Table{Name: "t", Columns: []perfpipe.ColumnDef{
		{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		{Name: "pid", Type: perfpipe.TypeInt32, Hint: perfpipe.HintFew},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "id", Type: perfpipe.TypeInt64},
		{Name: "state", Type: perfpipe.TypeInt8},
		{Name: "addr", Type: perfpipe.TypeUint64},
		{Name: "name", Type: perfpipe.TypeString, Nullable: true},
	}}
	b := perfpipe.NewBatch(table, 0)
	const rows = 50_000
	for i := range rows {
		k := i % 100
		c := b.Columns
		c[0].AppendInt(uint64(i))
		c[1].AppendInt(uint64(1000 + 10*k))
		c[2].AppendString(fmt.Sprintf("task-%d", 10*k))
		c[3].AppendInt(uint64(int64(-10 * (k % 20))))
		c[4].AppendInt(uint64(-(k % 4)))
		c[5].AppendInt(uint64(i) * 0x9e3779b97f4a7c15)
		if k%2 == 0 {
			c[6].AppendNull()
		} else {
			c[6].AppendString(fmt.Sprintf("a name that is longer than 16 bytes, %d", k))
		}
	}
	b.Rows = rows
	file := roundTrip(t, Options{GroupRows: 20_000}, b)
	f, err := parquetgo.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range f.RowGroups() {
		chunks := g.ColumnChunks()
		for _, i := range []int{0, 5} {
			if chunks[i].BloomFilter() != nil {
				t.Errorf("column %s: it has a filter", table.Columns[i].Name)
			}
		}
		check := func(i int, v parquetgo.Value) bool {
			t.Helper()
			bf := chunks[i].BloomFilter()
			if bf == nil {
				t.Fatalf("column %s: it has no filter", table.Columns[i].Name)
			}
			ok, err := bf.Check(v)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		wrong := 0
		for k := range 1000 {
			for i, v := range map[int]parquetgo.Value{
				1: parquetgo.ValueOf(int32(1000 + k)),
				2: parquetgo.ValueOf(fmt.Sprintf("task-%d", k)),
				3: parquetgo.ValueOf(int64(-k)),
			} {
				in := k%10 == 0 && (i != 3 || k < 200)
				switch ok := check(i, v); {
				case in && !ok:
					t.Errorf("column %s: %v is there, the filter says it is not", table.Columns[i].Name, v)
				case !in && ok:
					wrong++
				}
			}
		}
		if wrong > 200 {
			t.Errorf("filters: %d of 2700 values that are not there seem to be", wrong)
		}
		for k := range 4 {
			if !check(4, parquetgo.ValueOf(int32(-k))) {
				t.Errorf("column state: %d is there, the filter says it is not", -k)
			}
		}
		if !check(6, parquetgo.ValueOf("a name that is longer than 16 bytes, 7")) {
			t.Error("column name: a text is there, the filter says it is not")
		}
	}
	// Named columns alone.
	file = roundTrip(t, Options{Bloom: []string{"pid"}}, b)
	if f, err = parquetgo.OpenFile(bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	for i, c := range f.RowGroups()[0].ColumnChunks() {
		if got, want := c.BloomFilter() != nil, i == 1; got != want {
			t.Errorf("column %s: got filter %v, want %v", table.Columns[i].Name, got, want)
		}
	}
}
