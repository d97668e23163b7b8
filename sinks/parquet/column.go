package parquet

import (
	"encoding/binary"
	"sort"

	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// Sizes of a data page: a batch of 64 Ki rows makes two, small enough that the
// page index skips much, large enough that headers and bounds cost nothing.
const (
	pageRows  = 32 << 10
	pageBytes = 1 << 20
)

// mode is how the pages of a chunk are encoded.
type mode uint8

const (
	modeUnset mode = iota
	modeDict       // indices into the chunk's dictionary
	modeFree       // page by page: delta where it pays, else plain
	modeDelta      // DELTA_BINARY_PACKED
)

// column is one column of the row group that is being filled. Only compressed
// pages, and the rows of one unfinished page, are kept.
type column struct {
	def    *perfpipe.ColumnDef
	typ    perfpipe.Type // of the values: the element's for lists
	path   []string
	width  int // of a value in a batch, 0 for strings
	phys   format.Type
	maxRep byte
	maxDef byte

	pend waiting
	dict dict

	chunk     []byte // finished pages: header, body, header, body ...
	pages     []page
	mode      mode
	encodings uint32 // bit e: format.Encoding e occurs in the chunk
	dictPages int
	values    int64 // level entries: nulls and empty lists count
	nulls     int64
	plainSize int64 // pages with headers, before compression
	bounds    bounds
	unbound   bool // some page has no bounds, so neither has the chunk
}

// waiting are rows that do not fill a page yet.
type waiting struct {
	data     []byte
	offs     []int32
	rep, def []byte
	n        int // values
	rows     int
	nulls    int
}

func (w *waiting) reset() {
	w.data, w.rep, w.def = w.data[:0], w.rep[:0], w.def[:0]
	if w.offs != nil {
		w.offs = w.offs[:1]
	}
	w.n, w.rows, w.nulls = 0, 0, 0
}

// page is a finished data page of the chunk.
type page struct {
	offset, size int // in the chunk, header included
	rows, nulls  int
	first        int64 // number of its first row in the row group
	bounds       bounds
	void         bool // nothing but nulls
}

func newColumn(d *perfpipe.ColumnDef) (*column, error) {
	c := &column{def: d, typ: d.Type, path: []string{d.Name}}
	if d.Nullable {
		c.maxDef++
	}
	if d.Type == perfpipe.TypeList {
		c.typ = d.Elem
		c.path = []string{d.Name, "list", "element"}
		c.maxRep = 1
		c.maxDef++
	}
	l, err := logicalOf(c.typ)
	if err != nil {
		return nil, err
	}
	c.phys, c.width = l.phys, c.typ.Width()
	if c.typ == perfpipe.TypeString {
		c.pend.offs = make([]int32, 1)
	}
	return c, nil
}

// buffered returns the bytes of memory that the column's rows hold.
func (c *column) buffered() int {
	return len(c.chunk) + len(c.pend.data) + 4*len(c.pend.offs) + len(c.pend.rep) + len(c.pend.def) + c.dict.size()
}

// write takes rows from up to to of col.
func (c *column) write(s *Scratch, col *perfpipe.Column, from, to int) error {
	for from < to {
		n := c.fit(col, from, to)
		// A page's worth is encoded where it lies; a rest waits for more.
		if c.pend.rows == 0 && c.maxDef == 0 && (n == pageRows || n < to-from) {
			l := values(col, from, from+n)
			if err := c.encode(s, l, nil, nil, n, 0); err != nil {
				return err
			}
		} else {
			c.wait(col, from, from+n)
			if c.full() {
				if err := c.flush(s); err != nil {
					return err
				}
			}
		}
		from += n
	}
	return nil
}

func (c *column) full() bool {
	return c.pend.rows >= pageRows || len(c.pend.data)+4*c.pend.n >= pageBytes
}

// fit returns how many rows from from on, at least one, the page that is being
// filled may take.
func (c *column) fit(col *perfpipe.Column, from, to int) int {
	room := pageBytes - len(c.pend.data)
	n := min(to-from, pageRows-c.pend.rows)
	if col.Offsets == nil {
		return max(1, min(n, room/max(1, c.width)))
	}
	// Find the first row that ends beyond the room.
	size := func(row int) int {
		a, b := int(col.Offsets[from]), int(col.Offsets[from+row])
		if col.Child == nil {
			return b - a + 4*row
		}
		if col.Child.Offsets != nil {
			return int(col.Child.Offsets[b]-col.Child.Offsets[a]) + 4*(b-a)
		}
		return (b - a) * c.width
	}
	return max(1, sort.Search(n, func(i int) bool { return size(i+1) > room }))
}

// values returns the values of rows from up to to, nulls included.
func values(col *perfpipe.Column, from, to int) leaf {
	if col.Child != nil {
		a, b := int(col.Offsets[from]), int(col.Offsets[to])
		return values(col.Child, a, b)
	}
	if col.Offsets != nil {
		return leaf{data: col.Data, offs: col.Offsets[from : to+1], n: to - from}
	}
	w := col.Type.Width()
	return leaf{data: col.Data[from*w : to*w], n: to - from}
}

// wait copies rows from up to to behind those that wait already.
func (c *column) wait(col *perfpipe.Column, from, to int) {
	p := &c.pend
	p.rows += to - from
	switch {
	case c.maxRep > 0:
		top := c.maxDef
		for i := from; i < to; i++ {
			k := int(col.Offsets[i+1] - col.Offsets[i])
			switch {
			case col.IsNull(i):
				p.rep, p.def = append(p.rep, 0), append(p.def, 0)
				p.nulls++
			case k == 0:
				p.rep, p.def = append(p.rep, 0), append(p.def, top-1)
				p.nulls++
			default:
				p.rep, p.def = append(p.rep, 0), append(p.def, top)
				for ; k > 1; k-- {
					p.rep, p.def = append(p.rep, 1), append(p.def, top)
				}
			}
		}
	case c.maxDef > 0:
		for i := from; i < to; {
			if col.IsNull(i) {
				p.def = append(p.def, 0)
				p.nulls++
				i++
				continue
			}
			j := i
			for ; j < to && !col.IsNull(j); j++ {
				p.def = append(p.def, 1)
			}
			c.copy(values(col, i, j))
			i = j
		}
		return
	}
	c.copy(values(col, from, to))
}

func (c *column) copy(l leaf) {
	p := &c.pend
	p.n += l.n
	if l.offs == nil {
		p.data = append(p.data, l.data...)
		return
	}
	base := int32(len(p.data)) - l.offs[0]
	p.data = append(p.data, l.data[l.offs[0]:l.offs[l.n]]...)
	for _, o := range l.offs[1:] {
		p.offs = append(p.offs, o+base)
	}
}

// flush makes a page of the rows that wait.
func (c *column) flush(s *Scratch) error {
	p := &c.pend
	if p.rows == 0 {
		return nil
	}
	err := c.encode(s, leaf{data: p.data, offs: p.offs, n: p.n}, p.rep, p.def, p.rows, p.nulls)
	p.reset()
	return err
}

// note takes the bounds of a page into those of the chunk.
func (c *column) note(p *page) {
	switch {
	case p.void:
	case !p.bounds.ok:
		c.unbound = true
	case !c.bounds.ok:
		c.bounds = p.bounds
	default:
		if c.compare(p.bounds.min, c.bounds.min) < 0 {
			c.bounds.min = p.bounds.min
		}
		if c.compare(p.bounds.max, c.bounds.max) > 0 {
			c.bounds.max = p.bounds.max
		}
	}
}

// reset begins another row group.
func (c *column) reset() {
	c.pend.reset()
	c.dict.reset()
	c.chunk, c.pages = c.chunk[:0], c.pages[:0]
	c.mode, c.encodings, c.dictPages = modeUnset, 0, 0
	c.values, c.nulls, c.plainSize = 0, 0, 0
	c.bounds, c.unbound = bounds{}, false
}

// release gives the memory of an emptied column back.
func (c *column) release() {
	c.chunk = nil
	text := c.pend.offs != nil
	c.pend = waiting{}
	if text {
		c.pend.offs = make([]int32, 1)
	}
	c.dict = dict{}
}

// appendPlainText appends strings as PLAIN has them: length, bytes.
func appendPlainText(dst []byte, l leaf) []byte {
	for i := range l.n {
		s := l.data[l.offs[i]:l.offs[i+1]]
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
		dst = append(dst, s...)
	}
	return dst
}
