package tracefs

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// decl is the C declaration of a field, taken apart.
type decl struct {
	name string
	// base is the type without name, array part and __data_loc or __rel_loc.
	base string
	// dims is the array part with its brackets, "" where there is none.
	dims string
	loc  perfpipe.Loc
	// pointer: the (element's) type is a pointer to data or to a function.
	pointer bool
}

// parseDecl takes apart "char prev_comm[16]", "__data_loc char[] name",
// "void (*fn)(int)", "void (*)(int) fn", "const void* p".
func parseDecl(s string) (decl, error) {
	s = strings.TrimSpace(s)
	d := decl{}
	orig := s
	s, dims, ok := cutDims(s)
	if !ok {
		return d, fmt.Errorf("field %.60q: brackets do not match", orig)
	}
	if fn, name, rest, ok := cutFunc(s); ok {
		d.name, d.base, d.pointer = name, fn+rest, true
	} else {
		i := len(s)
		for i > 0 && isIdent(s[i-1]) {
			i--
		}
		d.name, d.base = s[i:], strings.TrimSpace(s[:i])
	}
	if d.name == "" || d.name[0] >= '0' && d.name[0] <= '9' {
		return d, fmt.Errorf("field %.60q has no name", orig)
	}
	if d.base == "" {
		return d, fmt.Errorf("field %s has no type", d.name)
	}
	for _, l := range []struct {
		word string
		loc  perfpipe.Loc
	}{{"__data_loc", perfpipe.LocData}, {"__rel_loc", perfpipe.LocRel}} {
		if rest, ok := strings.CutPrefix(d.base, l.word); ok && (rest == "" || rest[0] == ' ') {
			d.base, d.loc = strings.TrimSpace(rest), l.loc
		}
	}
	base, inner, ok := cutDims(d.base)
	if !ok {
		return d, fmt.Errorf("field %.60q: brackets do not match", orig)
	}
	d.base, d.dims = base, inner+dims
	if strings.Contains(d.base, "*") {
		d.pointer = true
	}
	return d, nil
}

// cutDims cuts trailing [..][..] off s. ok is false where brackets do not match.
func cutDims(s string) (rest, dims string, ok bool) {
	rest = strings.TrimSpace(s)
	for strings.HasSuffix(rest, "]") {
		depth, i := 0, len(rest)-1
		for ; i >= 0; i-- {
			switch rest[i] {
			case ']':
				depth++
			case '[':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		if i < 0 {
			return s, "", false
		}
		dims = rest[i:] + dims
		rest = strings.TrimSpace(rest[:i])
	}
	return rest, dims, true
}

// cutFunc finds the name in "void (*fn)(int)"; the type is "void (*)(int)".
func cutFunc(s string) (before, name, after string, ok bool) {
	if !strings.HasSuffix(s, ")") {
		return "", "", "", false
	}
	i := strings.Index(s, "(*")
	if i < 0 {
		return "", "", "", false
	}
	j := i + 2
	for j < len(s) && (s[j] == ' ' || s[j] == '*') {
		j++
	}
	k := j
	for k < len(s) && isIdent(s[k]) {
		k++
	}
	if k == j || k >= len(s) || s[k] != ')' {
		return "", "", "", false
	}
	return s[:j], s[j:k], s[k:], true
}

func isIdent(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// ctype writes the type as the kernel keeps it: "__data_loc char[]", "char[16]".
func (d *decl) ctype() string {
	switch d.loc {
	case perfpipe.LocData:
		return "__data_loc " + d.base + d.dims
	case perfpipe.LocRel:
		return "__rel_loc " + d.base + d.dims
	}
	return d.base + d.dims
}

// plain returns the base type without qualifiers.
func (d *decl) plain() string {
	w := strings.Fields(d.base)
	out := w[:0]
	for _, x := range w {
		if x != "const" && x != "volatile" {
			out = append(out, x)
		}
	}
	return strings.Join(out, " ")
}

// count returns the number of elements that dims say; ok is false where that is
// no number (a macro's name, a sizeof, empty brackets).
func (d *decl) count() (n int, ok bool) {
	n = 1
	for rest := d.dims; rest != ""; {
		i := strings.IndexByte(rest, ']')
		if i < 1 {
			return 0, false
		}
		v, err := strconv.ParseUint(strings.TrimSpace(rest[1:i]), 0, 31)
		if err != nil || v == 0 || v > maxRecord {
			return 0, false
		}
		n *= int(v)
		if n > maxRecord {
			return 0, false
		}
		rest = rest[i+1:]
	}
	return n, true
}

// signedType is the sign of the C type, for files that do not say it.
func (d *decl) signedType() bool {
	if d.pointer {
		return false
	}
	t, ok := scalarType(d.plain())
	return ok && t.signed
}

// classify sets the kind and shape of f, whose Offset, Size and Signed are set.
func (d *decl) classify(f *perfpipe.Field) error {
	f.Loc = d.loc
	plain := d.plain()
	if d.loc != perfpipe.LocStatic {
		if f.Size != 4 {
			return fmt.Errorf("field %s: %s of %d bytes, want 4", f.Name, d.ctype(), f.Size)
		}
		d.dynamic(f, plain)
		return nil
	}
	if isCPUMask(plain) && d.dims == "" && f.Size > 0 && f.Size%8 == 0 {
		f.Kind, f.ElemSize, f.Count, f.Signed = perfpipe.KindCPUMask, 8, 1, false
		return nil
	}
	if d.dims == "" {
		f.ElemSize, f.Count = f.Size, 1
		f.Kind = d.scalar(plain, f.Size, f.Signed)
		return nil
	}
	if plain == "char" && !d.pointer {
		f.Kind, f.ElemSize, f.Count = perfpipe.KindString, 1, 1
		return nil
	}
	f.ElemSize, f.Count = d.elements(plain, f.Size)
	f.Array = true
	f.Kind = d.scalar(plain, f.ElemSize, f.Signed)
	return nil
}

// dynamic classifies what a __data_loc or __rel_loc points to.
func (d *decl) dynamic(f *perfpipe.Field, plain string) {
	f.Count = 1
	switch {
	case plain == "char" && !d.pointer:
		f.Kind, f.ElemSize = perfpipe.KindString, 1
		return
	case isCPUMask(plain):
		f.Kind, f.ElemSize, f.Signed = perfpipe.KindCPUMask, 8, false
		return
	}
	f.Array, f.Count = true, 0
	switch t, ok := scalarType(plain); {
	case d.pointer:
		f.ElemSize = 8
	case ok:
		f.ElemSize = t.size
	default:
		// The length is all that the record tells of an element whose type
		// nobody here knows: its bytes.
		f.Kind, f.ElemSize, f.Signed = perfpipe.KindUint, 1, false
		return
	}
	f.Kind = d.scalar(plain, f.ElemSize, f.Signed)
}

// scalar returns the kind of one value of size bytes.
func (d *decl) scalar(plain string, size int, signed bool) perfpipe.Kind {
	switch size {
	case 1, 2, 4, 8:
	default:
		return perfpipe.KindBytes
	}
	switch {
	case d.pointer && size >= 4:
		return perfpipe.KindPointer
	case (plain == "bool" || plain == "_Bool") && size == 1:
		return perfpipe.KindBool
	case signed:
		return perfpipe.KindInt
	}
	return perfpipe.KindUint
}

// elements splits an array in place of size bytes: by its count where the file
// gives a number, by the type's size otherwise, into bytes where neither fits.
func (d *decl) elements(plain string, size int) (elem, count int) {
	if n, ok := d.count(); ok && size%n == 0 && size > 0 {
		return size / n, n
	}
	t, ok := scalarType(plain)
	if d.pointer {
		t, ok = scalar{size: 8}, true
	}
	if ok && size%t.size == 0 {
		return t.size, size / t.size
	}
	return 1, size
}

func isCPUMask(plain string) bool {
	return plain == "cpumask_t" || plain == "struct cpumask" || plain == "cpumask_var_t"
}

type scalar struct {
	size   int
	signed bool
}

// scalarType knows the C types whose sizes do not depend on a kernel header, on
// a 64-bit kernel.
func scalarType(name string) (scalar, bool) {
	switch name {
	case "char", "s8", "__s8", "int8_t", "signed char":
		return scalar{1, name != "char"}, true
	case "u8", "__u8", "uint8_t", "unsigned char", "bool", "_Bool", "u_char", "unchar":
		return scalar{1, false}, true
	case "short", "short int", "s16", "__s16", "int16_t", "signed short":
		return scalar{2, true}, true
	case "u16", "__u16", "uint16_t", "unsigned short", "short unsigned int", "unsigned short int", "__le16", "__be16", "umode_t", "ushort":
		return scalar{2, false}, true
	case "int", "s32", "__s32", "int32_t", "signed int", "signed", "pid_t", "clockid_t", "key_t":
		return scalar{4, true}, true
	case "unsigned int", "unsigned", "u32", "__u32", "uint32_t", "uint", "x32", "__le32", "__be32", "dev_t", "gfp_t", "uid_t", "gid_t":
		return scalar{4, false}, true
	case "long", "long int", "long long", "long long int", "s64", "__s64", "int64_t", "signed long", "loff_t", "ssize_t", "ktime_t", "time64_t":
		return scalar{8, true}, true
	case "unsigned long", "long unsigned int", "unsigned long int", "unsigned long long", "long long unsigned int", "u64", "__u64", "uint64_t", "x64",
		"__le64", "__be64", "size_t", "sector_t", "ino_t", "ulong", "uintptr_t", "dma_addr_t", "phys_addr_t":
		return scalar{8, false}, true
	case "x8":
		return scalar{1, false}, true
	case "x16":
		return scalar{2, false}, true
	}
	return scalar{}, false
}
