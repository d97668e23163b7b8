package usdt

// ArgType is what the sites of a probe say of one argument.
type ArgType struct {
	// Size, Signed and Float are those of the first site that has the argument.
	Size          int
	Signed, Float bool
	// Agree is true where every site has the argument and the kernel fetches it with
	// the same type at each, so that one event of the kernel can take them all.
	Agree bool
	// Null is the number of sites at which it cannot be fetched.
	Null int
}

// Types says for each argument whether all sites agree. The result is as long as the
// longest list of arguments.
func Types(sites []Site) []ArgType {
	var types []ArgType
	var first []Operand
	for _, s := range sites {
		for i, o := range s.Args {
			if i == len(types) {
				types = append(types, ArgType{Size: o.Size, Signed: o.Signed, Float: o.Float, Agree: true})
				first = append(first, o)
			}
			t := &types[i]
			t.Agree = t.Agree && o.kernelType() == first[i].kernelType()
			if o.Expr == "" {
				t.Null++
			}
		}
	}
	for i := range types {
		for _, s := range sites {
			types[i].Agree = types[i].Agree && i < len(s.Args)
		}
	}
	return types
}

// Alike splits sites into groups whose arguments agree, each good for one event of
// the kernel, in the order of their first sites.
func Alike(sites []Site) [][]Site {
	var groups [][]Site
next:
	for _, s := range sites {
		for g := range groups {
			if alike(groups[g][0].Args, s.Args) {
				groups[g] = append(groups[g], s)
				continue next
			}
		}
		groups = append(groups, []Site{s})
	}
	return groups
}

func alike(a, b []Operand) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].kernelType() != b[i].kernelType() {
			return false
		}
	}
	return true
}

// kernelType is what must be equal for two probes of one event: the kernel compares
// names and types (trace_probe_compare_arg_type), not expressions. What cannot be
// fetched is a type of its own.
func (o Operand) kernelType() string {
	if o.Expr == "" {
		return ""
	}
	if o.Float {
		return "f" + o.integer("")
	}
	return o.integer("")
}
