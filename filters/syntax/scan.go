package syntax

import (
	"fmt"
	"strings"
)

// MaxSource is the longest filter that is read, in bytes: sixteen times what the
// kernel takes (a page).
const MaxSource = 64 << 10

// Error is one fault of a text.
type Error struct {
	// Pos and End bound what is wrong; End may be Pos at the end of the text.
	Pos, End int
	// Msg says what is wrong, Hint how to mend it ("" where there is no more to say).
	Msg, Hint string
	// Lexical faults (quotes, parentheses, size) are looked for in the whole text
	// before anything else is, as the kernel does.
	Lexical bool
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Pos, e.Msg) }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isAlnum(c byte) bool { return isAlpha(c) || isDigit(c) }

// operators, the longer before their beginnings.
var operators = [...]struct {
	text string
	kind Kind
}{
	{"<<=", Assign}, {">>=", Assign},
	{"||", OrOr}, {"&&", AndAnd}, {"==", Eq}, {"!=", Ne}, {"!~", NotTilde}, {"<=", Le}, {">=", Ge}, {"<<", Shl}, {">>", Shr}, {"..", DotDot},
	{"++", Incr}, {"+=", Assign}, {"-=", Assign}, {"*=", Assign}, {"/=", Assign}, {"%=", Assign}, {"&=", Assign}, {"|=", Assign}, {"^=", Assign},
	{"(", LParen}, {")", RParen}, {"[", LBrack}, {"]", RBrack}, {"{", LBrace}, {"}", RBrace}, {",", Comma}, {";", Semi}, {":", Colon}, {"?", Question},
	{".", Dot}, {"|", Or}, {"^", Xor}, {"&", And}, {"~", Tilde}, {"<", Lt}, {">", Gt}, {"+", Plus}, {"-", Minus}, {"*", Star}, {"/", Slash},
	{"%", Percent}, {"!", Not}, {"=", Assign},
}

// scan cuts src into tokens; the last one is EOF. Blanks, // and /* */ comments
// separate. The only faults are lexical: an open quote, an open comment, CPUS
// without its braces, and parentheses that do not pair.
func scan(src string) ([]Token, *Error) {
	if len(src) > MaxSource {
		return nil, &Error{Msg: fmt.Sprintf("the filter is %d bytes long, the limit is %d", len(src), MaxSource), Lexical: true}
	}
	toks := make([]Token, 0, len(src)/3+2)
	var open []int
	var brace *Error
	for i := 0; ; {
		for i < len(src) && isSpace(src[i]) {
			i++
		}
		if i == len(src) {
			break
		}
		if strings.HasPrefix(src[i:], "//") {
			if n := strings.IndexByte(src[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(src)
			}
			continue
		}
		if strings.HasPrefix(src[i:], "/*") {
			n := strings.Index(src[i+2:], "*/")
			if n < 0 {
				return nil, &Error{Pos: i, End: i + 2, Msg: "the comment does not end", Hint: "close it with */", Lexical: true}
			}
			i += n + 4
			continue
		}
		t, err := scanToken(src, i)
		if err != nil && err.Lexical {
			return nil, err
		}
		if brace == nil {
			brace = err
		}
		switch t.Kind {
		case LParen:
			open = append(open, t.Pos)
		case RParen:
			if len(open) == 0 {
				return nil, &Error{Pos: t.Pos, End: t.End, Msg: "this ) closes nothing", Hint: "take it away, or open a ( before it", Lexical: true}
			}
			open = open[:len(open)-1]
		}
		toks = append(toks, t)
		i = t.End
	}
	if len(open) > 0 {
		at := open[len(open)-1]
		return nil, &Error{Pos: at, End: at + 1, Msg: "this ( is never closed", Hint: "close it with )", Lexical: true}
	}
	return append(toks, Token{Kind: EOF, Pos: len(src), End: len(src)}), brace
}

// scanToken reads the token that begins at src[i]. An error that is not lexical
// comes with a token that stands for what is wrong.
func scanToken(src string, i int) (Token, *Error) {
	c := src[i]
	switch {
	case c == '"' || c == '\'':
		n := strings.IndexByte(src[i+1:], c)
		if n < 0 {
			return Token{}, &Error{Pos: i, End: i + 1, Msg: fmt.Sprintf("the string that this %c opens does not end", c), Hint: fmt.Sprintf("close it with %c", c), Lexical: true}
		}
		return Token{Text, i, i + n + 2}, nil
	case isDigit(c):
		j := i
		for j < len(src) && isAlnum(src[j]) {
			j++
		}
		return Token{Num, i, j}, nil
	case c == 'c' && i+1 < len(src) && src[i+1] == '"':
		for j := i + 2; j < len(src); j++ {
			if src[j] == '\\' {
				j++
			} else if src[j] == '"' {
				return Token{CText, i, j + 1}, nil
			}
		}
		return Token{}, &Error{Pos: i, End: i + 2, Msg: `the string that this c" opens does not end`, Hint: `close it with "`, Lexical: true}
	case isAlpha(c):
		j := i
		for j < len(src) && isAlnum(src[j]) {
			j++
		}
		switch src[i:j] {
		case "in":
			return Token{In, i, j}, nil
		case "CPUS":
			if j == len(src) || src[j] != '{' {
				return Token{Name, i, j}, nil
			}
			n := strings.IndexByte(src[j:], '}')
			if n < 0 {
				return Token{Illegal, i, j + 1}, &Error{Pos: i, End: j + 1, Msg: "the list of CPUS{ does not end", Hint: "close it with }"}
			}
			return Token{CPUs, i, j + n + 1}, nil
		}
		return Token{Name, i, j}, nil
	case c == '$':
		j := i + 1
		for j < len(src) && isAlnum(src[j]) {
			j++
		}
		return Token{Dollar, i, j}, nil
	}
	for _, o := range operators {
		if strings.HasPrefix(src[i:], o.text) {
			return Token{o.kind, i, i + len(o.text)}, nil
		}
	}
	j := i + 1
	for j < len(src) && src[j]&0xc0 == 0x80 {
		j++
	}
	return Token{Illegal, i, j}, nil
}
