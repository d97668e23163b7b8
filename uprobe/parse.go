package uprobe

import (
	"fmt"
	"strconv"
	"strings"
)

// SyntaxError is a probe that cannot be read.
type SyntaxError struct {
	// Text is the probe, Msg what is wrong with it at byte Pos.
	Text, Msg string
	Pos       int
}

// Error implements error: the reason, the text and a caret below it.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("probe: %s\n  %s\n  %*s^", e.Msg, e.Text, e.Pos, "")
}

// prefixes are the words that a probe may begin with, bpftrace's short forms among them.
var prefixes = [...]struct {
	word string
	kind Kind
}{
	{"uprobe:", Entry}, {"uretprobe:", Return}, {"usdt:", USDT},
	{"u:", Entry}, {"ur:", Return}, {"U:", USDT},
}

// IsSpec reports whether text is meant as a probe and not as the name of an event.
func IsSpec(text string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(text, p.word) {
			return true
		}
	}
	return false
}

// Parse reads a probe:
//
//	uprobe:BINARY:FUNCTION[+OFFSET|%return][(ARGUMENT, ...)]
//	uretprobe:BINARY:FUNCTION[(ret[:TYPE])]
//	usdt:BINARY:[PROVIDER:]NAME[(ARGUMENT, ...)]
//
// BINARY is a path, a soname, a command, or nothing for the executable of the
// process that is recorded. FUNCTION is a name as the symbol table or a demangler
// writes it, a glob, "name@VERSION", or an address of the file (0x1179). What
// holds ':', ',' or blanks is put in quotes: uprobe:app:"ns::f(int, char)"(x).
//
// An ARGUMENT is [NAME=]VALUE[:TYPE]. A VALUE is a parameter by name (r) or by
// position (arg0), ret, a register (%di), or * for all parameters, with members
// behind it: r->id, s.len, p[3], *p. A TYPE is u8 to u64, s8 to s64, x8 to x64,
// bool, char, ptr, string or buf[N].
//
// Errors are *SyntaxError.
func Parse(text string) (*Spec, error) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(text, p.word); ok {
			ps := parser{text: text, at: len(text) - len(rest), spec: &Spec{Text: text, Kind: p.kind}}
			return ps.parse()
		}
	}
	return nil, &SyntaxError{Text: text, Msg: "want uprobe:BINARY:FUNCTION, uretprobe:BINARY:FUNCTION or usdt:BINARY:PROVIDER:NAME"}
}

// ParseIn reads what perf takes behind -x BINARY: FUNCTION, FUNCTION%return or
// sdt_PROVIDER:NAME, and what [Parse] takes behind the binary.
func ParseIn(binary, text string) (*Spec, error) {
	if IsSpec(text) {
		s, err := Parse(text)
		if err == nil && s.Binary == "" {
			s.Binary = binary
		}
		return s, err
	}
	s := &Spec{Text: text, Binary: binary}
	ps := parser{text: text, spec: s}
	if rest, ok := strings.CutPrefix(text, "sdt_"); ok && strings.Contains(text, ":") {
		s.Kind, ps.at = USDT, len(text)-len(rest)
		return s, ps.static()
	}
	return s, ps.function()
}

// parser reads a probe from left to right.
type parser struct {
	text string
	spec *Spec
	at   int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Text: p.text, Pos: at, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) parse() (*Spec, error) {
	binary, err := p.binary()
	if err != nil {
		return nil, err
	}
	p.spec.Binary = binary
	if p.spec.Kind == USDT {
		err = p.static()
	} else {
		err = p.function()
	}
	if err != nil {
		return nil, err
	}
	return p.spec, nil
}

// binary reads up to and with the colon behind the binary.
func (p *parser) binary() (string, error) {
	begin := p.at
	if name, ok, err := p.quoted(); err != nil {
		return "", err
	} else if ok {
		if p.at == len(p.text) || p.text[p.at] != ':' {
			return "", p.fail(p.at, "want ':' and a function behind the binary")
		}
		p.at++
		return name, p.plain(name, begin)
	}
	i := strings.IndexByte(p.text[p.at:], ':')
	if i < 0 {
		return "", p.fail(len(p.text), "want ':' and a function behind the binary")
	}
	name := p.text[p.at : p.at+i]
	p.at += i + 1
	return name, p.plain(name, begin)
}

// plain refuses what no path and no name has.
func (p *parser) plain(s string, at int) error {
	if i := strings.IndexAny(s, "\x00\n"); i >= 0 {
		return p.fail(at+i, "a NUL byte or a line break")
	}
	return nil
}

// quoted reads "..." or '...', with no escapes within.
func (p *parser) quoted() (s string, ok bool, err error) {
	if p.at == len(p.text) || p.text[p.at] != '"' && p.text[p.at] != '\'' {
		return "", false, nil
	}
	q := p.text[p.at]
	end := strings.IndexByte(p.text[p.at+1:], q)
	if end < 0 {
		return "", false, p.fail(p.at, "a quote that does not close")
	}
	s = p.text[p.at+1 : p.at+1+end]
	p.at += end + 2
	return s, true, nil
}

// function reads FUNCTION[+OFFSET|%return][(...)] to the end.
func (p *parser) function() error {
	s := p.spec
	begin := p.at
	name, quoted, err := p.quoted()
	if err != nil {
		return err
	}
	rest := p.text[p.at:]
	if !quoted {
		// The argument list is the last group of parentheses, where it reads as one:
		// ns::f(int) is a signature, ns::f(x) has an argument.
		if at, ok := unclosed(rest); ok {
			return p.fail(p.at+at, "a parenthesis that does not close")
		}
		open := lastGroup(rest)
		if open >= 0 {
			args, err := p.arguments(p.at+open+1, len(p.text)-1)
			switch {
			case err == nil && !signature(args):
				s.Args, s.HasArgs = args, true
				rest = rest[:open]
			case err != nil && !looksLikeSignature(rest[open+1:len(rest)-1]):
				return err
			}
		}
		name = rest
		name, err = p.suffixes(name, begin)
		if err != nil {
			return err
		}
	} else {
		s.Quoted = true
		open := lastGroup(rest)
		if open >= 0 {
			if s.Args, err = p.arguments(p.at+open+1, len(p.text)-1); err != nil {
				return err
			}
			s.HasArgs = true
			rest = rest[:open]
		}
		tail, err := p.suffixes(rest, p.at)
		if err != nil {
			return err
		}
		if tail != "" {
			return p.fail(p.at, "%q behind the quoted name: want +OFFSET, %%return or (ARGUMENTS)", tail)
		}
	}
	if err := p.plain(name, begin); err != nil {
		return err
	}
	if name == "" {
		return p.fail(begin, "no function is named; 'perfpipe probes -x BINARY' lists those that there are")
	}
	if !quoted && strings.HasPrefix(name, "0x") {
		addr, err := strconv.ParseUint(name[2:], 16, 64)
		if err != nil {
			return p.fail(begin, "%q is no address", name)
		}
		s.Addr, s.HasAddr = addr+s.Offset, true
		s.Offset = 0
		return p.settle(begin)
	}
	s.Func = name
	return p.settle(begin)
}

// settle checks what several parts say together.
func (p *parser) settle(at int) error {
	s := p.spec
	if s.Kind == Return && s.Offset != 0 {
		return p.fail(at, "a return has no offset: it is wherever the function returns")
	}
	return nil
}

// suffixes takes +OFFSET and %return from the end of a function.
func (p *parser) suffixes(name string, at int) (string, error) {
	s := p.spec
	if head, ok := strings.CutSuffix(name, "%return"); ok {
		s.Kind, name = Return, head
	}
	i := strings.LastIndexByte(name, '+')
	if i < 0 || i+1 == len(name) || name[i+1] < '0' || name[i+1] > '9' {
		return name, nil
	}
	off, err := strconv.ParseUint(name[i+1:], 0, 63)
	if err != nil {
		return "", p.fail(at+i+1, "%q is no offset", name[i+1:])
	}
	s.Offset = off
	name = name[:i]
	if strings.HasSuffix(name, "%return") {
		s.Kind = Return // which has no offset
	}
	return name, nil
}

// unclosed returns where the first parenthesis is that nothing closes.
func unclosed(text string) (at int, ok bool) {
	var open []int
	for i := range len(text) {
		switch {
		case text[i] == '(':
			open = append(open, i)
		case text[i] == ')' && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0, false
	}
	return open[0], true
}

// lastGroup returns where the group of parentheses that ends text begins, -1 without one.
func lastGroup(text string) int {
	if !strings.HasSuffix(text, ")") {
		return -1
	}
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// cWords are words that begin or are a C++ parameter's type and no parameter's name.
var cWords = [...]string{"int", "char", "bool", "long", "short", "unsigned", "signed", "float", "double", "void", "const", "wchar_t", "size_t", "..."}

// signature reports whether args are a C++ function's parameter types.
func signature(args []Arg) bool {
	for _, a := range args {
		for _, w := range cWords {
			if a.Name == "" && a.Base == w && len(a.Path) == 0 && a.Type == "" {
				return true
			}
		}
	}
	return false
}

// looksLikeSignature reports whether text, which does not read as arguments, has
// what parameter types have: blanks between words, '&', '*' behind a name, "::".
func looksLikeSignature(text string) bool {
	if strings.Contains(text, "::") || strings.ContainsAny(text, "&<") || strings.Contains(text, "...") {
		return true
	}
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		if strings.Contains(part, "=") {
			continue
		}
		if strings.HasSuffix(part, "*") && len(part) > 1 || strings.HasSuffix(part, "const") {
			return true
		}
		for _, w := range strings.Fields(part) {
			for _, c := range cWords {
				if w == c {
					return true
				}
			}
		}
	}
	return false
}

// static reads [PROVIDER:]NAME[(...)].
func (p *parser) static() error {
	s := p.spec
	begin := p.at
	rest := p.text[p.at:]
	if open := strings.IndexByte(rest, '('); open >= 0 {
		if !strings.HasSuffix(rest, ")") {
			return p.fail(len(p.text), "want ')' at the end of the arguments")
		}
		args, err := p.arguments(p.at+open+1, len(p.text)-1)
		if err != nil {
			return err
		}
		s.Args, s.HasArgs = args, true
		rest = rest[:open]
	}
	if err := p.plain(rest, begin); err != nil {
		return err
	}
	s.Provider, s.Name = "*", rest
	if provider, name, ok := strings.Cut(rest, ":"); ok {
		s.Provider, s.Name = provider, name
	}
	if s.Name == "" || s.Provider == "" {
		return p.fail(begin, "no probe is named: want usdt:BINARY:PROVIDER:NAME; 'perfpipe probes -x BINARY' lists those that there are")
	}
	return nil
}

// SplitList splits a list of events and probes at its commas, but for those in
// quotes, parentheses, brackets and braces. Blanks around are taken away; empty
// parts are kept, for the caller to refuse.
func SplitList(text string) []string {
	var list []string
	depth, begin := 0, 0
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth = max(0, depth-1)
		case c == ',' && depth == 0:
			list = append(list, strings.TrimSpace(text[begin:i]))
			begin = i + 1
		}
	}
	return append(list, strings.TrimSpace(text[begin:]))
}
