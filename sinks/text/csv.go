package text

import (
	"bytes"

	"github.com/perfpipe/perfpipe"
)

func csvHeader(dst []byte, t *perfpipe.Table) []byte {
	for i := range t.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, t.Columns[i].Name...)
		dst = quoteCSV(dst, len(dst)-len(t.Columns[i].Name))
	}
	return append(dst, '\r', '\n')
}

func csvRow(dst []byte, b *perfpipe.Batch, i int) []byte {
	for k := range b.Columns {
		if k > 0 {
			dst = append(dst, ',')
		}
		c := &b.Columns[k]
		if c.IsNull(i) {
			continue
		}
		at := len(dst)
		switch c.Type {
		case perfpipe.TypeList:
			dst = quoteCSV(appendJSON(dst, c, i), at)
		case perfpipe.TypeString:
			dst = quoteCSV(appendScalar(dst, c, i), at)
		default:
			dst = appendScalar(dst, c, i)
		}
	}
	return append(dst, '\r', '\n')
}

// quoteCSV puts quotes around the field that begins at dst[at] where RFC 4180 wants
// them, and around an empty string, which would be a null otherwise.
func quoteCSV(dst []byte, at int) []byte {
	f := dst[at:]
	if len(f) > 0 && !bytes.ContainsAny(f, ",\"\r\n") {
		return dst
	}
	n := bytes.Count(f, []byte{'"'})
	end := len(dst)
	dst = append(dst, make([]byte, n+2)...)
	// From the back, so that no byte is overwritten before it was moved.
	to := len(dst) - 1
	dst[to] = '"'
	for from := end - 1; from >= at; from-- {
		to--
		dst[to] = dst[from]
		if dst[from] == '"' {
			to--
			dst[to] = '"'
		}
	}
	dst[at] = '"'
	return dst
}
