// Package columnar says perfpipe's tables and batches in Arrow's terms, and back.
// All of Arrow is fenced in here and in arrowipc.
package columnar

import (
	"fmt"
	"sort"

	"github.com/apache/arrow/go/v14/arrow"
	"github.com/apache/arrow/go/v14/arrow/array"
	"github.com/apache/arrow/go/v14/arrow/memory"

	"github.com/perfpipe/perfpipe"
)

// typeKey is the field metadata that keeps the kernel's words for a type.
const typeKey = "ctype"

func scalar(t perfpipe.Type) (arrow.DataType, error) {
	switch t {
	case perfpipe.TypeInt8:
		return arrow.PrimitiveTypes.Int8, nil
	case perfpipe.TypeInt16:
		return arrow.PrimitiveTypes.Int16, nil
	case perfpipe.TypeInt32:
		return arrow.PrimitiveTypes.Int32, nil
	case perfpipe.TypeInt64:
		return arrow.PrimitiveTypes.Int64, nil
	case perfpipe.TypeUint8:
		return arrow.PrimitiveTypes.Uint8, nil
	case perfpipe.TypeUint16:
		return arrow.PrimitiveTypes.Uint16, nil
	case perfpipe.TypeUint32:
		return arrow.PrimitiveTypes.Uint32, nil
	case perfpipe.TypeUint64:
		return arrow.PrimitiveTypes.Uint64, nil
	case perfpipe.TypeBool:
		return arrow.FixedWidthTypes.Boolean, nil
	case perfpipe.TypeString:
		return arrow.BinaryTypes.String, nil
	case perfpipe.TypeTimestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, nil
	}
	return nil, fmt.Errorf("no Arrow type for %v", t)
}

// Schema returns the Arrow schema of t with the metadata of t and meta. A field is
// nullable only where its column is, and a list's element never.
func Schema(t *perfpipe.Table, meta map[string]string) (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(t.Columns))
	for i := range t.Columns {
		d := &t.Columns[i]
		typ, elem := d.Type, d.Elem
		list := typ == perfpipe.TypeList
		if list {
			typ = elem
		}
		dt, err := scalar(typ)
		if err != nil {
			return nil, fmt.Errorf("lay out table %s: column %s: %w", t.Name, d.Name, err)
		}
		if list {
			dt = arrow.ListOfNonNullable(dt)
		}
		fields[i] = arrow.Field{Name: d.Name, Type: dt, Nullable: d.Nullable}
		if d.CType != "" {
			fields[i].Metadata = arrow.NewMetadata([]string{typeKey}, []string{d.CType})
		}
	}
	all := make(map[string]string, len(meta)+len(t.Meta))
	for k, v := range meta {
		all[k] = v
	}
	for k, v := range t.Meta {
		all[k] = v
	}
	all["table"] = t.Name
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = all[k]
	}
	m := arrow.NewMetadata(keys, values)
	return arrow.NewSchema(fields, &m), nil
}

// Wrapper makes records over the memory of batches. It is used by one goroutine.
type Wrapper struct {
	schema *arrow.Schema
	bits   [][]byte // packed bools, a buffer a column, used again
}

// NewWrapper returns a wrapper for batches of the table that s was made of.
func NewWrapper(s *arrow.Schema) *Wrapper {
	return &Wrapper{schema: s, bits: make([][]byte, len(s.Fields()))}
}

// Wrap returns b as a record. Nothing is copied but bools, which are packed to
// bits: the record is valid as long as b is not changed, and until the next Wrap.
// The caller releases it.
func (w *Wrapper) Wrap(b *perfpipe.Batch) (arrow.Record, error) {
	if len(b.Columns) != len(w.schema.Fields()) {
		return nil, fmt.Errorf("wrap batch of %s: it has %d columns, its table %d", b.Table.Name, len(b.Columns), len(w.schema.Fields()))
	}
	cols := make([]arrow.Array, 0, len(b.Columns))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for i := range b.Columns {
		f := w.schema.Field(i)
		c := &b.Columns[i]
		if c.Len != b.Rows || c.Valid != nil && !f.Nullable {
			return nil, fmt.Errorf("wrap batch of %s: column %s: it has %d values for %d rows, or nulls where none may be", b.Table.Name, f.Name, c.Len, b.Rows)
		}
		d := w.data(c, f.Type, i)
		cols = append(cols, array.MakeFromData(d))
		d.Release()
	}
	return array.NewRecord(w.schema, cols, int64(b.Rows)), nil
}

func (w *Wrapper) data(c *perfpipe.Column, dt arrow.DataType, column int) *array.Data {
	var valid *memory.Buffer
	nulls := 0
	if c.Valid != nil {
		valid = memory.NewBufferBytes(c.Valid)
		nulls = array.UnknownNullCount
	}
	switch c.Type {
	case perfpipe.TypeString:
		offs := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.Offsets[:c.Len+1]))
		return array.NewData(dt, c.Len, []*memory.Buffer{valid, offs, memory.NewBufferBytes(c.Data)}, nil, nulls, 0)
	case perfpipe.TypeList:
		child := w.data(c.Child, dt.(*arrow.ListType).Elem(), column)
		defer child.Release()
		offs := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.Offsets[:c.Len+1]))
		return array.NewData(dt, c.Len, []*memory.Buffer{valid, offs}, []arrow.ArrayData{child}, nulls, 0)
	case perfpipe.TypeBool:
		bits := w.bits[column][:0]
		for i := 0; i < c.Len; i += 8 {
			var b byte
			for j, v := range c.Data[i:min(i+8, c.Len)] {
				if v != 0 {
					b |= 1 << j
				}
			}
			bits = append(bits, b)
		}
		w.bits[column] = bits
		return array.NewData(dt, c.Len, []*memory.Buffer{valid, memory.NewBufferBytes(bits)}, nil, nulls, 0)
	}
	return array.NewData(dt, c.Len, []*memory.Buffer{valid, memory.NewBufferBytes(c.Data)}, nil, nulls, 0)
}

// Table returns the table that a file's schema describes: the opposite of Schema.
func Table(s *arrow.Schema) (*perfpipe.Table, error) {
	t := &perfpipe.Table{Meta: s.Metadata().ToMap()}
	t.Name = t.Meta["table"]
	for _, f := range s.Fields() {
		d := perfpipe.ColumnDef{Name: f.Name, Nullable: f.Nullable}
		if i := f.Metadata.FindKey(typeKey); i >= 0 {
			d.CType = f.Metadata.Values()[i]
		}
		dt := f.Type
		if l, ok := dt.(*arrow.ListType); ok {
			d.Type = perfpipe.TypeList
			dt = l.Elem()
		}
		var typ perfpipe.Type
		for t := perfpipe.TypeInt8; t < perfpipe.TypeList; t++ {
			if a, err := scalar(t); err == nil && arrow.TypeEqual(a, dt) {
				typ = t
			}
		}
		if typ == perfpipe.TypeInvalid {
			return nil, fmt.Errorf("column %s: Arrow type %v is none that perfpipe writes", f.Name, f.Type)
		}
		if d.Type == perfpipe.TypeList {
			d.Elem = typ
		} else {
			d.Type = typ
		}
		t.Columns = append(t.Columns, d)
	}
	return t, nil
}

// Unwrap appends the rows of rec to b, whose table must be that of the record's
// schema. It copies.
func Unwrap(b *perfpipe.Batch, rec arrow.Record) error {
	for i := range b.Columns {
		if err := unwrap(&b.Columns[i], rec.Column(i), 0, int(rec.NumRows())); err != nil {
			return fmt.Errorf("column %s: %w", b.Table.Columns[i].Name, err)
		}
	}
	b.Rows += int(rec.NumRows())
	return nil
}

func unwrap(c *perfpipe.Column, a arrow.Array, from, to int) error {
	if to > a.Len() {
		return fmt.Errorf("%d values are fewer than the %d that its rows need", a.Len(), to)
	}
	for i := from; i < to; i++ {
		if a.IsNull(i) {
			if c.Valid == nil {
				return fmt.Errorf("row %d is null where the schema allows none", i)
			}
			c.AppendNull()
			continue
		}
		switch a := a.(type) {
		case *array.Int8:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Int16:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Int32:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Int64:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Uint8:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Uint16:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Uint32:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Uint64:
			c.AppendInt(a.Value(i))
		case *array.Timestamp:
			c.AppendInt(uint64(a.Value(i)))
		case *array.Boolean:
			v := uint64(0)
			if a.Value(i) {
				v = 1
			}
			c.AppendInt(v)
		case *array.String:
			c.AppendString(a.Value(i))
		case *array.List:
			start, end := a.ValueOffsets(i)
			if start < 0 || end < start {
				return fmt.Errorf("row %d: its list goes from %d to %d", i, start, end)
			}
			if err := unwrap(c.Child, a.ListValues(), int(start), int(end)); err != nil {
				return err
			}
			c.EndList()
		default:
			return fmt.Errorf("values of type %v are none that perfpipe writes", a.DataType())
		}
	}
	return nil
}
