package syntax

import "strings"

// Print writes x as text: the same tree comes out when it is parsed again.
func Print(x Expr) string {
	var b strings.Builder
	write(&b, x, asWritten)
	return b.String()
}

// PrintGrouped writes x with parentheses around everything that is not a single
// word, so that it shows how the text was read.
func PrintGrouped(x Expr) string {
	var b strings.Builder
	write(&b, Bare(x), grouped)
	return b.String()
}

type style uint8

const (
	asWritten style = iota
	grouped
	operand // grouped, and not the outermost
)

func (s style) inner() style {
	if s == grouped {
		return operand
	}
	return s
}

func write(b *strings.Builder, x Expr, s style) {
	if s != asWritten {
		x = Bare(x)
	}
	in := s.inner()
	group := func(f func()) {
		if s == operand {
			b.WriteByte('(')
			defer b.WriteByte(')')
		}
		f()
	}
	switch x := x.(type) {
	case *Ident:
		b.WriteString(x.Name)
	case *Meta:
		b.WriteString("$" + x.Name)
	case *Number:
		b.WriteString(x.Text)
	case *String:
		writeString(b, x)
	case *CPUList:
		b.WriteString("CPUS{" + x.List + "}")
	case *Set:
		b.WriteByte('{')
		writeList(b, x.Elems, s)
		b.WriteByte('}')
	case *Range:
		write(b, x.Lo, in)
		b.WriteString("..")
		write(b, x.Hi, in)
	case *Paren:
		b.WriteByte('(')
		write(b, x.X, s)
		b.WriteByte(')')
	case *Partial:
		write(b, x.X, s)
	case *Unary:
		group(func() {
			b.WriteString(x.Op.String())
			if u, ok := leftmost(x.X, s).(*Unary); ok && (u.Op != x.Op || u.Op == Minus) {
				b.WriteByte(' ') // "!~" and "--" are tokens of their own
			}
			write(b, x.X, in)
		})
	case *Binary:
		writeBinary(b, x, s)
	case *Cond:
		group(func() {
			write(b, x.If, in)
			b.WriteString(" ? ")
			write(b, x.Then, in)
			b.WriteString(" : ")
			write(b, x.Else, in)
		})
	case *Cast:
		group(func() {
			b.WriteString("(" + x.Type + ")")
			write(b, x.X, in)
		})
	case *Index:
		write(b, x.X, in)
		b.WriteByte('[')
		write(b, x.I, groupedIf(s))
		b.WriteByte(']')
	case *Suffix:
		write(b, x.X, in)
		b.WriteString("." + x.Name)
	case *Call:
		b.WriteString(x.Fun.Name + "(")
		writeList(b, x.Args, s)
		b.WriteByte(')')
	}
}

// leftmost is the node whose text x's begins with, as far as binary operators go.
func leftmost(x Expr, s style) Expr {
	for s == asWritten {
		switch y := x.(type) {
		case *Binary:
			x = y.X
			continue
		case *Partial:
			x = y.X
			continue
		}
		break
	}
	return x
}

// groupedIf is the style inside brackets, where no parentheses are needed around the whole.
func groupedIf(s style) style {
	if s == asWritten {
		return s
	}
	return grouped
}

func writeList(b *strings.Builder, list []Expr, s style) {
	for i, e := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		write(b, e, groupedIf(s))
	}
}

// writeBinary walks down a chain that leans to the left, which may be long.
func writeBinary(b *strings.Builder, x *Binary, s style) {
	var chain []*Binary
	var left Expr = x
	for {
		y, ok := left.(*Binary)
		if s != asWritten && !ok {
			y, ok = Bare(left).(*Binary)
		}
		// One pair of parentheses serves a chain of the same && or ||.
		if !ok || s != asWritten && len(chain) > 0 && (y.Op != x.Op || x.Op != AndAnd && x.Op != OrOr) {
			break
		}
		chain = append(chain, y)
		left = y.X
	}
	if s == operand {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	write(b, left, s.inner())
	for i := len(chain) - 1; i >= 0; i-- {
		b.WriteString(" " + chain[i].Op.String() + " ")
		write(b, chain[i].Y, s.inner())
	}
}

func writeString(b *strings.Builder, x *String) {
	if !x.Escaped {
		b.WriteByte(x.Quote)
		b.WriteString(x.Value)
		b.WriteByte(x.Quote)
		return
	}
	b.WriteString(`c"`)
	const hex = "0123456789abcdef"
	for i := 0; i < len(x.Value); i++ {
		switch c := x.Value[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
