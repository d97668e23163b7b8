package symbolize

import (
	"cmp"
	"debug/dwarf"
	"slices"
	"sort"
)

// maxRows bounds the decoded line tables that are kept: 64 MB of rows.
const maxRows = 4 << 20

// lineTable finds source lines by DWARF. The units' ranges are read once; a unit's
// lines are decoded when one of its addresses is asked for.
type lineTable struct {
	d      *dwarf.Data
	units  []*dwarf.Entry
	ranges []unitRange
	rows   map[int]*unitLines
	count  int
}

type unitRange struct {
	lo, hi uint64
	unit   int
}

// unitLines are the lines of one unit, by address.
type unitLines struct {
	files []string
	rows  []lineRow
}

type lineRow struct {
	addr uint64
	file uint32
	// line is 0 where a sequence ends: nothing is known up to the next row.
	line uint32
}

func newLineTable(d *dwarf.Data) *lineTable {
	t := &lineTable{d: d, rows: make(map[int]*unitLines)}
	r := d.Reader()
	for {
		e, err := r.Next()
		// Damage leaves the units before it.
		if err != nil || e == nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit || e.Tag == dwarf.TagPartialUnit {
			t.addUnit(e)
		}
		r.SkipChildren()
	}
	slices.SortFunc(t.ranges, func(a, b unitRange) int { return cmp.Compare(a.lo, b.lo) })
	return t
}

func (t *lineTable) addUnit(e *dwarf.Entry) {
	rs, err := t.d.Ranges(e)
	if err != nil || len(rs) == 0 {
		return
	}
	for _, r := range rs {
		// Functions that the linker dropped are at 0.
		if r[0] != 0 && r[0] < r[1] {
			t.ranges = append(t.ranges, unitRange{r[0], r[1], len(t.units)})
		}
	}
	t.units = append(t.units, e)
}

// find returns the file and the line of an address, "" and 0 where they are not known.
func (t *lineTable) find(addr uint64) (string, int) {
	i := sort.Search(len(t.ranges), func(i int) bool { return t.ranges[i].lo > addr }) - 1
	if i < 0 || addr >= t.ranges[i].hi {
		return "", 0
	}
	u := t.unit(t.ranges[i].unit)
	j := sort.Search(len(u.rows), func(j int) bool { return u.rows[j].addr > addr }) - 1
	if j < 0 || u.rows[j].line == 0 {
		return "", 0
	}
	return u.files[u.rows[j].file], int(u.rows[j].line)
}

// unit decodes a unit's lines.
func (t *lineTable) unit(n int) *unitLines {
	if u, ok := t.rows[n]; ok {
		return u
	}
	u := t.decode(n)
	if t.count += len(u.rows); t.count > maxRows {
		clear(t.rows)
		t.count = len(u.rows)
	}
	t.rows[n] = u
	return u
}

func (t *lineTable) decode(n int) *unitLines {
	u := &unitLines{}
	r, err := t.d.LineReader(t.units[n])
	if err != nil || r == nil {
		return u
	}
	numbers := make(map[*dwarf.LineFile]uint32)
	var e dwarf.LineEntry
	for r.Next(&e) == nil {
		row := lineRow{addr: e.Address}
		if !e.EndSequence && e.File != nil && e.Line > 0 {
			k, ok := numbers[e.File]
			if !ok {
				k = uint32(len(u.files))
				numbers[e.File] = k
				u.files = append(u.files, e.File.Name)
			}
			row.file, row.line = k, uint32(e.Line)
		}
		u.rows = append(u.rows, row)
	}
	u.sort()
	return u
}

// sort orders rows by address, stable: of several rows for an address the last one
// counts, and one sequence may begin where another ends, whose end must then come first.
func (u *unitLines) sort() {
	slices.SortStableFunc(u.rows, func(a, b lineRow) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(min(a.line, 1), min(b.line, 1)))
	})
}
