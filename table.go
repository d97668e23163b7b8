package perfpipe

import "fmt"

// Type is the type of a column's values.
type Type uint8

// Types. Their memory is Arrow's: fixed-width values are little endian and
// packed, strings are bytes with int32 offsets.
const (
	TypeInvalid Type = iota
	TypeInt8
	TypeInt16
	TypeInt32
	TypeInt64
	TypeUint8
	TypeUint16
	TypeUint32
	TypeUint64
	// TypeBool is one byte a value, 0 or 1 (not Arrow's bitmap).
	TypeBool
	// TypeString is UTF-8.
	TypeString
	// TypeTimestamp is microseconds since the Unix epoch, UTC, in an int64.
	TypeTimestamp
	// TypeList is a list of ColumnDef.Elem.
	TypeList
)

var typeNames = [...]string{"invalid", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "string", "timestamp[us]", "list"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Width returns the bytes of one value, 0 for strings and lists.
func (t Type) Width() int {
	switch t {
	case TypeInt8, TypeUint8, TypeBool:
		return 1
	case TypeInt16, TypeUint16:
		return 2
	case TypeInt32, TypeUint32:
		return 4
	case TypeInt64, TypeUint64, TypeTimestamp:
		return 8
	}
	return 0
}

// Signed reports whether t is a signed integer (timestamps are).
func (t Type) Signed() bool {
	return t >= TypeInt8 && t <= TypeInt64 || t == TypeTimestamp
}

// ColumnDef says what a column is.
type ColumnDef struct {
	// Name is the column's name in every format.
	Name string
	// CType is the field's type in the kernel's words, "" for columns of our own.
	CType string
	// Type is that of the values; Elem that of a list's elements (never itself a list).
	Type, Elem Type
	// Nullable columns carry a validity bitmap; all others have a value in every row.
	Nullable bool
	// Hint tells an encoder how the values behave. It never changes their meaning.
	Hint Hint
}

// Hint is how a column's values behave from row to row.
type Hint uint8

const (
	// HintNone: nothing is known.
	HintNone Hint = iota
	// HintSorted: never smaller than the row before, within a file.
	HintSorted
	// HintFew: few different values, repeated: a dictionary pays.
	HintFew
)

// Table is the shape of the rows of one event, of several merged into one, or of
// one of the tables of perfpipe's own (_lost, _clock, _tasks). It is read-only
// once a batch of it was made.
type Table struct {
	// Name is "sched.sched_switch", or "events" for several in one, or "_lost".
	Name string
	// Meta goes into the file's key-value metadata as it is: event, format_sha256, filter, ...
	Meta map[string]string
	// Columns are in the order of the file.
	Columns []ColumnDef
}

// OwnTable reports whether name is that of a table which perfpipe keeps beside the
// events of a dataset: _lost, _clock, _tasks, _stacks, _frames, _dumps. Tables of events may
// begin with an underscore as well.
func OwnTable(name string) bool {
	switch name {
	case "_lost", "_clock", "_tasks", "_stacks", "_frames", "_dumps":
		return true
	}
	return false
}

// Column holds the values of one column of a batch. Its memory belongs to the
// batch and is used again after the batch was written.
type Column struct {
	// Data holds fixed-width values, Width bytes each, little endian; for
	// strings the bytes of all of them.
	Data []byte
	// Offsets of strings and lists: Rows+1 of them, the first is 0. Value i is
	// Data[Offsets[i]:Offsets[i+1]], or those elements of Child.
	Offsets []int32
	// Valid has a bit a row, least significant first, set where the row has a
	// value. It is nil where the column is not Nullable. A null row holds zeroes.
	Valid []byte
	// Child holds the elements of a list, nil otherwise. Its own Child is nil and
	// it is never null.
	Child *Column
	// Type is the column's, for Child that of the elements.
	Type Type
	// Len is the number of values.
	Len int
}

// Batch is some rows of one table, in the order of time. One goroutine owns it at a time.
type Batch struct {
	// Table says what the columns are. It is never nil.
	Table *Table
	// Columns are as many as Table.Columns, each of Rows values.
	Columns []Column
	// Rows is the number of rows.
	Rows int
	// MinTime and MaxTime are the first and last ts (nanoseconds on
	// CLOCK_MONOTONIC); both 0 without rows and in tables that have no ts.
	MinTime, MaxTime int64
}

// NewBatch returns an empty batch of t with room for rows rows.
func NewBatch(t *Table, rows int) *Batch {
	b := &Batch{Table: t, Columns: make([]Column, len(t.Columns))}
	for i := range t.Columns {
		d := &t.Columns[i]
		c := &b.Columns[i]
		c.init(d.Type, rows)
		if d.Type == TypeList {
			c.Child = &Column{}
			c.Child.init(d.Elem, rows)
		}
		if d.Nullable {
			c.Valid = make([]byte, 0, (rows+7)/8)
		}
	}
	return b
}

func (c *Column) init(t Type, rows int) {
	c.Type = t
	switch t {
	case TypeString:
		c.Data = make([]byte, 0, rows*8)
		c.Offsets = append(make([]int32, 0, rows+1), 0)
	case TypeList:
		c.Offsets = append(make([]int32, 0, rows+1), 0)
	default:
		c.Data = make([]byte, 0, rows*t.Width())
	}
}

// Reset empties b and keeps its memory.
func (b *Batch) Reset() {
	for i := range b.Columns {
		b.Columns[i].reset()
	}
	b.Rows, b.MinTime, b.MaxTime = 0, 0, 0
}

func (c *Column) reset() {
	c.Data = c.Data[:0]
	if c.Offsets != nil {
		c.Offsets = c.Offsets[:1]
	}
	if c.Valid != nil {
		c.Valid = c.Valid[:0]
	}
	if c.Child != nil {
		c.Child.reset()
	}
	c.Len = 0
}

// Size returns the bytes that b's values take, not counting room kept for more.
func (b *Batch) Size() int {
	n := 0
	for i := range b.Columns {
		n += b.Columns[i].size()
	}
	return n
}

func (c *Column) size() int {
	n := len(c.Data) + 4*len(c.Offsets) + len(c.Valid)
	if c.Child != nil {
		n += c.Child.size()
	}
	return n
}

// AppendInt appends an integer (bool, timestamp) of the column's type; v's low
// bytes are taken.
func (c *Column) AppendInt(v uint64) {
	switch c.Type.Width() {
	case 1:
		c.Data = append(c.Data, byte(v))
	case 2:
		c.Data = append(c.Data, byte(v), byte(v>>8))
	case 4:
		c.Data = append(c.Data, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
	default:
		c.Data = append(c.Data, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
	}
	c.grow(true)
}

// AppendString appends s, which must be UTF-8 (see [AppendText]).
func (c *Column) AppendString(s string) {
	c.Data = append(c.Data, s...)
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	c.grow(true)
}

// EndString ends a string whose bytes the caller appended to Data.
func (c *Column) EndString() {
	c.Offsets = append(c.Offsets, int32(len(c.Data)))
	c.grow(true)
}

// EndList ends a list whose elements the caller appended to Child.
func (c *Column) EndList() {
	c.Offsets = append(c.Offsets, int32(c.Child.Len))
	c.grow(true)
}

// AppendNull appends a null; the column must be Nullable.
func (c *Column) AppendNull() {
	switch {
	case c.Offsets != nil:
		c.Offsets = append(c.Offsets, c.Offsets[len(c.Offsets)-1])
	default:
		c.Data = append(c.Data, make([]byte, c.Type.Width())...)
	}
	c.grow(false)
}

// grow counts a value whose bytes stand in place, and its validity.
func (c *Column) grow(valid bool) {
	if c.Valid != nil {
		if c.Len%8 == 0 {
			c.Valid = append(c.Valid, 0)
		}
		if valid {
			c.Valid[c.Len/8] |= 1 << (c.Len % 8)
		}
	}
	c.Len++
}

// IsNull reports whether row i holds no value.
func (c *Column) IsNull(i int) bool {
	return c.Valid != nil && c.Valid[i/8]>>(i%8)&1 == 0
}

// Int returns the integer in row i, widened to 64 bits by its type's sign.
func (c *Column) Int(i int) uint64 {
	w := c.Type.Width()
	v, _ := LoadInt(c.Data[i*w:i*w+w], c.Type.Signed())
	return v
}

// Text returns the bytes of the string in row i. They belong to the batch.
func (c *Column) Text(i int) []byte {
	return c.Data[c.Offsets[i]:c.Offsets[i+1]]
}
