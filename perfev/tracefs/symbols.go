package tracefs

import (
	"strings"

	"github.com/perfpipe/perfpipe"
)

// maxPrint is the longest print format that is searched for names: the kernel's
// longest has 5 KiB, and the time that nested lists take grows with the square.
const maxPrint = 64 << 10

// addSymbols gives the fields of s the names that its print format has for
// their values. What it cannot read it leaves out; the first list for a field counts.
func addSymbols(s *perfpipe.Schema) {
	text := s.Print
	if len(text) > maxPrint {
		return
	}
	for i := 0; i < len(text); {
		switch {
		case text[i] == '"':
			i = skipString(text, i)
		case isIdent(text[i]):
			j := i
			for j < len(text) && isIdent(text[j]) {
				j++
			}
			word := text[i:j]
			i = j
			flags := word == "__print_flags" || word == "__print_flags_u64"
			if !flags && word != "__print_symbolic" && word != "__print_symbolic_u64" {
				continue
			}
			args, ok := splitArgs(text[j:])
			if ok {
				addList(s, flags, args)
			}
		default:
			i++
		}
	}
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Loc != perfpipe.LocStatic && f.Array && strings.Contains(text, "__get_cpumask("+f.Name+")") {
			f.Kind, f.ElemSize, f.Count, f.Array, f.Signed = perfpipe.KindCPUMask, 8, 1, false, false
		}
	}
}

// addList adds one __print_symbolic(value, {v, "name"}, ...) or
// __print_flags(value, "delimiter", {mask, "name"}, ...).
func addList(s *perfpipe.Schema, flags bool, args []string) {
	if len(args) == 0 {
		return
	}
	f := symbolField(s, args[0])
	if f == nil || f.Symbols != nil {
		return
	}
	args = args[1:]
	delim := ""
	if flags {
		if len(args) == 0 {
			return
		}
		delim, _ = stringLiteral(args[0])
		if delim == "" {
			delim = "|"
		}
		args = args[1:]
	}
	var list []perfpipe.Symbol
	for _, a := range args {
		a = strings.TrimSpace(a)
		if len(a) < 2 || a[0] != '{' || a[len(a)-1] != '}' {
			continue
		}
		pair, ok := splitArgs("(" + a[1:len(a)-1] + ")")
		if !ok || len(pair) != 2 {
			continue
		}
		v, okv := evalC(pair[0], nil)
		name, okn := stringLiteral(pair[1])
		if okv && okn && name != "" {
			list = append(list, perfpipe.Symbol{Name: name, Value: v.v})
		}
	}
	if len(list) > 0 {
		f.Symbols, f.FlagsDelim = list, delim
	}
}

// symbolField returns the one field that expr looks at, where its value is that
// of the field but for bits that a mask takes away. A shifted field has values of
// its own: `(REC->prio >> 13) & 7` names no value of prio.
func symbolField(s *perfpipe.Schema, expr string) *perfpipe.Field {
	var f *perfpipe.Field
	for i := 0; i < len(expr); i++ {
		name, n, ok := recField(expr[i:])
		if !ok {
			continue
		}
		i += n - 1
		if f != nil && f.Name != name {
			return nil
		}
		if f = s.Field(name); f == nil {
			return nil
		}
	}
	if f == nil || f.Array || f.Loc != perfpipe.LocStatic {
		return nil
	}
	switch f.Kind {
	case perfpipe.KindInt, perfpipe.KindUint, perfpipe.KindBool, perfpipe.KindPointer:
	default:
		return nil
	}
	width := uint(f.Size) * 8
	mask := ^uint64(0) >> (64 - width)
	eval := func(v uint64) (uint64, bool) {
		if f.Signed {
			v = uint64(int64(v<<(64-width)) >> (64 - width))
		}
		val := cval{v: v, wide: f.Size == 8, unsigned: f.Size >= 4 && !f.Signed}
		r, ok := evalC(expr, func(string) (cval, bool) { return val, true })
		return r.v & mask, ok
	}
	var kept uint64
	if v, ok := eval(0); !ok || v != 0 {
		return nil
	}
	for bit := uint(0); bit < width; bit++ {
		v, ok := eval(1 << bit)
		if !ok || v != 0 && v != 1<<bit {
			return nil
		}
		kept |= v
	}
	if v, ok := eval(mask); !ok || v != kept || kept == 0 {
		return nil
	}
	return f
}

// splitArgs splits "(a, b(c, d), {e, f})..." at the commas of its first level.
func splitArgs(s string) (args []string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	if s == "" || s[0] != '(' {
		return nil, false
	}
	depth, start := 0, 1
	for i := 0; i < len(s); {
		switch s[i] {
		case '"':
			i = skipString(s, i)
			continue
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth == 0 {
				return append(args, s[start:i]), true
			}
		case ',':
			if depth == 1 {
				args = append(args, s[start:i])
				start = i + 1
			}
		}
		i++
	}
	return nil, false
}

// skipString returns the index behind the string literal that begins at i.
func skipString(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// stringLiteral reads one or more adjacent C string literals.
func stringLiteral(s string) (text string, ok bool) {
	var b strings.Builder
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] != '"' {
			return "", false
		}
		end := skipString(s, 0)
		if end < 2 || s[end-1] != '"' {
			return "", false
		}
		unquote(&b, s[1:end-1])
		s, ok = s[end:], true
	}
	return b.String(), ok
}

// unquote undoes the C escapes that print formats use.
func unquote(b *strings.Builder, s string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		default:
			b.WriteByte(s[i])
		}
	}
}
