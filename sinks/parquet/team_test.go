package parquet

import (
	"bytes"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// TestThreads: a file is the same byte for byte, however many goroutines encode it.
func TestThreads(t *testing.T) {
	for _, codec := range []string{"zstd", "gzip"} {
		for name, l := range map[string]load{"loop": loopLoad(), "mix": mixLoad(), "switch": switchLoad()} {
			t.Run(codec+"/"+name, func(t *testing.T) {
				var want []byte
				for _, threads := range []int{1, 2, 5} {
					s, err := NewScratch(codec, 0)
					if err == nil {
						err = s.Threads(threads)
					}
					if err != nil {
						t.Fatal(err)
					}
					var batches []*perfpipe.Batch
					for i, rows := range []int{300, 12_000, 5000, 100, 20_000} {
						batches = append(batches, l.batch(rows, uint64(i+1)))
					}
					o := Options{Scratch: s, GroupRows: 15_000}
					if want == nil {
						want = roundTrip(t, o, batches...)
						continue
					}
					got := write(t, o, batches...)
					if !bytes.Equal(got, want) {
						t.Errorf("%d threads: the file differs from that of one", threads)
					}
				}
			})
		}
	}
}

// TestThreadPanics: what goes wrong in one of the goroutines is an error of the write.
func TestThreadPanics(t *testing.T) {
	err := share(make([]*Scratch, 3), 10, func(_ *Scratch, i int) error {
		if i == 7 {
			panic("damaged")
		}
		return nil
	})
	if err == nil || err.Error() != "encoder failed: damaged" {
		t.Errorf("got %v, want the panic", err)
	}
}
