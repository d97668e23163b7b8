package syntax

import "strings"

// PrintFile writes a filter of any kind as text, statements one a line: the same
// tree comes out when it is parsed again. An expression alone is what [Print] makes.
func PrintFile(f *File) string {
	var p filePrinter
	for _, d := range f.Decls {
		p.decl(d)
	}
	switch {
	case f.Body != nil:
		p.block(f.Body)
		p.b.WriteByte('\n')
	case f.Expr != nil:
		p.b.WriteString(Print(f.Expr))
	}
	for _, c := range f.Ons {
		p.b.WriteString("on ")
		for i, e := range c.Events {
			if i > 0 {
				p.b.WriteString(", ")
			}
			if e.Quote != 0 {
				p.b.WriteString(string(e.Quote) + e.Name + string(e.Quote))
			} else {
				p.b.WriteString(e.Name)
			}
		}
		p.b.WriteByte(' ')
		p.block(c.Body)
		p.b.WriteByte('\n')
	}
	return p.b.String()
}

type filePrinter struct {
	b      strings.Builder
	indent int
}

func (p *filePrinter) decl(d Decl) {
	switch d := d.(type) {
	case *StateDecl:
		if d.PerCPU {
			p.b.WriteString("percpu ")
		}
		p.b.WriteString("state " + d.Type + " " + d.Name)
		if d.Init != nil {
			p.b.WriteString(" = " + Print(d.Init))
		}
		p.b.WriteString(";\n")
	case *MapDecl:
		p.b.WriteString("map<" + d.Key + ", " + d.Value + "> " + d.Name + "[" + Print(d.Size) + "];\n")
	case *ConstDecl:
		p.b.WriteString("const " + d.Name + " = " + Print(d.X) + ";\n")
	case *FuncDecl:
		p.b.WriteString(d.Type + " " + d.Name + "(")
		for i, a := range d.Params {
			if i > 0 {
				p.b.WriteString(", ")
			}
			p.b.WriteString(a.Type + " " + a.Name)
		}
		p.b.WriteString(") ")
		p.block(d.Body)
		p.b.WriteByte('\n')
	}
}

func (p *filePrinter) line() {
	p.b.WriteByte('\n')
	// Deep nesting is shown by its braces: blanks would outgrow the text.
	p.b.WriteString(strings.Repeat("    ", min(p.indent, 16)))
}

func (p *filePrinter) block(s *Block) {
	p.b.WriteByte('{')
	p.indent++
	for _, k := range s.List {
		p.line()
		p.stmt(k)
	}
	p.indent--
	p.line()
	p.b.WriteByte('}')
}

func (p *filePrinter) stmt(s Stmt) {
	w := func(text string) { p.b.WriteString(text) }
	switch s := s.(type) {
	case *Block:
		p.block(s)
	case *VarStmt:
		w(s.Type + " " + s.Name + " = " + Print(s.X) + ";")
	case *AssignStmt:
		w(Print(s.Target))
		if s.X == nil {
			w(s.Op + ";")
			return
		}
		w(" " + s.Op + " " + Print(s.X) + ";")
	case *IfStmt:
		p.ifStmt(s)
	case *ForStmt:
		w("for (" + s.Name + " = " + Print(s.From) + "; " + s.Name + " < " + Print(s.Bound))
		if s.Max != nil {
			w(" max " + Print(s.Max))
		}
		w("; " + s.Name + "++) ")
		p.block(s.Body)
	case *JumpStmt:
		w(s.Word + ";")
	case *ReturnStmt:
		w("return " + Print(s.X) + ";")
	case *EmitStmt:
		w("emit " + s.Type + " " + s.Name + " = " + Print(s.X) + ";")
	case *DeleteStmt:
		w("delete " + Print(s.Target) + ";")
	case *CallStmt:
		w(Print(s.X) + ";")
	}
}

// ifStmt writes a chain of else if, which may be long, on one level.
func (p *filePrinter) ifStmt(s *IfStmt) {
	for {
		p.b.WriteString("if (" + Print(s.If) + ") ")
		p.block(s.Then)
		if s.Else == nil {
			return
		}
		p.b.WriteString(" else ")
		next, ok := s.Else.(*IfStmt)
		if !ok {
			p.block(s.Else.(*Block))
			return
		}
		s = next
	}
}
