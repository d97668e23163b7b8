package perfpipe

import (
	"bytes"
	"unicode/utf8"
)

// AppendText appends b to dst as UTF-8: a byte that is no part of valid UTF-8
// becomes \xNN and a backslash becomes \\, so that [UnescapeText] gives back the
// very bytes. escaped is true where anything but a copy was needed.
func AppendText(dst, b []byte) (out []byte, escaped bool) {
	plain := true
	for _, c := range b {
		if c >= utf8.RuneSelf || c == '\\' {
			plain = false
			break
		}
	}
	if plain || bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		return append(dst, b...), false
	}
	const hex = "0123456789abcdef"
	for len(b) > 0 {
		switch c := b[0]; {
		case c == '\\':
			dst = append(dst, '\\', '\\')
			b = b[1:]
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			b = b[1:]
		default:
			r, n := utf8.DecodeRune(b)
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			} else {
				dst = append(dst, b[:n]...)
			}
			b = b[n:]
		}
	}
	return dst, true
}

// UnescapeText undoes AppendText. A backslash that AppendText could not have
// written is kept as it is.
func UnescapeText(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		switch {
		case s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case s[i+1] == 'x' && i+3 < len(s) && unhex(s[i+2]) >= 0 && unhex(s[i+3]) >= 0:
			out = append(out, byte(unhex(s[i+2])<<4|unhex(s[i+3])))
			i += 3
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
