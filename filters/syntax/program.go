package syntax

// Decl is a declaration of a program. Its span is src[pos:end].
type Decl interface {
	Span() (pos, end int)
	decl()
}

// Declarations.
type (
	// StateDecl is [percpu] state Type Name [= Init];
	StateDecl struct {
		At, NameAt, Stop int
		PerCPU           bool
		Type, Name       string
		Init             Expr // nil is 0
	}
	// MapDecl is map<Key, Value> Name[Size];
	MapDecl struct {
		At, NameAt, Stop int
		Key, Value, Name string
		Size             Expr
	}
	// ConstDecl is const Name = X;
	ConstDecl struct {
		At, NameAt, Stop int
		Name             string
		X                Expr
	}
	// FuncDecl is Type Name(Params) Body.
	FuncDecl struct {
		At, NameAt int
		Type, Name string
		Params     []Param
		Body       *Block
	}
	// Param is Type Name.
	Param struct {
		At, NameAt int
		Type, Name string
	}
)

// On is on Events Body: what is done for records of these events.
type On struct {
	At     int
	Events []OnEvent
	Body   *Block
}

// OnEvent is the name of an event, or a glob or a probe in quotes.
type OnEvent struct {
	At, Stop int
	Name     string
	// Quote is the quote that it stands in, 0 for none.
	Quote byte
}

// Stmt is a statement. Its span is src[pos:end].
type Stmt interface {
	Span() (pos, end int)
	stmt()
}

// Statements.
type (
	// Block is { List }.
	Block struct {
		At, Stop int
		List     []Stmt
	}
	// VarStmt is Type Name = X;
	VarStmt struct {
		At, NameAt int
		Type, Name string
		X          Expr
	}
	// AssignStmt is Target Op X; Op is one of "=", "+=", "-=", "&=", "|=", "^=", "++", the
	// last without X. Target is an [Ident] or an [Index].
	AssignStmt struct {
		Target Expr
		OpAt   int
		Op     string
		X      Expr
	}
	// IfStmt is if (If) Then [else Else]; Else is nil, a *Block or an *IfStmt.
	IfStmt struct {
		At   int
		If   Expr
		Then *Block
		Else Stmt
	}
	// ForStmt is for (Name = From; Name < Bound [max Max]; Name++) Body.
	ForStmt struct {
		At, NameAt int
		Name       string
		From       Expr
		Bound, Max Expr // Max may be nil
		Body       *Block
	}
	// JumpStmt is break; or continue;
	JumpStmt struct {
		At   int
		Word string
	}
	// ReturnStmt is return X;
	ReturnStmt struct {
		At int
		X  Expr
	}
	// EmitStmt is emit Type Name = X;
	EmitStmt struct {
		At, NameAt int
		Type, Name string
		X          Expr
	}
	// DeleteStmt is delete Target; for an element of a map.
	DeleteStmt struct {
		At     int
		Target *Index
	}
	// CallStmt is X; for its effects.
	CallStmt struct {
		X *Call
	}
)

// Span implements [Decl].
func (d *StateDecl) Span() (int, int) { return d.At, d.Stop }

// Span implements [Decl].
func (d *MapDecl) Span() (int, int) { return d.At, d.Stop }

// Span implements [Decl].
func (d *ConstDecl) Span() (int, int) { return d.At, d.Stop }

// Span implements [Decl].
func (d *FuncDecl) Span() (int, int) { return d.At, d.Body.Stop }

// Span implements [Stmt].
func (s *Block) Span() (int, int) { return s.At, s.Stop }

// Span implements [Stmt].
func (s *VarStmt) Span() (int, int) { _, e := s.X.Span(); return s.At, e }

// Span implements [Stmt].
func (s *AssignStmt) Span() (int, int) {
	p, _ := s.Target.Span()
	if s.X == nil {
		return p, s.OpAt + len(s.Op)
	}
	_, e := s.X.Span()
	return p, e
}

// Span implements [Stmt].
func (s *IfStmt) Span() (int, int) {
	if s.Else != nil {
		_, e := s.Else.Span()
		return s.At, e
	}
	return s.At, s.Then.Stop
}

// Span implements [Stmt].
func (s *ForStmt) Span() (int, int) { return s.At, s.Body.Stop }

// Span implements [Stmt].
func (s *JumpStmt) Span() (int, int) { return s.At, s.At + len(s.Word) }

// Span implements [Stmt].
func (s *ReturnStmt) Span() (int, int) { _, e := s.X.Span(); return s.At, e }

// Span implements [Stmt].
func (s *EmitStmt) Span() (int, int) { _, e := s.X.Span(); return s.At, e }

// Span implements [Stmt].
func (s *DeleteStmt) Span() (int, int) { return s.At, s.Target.Stop }

// Span implements [Stmt].
func (s *CallStmt) Span() (int, int) { return s.X.Span() }

func (*StateDecl) decl()  {}
func (*MapDecl) decl()    {}
func (*ConstDecl) decl()  {}
func (*FuncDecl) decl()   {}
func (*Block) stmt()      {}
func (*VarStmt) stmt()    {}
func (*AssignStmt) stmt() {}
func (*IfStmt) stmt()     {}
func (*ForStmt) stmt()    {}
func (*JumpStmt) stmt()   {}
func (*ReturnStmt) stmt() {}
func (*EmitStmt) stmt()   {}
func (*DeleteStmt) stmt() {}
func (*CallStmt) stmt()   {}
