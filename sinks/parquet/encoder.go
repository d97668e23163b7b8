// Package parquet writes Parquet files of batches whose shape is known only at
// run time, and reads them back.
//
// The pages are put together here, column by column, straight from a batch's
// memory; encodings and the metadata's structs are those of parquet-go. Only
// compressed pages wait for the end of a row group, so an open file costs little
// more than what it will write. RATIONALE.md, "Parquet writer", has the figures
// of this way and of those that were not taken.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// Bounds of a row group: what a reader takes in one piece. Rows end it for narrow
// tables, bytes (of the batches, uncompressed) for wide ones.
const (
	groupRows  = 1 << 20
	groupBytes = 32 << 20
)

const magic = "PAR1"

// Options say how a file is written.
type Options struct {
	// Scratch is shared by the encoders of a sink; nil makes one of its own, zstd.
	Scratch *Scratch
	// Meta is the file's key-value metadata, beside that of the table.
	Meta map[string]string
	// Bloom names the columns that have bloom filters; nil is all whose values are few
	// enough for a dictionary, lists and booleans excepted. Among more values than that
	// no column has one.
	Bloom []string
	// GroupRows and GroupBytes bound a row group; 0 takes 1 Mi rows and 32 MiB.
	GroupRows  int
	GroupBytes int64
}

// Encoder writes one table as a Parquet file. It keeps nothing of a batch's
// memory. After an error every method returns that error.
type Encoder struct {
	w       io.Writer
	s       *Scratch
	table   *perfpipe.Table
	meta    map[string]string
	schema  []format.SchemaElement
	columns []*column
	order   []int // of columns, those with most to do first
	sorting []format.SortingColumn

	maxRows  int
	maxBytes int64

	offset int64
	rows   int64 // in all row groups, the open one as well
	group  int   // rows of the open row group
	raw    int64 // and the bytes that they took in their batches
	groups []format.RowGroup
	index  [][]chunkIndex
	last   int64 // the sorted column's value in the last row
	small  int   // row groups that ended early
	err    error
	closed bool
}

// chunkIndex is a column chunk's share of the page index, as it is written near the
// footer: a recording may have thousands of row groups.
type chunkIndex struct {
	column  []byte // nil where some page has no bounds
	offsets []byte
}

// New returns an encoder of t's rows that writes to w, and writes the file's magic.
func New(w io.Writer, t *perfpipe.Table, o Options) (*Encoder, error) {
	schema, err := schemaOf(t)
	if err != nil {
		return nil, err
	}
	e := &Encoder{w: w, s: o.Scratch, table: t, schema: schema, maxRows: o.GroupRows, maxBytes: o.GroupBytes}
	if e.maxRows <= 0 {
		e.maxRows = groupRows
	}
	if e.maxBytes <= 0 {
		e.maxBytes = groupBytes
	}
	if e.s == nil {
		if e.s, err = NewScratch("", 0); err != nil {
			return nil, err
		}
	}
	e.meta = make(map[string]string, len(t.Meta)+len(o.Meta)+2)
	for k, v := range o.Meta {
		e.meta[k] = v
	}
	for k, v := range t.Meta {
		e.meta[k] = v
	}
	e.meta["table"] = t.Name
	for i := range t.Columns {
		d := &t.Columns[i]
		c, err := newColumn(d)
		if err != nil {
			return nil, fmt.Errorf("lay out table %s: column %s: %w", t.Name, d.Name, err)
		}
		// A nanosecond clock's order is the finer one: ts before time.
		if d.Hint == perfpipe.HintSorted && d.Type != perfpipe.TypeTimestamp && e.sorting == nil {
			e.sorting = []format.SortingColumn{{ColumnIdx: int32(i)}}
			e.meta["sort_order"] = d.Name
		}
		c.noBloom = o.Bloom != nil && !slices.Contains(o.Bloom, d.Name)
		e.columns = append(e.columns, c)
	}
	for i := range e.columns {
		e.order = append(e.order, i)
	}
	slices.SortStableFunc(e.order, func(a, b int) int { return e.columns[b].effort() - e.columns[a].effort() })
	if err := e.put([]byte(magic)); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Encoder) put(b []byte) error {
	n, err := e.w.Write(b)
	e.offset += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// errClosed is what a Write after Close gets.
var errClosed = errors.New("write after close")

// Write takes the rows of b, which must be of the encoder's table.
func (e *Encoder) Write(b *perfpipe.Batch) error {
	if e.err != nil {
		return e.err
	}
	if e.closed {
		return errClosed
	}
	if err := e.check(b); err != nil {
		e.err = err
		return err
	}
	if err := e.late(b); err != nil {
		return err
	}
	size := int64(b.Size())
	for from := 0; from < b.Rows; {
		to := min(b.Rows, from+e.maxRows-e.group)
		if e.err = e.writeRows(b, from, to); e.err != nil {
			return e.err
		}
		e.group += to - from
		e.rows += int64(to - from)
		e.raw += size * int64(to-from) / int64(b.Rows)
		from = to
		if e.group >= e.maxRows || e.raw >= e.maxBytes {
			if err := e.Spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Encoder) writeRows(b *perfpipe.Batch, from, to int) error {
	if e.s.team != nil && to-from >= directRows {
		return e.writeTogether(b, from, to)
	}
	for i, c := range e.columns {
		if err := c.write(e.s, &b.Columns[i], from, to); err != nil {
			return err
		}
	}
	return nil
}

// smallGroups is how many row groups may end early for the sake of order, however few
// rows they have, and orderRows are as many rows as make one that is worth it in any case.
const (
	smallGroups = 64
	orderRows   = 16 << 10
)

// late ends the row group where b begins before the rows that are there end, so that
// each is in order by itself.
func (e *Encoder) late(b *perfpipe.Batch) error {
	if e.sorting == nil || b.Rows == 0 {
		return nil
	}
	c := &b.Columns[e.sorting[0].ColumnIdx]
	first, last := int64(c.Int(0)), e.last
	e.last = int64(c.Int(b.Rows - 1))
	if first >= last || e.group == 0 || e.group < orderRows && e.small >= smallGroups {
		return nil
	}
	if e.group < orderRows {
		e.small++
	}
	return e.Spill()
}

// check refuses a batch that is not of the table or contradicts itself: its
// values would be written as garbage.
func (e *Encoder) check(b *perfpipe.Batch) error {
	if len(b.Columns) != len(e.columns) {
		return fmt.Errorf("write batch of %s: it has %d columns, the table has %d", e.table.Name, len(b.Columns), len(e.columns))
	}
	for i := range b.Columns {
		c, d := &b.Columns[i], &e.table.Columns[i]
		var fault string
		switch {
		case c.Type != d.Type:
			fault = fmt.Sprintf("its type is %v, the table's %v", c.Type, d.Type)
		case c.Len != b.Rows:
			fault = fmt.Sprintf("it has %d values for %d rows", c.Len, b.Rows)
		case c.Valid != nil && !d.Nullable:
			fault = "it has a validity bitmap and may not be null"
		case d.Nullable && len(c.Valid) < (b.Rows+7)/8:
			fault = "its validity bitmap is too short"
		case d.Type == perfpipe.TypeList && (c.Child == nil || c.Child.Type != d.Elem || c.Child.Valid != nil):
			fault = "its elements are not those of the table"
		case !whole(c) || c.Child != nil && (!whole(c.Child) || int(c.Offsets[c.Len]) > c.Child.Len):
			fault = "its memory is too short for its values"
		}
		if fault != "" {
			return fmt.Errorf("write batch of %s: column %s: %s", e.table.Name, d.Name, fault)
		}
	}
	return nil
}

func whole(c *perfpipe.Column) bool {
	if w := c.Type.Width(); w > 0 {
		return len(c.Data) >= w*c.Len
	}
	return len(c.Offsets) > c.Len && (c.Type == perfpipe.TypeList || int(c.Offsets[c.Len]) <= len(c.Data))
}

// Flush has nothing to do: a Parquet file is read only when it is whole.
func (e *Encoder) Flush() error { return e.err }

// Rows returns the number of rows taken so far.
func (e *Encoder) Rows() int64 { return e.rows }

// Buffered returns the bytes of memory that the open row group holds.
func (e *Encoder) Buffered() int64 {
	n := 0
	for _, c := range e.columns {
		n += c.buffered()
	}
	return int64(n)
}

// Release ends the row group and gives its memory back.
func (e *Encoder) Release() error {
	err := e.Spill()
	for _, c := range e.columns {
		c.release()
	}
	return err
}

// Spill ends the open row group and writes it out.
func (e *Encoder) Spill() error {
	if e.err != nil || e.group == 0 {
		return e.err
	}
	e.err = e.spill()
	return e.err
}

func (e *Encoder) spill() error {
	g := format.RowGroup{
		NumRows:    int64(e.group),
		FileOffset: e.offset,
		Ordinal:    int16(min(len(e.groups), 1<<15-1)),
		Columns:    make([]format.ColumnChunk, len(e.columns)),
	}
	index := make([]chunkIndex, len(e.columns))
	for i, c := range e.columns {
		if err := c.flush(e.s); err != nil {
			return err
		}
		if err := e.writeChunk(c, &g.Columns[i].MetaData, &index[i]); err != nil {
			return err
		}
		g.TotalByteSize += g.Columns[i].MetaData.TotalUncompressedSize
		g.TotalCompressedSize += g.Columns[i].MetaData.TotalCompressedSize
	}
	// A record of another processor may have come late. A reader that trusts a wrong
	// claim loses rows: a row group that is not in order does not say that it is, and a
	// file with rows that are not has no sort_order.
	if e.sorting != nil {
		c := e.columns[e.sorting[0].ColumnIdx]
		if !c.unsorted {
			g.SortingColumns = e.sorting
		}
		if c.disordered {
			delete(e.meta, "sort_order")
		}
	}
	// Filters stand behind the row group's data, so that they need not be kept.
	for i, c := range e.columns {
		if err := e.putBloom(c, &g.Columns[i].MetaData); err != nil {
			return err
		}
		c.reset()
	}
	e.groups = append(e.groups, g)
	e.index = append(e.index, index)
	e.group, e.raw = 0, 0
	return nil
}

// writeChunk writes c's dictionary and pages and fills in what the footer says of them.
func (e *Encoder) writeChunk(c *column, m *format.ColumnMetaData, ix *chunkIndex) error {
	start := e.offset
	*m = format.ColumnMetaData{
		Type:                  c.phys,
		PathInSchema:          c.path,
		Codec:                 e.s.codec,
		NumValues:             c.values,
		TotalUncompressedSize: c.plainSize,
		Statistics:            format.Statistics{NullCount: c.nulls},
	}
	if c.dictPages > 0 {
		width := 4
		if c.phys == format.Int64 {
			width = 8
		}
		h := format.PageHeader{
			Type: format.DictionaryPage,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
				NumValues: int32(c.dict.len()), Encoding: format.Plain,
			}),
		}
		e.s.body = c.dict.page(e.s.body[:0], width, c.signed)
		var err error
		if e.s.enc, err = e.s.appendPage(e.s.enc[:0], &h, e.s.body); err != nil {
			return fmt.Errorf("write dictionary of column %s: %w", c.def.Name, err)
		}
		m.DictionaryPageOffset = e.offset
		m.TotalUncompressedSize += int64(len(e.s.enc)) - int64(h.CompressedPageSize) + int64(h.UncompressedPageSize)
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1})
		c.encodings |= 1 << format.Plain
		if err := e.put(e.s.enc); err != nil {
			return err
		}
	}
	m.DataPageOffset = e.offset
	if err := e.put(c.chunk); err != nil {
		return err
	}
	m.TotalCompressedSize = e.offset - start
	if c.maxDef > 0 {
		c.encodings |= 1 << format.RLE
	}
	for enc := format.Plain; enc <= format.RLEDictionary; enc++ {
		if c.encodings&(1<<enc) != 0 {
			m.Encoding = append(m.Encoding, enc)
		}
	}
	if c.dictPages > 0 && c.dictPages == len(c.pages) {
		// Complete: a reader may trust the dictionary to hold every value.
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DataPage, Encoding: format.RLEDictionary, Count: int32(c.dictPages)})
	} else {
		m.EncodingStats = nil
	}
	// A list's bounds say nothing about its rows, and an empty string cannot stand in
	// the statistics: the metadata's encoder takes it for none.
	if b := c.bounds; b.ok && !c.unbound && c.maxRep == 0 && len(b.min) > 0 && len(b.max) > 0 {
		m.Statistics.MinValue, m.Statistics.MaxValue = b.min, b.max
	}
	var err error
	*ix, err = c.index(m.DataPageOffset)
	return err
}

// index makes the chunk's page index; base is the file offset of its first data page.
func (c *column) index(base int64) (ix chunkIndex, err error) {
	oi := format.OffsetIndex{PageLocations: make([]format.PageLocation, len(c.pages))}
	for i, p := range c.pages {
		oi.PageLocations[i] = format.PageLocation{
			Offset: base + int64(p.offset), CompressedPageSize: int32(p.size), FirstRowIndex: p.first,
		}
	}
	var p thrift.CompactProtocol
	if ix.offsets, err = thrift.Marshal(&p, &oi); err != nil {
		return ix, fmt.Errorf("encode page index: %w", err)
	}
	if c.maxRep > 0 || c.unbound {
		return ix, nil
	}
	ci := &format.ColumnIndex{BoundaryOrder: c.order()}
	for _, p := range c.pages {
		ci.NullPages = append(ci.NullPages, p.void)
		ci.NullCounts = append(ci.NullCounts, int64(p.nulls))
		lo, hi := p.bounds.min, p.bounds.max
		if p.void {
			lo, hi = []byte{}, []byte{}
		}
		ci.MinValues, ci.MaxValues = append(ci.MinValues, lo), append(ci.MaxValues, hi)
	}
	if ix.column, err = thrift.Marshal(&p, ci); err != nil {
		return ix, fmt.Errorf("encode page index: %w", err)
	}
	return ix, nil
}

// order says how the bounds go from page to page, pages of nulls left aside.
func (c *column) order() format.BoundaryOrder {
	up, down, prev := true, true, -1
	for i, p := range c.pages {
		if p.void {
			continue
		}
		if prev >= 0 {
			q := &c.pages[prev]
			lo, hi := c.compare(q.bounds.min, p.bounds.min), c.compare(q.bounds.max, p.bounds.max)
			up = up && lo <= 0 && hi <= 0
			down = down && lo >= 0 && hi >= 0
		}
		prev = i
	}
	switch {
	case up:
		return format.Ascending
	case down:
		return format.Descending
	}
	return format.Unordered
}

// Close ends the last row group and writes the footer, with more beside the
// metadata given to New. It does not close the writer below. A second call
// returns what the first did.
func (e *Encoder) Close(more map[string]string) error {
	if e.closed {
		return e.err
	}
	if err := e.Spill(); err != nil {
		e.closed = true
		return err
	}
	e.closed = true
	for k, v := range more {
		e.meta[k] = v
	}
	e.err = e.footer()
	return e.err
}

func (e *Encoder) footer() error {
	put := func(b []byte) (at int64, n int32, err error) {
		at = e.offset
		return at, int32(len(b)), e.put(b)
	}
	var err error
	for i, g := range e.index {
		for j := range g {
			if g[j].column == nil {
				continue
			}
			c := &e.groups[i].Columns[j]
			if c.ColumnIndexOffset, c.ColumnIndexLength, err = put(g[j].column); err != nil {
				return err
			}
		}
	}
	for i, g := range e.index {
		for j := range g {
			c := &e.groups[i].Columns[j]
			if c.OffsetIndexOffset, c.OffsetIndexLength, err = put(g[j].offsets); err != nil {
				return err
			}
		}
	}
	f := format.FileMetaData{
		Version:   2, // DELTA_BINARY_PACKED and the logical types
		Schema:    e.schema,
		NumRows:   e.rows,
		RowGroups: e.groups,
		CreatedBy: "perfpipe",
	}
	if v := e.meta["perfpipe.version"]; v != "" {
		f.CreatedBy += " version " + v
	}
	for _, k := range sortedKeys(e.meta) {
		f.KeyValueMetadata = append(f.KeyValueMetadata, format.KeyValue{Key: k, Value: e.meta[k]})
	}
	for range e.columns {
		f.ColumnOrders = append(f.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &f)
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	_, n, err := put(b)
	if err != nil {
		return err
	}
	return e.put(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}, magic...))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
