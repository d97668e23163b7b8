package perfdata

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// row is a record as testdata/dump.py prints it.
type row struct {
	Event  string         `json:"event"`
	CPU    int            `json:"cpu"`
	TS     int64          `json:"ts"`
	PID    int            `json:"pid"`
	TID    int            `json:"tid"`
	Comm   string         `json:"comm"`
	Fields map[string]any `json:"fields"`
}

// collect is a visitor that keeps everything.
type collect struct {
	schemas []*perfpipe.Schema
	rows    []row
	lost    []perfpipe.Loss
	tasks   []perfpipe.Task
}

func (c *collect) Record(r *perfpipe.Record) {
	s := c.schemas[r.Event]
	w := row{Event: s.Event(), CPU: int(r.CPU), TS: r.Time, PID: int(r.PID), TID: int(r.TID), Comm: strings.Clone(r.Comm), Fields: map[string]any{}}
	for i := range s.Fields {
		w.Fields[s.Fields[i].Name] = value(&s.Fields[i], r.Raw)
	}
	c.rows = append(c.rows, w)
}
func (c *collect) Lost(l perfpipe.Loss)  { c.lost = append(c.lost, l) }
func (c *collect) Task(t perfpipe.Task)  { c.tasks = append(c.tasks, t) }
func (c *collect) Stack(*perfpipe.Stack) {}
func (c *collect) Frame(perfpipe.Frame)  {}

// value is a field as JSON of dump.py has it: numbers, strings, arrays in hex.
func value(f *perfpipe.Field, raw []byte) any {
	b, ok := f.Bytes(raw)
	switch {
	case !ok:
		return "outside the record"
	case f.Kind == perfpipe.KindString:
		return cstring(b)
	case f.Array || f.Kind == perfpipe.KindBytes || f.Kind == perfpipe.KindCPUMask:
		return map[string]any{"hex": hex.EncodeToString(b)}
	}
	v, ok := f.Uint(raw)
	if !ok {
		return "no integer"
	}
	if f.Signed {
		return json.Number(fmt.Sprint(int64(v)))
	}
	return json.Number(fmt.Sprint(v))
}

// readAll reads r to its end.
func readAll(r *Reader) (*collect, error) {
	c := &collect{schemas: r.Schemas()}
	for {
		if err := r.Read(0, c); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c, err
		}
	}
}

func golden(t *testing.T, in io.Reader) []row {
	t.Helper()
	var rows []row
	d := json.NewDecoder(bufio.NewReader(in))
	d.UseNumber()
	for {
		var r row
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return rows
		} else if err != nil {
			t.Fatal(err)
		}
		// perf calls the idle task of every processor "swapper".
		if r.TID == 0 && r.Comm == "swapper" {
			r.Comm = fmt.Sprintf("swapper/%d", r.CPU)
		}
		rows = append(rows, r)
	}
}

func compare(t *testing.T, got, want []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %d rows, want %d", len(got), len(want))
	}
	bad := 0
	for i := range min(len(got), len(want)) {
		plainText(got[i].Fields, want[i].Fields)
		if !reflect.DeepEqual(got[i], want[i]) {
			if bad++; bad <= 3 {
				t.Errorf("row %d\n got %+v\nwant %+v", i, got[i], want[i])
			}
		}
	}
	if bad > 3 {
		t.Errorf("%d rows differ", bad)
	}
}

// plainText cuts want's strings at their first NUL where perf printed all bytes in
// hex, as it does when something stands behind it.
func plainText(got, want map[string]any) {
	for name, w := range want {
		m, ok := w.(map[string]any)
		if _, text := got[name].(string); !ok || !text {
			continue
		}
		if b, err := hex.DecodeString(m["hex"].(string)); err == nil {
			want[name] = cstring(b)
		}
	}
}

func TestSampleIsWhatPerfScriptSays(t *testing.T) {
	r, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/sample.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := golden(t, f)
	if len(want) < 400 {
		t.Fatalf("golden has %d rows", len(want))
	}
	compare(t, got.rows, want)
	if len(got.lost) != 0 || r.Late() != 0 {
		t.Errorf("lost %v, late %d, want none", got.lost, r.Late())
	}

	info := r.Info()
	if info.Hostname != "vm" || info.CPUs != 2 || info.CPUsOnline != 2 || info.Arch != "x86_64" || !strings.HasPrefix(info.OSRelease, "6.18") {
		t.Errorf("info %+v", info)
	}
	if info.ClockID != 1 || info.ClockTime <= 0 || info.RealTime < 1e18 || info.Foreign != 0 {
		t.Errorf("clock %d, %d at %d, %d foreign events", info.ClockID, info.ClockTime, info.RealTime, info.Foreign)
	}
	if len(info.Cmdline) < 5 || info.Cmdline[1] != "record" {
		t.Errorf("cmdline %q", info.Cmdline)
	}
}

func TestSampleTasks(t *testing.T) {
	r, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]int{}
	for _, k := range got.tasks {
		if k.End > 0 {
			if k.Start >= k.End || k.PPID <= 0 {
				t.Errorf("task %+v: want start < end and a parent", k)
			}
			ended[k.Comm]++
		}
	}
	for name, n := range map[string]int{"ls": 6, "sleep": 6, "sync": 1, "rm": 1, "grep": 1, "cat": 1} {
		if ended[name] != n {
			t.Errorf("%d tasks called %s ended, want %d", ended[name], name, n)
		}
	}
}

func sampleFile(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/sample.data")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(b []byte) (*Reader, error) { return New(bytes.NewReader(b), int64(len(b))) }

func TestRefused(t *testing.T) {
	edit := func(f func(b []byte)) []byte {
		b := slices.Clone(sampleFile(t))
		f(b)
		return b
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want string
	}{
		{"empty", nil, "no perf.data"},
		{"text", []byte("name: sched_switch\nID: 1\nformat:\n"), "no perf.data"},
		{"big endian", edit(func(b []byte) { copy(b, magicSwapped) }), "big-endian"},
		{"old", edit(func(b []byte) { copy(b, magicOld) }), "2.6.36"},
		{"pipe", append([]byte(magic), 16, 0, 0, 0, 0, 0, 0, 0), "perf record -o FILE"},
		{"killed", edit(func(b []byte) { clear(b[48:56]) }), "perf was killed"},
		{"folder's part", edit(func(b []byte) { b[72+3] |= 1 }), "--threads"},
		{"cut off", sampleFile(t)[:4000], "cut off"},
		{"no tracing data", edit(func(b []byte) { b[72] &^= 2 }), "no format for it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := open(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := Open("testdata"); err == nil || !strings.Contains(err.Error(), "--threads") {
		t.Errorf("open a folder: %v", err)
	}
	if _, err := Open("testdata/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open what is not there: %v", err)
	}
}

func TestEveryPrefixFailsCleanly(t *testing.T) {
	whole := sampleFile(t)
	// The tables and texts in full, the middle of the data by steps.
	for n := 0; n < len(whole); n++ {
		if n > 5000 && n < len(whole)-5000 && n%97 != 0 {
			continue
		}
		if _, err := open(whole[:n]); err == nil && n < len(whole)-600 {
			t.Fatalf("a prefix of %d bytes of %d was opened", n, len(whole))
		}
	}
}

// A header that says less data than there is must yield a prefix of the records.
func TestShortDataYieldsAPrefix(t *testing.T) {
	whole := sampleFile(t)
	h, err := readHeader(fileReader{bytes.NewReader(whole), uint64(len(whole))})
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(whole)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all.rows {
		all.rows[i].Comm = ""
	}
	for _, short := range []uint64{1, 7, 8, 9, 100, 1000, 20000, h.data.size - 3, h.data.size - 8} {
		r, err := open(whole)
		if err != nil {
			t.Fatal(err)
		}
		r.end -= short
		r.in = bufio.NewReader(io.NewSectionReader(bytes.NewReader(whole), int64(h.data.offset), int64(h.data.size-short)))
		got, err := readAll(r)
		n := 0
		for _, w := range got.rows {
			// The record that names the task may be in what is missing.
			w.Comm = ""
			if n < len(all.rows) && !reflect.DeepEqual(w, all.rows[n]) {
				// The rest of a round that was cut off is missing: look further.
				for n < len(all.rows) && !reflect.DeepEqual(w, all.rows[n]) {
					n++
				}
			}
			n++
		}
		if n > len(all.rows) {
			t.Errorf("%d bytes less: rows that the whole file does not have", short)
		}
		if cut := err != nil; cut && (len(got.lost) != 1 || got.lost[0].Reason != perfpipe.LostCorrupt) {
			t.Errorf("%d bytes less: %v, but lost %v", short, err, got.lost)
		}
	}
}

// record makes one record of the file format.
func record(kind uint32, misc uint16, body []byte) []byte {
	size := len(body) + recordHeader
	return append([]byte{byte(kind), byte(kind >> 8), byte(kind >> 16), byte(kind >> 24), byte(misc), byte(misc >> 8), byte(size), byte(size >> 8)}, body...)
}

func words(w ...uint64) []byte {
	var b []byte
	for _, v := range w {
		for i := range 8 {
			b = append(b, byte(v>>(8*i)))
		}
	}
	return b
}

// made returns a reader of the sample's events whose data are records.
func made(t *testing.T, records ...[]byte) *Reader {
	t.Helper()
	r, err := open(sampleFile(t))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Join(records, nil)
	r.pos, r.end = 0, uint64(len(b))
	r.in = bufio.NewReader(bytes.NewReader(b))
	return r
}

// sampleRecord makes a sample of the file's first event (sched_switch) as its
// attr lays it out: IDENTIFIER IP TID TIME CPU PERIOD RAW.
func sampleRecord(r *Reader, time uint64, raw []byte) []byte {
	b := words(r.attrs[0].ids[0], 0, 7|7<<32, time, 1, 1)
	b = append(b, byte(len(raw)), byte(len(raw)>>8), 0, 0)
	return record(recordSample, 0, append(b, raw...))
}

// rest makes the trailer of other records: TID TIME CPU IDENTIFIER.
func rest(r *Reader, time uint64) []byte { return words(7|7<<32, time, 1, r.attrs[0].ids[0]) }

func TestOrder(t *testing.T) {
	r := made(t)
	raw := make([]byte, r.schemas[0].Size+4)
	round := record(recordFinishedRound, 0, nil)
	s := func(time uint64) []byte { return sampleRecord(r, time, raw) }
	for _, tt := range []struct {
		name  string
		in    [][]byte
		limit int
		want  []int64
		late  uint64
	}{
		{"two rings of one round", [][]byte{s(1), s(4), s(2), s(3), round}, 0, []int64{1, 2, 3, 4}, 0},
		{"an older one in the next round", [][]byte{s(1), s(4), round, s(3), s(9), round, s(8), round}, 0, []int64{1, 3, 4, 8, 9}, 0},
		{"without rounds", [][]byte{s(5), s(1), s(3)}, 0, []int64{1, 3, 5}, 0},
		{"two rounds late", [][]byte{s(4), round, s(5), round, s(6), round, s(2), s(7)}, 0, []int64{4, 5, 2, 6, 7}, 1},
		{"more than may wait", [][]byte{s(5), s(1), s(3), s(2), s(9)}, 200, []int64{1, 2, 3, 5, 9}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := made(t, tt.in...)
			if tt.limit > 0 {
				r.queue.limit = tt.limit
			}
			got, err := readAll(r)
			if err != nil {
				t.Fatal(err)
			}
			var times []int64
			for _, w := range got.rows {
				times = append(times, w.TS)
			}
			if tt.name == "more than may wait" {
				// What is handed out early depends on sizes; nothing may be missing.
				slices.Sort(times)
				r.queue.late = min(r.queue.late, 1)
			}
			if !slices.Equal(times, tt.want) || r.Late() != tt.late {
				t.Errorf("got %v, late %d; want %v, late %d", times, r.Late(), tt.want, tt.late)
			}
			if r.queue.bytes != 0 {
				t.Errorf("%d bytes still wait", r.queue.bytes)
			}
		})
	}
}

func TestMemoryOfManyRoundsIsUsedAgain(t *testing.T) {
	r := made(t)
	raw := make([]byte, 4000)
	var in [][]byte
	const n = 3000
	for i := range n {
		in = append(in, sampleRecord(r, uint64(i+1), raw), record(recordFinishedRound, 0, nil))
	}
	r = made(t, in...)
	got, err := readAll(r)
	if err != nil || len(got.rows) != n {
		t.Fatalf("got %d rows, %v; want %d", len(got.rows), err, n)
	}
	if len(r.queue.free) > 3 {
		t.Errorf("%d chunks for records of which two wait", len(r.queue.free)+1)
	}
}

func TestLost(t *testing.T) {
	r := made(t)
	lost := func(kind uint32, misc uint16, time, n uint64) []byte {
		if kind == recordLost {
			return record(kind, misc, append(words(r.attrs[0].ids[0], n), rest(r, time)...))
		}
		return record(kind, misc, append(words(n), rest(r, time)...))
	}
	for _, tt := range []struct {
		name string
		in   [][]byte
		want map[string]uint64
	}{
		{"ring", [][]byte{lost(recordLost, 0, 5, 3), lost(recordLost, 0, 9, 4)}, map[string]uint64{perfpipe.LostRing: 7}},
		{"before the ring", [][]byte{lost(recordLostSamples, 0, 5, 3)}, map[string]uint64{perfpipe.LostSamples: 3}},
		{"perf's sum counts what was told", [][]byte{lost(recordLost, 0, 5, 3), lost(recordLostSamples, 0, 0, 3)}, map[string]uint64{perfpipe.LostRing: 3}},
		{"perf's sum knows more", [][]byte{lost(recordLost, 0, 5, 3), lost(recordLostSamples, 0, 0, 2), lost(recordLostSamples, 0, 0, 9)}, map[string]uint64{perfpipe.LostRing: 11}},
		{"perf's sum knows less", [][]byte{lost(recordLost, 0, 5, 3), lost(recordLostSamples, 0, 0, 2)}, map[string]uint64{perfpipe.LostRing: 3}},
		{"dropped by a filter", [][]byte{lost(recordLostSamples, miscLostBPF, 5, 3)}, map[string]uint64{}},
		{"short", [][]byte{record(recordLost, 0, words(1))}, map[string]uint64{perfpipe.LostCorrupt: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(made(t, tt.in...))
			if err != nil {
				t.Fatal(err)
			}
			by := map[string]uint64{}
			for _, l := range got.lost {
				by[l.Reason] += l.Count
			}
			if !reflect.DeepEqual(by, tt.want) {
				t.Errorf("got %v, want %v", by, tt.want)
			}
		})
	}
}

func TestDamagedRecords(t *testing.T) {
	r := made(t)
	raw := make([]byte, r.schemas[0].Size)
	good := sampleRecord(r, 5, raw)
	huge := slices.Clone(good)
	huge[recordHeader+48] = 0xff // the raw data's length
	unknown := slices.Clone(good)
	unknown[recordHeader+7] = 0x77 // the id
	cpu := slices.Clone(good)
	cpu[recordHeader+34] = 1 // processor 65537
	for _, tt := range []struct {
		name   string
		in     []byte
		rows   int
		lost   uint64
		failed string
	}{
		{"good", good, 3, 0, ""},
		{"raw data longer than the record", huge, 2, 1, ""},
		{"unknown event", unknown, 2, 1, ""},
		{"no such processor", cpu, 2, 1, ""},
		{"raw data shorter than the format", sampleRecord(r, 5, raw[:len(raw)-1]), 2, 1, ""},
		{"sample without anything", record(recordSample, 0, nil), 2, 1, ""},
		{"time of the far future", sampleRecord(r, 1<<63, raw), 2, 1, ""},
		{"short name", record(recordComm, 0, rest(r, 0)[:4]), 2, 1, ""},
		{"short fork", record(recordFork, 0, words(1)), 2, 1, ""},
		{"unknown kind", record(99, 0, words(1)), 2, 0, ""},
		{"size 0", []byte{9, 0, 0, 0, 0, 0, 0, 0}, 1, 1, "less than its header"},
		{"compressed", record(recordCompressed, 0, words(1)), 1, 0, "without -z"},
		{"hardware trace", append(record(recordAuxtrace, 0, words(16, 0)), make([]byte, 16)...), 2, 0, ""},
		{"hardware trace too long", record(recordAuxtrace, 0, words(math.MaxUint64)), 1, 1, "hardware trace"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(made(t, sampleRecord(r, 1, raw), tt.in, sampleRecord(r, 9, raw)))
			if (err != nil) != (tt.failed != "") || err != nil && !strings.Contains(err.Error(), tt.failed) {
				t.Errorf("got %v, want %q", err, tt.failed)
			}
			n := uint64(0)
			for _, l := range got.lost {
				if l.Reason != perfpipe.LostCorrupt {
					t.Errorf("reason %s, want %s", l.Reason, perfpipe.LostCorrupt)
				}
				n += l.Count
			}
			if len(got.rows) != tt.rows || n != tt.lost {
				t.Errorf("%d rows, %d lost; want %d, %d", len(got.rows), n, tt.rows, tt.lost)
			}
		})
	}
}

func TestTaskPastItsExit(t *testing.T) {
	r := made(t)
	raw := make([]byte, r.schemas[0].Size)
	raw[r.schemas[0].Field("common_pid").Offset] = 42
	dead := sampleRecord(r, 9, raw)
	for i := range 8 {
		dead[recordHeader+16+i] = 0xff // pid and tid -1
	}
	comm := record(recordComm, 0, append(append(words(41|42<<32), "worker\x00\x00"...), rest(r, 1)...))
	got, err := readAll(made(t, comm, dead))
	if err != nil || len(got.rows) != 1 {
		t.Fatalf("got %v, %v", got.rows, err)
	}
	if w := got.rows[0]; w.PID != 41 || w.TID != 42 || w.Comm != "worker" {
		t.Errorf("got %d/%d %q, want 41/42 worker", w.PID, w.TID, w.Comm)
	}
}

func TestStop(t *testing.T) {
	r := long(t)
	c := &collect{schemas: r.Schemas()}
	if err := r.Read(0, c); err != nil {
		t.Fatal(err)
	}
	n := len(c.rows)
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Read(0, c); !errors.Is(err, io.EOF) {
		for err == nil {
			err = r.Read(0, c)
		}
	}
	if n == 0 || len(c.rows) >= longRecords || len(c.tasks) == 0 {
		t.Errorf("%d rows, then %d of %d, and %d tasks; want some of each", n, len(c.rows), longRecords, len(c.tasks))
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Read(0, c); !errors.Is(err, io.EOF) {
			t.Errorf("Read after the end: %v, want io.EOF", err)
		}
	}
}

func TestSkipRead(t *testing.T) {
	for _, tt := range []struct {
		name   string
		format uint64
		in     []uint64
		ok     bool
		left   int
	}{
		{"value", 0, []uint64{1, 99}, true, 1},
		{"value, times, id, lost", readEnabled | readRunning | readID | readLost, []uint64{1, 2, 3, 4, 5, 99}, true, 1},
		{"group of two", readGroup | readID, []uint64{2, 1, 1, 2, 2, 99}, true, 1},
		{"group with times and lost", readGroup | readEnabled | readRunning | readLost, []uint64{1, 7, 7, 1, 2, 99}, true, 1},
		{"group longer than the record", readGroup, []uint64{5, 1}, false, 0},
		{"absurd group", readGroup | readID | readLost, []uint64{math.MaxUint64 / 2, 1}, false, 0},
		{"nothing", 0, nil, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := words(tt.in...)
			ok := (&attr{readFormat: tt.format}).skipRead(&b)
			if ok != tt.ok || ok && len(b) != 8*tt.left {
				t.Errorf("got %v, %d bytes left; want %v, %d", ok, len(b), tt.ok, 8*tt.left)
			}
		})
	}
}

func TestParseSampleWithEverything(t *testing.T) {
	a := attr{sampleType: sampleIP | sampleTID | sampleTime | sampleAddr | sampleID | sampleStreamID | sampleCPU | samplePeriod | sampleRead | sampleCallchain | sampleRaw, readFormat: readID}
	b := append(words(1, 10|11<<32, 77, 2, 3, 4, 5, 6, 100, 101, 2, 200, 201), 3, 0, 0, 0, 'a', 'b', 'c', 0)
	s, ok := a.parseSample(b)
	if !ok || s.pid != 10 || s.tid != 11 || s.time != 77 || s.cpu != 5 || string(s.raw) != "abc" {
		t.Errorf("got %+v, %v", s, ok)
	}
	if word, ok := a.idAt(); !ok || word != 4 {
		t.Errorf("id at word %d, %v; want 4", word, ok)
	}
	for n := range len(b) - 1 {
		if _, ok := a.parseSample(b[:n]); ok {
			t.Errorf("a sample of %d bytes was read", n)
		}
	}
}
