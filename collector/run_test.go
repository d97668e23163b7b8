package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// script is a source that plays rounds of records.
type script struct {
	schemas []*perfpipe.Schema
	rounds  []func(v perfpipe.Visitor)
	// forever plays the last round again until Stop.
	forever bool
	stopped atomic.Bool
	err     error
}

func (s *script) Schemas() []*perfpipe.Schema { return s.schemas }
func (s *script) Stop() error                 { s.stopped.Store(true); return nil }
func (s *script) Close() error                { return nil }

func (s *script) Read(wait time.Duration, v perfpipe.Visitor) error {
	if len(s.rounds) == 0 || s.stopped.Load() {
		if s.err != nil {
			return s.err
		}
		return io.EOF
	}
	s.rounds[0](v)
	if !s.forever || len(s.rounds) > 1 {
		s.rounds = s.rounds[1:]
	} else {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// memory is a sink that keeps a textual copy of every row.
type memory struct {
	rows   map[string][]string
	tables map[string]*perfpipe.Table
	ops    []perfpipe.SyncOp
	bytes  int64
	sum    perfpipe.Summary
	closed int
	fail   error // of the next Write
}

func newMemory() *memory {
	return &memory{rows: map[string][]string{}, tables: map[string]*perfpipe.Table{}}
}

func (m *memory) Write(b *perfpipe.Batch) error {
	if m.fail != nil {
		return m.fail
	}
	m.tables[b.Table.Name] = b.Table
	for i := range b.Rows {
		var f []string
		for c := range b.Columns {
			f = append(f, b.Table.Columns[c].Name+"="+cell(&b.Columns[c], i))
		}
		m.rows[b.Table.Name] = append(m.rows[b.Table.Name], strings.Join(f, " "))
	}
	m.bytes += int64(b.Size())
	return nil
}

func cell(c *perfpipe.Column, i int) string {
	switch {
	case c.Len <= i:
		return "MISSING"
	case c.IsNull(i):
		return "null"
	case c.Type == perfpipe.TypeString:
		return string(c.Text(i))
	case c.Type == perfpipe.TypeList:
		var l []string
		for j := c.Offsets[i]; j < c.Offsets[i+1]; j++ {
			l = append(l, cell(c.Child, int(j)))
		}
		return "[" + strings.Join(l, ",") + "]"
	case c.Type.Signed():
		return fmt.Sprint(int64(c.Int(i)))
	}
	return fmt.Sprint(c.Int(i))
}

func (m *memory) Sync(op perfpipe.SyncOp) error  { m.ops = append(m.ops, op); return nil }
func (m *memory) Bytes() int64                   { return m.bytes }
func (m *memory) Close(s perfpipe.Summary) error { m.sum = s; m.closed++; return nil }

var common = []perfpipe.Field{
	{Name: "common_type", Offset: 0, Size: 2, ElemSize: 2, Count: 1, Kind: perfpipe.KindUint},
	{Name: "common_pid", Offset: 4, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true},
}

func wakeup() *perfpipe.Schema {
	return &perfpipe.Schema{System: "sched", Name: "wakeup", ID: 1, Size: 36, Common: common, Fields: []perfpipe.Field{
		{Name: "comm", CType: "char[16]", Offset: 8, Size: 16, ElemSize: 1, Count: 16, Kind: perfpipe.KindString},
		{Name: "pid", CType: "pid_t", Offset: 24, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true},
		{Name: "prio", CType: "int", Offset: 28, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true,
			Symbols: []perfpipe.Symbol{{Name: "HIGH", Value: 100}, {Name: "BELOW", Value: ^uint64(0)}}},
		{Name: "ok", CType: "bool", Offset: 32, Size: 1, ElemSize: 1, Count: 1, Kind: perfpipe.KindBool},
		{Name: "flags", CType: "u16", Offset: 34, Size: 2, ElemSize: 2, Count: 1, Kind: perfpipe.KindUint, FlagsDelim: "|",
			Symbols: []perfpipe.Symbol{{Name: "A", Value: 1}, {Name: "B", Value: 2}}},
	}}
}

func open() *perfpipe.Schema {
	return &perfpipe.Schema{System: "sys", Name: "open", ID: 2, Size: 36, Common: common, Fields: []perfpipe.Field{
		{Name: "name", CType: "__data_loc char[]", Offset: 8, Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData},
		{Name: "args", CType: "u32[3]", Offset: 12, Size: 12, ElemSize: 4, Count: 3, Kind: perfpipe.KindUint, Array: true},
		{Name: "mask", CType: "__data_loc cpumask_t", Offset: 24, Size: 4, ElemSize: 8, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocData},
		{Name: "prio", CType: "u32", Offset: 28, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint},
		{Name: "odd", CType: "union x", Offset: 32, Size: 3, ElemSize: 3, Count: 1, Kind: perfpipe.KindBytes},
	}}
}

func rawWakeup(comm string, pid, prio int32, ok byte, flags uint16) []byte {
	b := make([]byte, 36)
	copy(b[8:24], comm)
	binary.LittleEndian.PutUint32(b[24:], uint32(pid))
	binary.LittleEndian.PutUint32(b[28:], uint32(prio))
	b[32] = ok
	binary.LittleEndian.PutUint16(b[34:], flags)
	return b
}

func rawOpen(name string, prio uint32, mask byte) []byte {
	b := make([]byte, 36)
	binary.LittleEndian.PutUint32(b[8:], 36|uint32(len(name)+1)<<16)
	for i := range 3 {
		binary.LittleEndian.PutUint32(b[12+4*i:], uint32(i+7))
	}
	b = append(b, name...)
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[24:], uint32(len(b))|8<<16)
	b = append(b, mask, 0, 0, 0, 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(b[28:], prio)
	copy(b[32:35], "\x01\x02\xff")
	return b
}

var start = perfpipe.Clock{Mono: 1000, Boot: 2000, Real: 5_000_001_000, Reason: "start"}

func one(ev int, t int64, raw []byte) func(perfpipe.Visitor) {
	return func(v perfpipe.Visitor) {
		v.Record(&perfpipe.Record{Time: t, Event: ev, Raw: raw, PID: 10, TID: 11, CPU: 3, Comm: "a\xffb"})
	}
}

func TestRowsOfEveryType(t *testing.T) {
	src := &script{schemas: []*perfpipe.Schema{wakeup(), open()}, rounds: []func(perfpipe.Visitor){
		one(0, 2000, rawWakeup("ksoft\\irq", -7, 100, 2, 3)),
		one(1, 3000, rawOpen("/etc/\xfe", 4_000_000_000, 0x85)),
		one(0, 4000, rawWakeup("0123456789abcdef", 7, -1, 0, 9)),
	}}
	each, merged := newMemory(), newMemory()
	res, err := Run(context.Background(), Config{Source: src, Start: start, Columns: Options{Names: true},
		Outputs: []Output{{Sink: each}, {Sink: merged, Merged: true}}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"sched.wakeup": {
			`time=5000002 ts=2000 cpu=3 pid=10 tid=11 comm=a\xffb args_comm=ksoft\\irq args_pid=-7 prio=100 prio_name=HIGH ok=1 flags=3 flags_name=A|B`,
			`time=5000004 ts=4000 cpu=3 pid=10 tid=11 comm=a\xffb args_comm=0123456789abcdef args_pid=7 prio=-1 prio_name=BELOW ok=0 flags=9 flags_name=A|0x8`,
		},
		"sys.open": {
			`time=5000003 ts=3000 cpu=3 pid=10 tid=11 comm=a\xffb name=/etc/\xfe args=[7,8,9] mask=[0,2,7] prio=4000000000 odd=[1,2,255]`,
		},
	}
	for table, rows := range want {
		if !slices.Equal(each.rows[table], rows) {
			t.Errorf("%s:\ngot  %q\nwant %q", table, each.rows[table], rows)
		}
	}
	wantMerged := []string{
		`time=5000002 ts=2000 cpu=3 pid=10 tid=11 comm=a\xffb event=sched:wakeup args_comm=ksoft\\irq args_pid=-7 prio=100 prio_name=HIGH ok=1 flags=3 flags_name=A|B name=null args=null mask=null odd=null`,
		`time=5000003 ts=3000 cpu=3 pid=10 tid=11 comm=a\xffb event=sys:open args_comm=null args_pid=null prio=4000000000 prio_name=null ok=null flags=null flags_name=null name=/etc/\xfe args=[7,8,9] mask=[0,2,7] odd=[1,2,255]`,
		`time=5000004 ts=4000 cpu=3 pid=10 tid=11 comm=a\xffb event=sched:wakeup args_comm=0123456789abcdef args_pid=7 prio=-1 prio_name=BELOW ok=0 flags=9 flags_name=A|0x8 name=null args=null mask=null odd=null`,
	}
	if !slices.Equal(merged.rows["events"], wantMerged) {
		t.Errorf("merged:\ngot  %q\nwant %q", merged.rows["events"], wantMerged)
	}
	if len(merged.tables) != 1 {
		t.Errorf("the merged output got %d tables, want 1", len(merged.tables))
	}
	if res.Rows != 3 || res.Tables != 2 || !res.Complete || each.sum.Rows != 3 || each.closed != 1 {
		t.Errorf("got %+v, closed %d", res, each.closed)
	}
	// Each of three comms, a name and one args_comm; both layouts hold the same.
	if res.Escaped != 5 {
		t.Errorf("escaped: got %d, want 5", res.Escaped)
	}
}

func TestPortableTypes(t *testing.T) {
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){one(0, 2000, rawWakeup("x", 1, 1, 1, 0xffff))}}
	m := newMemory()
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Columns: Options{Portable: true}, Outputs: []Output{{Sink: m}}}); err != nil {
		t.Fatal(err)
	}
	for _, d := range m.tables["sched.wakeup"].Columns {
		if d.Type >= perfpipe.TypeUint8 && d.Type <= perfpipe.TypeUint64 {
			t.Errorf("column %s is %v", d.Name, d.Type)
		}
	}
	if got := m.rows["sched.wakeup"][0]; !strings.HasSuffix(got, "flags=65535") || !strings.Contains(got, "cpu=3 ") {
		t.Errorf("got %s", got)
	}
}

func TestUnify(t *testing.T) {
	tests := []struct{ a, b, want perfpipe.Type }{
		{perfpipe.TypeInt32, perfpipe.TypeInt32, perfpipe.TypeInt32},
		{perfpipe.TypeInt32, perfpipe.TypeInt64, perfpipe.TypeInt64},
		{perfpipe.TypeUint8, perfpipe.TypeUint32, perfpipe.TypeUint32},
		{perfpipe.TypeInt32, perfpipe.TypeUint32, perfpipe.TypeInt64},
		{perfpipe.TypeInt64, perfpipe.TypeUint32, perfpipe.TypeInt64},
		{perfpipe.TypeInt8, perfpipe.TypeUint64, perfpipe.TypeInvalid},
		{perfpipe.TypeString, perfpipe.TypeUint64, perfpipe.TypeInvalid},
		{perfpipe.TypeBool, perfpipe.TypeUint8, perfpipe.TypeInvalid},
	}
	for _, tt := range tests {
		for _, p := range [][2]perfpipe.Type{{tt.a, tt.b}, {tt.b, tt.a}} {
			got, ok := unify(perfpipe.ColumnDef{Type: p[0]}, perfpipe.ColumnDef{Type: p[1]})
			if got != tt.want || ok != (tt.want != perfpipe.TypeInvalid) {
				t.Errorf("unify(%v, %v): got %v, %v, want %v", p[0], p[1], got, ok, tt.want)
			}
		}
	}
}

func TestCorruptRecordsAreCounted(t *testing.T) {
	short := rawWakeup("x", 1, 1, 1, 1)[:35]
	outside := rawOpen("/a", 1, 1)
	binary.LittleEndian.PutUint32(outside[8:], 36|900<<16)
	src := &script{schemas: []*perfpipe.Schema{wakeup(), open()}, rounds: []func(perfpipe.Visitor){
		one(0, 1, short), one(1, 2, outside), one(1, 3, rawOpen("/b", 1, 1)),
	}}
	m := newMemory()
	res, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}})
	if err != nil {
		t.Fatal(err)
	}
	if res.Rows != 1 || res.Lost != 2 || res.LostBy["sched:wakeup"][perfpipe.LostCorrupt] != 1 || res.LostBy["sys:open"][perfpipe.LostCorrupt] != 1 {
		t.Errorf("got %+v", res.Summary)
	}
	if len(m.rows["_lost"]) != 2 {
		t.Errorf("_lost: got %q", m.rows["_lost"])
	}
}

type even struct{}

func (even) Match(r *perfpipe.Record) (bool, uint8) {
	if r.Time%10 == 5 {
		return false, 1
	}
	return r.Time%2 == 0, 0
}

func TestFilterVerdictsAddUp(t *testing.T) {
	var rounds []func(perfpipe.Visitor)
	for i := range int64(100) {
		rounds = append(rounds, one(0, i, rawWakeup("x", 1, 1, 1, 1)))
	}
	m := newMemory()
	res, err := Run(context.Background(), Config{
		Source: &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: rounds}, Start: start, Outputs: []Output{{Sink: m}},
		Filters: [][]Filter{{even{}}}, FaultName: func(uint8) string { return "five" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Rows != 50 || res.Rejected != 40 || res.Lost != 10 || res.Faults["five"] != 10 {
		t.Errorf("got rows %d, rejected %d, lost %d, faults %v", res.Rows, res.Rejected, res.Lost, res.Faults)
	}
}

func TestSinkErrorEndsTheRun(t *testing.T) {
	bad := newMemory()
	bad.fail = errors.New("no space left on device")
	good := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, forever: true, rounds: []func(perfpipe.Visitor){one(0, 1, rawWakeup("x", 1, 1, 1, 1))}}
	done := make(chan error, 1)
	go func() {
		_, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: bad}, {Sink: good}}})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, bad.fail) {
			t.Errorf("got %v, want %v", err, bad.fail)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the run goes on after its sink failed")
	}
	if bad.closed != 1 || good.closed != 1 || good.sum.Complete {
		t.Errorf("closed %d and %d times, complete %v", bad.closed, good.closed, good.sum.Complete)
	}
}

func TestSourceErrorKeepsWhatCameBefore(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){one(0, 1, rawWakeup("x", 1, 1, 1, 1))}, err: io.ErrUnexpectedEOF}
	res, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}})
	if !errors.Is(err, io.ErrUnexpectedEOF) || res.Complete || len(m.rows["sched.wakeup"]) != 1 {
		t.Errorf("got %v, complete %v, rows %q", err, res.Complete, m.rows)
	}
}

func TestLiveReaderSeesRowsWithinASecond(t *testing.T) {
	m := &watched{memory: newMemory(), rows: make(chan int, 100)}
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, forever: true, rounds: []func(perfpipe.Visitor){
		one(0, 1, rawWakeup("x", 1, 1, 1, 1)), func(perfpipe.Visitor) {},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	begin := time.Now()
	go func() {
		_, err := Run(ctx, Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}})
		done <- err
	}()
	for n := 0; n == 0; {
		select {
		case n = <-m.rows:
		case <-time.After(10 * time.Second):
			t.Fatal("no row was flushed")
		}
	}
	// The bar is one second; a machine that is busy with other tests may be late.
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("the row came after %v", d)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// watched tells how many rows each flush made visible.
type watched struct {
	*memory
	rows chan int
}

func (w *watched) Sync(op perfpipe.SyncOp) error {
	if op == perfpipe.SyncFlush {
		select {
		case w.rows <- len(w.memory.rows["sched.wakeup"]):
		default:
		}
	}
	return nil
}

func TestRotation(t *testing.T) {
	m := newMemory()
	sig := make(chan struct{}, 1)
	sig <- struct{}{}
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, rounds: []func(perfpipe.Visitor){
		one(0, 1, rawWakeup("x", 1, 1, 1, 1)), one(0, 2, rawWakeup("x", 1, 1, 1, 1)),
	}}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, Rotate: Rotate{Signal: sig}}); err != nil {
		t.Fatal(err)
	}
	if n := count(m.ops, perfpipe.SyncRotate); n != 1 {
		t.Errorf("by signal: got %d rotations, want 1", n)
	}
	m = newMemory()
	src.rounds = nil
	for i := range int64(2000) {
		src.rounds = append(src.rounds, one(0, i, rawWakeup("x", 1, 1, 1, 1)))
	}
	src.stopped.Store(false)
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, Rotate: Rotate{Bytes: 10_000}}); err != nil {
		t.Fatal(err)
	}
	if n := count(m.ops, perfpipe.SyncRotate); n < 2 {
		t.Errorf("by size: got %d rotations of %d bytes", n, m.bytes)
	}
}

func count(ops []perfpipe.SyncOp, op perfpipe.SyncOp) (n int) {
	for _, o := range ops {
		if o == op {
			n++
		}
	}
	return n
}

func TestMaxBytesEndsTheRun(t *testing.T) {
	m := newMemory()
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, forever: true, rounds: []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		for i := range int64(1000) {
			one(0, i, rawWakeup("x", 1, 1, 1, 1))(v)
		}
	}}}
	res, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, MaxBytes: 100_000})
	if err != nil || !res.Full {
		t.Errorf("got %v, full %v", err, res.Full)
	}
}

func TestClockSteps(t *testing.T) {
	m := newMemory()
	clock := start
	src := &script{schemas: []*perfpipe.Schema{wakeup()}, forever: true}
	n := int64(0)
	src.rounds = []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		n++
		one(0, 2000+n, rawWakeup("x", 1, 1, 1, 1))(v)
		if n == 1 {
			clock.Real += 3_600_000_000_000
		}
		if n == 800 {
			_ = src.Stop()
		}
	}}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: m}}, Clock: func() perfpipe.Clock { return clock }}); err != nil {
		t.Fatal(err)
	}
	rows := m.rows["sched.wakeup"]
	if !strings.HasPrefix(rows[0], "time=5000002 ") || !strings.HasPrefix(rows[len(rows)-1], "time=3605000002 ") {
		t.Errorf("got %s ... %s", rows[0], rows[len(rows)-1])
	}
	var reasons []string
	for _, r := range m.rows["_clock"] {
		reasons = append(reasons, r[strings.LastIndex(r, "=")+1:])
	}
	if want := []string{"start", "step", "stop"}; !slices.Equal(reasons, want) {
		t.Errorf("_clock: got %v, want %v", reasons, want)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	schemas := []*perfpipe.Schema{wakeup(), open()}
	l := mergedLayout(schemas, make([]map[string]string, 2), Options{Names: true})
	b := perfpipe.NewBatch(l.tables[0], 4096)
	recs := []*perfpipe.Record{
		{Time: 1, Event: 0, Raw: rawWakeup("kworker/0:1", 5, 100, 1, 3), Comm: "bash"},
		{Time: 2, Event: 1, Raw: rawOpen("/etc/passwd", 5, 3), Comm: "b\xff"},
	}
	fill := func() {
		b.Reset()
		for i := range 1000 {
			r := recs[i%2]
			l.encs[r.Event].append(b, r, 5)
		}
	}
	fill() // strings and lists grow to their size
	recs[1].Comm = "bash"
	if n := testing.AllocsPerRun(20, fill); n != 0 {
		t.Errorf("got %v allocations for 1000 rows", n)
	}
}

// BenchmarkAppend makes rows of records: of an event with a text and integers of all
// widths, of raw_syscalls:sys_enter, of sched:sched_switch, and of one with texts and
// lists of any length.
func BenchmarkAppend(b *testing.B) {
	for _, l := range []struct {
		name   string
		schema *perfpipe.Schema
		raw    []byte
	}{
		{"wakeup", wakeup(), rawWakeup("kworker/0:1", 5, 100, 1, 3)},
		{"enter", enter(), make([]byte, 64)},
		{"switch", taskSwitch(), rawSwitch("kworker/0:1", "swapper/1")},
		{"open", open(), rawOpen("/etc/passwd", 5, 3)},
	} {
		b.Run(l.name, func(b *testing.B) {
			e := eventLayout([]*perfpipe.Schema{l.schema}, make([]map[string]string, 1), Options{})
			batch := perfpipe.NewBatch(e.tables[0], batchRows)
			r := &perfpipe.Record{Time: 1, Raw: l.raw, Comm: "bash"}
			b.SetBytes(int64(len(r.Raw)))
			b.ReportAllocs()
			for b.Loop() {
				if batch.Rows == batchRows {
					batch.Reset()
				}
				e.encs[0].append(batch, r, 5)
			}
		})
	}
}

// enter is raw_syscalls:sys_enter.
func enter() *perfpipe.Schema {
	return &perfpipe.Schema{System: "raw_syscalls", Name: "sys_enter", ID: 3, Size: 64, Common: common, Fields: []perfpipe.Field{
		{Name: "id", CType: "long", Offset: 8, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindInt, Signed: true},
		{Name: "args", CType: "unsigned long[6]", Offset: 16, Size: 48, ElemSize: 8, Count: 6, Kind: perfpipe.KindUint, Array: true},
	}}
}

// taskSwitch is sched:sched_switch.
func taskSwitch() *perfpipe.Schema {
	name := func(n string, off int) perfpipe.Field {
		return perfpipe.Field{Name: n, CType: "char[16]", Offset: off, Size: 16, ElemSize: 1, Count: 16, Kind: perfpipe.KindString}
	}
	number := func(n string, off, size int) perfpipe.Field {
		return perfpipe.Field{Name: n, CType: "int", Offset: off, Size: size, ElemSize: size, Count: 1, Kind: perfpipe.KindInt, Signed: true}
	}
	return &perfpipe.Schema{System: "sched", Name: "sched_switch", ID: 4, Size: 64, Common: common, Fields: []perfpipe.Field{
		name("prev_comm", 8), number("prev_pid", 24, 4), number("prev_prio", 28, 4), number("prev_state", 32, 8),
		name("next_comm", 40), number("next_pid", 56, 4), number("next_prio", 60, 4),
	}}
}

func rawSwitch(prev, next string) []byte {
	b := make([]byte, 64)
	copy(b[8:24], prev)
	copy(b[40:56], next)
	return b
}
