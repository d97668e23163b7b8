package args

import (
	"debug/dwarf"
	"fmt"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// kind is the class of a type, as far as fetching and calling know classes.
type kind uint8

const (
	kindOther kind = iota // a type of which only the size is known
	kindVoid
	kindInt
	kindBool
	kindChar
	kindFloat
	kindComplex
	kindEnum
	kindPointer
	kindRef
	kindStruct
	kindUnion
	kindArray
	kindFunc
	kindVector
)

// maxTypeDepth bounds chains of types and nested structures: those of programs are
// much shorter, those of broken debug information may be circles.
const maxTypeDepth = 64

// typ is a type of DWARF's with typedefs and qualifiers stripped. Members and what a
// pointer points to are read when they are asked for.
type typ struct {
	// text is the type in the source's words, name the bare name of a structure.
	text, name string
	symbols    []perfpipe.Symbol
	// dims are the lengths of an array's dimensions, -1 where one is not known.
	dims []int64
	// mem are the members, once they were read.
	mem []member
	// off is the entry's offset; elem that of what is pointed to or of the elements;
	// 0 is void, as no type is at the beginning of a unit.
	off, elem dwarf.Offset
	size      int64
	goKind    int64 // reflect.Kind, of Go's types
	kind      kind
	signed    bool
	read      bool
	// incomplete: only declared here.
	incomplete bool
	// byRef: C++ passes it by the address of a copy (DW_CC_pass_by_reference).
	byRef bool
	// byValue: DWARF says that it is passed by value.
	byValue bool
	// elsewhere: it is in another file or in a type unit, and nothing is known of it.
	elsewhere bool
	// opaque: it has members that depend on one another's values, as Rust's enums have.
	opaque bool
	// octets: a type of bytes by its typedef's name, uint8_t: no text.
	octets bool
}

// member is a member of a structure or union.
type member struct {
	name string
	typ  dwarf.Offset
	// off is in bytes from the structure's start; for a bitfield, bit is in bits from there.
	off, bit int64
	// bits is a bitfield's width, 0 elsewhere.
	bits int64
	// inner: its members are found as if they were the structure's own.
	inner bool
	// virtual: a virtual base, whose place only the running program knows.
	virtual bool
}

// types reads the types of one file, each once.
type types struct {
	d    *dwarf.Data
	m    map[dwarf.Offset]*typ
	lang lang
}

func (ts *types) entry(off dwarf.Offset) (*dwarf.Entry, *dwarf.Reader, error) {
	r := ts.d.Reader()
	r.Seek(off)
	e, err := r.Next()
	if err != nil {
		return nil, nil, fmt.Errorf("read debug information at %#x: %w", off, err)
	}
	if e == nil {
		return nil, nil, fmt.Errorf("read debug information at %#x: nothing is there", off)
	}
	return e, r, nil
}

// known returns why the size and the members of a type are not known.
func (t *typ) known() error {
	if t.elsewhere {
		return fmt.Errorf("%s is described in a type unit (-fdebug-types-section) or in the second file of dwz, which are not read; give positions and types: (arg0:ptr)", t.text)
	}
	return nil
}

// of returns the type at off.
func (ts *types) of(off dwarf.Offset) (*typ, error) { return ts.at(off, 0) }

func (ts *types) at(off dwarf.Offset, depth int) (*typ, error) {
	if off == 0 {
		return &typ{kind: kindVoid, text: "void"}, nil
	}
	if off == foreign {
		return &typ{kind: kindOther, size: -1, text: "type of another file", elsewhere: true}, nil
	}
	if t := ts.m[off]; t != nil {
		return t, nil
	}
	if depth > maxTypeDepth {
		return nil, fmt.Errorf("read the type at %#x: types refer to one another more than %d deep", off, maxTypeDepth)
	}
	e, r, err := ts.entry(off)
	if err != nil {
		return nil, err
	}
	t, err := ts.make(e, r, depth)
	if err != nil {
		return nil, err
	}
	ts.m[off] = t
	return t, nil
}

func (ts *types) make(e *dwarf.Entry, r *dwarf.Reader, depth int) (*typ, error) {
	t := &typ{off: e.Offset, name: name(e), size: -1, elem: ref(e, dwarf.AttrType)}
	if n, ok := num(e, dwarf.AttrByteSize); ok {
		t.size = n
	}
	t.goKind, _ = num(e, attrGoKind)
	t.incomplete = is(e, dwarf.AttrDeclaration)
	t.elsewhere = e.Val(dwarf.AttrSignature) != nil
	switch e.Tag {
	case dwarf.TagBaseType:
		base(t, e)
	case dwarf.TagUnspecifiedType:
		t.kind, t.text = kindVoid, t.name
		if strings.Contains(t.name, "nullptr") {
			t.kind, t.size = kindPointer, 8
		}
	case dwarf.TagTypedef, dwarf.TagConstType, dwarf.TagVolatileType, dwarf.TagRestrictType, dwarf.TagAtomicType,
		tagImmutable, dwarf.TagSharedType, dwarf.TagPackedType:
		return ts.wrapped(e, t, depth)
	case dwarf.TagPointerType, dwarf.TagReferenceType, dwarf.TagRvalueReferenceType:
		return t, ts.pointer(e, t, depth)
	case dwarf.TagPtrToMemberType:
		return t, ts.memberPointer(t, depth)
	case dwarf.TagStructType, dwarf.TagClassType, dwarf.TagInterfaceType, dwarf.TagUnionType:
		ts.aggregate(e, t)
	case dwarf.TagEnumerationType:
		return t, ts.enum(e, r, t, depth)
	case dwarf.TagArrayType:
		return t, ts.array(e, r, t, depth)
	case dwarf.TagSubroutineType:
		t.kind, t.text = kindFunc, or(t.name, "function")
		if ts.lang == langGo && t.size < 0 {
			t.size = 8
		}
	default:
		t.kind, t.text = kindOther, or(t.name, e.Tag.String())
	}
	return t, nil
}

// base fills in a base type: DW_AT_encoding (DWARF 5, section 7.8).
func base(t *typ, e *dwarf.Entry) {
	enc, _ := num(e, dwarf.AttrEncoding)
	t.text = t.name
	switch enc {
	case 0x02: // DW_ATE_boolean
		t.kind = kindBool
	case 0x03: // DW_ATE_complex_float
		t.kind = kindComplex
	case 0x04: // DW_ATE_float
		t.kind = kindFloat
	case 0x05: // DW_ATE_signed
		t.kind, t.signed = kindInt, true
	case 0x06: // DW_ATE_signed_char
		t.kind, t.signed = kindChar, true
	case 0x08: // DW_ATE_unsigned_char
		t.kind = kindChar
	case 0x01, 0x07, 0x10, 0x12: // DW_ATE_address, _unsigned, _UTF, _ASCII
		t.kind = kindInt
	default:
		t.kind = kindOther
	}
}

// attrGoKind is DW_AT_go_kind (src/cmd/internal/dwarf).
const attrGoKind dwarf.Attr = 0x2900

// memberPointer fills in a pointer to member of C++: an offset, or for a function an
// address and an adjustment (Itanium C++ ABI, section 2.3).
func (ts *types) memberPointer(t *typ, depth int) error {
	to, err := ts.at(t.elem, depth+1)
	if err != nil {
		return err
	}
	t.kind, t.size, t.signed, t.text = kindInt, 8, true, "pointer to member"
	if to.kind == kindFunc {
		t.kind, t.size, t.text = kindOther, 16, "pointer to member function"
	}
	return nil
}

// tagImmutable is DW_TAG_immutable_type of DWARF 5, for which debug/dwarf has no name.
const tagImmutable dwarf.Tag = 0x4b

// wrapped returns the type behind a typedef or a qualifier, under its new name.
func (ts *types) wrapped(e *dwarf.Entry, t *typ, depth int) (*typ, error) {
	in, err := ts.at(t.elem, depth+1)
	if err != nil {
		return nil, err
	}
	c := *in
	c.goKind = or(t.goKind, in.goKind)
	switch e.Tag {
	case dwarf.TagTypedef:
		c.text = or(t.name, in.text)
		low := strings.ToLower(t.name)
		c.octets = in.octets || strings.Contains(low, "int8") || strings.Contains(low, "byte") || low == "u8"
		if c.name == "" {
			c.name = t.name
		}
	case dwarf.TagConstType:
		c.text = qualified("const", in)
	case dwarf.TagVolatileType:
		c.text = qualified("volatile", in)
	}
	return &c, nil
}

// qualified puts a qualifier where C has it: before a plain type, behind a pointer.
func qualified(word string, t *typ) string {
	if t.kind == kindPointer && strings.HasSuffix(t.text, "*") {
		return t.text + word
	}
	return word + " " + t.text
}

func (ts *types) pointer(e *dwarf.Entry, t *typ, depth int) error {
	t.kind, t.size = kindPointer, 8
	mark := "*"
	switch e.Tag {
	case dwarf.TagReferenceType:
		t.kind, mark = kindRef, "&"
	case dwarf.TagRvalueReferenceType:
		t.kind, mark = kindRef, "&&"
	}
	to, err := ts.at(t.elem, depth+1)
	if err != nil {
		return err
	}
	switch {
	case t.name != "":
		t.text = t.name
	case to.kind == kindFunc:
		t.text = "function *"
	case strings.HasSuffix(to.text, "*"):
		t.text = to.text + mark
	default:
		t.text = to.text + " " + mark
	}
	return nil
}

func (ts *types) aggregate(e *dwarf.Entry, t *typ) {
	t.kind = kindStruct
	word := "struct "
	if e.Tag == dwarf.TagUnionType {
		t.kind, word = kindUnion, "union "
	}
	if ts.lang != langC {
		word = ""
	}
	t.text = word + or(t.name, "{...}")
	switch cc, _ := num(e, dwarf.AttrCalling); cc {
	case 4: // DW_CC_pass_by_reference
		t.byRef = true
	case 5: // DW_CC_pass_by_value
		t.byValue = true
	}
}

func (ts *types) enum(e *dwarf.Entry, r *dwarf.Reader, t *typ, depth int) error {
	t.kind, t.text = kindEnum, or(t.name, "enum")
	if ts.lang == langC {
		t.text = strings.TrimSpace("enum " + t.name)
	}
	negative := false
	err := children(e, r, func(c *dwarf.Entry) error {
		if c.Tag != dwarf.TagEnumerator {
			return nil
		}
		n, ok := num(c, dwarf.AttrConstValue)
		if !ok {
			return nil
		}
		negative = negative || n < 0
		t.symbols = append(t.symbols, perfpipe.Symbol{Name: name(c), Value: uint64(n)})
		return nil
	})
	t.signed = negative
	if t.elem != 0 {
		u, uerr := ts.at(t.elem, depth+1)
		if uerr != nil {
			return uerr
		}
		// The underlying type of C++ and of DWARF 5 says the width; its sign is the
		// compiler's choice in C, where the values say more.
		t.size = or(max(t.size, 0), u.size)
		t.signed = negative || u.signed
	}
	return err
}

func (ts *types) array(e *dwarf.Entry, r *dwarf.Reader, t *typ, depth int) error {
	t.kind = kindArray
	err := children(e, r, func(c *dwarf.Entry) error {
		if c.Tag != dwarf.TagSubrangeType {
			return nil
		}
		n := int64(-1)
		if v, ok := num(c, dwarf.AttrCount); ok {
			n = v
		} else if v, ok := num(c, dwarf.AttrUpperBound); ok && v < 1<<40 {
			n = v + 1
		}
		t.dims = append(t.dims, max(n, -1))
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.dims) == 0 {
		t.dims = []int64{-1}
	}
	el, err := ts.at(t.elem, depth+1)
	if err != nil {
		return err
	}
	if is(e, attrGNUVector) {
		t.kind = kindVector
	}
	t.text = or(t.name, el.text+dimsText(t.dims))
	if t.size < 0 {
		t.size = max(el.size, 0)
		for _, n := range t.dims {
			t.size = product(t.size, max(n, 0))
		}
	}
	return nil
}

// attrGNUVector is DW_AT_GNU_vector: the array is a vector type's.
const attrGNUVector dwarf.Attr = 0x2107

func dimsText(dims []int64) string {
	s := ""
	for _, n := range dims {
		if n < 0 {
			s += "[]"
			continue
		}
		s += fmt.Sprintf("[%d]", n)
	}
	return s
}

// product multiplies two sizes and stays within an int32: nothing larger is fetched.
func product(a, b int64) int64 {
	const most = 1<<31 - 1
	if a > most || b > most || a*b > most {
		return most
	}
	return a * b
}

// element returns the type of an array's elements: of an array of arrays, an array.
func (ts *types) element(t *typ) (*typ, error) {
	el, err := ts.of(t.elem)
	if err != nil || len(t.dims) < 2 {
		return el, err
	}
	c := *t
	c.dims = t.dims[1:]
	c.text = el.text + dimsText(c.dims)
	c.size = max(el.size, 0)
	for _, n := range c.dims {
		c.size = product(c.size, max(n, 0))
	}
	return &c, nil
}

// isText reports whether a pointer to t points to text that ends with a NUL.
func (t *typ) isText() bool { return t.kind == kindChar && t.size == 1 && !t.octets }
