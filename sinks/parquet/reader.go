package parquet

import (
	"errors"
	"fmt"
	"io"

	parquetgo "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// readRows is how many rows a Read hands out.
const readRows = 8 << 10

// Reader reads a file that an [Encoder] wrote.
type Reader struct {
	table *perfpipe.Table
	file  *parquetgo.File
	meta  *format.FileMetaData
	r     io.ReaderAt
	group int
	left  int64 // rows of the open row group
	cols  []*columnReader
}

// NewReader opens the file r of size bytes.
func NewReader(r io.ReaderAt, size int64) (_ *Reader, err error) {
	defer rescue(&err)
	meta, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	if err := sane(meta, size); err != nil {
		return nil, err
	}
	t, err := tableOf(meta)
	if err != nil {
		return nil, fmt.Errorf("read Parquet schema: %w", err)
	}
	f, err := parquetgo.OpenFile(r, size, parquetgo.SkipPageIndex(true), parquetgo.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("open Parquet file: %w", err)
	}
	return &Reader{table: t, file: f, meta: meta, r: r}, nil
}

func rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("read Parquet file: it is damaged: %v", r)
	}
}

// tableOf is the opposite of schemaOf.
func tableOf(m *format.FileMetaData) (*perfpipe.Table, error) {
	t := &perfpipe.Table{Meta: make(map[string]string)}
	for _, kv := range m.KeyValueMetadata {
		t.Meta[kv.Key] = kv.Value
	}
	t.Name = t.Meta["table"]
	els := m.Schema
	if len(els) == 0 || int(els[0].NumChildren.V) < 0 {
		return nil, errors.New("it has no root")
	}
	want := int(els[0].NumChildren.V)
	for els = els[1:]; len(els) > 0; {
		e := &els[0]
		d := perfpipe.ColumnDef{Name: e.Name, Nullable: e.RepetitionType.V == format.Optional}
		if _, ok := e.LogicalType.Value.(*format.ListType); ok {
			if len(els) < 3 || els[1].RepetitionType.V != format.Repeated || els[1].NumChildren.V != 1 || els[2].NumChildren.Valid || els[2].RepetitionType.V != format.Required {
				return nil, fmt.Errorf("column %s: its list is none that perfpipe writes", e.Name)
			}
			d.Type, d.Elem = perfpipe.TypeList, typeOf(&els[2])
			if d.Elem == perfpipe.TypeInvalid {
				return nil, fmt.Errorf("column %s: its elements are none that perfpipe writes", e.Name)
			}
			els = els[3:]
		} else {
			d.Type = typeOf(e)
			if d.Type == perfpipe.TypeInvalid || e.NumChildren.Valid || e.RepetitionType.V == format.Repeated {
				return nil, fmt.Errorf("column %s: its type is none that perfpipe writes", e.Name)
			}
			els = els[1:]
		}
		t.Columns = append(t.Columns, d)
	}
	if len(t.Columns) != want {
		return nil, fmt.Errorf("it has %d columns, its root says %d", len(t.Columns), want)
	}
	return t, nil
}

func typeOf(e *format.SchemaElement) perfpipe.Type {
	for t := perfpipe.TypeInt8; t < perfpipe.TypeList; t++ {
		l, err := logicalOf(t)
		if err != nil || !e.Type.Valid || e.Type.V != l.phys {
			continue
		}
		switch {
		case l.bare && e.LogicalType.Value == nil:
			return t
		case !l.bare && e.LogicalType.Value != nil && e.LogicalType.Value.String() == l.logical.String():
			return t
		}
	}
	return perfpipe.TypeInvalid
}

// Table returns the table that the file holds; its metadata is that of the file.
func (r *Reader) Table() *perfpipe.Table { return r.table }

// Read fills b, which must be of Table, with the next rows, and returns io.EOF
// after the last.
func (r *Reader) Read(b *perfpipe.Batch) (err error) {
	defer rescue(&err)
	b.Reset()
	for r.left == 0 {
		groups := r.file.RowGroups()
		if r.group == len(groups) {
			return io.EOF
		}
		r.Close()
		g := groups[r.group]
		r.group++
		r.left = g.NumRows()
		chunks := g.ColumnChunks()
		if len(chunks) != len(r.table.Columns) {
			return fmt.Errorf("read Parquet file: row group %d has %d columns of %d", r.group-1, len(chunks), len(r.table.Columns))
		}
		for i, c := range chunks {
			d := &r.table.Columns[i]
			if err := checkPages(r.r, &r.meta.RowGroups[r.group-1].Columns[i].MetaData); err != nil {
				return fmt.Errorf("read Parquet file: column %s: %w: the file is damaged", d.Name, err)
			}
			cr := &columnReader{pages: c.Pages(), def: d, typ: d.Type}
			if d.Nullable {
				cr.top++
			}
			if d.Type == perfpipe.TypeList {
				cr.typ = d.Elem
				cr.top++
			}
			r.cols = append(r.cols, cr)
		}
	}
	n := int(min(r.left, readRows))
	for i, c := range r.cols {
		if err := c.read(&b.Columns[i], n); err != nil {
			return fmt.Errorf("read Parquet file: column %s: %w", r.table.Columns[i].Name, err)
		}
	}
	r.left -= int64(n)
	b.Rows = n
	return nil
}

// Close frees the open row group.
func (r *Reader) Close() {
	for _, c := range r.cols {
		c.end()
		_ = c.pages.Close() // read from memory that stays
	}
	r.cols = nil
}

// columnReader reads a column chunk value by value.
type columnReader struct {
	pages parquetgo.Pages
	page  parquetgo.Page
	vals  parquetgo.ValueReader
	buf   [1024]parquetgo.Value
	have  []parquetgo.Value
	def   *perfpipe.ColumnDef
	typ   perfpipe.Type
	top   int // definition level of a value that is there
	done  bool
}

func (c *columnReader) end() {
	if c.page != nil {
		parquetgo.Release(c.page)
		c.page, c.vals = nil, nil
	}
}

// fill makes c.have hold at least one value, or sets done.
func (c *columnReader) fill() error {
	for len(c.have) == 0 && !c.done {
		if c.vals == nil {
			p, err := c.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				c.done = true
				return nil
			}
			if err != nil {
				return err
			}
			c.page, c.vals = p, p.Values()
		}
		n, err := c.vals.ReadValues(c.buf[:])
		c.have = c.buf[:n]
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			c.end()
		}
	}
	return nil
}

var errShort = errors.New("it has fewer values than its row group has rows")

// read appends n rows to col.
func (c *columnReader) read(col *perfpipe.Column, n int) error {
	for range n {
		if err := c.fill(); err != nil {
			return err
		}
		if c.done {
			return errShort
		}
		v := &c.have[0]
		def := v.DefinitionLevel()
		if c.def.Type != perfpipe.TypeList {
			switch {
			case def == c.top:
				c.put(col, v)
			case c.def.Nullable:
				col.AppendNull()
			default:
				return errors.New("it holds a null where none may be")
			}
			c.have = c.have[1:]
			continue
		}
		if v.RepetitionLevel() != 0 {
			return errors.New("its lists do not begin where rows do")
		}
		if c.def.Nullable && def == 0 {
			col.AppendNull()
			c.have = c.have[1:]
			continue
		}
		for first := true; ; first = false {
			if err := c.fill(); err != nil {
				return err
			}
			if c.done || !first && c.have[0].RepetitionLevel() == 0 {
				break
			}
			if c.have[0].DefinitionLevel() == c.top {
				c.put(col.Child, &c.have[0])
			}
			c.have = c.have[1:]
		}
		col.EndList()
	}
	return nil
}

func (c *columnReader) put(col *perfpipe.Column, v *parquetgo.Value) {
	switch {
	case c.typ == perfpipe.TypeString:
		col.Data = append(col.Data, v.ByteArray()...)
		col.EndString()
	case c.typ == perfpipe.TypeBool:
		n := uint64(0)
		if v.Boolean() {
			n = 1
		}
		col.AppendInt(n)
	case c.typ.Width() == 8:
		col.AppendInt(uint64(v.Int64()))
	default:
		col.AppendInt(uint64(v.Int32()))
	}
}
