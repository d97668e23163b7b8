package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// logical is how a type of ours is said in Parquet: the physical type, and what
// it stands for in both of the format's notations (old readers know only ConvertedType).
type logical struct {
	phys      format.Type
	logical   format.LogicalTypeValue
	converted deprecated.ConvertedType
	bare      bool // no logical type at all
}

func logicalOf(t perfpipe.Type) (logical, error) {
	integer := func(bits int8, signed bool, c deprecated.ConvertedType) logical {
		phys := format.Int32
		if bits == 64 {
			phys = format.Int64
		}
		return logical{phys: phys, logical: &format.IntType{BitWidth: bits, IsSigned: signed}, converted: c}
	}
	switch t {
	case perfpipe.TypeInt8:
		return integer(8, true, deprecated.Int8), nil
	case perfpipe.TypeInt16:
		return integer(16, true, deprecated.Int16), nil
	case perfpipe.TypeInt32:
		return integer(32, true, deprecated.Int32), nil
	case perfpipe.TypeInt64:
		return integer(64, true, deprecated.Int64), nil
	case perfpipe.TypeUint8:
		return integer(8, false, deprecated.Uint8), nil
	case perfpipe.TypeUint16:
		return integer(16, false, deprecated.Uint16), nil
	case perfpipe.TypeUint32:
		return integer(32, false, deprecated.Uint32), nil
	case perfpipe.TypeUint64:
		return integer(64, false, deprecated.Uint64), nil
	case perfpipe.TypeBool:
		return logical{phys: format.Boolean, bare: true}, nil
	case perfpipe.TypeString:
		return logical{phys: format.ByteArray, logical: &format.StringType{}, converted: deprecated.UTF8}, nil
	case perfpipe.TypeTimestamp:
		return logical{
			phys:      format.Int64,
			logical:   &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.MicroSeconds{}}},
			converted: deprecated.TimestampMicros,
		}, nil
	}
	return logical{}, fmt.Errorf("no Parquet type for %v", t)
}

// schemaOf returns the elements of the footer's schema, depth first, root first.
// The root has no repetition of its own: readers refuse a REPEATED one.
// A list has the three levels of the format's LogicalTypes.md:
//
//	required group NAME (LIST) { repeated group list { required T element; } }
func schemaOf(t *perfpipe.Table) ([]format.SchemaElement, error) {
	els := []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(len(t.Columns)))}}
	seen := make(map[string]bool, len(t.Columns))
	for i := range t.Columns {
		d := &t.Columns[i]
		if d.Name == "" || seen[d.Name] {
			return nil, fmt.Errorf("lay out table %s: column %d: name %q is empty or taken", t.Name, i, d.Name)
		}
		seen[d.Name] = true
		rep := format.Required
		if d.Nullable {
			rep = format.Optional
		}
		name, typ := d.Name, d.Type
		if typ == perfpipe.TypeList {
			els = append(els,
				format.SchemaElement{
					Name: d.Name, RepetitionType: thrift.New(rep), NumChildren: thrift.New(int32(1)),
					ConvertedType: thrift.New(deprecated.List), LogicalType: format.LogicalType{Value: &format.ListType{}},
				},
				format.SchemaElement{Name: "list", RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(int32(1))})
			name, typ, rep = "element", d.Elem, format.Required
		}
		l, err := logicalOf(typ)
		if err != nil {
			return nil, fmt.Errorf("lay out table %s: column %s: %w", t.Name, d.Name, err)
		}
		el := format.SchemaElement{Name: name, Type: thrift.New(l.phys), RepetitionType: thrift.New(rep)}
		if !l.bare {
			el.LogicalType = format.LogicalType{Value: l.logical}
			el.ConvertedType = thrift.New(l.converted)
		}
		els = append(els, el)
	}
	return els, nil
}
