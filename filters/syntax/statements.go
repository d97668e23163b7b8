package syntax

// block = "{" { stmt } "}"
func (p *parser) block() *Block {
	if !p.enter() {
		p.leave()
		return nil
	}
	defer p.leave()
	open := p.next()
	b := &Block{At: open.Pos}
	for p.err == nil {
		switch p.tok().Kind {
		case RBrace:
			b.Stop = p.next().End
			return b
		case EOF:
			p.fail(open, "close it with }", "this { is never closed")
			return nil
		}
		if s := p.stmt(); s != nil && p.err == nil {
			b.List = append(b.List, s)
		}
	}
	return nil
}

// body is a block, or one statement that stands for a block of it.
func (p *parser) body() *Block {
	if p.tok().Kind == LBrace {
		return p.block()
	}
	if !p.enter() {
		p.leave()
		return nil
	}
	defer p.leave()
	t := p.tok()
	if t.Kind == Name && IsType(p.text(t)) && p.peek(1).Kind == Name {
		p.fail(t, "put it in braces", "a variable is declared where nothing can use it")
		return nil
	}
	s := p.stmt()
	if s == nil || p.err != nil {
		return nil
	}
	pos, end := s.Span()
	return &Block{At: pos, Stop: end, List: []Stmt{s}}
}

func (p *parser) stmt() Stmt {
	t, u := p.tok(), p.peek(1)
	if t.Kind == LBrace {
		if b := p.block(); b != nil {
			return b
		}
		return nil
	}
	if t.Kind != Name {
		p.unexpected("a statement")
		return nil
	}
	word := p.text(t)
	switch {
	case word == "if" && u.Kind == LParen:
		return p.ifStmt()
	case word == "for" && u.Kind == LParen:
		return p.forStmt()
	case word == "break" || word == "continue":
		p.next()
		return p.end(&JumpStmt{At: t.Pos, Word: word})
	case word == "return":
		return p.returnStmt()
	case word == "emit" && u.Kind == Name:
		return p.emit()
	case word == "delete" && u.Kind == Name:
		return p.deleteStmt()
	case word == "else":
		p.fail(t, "", "this else belongs to no if")
	case (word == "while" || word == "do" || word == "switch" || word == "goto") && u.Kind != Assign:
		p.fail(t, "the loop is for (i = 0; i < n max 100; i++) { ... }", "there is no %s", word)
	case (word == "state" || word == "percpu" || word == "const") && u.Kind == Name:
		p.fail(t, "put it before the blocks", "%s is declared outside of blocks", word)
	case IsType(word) && u.Kind == Name:
		return p.variable()
	case u.Kind == Name:
		p.fail(t, "the types are s8 s16 s32 s64 u8 u16 u32 u64 bool string", "unknown type %s", p.quoted(t))
	case u.Kind == LParen && u.Pos == t.End:
		p.next()
		if x, ok := p.call(&Ident{At: t.Pos, Name: word}).(*Call); ok {
			return p.end(&CallStmt{X: x})
		}
	default:
		return p.assign()
	}
	return nil
}

// end takes the semicolon behind s.
func (p *parser) end(s Stmt) Stmt {
	if p.err != nil {
		return nil
	}
	if p.tok().Kind == Semi {
		p.next()
		return s
	}
	if p.tok().Kind == RBrace || p.tok().Kind == Name {
		_, e := s.Span()
		p.fail(Token{Kind: Semi, Pos: e, End: e}, "", `";" is missing here`)
		return nil
	}
	p.unexpected(`";"`)
	return nil
}

func (p *parser) variable() Stmt {
	s := &VarStmt{At: p.tok().Pos}
	ok := false
	if s.Type, ok = p.typeName(); !ok {
		return nil
	}
	if s.Name, s.NameAt, ok = p.name("the name of the variable"); !ok {
		return nil
	}
	if t := p.tok(); t.Kind == Semi {
		p.fail(t, "write "+s.Type+" "+s.Name+" = 0;", "a variable needs a value from the start")
		return nil
	}
	if s.X = p.initializer(); p.err != nil {
		return nil
	}
	return p.end(s)
}

func (p *parser) emit() Stmt {
	s := &EmitStmt{At: p.next().Pos}
	ok := false
	if s.Type, ok = p.typeName(); !ok {
		return nil
	}
	if s.Name, s.NameAt, ok = p.name("the name of the column"); !ok {
		return nil
	}
	if s.X = p.initializer(); p.err != nil {
		return nil
	}
	return p.end(s)
}

// target = NAME [ "[" cond "]" ]
func (p *parser) target() Expr {
	t := p.next()
	var x Expr = &Ident{At: t.Pos, Name: p.text(t)}
	if p.tok().Kind != LBrack {
		return x
	}
	p.next()
	i := p.cond()
	end, ok := p.want(RBrack, `"]"`)
	if !ok {
		return nil
	}
	return &Index{X: x, I: i, Stop: end.End}
}

func (p *parser) deleteStmt() Stmt {
	s := &DeleteStmt{At: p.next().Pos}
	x, ok := p.target().(*Index)
	if p.err != nil {
		return nil
	}
	if !ok {
		p.unexpected("[ and the key of an element of a map")
		return nil
	}
	s.Target = x
	return p.end(s)
}

func (p *parser) assign() Stmt {
	x := p.target()
	if p.err != nil {
		return nil
	}
	op := p.tok()
	s := &AssignStmt{Target: x, OpAt: op.Pos, Op: p.text(op)}
	switch {
	case op.Kind == Incr:
		p.next()
		return p.end(s)
	case op.Kind != Assign:
		p.unexpected("=, +=, -=, &=, |=, ^= or ++ of an assignment")
		return nil
	}
	switch s.Op {
	case "=", "+=", "-=", "&=", "|=", "^=":
	default:
		p.fail(op, "write x = x "+s.Op[:len(s.Op)-1]+" y", "there is no %s", s.Op)
		return nil
	}
	p.next()
	if s.X = p.cond(); p.err != nil {
		return nil
	}
	return p.end(s)
}

func (p *parser) returnStmt() Stmt {
	s := &ReturnStmt{At: p.next().Pos}
	if t := p.tok(); t.Kind == Semi {
		p.fail(t, "write return true; to keep the record, return false; to drop it", "return needs a value")
		return nil
	}
	if s.X = p.cond(); p.err != nil {
		return nil
	}
	return p.end(s)
}

// if = "if" "(" cond ")" body [ "else" ( if | body ) ]
func (p *parser) ifStmt() Stmt {
	if !p.enter() {
		p.leave()
		return nil
	}
	defer p.leave()
	s := &IfStmt{At: p.next().Pos}
	p.next()
	s.If = p.cond()
	if _, ok := p.want(RParen, `")"`); !ok {
		return nil
	}
	if s.Then = p.body(); p.err != nil {
		return nil
	}
	if t := p.tok(); t.Kind != Name || p.text(t) != "else" {
		return s
	}
	p.next()
	if t := p.tok(); t.Kind == Name && p.text(t) == "if" {
		s.Else = p.ifStmt()
	} else if b := p.body(); b != nil {
		s.Else = b
	}
	if p.err != nil {
		return nil
	}
	return s
}

// for = "for" "(" NAME "=" cond ";" NAME "<" sum [ "max" sum ] ";" NAME "++" ")" body
func (p *parser) forStmt() Stmt {
	s := &ForStmt{At: p.next().Pos}
	p.next()
	if t := p.tok(); t.Kind == Name && IsType(p.text(t)) && p.peek(1).Kind == Name {
		p.fail(t, "write for ("+p.text(p.peek(1))+" = ...", "the variable of a loop is always an s64 and needs no type")
		return nil
	}
	ok := false
	if s.Name, s.NameAt, ok = p.name("the variable of the loop"); !ok {
		return nil
	}
	if s.From = p.initializer(); p.err != nil {
		return nil
	}
	if _, ok = p.want(Semi, `";"`); !ok {
		return nil
	}
	if !p.again(s.Name) {
		return nil
	}
	if _, ok = p.want(Lt, `"<", as the loop counts up to a bound`); !ok {
		return nil
	}
	if s.Bound = p.binary(shiftLevel); p.err != nil {
		return nil
	}
	if t := p.tok(); t.Kind == Name && p.text(t) == "max" {
		p.next()
		if s.Max = p.binary(shiftLevel); p.err != nil {
			return nil
		}
	}
	if _, ok = p.want(Semi, `"max" or ";"`); !ok {
		return nil
	}
	if !p.again(s.Name) {
		return nil
	}
	if _, ok = p.want(Incr, `"++"`); !ok {
		return nil
	}
	if _, ok = p.want(RParen, `")"`); !ok {
		return nil
	}
	if s.Body = p.body(); p.err != nil || s.Body == nil {
		return nil
	}
	return s
}

// shiftLevel is the precedence of << and >>, the loosest above comparisons.
const shiftLevel = 6

// again takes the name of a loop's variable where it stands again.
func (p *parser) again(name string) bool {
	t, ok := p.want(Name, `"`+name+`", the variable of the loop`)
	if ok && p.text(t) != name {
		p.fail(t, "write for ("+name+" = 0; "+name+" < n max 100; "+name+"++)", "expected %q, the variable of the loop", name)
		return false
	}
	return ok
}
