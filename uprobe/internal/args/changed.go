package args

import "debug/dwarf"

// ccNoCall is DW_CC_nocall: the function keeps to no calling convention (DWARF 5,
// section 3.3.1.1).
const ccNoCall = 3

// constants returns the parameters that have one value in all calls: DW_AT_const_value
// in the function's code, not in its declaration.
func constants(ts *types, e *dwarf.Entry) (map[string]int64, error) {
	e, r, err := ts.entry(e.Offset)
	if err != nil {
		return nil, err
	}
	var list map[string]int64
	err = children(e, r, func(c *dwarf.Entry) error {
		if c.Tag != dwarf.TagFormalParameter {
			return nil
		}
		v, ok := num(c, dwarf.AttrConstValue)
		if !ok {
			return nil
		}
		n := name(c)
		if o := ref(c, dwarf.AttrAbstractOrigin); n == "" && o != 0 && o != foreign {
			oe, _, err := ts.entry(o)
			if err != nil {
				return err
			}
			n = name(oe)
		}
		if list == nil {
			list = map[string]int64{}
		}
		list[n] = v
		return nil
	})
	return list, err
}

// fill gives the parameters their constants.
func (s *signature) fill(always map[string]int64) {
	for i := range s.params {
		if v, ok := always[s.params[i].name]; ok && s.params[i].name != "" {
			s.params[i].always = &v
		}
	}
}

// scalar reports whether a value of the type is one integer.
func (t *typ) scalar() bool {
	switch t.kind {
	case kindInt, kindBool, kindChar, kindEnum:
		return t.size <= 8
	}
	return false
}
