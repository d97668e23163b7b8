package tracefs

import "strings"

// The constant expressions of print formats: C's operators over integers, casts,
// and REC->field as the one kind of variable. Widths and signs follow C on a
// 64-bit kernel, but for `1 << 31`, undefined there, which is the bit it means.

// cval is an integer with C's idea of its type.
type cval struct {
	v        uint64
	wide     bool // 64 bits, else 32
	unsigned bool
}

// norm cuts v to the type's width and extends it by its sign.
func (c cval) norm() cval {
	if !c.wide {
		if c.unsigned {
			c.v = uint64(uint32(c.v))
		} else {
			c.v = uint64(int64(int32(c.v)))
		}
	}
	return c
}

// maxDepth bounds the nesting of an expression; gfp flags nest about 20 deep.
const maxDepth = 200

// cparser evaluates while it parses. fields gives the value of REC->name.
type cparser struct {
	s      string
	pos    int
	depth  int
	bad    bool
	fields func(name string) (cval, bool)
}

// evalC evaluates the whole of s; ok is false where it is not such an expression.
func evalC(s string, fields func(string) (cval, bool)) (v cval, ok bool) {
	p := cparser{s: s, fields: fields}
	v = p.ternary()
	p.space()
	return v, !p.bad && p.pos == len(s)
}

func (p *cparser) space() {
	for p.pos < len(p.s) && (p.s[p.pos] == ' ' || p.s[p.pos] == '\t' || p.s[p.pos] == '\n') {
		p.pos++
	}
}

func (p *cparser) take(tok string) bool {
	p.space()
	if !strings.HasPrefix(p.s[p.pos:], tok) {
		return false
	}
	p.pos += len(tok)
	return true
}

func (p *cparser) fail() cval {
	p.bad = true
	p.pos = len(p.s)
	return cval{}
}

func (p *cparser) ternary() cval {
	if p.depth++; p.depth > maxDepth {
		return p.fail()
	}
	defer func() { p.depth-- }()
	c := p.binary(0)
	if p.bad || !p.take("?") {
		return c
	}
	a := p.ternary()
	if p.bad || !p.take(":") {
		return p.fail()
	}
	b := p.ternary()
	x, y := usual(a, b)
	if c.v != 0 {
		return x
	}
	return y
}

// levels are C's binary operators from the loosest to the tightest. Within a
// level a longer operator stands before its prefix.
var levels = [...][]string{
	{"||"}, {"&&"}, {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"},
}

// operator takes one of level's operators, if one stands here.
func (p *cparser) operator(level int) string {
	p.space()
	for _, op := range levels[level] {
		rest := p.s[p.pos:]
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if next := rest[len(op):]; next != "" && len(op) == 1 && (op == "|" || op == "&" || op == "<" || op == ">") && next[0] == op[0] {
			continue
		}
		p.pos += len(op)
		return op
	}
	return ""
}

func (p *cparser) binary(level int) cval {
	if level == len(levels) {
		return p.unary()
	}
	a := p.binary(level + 1)
	for !p.bad {
		op := p.operator(level)
		if op == "" {
			return a
		}
		b := p.binary(level + 1)
		if p.bad {
			break
		}
		a = p.apply(op, a, b)
	}
	return a
}

// usual does C's usual arithmetic conversions.
func usual(a, b cval) (x, y cval) {
	wide := a.wide || b.wide
	unsigned := a.unsigned && a.wide == wide || b.unsigned && b.wide == wide
	a.wide, a.unsigned, b.wide, b.unsigned = wide, unsigned, wide, unsigned
	return a.norm(), b.norm()
}

func truth(b bool) cval {
	if b {
		return cval{v: 1}
	}
	return cval{}
}

func (p *cparser) apply(op string, a, b cval) cval {
	switch op {
	case "||":
		return truth(a.v != 0 || b.v != 0)
	case "&&":
		return truth(a.v != 0 && b.v != 0)
	case "<<", ">>":
		return p.shift(op, a, b)
	}
	a, b = usual(a, b)
	r := cval{wide: a.wide, unsigned: a.unsigned}
	less := int64(a.v) < int64(b.v)
	if a.unsigned {
		less = a.v < b.v
	}
	switch op {
	case "|":
		r.v = a.v | b.v
	case "^":
		r.v = a.v ^ b.v
	case "&":
		r.v = a.v & b.v
	case "==":
		return truth(a.v == b.v)
	case "!=":
		return truth(a.v != b.v)
	case "<":
		return truth(less)
	case ">=":
		return truth(!less)
	case "<=":
		return truth(less || a.v == b.v)
	case ">":
		return truth(!less && a.v != b.v)
	case "+":
		r.v = a.v + b.v
	case "-":
		r.v = a.v - b.v
	case "*":
		r.v = a.v * b.v
	case "/", "%":
		switch {
		case b.v == 0:
			return p.fail()
		case a.unsigned && op == "/":
			r.v = a.v / b.v
		case a.unsigned:
			r.v = a.v % b.v
		case int64(b.v) == -1 && op == "/":
			r.v = -a.v
		case int64(b.v) == -1:
			r.v = 0
		case op == "/":
			r.v = uint64(int64(a.v) / int64(b.v))
		default:
			r.v = uint64(int64(a.v) % int64(b.v))
		}
	}
	return r.norm()
}

func (p *cparser) shift(op string, a, b cval) cval {
	width := uint64(32)
	if a.wide {
		width = 64
	}
	if b.v >= width {
		return p.fail()
	}
	r := a
	switch {
	case op == "<<":
		r.v = a.v << b.v
		if !a.wide && !a.unsigned && int64(a.v) > 0 && r.v > 1<<31-1 && r.v <= 1<<32-1 {
			r.unsigned = true
		}
	case a.unsigned:
		r.v = a.v >> b.v
	default:
		r.v = uint64(int64(a.v) >> b.v)
	}
	return r.norm()
}

func (p *cparser) unary() cval {
	if p.depth++; p.depth > maxDepth {
		return p.fail()
	}
	defer func() { p.depth-- }()
	p.space()
	if p.pos == len(p.s) {
		return p.fail()
	}
	switch c := p.s[p.pos]; {
	case c == '-':
		p.pos++
		a := p.unary()
		a.v = -a.v
		return a.norm()
	case c == '+':
		p.pos++
		return p.unary()
	case c == '~':
		p.pos++
		a := p.unary()
		a.v = ^a.v
		return a.norm()
	case c == '!':
		p.pos++
		return truth(p.unary().v == 0)
	case c == '(':
		return p.paren()
	case c >= '0' && c <= '9':
		return p.number()
	case c == '\'':
		return p.char()
	case isIdent(c):
		return p.field()
	}
	return p.fail()
}

// paren is a cast or an expression in parentheses.
func (p *cparser) paren() cval {
	p.pos++
	if t, n, ok := castType(p.s[p.pos:]); ok {
		p.pos += n
		a := p.unary()
		if t.size < 8 {
			shift := 64 - 8*t.size
			if t.signed {
				a.v = uint64(int64(a.v<<shift) >> shift)
			} else {
				a.v = a.v << shift >> shift
			}
		}
		// C promotes everything narrower than int to int.
		return cval{v: a.v, wide: t.size == 8, unsigned: t.size >= 4 && !t.signed}
	}
	a := p.ternary()
	if p.bad || !p.take(")") {
		return p.fail()
	}
	return a
}

// castType reads "unsigned long)" and returns its length. Types that are not
// known by name keep all bits: "( gfp_t)".
func castType(s string) (t scalar, n int, ok bool) {
	end := strings.IndexByte(s, ')')
	if end < 0 {
		return t, 0, false
	}
	words := strings.Fields(s[:end])
	keep := words[:0]
	for _, w := range words {
		switch w {
		case "const", "volatile", "__force":
			continue
		}
		for i := 0; i < len(w); i++ {
			if !isIdent(w[i]) {
				return t, 0, false
			}
		}
		if w[0] >= '0' && w[0] <= '9' {
			return t, 0, false
		}
		keep = append(keep, w)
	}
	if len(keep) == 0 {
		return t, 0, false
	}
	if t, ok = scalarType(strings.Join(keep, " ")); ok {
		return t, end + 1, true
	}
	if keep[0] == "enum" && len(keep) == 2 {
		return scalar{4, false}, end + 1, true
	}
	// A name alone in parentheses is a type only where a value follows it.
	rest := strings.TrimLeft(s[end+1:], " \t")
	if len(keep) == 1 && rest != "" && (rest[0] == '(' || isIdent(rest[0]) || rest[0] == '~') {
		return scalar{8, false}, end + 1, true
	}
	return t, 0, false
}

func (p *cparser) number() cval {
	start := p.pos
	for p.pos < len(p.s) && isIdent(p.s[p.pos]) {
		p.pos++
	}
	lit := p.s[start:p.pos]
	digits := strings.TrimRight(lit, "uUlL")
	suffix := strings.ToLower(lit[len(digits):])
	base := uint64(10)
	switch {
	case strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X"):
		base, digits = 16, digits[2:]
		if digits == "" {
			return p.fail()
		}
	case strings.HasPrefix(digits, "0b") || strings.HasPrefix(digits, "0B"):
		base, digits = 2, digits[2:]
		if digits == "" {
			return p.fail()
		}
	case len(digits) > 1 && digits[0] == '0':
		base = 8
	}
	var v uint64
	for i := 0; i < len(digits); i++ {
		d := uint64(hexValue(digits[i]))
		if d >= base || v > (1<<64-1-d)/base {
			return p.fail()
		}
		v = v*base + d
	}
	r := cval{v: v, wide: strings.Contains(suffix, "l"), unsigned: strings.Contains(suffix, "u")}
	// Decimal literals grow to long, others to unsigned first (C11 6.4.4.1).
	if !r.wide && v > 1<<31-1 {
		if v <= 1<<32-1 && (base != 10 || r.unsigned) {
			r.unsigned = true
		} else {
			r.wide = true
		}
	}
	if r.wide && v > 1<<63-1 {
		r.unsigned = true
	}
	return r
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 1 << 20
}

// char is a character constant of one byte: 'C'.
func (p *cparser) char() cval {
	rest := p.s[p.pos:]
	if len(rest) < 3 || rest[1] == '\\' || rest[1] == '\'' || rest[2] != '\'' {
		return p.fail()
	}
	p.pos += 3
	return cval{v: uint64(rest[1])}
}

// field is REC->name.
func (p *cparser) field() cval {
	name, n, ok := recField(p.s[p.pos:])
	if !ok || p.fields == nil {
		return p.fail()
	}
	v, ok := p.fields(name)
	if !ok {
		return p.fail()
	}
	p.pos += n
	return v.norm()
}

// recField reads "REC->name" at the start of s and returns its length.
func recField(s string) (name string, n int, ok bool) {
	rest, ok := strings.CutPrefix(s, "REC->")
	if !ok {
		return "", 0, false
	}
	for n < len(rest) && isIdent(rest[n]) {
		n++
	}
	if n == 0 {
		return "", 0, false
	}
	return rest[:n], n + len("REC->"), true
}
