package symbols

// Lang is the language that a function's name shows.
type Lang uint8

// Languages.
const (
	// LangUnknown: C, assembler, or anything whose names are as the source has them.
	LangUnknown Lang = iota
	// LangCPP: C++ (Itanium ABI).
	LangCPP
	// LangRust: Rust, legacy or v0.
	LangRust
	// LangGo: Go.
	LangGo
)

var langNames = [...]string{"", "C++", "Rust", "Go"}

// String returns the language's name, "" where it is not known.
func (l Lang) String() string {
	if int(l) < len(langNames) {
		return langNames[l]
	}
	return ""
}

// Func is a function: one address, all its names.
type Func struct {
	// Name is the symbol, without version: the one that was asked for, else the one
	// that is most likely meant (global before weak before local).
	Name string
	// Demangled is Name as its source has it, with parameters, "" where Name is that.
	Demangled string
	// Version is the symbol's version ("GLIBC_2.14"), "" without one.
	Version string
	// Source is where it was found: one of the Source constants.
	Source string
	// Clone is the suffix of a part or a copy that the compiler made of a function
	// (".cold", ".part.0", ".isra.0", ".constprop.0"): its arguments may not be the
	// function's. "" for functions.
	Clone string
	// Aliases are the other symbols at the address, with their versions.
	Aliases []string
	// Addr is the virtual address as the file was linked.
	Addr uint64
	// Size is in bytes; 0 where the symbol does not say.
	Size uint64
	// Offset is where in the file the function begins.
	Offset uint64
	// Lang is the language of Name.
	Lang Lang
	// Default: a plain name means this version (name@@VERSION).
	Default bool
	// IFunc: what is at the address chooses an implementation when the file is loaded
	// (STT_GNU_IFUNC): a probe there fires then, and not when the function is called.
	// See [File.Implementations].
	IFunc bool
}

// String returns the demangled name, else the symbol, with the version.
func (f Func) String() string {
	name := f.Demangled
	if name == "" {
		name = f.Name
	}
	return versioned(name, f.Version, f.Default)
}

func versioned(name, version string, isDefault bool) string {
	switch {
	case version == "":
		return name
	case isDefault:
		return name + "@@" + version
	}
	return name + "@" + version
}
