//go:build readers

package readers

import (
	"math/rand/v2"

	"github.com/perfpipe/perfpipe"
)

// leading are the columns that every event's table begins with.
func leading() []perfpipe.ColumnDef {
	return []perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		{Name: "cpu", Type: perfpipe.TypeUint16, Hint: perfpipe.HintFew},
		{Name: "pid", Type: perfpipe.TypeInt32, Hint: perfpipe.HintFew},
		{Name: "tid", Type: perfpipe.TypeInt32, Hint: perfpipe.HintFew},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
	}
}

// scalars are the types of single values.
var scalars = []perfpipe.Type{
	perfpipe.TypeInt8, perfpipe.TypeInt16, perfpipe.TypeInt32, perfpipe.TypeInt64,
	perfpipe.TypeUint8, perfpipe.TypeUint16, perfpipe.TypeUint32, perfpipe.TypeUint64,
	perfpipe.TypeBool, perfpipe.TypeString, perfpipe.TypeTimestamp,
}

// elems are the types that the elements of lists have.
var elems = []perfpipe.Type{
	perfpipe.TypeInt8, perfpipe.TypeUint16, perfpipe.TypeInt32, perfpipe.TypeUint32, perfpipe.TypeInt64, perfpipe.TypeUint64, perfpipe.TypeString,
}

// requiredTable has a column of every type, none of which may be null. Columns
// called _few are of the hint that asks for a dictionary.
func requiredTable() *perfpipe.Table {
	t := &perfpipe.Table{Name: "demo.required", Meta: map[string]string{"event": "demo:required"}, Columns: leading()}
	for _, k := range scalars {
		t.Columns = append(t.Columns,
			perfpipe.ColumnDef{Name: columnName(k), Type: k},
			perfpipe.ColumnDef{Name: columnName(k) + "_few", Type: k, Hint: perfpipe.HintFew})
	}
	for _, k := range elems {
		t.Columns = append(t.Columns, perfpipe.ColumnDef{Name: "list_" + columnName(k), Type: perfpipe.TypeList, Elem: k})
	}
	return t
}

// nullableTable is the same with nulls everywhere but in the leading columns, and
// with a column of nothing but nulls.
func nullableTable() *perfpipe.Table {
	t := requiredTable()
	t.Name, t.Meta = "demo.nullable", map[string]string{"event": "demo:nullable"}
	for i := len(leading()); i < len(t.Columns); i++ {
		t.Columns[i].Nullable = true
	}
	t.Columns = append(t.Columns,
		perfpipe.ColumnDef{Name: "void_uint64", Type: perfpipe.TypeUint64, Nullable: true},
		perfpipe.ColumnDef{Name: "void_string", Type: perfpipe.TypeString, Nullable: true, Hint: perfpipe.HintFew})
	return t
}

func columnName(t perfpipe.Type) string {
	if t == perfpipe.TypeTimestamp {
		return "when"
	}
	return t.String()
}

// texts are strings as the kernel and its tasks may hand them out, escaped where
// they were not UTF-8.
var texts = []string{
	"", "a", "bash", "swapper/0", "kworker/u8:2-events_unbound", "it's", `say "hi"`, `back\\slash`, `\xff\xfe`,
	"tab\there", "new\nline", "ünïcode", "日本語", "🐧 penguin", "~", "nul\x00inside", "%s%n", "-- drop", "$(x)",
}

// makeBatches returns rows rows of t in batches of uneven sizes, the same ones every time.
func makeBatches(t *perfpipe.Table, rows int) []*perfpipe.Batch {
	g := generator{rng: rand.New(rand.NewPCG(7, uint64(rows))), t: t}
	if rows == 0 {
		return []*perfpipe.Batch{perfpipe.NewBatch(t, 0)}
	}
	var out []*perfpipe.Batch
	for at := 0; at < rows; {
		n := min(rows-at, 1+g.rng.IntN(9000))
		out = append(out, g.batch(at, n))
		at += n
	}
	return out
}

type generator struct {
	rng *rand.Rand
	t   *perfpipe.Table
}

func (g *generator) batch(from, n int) *perfpipe.Batch {
	b := perfpipe.NewBatch(g.t, n)
	for row := from; row < from+n; row++ {
		for i := range g.t.Columns {
			g.append(&b.Columns[i], &g.t.Columns[i], row)
		}
	}
	b.Rows = n
	b.MinTime, b.MaxTime = stamp(from), stamp(from+n-1)
	return b
}

// stamp is ts of a row: ascending, beyond what a float holds exactly, and unique.
func stamp(row int) int64 { return 1<<60 + int64(row)*1001 }

func (g *generator) append(c *perfpipe.Column, d *perfpipe.ColumnDef, row int) {
	switch d.Name {
	case "time":
		c.AppendInt(uint64(1_795_000_000_000_001 + int64(row)))
		return
	case "ts":
		c.AppendInt(uint64(stamp(row)))
		return
	}
	if d.Nullable && g.null(d, row) {
		c.AppendNull()
		return
	}
	if d.Type != perfpipe.TypeList {
		g.value(c, d.Hint == perfpipe.HintFew, row)
		return
	}
	n := g.rng.IntN(4)
	if row%5000 == 77 {
		n = 300
	}
	for range n {
		g.value(c.Child, false, row)
	}
	c.EndList()
}

// null says where nulls are: now and then, in a run longer than a page of
// Parquet's, and everywhere in the columns made for it.
func (g *generator) null(d *perfpipe.ColumnDef, row int) bool {
	if d.Name == "void_uint64" || d.Name == "void_string" {
		return true
	}
	return row >= 15_000 && row < 48_000 && d.Hint == perfpipe.HintNone || g.rng.IntN(4) == 0
}

// value appends one value: often an extreme of the type, otherwise any.
func (g *generator) value(c *perfpipe.Column, few bool, row int) {
	switch c.Type {
	case perfpipe.TypeString:
		s := texts[g.rng.IntN(len(texts))]
		if !few && g.rng.IntN(3) > 0 {
			s += string(rune('a'+g.rng.IntN(26))) + s
		}
		c.AppendString(s)
		return
	case perfpipe.TypeBool:
		c.AppendInt(uint64(g.rng.IntN(2)))
		return
	case perfpipe.TypeTimestamp:
		c.AppendInt(uint64(1_795_000_000_000_000 + int64(g.rng.IntN(1<<40))))
		return
	}
	bits := 8 * c.Type.Width()
	top := ^uint64(0) >> (64 - bits)
	extremes := []uint64{0, 1, top, top - 1, top >> 1, top>>1 + 1}
	switch {
	case few:
		c.AppendInt(extremes[g.rng.IntN(len(extremes))])
	case row%7 == 0:
		c.AppendInt(extremes[g.rng.IntN(len(extremes))])
	default:
		c.AppendInt(g.rng.Uint64() & top >> g.rng.IntN(bits))
	}
}
