package symbols

import (
	"strings"
)

// Matches is what a glob matched.
type Matches struct {
	// Funcs are the functions, by address, aliases at one address being one.
	Funcs []Func
	// Skipped is the number of symbols that matched and were left out, as they are
	// parts or copies of functions (.cold, .part.0).
	Skipped int
}

// Glob returns the functions whose symbol or demangled name matches pattern: * any
// text, ? one character, [a-z] [!a-z] one of a set; \ before one of these takes it as
// it is. A demangled name matches with its parameters, without them, or without
// template arguments too. Clones are skipped unless the pattern names their suffix; see
// [File.Match] for how many. The error is an [*UnknownFunctionError].
func (f *File) Glob(pattern string) ([]Func, error) {
	m, err := f.Match(pattern)
	return m.Funcs, err
}

// Match is [File.Glob], and says how many clones it left out.
func (f *File) Match(pattern string) (Matches, error) {
	plain, version, at := splitVersion(pattern)
	g := globber{raw: plain, squeezed: squeeze(pattern), needle: needle(pattern), clones: namesClone(plain)}
	var hits []hit
	skipped := 0
	f.each(func(t *table, i int, s sym) bool {
		switch g.match(t.str(s.name)) {
		case globTake:
			hits = append(hits, hit{t, s, i})
		case globClone:
			skipped++
		}
		return true
	})
	if version != "" {
		hits = f.ofVersion(hits, version, at == "@@")
	}
	m := Matches{Funcs: f.group(hits), Skipped: skipped}
	if len(m.Funcs) > 0 {
		return m, nil
	}
	err := f.unknown(strings.Trim(pattern, "*?"))
	err.Name, err.Skipped = pattern, skipped
	return m, err
}

// namesClone reports whether a pattern asks for clones by their suffix.
func namesClone(pattern string) bool {
	for _, c := range clones {
		if strings.Contains(pattern, strings.TrimSuffix(c, ".")) {
			return true
		}
	}
	return false
}

type globVerdict uint8

const (
	globLeave globVerdict = iota
	globTake
	globClone
)

// globber matches symbols.
type globber struct {
	raw      string // the pattern without version
	squeezed string
	needle   string
	clones   bool
}

func (g *globber) match(raw []byte) globVerdict {
	name := string(raw)
	if i := strings.IndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	if name == "" || !g.matchName(name) {
		return globLeave
	}
	if _, clone := splitClone(name); clone != "" && !g.clones {
		return globClone
	}
	return globTake
}

func (g *globber) matchName(name string) bool {
	if globMatch(g.raw, name) {
		return true
	}
	if !mayMatch([]byte(name), g.needle) {
		return false
	}
	base, clone := splitClone(name)
	for _, d := range []detail{baseName, bareName, fullName, bareFull} {
		s, ok := demangled(base, d)
		if !ok {
			return false
		}
		if globMatch(g.squeezed, squeeze(s)) || clone != "" && globMatch(g.squeezed, squeeze(s)+clone) {
			return true
		}
	}
	return false
}

// globMatch matches the whole of s. A set without end is taken as it is. It needs no
// more than len(pattern) times len(s) steps.
func globMatch(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if p < len(pattern) {
			if n, ok := matchOne(pattern[p:], s[i]); ok {
				p += n
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one byte, and returns the length of the pattern's element.
func matchOne(p string, c byte) (int, bool) {
	switch p[0] {
	case '?':
		return 1, true
	case '\\':
		if len(p) > 1 {
			return 2, p[1] == c
		}
	case '[':
		if n, ok, whole := matchSet(p, c); whole {
			return n, ok
		}
	}
	return 1, p[0] == c
}

// matchSet matches [abc], [a-c], [!a-c] and [^a-c]; whole is false where the set has
// no end.
func matchSet(p string, c byte) (n int, ok, whole bool) {
	i := 1
	negate := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negate {
		i++
	}
	for first := true; i < len(p); first = false {
		if p[i] == ']' && !first {
			return i + 1, ok != negate, true
		}
		lo, hi := p[i], p[i]
		if i+2 < len(p) && p[i+1] == '-' && p[i+2] != ']' {
			hi = p[i+2]
			i += 2
		}
		ok = ok || lo <= c && c <= hi
		i++
	}
	return 0, false, false
}
