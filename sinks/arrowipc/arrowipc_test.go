package arrowipc

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v14/arrow/ipc"
	"github.com/apache/arrow/go/v14/arrow/memory"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/sinktest"
)

func extremes() *perfpipe.Batch {
	table, rows := sinktest.Extremes("x")
	b := perfpipe.NewBatch(table, 0)
	for _, r := range rows {
		sinktest.Append(b, r)
	}
	return b
}

func encode(t testing.TB, o Options, batches ...*perfpipe.Batch) []byte {
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

func drain(r *Reader, err error) ([]sinktest.Row, error) {
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

func readFile(file []byte, layout Layout) ([]sinktest.Row, error) {
	return drain(NewReader(bytes.NewReader(file), int64(len(file)), layout))
}

// TestMemoryIsReturned runs both layouts, with and without compression, on an
// allocator that wants everything back.
func TestMemoryIsReturned(t *testing.T) {
	for _, o := range []Options{{Layout: Stream}, {Layout: File}, {Layout: Stream, Compression: "zstd"}, {Layout: File, Compression: "zstd"}} {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		o.Allocator = mem
		b := extremes()
		want := append(sinktest.Canon(b), sinktest.Canon(b)...)
		file := encode(t, o, b, b)
		mem.AssertSize(t, 0)
		got, err := readFile(file, o.Layout)
		if err != nil || !slices.EqualFunc(got, want, func(a, b sinktest.Row) bool { return slices.Equal(a, b) }) {
			t.Errorf("%+v: got %d rows, %v, want the %d written", o, len(got), err, len(want))
		}
	}
}

func TestSchemaOfFile(t *testing.T) {
	b := extremes()
	r, err := ipc.NewReader(bytes.NewReader(encode(t, Options{Meta: map[string]string{"host": "h"}}, b)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for i, f := range r.Schema().Fields() {
		if f.Nullable != b.Table.Columns[i].Nullable {
			t.Errorf("column %s: nullable: got %v, want %v", f.Name, f.Nullable, b.Table.Columns[i].Nullable)
		}
		if strings.Contains(f.Type.String(), "dictionary") {
			t.Errorf("column %s: got %v, want no dictionary", f.Name, f.Type)
		}
	}
	if m := r.Schema().Metadata().ToMap(); m["host"] != "h" || m["event"] != "test:x" || m["table"] != "x" {
		t.Errorf("metadata: got %v, want host, event and table", m)
	}
}

// TestUncompressed: arrow-js cannot read compressed bodies, so none is compressed
// unless that was asked for.
func TestUncompressed(t *testing.T) {
	table := &perfpipe.Table{Name: "t", Columns: []perfpipe.ColumnDef{{Name: "s", Type: perfpipe.TypeString}}}
	b := perfpipe.NewBatch(table, 1)
	sinktest.Append(b, []any{strings.Repeat("plain to see ", 100)})
	plain := []byte(strings.Repeat("plain to see ", 100))
	if !bytes.Contains(encode(t, Options{}, b), plain) {
		t.Error("stream: the text is not in it as it is")
	}
	if bytes.Contains(encode(t, Options{Compression: "zstd"}, b), plain) {
		t.Error("stream with zstd: the text is in it as it is")
	}
}

// TestTail: the stream has no checksum, and zeroes look like its end to Arrow.
func TestTail(t *testing.T) {
	b := extremes()
	whole := encode(t, Options{}, b, b)
	one := len(encode(t, Options{}, b)) - 8 // the schema and the first batch
	for name, file := range map[string][]byte{
		"cut after a batch":         whole[:one],
		"zeroes after a batch":      append(bytes.Clone(whole[:one]), make([]byte, 4096)...),
		"zeroes, as long as it was": append(bytes.Clone(whole[:one]), make([]byte, len(whole)-one)...),
		"cut in the marker":         whole[:len(whole)-4],
		"zeroes for the marker":     append(bytes.Clone(whole[:len(whole)-8]), make([]byte, 8)...),
		"nothing":                   nil,
	} {
		if _, err := readFile(file, Stream); err == nil {
			t.Errorf("%s: as a file: got no error, want one", name)
		}
		if _, err := drain(NewStreamReader(bytes.NewReader(file))); err == nil {
			t.Errorf("%s: as it arrives: got no error, want one", name)
		}
		if _, err := RowCount(bytes.NewReader(file), int64(len(file)), Stream); err == nil {
			t.Errorf("%s: row count: got no error, want one", name)
		}
	}
	if rows, err := drain(NewStreamReader(bytes.NewReader(whole))); err != nil || len(rows) != 2*b.Rows {
		t.Errorf("whole: got %d rows, %v, want %d", len(rows), err, 2*b.Rows)
	}
}

func TestRowCount(t *testing.T) {
	b := extremes()
	empty := perfpipe.NewBatch(b.Table, 0)
	for _, layout := range []Layout{Stream, File} {
		for _, c := range []struct {
			batches []*perfpipe.Batch
			want    int64
		}{{[]*perfpipe.Batch{empty}, 0}, {[]*perfpipe.Batch{b, empty, b}, int64(2 * b.Rows)}} {
			file := encode(t, Options{Layout: layout}, c.batches...)
			n, err := RowCount(bytes.NewReader(file), int64(len(file)), layout)
			if err != nil || n != c.want {
				t.Errorf("layout %d: got %d, %v, want %d", layout, n, err, c.want)
			}
		}
	}
}

func TestPrefixes(t *testing.T) {
	for _, layout := range []Layout{Stream, File} {
		table := &perfpipe.Table{Name: "t", Columns: []perfpipe.ColumnDef{{Name: "s", Type: perfpipe.TypeString}, {Name: "l", Type: perfpipe.TypeList, Elem: perfpipe.TypeInt8}}}
		b := perfpipe.NewBatch(table, 1)
		sinktest.Append(b, []any{"abc", []any{int64(1), int64(2)}})
		file := encode(t, Options{Layout: layout}, b, b)
		for i := range file {
			if _, err := readFile(file[:i], layout); err == nil {
				t.Fatalf("layout %d: first %d of %d bytes: got no error, want one", layout, i, len(file))
			}
		}
	}
}

// once fails its n-th write and takes all others.
type once struct{ n int }

var errOnce = errors.New("fault")

func (o *once) Write(b []byte) (int, error) {
	if o.n--; o.n == 0 {
		return 0, errOnce
	}
	return len(b), nil
}

func TestErrorSticks(t *testing.T) {
	b := extremes()
	for _, layout := range []Layout{Stream, File} {
		for n := 1; n <= 3; n++ {
			e, err := New(&once{n}, b.Table, Options{Layout: layout})
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for range 4 {
				last = errors.Join(e.Write(b), e.Flush())
			}
			if !errors.Is(last, errOnce) || !errors.Is(e.Close(nil), errOnce) || !errors.Is(e.Close(nil), errOnce) {
				t.Errorf("layout %d, write %d fails: a later call, or a Close, returned no error", layout, n)
			}
		}
	}
}

// TestRefusalSticks: a batch that was refused is rows lost, whatever comes after it.
func TestRefusalSticks(t *testing.T) {
	b := extremes()
	e, err := New(io.Discard, b.Table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	bad := *b
	bad.Rows++
	first := e.Write(&bad)
	if first == nil {
		t.Fatal("batch with too few values: got no error, want one")
	}
	for name, call := range map[string]func() error{"write": func() error { return e.Write(b) }, "flush": e.Flush, "close": func() error { return e.Close(nil) }} {
		if err := call(); !errors.Is(err, first) {
			t.Errorf("%s after a refusal: got %v, want %v", name, err, first)
		}
	}
}

// TestVectorBounds: no vector is longer than the metadata that it stands in.
func TestVectorBounds(t *testing.T) {
	// A vtable of one field, its table, and a vector of that many 4-byte elements, of which two are there.
	meta := func(count byte) []byte {
		return []byte{6, 0, 8, 0, 4, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, count, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}
	}
	for count, want := range map[byte]bool{0: true, 2: true, 3: false, 255: false} {
		if _, n, ok := vector(meta(count), 8, 0, 4); ok != want || ok && n != int64(count) {
			t.Errorf("vector of %d elements: got %d, %v, want %v", count, n, ok, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	b := extremes()
	for _, o := range []Options{{Layout: Stream}, {Layout: File}} {
		f.Add(encode(f, o, b), o.Layout == File)
	}
	f.Fuzz(func(t *testing.T, file []byte, random bool) {
		layout := Stream
		if random {
			layout = File
		}
		rows, err := readFile(file, layout)
		if err != nil {
			return
		}
		from, to, err := frames(bytes.NewReader(file), int64(len(file)), layout)
		if err != nil {
			t.Fatalf("frames of what was read: %v", err)
		}
		m, err := walk(bytes.NewReader(file), from, to)
		if err != nil || m.rows != int64(len(rows)) {
			t.Errorf("rows: got %d, the messages say %d (%v)", len(rows), m.rows, err)
		}
	})
}
