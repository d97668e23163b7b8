package bpf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// expr is a fetch expression: a register or a constant, and the reads of memory that
// follow from the inside out, each at an offset from the value before it.
type expr struct {
	// reg is the register's offset in struct pt_regs, -1 for a constant.
	reg    int16
	value  int64
	derefs []int32
}

// maxDerefs bounds the reads one behind the other. The kernel's own line has room for 15.
const maxDerefs = 15

// register returns the offset of a register in struct pt_regs of x86-64
// (arch/x86/include/asm/ptrace.h), by the name it has in uprobe_events.
func register(name string) (int16, bool) {
	names := [...]string{"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss"}
	for i, n := range names {
		if n == name {
			return int16(i * 8), true
		}
	}
	return 0, false
}

// parseExpr reads a fetch expression.
func parseExpr(text string) (e expr, err error) {
	s := text
	var outside []int32
	for len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		open := strings.IndexByte(s, '(')
		if open < 0 || s[len(s)-1] != ')' {
			return e, fmt.Errorf("fetch %q: it is no +OFFSET(EXPRESSION)", text)
		}
		off, err := strconv.ParseInt(s[:open], 0, 32)
		if err != nil {
			return e, fmt.Errorf("fetch %q: %q is no offset of 32 bits", text, s[:open])
		}
		outside = append(outside, int32(off))
		s = s[open+1 : len(s)-1]
	}
	sp, _ := register("sp")
	switch {
	case strings.HasPrefix(s, "%"):
		reg, ok := register(s[1:])
		if !ok {
			return e, fmt.Errorf("fetch %q: %q is no register of x86-64", text, s)
		}
		e.reg = reg
	case s == "$retval":
		e.reg, _ = register("ax")
	case s == "$stack":
		e.reg = sp
	case strings.HasPrefix(s, "$stack"):
		n, err := strconv.ParseUint(s[len("$stack"):], 10, 16)
		if err != nil {
			return e, fmt.Errorf("fetch %q: %q is no word of the stack", text, s)
		}
		e.reg = sp
		e.derefs = append(e.derefs, int32(n)*8)
	case strings.HasPrefix(s, `\`):
		v, err := strconv.ParseInt(s[1:], 0, 64)
		if err != nil {
			u, uerr := strconv.ParseUint(s[1:], 0, 64)
			if uerr != nil {
				return e, fmt.Errorf("fetch %q: %q is no number", text, s[1:])
			}
			v = int64(u)
		}
		e.reg, e.value = -1, v
	default:
		return e, fmt.Errorf("fetch %q: a program cannot say %q", text, s)
	}
	for i := len(outside) - 1; i >= 0; i-- {
		e.derefs = append(e.derefs, outside[i])
	}
	if len(e.derefs) > maxDerefs {
		return e, fmt.Errorf("fetch %q: more than %d reads of memory one behind the other", text, maxDerefs)
	}
	return e, nil
}

// valueType is a fetch type.
type valueType struct {
	// size is that of one element, count how many an array has, 0 for none.
	size, count int
	// bits and shift are of a bitfield, bits 0 for none.
	bits, shift int
	text        bool
}

// bytes is what the field takes in place.
func (t valueType) bytes() int {
	if t.text {
		return 4
	}
	return t.size * max(1, t.count)
}

// maxArray is the kernel's MAX_ARRAY_LEN, kernel/trace/trace_probe.h.
const maxArray = 64

// parseType reads a fetch type: u8 to u64, s8 to s64, x8 to x64, arrays of them,
// bWIDTH@OFFSET/SIZE and string.
func parseType(text string) (t valueType, err error) {
	s := text
	if s == "string" {
		t.text = true
		return t, nil
	}
	if open := strings.IndexByte(s, '['); open >= 0 {
		n, err := strconv.ParseUint(strings.TrimSuffix(s[open+1:], "]"), 10, 16)
		if err != nil || s[len(s)-1] != ']' || n < 1 || n > maxArray {
			return t, fmt.Errorf("fetch type %q: an array has 1 to %d elements", text, maxArray)
		}
		t.count, s = int(n), s[:open]
	}
	bits := ""
	if strings.HasPrefix(s, "b") {
		if bits, err = bitfield(s[1:], &t); err != nil {
			return t, fmt.Errorf("fetch type %q: %w", text, err)
		}
	} else if len(s) > 1 && strings.IndexByte("usx", s[0]) >= 0 {
		bits = s[1:]
	}
	switch bits {
	case "8", "16", "32", "64":
		n, _ := strconv.Atoi(bits)
		t.size = n / 8
	default:
		return t, fmt.Errorf("fetch type %q: a program has none of that name", text)
	}
	if t.bits > 0 && (t.count > 0 || t.bits+t.shift > t.size*8) {
		return t, fmt.Errorf("fetch type %q: the bits do not lie within", text)
	}
	return t, nil
}

// bitfield reads WIDTH@OFFSET/SIZE and returns the size.
func bitfield(s string, t *valueType) (size string, err error) {
	width, s, ok1 := strings.Cut(s, "@")
	shift, size, ok2 := strings.Cut(s, "/")
	w, err1 := strconv.ParseUint(width, 10, 7)
	o, err2 := strconv.ParseUint(shift, 10, 7)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || w == 0 || w > 64 {
		return "", errors.New("it is no bWIDTH@OFFSET/SIZE")
	}
	t.bits, t.shift = int(w), int(o)
	return size, nil
}
