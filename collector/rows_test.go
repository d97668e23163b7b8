package collector

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// mixed is an event with arrays, texts and masks of all lengths. Of two, the list args
// is in place in one and of any length in the other.
func mixed(name string, args perfpipe.Field) *perfpipe.Schema {
	s := &perfpipe.Schema{System: "test", Name: name, ID: 5, Common: common}
	at := 8
	add := func(f perfpipe.Field, size int) {
		f.Offset, f.Size = at, size
		at += size
		s.Fields = append(s.Fields, f)
	}
	for _, n := range []int{1, 2, 3, 4, 7, 8, 9, 16, 21} {
		add(perfpipe.Field{Name: fmt.Sprintf("u%d", n), ElemSize: 1, Count: n, Kind: perfpipe.KindUint, Array: true}, n)
	}
	args.Name, args.ElemSize, args.Kind, args.Array = "args", 8, perfpipe.KindUint, true
	add(args, args.Size)
	add(perfpipe.Field{Name: "text", ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData}, 4)
	add(perfpipe.Field{Name: "mask", ElemSize: 8, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocData}, 4)
	add(perfpipe.Field{Name: "name", ElemSize: 1, Count: 16, Kind: perfpipe.KindString}, 16)
	add(perfpipe.Field{Name: "short", ElemSize: 1, Count: 5, Kind: perfpipe.KindString}, 5)
	for _, n := range []int{1, 2, 4, 8} {
		add(perfpipe.Field{Name: fmt.Sprintf("n%d", n), ElemSize: n, Count: 1, Kind: perfpipe.KindInt, Signed: true}, n)
	}
	s.Size = at
	return s
}

// randomText is of up to n bytes, mostly plain, sometimes with a NUL.
func randomText(rnd *rand.Rand, n int) []byte {
	t := make([]byte, rnd.IntN(n+1))
	for i := range t {
		t[i] = byte('a' + rnd.IntN(26))
	}
	if len(t) > 0 && rnd.IntN(3) == 0 {
		t[rnd.IntN(len(t))] = []byte{0, '\\', 0xff, 0xc3}[rnd.IntN(4)]
	}
	return t
}

// rawMixed is a record of s with random values; what has a location stands at its end.
func rawMixed(rnd *rand.Rand, s *perfpipe.Schema) []byte {
	raw := make([]byte, s.Size)
	for i := range raw {
		raw[i] = byte(rnd.Uint32())
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		var data []byte
		switch {
		case f.Kind == perfpipe.KindString && f.Loc == perfpipe.LocStatic:
			clear(raw[f.Offset : f.Offset+f.Size])
			copy(raw[f.Offset:], randomText(rnd, f.Size))
			continue
		case f.Loc == perfpipe.LocStatic:
			continue
		case f.Kind == perfpipe.KindString:
			data = randomText(rnd, 40)
		case f.Kind == perfpipe.KindCPUMask:
			data = make([]byte, rnd.IntN(20))
			for i := range data {
				data[i] = byte(1<<rnd.IntN(12)) & 0xff
			}
		default:
			data = make([]byte, 8*rnd.IntN(60))
			data = append(data, 1, 2)[:len(data)+rnd.IntN(2)]
		}
		binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw)|len(data)<<16))
		raw = append(raw, data...)
	}
	return raw
}

// plainRow is the row of a record, field by field.
func plainRow(s *perfpipe.Schema, r *perfpipe.Record) string {
	comm, _ := perfpipe.AppendText(nil, []byte(r.Comm))
	out := []string{fmt.Sprintf("ts=%d cpu=%d pid=%d tid=%d comm=%s", r.Time, r.CPU, r.PID, r.TID, comm)}
	for i := range s.Fields {
		f := &s.Fields[i]
		data, _ := f.Bytes(r.Raw)
		switch {
		case f.Kind == perfpipe.KindString:
			text, _, _, _ := f.Text(r.Raw)
			text, _ = perfpipe.AppendText(nil, text)
			out = append(out, f.Name+"="+string(text))
			continue
		case f.Kind == perfpipe.KindCPUMask:
			var set []string
			for i := range 8 * len(data) {
				if data[i/8]>>(i%8)&1 != 0 {
					set = append(set, fmt.Sprint(i))
				}
			}
			out = append(out, f.Name+"=["+strings.Join(set, ",")+"]")
			continue
		}
		var list []string
		for ; len(data) >= f.ElemSize; data = data[f.ElemSize:] {
			v, _ := perfpipe.LoadInt(data[:f.ElemSize], f.Signed)
			if f.Signed {
				list = append(list, fmt.Sprint(int64(v)))
			} else {
				list = append(list, fmt.Sprint(v))
			}
		}
		if f.Array {
			out = append(out, f.Name+"=["+strings.Join(list, ",")+"]")
		} else {
			out = append(out, f.Name+"="+list[0])
		}
	}
	return strings.Join(out, " ")
}

// Rows of records of all shapes are those that the fields say, one by one, in tables of
// their own and in one where the events take turns, over batches that grow.
func TestRowsAreThoseOfTheFields(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	schemas := []*perfpipe.Schema{
		mixed("fixed", perfpipe.Field{Size: 48, Count: 6}),
		mixed("any", perfpipe.Field{Size: 4, Loc: perfpipe.LocData}),
		mixed("short", perfpipe.Field{Size: 24, Count: 3}),
	}
	const n = 6000
	want := make(map[string][]string)
	records := make([]perfpipe.Record, n)
	comms := []string{"", "a", "ab", "abc", "bash", "0123456", "01234567", "0123456789abcde", `b\s`, "\xff", "longer than the kernel's names"}
	for i := range records {
		ev := rnd.IntN(3)
		if i < n/2 {
			ev = i / 1000 // one event alone for a while
		}
		s := schemas[ev]
		records[i] = perfpipe.Record{Time: int64(i), Event: ev, CPU: uint16(rnd.Uint32()), PID: int32(rnd.Uint32()), TID: int32(rnd.IntN(200)), Comm: comms[rnd.IntN(len(comms))], Raw: rawMixed(rnd, s)}
		want[TableName(s)] = append(want[TableName(s)], plainRow(s, &records[i]))
		want["events"] = append(want["events"], plainRow(s, &records[i]))
	}
	each, merged := newMemory(), newMemory()
	src := &script{schemas: schemas, rounds: []func(perfpipe.Visitor){func(v perfpipe.Visitor) {
		for i := range records {
			v.Record(&records[i])
		}
	}}}
	if _, err := Run(context.Background(), Config{Source: src, Start: start, Outputs: []Output{{Sink: each}, {Sink: merged, Merged: true}}}); err != nil {
		t.Fatal(err)
	}
	for table, rows := range want {
		got := each.rows[table]
		if table == "events" {
			got = merged.rows[table]
		}
		if len(got) != len(rows) {
			t.Fatalf("%s: got %d rows, want %d", table, len(got), len(rows))
		}
		for i := range rows {
			_, g, _ := strings.Cut(got[i], " ")
			before, after, in := strings.Cut(g, " event=")
			if in {
				_, after, _ = strings.Cut(after, " ")
				g = before + " " + after
			}
			if g != rows[i] {
				t.Fatalf("%s, row %d:\ngot  %q\nwant %q", table, i, g, rows[i])
			}
		}
	}
}

// A batch knows how large it is while it is filled.
func TestLengthsFollowTheRows(t *testing.T) {
	s := enter()
	l := eventLayout([]*perfpipe.Schema{s}, make([]map[string]string, 1), Options{})
	b := perfpipe.NewBatch(l.tables[0], 4096)
	r := &perfpipe.Record{Raw: make([]byte, 64), Comm: "bash"}
	for range 2 * lengthsEvery {
		l.encs[0].append(b, r, 0)
	}
	args := &b.Columns[len(b.Columns)-1]
	if got, want := len(args.Child.Data), 2*lengthsEvery*48; got != want || args.Child.Len != want/8 {
		t.Errorf("got %d bytes and %d elements of args, want %d bytes", got, args.Child.Len, want)
	}
	if got, want := len(b.Columns[colComm].Data), 2*lengthsEvery*4; got != want {
		t.Errorf("got %d bytes of names, want %d", got, want)
	}
}

// The lists of other events may have taken the room of an event's arrays.
func TestArraysGrow(t *testing.T) {
	for _, s := range []*perfpipe.Schema{enter(), open()} {
		l := eventLayout([]*perfpipe.Schema{s}, make([]map[string]string, 1), Options{})
		b := perfpipe.NewBatch(l.tables[0], 16)
		raw := make([]byte, 64)
		if s.Name == "open" {
			raw = rawOpen("x", 1, 1)
		}
		r := &perfpipe.Record{Raw: raw, Comm: "bash"}
		for range 3 {
			l.encs[0].append(b, r, 0)
			for i := range b.Columns {
				if ch := b.Columns[i].Child; ch != nil {
					n := int(b.Columns[i].Offsets[:b.Rows+1][b.Rows]) * ch.Type.Width()
					ch.Data = ch.Data[:n:n]
				}
			}
		}
		seal(b, -1)
		for i := range b.Columns {
			c := &b.Columns[i]
			if ch := c.Child; ch != nil && (ch.Len == 0 || ch.Len != int(c.Offsets[3]) || len(ch.Data) != ch.Len*ch.Type.Width()) {
				t.Errorf("%s, column %d: got %d elements in %d bytes, offsets %v", s.Name, i, ch.Len, len(ch.Data), c.Offsets)
			}
		}
	}
}
