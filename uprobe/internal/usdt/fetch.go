package usdt

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

// maxArray is MAX_ARRAY_LEN of kernel/trace/trace_probe.h.
const maxArray = 64

// Fetch returns how the kernel is asked for the operand under that name. typ is the
// type that the user gave: u8 to u64, s8 to s64, x8 to x64, bool, char, ptr, string,
// buf (n bytes, 1 to 64, at the address that the operand is), or "" for the operand's own.
//
// An operand with no expression is no error: the argument's Null says why it never
// has a value. A type that does not fit the operand is one.
func (o Operand) Fetch(name, typ string, n int) (fetch.Arg, error) {
	a := fetch.Arg{Name: name, Expr: o.Expr, Null: o.Reason}
	switch typ {
	case "string", "buf":
		return o.fetchPointee(a, typ, n)
	case "":
		a.Type = o.integer("")
		if o.Float {
			a.Float = o.Size
			a.CType = map[int]string{4: "float", 8: "double"}[o.Size]
		}
		return a, nil
	case "bool":
		a.CType, typ = "bool", "u8"
	case "char":
		a.CType, typ = "char", "s8"
	case "ptr":
		typ = "x64"
	}
	bits, err := strconv.Atoi(typ[1:])
	if !strings.Contains("usx", typ[:1]) || err != nil || bits != 8 && bits != 16 && bits != 32 && bits != 64 {
		return a, fmt.Errorf("fetch argument %s: type %q is none of u8 to u64, s8 to s64, x8 to x64, bool, char, ptr, string, buf", name, typ)
	}
	if bits > 8*o.Size {
		return a, fmt.Errorf("fetch argument %s: %s is wider than the %d bytes of %s; ask for %s, or for no type", name, typ, o.Size, o.Text, o.integer(typ[:1]))
	}
	narrow := o
	narrow.Size = bits / 8
	a.Type = narrow.integer(typ[:1])
	if o.Expr == "" {
		return a, nil
	}
	switch o.place {
	case isConstant:
		a.Expr = narrow.again(typ[0] == 's')
	case inHighByte:
		if typ[0] == 's' {
			a.Expr, a.Null = "", "the kernel takes no sign from a part of a register"
		}
	}
	return a, nil
}

// again is the constant, cut to o's size and of that sign.
func (o Operand) again(signed bool) string {
	v, _ := parseInt(strings.TrimPrefix(o.Expr, `\`))
	shift := 64 - 8*o.Size
	if signed {
		return `\` + strconv.FormatInt(int64(v<<shift)>>shift, 10)
	}
	return `\` + strconv.FormatUint(v<<shift>>shift, 10)
}

// fetchPointee takes what the operand points to.
func (o Operand) fetchPointee(a fetch.Arg, typ string, n int) (fetch.Arg, error) {
	a.Type = typ
	if typ == "buf" {
		if n < 1 || n > maxArray {
			return a, fmt.Errorf("fetch argument %s: buf[%d] is not within 1 to %d bytes; ask for buf[%d]", a.Name, n, maxArray, maxArray)
		}
		a.Type = fmt.Sprintf("u8[%d]", n)
	}
	switch {
	case o.Expr == "":
		return a, nil
	case o.place == isConstant:
		return a, fmt.Errorf("fetch argument %s: %s is a constant, no address of a %s; ask for no type", a.Name, o.Text, typ)
	case o.Size != 8 || o.Float:
		return a, fmt.Errorf("fetch argument %s: %s is no address: a %s needs a pointer of 8 bytes; ask for no type", a.Name, o.Text, typ)
	}
	a.Expr = "+0(" + o.Expr + ")"
	return a, nil
}

// integer is the kernel's type of o's size: prefix u, s or x, "" for the operand's sign.
func (o Operand) integer(prefix string) string {
	if o.place == inHighByte && o.Expr != "" {
		return "b8@8/64"
	}
	if prefix == "" {
		prefix = "u"
		if o.Signed && !o.Float {
			prefix = "s"
		}
	}
	return prefix + strconv.Itoa(8*o.Size)
}
