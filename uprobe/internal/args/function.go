package args

import (
	"debug/dwarf"
	"errors"
	"fmt"
)

// lang is the language family, as far as it changes names and calls.
type lang uint8

const (
	langC lang = iota
	langCPP
	langGo
	langRust
	langAsm
)

// language returns the family of a unit: DW_AT_language (DWARF 5, section 7.12).
func language(cu *dwarf.Entry) lang {
	n, _ := num(cu, dwarf.AttrLanguage)
	switch n {
	case 0x04, 0x1a, 0x21, 0x2b: // C_plus_plus, _11, _14, _17
		return langCPP
	case 0x16:
		return langGo
	case 0x1c:
		return langRust
	case 0x8001, 0x31: // Mips_Assembler, Assembly
		return langAsm
	}
	return langC
}

// decl is a parameter as it was declared.
type decl struct {
	name string
	typ  dwarf.Offset
	// result: one of Go's results.
	result bool
	// always is the value that every caller passes, where the compiler has found that
	// out: then it is in no register.
	always *int64
}

// signature is what DWARF says of a function.
type signature struct {
	params []decl
	ret    dwarf.Offset
	lang   lang
	// variadic: parameters follow that are not described.
	variadic bool
	// changed: the compiler passes other parameters than the source has (LLVM's
	// removal and promotion of arguments; GCC makes a clone with a name of its own).
	changed bool
}

var errNoFunction = errors.New("not described")

// signatureAt returns the signature of the function whose entry is at pc.
// It returns errNoFunction where no debug information describes it.
func signatureAt(d *dwarf.Data, pc uint64) (*signature, error) {
	r := d.Reader()
	cu, err := r.SeekPC(pc)
	if err == nil {
		e, ferr := functionIn(d, r, cu, pc)
		if ferr != nil || e != nil {
			return describe(d, e, language(cu), ferr)
		}
	}
	// Units without ranges of their own: rare, and only they are read.
	r = d.Reader()
	for {
		cu, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("look for the function at %#x in the debug information: %w", pc, err)
		}
		if cu == nil {
			return nil, errNoFunction
		}
		if cu.Tag != dwarf.TagCompileUnit || hasRanges(d, cu) {
			r.SkipChildren()
			continue
		}
		e, ferr := functionIn(d, r, cu, pc)
		if ferr != nil || e != nil {
			return describe(d, e, language(cu), ferr)
		}
	}
}

func hasRanges(d *dwarf.Data, cu *dwarf.Entry) bool {
	list, err := d.Ranges(cu)
	return err == nil && len(list) > 0
}

// functionIn reads a unit's functions, from behind the entry of the unit itself, until
// one begins at pc, and returns nil where none does.
func functionIn(d *dwarf.Data, r *dwarf.Reader, cu *dwarf.Entry, pc uint64) (*dwarf.Entry, error) {
	if !cu.Children {
		return nil, nil
	}
	for depth := 1; depth > 0; {
		e, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("look for the function at %#x in the debug information: %w", pc, err)
		}
		if e == nil {
			return nil, nil
		}
		switch e.Tag {
		case 0:
			depth--
			continue
		case dwarf.TagSubprogram:
			if begins(d, e, pc) {
				return e, nil
			}
		case dwarf.TagNamespace, dwarf.TagModule:
			if e.Children {
				depth++
			}
			continue
		case dwarf.TagStructType, dwarf.TagClassType, dwarf.TagEnumerationType, dwarf.TagUnionType:
			// Rust defines methods within their types.
			if e.Children && language(cu) == langRust {
				depth++
				continue
			}
		}
		if e.Children {
			r.SkipChildren()
		}
	}
	return nil, nil
}

// begins reports whether the function's code begins at pc: at its low_pc, or at the
// beginning of one of its ranges where it is in pieces.
func begins(d *dwarf.Data, e *dwarf.Entry, pc uint64) bool {
	if low, ok := e.Val(dwarf.AttrLowpc).(uint64); ok {
		return low == pc
	}
	if e.Val(dwarf.AttrRanges) == nil {
		return false
	}
	list, err := d.Ranges(e)
	return err == nil && len(list) > 0 && list[0][0] == pc
}

// describe returns the signature of a function's entry.
func describe(d *dwarf.Data, e *dwarf.Entry, l lang, err error) (*signature, error) {
	if err != nil {
		return nil, err
	}
	s := &signature{lang: l}
	ts := &types{d: d, lang: l}
	always, err := constants(ts, e)
	if err != nil {
		return nil, err
	}
	defer func() { s.fill(always) }()
	if cc, ok := num(e, dwarf.AttrCalling); ok && cc == ccNoCall {
		s.changed = true
	}
	found := false
	for hops := 0; e != nil; hops++ {
		if hops > maxTypeDepth {
			return nil, fmt.Errorf("read the function at %#x of the debug information: its origins are a circle", e.Offset)
		}
		origin := ref(e, dwarf.AttrAbstractOrigin)
		if s.ret == 0 {
			s.ret = ref(e, dwarf.AttrType)
		}
		// The abstract instance has the parameters in the source's order, and all of them.
		if origin == 0 && !found {
			if err := s.declared(ts, e.Offset, 0); err != nil {
				return nil, err
			}
			found = len(s.params) > 0 || s.variadic
		}
		if origin == foreign {
			return nil, errNoFunction // in dwz's second file
		}
		next := or(origin, ref(e, dwarf.AttrSpecification))
		if next == 0 || next == foreign {
			return s, nil
		}
		if e, _, err = ts.entry(next); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// declared adds the parameters among the children of the entry at off.
func (s *signature) declared(ts *types, off dwarf.Offset, depth int) error {
	e, r, err := ts.entry(off)
	if err != nil || depth > maxTypeDepth {
		return err
	}
	return children(e, r, func(c *dwarf.Entry) error {
		switch c.Tag {
		case dwarf.TagFormalParameter:
			p := decl{name: name(c), typ: ref(c, dwarf.AttrType), result: is(c, dwarf.AttrVarParam)}
			for o, hops := ref(c, dwarf.AttrAbstractOrigin), 0; o != 0 && o != foreign && p.typ == 0 && hops < maxTypeDepth; hops++ {
				oe, _, err := ts.entry(o)
				if err != nil {
					return err
				}
				p.name, p.typ = or(p.name, name(oe)), ref(oe, dwarf.AttrType)
				p.result = p.result || is(oe, dwarf.AttrVarParam)
				o = ref(oe, dwarf.AttrAbstractOrigin)
			}
			// Constructors have this one in the source's form only, never in the code's.
			if p.name == "__in_chrg" {
				return nil
			}
			s.params = append(s.params, p)
		case tagParameterPack:
			return s.declared(ts, c.Offset, depth+1)
		case dwarf.TagUnspecifiedParameters:
			s.variadic = true
		}
		return nil
	})
}

// tagParameterPack is DW_TAG_GNU_formal_parameter_pack, a template's "args...".
const tagParameterPack dwarf.Tag = 0x4108
