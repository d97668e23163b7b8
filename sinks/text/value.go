package text

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/perfpipe/perfpipe"
)

// layout is RFC 3339 in microseconds.
const layout = "2006-01-02T15:04:05.000000Z"

// appendScalar appends value i of c as csv and txt have it: bare.
func appendScalar(dst []byte, c *perfpipe.Column, i int) []byte {
	switch {
	case c.Type == perfpipe.TypeString:
		return append(dst, c.Text(i)...)
	case c.Type == perfpipe.TypeTimestamp:
		return time.UnixMicro(int64(c.Int(i))).UTC().AppendFormat(dst, layout)
	case c.Type == perfpipe.TypeBool:
		return strconv.AppendBool(dst, c.Int(i) != 0)
	case c.Type.Signed():
		return strconv.AppendInt(dst, int64(c.Int(i)), 10)
	}
	return strconv.AppendUint(dst, c.Int(i), 10)
}

// appendJSON appends value i of c, which is not null, as JSON.
func appendJSON(dst []byte, c *perfpipe.Column, i int) []byte {
	switch c.Type {
	case perfpipe.TypeString:
		return appendQuoted(dst, c.Text(i))
	case perfpipe.TypeTimestamp:
		dst = append(dst, '"')
		return append(appendScalar(dst, c, i), '"')
	case perfpipe.TypeList:
		dst = append(dst, '[')
		for j := int(c.Offsets[i]); j < int(c.Offsets[i+1]); j++ {
			if j > int(c.Offsets[i]) {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, c.Child, j)
		}
		return append(dst, ']')
	}
	return appendScalar(dst, c, i)
}

const hex = "0123456789abcdef"

// appendQuoted appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendQuoted[T []byte | string](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c == '\n':
			dst = append(dst, '\\', 'n')
			i++
		case c == '\t':
			dst = append(dst, '\\', 't')
			i++
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
