package usdt

import (
	"fmt"
	"strconv"
	"strings"
)

// Operand is one argument at one site: an operand of x86-64 assembly in AT&T's
// syntax, with its size and sign before an "@": "-4@%edx", "8@-80(%rbx)", "1@$5".
type Operand struct {
	// Text is the operand as the note has it.
	Text string
	// Size is that of the value in bytes: 1, 2, 4 or 8, and never more than the
	// register that it is in. Without an "@" it is that of the register, else 8.
	Size int
	// Signed is a "-" before the size; Float an "f" behind it: the bits are those of
	// an IEEE number, also where they are in a general register.
	Signed, Float bool
	// Expr is the kernel's fetch expression: "%dx", "-80(%bx)", "@+0x4010", "\\-5".
	// It is "" where the kernel has no way to say it; Reason then says why.
	Expr, Reason string

	place place
}

// place is what kind of thing an operand names.
type place uint8

const (
	inRegister place = iota
	inHighByte       // bits 8 to 15 of a register: %ah
	inMemory
	isConstant
)

// maxOperands is how many operands of a note are read; sys/sdt.h makes at most 12.
const maxOperands = 64

// ParseOperands reads the arguments of a note. resolve finds a symbol of an operand
// such as NBuffers(%rip); what it returns stands behind "@+" in the fetch expression,
// the offset in the file (through the segment that holds the probe's code). nil finds none.
//
// An operand that the kernel cannot fetch is no error but has a Reason. An error means
// that the text cannot be split into operands.
func ParseOperands(s string, resolve func(name string) (offset uint64, ok bool)) ([]Operand, error) {
	words, err := split(s)
	if err != nil {
		return nil, err
	}
	operands := make([]Operand, 0, len(words))
	for _, w := range words {
		operands = append(operands, parseOperand(w, resolve))
	}
	return operands, nil
}

// split cuts s at its blanks that are in no parentheses or brackets.
func split(s string) ([]string, error) {
	var words []string
	depth, from := 0, -1
	for i := 0; i <= len(s); i++ {
		blank := i == len(s)
		if !blank {
			switch s[i] {
			case '(', '[':
				depth++
			case ')', ']':
				if depth--; depth < 0 {
					return nil, fmt.Errorf("read operands %q: byte %d closes a parenthesis that is not open", s, i)
				}
			case ' ', '\t':
				blank = depth == 0
			}
		}
		switch {
		case !blank && from < 0:
			from = i
		case blank && from >= 0:
			words, from = append(words, s[from:i]), -1
		}
		if len(words) > maxOperands {
			return nil, fmt.Errorf("read operands: there are more than %d", maxOperands)
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("read operands %q: a parenthesis is not closed", s)
	}
	return words, nil
}

// without returns the operand with no expression, for that reason.
func (o Operand) without(reason string) Operand {
	o.Expr, o.Reason = "", reason
	return o
}

func parseOperand(text string, resolve func(string) (uint64, bool)) Operand {
	o := Operand{Text: text, Size: 8, place: inMemory}
	body, sized := text, false
	if head, tail, found := strings.Cut(text, "@"); found && isSize(head) {
		body, sized = tail, true
		o.Signed = head[0] == '-'
		head = strings.TrimPrefix(head, "-")
		o.Float = strings.HasSuffix(head, "f")
		n, _ := strconv.Atoi(strings.TrimSuffix(head, "f"))
		o.Size = n
		if n != 1 && n != 2 && n != 4 && n != 8 {
			o.Size = 8
			return o.without(fmt.Sprintf("a value of %d bytes is wider than what a probe fetches at once", n))
		}
		if o.Float && n < 4 {
			return o.without(fmt.Sprintf("a floating-point number of %d bytes is not known here", n))
		}
	}
	switch {
	case body == "":
		return o.without("the operand is empty")
	case body[0] == '%' && (!strings.ContainsAny(body, ":(") || vectorReason(body[1:]) != ""):
		return o.register(body[1:], sized)
	case body[0] == '$':
		return o.constant(body[1:])
	}
	return o.memory(body, resolve)
}

// isSize reports whether s is what stands before an "@": "8", "-4", "8f". A symbol's
// version ("foo@GOTPCREL") is none.
func isSize(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "-"), "f")
	return len(s) >= 1 && len(s) <= 3 && strings.Trim(s, "0123456789") == ""
}

func (o Operand) register(name string, sized bool) Operand {
	o.place = inRegister
	if r := vectorReason(name); r != "" {
		return o.without(r)
	}
	r, ok := registers[name]
	if !ok {
		return o.without(fmt.Sprintf("register %%%s is none that a probe sees", name))
	}
	if !sized || r.size < o.Size {
		o.Size = r.size
	}
	if o.Float && o.Size < 4 {
		return o.without(fmt.Sprintf("register %%%s is too small for a floating-point number", name))
	}
	if r.high {
		o.place = inHighByte
		if o.Signed {
			return o.without(fmt.Sprintf("the kernel takes the sign from no part of a register, and %%%s is bits 8 to 15 of %%%s", name, r.kernel))
		}
	}
	o.Expr = "%" + r.kernel
	return o
}

func (o Operand) constant(text string) Operand {
	o.place = isConstant
	v, ok := parseInt(text)
	if !ok {
		return o.without(fmt.Sprintf("$%s is the address of a symbol, which only the running program knows", text))
	}
	if o.Float {
		o.Expr = `\` + strconv.FormatUint(v, 10)
		return o
	}
	// Cut to the operand's size, as the program would: "1@$-1" is 255.
	shift := 64 - 8*o.Size
	if o.Signed || strings.HasPrefix(o.Text, "$") {
		o.Signed = true
		o.Expr = `\` + strconv.FormatInt(int64(v<<shift)>>shift, 10)
		return o
	}
	o.Expr = `\` + strconv.FormatUint(v<<shift>>shift, 10)
	return o
}

func (o Operand) memory(body string, resolve func(string) (uint64, bool)) Operand {
	if strings.ContainsRune(body, ':') {
		return o.without("memory in a segment (%fs, %gs: thread-local variables) is none that a probe can fetch")
	}
	disp, inner, indirect := strings.Cut(body, "(")
	if !indirect {
		return o.without(fmt.Sprintf("%s is no operand that is known here", body))
	}
	inner, after, closed := strings.Cut(inner, ")")
	if !closed || after != "" {
		return o.without(fmt.Sprintf("%s is no operand that is known here", body))
	}
	inner = strings.TrimSpace(inner)
	if strings.ContainsRune(inner, ',') {
		return o.without("a scaled index (base + index * scale) is nothing that a probe can fetch")
	}
	symbol, off, ok := displacement(disp)
	switch {
	case !ok:
		return o.without(fmt.Sprintf("displacement %q is none that is known here", disp))
	case strings.ContainsRune(symbol, '@'):
		return o.without(fmt.Sprintf("%s goes through a table of the dynamic linker", symbol))
	case inner == "%rip" && symbol == "":
		return o.without("an address relative to the instruction, with no symbol, is none that can be found again")
	case inner == "%rip":
		return o.global(symbol, off, resolve)
	case symbol != "":
		return o.without(fmt.Sprintf("an address of symbol %s plus a register is nothing that a probe can fetch", symbol))
	}
	r, known := registers[strings.TrimPrefix(inner, "%")]
	if !known || inner[0] != '%' || r.size != 8 {
		return o.without(fmt.Sprintf("base %q is no 64-bit register that a probe sees", inner))
	}
	o.Expr = fmt.Sprintf("%+d(%%%s)", off, r.kernel)
	return o
}

// global is the variable off bytes behind symbol.
func (o Operand) global(symbol string, off int64, resolve func(string) (uint64, bool)) Operand {
	if resolve == nil {
		return o.without(fmt.Sprintf("symbol %s is not found: the file is stripped of it", symbol))
	}
	at, ok := resolve(symbol)
	if !ok {
		return o.without(fmt.Sprintf("symbol %s is not found, or is several: without the file's symbol table (.symtab) nothing says where it is", symbol))
	}
	at += uint64(off)
	if int64(at) < 0 {
		return o.without(fmt.Sprintf("symbol %s lies before the file's beginning", symbol))
	}
	o.Expr = fmt.Sprintf("@+%#x", at)
	return o
}

// displacement reads "", "-80", "symbol", "symbol+16", "44+symbol", "symbol-4+8".
func displacement(s string) (symbol string, off int64, ok bool) {
	for rest, first := strings.TrimSpace(s), true; rest != ""; first = false {
		sign := ""
		if rest[0] == '+' || rest[0] == '-' {
			sign, rest = rest[:1], rest[1:]
		} else if !first {
			return "", 0, false
		}
		end := strings.IndexAny(rest, "+-")
		if end < 0 {
			end = len(rest)
		}
		term := rest[:end]
		rest = rest[end:]
		if v, isInt := parseInt(term); isInt && term[0] != '-' {
			if sign == "-" {
				v = -v
			}
			off += int64(v)
			continue
		}
		if symbol != "" || sign == "-" || !isSymbol(term) {
			return "", 0, false
		}
		symbol = term
	}
	return symbol, off, true
}

func isSymbol(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '.' || c == '$' || c == '@' || c >= 0x80
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// parseInt reads a number of the assembler: decimal, 0x, 0 for octal, possibly with
// "-". Negative numbers are two's complement.
func parseInt(s string) (uint64, bool) {
	if strings.ContainsAny(s, "_+oOB") {
		return 0, false
	}
	if v, err := strconv.ParseUint(s, 0, 64); err == nil {
		return v, true
	}
	v, err := strconv.ParseInt(s, 0, 64)
	return uint64(v), err == nil
}
