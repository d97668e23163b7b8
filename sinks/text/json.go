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

func jsonRow(dst []byte, keys [][]byte, b *perfpipe.Batch, i int) []byte {
	dst = append(dst, '{')
	for k := range b.Columns {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, keys[k]...)
		if c := &b.Columns[k]; c.IsNull(i) {
			dst = append(dst, "null"...)
		} else {
			dst = appendJSON(dst, c, i)
		}
	}
	return append(dst, '}', '\n')
}
