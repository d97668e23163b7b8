package collector

import (
	"maps"
	"slices"
	"strconv"

	"github.com/perfpipe/perfpipe"
)

// Symbolizer names places in code. One goroutine calls it.
type Symbolizer interface {
	// Symbolize returns the function that f is in, how far behind its start f is, in
	// bytes, and where that is in the source: file is "" and line 0 where it is not
	// known. ok is false where the function is not known.
	Symbolize(f perfpipe.Frame) (symbol string, offset uint64, file string, line int, ok bool)
}

// Loader is a Symbolizer that wants to know of places early: while the process that
// has the file mapped, and the file itself, are still there.
type Loader interface {
	// Load is called once for each frame, when it is first seen.
	Load(f perfpipe.Frame)
}

// inlineColumns are the columns that the writer makes the texts of stacks for.
type inlineColumns struct{ stackID, stack int }

// places is what the writer knows of stacks and frames. It belongs to its goroutine.
//
// A stack costs 12 bytes of the index and 4 for each frame and one more, and is kept
// only where its text is asked for; otherwise its row in _stacks is all there is of it.
type places struct {
	symbols Symbolizer
	loader  Loader
	// table is _stacks and rows is _frames, as the run's options have them.
	table, rows *perfpipe.Table
	inline      map[*perfpipe.Table]inlineColumns
	// frames are by ID less one; sparse are those whose source numbers them otherwise.
	frames []place
	sparse map[uint32]*place
	// stacks are places in chunks: a length, and as many IDs of frames.
	stacks map[uint64]uint32
	chunks [][]uint32
	// escaped counts the strings that had to be escaped.
	escaped uint64
	text    []byte
}

// chunkWords is the size of a chunk: a place is a chunk and an offset of 16 bits.
const chunkWords = 1 << 16

// place is a frame, and its text once that was needed.
type place struct {
	frame perfpipe.Frame
	text  string
}

func newPlaces(cfg *Config, stacks *perfpipe.Table, inline map[*perfpipe.Table]inlineColumns) *places {
	p := &places{symbols: cfg.Symbolizer, table: stacks, rows: portable(&framesTable, cfg.Columns), inline: inline, sparse: make(map[uint32]*place)}
	p.loader, _ = cfg.Symbolizer.(Loader)
	if len(inline) > 0 {
		p.stacks = make(map[uint64]uint32)
	}
	return p
}

func (p *places) addFrames(list []perfpipe.Frame) {
	for _, f := range list {
		if p.at(f.ID) != nil {
			continue
		}
		if int64(f.ID) == int64(len(p.frames))+1 {
			p.frames = append(p.frames, place{frame: f})
		} else {
			p.sparse[f.ID] = &place{frame: f}
		}
		if p.loader != nil {
			p.loader.Load(f)
		}
	}
}

// at returns the frame's place, nil where it was never seen.
func (p *places) at(id uint32) *place {
	if i := int64(id) - 1; i >= 0 && i < int64(len(p.frames)) {
		return &p.frames[i]
	}
	return p.sparse[id]
}

// addStacks learns the stacks of a batch of _stacks.
func (p *places) addStacks(b *perfpipe.Batch) {
	if p.stacks == nil {
		return
	}
	ids, list := &b.Columns[0], &b.Columns[3]
	for i := range b.Rows {
		n := int(list.Offsets[i+1] - list.Offsets[i])
		if n >= chunkWords {
			continue // perf_event_max_stack is far below that
		}
		k := len(p.chunks) - 1
		if k < 0 || cap(p.chunks[k])-len(p.chunks[k]) < n+1 {
			p.chunks = append(p.chunks, make([]uint32, 0, chunkWords))
			k++
		}
		c := p.chunks[k]
		p.stacks[ids.Int(i)] = uint32(k)<<16 | uint32(len(c))
		c = append(c, uint32(n))
		for j := int(list.Offsets[i]); j < int(list.Offsets[i+1]); j++ {
			c = append(c, uint32(list.Child.Int(j)))
		}
		p.chunks[k] = c
	}
}

// fill makes the column stack of b of its column stack_id.
func (p *places) fill(b *perfpipe.Batch) {
	at, ok := p.inline[b.Table]
	if !ok {
		return
	}
	ids, c := &b.Columns[at.stackID], &b.Columns[at.stack]
	c.Len = 0
	for i := range b.Rows {
		if ids.IsNull(i) {
			c.AppendNull()
			continue
		}
		if w, ok := p.stacks[ids.Int(i)]; ok {
			words := p.chunks[w>>16][w&0xffff:]
			for _, id := range words[1 : 1+words[0]] {
				c.Child.AppendString(p.textOf(id))
			}
		}
		c.EndList()
	}
}

// textOf is a frame as the column stack shows it: "symbol+0x12", or "[unknown]" with
// the offset and the file, or with the address.
func (p *places) textOf(id uint32) string {
	w := p.at(id)
	if w == nil {
		return "[unknown]"
	}
	if w.text != "" {
		return w.text
	}
	t := p.text[:0]
	f := &w.frame
	var symbol string
	var offset uint64
	ok := false
	if p.symbols != nil {
		symbol, offset, _, _, ok = p.symbols.Symbolize(*f)
	}
	if ok {
		t = p.escape(t, symbol)
		t = strconv.AppendUint(append(t, "+0x"...), offset, 16)
	} else {
		t = strconv.AppendUint(append(t, "[unknown] 0x"...), f.Offset, 16)
		if f.File != "" {
			t = append(p.escape(append(t, " ("...), f.File), ')')
		}
	}
	w.text = string(t)
	p.text = t
	return w.text
}

func (p *places) escape(dst []byte, s string) []byte {
	dst, escaped := perfpipe.AppendText(dst, []byte(s))
	if escaped {
		p.escaped++
	}
	return dst
}

// write hands all frames to put, as batches of _frames; at least one.
func (p *places) write(put func(*perfpipe.Batch) error) error {
	b := perfpipe.NewBatch(p.rows, 0)
	for i := range p.frames {
		p.addFrame(b, &p.frames[i].frame)
		if b.Rows == ownRows {
			if err := put(b); err != nil {
				return err
			}
			b.Reset()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.sparse)) {
		p.addFrame(b, &p.sparse[id].frame)
	}
	return put(b)
}

func (p *places) addFrame(b *perfpipe.Batch, f *perfpipe.Frame) {
	c := b.Columns
	put := func(c *perfpipe.Column, s string) {
		c.Data = p.escape(c.Data, s)
		c.EndString()
	}
	c[0].AppendInt(uint64(f.ID))
	c[1].AppendString(f.Kind.String())
	if f.PID == 0 {
		c[2].AppendNull()
	} else {
		c[2].AppendInt(uint64(f.PID))
	}
	put(&c[3], f.BuildID)
	put(&c[4], f.File)
	c[5].AppendInt(f.Offset)
	b.Rows++
	var symbol, file string
	var offset uint64
	line, ok := 0, false
	if p.symbols != nil {
		symbol, offset, file, line, ok = p.symbols.Symbolize(*f)
	}
	if ok {
		put(&c[6], symbol)
		c[7].AppendInt(offset)
	} else {
		c[6].AppendNull()
		c[7].AppendNull()
	}
	if ok && file != "" {
		put(&c[8], file)
	} else {
		c[8].AppendNull()
	}
	if ok && line > 0 {
		c[9].AppendInt(uint64(line))
	} else {
		c[9].AppendNull()
	}
}
