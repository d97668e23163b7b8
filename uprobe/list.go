package uprobe

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/args"
	"github.com/perfpipe/perfpipe/uprobe/internal/insn"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// Listed is one thing of a file that can be probed.
type Listed struct {
	// Kind is Entry for functions, USDT for static probes.
	Kind Kind
	// Name is the function as people read it, or "provider:name".
	Name string
	// Symbol is the function's name in the symbol table, where that is another.
	Symbol string
	// Params are a function's parameters or a static probe's arguments; Known is false
	// where nothing tells of them (no DWARF).
	Params []Param
	Known  bool
	// Ret is the type that a function returns in the words of its language, "" for none.
	Ret string
	// Offset is the place in the file, Size the function's bytes.
	Offset, Size uint64
	// Sites is the number of places of a static probe, 1 for functions.
	Sites int
	// Aliases are other names of the function.
	Aliases []string
	// Source is where the function's symbol was found.
	Source string
	// Notes are what to know before probing it: chosen by the loader, a clone, no return.
	Notes []string
}

// Param is a parameter or an argument.
type Param struct {
	// Name is the name in the source, "arg0" by position.
	Name string
	// Type is the type in the words of the language, or the kernel's for static probes.
	Type string
	// Why says why it cannot be fetched; "" where it can.
	Why string
}

// List returns the functions and static probes of a file whose names match pattern, a
// name or a glob; "" and "*" are all. Only kinds of what are listed: both where it is
// empty. The parameters of more than 400 functions are looked up only by ListAll.
func (r *Resolver) List(file, pattern string, what ...Kind) ([]Listed, error) {
	return r.list(file, pattern, true, what)
}

// ListAll is List with the parameters of every function.
func (r *Resolver) ListAll(file, pattern string, what ...Kind) ([]Listed, error) {
	return r.list(file, pattern, false, what)
}

func (r *Resolver) list(file, pattern string, brief bool, what []Kind) ([]Listed, error) {
	b, err := r.open(&Spec{Binary: file})
	if err != nil {
		return nil, err
	}
	want := func(k Kind) bool {
		for _, w := range what {
			if w == k {
				return true
			}
		}
		return len(what) == 0
	}
	if pattern == "" {
		pattern = "*"
	}
	var list []Listed
	if want(USDT) {
		static, err := b.listStatic(pattern)
		if err != nil {
			return nil, err
		}
		list = append(list, static...)
	}
	if !want(Entry) || strings.Contains(pattern, ":") && !strings.Contains(pattern, "::") {
		return list, nil
	}
	funcs, err := b.listFuncs(pattern)
	var unknown *symbols.UnknownFunctionError
	if errors.As(err, &unknown) && len(list) > 0 {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	for i := range funcs {
		list = append(list, r.listed(b, &funcs[i], brief && len(funcs) > briefly))
	}
	return list, nil
}

// Names returns the names of the functions of a file, or of its static probes as
// "provider:name", that begin with prefix: sorted, those of C++ and Rust without
// their parameters, and no parts that the compiler made. It reads no debug information
// but symbols.
func (r *Resolver) Names(file, prefix string, kind Kind) ([]string, error) {
	b, err := r.open(&Spec{Binary: file})
	if err != nil {
		return nil, err
	}
	var names []string
	add := func(n string) {
		if strings.HasPrefix(n, prefix) {
			names = append(names, n)
		}
	}
	if kind == USDT {
		all, err := b.static()
		if err != nil && len(all) == 0 {
			return nil, err
		}
		for _, u := range all {
			add(u.Provider + ":" + u.Name)
		}
	} else {
		funcs, err := b.Glob(prefix + "*")
		if err != nil {
			return nil, err
		}
		for i := range funcs {
			add(funcs[i].Name)
			for _, a := range funcs[i].Aliases {
				if !strings.Contains(a, "@") {
					add(a)
				}
			}
			if head, _, ok := strings.Cut(funcs[i].Demangled, "("); ok {
				add(head)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// briefly is how many functions are listed with their parameters where brevity is
// wanted: finding those of one takes a millisecond.
const briefly = 400

// listStatic lists static probes; the pattern is that of a name, or of provider:name.
func (b *binary) listStatic(pattern string) ([]Listed, error) {
	all, err := b.static()
	if err != nil && len(all) == 0 {
		return nil, err
	}
	var list []Listed
	for _, u := range all {
		full := u.Provider + ":" + u.Name
		byName, err := path.Match(pattern, u.Name)
		byFull, err2 := path.Match(pattern, full)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("%q is no glob: %w", pattern, err)
		}
		if !byName && !byFull {
			continue
		}
		l := Listed{Kind: USDT, Name: full, Known: true, Sites: len(u.Sites), Offset: u.Sites[0].Offset}
		for i, o := range u.Sites[0].Args {
			p := Param{Name: fmt.Sprintf("arg%d", i), Why: o.Reason, Type: operandType(o.Size, o.Signed, o.Float)}
			l.Params = append(l.Params, p)
		}
		if u.Sites[0].SemaphoreVaddr != 0 {
			l.Notes = append(l.Notes, "turned on by a counter while somebody watches")
		}
		list = append(list, l)
	}
	return list, nil
}

func operandType(size int, signed, float bool) string {
	switch {
	case float:
		return fmt.Sprintf("f%d", 8*size)
	case signed:
		return fmt.Sprintf("s%d", 8*size)
	}
	return fmt.Sprintf("u%d", 8*size)
}

func (b *binary) listFuncs(pattern string) ([]symbols.Func, error) {
	if pattern == "*" {
		return b.Funcs()
	}
	funcs, err := b.Lookup(pattern)
	var unknown *symbols.UnknownFunctionError
	if errors.As(err, &unknown) && strings.ContainsAny(pattern, "*?[") {
		return b.Glob(pattern)
	}
	return funcs, err
}

// listed says what there is to say of a function.
func (r *Resolver) listed(b *binary, fn *symbols.Func, brief bool) Listed {
	l := Listed{Kind: Entry, Name: display(fn), Offset: fn.Offset, Size: fn.Size, Sites: 1, Source: fn.Source, Aliases: fn.Aliases}
	if l.Name != fn.Name {
		l.Symbol = fn.Name
	}
	if fn.Version != "" && !fn.Default {
		l.Name += "@" + fn.Version
	}
	if brief {
		return l
	}
	if d := b.debug(); d != nil {
		params, ret, err := args.Params(d, args.Function{Name: fn.Name, PC: fn.Addr, Go: isGo(b, *fn), Clone: fn.Clone})
		if err == nil {
			l.Known = true
			for _, p := range params {
				l.Params = append(l.Params, Param{Name: p.Name, Type: p.CType, Why: p.Why})
			}
			if ret != nil {
				l.Ret = ret.CType
			}
		}
	}
	if fn.IFunc {
		l.Notes = append(l.Notes, fmt.Sprintf("chosen by the loader among %d implementations", len(b.Implementations(*fn))))
	}
	if fn.Clone != "" {
		l.Notes = append(l.Notes, "a part or copy that the compiler made")
	}
	if code, err := b.Code(*fn); err == nil && insn.Supported(b.Machine()) == nil {
		if err := insn.Probeable(code, insn.EntryOffset(code)); err != nil {
			l.Notes = append(l.Notes, err.Error())
		}
	}
	return l
}
