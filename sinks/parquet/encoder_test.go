package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/sinktest"
)

// column1 is a table of one column.
func column1(d perfpipe.ColumnDef) *perfpipe.Table {
	if d.Name == "" {
		d.Name = "v"
	}
	return &perfpipe.Table{Name: "t", Columns: []perfpipe.ColumnDef{d}}
}

// ints is a batch of one column of integers; nil is a null.
func ints(t *perfpipe.Table, vals ...any) *perfpipe.Batch {
	b := perfpipe.NewBatch(t, len(vals))
	for _, v := range vals {
		sinktest.Append(b, []any{v})
	}
	return b
}

// write encodes batches of one table and returns the file.
func write(t *testing.T, o Options, batches ...*perfpipe.Batch) []byte {
	t.Helper()
	var out bytes.Buffer
	e, err := New(&out, batches[0].Table, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := e.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func footer(t *testing.T, file []byte) *format.FileMetaData {
	t.Helper()
	f, err := readFooter(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// decode reads a structure from the front of b.
func decode(b []byte, v any) error {
	return thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(bytes.NewReader(b))).Decode(v)
}

func readAll(file []byte) ([]sinktest.Row, error) {
	r, err := NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var rows []sinktest.Row
	b := perfpipe.NewBatch(r.Table(), 0)
	for {
		if err := r.Read(b); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, sinktest.Canon(b)...)
	}
}

// roundTrip writes batches and wants the same rows back.
func roundTrip(t *testing.T, o Options, batches ...*perfpipe.Batch) []byte {
	t.Helper()
	var want []sinktest.Row
	for _, b := range batches {
		want = append(want, sinktest.Canon(b)...)
	}
	file := write(t, o, batches...)
	got, err := readAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, func(a, b sinktest.Row) bool { return slices.Equal(a, b) }) {
		t.Fatalf("rows: got %d unlike the %d written", len(got), len(want))
	}
	return file
}

func TestStatistics(t *testing.T) {
	u32 := func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	u64 := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	long := strings.Repeat("x", maxBoundText+1)
	for _, c := range []struct {
		name     string
		def      perfpipe.ColumnDef
		vals     []any
		min, max []byte
		nulls    int64
	}{
		{"unsigned, nullable", perfpipe.ColumnDef{Type: perfpipe.TypeUint32, Nullable: true}, []any{uint64(1), nil, uint64(math.MaxUint32)}, u32(1), u32(math.MaxUint32), 1},
		{"unsigned 64, nullable", perfpipe.ColumnDef{Type: perfpipe.TypeUint64, Nullable: true}, []any{uint64(math.MaxUint64), nil, uint64(2)}, u64(2), u64(math.MaxUint64), 1},
		{"unsigned", perfpipe.ColumnDef{Type: perfpipe.TypeUint64}, []any{uint64(1 << 63), uint64(5)}, u64(5), u64(1 << 63), 0},
		{"narrow, signed", perfpipe.ColumnDef{Type: perfpipe.TypeInt8}, []any{int64(-128), int64(127)}, u32(0xffffff80), u32(127), 0},
		{"narrow, unsigned", perfpipe.ColumnDef{Type: perfpipe.TypeUint16}, []any{uint64(65535), uint64(3)}, u32(3), u32(65535), 0},
		{"signed", perfpipe.ColumnDef{Type: perfpipe.TypeInt64}, []any{int64(-5), int64(math.MaxInt64)}, u64(math.MaxUint64 - 4), u64(math.MaxInt64), 0},
		{"time", perfpipe.ColumnDef{Type: perfpipe.TypeTimestamp}, []any{int64(-1), int64(7)}, u64(math.MaxUint64), u64(7), 0},
		{"bool", perfpipe.ColumnDef{Type: perfpipe.TypeBool}, []any{true, false}, []byte{0}, []byte{1}, 0},
		{"string", perfpipe.ColumnDef{Type: perfpipe.TypeString}, []any{"b", "\xff", "a"}, []byte("a"), []byte("\xff"), 0},
		{"empty string", perfpipe.ColumnDef{Type: perfpipe.TypeString}, []any{"b", ""}, nil, nil, 0},
		{"long string", perfpipe.ColumnDef{Type: perfpipe.TypeString}, []any{"b", long}, nil, nil, 0},
		{"all null", perfpipe.ColumnDef{Type: perfpipe.TypeUint32, Nullable: true}, []any{nil, nil}, nil, nil, 2},
		{"list", perfpipe.ColumnDef{Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64}, []any{[]any{uint64(1)}, []any{}}, nil, nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := roundTrip(t, Options{}, ints(column1(c.def), c.vals...))
			f := footer(t, file)
			s := f.RowGroups[0].Columns[0].MetaData.Statistics
			if !bytes.Equal(s.MinValue, c.min) || !bytes.Equal(s.MaxValue, c.max) || s.NullCount != c.nulls {
				t.Errorf("statistics: got min %x, max %x, %d nulls, want %x, %x, %d", s.MinValue, s.MaxValue, s.NullCount, c.min, c.max, c.nulls)
			}
			if s.Min != nil || s.Max != nil {
				t.Errorf("old statistics, which compare all as signed: got %x and %x, want none", s.Min, s.Max)
			}
			if _, ok := f.ColumnOrders[0].Value.(*format.TypeDefinedOrder); !ok {
				t.Errorf("column order: got %v, want that of the type", f.ColumnOrders[0].Value)
			}
		})
	}
}

// faulty fails its n-th write, and takes all others.
type faulty struct{ n int }

var errFault = errors.New("fault")

func (f *faulty) Write(b []byte) (int, error) {
	f.n--
	if f.n == 0 {
		return 0, errFault
	}
	return len(b), nil
}

// TestErrorSticks lets one write fail and all later ones go well: what was lost
// must be told by that call, by every later one, and by each Close.
func TestErrorSticks(t *testing.T) {
	l := mixLoad()
	b := l.batch(1000, 1)
	var all counts
	if err := drive(&all, b); err != nil {
		t.Fatal(err)
	}
	if all < 20 {
		t.Fatalf("writes of the whole file: got %d, want more", all)
	}
	for n := 1; n <= int(all); n++ {
		if err := drive(&faulty{n}, b); !errors.Is(err, errFault) {
			t.Errorf("write %d of %d fails: got %v, want the fault from each call from then on", n, all, err)
		}
	}
}

type counts int

func (c *counts) Write(b []byte) (int, error) { *c++; return len(b), nil }

// drive writes a file of four row groups and returns the first error, or a
// complaint if a later call forgot it.
func drive(w io.Writer, b *perfpipe.Batch) error {
	e, err := New(w, b.Table, Options{GroupRows: 500})
	if err != nil {
		return err
	}
	calls := []func() error{func() error { return e.Write(b) }, e.Flush, func() error { return e.Write(b) }, e.Release, func() error { return e.Close(nil) }, func() error { return e.Close(nil) }}
	var first error
	for _, call := range calls {
		switch err := call(); {
		case first == nil:
			first = err
		case err == nil:
			return errors.New("a call after the error returned none")
		}
	}
	return first
}

func TestSchemaShape(t *testing.T) {
	table, rows := sinktest.Extremes("x")
	b := perfpipe.NewBatch(table, 0)
	sinktest.Append(b, rows[0])
	f := footer(t, write(t, Options{}, b))
	root := f.Schema[0]
	if root.RepetitionType.Valid {
		t.Errorf("root: got repetition %v, want none", root.RepetitionType.V)
	}
	byName := map[string]format.SchemaElement{}
	for _, e := range f.Schema[1:] {
		byName[e.Name] = e
	}
	for name, want := range map[string]string{
		"int8": "REQUIRED INT32 INT(8,true)", "uint16": "REQUIRED INT32 INT(16,false)", "uint32_null": "OPTIONAL INT32 INT(32,false)",
		"uint64": "REQUIRED INT64 INT(64,false)", "string": "REQUIRED BYTE_ARRAY STRING", "time": "REQUIRED INT64 TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)",
		"bool": "REQUIRED BOOLEAN ", "list_uint64": "REQUIRED group LIST", "list_uint64_null": "OPTIONAL group LIST",
	} {
		e := byName[name]
		got := e.RepetitionType.V.String() + " group " + e.LogicalType.String()
		if e.Type.Valid {
			got = e.RepetitionType.V.String() + " " + e.Type.V.String() + " " + e.LogicalType.String()
		}
		if got != want {
			t.Errorf("column %s: got %q, want %q", name, got, want)
		}
	}
}

func TestRowGroups(t *testing.T) {
	table := column1(perfpipe.ColumnDef{Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted})
	var small []*perfpipe.Batch
	for i := range 100 {
		small = append(small, ints(table, int64(2*i), int64(2*i+1)))
	}
	for _, c := range []struct {
		name string
		o    Options
		want []int64
	}{
		{"one for many writes", Options{}, []int64{200}},
		{"bounded in rows", Options{GroupRows: 80}, []int64{80, 80, 40}},
		{"bounded in bytes", Options{GroupBytes: 16 * 75}, []int64{150, 50}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := footer(t, roundTrip(t, c.o, small...))
			var got []int64
			for _, g := range f.RowGroups {
				got = append(got, g.NumRows)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("row groups: got %v, want %v", got, c.want)
			}
		})
	}
}

func TestUnknownCompression(t *testing.T) {
	for _, c := range []struct {
		codec string
		level int
	}{{"lz4", 0}, {"lzo", 0}, {"brotli", 0}, {"ZSTD", 0}, {"zstd", 23}, {"zstd", -1}, {"gzip", 10}, {"snappy", 1}, {"none", 3}} {
		if _, err := NewScratch(c.codec, c.level); err == nil {
			t.Errorf("%s level %d: got no error, want one", c.codec, c.level)
		}
	}
	_, err := NewScratch("lz4", 0)
	for _, name := range Codecs() {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error for lz4: got %v, want one that names %s", err, name)
		}
	}
}

func TestNullWhereNoneMayBe(t *testing.T) {
	nullable := column1(perfpipe.ColumnDef{Type: perfpipe.TypeInt32, Nullable: true})
	b := ints(nullable, int64(1), nil)
	for name, spoil := range map[string]func(b *perfpipe.Batch){
		"validity of a required column": func(b *perfpipe.Batch) { b.Table = column1(perfpipe.ColumnDef{Type: perfpipe.TypeInt32}) },
		"fewer values than rows":        func(b *perfpipe.Batch) { b.Rows++ },
		"memory too short":              func(b *perfpipe.Batch) { b.Columns[0].Data = b.Columns[0].Data[:5] },
		"another type":                  func(b *perfpipe.Batch) { b.Columns[0].Type = perfpipe.TypeUint32 },
		"validity too short":            func(b *perfpipe.Batch) { b.Columns[0].Valid = b.Columns[0].Valid[:0] },
	} {
		c := *b
		c.Columns = slices.Clone(b.Columns)
		spoil(&c)
		e, err := New(io.Discard, c.Table, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write(&c); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// TestVoidPages are pages without a value in encodings that cannot have none.
func TestVoidPages(t *testing.T) {
	void := make([]any, 70_000)
	empty := make([]any, 70_000)
	for i := range empty {
		empty[i] = []any{}
	}
	for name, c := range map[string]struct {
		def  perfpipe.ColumnDef
		vals []any
	}{
		"delta":   {perfpipe.ColumnDef{Type: perfpipe.TypeInt64, Nullable: true, Hint: perfpipe.HintSorted}, void},
		"dict":    {perfpipe.ColumnDef{Type: perfpipe.TypeUint16, Nullable: true, Hint: perfpipe.HintFew}, void},
		"strings": {perfpipe.ColumnDef{Type: perfpipe.TypeString, Nullable: true}, void},
		"bools":   {perfpipe.ColumnDef{Type: perfpipe.TypeBool, Nullable: true}, void},
		"lists":   {perfpipe.ColumnDef{Type: perfpipe.TypeList, Elem: perfpipe.TypeInt64}, empty},
		"later":   {perfpipe.ColumnDef{Type: perfpipe.TypeUint64, Nullable: true}, append(slices.Clone(void), uint64(7))},
	} {
		t.Run(name, func(t *testing.T) { roundTrip(t, Options{}, ints(column1(c.def), c.vals...)) })
	}
}

func TestUnsortedRowsAreNotSaidToBeSorted(t *testing.T) {
	l := mixLoad()
	early, late := l.batch(1000, 1), l.batch(1000, 2)
	ts := early.Columns[1].Data
	copy(ts[8*999:], ts[:8]) // the last row of the first batch is as early as its first
	file := roundTrip(t, Options{GroupRows: 1000}, early, late, late)
	f := footer(t, file)
	for _, kv := range f.KeyValueMetadata {
		if kv.Key == "sort_order" {
			t.Errorf("metadata: got sort_order %s", kv.Value)
		}
	}
	var said []int
	for _, g := range f.RowGroups {
		said = append(said, len(g.SortingColumns))
	}
	// The first group has the late row. The third begins before the second ended, which
	// says nothing of either.
	if want := []int{0, 1, 1}; !slices.Equal(said, want) {
		t.Errorf("sorting columns of the row groups: got %v, want %v", said, want)
	}
}

func TestPageIndexAndSorting(t *testing.T) {
	l := mixLoad()
	file := roundTrip(t, Options{Meta: map[string]string{"host": "h"}}, l.batch(100_000, 1), l.batch(50_000, 2))
	f := footer(t, file)
	meta := map[string]string{}
	for _, kv := range f.KeyValueMetadata {
		meta[kv.Key] = kv.Value
	}
	if meta["sort_order"] != "ts" || meta["host"] != "h" || meta["table"] != l.table.Name {
		t.Errorf("metadata: got %v, want sort_order ts, host h and the table", meta)
	}
	for _, g := range f.RowGroups {
		if len(g.SortingColumns) != 1 || g.SortingColumns[0] != (format.SortingColumn{ColumnIdx: 1}) {
			t.Errorf("sorting columns: got %v, want ts, ascending", g.SortingColumns)
		}
		for i, c := range g.Columns {
			var offs format.OffsetIndex
			if err := thrift.Unmarshal(new(thrift.CompactProtocol), file[c.OffsetIndexOffset:][:c.OffsetIndexLength], &offs); err != nil {
				t.Fatal(err)
			}
			for _, p := range offs.PageLocations {
				var h format.PageHeader
				if err := decode(file[p.Offset:][:p.CompressedPageSize], &h); err != nil || h.Type != format.DataPage {
					t.Fatalf("column %d: page at %d: got %v, %v, want a data page", i, p.Offset, h.Type, err)
				}
			}
			if i != 1 {
				continue
			}
			var ix format.ColumnIndex
			if err := thrift.Unmarshal(new(thrift.CompactProtocol), file[c.ColumnIndexOffset:][:c.ColumnIndexLength], &ix); err != nil {
				t.Fatal(err)
			}
			if ix.BoundaryOrder != format.Ascending || len(ix.MinValues) != len(offs.PageLocations) || len(ix.MinValues) < 2 {
				t.Errorf("column index of ts: got %v of %d pages, want ascending, of the %d pages there are", ix.BoundaryOrder, len(ix.MinValues), len(offs.PageLocations))
			}
		}
	}
}

// TestLateBatch: a batch that begins before the one before it ended begins a row group,
// so that each is in order and says so.
func TestLateBatch(t *testing.T) {
	l := loopLoad()
	f := footer(t, roundTrip(t, Options{}, l.batch(20_000, 2), l.batch(20_000, 1), l.batch(20_000, 3)))
	var rows []int64
	for _, g := range f.RowGroups {
		rows = append(rows, g.NumRows)
		if len(g.SortingColumns) != 1 {
			t.Errorf("row group of %d rows: got no sorting columns", g.NumRows)
		}
	}
	if want := []int64{20_000, 40_000}; !slices.Equal(rows, want) {
		t.Errorf("row groups: got %v rows, want %v", rows, want)
	}
	for _, kv := range f.KeyValueMetadata {
		if kv.Key == "sort_order" {
			t.Errorf("metadata: got sort_order %s of rows that are not sorted", kv.Value)
		}
	}
	// However often that happens, row groups stay few.
	batches := make([]*perfpipe.Batch, 300)
	for i := range batches {
		batches[i] = l.batch(20, uint64(len(batches)-i))
	}
	if n := len(footer(t, roundTrip(t, Options{}, batches...)).RowGroups); n > smallGroups+2 {
		t.Errorf("got %d row groups for %d batches of 20 rows", n, len(batches))
	}
}

// TestDictionaryBounds: no dictionary grows without end inside a row group, wraps
// at 256 entries, or stays where it is of no use.
func TestDictionaryBounds(t *testing.T) {
	const rows = 200_000
	distinct := func(n int) []any {
		v := make([]any, rows)
		for i := range v {
			v[i] = uint64(i % n)
		}
		return v
	}
	texts := func(n int) []any {
		v := make([]any, rows)
		for i := range v {
			v[i] = "name-" + strconv.Itoa(i%n)
		}
		return v
	}
	threes := func(v []any) []any {
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i/3]
		}
		return out
	}
	long := texts(rows)
	for i := range long {
		long[i] = long[i].(string) + strings.Repeat("-", 100)
	}
	few := perfpipe.ColumnDef{Type: perfpipe.TypeUint64, Hint: perfpipe.HintFew}
	str := perfpipe.ColumnDef{Type: perfpipe.TypeString}
	for _, c := range []struct {
		name string
		def  perfpipe.ColumnDef
		vals []any
		dict bool // a complete one
		none bool // not even for the first page
	}{
		{"one", few, distinct(1), true, false},
		{"257", few, distinct(257), true, false},
		{"all it may hold", few, distinct(maxIntEntries), true, false},
		{"one more", few, distinct(maxIntEntries + 1), false, true},
		{"all different", few, distinct(rows), false, true},
		{"strings, 300", str, texts(300), true, false},
		{"strings, all different", str, texts(rows), false, true},
		{"strings, 40,000 in turn", str, texts(rows / 5), false, true},
		{"strings, in threes", str, threes(texts(rows)), false, false},
		{"strings, long ones in threes", str, threes(long), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := roundTrip(t, Options{}, ints(column1(c.def), c.vals...))
			m := footer(t, file).RowGroups[0].Columns[0].MetaData
			if got := m.DictionaryPageOffset > 0 && len(m.EncodingStats) == 2; got != c.dict {
				t.Errorf("dictionary for all pages: got %v (encodings %v), want %v", got, m.Encoding, c.dict)
			}
			if c.none && m.DictionaryPageOffset > 0 {
				t.Error("dictionary: got one, want none: it would be of no use")
			}
			if m.DictionaryPageOffset > 0 {
				var h format.PageHeader
				if err := decode(file[m.DictionaryPageOffset:], &h); err != nil {
					t.Fatal(err)
				}
				if n := h.DictionaryPageHeader.V.NumValues; n > maxStringEntries || h.UncompressedPageSize > maxStringBytes+4*maxStringEntries {
					t.Errorf("dictionary: got %d entries of %d bytes, want it bounded", n, h.UncompressedPageSize)
				}
			}
		})
	}
}

// TestDictionaryGivesWay changes its mind inside a row group: pages with the
// dictionary are followed by pages without.
func TestDictionaryGivesWay(t *testing.T) {
	for name, def := range map[string]perfpipe.ColumnDef{
		"integers": {Type: perfpipe.TypeInt64},
		"strings":  {Type: perfpipe.TypeString},
	} {
		t.Run(name, func(t *testing.T) {
			table := column1(def)
			var vals []any
			for i := range 150_000 {
				v := int64(i % 3)
				if i > 70_000 {
					v = int64(i) * 0x1e3779b97f4a7c15
				}
				if def.Type == perfpipe.TypeString {
					vals = append(vals, strconv.FormatInt(v, 36))
				} else {
					vals = append(vals, v)
				}
			}
			m := footer(t, roundTrip(t, Options{}, ints(table, vals...))).RowGroups[0].Columns[0].MetaData
			if !slices.Contains(m.Encoding, format.RLEDictionary) || len(m.EncodingStats) != 0 {
				t.Errorf("encodings: got %v with statistics %v, want a dictionary that does not hold all", m.Encoding, m.EncodingStats)
			}
		})
	}
}

// TestMemory: what waits for the end of a row group is compressed, an encoder at
// rest holds next to nothing, and a batch costs few allocations.
func TestMemory(t *testing.T) {
	l := loopLoad()
	b := l.batch(64<<10, 1)
	e, err := New(io.Discard, l.table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(b); err != nil {
		t.Fatal(err)
	}
	if got, want := e.Buffered(), int64(b.Size())/8; got > want {
		t.Errorf("held of a batch of %d bytes: got %d, want at most %d", b.Size(), got, want)
	}
	if err := e.Release(); err != nil {
		t.Fatal(err)
	}
	if got := e.Buffered(); got > 64 {
		t.Errorf("held after Release: got %d bytes, want nearly none", got)
	}
	if err := e.Write(b); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(5, func() { _ = e.Write(b) }); n > 600 {
		t.Errorf("allocations of a batch of 64 Ki rows: got %v, want a few for each page", n)
	}
}

func TestRowCount(t *testing.T) {
	l := switchLoad()
	file := write(t, Options{GroupRows: 300}, l.batch(1000, 1))
	n, err := RowCount(bytes.NewReader(file), int64(len(file)))
	if err != nil || n != 1000 {
		t.Errorf("rows: got %d, %v, want 1000", n, err)
	}
	for i := range file {
		if _, err := RowCount(bytes.NewReader(file[:i]), int64(i)); err == nil {
			t.Fatalf("first %d of %d bytes: got no error, want one", i, len(file))
		}
	}
}

// TestReadForeign: decoders for what is never written here are never reached; one
// of them does not end when its data is damaged.
func TestReadForeign(t *testing.T) {
	for _, codec := range []format.CompressionCodec{format.Lz4, format.Lz4Raw, format.Brotli, format.LZO} {
		file := write(t, Options{Scratch: &Scratch{codec: codec}}, loopLoad().batch(10, 1))
		if _, err := readAll(file); err == nil || !strings.Contains(err.Error(), "does not write") {
			t.Errorf("%v: got %v, want it refused", codec, err)
		}
	}
}

func TestReadPrefixes(t *testing.T) {
	l := mixLoad()
	file := write(t, Options{}, l.batch(50, 1))
	for i := range file {
		if _, err := readAll(file[:i]); err == nil {
			t.Fatalf("first %d of %d bytes: got no error, want one", i, len(file))
		}
	}
}

func FuzzRead(f *testing.F) {
	table, rows := sinktest.Extremes("x")
	b := perfpipe.NewBatch(table, 0)
	for _, r := range rows {
		sinktest.Append(b, r)
	}
	for _, codec := range []string{"none", "zstd"} {
		s, err := NewScratch(codec, 0)
		if err != nil {
			f.Fatal(err)
		}
		for _, batch := range []*perfpipe.Batch{b, mixLoad().batch(20, 1)} {
			var out bytes.Buffer
			e, err := New(&out, batch.Table, Options{Scratch: s})
			if err != nil {
				f.Fatal(err)
			}
			if err := errors.Join(e.Write(batch), e.Close(nil)); err != nil {
				f.Fatal(err)
			}
			f.Add(out.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := readAll(file)
		if err != nil {
			return
		}
		// What can be read has as many rows as its footer says.
		n, err := RowCount(bytes.NewReader(file), int64(len(file)))
		if err != nil || n != int64(len(rows)) {
			t.Errorf("rows: got %d, the footer says %d (%v)", len(rows), n, err)
		}
	})
}
