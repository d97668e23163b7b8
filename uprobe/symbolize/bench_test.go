package symbolize

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// BenchmarkStacks names 1 million stacks of 20 frames, of 50,000 places in node's code:
// each place once, each stack by its frames' numbers, as the tables have them.
func BenchmarkStacks(b *testing.B) {
	const stacks, depth, places = 1_000_000, 20, 50_000
	path, err := symbols.FindCommand("node", symbols.Options{})
	if err != nil {
		b.Skip(err)
	}
	for _, bb := range []struct {
		name  string
		lines bool
	}{{"names", false}, {"lines", true}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				s := New(Options{Lines: bb.lines})
				frames := randomFrames(b, path, places)
				names := make([]Symbol, places)
				for i, f := range frames {
					s.Load(f)
					names[i], _ = s.Symbolize(f)
				}
				r := rand.New(rand.NewPCG(1, 2))
				named := 0
				for range stacks * depth {
					if names[r.Uint32N(places)].Name != "" {
						named++
					}
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				if named < stacks*depth*9/10 {
					b.Fatalf("got %d frames with names of %d", named, stacks*depth)
				}
			}
			b.ReportMetric(peakMB(), "MB-peak")
		})
	}
}

func randomFrames(b *testing.B, path string, n int) []perfpipe.Frame {
	b.Helper()
	f, err := symbols.Open(path, symbols.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	text := f.ELF().Section(".text")
	r := rand.New(rand.NewPCG(3, 4))
	frames := make([]perfpipe.Frame, n)
	for i := range frames {
		frames[i] = perfpipe.Frame{Kind: perfpipe.FrameFile, File: path, BuildID: f.BuildID(), Offset: text.Offset + r.Uint64N(text.Size), ID: uint32(i + 1)}
	}
	return frames
}

// peakMB is the most memory that this process has had resident, 0 where /proc does
// not say.
func peakMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb float64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb / 1024
}

func BenchmarkKallsyms(b *testing.B) {
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil || parseKallsyms(text) == nil {
		b.Skip("no kernel symbols")
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		parseKallsyms(text)
	}
}
