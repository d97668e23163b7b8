package uprobe

import (
	"strconv"
	"strings"
)

// maxArgs is the kernel's limit of arguments (MAX_TRACE_ARGS, kernel/trace/trace_probe.h).
const maxArgs = 128

// maxBuf is the largest buf[N]: an array of 64 words (MAX_ARRAY_LEN).
const maxBuf = 512

// argTypes are the types that may stand behind a colon.
var argTypes = [...]string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "x8", "x16", "x32", "x64", "bool", "char", "ptr", "string"}

// arguments reads the arguments between the bytes from and to of the text.
func (p *parser) arguments(from, to int) ([]Arg, error) {
	var list []Arg
	if strings.TrimSpace(p.text[from:to]) == "" {
		return list, nil
	}
	for from <= to {
		end := from
		for depth := 0; end < to && (depth > 0 || p.text[end] != ','); end++ {
			switch p.text[end] {
			case '[', '(':
				depth++
			case ']', ')':
				depth--
			}
		}
		a, err := p.argument(from, end)
		if err != nil {
			return nil, err
		}
		if list = append(list, a); len(list) > maxArgs {
			return nil, p.fail(from, "more than %d arguments", maxArgs)
		}
		from = end + 1
	}
	return list, nil
}

// argument reads [NAME=]VALUE[:TYPE].
func (p *parser) argument(from, to int) (Arg, error) {
	from, to = p.trim(from, to)
	a := Arg{Pos: from}
	if from == to {
		return a, p.fail(from, "an argument is missing")
	}
	if i := strings.IndexByte(p.text[from:to], '='); i >= 0 {
		lo, hi := p.trim(from, from+i)
		a.Name = p.text[lo:hi]
		if !identifier(a.Name) {
			return a, p.fail(lo, "%q is no name for a column: letters, digits and _, the first no digit", a.Name)
		}
		from, _ = p.trim(from+i+1, to)
	}
	if i := strings.LastIndexByte(p.text[from:to], ':'); i >= 0 {
		lo, hi := p.trim(from+i+1, to)
		if err := p.typ(&a, lo, hi); err != nil {
			return a, err
		}
		_, to = p.trim(from, from+i)
	}
	return a, p.value(&a, from, to)
}

// trim moves both ends past blanks.
func (p *parser) trim(from, to int) (int, int) {
	for from < to && (p.text[from] == ' ' || p.text[from] == '\t') {
		from++
	}
	for from < to && (p.text[to-1] == ' ' || p.text[to-1] == '\t') {
		to--
	}
	return from, to
}

// typ reads a TYPE.
func (p *parser) typ(a *Arg, from, to int) error {
	t := p.text[from:to]
	if n, ok := strings.CutPrefix(t, "buf["); ok && strings.HasSuffix(n, "]") {
		v, err := strconv.Atoi(n[:len(n)-1])
		if err != nil || v < 1 || v > maxBuf {
			return p.fail(from, "%q: a buffer has 1 to %d bytes", t, maxBuf)
		}
		a.Type, a.Len = "buf", v
		return nil
	}
	for _, k := range argTypes {
		if t == k {
			a.Type = t
			return nil
		}
	}
	return p.fail(from, "%q is no type: want %s or buf[N]", t, strings.Join(argTypes[:], " "))
}

// value reads a VALUE: stars, a base, members.
func (p *parser) value(a *Arg, from, to int) error {
	begin := from
	stars := 0
	for from < to && p.text[from] == '*' {
		stars++
		from, _ = p.trim(from+1, to)
	}
	if from == to && stars == 1 {
		if a.Name != "" || a.Type != "" {
			return p.fail(begin, "* is all parameters: it has no name and no type")
		}
		a.Base = "*"
		return nil
	}
	if from < to && p.text[from] == '(' {
		return p.fail(from, "no parentheses: (*p)->id is p[0]->id")
	}
	at := from
	if at < to && p.text[at] == '%' {
		at++
	}
	at = p.word(at, to)
	a.Base = p.text[from:at]
	if a.Base == "" || a.Base == "%" {
		return p.fail(from, "want a parameter, arg0 by position, ret, a %%register, or *")
	}
	if c := a.Base[0]; c >= '0' && c <= '9' {
		return p.fail(from, "%q: a parameter's name does not begin with a digit; by position it is arg%s", a.Base, a.Base)
	}
	for at < to {
		switch {
		case strings.HasPrefix(p.text[at:to], "->"), p.text[at] == '.':
			kind, n := StepMember, 1
			if p.text[at] == '-' {
				kind, n = StepArrow, 2
			}
			end := p.word(at+n, to)
			if end == at+n {
				return p.fail(at+n, "want the name of a member")
			}
			a.Path = append(a.Path, Step{Kind: kind, Name: p.text[at+n : end]})
			at = end
		case p.text[at] == '[':
			end := strings.IndexByte(p.text[at:to], ']')
			if end < 0 {
				return p.fail(at, "a bracket that does not close")
			}
			v, err := strconv.Atoi(p.text[at+1 : at+end])
			if err != nil || v < 0 || v > 1<<24 {
				return p.fail(at+1, "%q is no index", p.text[at+1:at+end])
			}
			a.Path = append(a.Path, Step{Kind: StepIndex, Index: v})
			at += end + 1
		default:
			return p.fail(at, "unexpected %q; members are r->id, r.id, r[3]", p.text[at:to])
		}
	}
	for range stars {
		a.Path = append(a.Path, Step{Kind: StepDeref})
	}
	return nil
}

// word returns the end of the identifier that begins at at.
func (p *parser) word(at, to int) int {
	for at < to && identByte(p.text[at]) {
		at++
	}
	return at
}

func identByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// identifier reports whether s can name a field: the kernel's rule (is_good_name,
// kernel/trace/trace_probe.h), and its length (MAX_ARG_NAME_LEN less the NUL).
func identifier(s string) bool {
	if s == "" || len(s) > 31 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !identByte(s[i]) || s[i] >= 0x80 {
			return false
		}
	}
	return true
}
