package collector

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// symbols symbolizes by the offset, and notes when it was asked.
type symbols struct {
	loaded []uint32
	asked  int
}

func (s *symbols) Load(f perfpipe.Frame) { s.loaded = append(s.loaded, f.ID) }

func (s *symbols) Symbolize(f perfpipe.Frame) (string, uint64, string, int, bool) {
	s.asked++
	switch f.Kind {
	case perfpipe.FrameKernel:
		return "vfs_read\xff", 0x12, "", 0, true
	case perfpipe.FrameFile:
		return "main", f.Offset - 0x1000, "main.c", 42, f.Offset >= 0x1000
	}
	return "", 0, "", 0, false
}

var testFrames = []perfpipe.Frame{
	{ID: 1, Kind: perfpipe.FrameKernel, File: "[kernel]", Offset: 0xffffffff81000012},
	{ID: 2, Kind: perfpipe.FrameFile, File: "/bin/a b", BuildID: "beef", Offset: 0x1234, PID: 10},
	{ID: 3, Kind: perfpipe.FrameFile, File: "/lib/x.so", Offset: 0x10, PID: 10},
	{ID: 4, Kind: perfpipe.FrameAnon, Offset: 0x7f0000001000, PID: 10},
}

// stacked plays a record with a stack, then one without, then one with another stack.
func stacked() *script {
	rec := func(v perfpipe.Visitor, t int64, id, cgroup uint64) {
		v.Record(&perfpipe.Record{Time: t, Raw: rawWakeup("x", 1, 1, 1, 1), Comm: "a", Stack: id, Cgroup: cgroup})
	}
	return &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		v.Frame(testFrames[0])
		v.Frame(testFrames[1])
		v.Stack(&perfpipe.Stack{ID: 1 << 63, PID: 10, Frames: []uint32{1, 2}, Addrs: []uint64{0xffffffff81000012, 0x401234}})
		rec(v, 1, 1<<63, 77)
		rec(v, 2, 0, 0)
	}, func(v perfpipe.Visitor) {
		v.Frame(testFrames[2])
		v.Frame(testFrames[3])
		v.Stack(&perfpipe.Stack{ID: 6, PID: 10, Frames: []uint32{3, 4, 2}, Addrs: []uint64{1, 2, 3}})
		rec(v, 3, 6, 78)
		rec(v, 4, 1<<63, 77)
	}}}
}

func ends(rows []string, from string) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r[strings.Index(r, from):])
	}
	return out
}

func TestStacks(t *testing.T) {
	each, file := newMemory(), newMemory()
	sym := &symbols{}
	res, err := Run(context.Background(), Config{Source: stacked(), Start: start, Symbolizer: sym, Columns: Options{Stacks: true, Cgroup: true},
		Outputs: []Output{{Sink: each}, {Sink: file, Merged: true}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"stack_id=9223372036854775808 cgroup=77", "stack_id=null cgroup=0", "stack_id=6 cgroup=78", "stack_id=9223372036854775808 cgroup=77"}
	if got := ends(each.rows["sched.wakeup"], "stack_id="); !slices.Equal(got, want) {
		t.Errorf("dataset: got %q, want %q", got, want)
	}
	first := `stack=[vfs_read\xff+0x12,main+0x234]`
	want = []string{
		"stack_id=9223372036854775808 " + first + " cgroup=77", "stack_id=null stack=null cgroup=0",
		"stack_id=6 stack=[[unknown] 0x10 (/lib/x.so),[unknown] 0x7f0000001000,main+0x234] cgroup=78", "stack_id=9223372036854775808 " + first + " cgroup=77",
	}
	if got := ends(file.rows["sched.wakeup"], "stack_id="); !slices.Equal(got, want) {
		t.Errorf("file: got %q, want %q", got, want)
	}
	want = []string{
		"stack_id=9223372036854775808 pid=10 addresses=[18446744071578845202,4198964] frames=[1,2]", "stack_id=6 pid=10 addresses=[1,2,3] frames=[3,4,2]",
	}
	if !slices.Equal(each.rows["_stacks"], want) {
		t.Errorf("_stacks: got %q, want %q", each.rows["_stacks"], want)
	}
	want = []string{
		`frame_id=1 kind=kernel pid=null build_id= file=[kernel] offset=18446744071578845202 symbol=vfs_read\xff symbol_offset=18 source=null line=null`,
		`frame_id=2 kind=file pid=10 build_id=beef file=/bin/a b offset=4660 symbol=main symbol_offset=564 source=main.c line=42`,
		`frame_id=3 kind=file pid=10 build_id= file=/lib/x.so offset=16 symbol=null symbol_offset=null source=null line=null`,
		`frame_id=4 kind=anon pid=10 build_id= file= offset=139637976731648 symbol=null symbol_offset=null source=null line=null`,
	}
	if !slices.Equal(each.rows["_frames"], want) {
		t.Errorf("_frames: got %q, want %q", each.rows["_frames"], want)
	}
	if len(file.rows) != 1 || !slices.Equal(sym.loaded, []uint32{1, 2, 3, 4}) || res.Escaped != 2 {
		t.Errorf("the file got %d tables; loaded %v; escaped %d, want the kernel's symbol in both", len(file.rows), sym.loaded, res.Escaped)
	}
}

func TestStacksInline(t *testing.T) {
	each := newMemory()
	if _, err := Run(context.Background(), Config{Source: stacked(), Start: start, Columns: Options{StackInline: true, Portable: true}, Outputs: []Output{{Sink: each}}}); err != nil {
		t.Fatal(err)
	}
	got := ends(each.rows["sched.wakeup"], "stack_id=")
	if want := "stack_id=-9223372036854775808 stack=[[unknown] 0xffffffff81000012 ([kernel]),[unknown] 0x1234 (/bin/a b)]"; got[0] != want || got[1] != "stack_id=null stack=null" {
		t.Errorf("without a symbolizer: got %q, want %q", got, want)
	}
	if got := each.rows["_stacks"][0]; !strings.HasPrefix(got, "stack_id=-9223372036854775808 ") {
		t.Errorf("portable: got %s, want the ids of the events", got)
	}
	for _, n := range []string{"_stacks", "_frames"} {
		for _, d := range each.tables[n].Columns {
			if u := func(t perfpipe.Type) bool { return t >= perfpipe.TypeUint8 && t <= perfpipe.TypeUint64 }; u(d.Type) || u(d.Elem) {
				t.Errorf("portable: %s.%s is %v of %v", n, d.Name, d.Type, d.Elem)
			}
		}
	}
}

func TestStacksNotAskedFor(t *testing.T) {
	each := newMemory()
	sym := &symbols{}
	if _, err := Run(context.Background(), Config{Source: stacked(), Start: start, Symbolizer: sym, Outputs: []Output{{Sink: each}}}); err != nil {
		t.Fatal(err)
	}
	if each.tables["_stacks"] != nil || each.tables["_frames"] != nil || len(sym.loaded) > 0 || strings.Contains(each.rows["sched.wakeup"][0], "stack") {
		t.Errorf("got %v, loaded %v", each.tables, sym.loaded)
	}
	each = newMemory()
	if _, err := Run(context.Background(), Config{Source: &script{schemas: []*perfpipe.Schema{wakeup()}}, Start: start, Columns: Options{Stacks: true}, Outputs: []Output{{Sink: each}}}); err != nil {
		t.Fatal(err)
	}
	if each.tables["_stacks"] == nil || each.tables["_frames"] == nil {
		t.Error("no stack was seen: the tables are missing, want them empty")
	}
}

// Events that are merged have the columns of stacks behind the fields of all.
func TestStacksOfSeveralEvents(t *testing.T) {
	file := newMemory()
	src := stacked()
	src.schemas = append(src.schemas, open())
	src.rounds = append(src.rounds, one(1, 9, rawOpen("/a", 1, 1)))
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Columns: Options{Stacks: true, Cgroup: true}, Outputs: []Output{{Sink: file, Merged: true}}}); err != nil {
		t.Fatal(err)
	}
	rows := file.rows["events"]
	if len(rows) != 5 || !strings.HasSuffix(rows[4], "stack_id=null stack=null cgroup=0") || !strings.Contains(rows[0], "odd=null stack_id=9223372036854775808 stack=[") {
		t.Errorf("got %q", rows)
	}
}

// discard takes rows and keeps nothing.
type discard struct{ rows map[string]int }

func (d *discard) Write(b *perfpipe.Batch) error {
	d.rows[b.Table.Name] += b.Rows
	return nil
}
func (d *discard) Sync(perfpipe.SyncOp) error   { return nil }
func (d *discard) Bytes() int64                 { return 0 }
func (d *discard) Close(perfpipe.Summary) error { return nil }

// TestStacksMemory: a million different stacks of 20 frames pass in bounded memory.
func TestStacksMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million stacks")
	}
	for _, inline := range []bool{false, true} {
		t.Run(fmt.Sprint("inline ", inline), func(t *testing.T) {
			const stacks, frames, round = 1_000_000, 50_000, 10_000
			var peak uint64
			frameIDs, addrs := make([]uint32, 20), make([]uint64, 20)
			src := &script{schemas: []*perfpipe.Schema{wakeup()}}
			for r := range stacks / round {
				src.rounds = append(src.rounds, func(v perfpipe.Visitor) {
					if r == 0 {
						for i := range frames {
							v.Frame(perfpipe.Frame{ID: uint32(i + 1), Kind: perfpipe.FrameFile, File: "/usr/lib/libc.so.6", Offset: uint64(i), PID: 1})
						}
					}
					for i := r * round; i < (r+1)*round; i++ {
						for k := range frameIDs {
							frameIDs[k], addrs[k] = uint32((i*7+k*k)%frames+1), uint64(i)
						}
						v.Stack(&perfpipe.Stack{ID: uint64(i+1) * 0x9e3779b97f4a7c15, PID: 1, Frames: frameIDs, Addrs: addrs})
						v.Record(&perfpipe.Record{Time: int64(i), Raw: rawWakeupShared, Stack: uint64(i+1) * 0x9e3779b97f4a7c15})
					}
					if r%10 == 9 {
						var m runtime.MemStats
						runtime.ReadMemStats(&m)
						peak = max(peak, m.HeapAlloc)
					}
				})
			}
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)
			d := &discard{rows: map[string]int{}}
			if _, err := Run(context.Background(), Config{Source: src, Start: start, Columns: Options{Stacks: true, StackInline: inline}, Outputs: []Output{{Sink: d}}}); err != nil {
				t.Fatal(err)
			}
			if d.rows["_stacks"] != stacks || d.rows["_frames"] != frames || d.rows["sched.wakeup"] != stacks {
				t.Errorf("got %v", d.rows)
			}
			used := (peak - min(peak, before.HeapAlloc)) >> 20
			t.Logf("%d MiB of heap at most", used)
			if limit := uint64(200); !inline && used > limit {
				t.Errorf("got %d MiB of heap, want at most %d", used, limit)
			}
		})
	}
}

var rawWakeupShared = rawWakeup("x", 1, 1, 1, 1)

func TestTasksOfANamespace(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		v.Task(perfpipe.Task{TID: 5, PID: 4, PPID: 1, Comm: "a", NSTID: 2, NSPID: 1})
		v.Task(perfpipe.Task{TID: 6, PID: 6, PPID: 1, Comm: "b"})
	}}}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}}); err != nil {
		t.Fatal(err)
	}
	if got, want := ends(m.rows["_tasks"], "ns_tid="), []string{"ns_tid=2 ns_pid=1", "ns_tid=null ns_pid=null"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
