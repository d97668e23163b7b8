package args

import (
	"fmt"
	"strings"
)

// Want is one argument as it was written. Its fields are those of uprobe.Arg.
type Want struct {
	// Name is the column's name, "" where it follows from the rest.
	Name string
	// Base is the parameter's name, "arg0" to "argN" by position, "%di" for a register,
	// "ret" for what is returned, "*" for all.
	Base string
	// Path are the steps from there, in their order.
	Path []Step
	// Type is one of u8 to u64, s8 to s64, x8 to x64, bool, char, ptr, string, buf
	// (or buf[N]); "" takes DWARF's.
	Type string
	// Len is N of buf[N], in bytes.
	Len int
}

// StepKind is what a [Step] does.
type StepKind uint8

// The kinds of steps, in the order of those of package uprobe.
const (
	// StepMember is ".name": a member of the structure that is here.
	StepMember StepKind = iota
	// StepArrow is "->name": a member of the structure that is pointed to.
	StepArrow
	// StepIndex is "[n]": an element of the array that is here, or is pointed to.
	StepIndex
	// StepDeref is a "*" before the whole.
	StepDeref
)

// Step is one step from a parameter towards what is to be read.
type Step struct {
	Name  string
	Index int
	Kind  StepKind
}

// Function is what is known of the place that a probe is put at.
type Function struct {
	// Name is the symbol's raw name.
	Name string
	// Clone is the suffix of a compiler's clone (".isra.0", ".constprop.0"), whose
	// parameters are not those of DWARF; "" for the function itself.
	Clone string
	// PC is the virtual address of the function's entry in its file.
	PC uint64
	// Go: the function was built by Go, and follows its register ABI.
	Go bool
	// Return: the probe fires when the function returns. Only "ret" is known then.
	Return bool
	// Sites: the return probe is made of probes on the RET instructions, where the
	// kernel has no $retval.
	Sites bool
	// Inside: the probe is behind the entry, where the registers of the parameters may
	// have been used for other things.
	Inside bool
}

// Param is a parameter, or what is returned, as a list of a binary's probes shows it.
type Param struct {
	// Name is the name in the source, "arg3" where it has none.
	Name string
	// CType is the type in the words of the source language.
	CType string
	// Why says why it cannot be fetched as it is; "" where it can.
	Why string
}

// String returns the want as it was written.
func (w Want) String() string {
	s := text(w.Base, w.Path)
	switch {
	case w.isBuf():
		s += fmt.Sprintf(":buf[%d]", w.Len)
	case w.Type != "":
		s += ":" + w.Type
	}
	if w.Name != "" {
		s = w.Name + "=" + s
	}
	return s
}

func (w Want) isBuf() bool { return w.Type == "buf" || strings.HasPrefix(w.Type, "buf[") }

// text returns the source text of a path from base.
func text(base string, path []Step) string {
	s := base
	for i, st := range path {
		switch st.Kind {
		case StepMember:
			s += "." + st.Name
		case StepArrow:
			s += "->" + st.Name
		case StepIndex:
			s += fmt.Sprintf("[%d]", st.Index)
		case StepDeref:
			if i+1 < len(path) && path[i+1].Kind != StepDeref {
				s = "(*" + s + ")"
				continue
			}
			s = "*" + s
		}
	}
	return s
}
