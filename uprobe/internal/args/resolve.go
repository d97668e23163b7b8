package args

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

// resolver answers for one function.
type resolver struct {
	ts  *types
	sig *signature
	// none says why there is no signature.
	none     string
	params   []value
	results  []value
	warnings []string
	fn       Function
	// goCall: Go's convention holds.
	goCall bool
	// after is the state of C's convention behind the last parameter that is described.
	after sysv
}

// Resolve returns what the kernel is asked for, in the order of want, and warnings
// about columns that will never have a value. One want may become several arguments,
// or for "*" none. d is nil where there is no debug information.
//
// Errors name the argument, the reason and, where there is one, the mend.
func Resolve(d *dwarf.Data, fn Function, want []Want) ([]fetch.Arg, []string, error) {
	r, err := newResolver(d, fn)
	if err != nil {
		return nil, nil, err
	}
	var list []named
	for _, w := range want {
		got, err := r.want(w)
		if err != nil {
			return nil, nil, fmt.Errorf("argument %s of %s: %w", w, fn.Name, err)
		}
		list = append(list, got...)
	}
	out := settle(list)
	if err := check(out); err != nil {
		return nil, nil, fmt.Errorf("arguments of %s: %w", fn.Name, err)
	}
	return out, r.warnings, nil
}

// Params lists the parameters of a function and what it returns, nil where that is
// nothing. The error says why they are not known.
func Params(d *dwarf.Data, fn Function) (list []Param, ret *Param, err error) {
	fn.Inside, fn.Return = false, false
	r, err := newResolver(d, fn)
	if err != nil {
		return nil, nil, err
	}
	if err := r.known(); err != nil {
		return nil, nil, fmt.Errorf("parameters of %s: %w", fn.Name, err)
	}
	for _, v := range r.params {
		list = append(list, r.param(v))
	}
	if len(r.results) == 0 {
		return list, nil, nil
	}
	if len(r.results) == 1 {
		p := r.param(r.results[0])
		return list, &p, nil
	}
	all := Param{Name: "ret"}
	var types []string
	for i, v := range r.results {
		p := r.param(v)
		if p.Name != "ret"+strconv.Itoa(i) {
			p.CType = p.Name + " " + p.CType
		}
		types = append(types, p.CType)
		all.Why = or(all.Why, p.Why)
	}
	all.CType = "(" + strings.Join(types, ", ") + ")"
	return list, &all, nil
}

// Returns reports whether a function returns something, and whether that is known: it
// is of clones as well, whose parameters are not.
func Returns(d *dwarf.Data, fn Function) (some, known bool) {
	r, err := newResolver(d, fn)
	if err != nil || r.sig == nil {
		return false, false
	}
	return len(r.results) > 0, true
}

func (r *resolver) param(v value) Param {
	p := Param{Name: v.name, CType: v.t.text}
	got, err := r.fetch(v, Want{})
	switch {
	case err != nil:
		p.Why = err.Error()
	case len(got) > 0:
		p.Why = got[0].Null
	}
	return p
}

func newResolver(d *dwarf.Data, fn Function) (*resolver, error) {
	r := &resolver{fn: fn, ts: &types{d: d, m: map[dwarf.Offset]*typ{}}, goCall: fn.Go}
	if fn.Go {
		r.ts.lang = langGo
	}
	if d == nil {
		r.none = "there is no debug information (install it, -dbgsym or -dbg packages have it)"
	} else if err := r.describe(d); err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", fn.Name, err)
	}
	return r, nil
}

// describe reads the function's signature and gives the parameters their places.
func (r *resolver) describe(d *dwarf.Data) error {
	sig, err := signatureAt(d, r.fn.PC)
	switch {
	case errors.Is(err, errNoFunction):
		r.none = "the debug information does not describe it"
		return nil
	case err != nil:
		return err
	case len(sig.params) == 0 && sig.lang == langAsm:
		r.none = "it is in assembler, and no parameters are described"
		return nil
	}
	r.sig, r.ts.lang, r.goCall = sig, sig.lang, sig.lang == langGo
	if r.goCall {
		return r.placeGo()
	}
	return r.placeC()
}

func (r *resolver) placeC() error {
	ret, err := r.ts.of(r.sig.ret)
	if err != nil {
		return err
	}
	abi := &sysv{ts: r.ts}
	hidden, err := r.ts.hidden(ret)
	if err != nil {
		return err
	}
	if hidden {
		abi.ints = 1
	}
	var lost error
	for i, p := range r.sig.params {
		t, err := r.ts.of(p.typ)
		if err != nil {
			return err
		}
		v := value{name: or(p.name, "arg"+strconv.Itoa(i)), t: t, err: lost}
		if lost == nil {
			if v.pl, v.err = abi.next(t); v.err != nil {
				lost = fmt.Errorf("its place is not known, as that of %s is not: %w", v.name, v.err)
			}
		}
		if p.always != nil && t.scalar() {
			v.pl, v.err, v.always = place{parts: []part{{reg: fmt.Sprintf("\\%d", *p.always), size: 8}}}, nil, true
		}
		r.params = append(r.params, v)
	}
	r.after = *abi
	if ret.kind == kindVoid {
		return nil
	}
	v := value{name: "ret", t: ret}
	v.pl, v.err = r.ts.returned(ret, r.first())
	r.results = []value{v}
	return nil
}

// first is the kernel's name for the register of the first integer that is returned.
func (r *resolver) first() string {
	if r.fn.Sites {
		return "%ax"
	}
	return "$retval"
}

func (r *resolver) placeGo() error {
	// Functions in assembler have all of their parameters on the stack.
	abi := &goABI{ts: r.ts, abi0: strings.HasSuffix(r.fn.Name, ".abi0")}
	sp := int64(8) // the return address is at the stack pointer
	for pass := range 2 {
		if pass == 1 {
			abi.results()
			abi.first = r.first()
			if r.fn.Return && !r.fn.Sites {
				sp = 0 // the return address is gone at a trampoline
			}
		}
		n := 0
		for i, p := range r.sig.params {
			if p.result != (pass == 1) {
				continue
			}
			t, err := r.ts.of(p.typ)
			if err != nil {
				return err
			}
			v := value{name: p.name, t: t}
			if v.pl, err = abi.next(t, sp); err != nil {
				return err
			}
			if pass == 1 {
				if strings.HasPrefix(v.name, "~") || v.name == "" || v.name == "_" {
					v.name = "ret" + strconv.Itoa(n)
				}
				r.results = append(r.results, v)
			} else {
				if strings.HasPrefix(v.name, "~") || v.name == "" || v.name == "_" {
					v.name = "arg" + strconv.Itoa(i)
				}
				r.params = append(r.params, v)
			}
			n++
		}
	}
	if len(r.results) == 1 && r.results[0].name == "ret0" {
		r.results[0].name = "ret"
	}
	return nil
}

// positions returns a function that hands out the places of integer parameters of
// which nothing is known.
func (r *resolver) positions(abi sysv) func() (place, error) {
	t := &typ{kind: kindPointer, size: 8}
	if !r.goCall {
		return func() (place, error) { return abi.next(t) }
	}
	return r.goPositions(t)
}

func (r *resolver) goPositions(t *typ) func() (place, error) {
	abi := &goABI{ts: r.ts, abi0: strings.HasSuffix(r.fn.Name, ".abi0")}
	return func() (place, error) { return abi.next(t, 8) }
}

// known returns why the parameters' names are not known.
func (r *resolver) known() error {
	switch {
	case r.fn.Clone != "":
		return fmt.Errorf("this is the compiler's clone %s, whose parameters are not those of the source; take registers: (%%di:u64)", r.fn.Clone)
	case r.changed():
		return fmt.Errorf("the compiler passes it other parameters than the source has, and which ones is not described; take registers: (%%di:u64)")
	case r.sig == nil:
		return fmt.Errorf("%s; give positions and types: (arg0:ptr, arg1:u64)", r.none)
	}
	return nil
}

// changed reports whether the registers hold something else than the parameters.
func (r *resolver) changed() bool { return r.sig != nil && r.sig.changed }

// want resolves one argument.
func (r *resolver) want(w Want) ([]named, error) {
	if err := validType(w); err != nil {
		return nil, err
	}
	if w.Name != "" && !identifier(w.Name) {
		return nil, fmt.Errorf("%q is no name for a column: a letter or _, then letters, digits and _, at most %d, and not beginning with common_ or __probe", w.Name, maxName)
	}
	if w.Base == "*" {
		return r.all(w)
	}
	roots, err := r.roots(w.Base)
	if err != nil {
		return nil, err
	}
	if len(roots) > 1 && (len(w.Path) > 0 || w.Type != "") {
		return nil, fmt.Errorf("%d values are returned: take one of %s", len(roots), names(roots))
	}
	var out []named
	for _, v := range roots {
		if v.err != nil {
			return nil, v.err
		}
		v, err := r.walk(v, w.Base, w.Path)
		if err != nil {
			return nil, err
		}
		got, err := r.name(v, w, len(roots) > 1)
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
	}
	for _, n := range out {
		if n.arg.Null != "" {
			r.warnings = append(r.warnings, fmt.Sprintf("argument %s of %s is always null: %s", w, r.fn.Name, n.arg.Null))
		}
	}
	return out, nil
}

// name fetches a value and names its columns.
func (r *resolver) name(v value, w Want, several bool) ([]named, error) {
	got, err := r.fetch(v, w)
	if err != nil {
		return nil, err
	}
	var out []named
	for _, a := range got {
		suffix := a.Name
		n := named{arg: a, given: w.Name != ""}
		n.arg.Name = or(w.Name, v.name)
		if several && w.Name != "" {
			n.arg.Name += "_" + v.name
		}
		if suffix != "" {
			n.arg.Name += "_" + suffix
		}
		out = append(out, n)
	}
	return out, nil
}

// all resolves "*": every parameter that can be fetched; the others are warned of.
func (r *resolver) all(w Want) ([]named, error) {
	if len(w.Path) > 0 || w.Type != "" || w.Name != "" {
		return nil, fmt.Errorf("* stands for all parameters: it has no name, members or type")
	}
	list := r.results
	if err := r.known(); err != nil {
		return nil, err
	}
	if !r.fn.Return {
		if err := r.entry(); err != nil {
			return nil, err
		}
		list = r.params
	}
	var out []named
	for _, v := range list {
		why := v.err
		if why == nil {
			var got []named
			got, why = r.name(v, w, false)
			if why == nil && len(got) > 0 && got[0].arg.Null != "" {
				why = errors.New(got[0].arg.Null)
			}
			if why == nil {
				out = append(out, got...)
				continue
			}
		}
		r.warnings = append(r.warnings, fmt.Sprintf("%s of %s is left out: %v", v.name, r.fn.Name, why))
	}
	return out, nil
}

// entry returns why parameters are not where they are at the entry.
func (r *resolver) entry() error {
	if r.fn.Inside {
		return fmt.Errorf("the probe is behind the function's entry, where parameters may have left their registers; probe the entry, or take a register: (%%di:u64)")
	}
	return nil
}

// roots returns what a base stands for: one value, or all results.
func (r *resolver) roots(base string) ([]value, error) {
	if reg, ok := strings.CutPrefix(base, "%"); ok {
		if !slices.Contains(registers[:], reg) {
			return nil, fmt.Errorf("%%%s is no register of the kernel's probes: they are %s", reg, strings.Join(registers[:], " "))
		}
		return []value{unknown(reg, place{parts: []part{{reg: base, size: 8}}})}, nil
	}
	if r.fn.Return {
		return r.returnRoots(base)
	}
	for _, v := range r.params {
		if v.name == base {
			if v.always {
				return []value{v}, nil
			}
			if err := errors.Join(r.known(), r.entry()); err != nil {
				return nil, err
			}
			return []value{v}, nil
		}
	}
	if base == "ret" || base == "retval" {
		return nil, fmt.Errorf("what is returned is known only when the function returns: write uretprobe: before it, or %%return behind it")
	}
	if n, ok := position(base); ok {
		return r.byPosition(n, base)
	}
	if err := errors.Join(r.known(), r.entry()); err != nil {
		return nil, err
	}
	if len(r.params) == 0 {
		return nil, fmt.Errorf("the function has no parameters")
	}
	return nil, fmt.Errorf("there is no parameter %s%s: the parameters are %s", base, meant(base, valueNames(r.params)), names(r.params))
}

func (r *resolver) byPosition(n int, base string) ([]value, error) {
	if err := r.entry(); err != nil {
		return nil, err
	}
	tail := r.positions(sysv{ts: r.ts})
	if r.fn.Clone == "" && r.sig != nil && !r.sig.changed {
		if n < len(r.params) {
			v := r.params[n]
			v.name = base
			return []value{v}, nil
		}
		if !r.sig.variadic || r.goCall {
			return nil, fmt.Errorf("the function has %d parameters, of which arg0 is the first; take a register for what is not described: (%%di:u64)", len(r.params))
		}
		n -= len(r.params)
		tail = r.positions(r.after)
	}
	for i := 0; ; i++ {
		p, err := tail()
		if err != nil {
			return nil, err
		}
		if i < n {
			continue
		}
		v := unknown(base, p)
		if r.goCall {
			if next, err := tail(); err == nil {
				v.next = &next
			}
		}
		return []value{v}, nil
	}
}

func (r *resolver) returnRoots(base string) ([]value, error) {
	isRet := base == "ret" || base == "retval"
	if r.sig == nil || r.fn.Clone != "" && len(r.results) == 0 {
		if !isRet {
			return nil, fmt.Errorf("a return probe knows ret alone: the parameters are gone by then, and %s", or(r.none, "it is a clone"))
		}
		return []value{unknown("ret", place{parts: []part{{reg: r.first(), size: 8}}})}, nil
	}
	if isRet && len(r.results) == 0 {
		return nil, fmt.Errorf("the function returns nothing; take the register if you know better: (%%ax:u64)")
	}
	if isRet && len(r.results) == 1 {
		v := r.results[0]
		v.name = "ret"
		return []value{v}, nil
	}
	if isRet {
		return r.results, nil
	}
	for i, v := range r.results {
		if v.name == base || base == "ret"+strconv.Itoa(i) {
			return []value{v}, nil
		}
	}
	if len(r.results) < 2 {
		return nil, fmt.Errorf("a return probe knows ret alone, as the parameters are gone by then; probe the entry as well")
	}
	return nil, fmt.Errorf("a return probe knows what is returned, %s, as the parameters are gone by then; probe the entry as well", names(r.results))
}

// position returns N of argN.
func position(base string) (int, bool) {
	s, ok := strings.CutPrefix(base, "arg")
	if !ok || len(s) == 0 || len(s) > 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return int(n), err == nil
}
