package args

import "debug/dwarf"

// children calls f for every child of e, which r has just returned.
func children(e *dwarf.Entry, r *dwarf.Reader, f func(*dwarf.Entry) error) error {
	if !e.Children {
		return nil
	}
	for {
		c, err := r.Next()
		if err != nil {
			return err
		}
		if c == nil || c.Tag == 0 {
			return nil
		}
		if err := f(c); err != nil {
			return err
		}
		if c.Children {
			r.SkipChildren()
		}
	}
}

// name returns an entry's DW_AT_name.
func name(e *dwarf.Entry) string {
	s, _ := e.Val(dwarf.AttrName).(string)
	return s
}

func is(e *dwarf.Entry, a dwarf.Attr) bool {
	b, _ := e.Val(a).(bool)
	return b
}

// num returns a constant attribute; expressions are no constants.
func num(e *dwarf.Entry, a dwarf.Attr) (int64, bool) {
	switch v := e.Val(a).(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), true
	}
	return 0, false
}

// foreign is the offset of what is not within this file's units: dwz's second file
// (.gnu_debugaltlink), and type units, which debug/dwarf does not let one seek.
const foreign = ^dwarf.Offset(0)

// ref returns the offset that an attribute refers to, 0 where it is not there.
func ref(e *dwarf.Entry, a dwarf.Attr) dwarf.Offset {
	switch v := e.Val(a).(type) {
	case nil:
		return 0
	case dwarf.Offset:
		return v
	}
	return foreign
}

// or returns the first value that is not the zero of its type.
func or[T comparable](list ...T) T {
	var zero T
	for _, v := range list {
		if v != zero {
			return v
		}
	}
	return zero
}
