package perfdata

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// longRecords is how many records the file of long has: those of some rounds of Read.
const longRecords = 5*roundRecords + 7

// long is a file in which time goes back and forth within rounds of few records, as perf
// writes them for several processors.
func long(t *testing.T) *Reader {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	r := made(t)
	raw := make([]byte, r.schemas[0].Size+4)
	in := [][]byte{record(recordComm, 0, slices.Concat(words(5|6<<32), []byte("first\x00\x00\x00"), rest(r, 0)))}
	for i := range longRecords {
		in = append(in, sampleRecord(r, uint64(1000+10*i+rnd.IntN(300)), raw))
		switch {
		case i%100 == 99:
			in = append(in, record(recordFinishedRound, 0, nil))
		case i%1000 == 500:
			in = append(in, record(recordComm, 0, slices.Concat(words(7|7<<32), []byte(fmt.Sprintf("n%06d\x00", i)), rest(r, uint64(1000+10*i)))))
		case i%1000 == 501:
			in = append(in, record(recordSample, 0, words(1)), record(recordComm, 0, slices.Concat(words(7|7<<32), []byte("at once\x00"), rest(r, 0))))
		case i%1000 == 502:
			in = append(in, record(recordLost, 0, slices.Concat(words(1, 5), rest(r, uint64(1000+10*i)))))
		}
	}
	return made(t, in...)
}

// told is a visitor that writes down all that it is told, in its order.
type told struct {
	lines []string
	rows  int
}

func (w *told) Record(r *perfpipe.Record) {
	w.rows++
	w.lines = append(w.lines, fmt.Sprintf("%d %d %d %d %d %q %x", r.Event, r.Time, r.CPU, r.PID, r.TID, r.Comm, r.Raw))
}
func (w *told) Lost(l perfpipe.Loss)  { w.lines = append(w.lines, fmt.Sprintf("%+v", l)) }
func (w *told) Task(k perfpipe.Task)  { w.lines = append(w.lines, fmt.Sprintf("%+v", k)) }
func (w *told) Stack(*perfpipe.Stack) {}
func (w *told) Frame(perfpipe.Frame)  {}

// toEnd reads r to its end, and waits for what it does ahead.
func toEnd(t *testing.T, r *Reader, w *told, work func()) error {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if work != nil {
			work()
		}
	}()
	for {
		if err := r.Read(0, w); err != nil {
			<-done
			if r.queue.bytes != 0 {
				t.Errorf("%d bytes still wait", r.queue.bytes)
			}
			return err
		}
	}
}

func TestAheadTellsTheSame(t *testing.T) {
	sample := func(t *testing.T) *Reader {
		r, err := Sample()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		name string
		open func(t *testing.T) *Reader
		rows int
	}{
		{"sample", sample, 1},
		{"many small rounds", long, longRecords},
		{"more than may wait", func(t *testing.T) *Reader {
			r := long(t)
			r.queue.limit = 4000
			return r
		}, longRecords},
		{"one round", func(t *testing.T) *Reader {
			r := made(t)
			raw := make([]byte, r.schemas[0].Size+4)
			var in [][]byte
			for i := range 3 * roundRecords {
				in = append(in, sampleRecord(r, uint64(1+i^1), raw))
			}
			return made(t, in...)
		}, 3 * roundRecords},
		{"nothing but what takes effect at once", func(t *testing.T) *Reader {
			var in [][]byte
			for range 3 * roundRecords {
				in = append(in, record(recordSample, 0, words(1)))
			}
			return made(t, in...)
		}, 0},
		{"damaged", func(t *testing.T) *Reader {
			r := made(t)
			raw := make([]byte, r.schemas[0].Size+4)
			return made(t, sampleRecord(r, 5, raw), sampleRecord(r, 4, raw), []byte{9, 0, 0, 0, 0, 0, 3, 0})
		}, 2},
		{"empty", func(t *testing.T) *Reader { return made(t) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want, got told
			r := tt.open(t)
			wantErr := toEnd(t, r, &want, nil)
			late := r.Late()
			if want.rows < tt.rows {
				t.Errorf("got %d rows, want at least %d", want.rows, tt.rows)
			}
			r = tt.open(t)
			err := toEnd(t, r, &got, r.Ahead())
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || r.Late() != late {
				t.Errorf("got %v, %d late; want %v, %d late", err, r.Late(), wantErr, late)
			}
			if len(got.lines) != len(want.lines) {
				t.Fatalf("got %d lines, want %d", len(got.lines), len(want.lines))
			}
			for i := range got.lines {
				if got.lines[i] != want.lines[i] {
					t.Fatalf("line %d: got %s, want %s", i, got.lines[i], want.lines[i])
				}
			}
			if err := r.Read(0, &got); fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("Read after the end: %v, want %v", err, wantErr)
			}
		})
	}
}

func TestStopEndsWhatIsAhead(t *testing.T) {
	r := long(t)
	work := r.Ahead()
	var w told
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	if err := r.Read(0, &w); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	for {
		err := r.Read(0, &w)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	<-done
	if w.rows == 0 {
		t.Error("got no rows")
	}
}
