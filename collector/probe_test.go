package collector

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func noCheck() *perfpipe.Probed { return &perfpipe.Probed{Check: -1, Head: -1, Length: -1} }

// readline is a probe with a field of every kind that may be null.
func readline() *perfpipe.Schema {
	check := noCheck()
	check.Check = 24
	head := noCheck()
	head.Head, head.HeadSize = 32, 4
	length := noCheck()
	length.Length, length.Check = 40, 24
	never := noCheck()
	never.Never = true
	return &perfpipe.Schema{System: "uprobe", Name: "readline", ID: 3, Size: 60, Common: common, Fields: []perfpipe.Field{
		{Name: "func", CType: "name", Offset: 8, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindUint, Symbols: []perfpipe.Symbol{{Name: "readline", Value: 0x1179}}},
		{Name: "s", CType: "char *", Offset: 16, Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData, Probed: head},
		{Name: "id", CType: "int", Offset: 20, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true, Probed: check, Symbols: []perfpipe.Symbol{{Name: "ONE", Value: 1}}},
		{Name: "buf", CType: "u8[4]", Offset: 28, Size: 4, ElemSize: 1, Count: 4, Kind: perfpipe.KindUint, Array: true, Probed: check},
		{Name: "flag", CType: "bool", Offset: 36, Size: 1, ElemSize: 1, Count: 1, Kind: perfpipe.KindBool, Probed: check},
		{Name: "bits", CType: "int", Offset: 37, Size: 1, ElemSize: 1, Count: 1, Kind: perfpipe.KindInt, Signed: true, SignBits: 3, Probed: noCheck()},
		{Name: "go", CType: "string", Offset: 48, Size: 8, ElemSize: 1, Kind: perfpipe.KindString, Probed: length},
		{Name: "d", CType: "double", Offset: -1, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindBytes, Probed: never},
		{Name: "ns", CType: "char *", Offset: -1, Kind: perfpipe.KindString, Probed: never},
		{Name: "truncated", CType: "u32", Offset: 56, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint},
	}}
}

// rawReadline makes such a record; check is the length of the string that tells
// faults, s nil is NULL.
func rawReadline(check int, s *string, head string, id int32, golang string, length int64) []byte {
	b := make([]byte, 60)
	binary.LittleEndian.PutUint64(b[8:], 0x1179)
	if s != nil {
		b = append(append(b, *s...), 0)
		binary.LittleEndian.PutUint32(b[16:], 60|uint32(len(*s)+1)<<16)
	}
	binary.LittleEndian.PutUint32(b[20:], uint32(id))
	binary.LittleEndian.PutUint32(b[24:], 60|uint32(check)<<16)
	copy(b[32:36], head)
	b[37] = 5
	binary.LittleEndian.PutUint64(b[40:], uint64(length))
	copy(b[48:56], golang)
	return b
}

func text(s string) *string { return &s }

func TestNullsOfProbes(t *testing.T) {
	full := rawReadline(1, nil, "", 1, "", 0)
	full = append(full, make([]byte, 4112-len(full))...)
	copy(full[4000:], strings.Repeat("y", 111))
	binary.LittleEndian.PutUint32(full[16:], 4000|112<<16)
	rounds := []func(perfpipe.Visitor){
		one(0, 1, rawReadline(1, text("ls"), "ls", 1, "golang", 2)),
		one(0, 2, rawReadline(0, nil, "", 0, "", 3)),
		one(0, 3, rawReadline(1, text(""), "", 0, "golanggo", 9)),
		one(0, 4, rawReadline(1, nil, "long", 2, "", 0)),
		one(0, 5, full),
		one(0, 6, rawReadline(1, text("x"), "", 1, "", 0)[:59]), // short
	}
	m := newMemory()
	res, err := Run(context.Background(), Config{Source: &script{schemas: []*perfpipe.Schema{readline()}, rounds: rounds}, Start: start,
		Columns: Options{Names: true}, Outputs: []Output{{Sink: m}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"func=readline s=ls id=1 id_name=ONE buf=[0,0,0,0] flag=0 bits=-3 go=go d=null ns=null truncated=0 truncated_2=0",
		"func=readline s=null id=null id_name=null buf=null flag=null bits=-3 go=null d=null ns=null truncated=0 truncated_2=0",
		"func=readline s= id=0 id_name=0x0 buf=[0,0,0,0] flag=0 bits=-3 go=golanggo d=null ns=null truncated=0 truncated_2=1",
		"func=readline s=long id=2 id_name=0x2 buf=[0,0,0,0] flag=0 bits=-3 go= d=null ns=null truncated=0 truncated_2=1",
		"func=readline s=" + strings.Repeat("y", 111) + " id=1 id_name=ONE buf=[0,0,0,0] flag=0 bits=-3 go= d=null ns=null truncated=0 truncated_2=1",
	}
	for i, row := range m.rows["uprobe.readline"] {
		if got := after(row); got != want[i] {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, want[i])
		}
	}
	if len(m.rows["uprobe.readline"]) != len(want) || res.LostBy["uprobe:readline"][perfpipe.LostCorrupt] != 1 {
		t.Errorf("got %d rows and lost %v, want %d and the short one", len(m.rows["uprobe.readline"]), res.LostBy, len(want))
	}
	nullable := map[string]bool{}
	for _, d := range m.tables["uprobe.readline"].Columns {
		nullable[d.Name] = d.Nullable
	}
	for name, want := range map[string]bool{"func": false, "s": true, "id": true, "id_name": true, "buf": true, "d": true, "truncated": false, "truncated_2": false} {
		if nullable[name] != want {
			t.Errorf("column %s: got nullable %v, want %v", name, nullable[name], want)
		}
	}
}

func TestAppendOfProbesAllocatesNothing(t *testing.T) {
	l := eventLayout([]*perfpipe.Schema{readline()}, make([]map[string]string, 1), Options{Stacks: true, Cgroup: true})
	b := perfpipe.NewBatch(l.tables[0], 4096)
	recs := []*perfpipe.Record{
		{Time: 1, Raw: rawReadline(1, text("ls"), "ls", 1, "golang", 2), Comm: "bash", Stack: 7},
		{Time: 2, Raw: rawReadline(0, nil, "", 0, "", 3), Comm: "bash"},
	}
	fill := func() {
		b.Reset()
		for i := range 1000 {
			if r := recs[i%2]; l.encs[0].whole(r) {
				l.encs[0].append(b, r, 5)
			}
		}
	}
	fill()
	if n := testing.AllocsPerRun(20, fill); n != 0 || b.Rows != 1000 {
		t.Errorf("got %v allocations for %d rows", n, b.Rows)
	}
}

func BenchmarkAppendProbe(b *testing.B) {
	s := readline()
	s.Fields = s.Fields[1:3]
	l := eventLayout([]*perfpipe.Schema{s}, make([]map[string]string, 1), Options{})
	batch := perfpipe.NewBatch(l.tables[0], batchRows)
	r := &perfpipe.Record{Time: 1, Raw: rawReadline(1, text("kworker/0:1"), "kwor", 1, "", 0), Comm: "bash"}
	b.ReportAllocs()
	for b.Loop() {
		if batch.Rows == batchRows {
			batch.Reset()
		}
		if l.encs[0].whole(r) {
			l.encs[0].append(batch, r, 5)
		}
	}
}

// site is one site of a probe whose argument differs in type from site to site.
func site(name string, f perfpipe.Field, more ...perfpipe.Field) *perfpipe.Schema {
	f.Offset = 8
	return &perfpipe.Schema{System: "usdt", Name: name, Table: "usdt.query", Size: 24, Common: common, FormatSHA256: "sha-" + name, Fields: append([]perfpipe.Field{f}, more...)}
}

func TestEventsThatShareATable(t *testing.T) {
	str := perfpipe.Field{Name: "s", CType: "char *", Offset: 16, Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData, Probed: noCheck()}
	schemas := []*perfpipe.Schema{
		site("q", perfpipe.Field{Name: "id", Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true}, str),
		site("q", perfpipe.Field{Name: "id", Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint}, perfpipe.Field{Name: "n", Offset: 12, Size: 2, ElemSize: 2, Count: 1, Kind: perfpipe.KindUint}),
		wakeup(),
	}
	raw := func(id uint32) []byte {
		b := make([]byte, 24)
		binary.LittleEndian.PutUint32(b[8:], id)
		binary.LittleEndian.PutUint16(b[12:], 9)
		binary.LittleEndian.PutUint32(b[16:], 24|3<<16)
		return append(b, "hi\x00"...)
	}
	src := func() *script {
		return &script{schemas: schemas, rounds: []func(perfpipe.Visitor){one(0, 1, raw(0xffffffff)), one(1, 2, raw(0xffffffff)), one(2, 3, rawWakeup("x", 1, 1, 1, 1)), one(0, 4, raw(5))}}
	}
	meta := []map[string]string{
		{"event": "usdt:q", "format_sha256": "a", "filter": "x"}, {"event": "usdt:q", "format_sha256": "b", "filter": "x"}, {"event": "sched:wakeup", "format_sha256": "c", "filter": ""},
	}
	each, merged := newMemory(), newMemory()
	res, err := Run(context.Background(), Config{Source: src(), Start: start, Meta: meta, KeepEmpty: []bool{false, true, true}, Outputs: []Output{{Sink: each}, {Sink: merged, Merged: true}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"id=-1 s=hi n=null truncated=0", "id=4294967295 s=null n=9 truncated=null", "id=5 s=hi n=null truncated=0"}
	var got []string
	for _, r := range each.rows["usdt.query"] {
		got = append(got, after(r))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	tab := each.tables["usdt.query"]
	if tab.Meta["event"] != "usdt:q" || tab.Meta["filter"] != "x" || tab.Meta["format_sha256"] != "usdt:q=a\nusdt:q=b" {
		t.Errorf("metadata: got %q", tab.Meta)
	}
	if last := tab.Columns[len(tab.Columns)-1].Name; last != "truncated" || slices.ContainsFunc(tab.Columns, func(d perfpipe.ColumnDef) bool { return d.Name == "event" }) {
		t.Errorf("columns: got %v", tab.Columns)
	}
	if res.Tables != 2 || res.Rows != 4 || len(merged.rows["events"]) != 4 || len(each.rows["sched.wakeup"]) != 1 {
		t.Errorf("got %d tables, %d rows, merged %q", res.Tables, res.Rows, merged.rows["events"])
	}
	// One table alone: a file needs no column that says so.
	merged = newMemory()
	s := src()
	s.schemas, s.rounds = schemas[:2], s.rounds[:2]
	if _, err := Run(context.Background(), Config{Source: s, Start: start, Meta: meta[:2], Outputs: []Output{{Sink: merged, Merged: true}}}); err != nil {
		t.Fatal(err)
	}
	if n := len(merged.rows["usdt.query"]); n != 2 || len(merged.tables) != 1 {
		t.Errorf("a file of one table: got %d rows of %v", n, merged.tables)
	}
	// Nothing fired: the table is there once, where one of its events keeps it.
	each = newMemory()
	if _, err := Run(context.Background(), Config{Source: &script{schemas: schemas}, Start: start, KeepEmpty: []bool{false, true, false}, Outputs: []Output{{Sink: each}}}); err != nil {
		t.Fatal(err)
	}
	if each.tables["usdt.query"] == nil || each.tables["sched.wakeup"] != nil {
		t.Errorf("empty tables: got %v", each.tables)
	}
}

// after is what follows the columns that every row begins with.
func after(row string) string {
	_, s, _ := strings.Cut(row, `comm=a\xffb `)
	return s
}
