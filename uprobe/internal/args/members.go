package args

import (
	"debug/dwarf"
	"fmt"
	"strings"
)

// members returns the members of a structure or union, and marks types that C++
// passes by reference though DWARF does not say so.
func (ts *types) members(t *typ) ([]member, error) {
	if t.read {
		return t.mem, nil
	}
	if err := t.known(); err != nil {
		return nil, err
	}
	if t.incomplete {
		if err := ts.complete(t); err != nil {
			return nil, err
		}
	}
	e, r, err := ts.entry(t.off)
	if err != nil {
		return nil, err
	}
	err = children(e, r, func(c *dwarf.Entry) error {
		switch c.Tag {
		case dwarf.TagMember, dwarf.TagInheritance:
			if is(c, dwarf.AttrExternal) || is(c, dwarf.AttrDeclaration) {
				return nil // a static member
			}
			m, err := ts.member(c)
			if err != nil {
				return err
			}
			t.mem = append(t.mem, m)
		case dwarf.TagVariantPart:
			t.opaque = true
		case dwarf.TagSubprogram:
			// A destructor that somebody wrote makes a class that is passed by reference.
			if strings.HasPrefix(name(c), "~") && !is(c, dwarf.AttrArtificial) && !t.byValue &&
				c.AttrField(attrDefaulted) == nil {
				t.byRef = true
			}
		}
		return nil
	})
	t.read = err == nil
	return t.mem, err
}

// attrDefaulted is DW_AT_defaulted of DWARF 5.
const attrDefaulted dwarf.Attr = 0x8b

func (ts *types) member(c *dwarf.Entry) (member, error) {
	m := member{name: name(c), typ: ref(c, dwarf.AttrType)}
	m.inner = m.name == "" || c.Tag == dwarf.TagInheritance || is(c, attrGoEmbedded)
	switch v := c.Val(dwarf.AttrDataMemberLoc).(type) {
	case int64:
		m.off = v
	case []byte:
		off, ok := plusUconst(v)
		m.off, m.virtual = off, !ok
	}
	bits, ok := num(c, dwarf.AttrBitSize)
	if !ok || bits <= 0 {
		return m, nil
	}
	m.bits = bits
	if at, ok := num(c, dwarf.AttrDataBitOffset); ok { // DWARF 4 and 5: from the structure's start
		m.bit = m.off*8 + at
		return m, nil
	}
	// DWARF 2 and 3: from the most significant bit of the storage unit.
	at, _ := num(c, dwarf.AttrBitOffset)
	storage, ok := num(c, dwarf.AttrByteSize)
	if !ok {
		t, err := ts.of(m.typ)
		if err != nil {
			return m, err
		}
		storage = t.size
	}
	m.bit = m.off*8 + storage*8 - at - bits
	return m, nil
}

// attrGoEmbedded is DW_AT_go_embedded_field (src/cmd/internal/dwarf).
const attrGoEmbedded dwarf.Attr = 0x2903

// plusUconst decodes the expression DW_OP_plus_uconst N of DWARF 2.
func plusUconst(b []byte) (int64, bool) {
	if len(b) < 2 || b[0] != 0x23 {
		return 0, false
	}
	var v int64
	for i, c := range b[1:] {
		if i > 4 {
			return 0, false
		}
		v |= int64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return v, i == len(b)-2
		}
	}
	return 0, false
}

// complete turns a structure that is only declared in this unit into its definition
// in another one.
func (ts *types) complete(t *typ) error {
	r := ts.d.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			return fmt.Errorf("look for the members of %s: %w", t.text, err)
		}
		if e == nil {
			return fmt.Errorf("%s is only declared in this file: no debug information has its members; give a type: (p:buf[64])", t.text)
		}
		switch e.Tag {
		case dwarf.TagCompileUnit, dwarf.TagPartialUnit, dwarf.TagNamespace:
			continue
		case dwarf.TagStructType, dwarf.TagClassType, dwarf.TagUnionType:
			if t.name != "" && name(e) == t.name && !is(e, dwarf.AttrDeclaration) {
				t.off, t.incomplete = e.Offset, false
				t.size, _ = num(e, dwarf.AttrByteSize)
				return nil
			}
		}
		if e.Children {
			r.SkipChildren()
		}
	}
}

// find looks for a member by name, also within members without a name, base classes
// and Go's embedded fields. m.off and m.bit are then from the outer structure's start.
func (ts *types) find(t *typ, name string, depth int) (m member, ok bool, err error) {
	list, err := ts.members(t)
	if err != nil || depth > maxTypeDepth {
		return m, false, err
	}
	for _, m := range list {
		if m.name == name && name != "" {
			return m, true, nil
		}
	}
	for _, in := range list {
		if !in.inner || in.virtual {
			continue
		}
		it, err := ts.of(in.typ)
		if err != nil {
			return m, false, err
		}
		if it.kind != kindStruct && it.kind != kindUnion {
			continue
		}
		m, ok, err = ts.find(it, name, depth+1)
		if err != nil || ok {
			m.off += in.off
			m.bit += in.off * 8
			return m, ok, err
		}
	}
	return m, false, nil
}

// names lists the members that can be asked for, those of inner ones included.
func (ts *types) names(t *typ, depth int) []string {
	list, err := ts.members(t)
	if err != nil || depth > maxTypeDepth {
		return nil
	}
	var out []string
	for _, m := range list {
		if !m.inner {
			out = append(out, m.name)
			continue
		}
		if it, err := ts.of(m.typ); err == nil && (it.kind == kindStruct || it.kind == kindUnion) {
			out = append(out, ts.names(it, depth+1)...)
		} else if m.name != "" {
			out = append(out, m.name)
		}
	}
	return out
}
