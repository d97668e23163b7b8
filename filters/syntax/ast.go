package syntax

// File is a filter as a whole: one expression; or a program, which is declarations
// and then an expression, a block, or clauses for several events. One of Expr, Body
// and Ons is set.
type File struct {
	Decls []Decl
	Expr  Expr
	Body  *Block
	Ons   []*On
}

// Plain reports whether the file is one expression.
func (f *File) Plain() bool { return f.Expr != nil && len(f.Decls) == 0 }

// Expr is a node of the tree. Its span is src[pos:end].
type Expr interface {
	Span() (pos, end int)
	expr()
}

// Nodes.
type (
	// Ident is a name.
	Ident struct {
		At   int
		Name string
	}
	// Meta is $Name, something known of the record beside its fields.
	Meta struct {
		At   int
		Name string
	}
	// Number is a number as it is written. Value is worth something where OK.
	Number struct {
		At    int
		Text  string
		Value uint64
		OK    bool
	}
	// String is a quoted string. Quote is its quote; Escaped is true for c"...".
	String struct {
		At, Stop int
		Value    string
		Quote    byte
		Escaped  bool
	}
	// CPUList is CPUS{List}.
	CPUList struct {
		At, Stop int
		List     string
	}
	// Set is {Elems}. An element is an expression or a [Range].
	Set struct {
		At, Stop int
		Elems    []Expr
	}
	// Range is Lo..Hi, both included.
	Range struct {
		Lo, Hi Expr
	}
	// Paren is (X).
	Paren struct {
		At, Stop int
		X        Expr
	}
	// Unary is Op X for ! ~ -.
	Unary struct {
		At int
		Op Kind
		X  Expr
	}
	// Binary is X Op Y.
	Binary struct {
		X, Y Expr
		OpAt int
		Op   Kind
	}
	// Cond is If ? Then : Else.
	Cond struct {
		If, Then, Else Expr
	}
	// Cast is (Type)X.
	Cast struct {
		At   int
		Type string
		X    Expr
	}
	// Index is X[I].
	Index struct {
		X, I Expr
		Stop int
	}
	// Suffix is X.Name for the kernel's .ustring and .function.
	Suffix struct {
		X    Expr
		At   int
		Name string
	}
	// Call is Fun(Args).
	Call struct {
		Fun  *Ident
		Args []Expr
		Stop int
	}
)

// Span implements [Expr].
func (x *Ident) Span() (int, int) { return x.At, x.At + len(x.Name) }

// Span implements [Expr].
func (x *Meta) Span() (int, int) { return x.At, x.At + 1 + len(x.Name) }

// Span implements [Expr].
func (x *Number) Span() (int, int) { return x.At, x.At + len(x.Text) }

// Span implements [Expr].
func (x *String) Span() (int, int) { return x.At, x.Stop }

// Span implements [Expr].
func (x *CPUList) Span() (int, int) { return x.At, x.Stop }

// Span implements [Expr].
func (x *Set) Span() (int, int) { return x.At, x.Stop }

// Span implements [Expr].
func (x *Range) Span() (int, int) { return span(x.Lo, x.Hi) }

// Span implements [Expr].
func (x *Paren) Span() (int, int) { return x.At, x.Stop }

// Span implements [Expr].
func (x *Unary) Span() (int, int) { _, e := x.X.Span(); return x.At, e }

// Span implements [Expr].
func (x *Binary) Span() (int, int) { return span(x.X, x.Y) }

// Span implements [Expr].
func (x *Cond) Span() (int, int) { return span(x.If, x.Else) }

// Span implements [Expr].
func (x *Cast) Span() (int, int) { _, e := x.X.Span(); return x.At, e }

// Span implements [Expr].
func (x *Index) Span() (int, int) { p, _ := x.X.Span(); return p, x.Stop }

// Span implements [Expr].
func (x *Suffix) Span() (int, int) { p, _ := x.X.Span(); return p, x.At + 1 + len(x.Name) }

// Span implements [Expr].
func (x *Call) Span() (int, int) { return x.Fun.At, x.Stop }

// span is from the start of the leftmost to the end of b. Chains of binary
// operators lean to the left and may be thousands long, so it walks.
func span(a, b Expr) (int, int) {
	for {
		switch x := a.(type) {
		case *Binary:
			a = x.X
			continue
		case *Cond:
			a = x.If
			continue
		}
		break
	}
	p, _ := a.Span()
	for {
		switch y := b.(type) {
		case *Binary:
			b = y.Y
			continue
		case *Cond:
			b = y.Else
			continue
		}
		break
	}
	_, e := b.Span()
	return p, e
}

func (*Ident) expr()   {}
func (*Meta) expr()    {}
func (*Number) expr()  {}
func (*String) expr()  {}
func (*CPUList) expr() {}
func (*Set) expr()     {}
func (*Range) expr()   {}
func (*Paren) expr()   {}
func (*Unary) expr()   {}
func (*Binary) expr()  {}
func (*Cond) expr()    {}
func (*Cast) expr()    {}
func (*Index) expr()   {}
func (*Suffix) expr()  {}
func (*Call) expr()    {}

// Bare returns x without the parentheses around it.
func Bare(x Expr) Expr {
	for {
		p, ok := x.(*Paren)
		if !ok {
			return x
		}
		x = p.X
	}
}

// Partial is an expression after which the text went wrong: what X says may be
// checked, but that X is a whole condition may not be asked.
type Partial struct{ X Expr }

// Span implements [Expr].
func (x *Partial) Span() (int, int) { return x.X.Span() }

func (*Partial) expr() {}
