package symbols

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// maxDemangled bounds a demangled name to 2^16 bytes: a damaged one could ask for
// gigabytes.
const maxDemangled = 16

// clones are suffixes that compilers give to parts and copies of a function. Those
// of renamings, which are still the function, come second.
var (
	clones    = [...]string{".cold", ".part.", ".isra.", ".constprop.", ".warm", ".resume", ".destroy", ".cleanup"}
	renamings = [...]string{".llvm.", ".lto_priv.", ".localalias"}
)

// splitClone splits a symbol into the function's and the suffix of a clone.
func splitClone(name string) (base, clone string) {
	at := len(name)
	for _, c := range clones {
		i := strings.Index(name, c)
		if i <= 0 || i >= at {
			continue
		}
		// ".cold" ends a name, or stands before another suffix: a Go package may be
		// called x.coldstart.
		if next := name[i+len(c):]; c[len(c)-1] == '.' && !startsDigit(next) || c[len(c)-1] != '.' && next != "" && next[0] != '.' {
			continue
		}
		at = i
	}
	return name[:at], name[at:]
}

func startsDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// trimRenaming removes what link-time optimization appends to static functions.
func trimRenaming(name string) string {
	for _, r := range renamings {
		if i := strings.Index(name, r); i > 0 {
			name = name[:i]
		}
	}
	return name
}

// mangled reports whether name looks mangled.
func mangled(name string) bool {
	return strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R") || strings.HasPrefix(name, "__Z") || strings.HasPrefix(name, "___Z")
}

// detail is how much of a name is wanted.
type detail uint8

const (
	// fullName: ns::C<int>::f(int) const
	fullName detail = iota
	// baseName: ns::C<int>::f
	baseName
	// bareFull: ns::C::f(int) const
	bareFull
	// bareName: ns::C::f
	bareName
)

// demangled returns the source's name of a symbol without clone suffix; false where
// it is not mangled.
func demangled(name string, d detail) (string, bool) {
	if !mangled(name) {
		return "", false
	}
	o := []demangle.Option{demangle.MaxLength(maxDemangled), demangle.NoClones}
	if d == baseName || d == bareName {
		o = append(o, demangle.NoParams)
	}
	if d == bareFull || d == bareName {
		o = append(o, demangle.NoTemplateParams)
	}
	s, err := demangle.ToString(trimRenaming(name), o...)
	if err != nil || s == "" {
		return "", false
	}
	// Rust's functions with generics left out.
	s = strings.TrimSuffix(s, "::<>")
	return s, true
}

// langOf tells the language of a mangled symbol.
func langOf(name string) Lang {
	if strings.HasPrefix(name, "_R") || rustHash(trimRenaming(name)) {
		return LangRust
	}
	return LangCPP
}

// rustHash reports whether name ends as Rust's legacy mangling does: 17h, sixteen
// hex digits, E.
func rustHash(name string) bool {
	const tail = len("17h0123456789abcdefE")
	if len(name) < tail || name[len(name)-1] != 'E' || !strings.HasPrefix(name[len(name)-tail:], "17h") {
		return false
	}
	return strings.Trim(name[len(name)-17:len(name)-1], "0123456789abcdef") == ""
}

// squeeze removes spaces that separate nothing, Rust's hash, and the brackets that v0
// writes around a type with methods of its own, so that "f(int,int)"
// is "f(int, int)".
func squeeze(s string) string {
	if i := strings.LastIndex(s, "::h"); i > 0 && len(s) == i+19 && strings.Trim(s[i+3:], "0123456789abcdef") == "" {
		s = s[:i]
	}
	s = inherent(s)
	if strings.IndexByte(s, ' ') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] == ' ' && (len(b) == 0 || !identByte(b[len(b)-1]) || i+1 == len(s) || !identByte(s[i+1])) {
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// inherent makes "T::f" of Rust's "<T>::f"; "<T as Trait>::f" stays.
func inherent(s string) string {
	if !strings.HasPrefix(s, "<") {
		return s
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '<':
			depth++
		case '>':
			depth--
		case ' ':
			if depth == 1 && strings.HasPrefix(s[i:], " as ") {
				return s
			}
		}
		if depth == 0 {
			if strings.HasPrefix(s[i:], ">::") {
				return s[1:i] + s[i+1:]
			}
			return s
		}
	}
	return s
}

func identByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// hasParams reports whether a demangled name comes with a parameter list.
func hasParams(s string) bool {
	s = strings.ReplaceAll(s, "(anonymous namespace)", "")
	s = strings.TrimSuffix(s, "operator()")
	return strings.Contains(s, "(")
}
