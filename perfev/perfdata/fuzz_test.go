package perfdata

import (
	"bytes"
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// FuzzNew: whatever the file, no panic; times never go back but for what is late;
// the raw data has all that its schema says.
func FuzzNew(f *testing.F) {
	whole := sampleFile(f)
	f.Add(whole)
	f.Add(whole[:3000])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := open(b)
		if err != nil {
			return
		}
		v := &checker{t: t, r: r}
		for err == nil {
			err = r.Read(0, v)
		}
		if uint64(v.back) > r.Late() {
			t.Fatalf("%d records older than the one before, %d known as late", v.back, r.Late())
		}
		if r.queue.bytes != 0 {
			t.Fatalf("%d bytes wait after the end", r.queue.bytes)
		}
	})
}

// FuzzRecords fuzzes the data section alone, with the sample's events.
func FuzzRecords(f *testing.F) {
	whole := sampleFile(f)
	h, err := readHeader(fileReader{bytes.NewReader(whole), uint64(len(whole))})
	if err != nil {
		f.Fatal(err)
	}
	data := whole[h.data.offset : h.data.offset+h.data.size]
	f.Add(data[:4096])
	f.Add(data[len(data)-4096:])
	f.Fuzz(func(t *testing.T, data []byte) {
		b := slices.Clone(whole[:h.data.offset])
		copy(b[48:], words(uint64(len(data))))
		b = append(b, data...)
		table := slices.Clone(whole[h.data.offset+h.data.size:])
		n := 0
		for bit := range featBits {
			if h.has(bit) {
				s := parseSection(table[n:])
				copy(table[n:], words(s.offset+uint64(len(data))-h.data.size))
				n += sectionSize
			}
		}
		b = append(b, table...)
		r, err := open(b)
		if len(data) == 0 {
			if err == nil {
				t.Fatal("a file without data was opened")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		v := &checker{t: t, r: r}
		for err == nil {
			err = r.Read(0, v)
		}
		if uint64(v.back) > r.Late() {
			t.Fatalf("%d records older than the one before, %d known as late", v.back, r.Late())
		}
	})
}

type checker struct {
	t    *testing.T
	r    *Reader
	last int64
	back int
}

func (c *checker) Record(r *perfpipe.Record) {
	if r.Time < c.last {
		c.back++
	}
	c.last = max(c.last, r.Time)
	if s := c.r.schemas[r.Event]; len(r.Raw) < s.Size {
		c.t.Fatalf("%s: %d bytes, want %d", s.Event(), len(r.Raw), s.Size)
	}
}
func (c *checker) Lost(l perfpipe.Loss) {
	if l.Count == 0 || l.Reason == "" {
		c.t.Fatalf("loss %+v", l)
	}
}
func (c *checker) Task(k perfpipe.Task) {
	if k.TID <= 0 {
		c.t.Fatalf("task %+v", k)
	}
}

func (c *checker) Stack(s *perfpipe.Stack) { c.t.Fatalf("stack %+v, want none", s) }
func (c *checker) Frame(f perfpipe.Frame)  { c.t.Fatalf("frame %+v, want none", f) }

func BenchmarkRead(b *testing.B) {
	whole := sampleFile(b)
	b.SetBytes(int64(len(whole)))
	b.ReportAllocs()
	for range b.N {
		r, err := open(whole)
		if err != nil {
			b.Fatal(err)
		}
		v := discard{}
		for err == nil {
			err = r.Read(0, v)
		}
	}
}

type discard struct{}

func (discard) Record(*perfpipe.Record) {}
func (discard) Lost(perfpipe.Loss)      {}
func (discard) Task(perfpipe.Task)      {}
func (discard) Stack(*perfpipe.Stack)   {}
func (discard) Frame(perfpipe.Frame)    {}
