package syntax

// startsProgram reports whether the text begins like a declaration, a clause or a
// block, and is therefore more than one expression.
func (p *parser) startsProgram() bool {
	if p.tok().Kind == LBrace || p.startsOn() {
		return true
	}
	if p.startsDecl() {
		return true
	}
	t := p.tok()
	return t.Kind == Name && p.text(t) == "emit" && p.peek(1).Kind == Name
}

func (p *parser) startsOn() bool {
	if p.tok().Kind != Name || p.text(p.tok()) != "on" {
		return false
	}
	u := p.peek(1)
	switch u.Kind {
	case Text:
		return true
	case Name:
		k := p.peek(2).Kind
		return k == Colon || k == LBrace || k == Comma
	}
	return false
}

func (p *parser) startsDecl() bool {
	t, u := p.tok(), p.peek(1)
	if t.Kind != Name {
		return false
	}
	word := p.text(t)
	switch word {
	case "state", "percpu", "const":
		return u.Kind == Name
	case "map":
		return u.Kind == Lt && p.peek(2).Kind == Name && p.peek(3).Kind == Comma
	}
	return IsType(word) && u.Kind == Name
}

// file = { decl } ( cond | block | clause { clause } ), where declarations may stand
// between clauses as well.
func (p *parser) file() *File {
	f := &File{}
	for p.err == nil {
		switch {
		case p.startsOn():
			if c := p.on(); c != nil {
				f.Ons = append(f.Ons, c)
			}
		case p.startsDecl():
			if d := p.decl(); d != nil {
				f.Decls = append(f.Decls, d)
			}
		case p.tok().Kind == EOF && len(f.Ons) > 0:
			return f
		case len(f.Ons) > 0:
			p.unexpected("on EVENT { ... }")
		case p.tok().Kind == LBrace:
			if f.Body = p.block(); p.err == nil && p.tok().Kind != EOF {
				p.unexpected("the end, as the block is the whole filter")
			}
			return f
		case p.tok().Kind == EOF:
			p.unexpected("an expression, a block { ... } or on EVENT { ... }")
		case p.tok().Kind == Name && p.text(p.tok()) == "emit" && p.peek(1).Kind == Name:
			p.fail(p.tok(), "write { emit u64 x = ...; return true; }", "emit stands in a block")
		default:
			f.Expr = p.cond()
			if p.err == nil && p.tok().Kind != EOF {
				p.unexpected("")
			}
			return f
		}
	}
	return f
}

// on = "on" event { "," event } block ; event = NAME [":" NAME] | STRING
func (p *parser) on() *On {
	c := &On{At: p.next().Pos}
	for {
		t := p.tok()
		switch t.Kind {
		case Text:
			p.next()
			c.Events = append(c.Events, OnEvent{At: t.Pos, Stop: t.End, Name: p.src[t.Pos+1 : t.End-1], Quote: p.src[t.Pos]})
		case Name:
			p.next()
			e := OnEvent{At: t.Pos, Stop: t.End}
			if p.tok().Kind == Colon {
				p.next()
				u := p.tok()
				if u.Kind != Name {
					p.fail(u, `put globs and probes in quotes: on "syscalls:sys_enter_*" { ... }`, "the name of the event behind %q is missing", p.src[t.Pos:t.End]+":")
					return nil
				}
				e.Stop = p.next().End
			}
			e.Name = p.text(t)
			if e.Stop != t.End {
				e.Name += ":" + p.src[p.toks[p.at-1].Pos:e.Stop]
			}
			c.Events = append(c.Events, e)
		default:
			p.unexpected("the name of an event, such as sched:sched_switch")
			return nil
		}
		if p.tok().Kind != Comma {
			break
		}
		p.next()
	}
	if p.tok().Kind != LBrace {
		p.unexpected(`"{", which begins what is done on the event`)
		return nil
	}
	c.Body = p.block()
	return c
}

// want takes a token of kind k, or reports what is there instead.
func (p *parser) want(k Kind, what string) (Token, bool) {
	t := p.tok()
	if p.err != nil {
		return t, false
	}
	if t.Kind != k {
		p.unexpected(what)
		return t, false
	}
	return p.next(), true
}

// typeName takes a type.
func (p *parser) typeName() (string, bool) {
	t := p.tok()
	if t.Kind != Name || !IsType(p.text(t)) {
		if t.Kind == Name {
			p.fail(t, "the types are s8 s16 s32 s64 u8 u16 u32 u64 bool string", "unknown type %s", p.quoted(t))
		} else {
			p.unexpected("a type")
		}
		return "", false
	}
	return p.text(p.next()), true
}

// keyword reports whether s may not be declared as a name.
func keyword(s string) bool {
	switch s {
	case "if", "else", "for", "break", "continue", "return", "emit", "delete", "state", "percpu", "map", "const", "on", "true", "false", "in", "while", "do", "switch", "goto":
		return true
	}
	return IsType(s)
}

// name takes a name that is being declared.
func (p *parser) name(what string) (string, int, bool) {
	t, ok := p.want(Name, what)
	if !ok {
		return "", 0, false
	}
	if keyword(p.text(t)) {
		p.fail(t, "choose another name", "%q is a word of the language", p.text(t))
		return "", 0, false
	}
	return p.text(t), t.Pos, true
}

func (p *parser) decl() Decl {
	t := p.tok()
	switch p.text(t) {
	case "state", "percpu":
		return p.state()
	case "map":
		return p.mapDecl()
	case "const":
		p.next()
		d := &ConstDecl{At: t.Pos}
		ok := false
		if d.Name, d.NameAt, ok = p.name("the name of the constant"); !ok {
			return nil
		}
		if d.X = p.initializer(); p.err != nil {
			return nil
		}
		end, ok := p.want(Semi, `";"`)
		if !ok {
			return nil
		}
		d.Stop = end.End
		return d
	}
	return p.fun()
}

// state = ["percpu"] "state" type NAME ["=" cond] ";"
func (p *parser) state() Decl {
	t := p.next()
	d := &StateDecl{At: t.Pos}
	if p.text(t) == "percpu" {
		d.PerCPU = true
		if u := p.tok(); p.text(u) != "state" {
			p.fail(u, "write percpu state u64 n;", "percpu stands before state")
			return nil
		}
		p.next()
	}
	ok := false
	if d.Type, ok = p.typeName(); !ok {
		return nil
	}
	if d.Name, d.NameAt, ok = p.name("the name of the variable"); !ok {
		return nil
	}
	if p.tok().Kind == Assign {
		if d.Init = p.initializer(); p.err != nil {
			return nil
		}
	}
	end, ok := p.want(Semi, `";"`)
	if !ok {
		return nil
	}
	d.Stop = end.End
	return d
}

// initializer = "=" cond
func (p *parser) initializer() Expr {
	if t := p.tok(); t.Kind != Assign || p.text(t) != "=" {
		p.unexpected(`"=" and a value`)
		return nil
	}
	p.next()
	return p.cond()
}

// map = "map" "<" NAME "," type ">" NAME "[" cond "]" ";"
func (p *parser) mapDecl() Decl {
	d := &MapDecl{At: p.next().Pos}
	p.next()
	key := p.next()
	d.Key = p.text(key)
	if d.Key != "pid" && d.Key != "tid" && d.Key != "cpu" && !IsType(d.Key) {
		p.fail(key, "keys are pid, tid, cpu, or s8 to s64 and u8 to u64", "unknown type of key %s", p.quoted(key))
		return nil
	}
	p.next()
	ok := false
	if d.Value, ok = p.typeName(); !ok {
		return nil
	}
	if _, ok = p.want(Gt, `">"`); !ok {
		return nil
	}
	if d.Name, d.NameAt, ok = p.name("the name of the map"); !ok {
		return nil
	}
	if p.tok().Kind != LBrack {
		p.fail(p.tok(), "write map<tid, u64> m[1024]; a full map is a fault", "the map needs a capacity in brackets")
		return nil
	}
	p.next()
	if d.Size = p.cond(); p.err != nil {
		return nil
	}
	if _, ok = p.want(RBrack, `"]"`); !ok {
		return nil
	}
	end, ok := p.want(Semi, `";"`)
	if !ok {
		return nil
	}
	d.Stop = end.End
	return d
}

// fun = type NAME "(" [ type NAME { "," type NAME } ] ")" block
func (p *parser) fun() Decl {
	d := &FuncDecl{At: p.tok().Pos}
	ok := false
	if d.Type, ok = p.typeName(); !ok {
		return nil
	}
	if d.Name, d.NameAt, ok = p.name("the name of the function"); !ok {
		return nil
	}
	if t := p.tok(); t.Kind == Assign || t.Kind == Semi {
		p.fail(t, "outside of a block write state "+d.Type+" "+d.Name+", which keeps its value, or const "+d.Name+" = ...", "a variable is declared outside of a block")
		return nil
	}
	if _, ok = p.want(LParen, `"("`); !ok {
		return nil
	}
	for p.tok().Kind != RParen {
		if len(d.Params) > 0 {
			if _, ok = p.want(Comma, `"," or ")"`); !ok {
				return nil
			}
		}
		a := Param{At: p.tok().Pos}
		if a.Type, ok = p.typeName(); !ok {
			return nil
		}
		if a.Name, a.NameAt, ok = p.name("the name of the parameter"); !ok {
			return nil
		}
		d.Params = append(d.Params, a)
	}
	p.next()
	if p.tok().Kind != LBrace {
		p.unexpected(`"{", which begins the function`)
		return nil
	}
	if d.Body = p.block(); d.Body == nil {
		return nil
	}
	return d
}
