package filters

import (
	"bytes"
	"strings"
)

// globKind is the cheapest way to match a pattern.
type globKind uint8

const (
	globAny globKind = iota // *
	globExact
	globPrefix
	globSuffix
	globContains
	globGeneral
)

// glob is a pattern. lit is the text of all kinds but globGeneral, whose pattern is pat.
type glob struct {
	kind globKind
	lit  []byte
	pat  string
}

// newGlob makes the glob that looks for lit itself. "" is in, before and behind
// every string.
func newGlob(kind globKind, lit string) *glob {
	if lit == "" && kind != globExact {
		kind = globAny
	}
	return &glob{kind: kind, lit: []byte(lit)}
}

// parseGlob reads a pattern of * ? [..] [!..] \. A leading ! inverts it, as in the
// kernel (filter_parse_regex in kernel/trace/trace_events_filter.c).
func parseGlob(s string) (g *glob, inverted bool) {
	if strings.HasPrefix(s, "!") {
		inverted, s = true, s[1:]
	}
	if strings.Trim(s, "*") == "" {
		if s == "" {
			return newGlob(globExact, ""), inverted
		}
		return newGlob(globAny, ""), inverted
	}
	if strings.ContainsAny(s, `?[\`) || strings.Contains(strings.Trim(s, "*"), "*") {
		return &glob{kind: globGeneral, pat: s}, inverted
	}
	lit := strings.Trim(s, "*")
	kind := globExact
	switch head, tail := s[0] == '*', s[len(s)-1] == '*'; {
	case head && tail:
		kind = globContains
	case head:
		kind = globSuffix
	case tail:
		kind = globPrefix
	}
	return newGlob(kind, lit), inverted
}

// match decides for s, which ends before its NUL.
func (g *glob) match(s []byte) bool {
	switch g.kind {
	case globAny:
		return true
	case globExact:
		return string(s) == string(g.lit)
	case globPrefix:
		return len(s) >= len(g.lit) && string(s[:len(g.lit)]) == string(g.lit)
	case globSuffix:
		return len(s) >= len(g.lit) && string(s[len(s)-len(g.lit):]) == string(g.lit)
	case globContains:
		return bytes.Contains(s, g.lit)
	}
	return globMatch(g.pat, s)
}

// pattern writes g so that the kernel matches the same strings, whatever their
// first character and their length.
func (g *glob) pattern() string {
	switch g.kind {
	case globAny:
		return "*"
	case globGeneral:
		return g.pat
	}
	lit := escapeGlob(string(g.lit))
	switch g.kind {
	case globPrefix:
		return lit + "*"
	case globSuffix:
		return "*" + lit
	case globContains:
		return "*" + lit + "*"
	}
	return lit
}

// escapeGlob protects the characters that globs give a meaning.
func escapeGlob(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '*', '?', '[', '\\', '!':
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// globMatch matches pat, which may hold everything, against all of s. It decides
// what glob_match of the kernel's lib/glob.c decides: "?" is one byte, "*" any
// number, "[a-c]" one of a class and "[!a-c]" one that is not in it, "\" takes the
// next byte as it is; a class that does not end is a plain "[". Classes need a
// byte to match, as in kernels from 6.18 on ("[!a]*" does not match "").
func globMatch(pat string, s []byte) bool {
	back, from := -1, 0
	p, i := 0, 0
	for {
		if p < len(pat) && pat[p] == '*' {
			p++
			if p == len(pat) {
				return true
			}
			back, from = p, i
			continue
		}
		if p == len(pat) && i == len(s) {
			return true
		}
		next, ok := 0, false
		if p < len(pat) && i < len(s) {
			next, ok = globByte(pat, p, s[i])
		} else if i == len(s) && p == len(pat)-1 && pat[p] == '\\' {
			return true // a backslash before the end stands for the end
		}
		if ok {
			p = next
			i++
			continue
		}
		if i >= len(s) || back < 0 {
			return false
		}
		from++
		p, i = back, from
	}
}

// globByte matches what stands at pat[p], which is no "*", with one byte.
func globByte(pat string, p int, c byte) (next int, ok bool) {
	switch pat[p] {
	case '?':
		return p + 1, true
	case '[':
		if next, in, whole := globClass(pat, p, c); whole {
			return next, in
		}
	case '\\':
		if p+1 == len(pat) {
			return p, false
		}
		return p + 2, pat[p+1] == c
	}
	return p + 1, pat[p] == c
}

// globClass matches the class that begins at pat[p] with c; whole is false where
// it does not end.
func globClass(pat string, p int, c byte) (next int, in, whole bool) {
	at := func(i int) byte {
		if i < len(pat) {
			return pat[i]
		}
		return 0
	}
	q := p + 1
	inverted := at(q) == '!'
	if inverted {
		q++
	}
	match := false
	a := at(q)
	q++
	for {
		b := a
		if a == 0 {
			return 0, false, false
		}
		if at(q) == '-' && at(q+1) != ']' {
			b = at(q + 1)
			if b == 0 {
				return 0, false, false
			}
			q += 2
		}
		match = match || a <= c && c <= b
		a = at(q)
		q++
		if a == ']' {
			return q, match != inverted, true
		}
	}
}
