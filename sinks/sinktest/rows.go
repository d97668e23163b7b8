// Package sinktest is the suite that every sink passes: values at their extremes,
// empty and large tables, memory that is used again after a write, writers that
// fail at any byte, and nothing left behind.
package sinktest

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// Row is one row as the suite compares it: a cell a column, in the words of [Canon].
type Row []string

// Null is the cell of a null.
const Null = "null"

// Extremes returns a table with every type there is, nullable and not, and rows at
// the ends of what they can hold.
func Extremes(name string) (*perfpipe.Table, [][]any) {
	t := &perfpipe.Table{Name: name, Meta: map[string]string{"event": "test:" + name}}
	add := func(name string, typ, elem perfpipe.Type) {
		for _, nullable := range []bool{false, true} {
			d := perfpipe.ColumnDef{Name: name, Type: typ, Elem: elem, Nullable: nullable}
			if nullable {
				d.Name += "_null"
			}
			t.Columns = append(t.Columns, d)
		}
	}
	t.Columns = append(t.Columns,
		perfpipe.ColumnDef{Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		perfpipe.ColumnDef{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted})
	for typ := perfpipe.TypeInt8; typ < perfpipe.TypeList; typ++ {
		add(strings.NewReplacer("[", "_", "]", "").Replace(typ.String()), typ, perfpipe.TypeInvalid)
	}
	for typ := perfpipe.TypeInt8; typ < perfpipe.TypeList; typ++ {
		add("list_"+strings.NewReplacer("[", "_", "]", "").Replace(typ.String()), perfpipe.TypeList, typ)
	}
	var rows [][]any
	for i := range 12 {
		row := []any{int64(1764000000000000 + i), int64(1000 * i)}
		for _, d := range t.Columns[2:] {
			row = append(row, extreme(d, i))
		}
		rows = append(rows, row)
	}
	return t, rows
}

// extreme is the i-th test value of a column.
func extreme(d perfpipe.ColumnDef, i int) any {
	if d.Nullable && i%3 == 1 {
		return nil
	}
	if d.Type == perfpipe.TypeList {
		list := []any{}
		for j := range []int{0, 1, 6, 0, 300}[i%5] {
			list = append(list, extreme(perfpipe.ColumnDef{Type: d.Elem}, i+j))
		}
		return list
	}
	switch d.Type {
	case perfpipe.TypeBool:
		return i%2 == 0
	case perfpipe.TypeString:
		return []string{"", "bash", "a,b\"c\r\nd", `\xff\\n`, "ünïcode 漢字 🙂", "\x00\x01\x1b[2J", strings.Repeat("long ", 200), " ", "null", "'", "\t", "="}[i%12]
	case perfpipe.TypeTimestamp:
		return []int64{0, -1, 1764000000123456, math.MaxInt32, -62135596800000000, 253402300799999999}[i%6]
	}
	bits := 8 * d.Type.Width()
	if d.Type.Signed() {
		lo := int64(-1) << (bits - 1)
		return []int64{0, lo, ^lo, -1, 1, lo + 1}[i%6]
	}
	top := ^uint64(0) >> (64 - bits)
	return []uint64{0, top, top - 1, top/2 + 1, top / 2, 1}[i%6]
}

// Append appends a row to b.
func Append(b *perfpipe.Batch, row []any) {
	for i, v := range row {
		c := &b.Columns[i]
		if v == nil {
			c.AppendNull()
		} else if list, ok := v.([]any); ok {
			for _, e := range list {
				put(c.Child, e)
			}
			c.EndList()
		} else {
			put(c, v)
		}
	}
	b.Rows++
}

func put(c *perfpipe.Column, v any) {
	switch v := v.(type) {
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		c.AppendInt(n)
	case int64:
		c.AppendInt(uint64(v))
	case uint64:
		c.AppendInt(v)
	case string:
		c.AppendString(v)
	}
}

// Want returns a row in the words of Canon.
func Want(row []any) Row {
	out := make(Row, len(row))
	for i, v := range row {
		out[i] = word(v)
	}
	return out
}

func word(v any) string {
	switch v := v.(type) {
	case nil:
		return Null
	case string:
		return strconv.Quote(v)
	case []any:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = word(e)
		}
		return "[" + strings.Join(words, " ") + "]"
	}
	return fmt.Sprint(v)
}

// Canon returns the rows of b: integers in decimal (times as microseconds), true and
// false, strings in Go's quotes, lists in brackets, [Null].
func Canon(b *perfpipe.Batch) []Row {
	rows := make([]Row, b.Rows)
	for i := range rows {
		rows[i] = make(Row, len(b.Columns))
		for k := range b.Columns {
			rows[i][k] = cell(&b.Columns[k], i)
		}
	}
	return rows
}

func cell(c *perfpipe.Column, i int) string {
	switch {
	case c.IsNull(i):
		return Null
	case c.Type == perfpipe.TypeString:
		return strconv.Quote(string(c.Text(i)))
	case c.Type == perfpipe.TypeBool:
		return strconv.FormatBool(c.Int(i) != 0)
	case c.Type == perfpipe.TypeList:
		var words []string
		for j := int(c.Offsets[i]); j < int(c.Offsets[i+1]); j++ {
			words = append(words, cell(c.Child, j))
		}
		return "[" + strings.Join(words, " ") + "]"
	case c.Type.Signed():
		return strconv.FormatInt(int64(c.Int(i)), 10)
	}
	return strconv.FormatUint(c.Int(i), 10)
}
