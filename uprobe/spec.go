package uprobe

// Kind is what fires a probe.
type Kind uint8

const (
	// Entry fires when a function is entered, or an instruction within it is reached.
	Entry Kind = iota
	// Return fires when a function returns.
	Return
	// USDT fires at a static probe that the program's author put there (stapsdt notes).
	USDT
)

var kindNames = [...]string{"uprobe", "uretprobe", "usdt"}

// String returns the word that a probe of the kind begins with.
func (k Kind) String() string { return kindNames[k] }

// Spec is a probe as it was written. See [Parse] for the syntax.
type Spec struct {
	// Text is what was parsed.
	Text string
	// Binary is a path, a soname ("libc.so.6"), a command to be looked up in PATH, or
	// "" for the executable of the process or the binary of -x.
	Binary string
	// Func is a function's name or a glob, raw or demangled, possibly with a version
	// ("memcpy@GLIBC_2.2.5"). "" where Addr says the place, and for USDT.
	Func string
	// Provider and Name are those of a USDT probe, names or globs.
	Provider, Name string
	// Args are what is asked for.
	Args []Arg
	// Offset is added to the function's address; 0 is its entry.
	Offset uint64
	// Addr is a virtual address of the file, where HasAddr.
	Addr uint64
	Kind Kind
	// HasAddr: the place is Addr and not a name.
	HasAddr bool
	// HasArgs: there were parentheses, be they empty. Without them a return probe and
	// a USDT probe take what they can.
	HasArgs bool
	// Quoted: Func was in quotes: no glob, no version, no argument list within it.
	Quoted bool
}

// Arg is one argument as it was written: "s", "r->id", "id=r->id", "arg1:string",
// "ret", "*" for all.
type Arg struct {
	// Name is the column's name, "" where it follows from Expr.
	Name string
	// Base is the parameter: its name, "arg0" to "argN" by position, "ret", "*".
	Base string
	// Path are the steps from there, in their order.
	Path []Step
	// Type is what stands behind the colon: u8 to u64, s8 to s64, x8 to x64, bool,
	// char, ptr, string, buf[N]; "" takes DWARF's.
	Type string
	// Len is N of buf[N].
	Len int
	// Pos is the byte in Spec.Text at which it begins.
	Pos int
}

// StepKind is what a [Step] does.
type StepKind uint8

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
