package filters

import (
	"bytes"
	"strings"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// kernelString is a string test with the kernel's own rules, regex_match_* of
// kernel/trace/trace_events_filter.c.
type kernelString struct {
	field kernelField
	match kernelMatch
	pat   []byte
	glob  string // pat, for matchGlob
	user  bool   // the text is behind a pointer
	text  string // the test in the kernel's words, what it tests not inverted
}

type kernelMatch uint8

const (
	matchFull kernelMatch = iota
	matchFront
	matchMiddle
	matchEnd
	matchGlob
)

// maxKernelString is the longest operand between quotes.
const maxKernelString = 255

func (k *kernelParser) stringPred(f *kernelField, op syntax.Kind, i int, ustring bool) (*node, int, *Error) {
	s := i
	n := strings.IndexByte(k.src[i+1:], k.src[i])
	if n < 0 {
		return nil, 0, k.fail(s, s+1, "Missing matching quote", "")
	}
	i += n + 2
	switch {
	case op != syntax.Eq && op != syntax.Ne && op != syntax.Tilde:
		return nil, 0, k.fail(s, i, "Illegal operation for field type", "strings know ==, != and ~")
	case !f.isString():
		return nil, 0, k.fail(s, i, "Expecting numeric field", f.name+" is no string")
	case n > maxKernelString:
		return nil, 0, k.fail(s, i, "Operand too long", "")
	}
	ks := &kernelString{field: *f, pat: []byte(k.src[s+1 : s+1+n])}
	ks.user = f.kind == kernelPtr
	name, quoted, invert := f.name, k.src[s:i], op == syntax.Ne
	if ustring {
		name += ".ustring"
	}
	ks.text = name + " == " + quoted
	if op == syntax.Tilde {
		ks.match, ks.pat, invert = parseKernelGlob(string(ks.pat))
		if ks.text = name + " ~ " + quoted; invert {
			ks.text = "!" + ks.text
		}
	}
	ks.glob = string(ks.pat)
	m := &node{op: opKernel, typ: tBool, kstr: ks, fld: f.fld, faults: ks.user}
	if invert {
		return mkNot(m), i, nil
	}
	return m, i, nil
}

// parseKernelGlob is filter_parse_regex: what a pattern is, by its first and last
// characters; one that begins with a digit is no pattern.
func parseKernelGlob(s string) (m kernelMatch, pat []byte, invert bool) {
	if strings.HasPrefix(s, "!") {
		invert, s = true, s[1:]
	}
	if s != "" && isDigit(s[0]) {
		return matchFull, []byte(s), invert
	}
	m = matchFull
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '*' && i == 0:
			m = matchEnd
		case s[i] == '*' && i == len(s)-1:
			if m == matchEnd {
				m = matchMiddle
			} else {
				m = matchFront
			}
			return m, bytes.TrimPrefix([]byte(s[:i]), []byte("*")), invert
		case s[i] == '*' || s[i] == '[' || s[i] == '?' || s[i] == '\\':
			return matchGlob, []byte(s), invert
		}
	}
	return m, bytes.TrimPrefix([]byte(s), []byte("*")), invert
}

// test decides for the string at the start of mem, whose room (the array, or the
// length of a __data_loc, NUL included) is size; 0 is "not known". mem is what
// lies in memory from there on, and stands for zeroes behind its end.
func (ks *kernelString) test(mem []byte, size int) bool {
	switch ks.match {
	case matchFull:
		if size == 0 {
			return bytes.Equal(cString(mem), ks.pat)
		}
		return sameUpTo(mem, ks.pat, size)
	case matchFront:
		if size != 0 && size < len(ks.pat) {
			return false
		}
		return sameUpTo(mem, ks.pat, len(ks.pat))
	case matchMiddle:
		if size == 0 {
			return bytes.Contains(cString(mem), ks.pat)
		}
		return bytes.Contains(mem[:min(size, len(mem))], ks.pat)
	case matchEnd:
		end := size - 1
		return end >= len(ks.pat) && end <= len(mem) && bytes.Equal(mem[end-len(ks.pat):end], ks.pat)
	}
	return globMatch(ks.glob, cString(mem))
}

// cString is b up to its first NUL.
func cString(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// sameUpTo is strncmp(a, b, n) == 0.
func sameUpTo(a, b []byte, n int) bool {
	for i := 0; i < n; i++ {
		var x, y byte
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return false
		}
		if x == 0 {
			return true
		}
	}
	return true
}
