package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

// worker is a source whose records are made ahead.
type worker struct {
	script
	n     int // of records, each a round
	due   chan int64
	ended atomic.Bool
}

var _ Ahead = (*worker)(nil)

func (s *worker) Ahead() func() {
	s.due = make(chan int64)
	return func() {
		defer s.ended.Store(true)
		defer close(s.due)
		for i := range s.n {
			if s.stopped.Load() {
				return
			}
			s.due <- int64(i + 1)
		}
	}
}

func (s *worker) Read(_ time.Duration, v perfpipe.Visitor) error {
	i, ok := <-s.due
	if !ok {
		if s.err != nil {
			return s.err
		}
		return io.EOF
	}
	one(0, i, rawWakeup("a", int32(i), 0, 1, 0))(v)
	return nil
}

func TestAheadEndsWithTheRun(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name     string
		n        int
		source   error
		sink     error
		cancel   bool
		wantRows bool
	}{
		{name: "to the end", n: 300, wantRows: true},
		{name: "nothing", wantRows: true},
		{name: "source fails", n: 300, source: broken, wantRows: true},
		{name: "sink fails", n: 1 << 30, sink: broken},
		{name: "cancelled", n: 1 << 30, cancel: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &worker{script: script{schemas: []*perfpipe.Schema{wakeup()}, err: tt.source}, n: tt.n}
			sink := newMemory()
			sink.fail = tt.sink
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if tt.cancel {
				time.AfterFunc(10*time.Millisecond, cancel)
			}
			res, err := Run(ctx, Config{Source: src, Outputs: []Output{{Sink: sink}}})
			if !src.ended.Load() {
				t.Error("what works ahead had not ended when Run returned")
			}
			if want := errors.Join(tt.source, tt.sink); (err != nil) != (want != nil) || err != nil && !errors.Is(err, broken) {
				t.Errorf("got %v, want %v", err, want)
			}
			if sink.closed != 1 {
				t.Errorf("the sink was closed %d times, want 1", sink.closed)
			}
			rows := sink.rows["sched.wakeup"]
			if tt.wantRows && (len(rows) != tt.n || res.Rows != uint64(tt.n)) {
				t.Errorf("got %d rows, counted %d, want %d", len(rows), res.Rows, tt.n)
			}
			if tt.sink == nil && uint64(len(rows)) != res.Rows {
				t.Errorf("got %d rows, counted %d", len(rows), res.Rows)
			}
			for i, row := range rows {
				if want := fmt.Sprintf("time=%d ts=%d ", (i+1)/1000, i+1); row[:min(len(row), len(want))] != want {
					t.Fatalf("row %d: got %q, want %q first", i, row, want)
				}
			}
		})
	}
}
