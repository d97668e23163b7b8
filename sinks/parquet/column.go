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
	// directRows are so many that a page of them is worth its header.
	directRows = 4 << 10
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
	// noBloom is true where a filter is not wanted.
	noBloom bool

	pend waiting
	dict dict

	chunk     []byte // finished pages: header, body, header, body ...
	pages     []page
	waiting   []deferred // the last of pages, which are not in chunk yet
	mode      mode
	encodings uint32 // bit e: format.Encoding e occurs in the chunk
	dictPages int
	values    int64 // level entries: nulls and empty lists count
	nulls     int64
	plainSize int64 // pages with headers, before compression
	bounds    bounds
	unbound   bool // some page has no bounds, so neither has the chunk
	// Of a column that is said to be sorted: last is the value of the last row of a page,
	// once begun is set; unsorted is set where a value of the row group, and disordered
	// where one of the file, is smaller than that before it.
	last                        int64
	begun, unsorted, disordered bool
}

// levels say where the values of a page stand in its rows: by repetition and definition
// levels, or by their number in every row, without a null.
type levels struct {
	rep, def []byte
	every    int
	nulls    int
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

// effort is what encoding the column costs compared with others.
func (c *column) effort() int {
	switch {
	case c.maxRep > 0:
		return 3
	case c.typ == perfpipe.TypeString, c.def.Hint == perfpipe.HintSorted:
		return 2
	}
	return 1
}

// buffered returns the bytes of memory that the column holds for rows, those that are
// there and those for which there is room.
func (c *column) buffered() int {
	p := &c.pend
	return cap(c.chunk) + cap(p.data) + 4*cap(p.offs) + cap(p.rep) + cap(p.def) + c.dict.size()
}

// write takes rows from up to to of col.
func (c *column) write(s *Scratch, col *perfpipe.Column, from, to int) error {
	// Rows in their thousands are a page of their own, encoded where they lie, however
	// few wait; few wait for more.
	if to-from >= directRows && c.pend.rows > 0 && c.inPlace(col, from, to) {
		if err := c.flush(s); err != nil {
			return err
		}
	}
	for from < to {
		n := c.fit(col, from, to)
		if c.pend.rows == 0 && (n >= directRows || n < to-from) && c.inPlace(col, from, from+n) {
			if err := c.direct(s, col, from, from+n); err != nil {
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

// inPlace reports whether the values of these rows lie one behind the other: nulls
// among values of a fixed width do not, as pages have none.
func (c *column) inPlace(col *perfpipe.Column, from, to int) bool {
	return c.maxDef == 0 || c.maxRep > 0 || allSet(col.Valid, from, to)
}

// direct makes a page of rows as they lie in a batch.
func (c *column) direct(s *Scratch, col *perfpipe.Column, from, to int) error {
	g := levels{}
	switch {
	case c.maxRep > 0:
		if g.every = c.listLength(col, from, to); g.every == 0 {
			s.rep, s.def = s.rep[:0], s.def[:0]
			s.rep, s.def, g.nulls = c.listLevels(s.rep, s.def, col, from, to)
			g.rep, g.def = s.rep, s.def
		}
	case c.maxDef > 0:
		g.every = 1
	}
	return c.encode(s, values(col, from, to), g, to-from)
}

// listLength returns the length of the lists if all have the same and none is null, else 0.
func (c *column) listLength(col *perfpipe.Column, from, to int) int {
	o := col.Offsets[from : to+1]
	if len(o) < 2 || c.def.Nullable && !allSet(col.Valid, from, to) {
		return 0
	}
	k := o[1] - o[0]
	if int(o[len(o)-1]-o[0]) != int(k)*(len(o)-1) {
		return 0
	}
	for i := 1; i < len(o); i++ {
		if o[i]-o[i-1] != k {
			return 0
		}
	}
	return int(k)
}

// allSet reports whether the bits from up to to are set.
func allSet(v []byte, from, to int) bool {
	for ; from < to && from&7 != 0; from++ {
		if v[from>>3]>>(from&7)&1 == 0 {
			return false
		}
	}
	for ; to-from >= 8; from += 8 {
		if v[from>>3] != 0xff {
			return false
		}
	}
	for ; from < to; from++ {
		if v[from>>3]>>(from&7)&1 == 0 {
			return false
		}
	}
	return true
}

// listLevels appends the levels of lists, and counts those entries that are no value.
func (c *column) listLevels(rep, def []byte, col *perfpipe.Column, from, to int) (r, d []byte, nulls int) {
	top := c.maxDef
	for i := from; i < to; i++ {
		k := int(col.Offsets[i+1] - col.Offsets[i])
		switch {
		case col.IsNull(i):
			rep, def = append(rep, 0), append(def, 0)
			nulls++
		case k == 0:
			rep, def = append(rep, 0), append(def, top-1)
			nulls++
		default:
			rep, def = append(rep, 0), append(def, top)
			for ; k > 1; k-- {
				rep, def = append(rep, 1), append(def, top)
			}
		}
	}
	return rep, def, nulls
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
		n := 0
		p.rep, p.def, n = c.listLevels(p.rep, p.def, col, from, to)
		p.nulls += n
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
	err := c.encode(s, leaf{data: p.data, offs: p.offs, n: p.n}, levels{rep: p.rep, def: p.def, nulls: p.nulls}, p.rows)
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
	c.bounds, c.unbound, c.unsorted = bounds{}, false, false
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
