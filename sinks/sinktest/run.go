//go:build unix

package sinktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// Sink is a sink under test.
type Sink struct {
	// Open opens it, in the empty folder dir, or on w if Stream.
	Open func(dir string, w *Writer) (perfpipe.Sink, error)
	// Read gives back the rows of the table t. Text formats read what they wrote
	// by the types of t. It is nil for formats that are for eyes alone.
	Read func(dir string, w *Writer, t *perfpipe.Table) ([]Row, error)
	// Stream is a sink on a writer, Many one that takes several tables.
	Stream, Many bool
}

// errFull is what a Writer returns when it is full.
var errFull = errors.New("no space left (sinktest)")

// Writer collects what a stream writes, and fails once it has taken Room bytes.
type Writer struct {
	Data []byte
	// Room is how many bytes it takes, negative without a limit.
	Room int
}

func (w *Writer) Write(b []byte) (int, error) {
	if w.Room >= 0 && len(w.Data)+len(b) > w.Room {
		n := w.Room - len(w.Data)
		w.Data = append(w.Data, b[:n]...)
		return n, errFull
	}
	w.Data = append(w.Data, b...)
	return len(b), nil
}

// Run runs the suite on s.
func Run(t *testing.T, s Sink) {
	before := runtime.NumGoroutine()
	fds := descriptors()
	t.Run("extremes", func(t *testing.T) { extremes(t, s) })
	t.Run("no rows", func(t *testing.T) { sizes(t, s, 0) })
	t.Run("one row", func(t *testing.T) { sizes(t, s, 1) })
	t.Run("many rows", func(t *testing.T) { sizes(t, s, 30_000, 1, 0, 40_000, 7) })
	t.Run("several tables", func(t *testing.T) { severalTables(t, s) })
	t.Run("reuse of a batch", func(t *testing.T) { reuse(t, s) })
	t.Run("close twice", func(t *testing.T) { closeTwice(t, s) })
	t.Run("flush", func(t *testing.T) { flush(t, s) })
	t.Run("wrong columns", func(t *testing.T) { wrongColumns(t, s) })
	t.Run("write errors", func(t *testing.T) { writeErrors(t, s) })
	// Goroutines of a compressor end on their own time.
	for range 100 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("goroutines: got %d, want the %d from before", n, before)
	}
	if n := descriptors(); n > fds {
		t.Errorf("descriptors: got %d, want the %d from before", n, fds)
	}
}

// descriptors counts those that are open, 0 where the system has no such list.
func descriptors() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}

func start(t *testing.T, s Sink) (perfpipe.Sink, string, *Writer) {
	t.Helper()
	dir, w := t.TempDir(), &Writer{Room: -1}
	k, err := s.Open(dir, w)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return k, dir, w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// done is a run's end without loss.
func done() perfpipe.Summary { return perfpipe.Summary{Complete: true} }

// check reads a table back and compares it.
func check(t *testing.T, s Sink, dir string, w *Writer, table *perfpipe.Table, want []Row) {
	t.Helper()
	if s.Read == nil {
		return
	}
	got, err := s.Read(dir, w, table)
	must(t, err)
	if len(got) != len(want) {
		t.Fatalf("rows: got %d, want %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("row %d:\n got %q\nwant %q", i, got[i], want[i])
		}
	}
}

func extremes(t *testing.T, s Sink) {
	k, dir, w := start(t, s)
	table, rows := Extremes("extremes")
	var want []Row
	for i := 0; i < len(rows); i += 4 { // in three batches, so that offsets do not all begin at 0
		b := perfpipe.NewBatch(table, 4)
		for _, r := range rows[i : i+4] {
			Append(b, r)
			want = append(want, Want(r))
		}
		b.MinTime, b.MaxTime = int64(1000*i), int64(1000*(i+3))
		must(t, k.Write(b))
	}
	must(t, k.Close(done()))
	check(t, s, dir, w, table, want)
}

// plainTable has the columns that most events have.
func plainTable(name string) *perfpipe.Table {
	return &perfpipe.Table{Name: name, Meta: map[string]string{"event": "test:" + name}, Columns: []perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		{Name: "cpu", Type: perfpipe.TypeUint16, Hint: perfpipe.HintFew},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "addr", Type: perfpipe.TypeUint64},
		{Name: "ret", Type: perfpipe.TypeInt32, Nullable: true},
		{Name: "args", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64},
	}}
}

func plainRow(i int) []any {
	h := uint64(i) * 0x9e3779b97f4a7c15
	args := []any{}
	for j := range i % 4 {
		args = append(args, h>>j)
	}
	row := []any{int64(1764000000000000 + i), int64(1000 * i), uint64(i % 8), fmt.Sprintf("task-%d", i%50), h, int64(int32(h)), args}
	if i%7 == 0 {
		row[5] = nil
	}
	return row
}

func plainBatch(t *perfpipe.Table, from, n int) (*perfpipe.Batch, []Row) {
	b := perfpipe.NewBatch(t, n)
	rows := make([]Row, n)
	for i := range n {
		r := plainRow(from + i)
		Append(b, r)
		rows[i] = Want(r)
	}
	if n > 0 {
		b.MinTime, b.MaxTime = int64(1000*from), int64(1000*(from+n-1))
	}
	return b, rows
}

// sizes writes batches of so many rows each.
func sizes(t *testing.T, s Sink, counts ...int) {
	k, dir, w := start(t, s)
	table := plainTable("sizes")
	var want []Row
	for _, n := range counts {
		b, rows := plainBatch(table, len(want), n)
		must(t, k.Write(b))
		want = append(want, rows...)
	}
	must(t, k.Close(done()))
	if k.Bytes() <= 0 && len(want) > 0 {
		t.Errorf("Bytes: got %d, want more than 0", k.Bytes())
	}
	check(t, s, dir, w, table, want)
}

func severalTables(t *testing.T, s Sink) {
	k, dir, w := start(t, s)
	a, z := plainTable("sched.a"), plainTable("sched.z")
	b, want := plainBatch(a, 0, 100)
	must(t, k.Write(b))
	c, wantZ := plainBatch(z, 50, 10)
	err := k.Write(c)
	if !s.Many {
		if err == nil {
			t.Fatal("second table: got no error, want one: the sink takes one table")
		}
		if again := k.Write(b); again == nil {
			t.Error("write after an error: got none, want the same error")
		}
		must(t, k.Close(done()))
		return
	}
	must(t, err)
	b, more := plainBatch(a, 100, 20)
	must(t, k.Write(b))
	must(t, k.Close(done()))
	check(t, s, dir, w, a, append(want, more...))
	check(t, s, dir, w, z, wantZ)
}

// reuse spoils a batch after it was written: the sink may keep nothing of it.
func reuse(t *testing.T, s Sink) {
	k, dir, w := start(t, s)
	table := plainTable("reuse")
	var want []Row
	for i := range 20 {
		b, rows := plainBatch(table, 100*i, 100)
		must(t, k.Write(b))
		want = append(want, rows...)
		for j := range b.Columns {
			for c := &b.Columns[j]; c != nil; c = c.Child {
				for _, p := range [][]byte{c.Data, c.Valid} {
					for x := range p {
						p[x] = 0xa5
					}
				}
				for x := range c.Offsets {
					c.Offsets[x] = 0
				}
			}
		}
	}
	must(t, k.Close(done()))
	check(t, s, dir, w, table, want)
}

func closeTwice(t *testing.T, s Sink) {
	k, dir, w := start(t, s)
	table := plainTable("twice")
	b, want := plainBatch(table, 0, 10)
	must(t, k.Write(b))
	must(t, k.Close(done()))
	n := k.Bytes()
	if err := k.Close(done()); err != nil {
		t.Errorf("second close: got %v, want nil", err)
	}
	if got := k.Bytes(); got != n {
		t.Errorf("bytes after a second close: got %d, want %d", got, n)
	}
	if err := k.Write(b); err == nil {
		t.Error("write after close: got no error, want one")
	}
	check(t, s, dir, w, table, want)
}

// flush asks a stream for its rows before it ends.
func flush(t *testing.T, s Sink) {
	k, dir, w := start(t, s)
	table := plainTable("flush")
	b, want := plainBatch(table, 0, 3)
	must(t, k.Write(b))
	must(t, k.Sync(perfpipe.SyncFlush))
	if s.Stream {
		early := len(w.Data)
		if early < 3*8 {
			t.Errorf("bytes after a flush: got %d, want those of three rows", early)
		}
		must(t, k.Sync(perfpipe.SyncFlush))
		if len(w.Data) != early {
			t.Errorf("bytes after a second flush: got %d, want %d", len(w.Data), early)
		}
	}
	must(t, k.Close(done()))
	check(t, s, dir, w, table, want)
}

// wrongColumns writes a batch that is not of its table.
func wrongColumns(t *testing.T, s Sink) {
	k, dir, _ := start(t, s)
	b, _ := plainBatch(plainTable("wrong"), 0, 10)
	b.Columns = b.Columns[:3]
	err := k.Write(b)
	if err == nil {
		t.Error("batch with too few columns: got no error, want one")
	}
	must(t, k.Close(perfpipe.Summary{}))
	nothing(t, dir)
}

// nothing checks that dir holds no file at all, not even a temporary one.
func nothing(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left behind: %s", strings.TrimPrefix(p, dir))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// writeErrors lets the write fail at every step of bytes, and wants an error from
// one of the calls and no file.
func writeErrors(t *testing.T, s Sink) {
	table := plainTable("fails")
	b, _ := plainBatch(table, 0, 200)
	attempt := func(t *testing.T, room int) (failed bool, dir string, w *Writer, n int64) {
		dir, w = t.TempDir(), &Writer{Room: -1}
		if s.Stream {
			w.Room = room
		}
		k, err := s.Open(dir, w)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		limited := func(f func() error) error {
			if s.Stream || room < 0 {
				return f()
			}
			var err error
			fileLimit(t, uint64(room), func() { err = f() })
			return err
		}
		var errs []error
		for range 3 {
			errs = append(errs, limited(func() error { return k.Write(b) }))
			errs = append(errs, limited(func() error { return k.Sync(perfpipe.SyncFlush) }))
		}
		errs = append(errs, limited(func() error { return k.Close(done()) }))
		return errors.Join(errs...) != nil, dir, w, k.Bytes()
	}
	failed, _, w, n := attempt(t, -1)
	if failed {
		t.Fatal("without a limit: got an error, want none")
	}
	size := int(n)
	if s.Stream {
		size = len(w.Data)
	}
	step := max(1, size/97)
	for room := 0; room < size; room += step {
		failed, dir, _, _ := attempt(t, room)
		if !failed {
			t.Errorf("write that fails after %d of %d bytes: got no error from any call", room, size)
		}
		nothing(t, dir)
		if t.Failed() {
			return
		}
	}
}
