package parquet

import (
	"fmt"
	"io"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// BenchmarkWrite writes batches of 64 Ki rows, as the collector makes them, and
// reports the cost of a row; loads are named after what they are like.
func BenchmarkWrite(b *testing.B) {
	const rows = 64 << 10
	for _, l := range []struct {
		name string
		load load
	}{{"loop", loopLoad()}, {"mix", mixLoad()}, {"switch", switchLoad()}} {
		var batches [8]*perfpipe.Batch
		for i := range batches {
			batches[i] = l.load.batch(rows, uint64(i))
		}
		for _, codec := range Codecs() {
			b.Run(l.name+"/"+codec, func(b *testing.B) {
				s, err := NewScratch(codec, 0)
				if err != nil {
					b.Fatal(err)
				}
				var n counted
				e, err := New(&n, l.load.table, Options{Scratch: s})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(batches[0].Size()))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := e.Write(batches[i%len(batches)]); err != nil {
						b.Fatal(err)
					}
				}
				if err := e.Close(nil); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
				b.ReportMetric(float64(n)/float64(b.N)/rows, "B/row")
			})
		}
	}
}

// BenchmarkEncodeThreads writes with one and with two goroutines: a machine that has two
// processors free shows what offline conversion gains.
func BenchmarkEncodeThreads(b *testing.B) {
	const rows = 32 << 10
	for _, l := range []struct {
		name string
		load load
	}{{"loop", loopLoad()}, {"mix", mixLoad()}, {"switch", switchLoad()}} {
		var batches [8]*perfpipe.Batch
		for i := range batches {
			batches[i] = l.load.batch(rows, uint64(i))
		}
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", l.name, threads), func(b *testing.B) {
				s, err := NewScratch("", 0)
				if err == nil {
					err = s.Threads(threads)
				}
				if err != nil {
					b.Fatal(err)
				}
				e, err := New(new(counted), l.load.table, Options{Scratch: s})
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(batches[0].Size()))
				for i := 0; b.Loop(); i++ {
					if err := e.Write(batches[i%len(batches)]); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
			})
		}
	}
}

// counted counts what is written.
type counted int64

func (c *counted) Write(b []byte) (int, error) {
	*c += counted(len(b))
	return len(b), nil
}

var _ io.Writer = (*counted)(nil)
