//go:build unix

package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
)

// fake is a format that writes a line a row, holds what it got until it is
// released, and fails where it is told to.
type fake struct {
	w        io.Writer
	held     []byte
	released *int
	fail     *string
	name     string
}

func (f *fake) Write(b *perfpipe.Batch) error {
	switch *f.fail {
	case f.name:
		return errors.New("fake failure")
	case "panic " + f.name:
		panic("fake panic")
	}
	for range b.Rows {
		f.held = append(f.held, strings.Repeat("x", 99)+"\n"...)
	}
	return nil
}
func (f *fake) Flush() error    { return nil }
func (f *fake) Buffered() int64 { return int64(len(f.held)) }
func (f *fake) Release() error {
	*f.released++
	_, err := f.w.Write(f.held)
	f.held = nil
	return err
}
func (f *fake) Close(more map[string]string) error {
	if *f.fail == "close "+f.name {
		return errors.New("fake failure")
	}
	if _, err := f.w.Write(f.held); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f.w, "lost=%s\n", more["lost"])
	return err
}

type lab struct {
	dir      string
	released int
	fail     string
	d        *Dataset
}

func newLab(t *testing.T, o Options) *lab {
	t.Helper()
	l := &lab{dir: filepath.Join(t.TempDir(), "ds")}
	o.Format = form.Format{Name: "fake", Ending: ".fake", New: func(w io.Writer, t *perfpipe.Table, _ map[string]string) (form.Encoder, error) {
		return &fake{w: w, released: &l.released, fail: &l.fail, name: t.Name}, nil
	}}
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	var err error
	if l.d, err = Open(l.dir, o); err != nil {
		t.Fatal(err)
	}
	return l
}

func rows(name string, from, n int) *perfpipe.Batch {
	t := &perfpipe.Table{Name: name, Meta: map[string]string{"event": strings.Replace(name, ".", ":", 1)}, Columns: []perfpipe.ColumnDef{{Name: "ts", Type: perfpipe.TypeInt64}}}
	b := perfpipe.NewBatch(t, n)
	for i := range n {
		b.Columns[0].AppendInt(uint64(from + i))
	}
	b.Rows = n
	if n > 0 {
		b.MinTime, b.MaxTime = int64(from), int64(from+n-1)
	}
	return b
}

func (l *lab) files(t *testing.T) []string {
	t.Helper()
	out := []string{}
	filepath.Walk(filepath.Dir(l.dir), func(p string, st os.FileInfo, err error) error {
		if err == nil && !st.IsDir() {
			rel, _ := filepath.Rel(l.dir, p)
			out = append(out, rel)
		}
		return nil
	})
	return out
}

func (l *lab) manifest(t *testing.T) Manifest {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(l.dir, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestManifest(t *testing.T) {
	l := newLab(t, Options{Version: "v1", Host: "h", Kernel: "6.18", Command: []string{"perfpipe", "record"},
		Start: perfpipe.Clock{Mono: 1, Boot: 2, Real: 1764000000000000000}, Events: []Event{{"a:b", "a.b", "x==1", "abc"}}})
	must(t, l.d.Write(rows("a.b", 100, 5)))
	must(t, l.d.Write(rows("a.c", 0, 0)))
	must(t, l.d.Write(rows("_lost", 0, 1)))
	must(t, l.d.Write(rows("a.b", 105, 2)))
	must(t, l.d.Close(perfpipe.Summary{Complete: true, Lost: 7, Overwritten: 95, Escaped: 3, LostBy: map[string]map[string]uint64{"a:b": {"ring_full": 4, "paused": 5, "overwritten": 90}, "": {"corrupt": 3}}}))
	m := l.manifest(t)
	if !m.Complete || m.Version != "v1" || m.Host != "h" || m.Kernel != "6.18" || !slices.Equal(m.Command, []string{"perfpipe", "record"}) || m.Start.Time != "2025-11-24T16:00:00Z" {
		t.Errorf("manifest: got %+v, want what the run said", m)
	}
	if len(m.Events) != 1 || m.Events[0] != (Event{"a:b", "a.b", "x==1", "abc"}) {
		t.Errorf("events: got %+v", m.Events)
	}
	if m.Totals.Rows != 7 || m.Totals.Files != 3 || m.Totals.Escaped != 3 {
		t.Errorf("totals: got %+v, want 7 rows of events in 3 files, 3 escaped", m.Totals)
	}
	if m.Lost.Total != 7 || !slices.Equal(m.Lost.By, []LostBy{{"", "corrupt", 3}, {"a:b", "ring_full", 4}}) {
		t.Errorf("lost: got %+v", m.Lost)
	}
	if o := m.Overwritten; o == nil || o.Total != 95 || !slices.Equal(o.By, []LostBy{{"a:b", "overwritten", 90}, {"a:b", "paused", 5}}) {
		t.Errorf("overwritten: got %+v", o)
	}
	for _, f := range m.Files {
		b, err := os.ReadFile(filepath.Join(l.dir, f.Path))
		must(t, err)
		sum := sha256.Sum256(b)
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Bytes != int64(len(b)) {
			t.Errorf("%s: got sha256 %s of %d bytes, want that of its %d bytes", f.Path, f.SHA256, f.Bytes, len(b))
		}
		if f.Table == "a.b" && (f.Rows != 7 || f.MinTS == nil || *f.MinTS != 100 || *f.MaxTS != 106) {
			t.Errorf("%s: got %+v, want 7 rows from ts 100 to 106", f.Path, f)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(l.dir, "a.b/part-000000.fake")); !strings.HasSuffix(string(b), "lost=4\n") {
		t.Errorf("metadata at the end: got %q, want lost=4", b)
	}
}

func TestRotation(t *testing.T) {
	l := newLab(t, Options{MaxFiles: 2})
	for i := range 5 {
		must(t, l.d.Write(rows("a.b", 10*i, 10)))
		must(t, l.d.Sync(perfpipe.SyncRotate))
		must(t, l.d.Sync(perfpipe.SyncRotate)) // nothing new: no part
	}
	must(t, l.d.Write(rows("a.z", 0, 1)))
	must(t, l.d.Close(perfpipe.Summary{Complete: true}))
	want := []string{"a.b/part-000003.fake", "a.b/part-000004.fake", "a.z/part-000000.fake", "manifest.json"}
	if got := l.files(t); !slices.Equal(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
	if m := l.manifest(t); m.Removed.Files != 3 || m.Removed.Rows != 30 || m.Totals.Rows != 21 || len(m.Files) != 3 {
		t.Errorf("manifest: got %+v, want 3 files and 30 rows removed", m)
	}
}

// TestMemory holds many tables to one budget: the largest goes first.
func TestMemory(t *testing.T) {
	l := newLab(t, Options{Memory: 10_000})
	for i := range 40 {
		must(t, l.d.Write(rows(fmt.Sprintf("t.%d", i%20), 0, 4)))
		sum := int64(0)
		for _, tb := range l.d.order {
			sum += tb.open.Buffered()
		}
		if sum > 10_000 {
			t.Fatalf("held after write %d: got %d bytes, want at most 10000", i, sum)
		}
	}
	if l.released == 0 || l.released > 20 {
		t.Errorf("row groups ended early: got %d, want some, and not each", l.released)
	}
	must(t, l.d.Close(perfpipe.Summary{Complete: true}))
}

func TestFailure(t *testing.T) {
	for _, c := range []struct {
		name   string
		rotate bool
		fail   string
		want   []string // files
	}{
		{"nothing was whole", false, "a.z", []string{}},
		{"a part was whole", true, "a.z", []string{"a.b/part-000000.fake", "manifest.json"}},
		{"a panic of an encoder", true, "panic a.z", []string{"a.b/part-000000.fake", "manifest.json"}},
		{"at the end", false, "close a.z", []string{"a.b/part-000000.fake", "manifest.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, Options{})
			must(t, l.d.Write(rows("a.b", 0, 10)))
			if c.rotate {
				must(t, l.d.Sync(perfpipe.SyncRotate))
				must(t, l.d.Write(rows("a.b", 10, 10)))
			}
			l.fail = c.fail
			first := l.d.Write(rows("a.z", 0, 10))
			if first != nil {
				if again := l.d.Write(rows("a.b", 20, 1)); again == nil || again.Error() != first.Error() {
					t.Errorf("write after an error: got %v, want the same error", again)
				}
			}
			if err := l.d.Close(perfpipe.Summary{Complete: true}); err == nil && first == nil {
				t.Error("got no error from any call")
			}
			if got := l.files(t); !slices.Equal(got, c.want) {
				t.Errorf("files: got %v, want %v", got, c.want)
			}
			if len(c.want) == 0 {
				if _, err := os.Stat(l.dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("folder: got %v, want it gone", err)
				}
				return
			}
			if m := l.manifest(t); m.Complete || len(m.Files) != 1 || m.Files[0].Rows != 10 {
				t.Errorf("manifest: got %+v, want it incomplete, of the part that is whole", m)
			}
		})
	}
}

func TestTableNames(t *testing.T) {
	for _, name := range []string{"", ".x", "a/b", "..", "a\x00b", manifestName} {
		l := newLab(t, Options{})
		if err := l.d.Write(rows(name, 0, 1)); err == nil {
			t.Errorf("table %q: got no error, want one", name)
		}
		must(t, l.d.Close(perfpipe.Summary{}))
	}
}

func TestManifestOfASharedTable(t *testing.T) {
	l := newLab(t, Options{Events: []Event{
		{"usdt:q", "usdt.q", "id > 1", "a"}, {"sched:x", "sched.x", "", "b"}, {"usdt:q", "usdt.q", "id > 1", "c"}, {"usdt:q", "usdt.q", "id > 1", "a"},
		{"task:fork", "_lifecycle", "", "d"}, {"task:exit", "_lifecycle", "pid > 1", "e"},
	}})
	must(t, l.d.Write(rows("usdt.q", 0, 3)))
	must(t, l.d.Write(rows("_lifecycle", 0, 2)))
	must(t, l.d.Write(rows("_stacks", 0, 9)))
	must(t, l.d.Close(perfpipe.Summary{Complete: true}))
	m := l.manifest(t)
	want := []Event{
		{"usdt:q", "usdt.q", "id > 1", "a,c"}, {"sched:x", "sched.x", "", "b"},
		{"task:fork,task:exit", "_lifecycle", "task:fork=\ntask:exit=pid > 1", "d,e"},
	}
	if !slices.Equal(m.Events, want) {
		t.Errorf("events: got %q, want %q", m.Events, want)
	}
	if m.Totals.Rows != 5 {
		t.Errorf("rows of events: got %d, want 5", m.Totals.Rows)
	}
}

// Rotation keeps what rows of every part refer to.
func TestStacksOutliveRotation(t *testing.T) {
	l := newLab(t, Options{MaxFiles: 1})
	for i := range 3 {
		must(t, l.d.Write(rows("_stacks", i, 1)))
		must(t, l.d.Write(rows("a.b", i, 1)))
		must(t, l.d.Sync(perfpipe.SyncRotate))
	}
	must(t, l.d.Close(perfpipe.Summary{Complete: true}))
	if got, want := l.files(t), []string{"_stacks/part-000000.fake", "_stacks/part-000001.fake", "_stacks/part-000002.fake", "a.b/part-000002.fake", "manifest.json"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
