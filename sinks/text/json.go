package text

import "github.com/perfpipe/perfpipe"

// jsonKeys returns the columns' names as they stand in each row: quoted, with the colon.
func jsonKeys(t *perfpipe.Table) [][]byte {
	keys := make([][]byte, len(t.Columns))
	for i := range t.Columns {
		keys[i] = append(appendQuoted(nil, t.Columns[i].Name), ':')
	}
	return keys
}

// jsonRow leaves out what is null: in a table of many events most columns are, in
// every row, and naming them all made a row of kilobytes.
func jsonRow(dst []byte, keys [][]byte, b *perfpipe.Batch, i int) []byte {
	dst = append(dst, '{')
	first := true
	for k := range b.Columns {
		c := &b.Columns[k]
		if c.IsNull(i) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, keys[k]...)
		dst = appendJSON(dst, c, i)
	}
	return append(dst, '}', '\n')
}
