package syntax

import (
	"fmt"
	"strconv"
)

// MaxDepth is how deep parentheses and other nesting may go. The kernel takes
// about 2,000 parentheses (a page of text holds no more).
const MaxDepth = 2500

// Parse reads a filter. With an error comes as much of the tree as stands before
// it, which may be nil; whoever checks names can then tell which fault is first.
// Of a program with an error nothing comes.
func Parse(src string) (*File, *Error) {
	toks, err := scan(src)
	if toks == nil {
		return &File{}, err
	}
	p := &parser{src: src, toks: toks, illegal: err}
	if p.startsProgram() {
		p.stmts = true
		f := p.file()
		if p.err != nil {
			return &File{}, p.err
		}
		if err != nil {
			return &File{}, err
		}
		return f, nil
	}
	x := p.cond()
	if p.err == nil && p.tok().Kind != EOF {
		p.unexpected("")
	}
	return &File{Expr: x}, p.err
}

type parser struct {
	src     string
	toks    []Token
	at      int
	depth   int
	stmts   bool // a semicolon ends an expression
	err     *Error
	illegal *Error // what the scanner thinks of the first illegal token
}

func (p *parser) tok() Token { return p.toks[p.at] }

func (p *parser) peek(n int) Token {
	if p.at+n >= len(p.toks) {
		return p.toks[len(p.toks)-1]
	}
	return p.toks[p.at+n]
}

func (p *parser) text(t Token) string { return p.src[t.Pos:t.End] }

func (p *parser) next() Token {
	t := p.toks[p.at]
	if t.Kind != EOF {
		p.at++
	}
	return t
}

func (p *parser) fail(t Token, hint, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{Pos: t.Pos, End: t.End, Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
}

// enter counts nesting; every enter has its leave.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > MaxDepth {
		p.fail(p.tok(), "", "the expression is nested deeper than %d levels", MaxDepth)
		return false
	}
	return true
}

func (p *parser) leave() { p.depth-- }

// unexpected says what is wrong with the current token where an operator or the
// end was due, or (want) something else.
func (p *parser) unexpected(want string) {
	t := p.tok()
	if p.illegal != nil && p.illegal.Pos == t.Pos {
		p.fail(t, p.illegal.Hint, "%s", p.illegal.Msg)
		return
	}
	hint := ""
	switch t.Kind {
	case EOF:
		p.fail(t, "", "the filter ends where %s is expected", orElse(want, "more"))
		return
	case NotTilde:
		hint = `write !(field ~ "pattern")`
	case Assign:
		if p.text(t) == "=" {
			hint = "write == to compare; what assigns are statements, which stand in { }"
		} else {
			hint = "what assigns are statements, which stand in { }"
		}
	case Name:
		switch p.text(t) {
		case "and":
			hint = "write &&"
		case "or":
			hint = "write ||"
		case "not":
			hint = "write !"
		}
	case Dot:
		hint = `the suffixes are .ustring and .function; an address is ip("127.0.0.1")`
	case Semi, RBrace:
		hint = "statements stand in a block: { ...; return true; }"
	case Not:
		if want != "" {
			hint = "! reaches as far as && does: put it and its operand in parentheses here, (!x)"
		}
	}
	if want == "" {
		want = "an operator or the end"
	}
	p.fail(t, hint, "unexpected %s, expected %s", p.quoted(t), want)
}

func (p *parser) quoted(t Token) string {
	s := p.text(t)
	if len(s) > 24 {
		s = s[:24] + "..."
	}
	return strconv.Quote(s)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// IsType reports whether s names a type of the language.
func IsType(s string) bool {
	switch s {
	case "s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64", "bool", "string":
		return true
	}
	return false
}

// cond = or [ "?" cond ":" cond ]
func (p *parser) cond() Expr {
	if !p.enter() {
		p.leave()
		return nil
	}
	defer p.leave()
	x := p.or()
	if p.err != nil || p.tok().Kind != Question {
		return x
	}
	p.next()
	then := p.cond()
	if p.err != nil {
		return x
	}
	if p.tok().Kind != Colon {
		p.unexpected(`":" of the "?"`)
		return x
	}
	p.next()
	els := p.cond()
	if p.err != nil {
		return x
	}
	return &Cond{If: x, Then: then, Else: els}
}

// or = and { "||" and }
func (p *parser) or() Expr {
	x := p.and()
	for p.err == nil && p.tok().Kind == OrOr {
		op := p.next()
		y := p.and()
		if y == nil {
			return x
		}
		x = &Binary{X: x, Y: y, Op: OrOr, OpAt: op.Pos}
	}
	return x
}

// and = not { "&&" not }
func (p *parser) and() Expr {
	x := p.not()
	for p.err == nil && p.tok().Kind == AndAnd {
		op := p.next()
		y := p.not()
		if y == nil {
			return x
		}
		x = &Binary{X: x, Y: y, Op: AndAnd, OpAt: op.Pos}
	}
	return x
}

// not = { "!" } bits: as in the kernel's language, ! takes the whole comparison.
func (p *parser) not() Expr {
	if p.tok().Kind == Not {
		if !p.enter() {
			p.leave()
			return nil
		}
		defer p.leave()
		op := p.next()
		x := p.not()
		if x == nil {
			return nil
		}
		return &Unary{At: op.Pos, Op: Not, X: x}
	}
	x := p.binary(1)
	if x == nil {
		return nil
	}
	if p.err == nil {
		switch p.tok().Kind {
		case EOF, AndAnd, OrOr, Question, Colon, RParen, RBrack, RBrace, Comma, DotDot:
			return x
		case Semi:
			if p.stmts {
				return x
			}
		}
		p.unexpected("")
	}
	if _, ok := x.(*Partial); ok {
		return x
	}
	return &Partial{X: x}
}

// binary climbs C's ladder from | upwards.
func (p *parser) binary(min int) Expr {
	x := p.unary()
	for x != nil && p.err == nil {
		op := p.tok()
		prec := precedence(op.Kind)
		if prec < min {
			return x
		}
		if b, ok := x.(*Binary); ok && isComparison(op.Kind) && isComparison(b.Op) {
			p.fail(op, "join two comparisons with &&", "a comparison behind a comparison")
			return &Partial{X: x}
		}
		p.next()
		var y Expr
		switch op.Kind {
		case In:
			y = p.set(op)
		case Tilde:
			y = p.unary()
		default:
			y = p.binary(prec + 1)
		}
		if y == nil || p.err != nil {
			if y == nil {
				return &Partial{X: x}
			}
			return &Partial{X: &Binary{X: x, Y: y, Op: op.Kind, OpAt: op.Pos}}
		}
		x = &Binary{X: x, Y: y, Op: op.Kind, OpAt: op.Pos}
	}
	return x
}

func isComparison(k Kind) bool { return precedence(k) == 4 || precedence(k) == 5 }

// set = "{" elem { "," elem } "}" | NAME of a map; elem = cond [ ".." cond ]
func (p *parser) set(in Token) Expr {
	open := p.tok()
	if open.Kind == Name {
		p.next()
		return &Ident{At: open.Pos, Name: p.text(open)}
	}
	if open.Kind != LBrace {
		p.fail(in, "write in {1, 2, 5..9}", "in needs a set in braces behind it")
		return nil
	}
	p.next()
	s := &Set{At: open.Pos}
	for {
		x := p.cond()
		if p.err != nil {
			return nil
		}
		if p.tok().Kind == DotDot {
			p.next()
			y := p.cond()
			if p.err != nil {
				return nil
			}
			x = &Range{Lo: x, Hi: y}
		}
		s.Elems = append(s.Elems, x)
		switch t := p.tok(); t.Kind {
		case Comma:
			p.next()
		case RBrace:
			s.Stop = p.next().End
			return s
		default:
			p.unexpected(`"," or "}"`)
			return nil
		}
	}
}

// unary = "-" unary | "~" unary | "(" type ")" unary | postfix
func (p *parser) unary() Expr {
	t := p.tok()
	cast := t.Kind == LParen && p.isCast()
	if !cast && t.Kind != Minus && t.Kind != Tilde {
		return p.postfix()
	}
	if !p.enter() {
		p.leave()
		return nil
	}
	defer p.leave()
	p.next()
	if cast {
		name := p.text(p.next())
		p.next()
		if x := p.unary(); x != nil {
			return &Cast{At: t.Pos, Type: name, X: x}
		}
		return nil
	}
	switch p.tok().Kind {
	case Name, Num, Text, CText, CPUs, Dollar, LParen, Minus, Tilde:
	default:
		p.fail(t, "", "%s without an operand behind it", t.Kind)
		return nil
	}
	if x := p.unary(); x != nil {
		return &Unary{At: t.Pos, Op: t.Kind, X: x}
	}
	return nil
}

// isCast reports whether "(" begins a cast: a type in parentheses and then
// something that begins an operand. A field may be called u8, and (u8) alone is
// that field.
func (p *parser) isCast() bool {
	if p.peek(1).Kind != Name || p.peek(2).Kind != RParen || !IsType(p.text(p.peek(1))) {
		return false
	}
	switch p.peek(3).Kind {
	case Name, Num, Text, CText, LParen, Dollar, Minus:
		return true
	}
	return false
}

// postfix = primary { "[" cond "]" | ".ustring" | ".function" | "(" args ")" }
func (p *parser) postfix() Expr {
	x := p.primary()
	for n := 0; x != nil && p.err == nil; n++ {
		t := p.tok()
		if n > 8 && (t.Kind == LBrack || t.Kind == Dot) {
			p.fail(t, "", "more than 8 suffixes on one operand")
			return nil
		}
		switch t.Kind {
		case LBrack:
			p.next()
			i := p.cond()
			if p.err != nil {
				return nil
			}
			if p.tok().Kind != RBrack {
				p.unexpected(`"]"`)
				return nil
			}
			x = &Index{X: x, I: i, Stop: p.next().End}
		case Dot:
			n := p.peek(1)
			name := p.text(n)
			_, end := x.Span()
			if end != t.Pos || n.Pos != t.End || n.Kind != Name || name != "ustring" && name != "function" {
				return x
			}
			p.next()
			p.next()
			x = &Suffix{X: x, At: t.Pos, Name: name}
		default:
			return x
		}
	}
	return x
}

func (p *parser) primary() Expr {
	t := p.tok()
	switch t.Kind {
	case Name:
		p.next()
		name := p.text(t)
		if name == "CPUS" {
			p.fail(p.tok(), "write CPUS{0-3}, without blanks before the brace", "CPUS needs { right behind it")
			return nil
		}
		id := &Ident{At: t.Pos, Name: name}
		if p.tok().Kind == LParen && p.tok().Pos == t.End {
			return p.call(id)
		}
		return id
	case Num:
		p.next()
		n := &Number{At: t.Pos, Text: p.text(t)}
		v, ok := ParseNumber(n.Text)
		n.Value, n.OK = v, ok
		return n
	case Text:
		p.next()
		return &String{At: t.Pos, Stop: t.End, Value: p.src[t.Pos+1 : t.End-1], Quote: p.src[t.Pos]}
	case CText:
		p.next()
		v, err := unquote(p.src, t)
		if err != nil {
			if p.err == nil {
				p.err = err
			}
			return nil
		}
		return &String{At: t.Pos, Stop: t.End, Value: v, Quote: '"', Escaped: true}
	case CPUs:
		p.next()
		return &CPUList{At: t.Pos, Stop: t.End, List: p.src[t.Pos+len("CPUS{") : t.End-1]}
	case Dollar:
		p.next()
		if t.End == t.Pos+1 {
			p.fail(t, "write $cpu, $pid, $tid, $comm, $time or $event", "$ without a name")
			return nil
		}
		return &Meta{At: t.Pos, Name: p.src[t.Pos+1 : t.End]}
	case LParen:
		p.next()
		x := p.cond()
		if p.err != nil {
			return x
		}
		if p.tok().Kind != RParen {
			p.unexpected(`")"`)
			return x
		}
		return &Paren{At: t.Pos, X: x, Stop: p.next().End}
	}
	p.unexpected("a field, a value or (")
	return nil
}

// call = name "(" [ cond { "," cond } ] ")"
func (p *parser) call(fun *Ident) Expr {
	p.next()
	c := &Call{Fun: fun}
	if p.tok().Kind == RParen {
		c.Stop = p.next().End
		return c
	}
	for {
		x := p.cond()
		if p.err != nil {
			return nil
		}
		c.Args = append(c.Args, x)
		switch t := p.tok(); t.Kind {
		case Comma:
			p.next()
		case RParen:
			c.Stop = p.next().End
			return c
		default:
			p.unexpected(`"," or ")"`)
			return nil
		}
	}
}

// ParseNumber reads a decimal, hexadecimal (0x) or octal (leading 0) number of
// at most 64 bits, as the kernel's kstrtoull does with base 0.
func ParseNumber(s string) (uint64, bool) {
	base, digits := 10, s
	switch {
	case len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'):
		base, digits = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, digits = 8, s[1:]
	}
	for i := 0; i < len(digits); i++ {
		if digits[i] == '_' {
			return 0, false
		}
	}
	v, err := strconv.ParseUint(digits, base, 64)
	return v, err == nil
}

// unquote resolves the escapes of c"...".
func unquote(src string, t Token) (string, *Error) {
	body := src[t.Pos+2 : t.End-1]
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			out = append(out, body[i])
			continue
		}
		i++
		at := t.Pos + 2 + i
		c := body[i]
		switch c {
		case 'a', 'b', 't', 'n', 'v', 'f', 'r':
			out = append(out, "\a\b\t\n\v\f\r"[indexOf("abtnvfr", c)])
		case '\\', '"', '\'', '?':
			out = append(out, c)
		case 'x':
			j := i + 1
			for j < len(body) && j < i+3 && isHex(body[j]) {
				j++
			}
			v, err := strconv.ParseUint(body[i+1:j], 16, 8)
			if err != nil {
				return "", &Error{Pos: at - 1, End: at + 1, Msg: `\x without hexadecimal digits`, Hint: `write \x00 to \xff`}
			}
			out = append(out, byte(v))
			i = j - 1
		default:
			j := i
			for j < len(body) && j < i+3 && body[j] >= '0' && body[j] <= '7' {
				j++
			}
			v, err := strconv.ParseUint(body[i:j], 8, 8)
			if err != nil {
				return "", &Error{Pos: at - 1, End: at + 1, Msg: fmt.Sprintf(`unknown escape \%c`, c), Hint: `C's escapes are \a \b \t \n \v \f \r \\ \" \' \? \NNN and \xNN`}
			}
			out = append(out, byte(v))
			i = j - 1
		}
	}
	return string(out), nil
}

func indexOf(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return i
		}
	}
	return 0
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
