package uprobe

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/internal/args"
	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
	"github.com/perfpipe/perfpipe/uprobe/internal/insn"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// Options are how a [Resolver] looks and decides.
type Options struct {
	// PID is the process whose files are looked at, in its mount namespace and by its
	// mappings first; 0 is the caller's own file system.
	PID int
	// DebugDirs are where separate debug files are; nil is /usr/lib/debug.
	DebugDirs []string
	// RetMode forces how returns are found.
	RetMode RetMode
	// UnsafeUretprobe allows a trampoline where it is known to kill the target.
	UnsafeUretprobe bool
	// Common are the fields that every event of this kernel begins with; nil is what
	// kernels have without PREEMPT_RT.
	Common []perfpipe.Field
}

// Resolver finds the places of probes. Files that it opened are kept until Close. It
// belongs to one goroutine.
type Resolver struct {
	opt   Options
	files map[string]*binary
}

// binary is an open file.
type binary struct {
	*symbols.File
	// name is its path in the target's file system, path the one that opens it here.
	name, path string
	dwarf      *dwarf.Data
	noDWARF    error
}

// NewResolver returns a resolver without open files.
func NewResolver(o Options) *Resolver {
	if o.Common == nil {
		o.Common = standardCommon()
	}
	return &Resolver{opt: o, files: map[string]*binary{}}
}

// Close closes the files. It may be called twice.
func (r *Resolver) Close() error {
	var errs []error
	for _, b := range r.files {
		errs = append(errs, b.Close())
	}
	clear(r.files)
	return errors.Join(errs...)
}

// standardCommon are the common fields of a kernel without PREEMPT_RT: struct
// trace_entry, include/linux/trace_events.h.
func standardCommon() []perfpipe.Field {
	f := func(name, ctype string, off, size int, kind perfpipe.Kind) perfpipe.Field {
		return perfpipe.Field{Name: name, CType: ctype, Offset: off, Size: size, ElemSize: size, Count: 1, Kind: kind, Signed: kind == perfpipe.KindInt}
	}
	return []perfpipe.Field{
		f("common_type", "unsigned short", 0, 2, perfpipe.KindUint),
		f("common_flags", "unsigned char", 2, 1, perfpipe.KindUint),
		f("common_preempt_count", "unsigned char", 3, 1, perfpipe.KindUint),
		f("common_pid", "int", 4, 4, perfpipe.KindInt),
	}
}

// Plan finds where a probe fires and what it takes there. It reads files and needs
// no privilege for those that the caller may read.
//
// Returns are found by the kernel's trampoline where that does no harm, and at the
// function's RET instructions where it would: Go programs move their stacks, and a
// C++ exception cannot pass the trampoline. [Options.RetMode] says otherwise; a
// trampoline on Go is refused without [Options.UnsafeUretprobe].
func (r *Resolver) Plan(s *Spec) (*Probe, error) {
	b, err := r.open(s)
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", s.Text, err)
	}
	p := &Probe{Spec: s, System: s.Kind.String(), Binary: b.name, Path: b.path, BuildID: b.BuildID()}
	if s.Kind == USDT {
		err = r.planStatic(p, b)
	} else {
		err = r.planFunctions(p, b)
	}
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", s.Text, err)
	}
	p.Table = cleanName(p.System + "." + p.Name)
	for i := range p.Variants {
		v := &p.Variants[i]
		v.Schema = v.schema(p, r.opt.Common)
		if len(v.fetches(&v.Sites[0])) > maxArgs {
			return nil, fmt.Errorf("probe %s: more than the %d fields that the kernel takes; ask for fewer arguments", s.Text, maxArgs)
		}
	}
	return p, nil
}

// debug returns the DWARF of b, nil where there is none.
func (b *binary) debug() *dwarf.Data {
	if b.dwarf == nil && b.noDWARF == nil {
		b.dwarf, b.noDWARF = b.DWARF()
	}
	return b.dwarf
}

// planFunctions is Plan for entries and returns of functions.
func (r *Resolver) planFunctions(p *Probe, b *binary) error {
	s := p.Spec
	funcs, err := r.functions(p, b)
	if err != nil {
		return err
	}
	p.Name = b.short() + ":" + p.placeName(funcs)
	if s.Kind == Return {
		if p.Mode, err = r.retMode(b, funcs); err != nil {
			return err
		}
	}
	var sites []Site
	seen := map[uint64]bool{}
	var skipped []string
	for i := range funcs {
		list, err := r.sites(p, b, &funcs[i])
		if err != nil && len(funcs) > 1 {
			skipped = append(skipped, naming(display(&funcs[i]), err))
			continue
		}
		if err != nil {
			return err
		}
		for _, st := range list {
			if !seen[st.Offset] {
				seen[st.Offset] = true
				sites = append(sites, st)
			}
		}
	}
	if len(sites) == 0 {
		return fmt.Errorf("none of the %d functions can be probed; the first: %s", len(funcs), skipped[0])
	}
	if p.jumps > 0 {
		p.warn("returns are not seen where a function leaves by jumping to another one (places: %d): %s", p.jumps, some(p.jumpers, 6))
	}
	if n := len(skipped); n > 0 {
		p.warn("%d of %d functions left out; %s", n, len(funcs), skipped[0])
	}
	bufs := map[string]int{}
	for _, a := range s.Args {
		if a.Type == "buf" {
			bufs[columnOf(a)] = a.Len
		}
	}
	p.Variants = variants(sites, bufs)
	return nil
}

// naming is an error's text, which is to name the function.
func naming(fn string, err error) string {
	if text := err.Error(); strings.Contains(text, fn) {
		return text
	}
	return fmt.Sprintf("%s: %v", fn, err)
}

// columnOf is the name that an argument without one of its own gets, for the
// arguments whose name does not come from DWARF: by position and register.
func columnOf(a Arg) string {
	if a.Name != "" {
		return a.Name
	}
	for i := len(a.Path) - 1; i >= 0; i-- {
		if a.Path[i].Name != "" {
			return a.Path[i].Name
		}
	}
	return strings.TrimPrefix(a.Base, "%")
}

func (p *Probe) warn(format string, a ...any) {
	w := fmt.Sprintf(format, a...)
	if !slices.Contains(p.Warnings, w) {
		p.Warnings = append(p.Warnings, w)
	}
}

// variants groups sites by what they take: sites of one event have arguments of the
// same names and types.
func variants(sites []Site, bufs map[string]int) []Variant {
	var order []string
	groups := map[string][]Site{}
	for _, s := range sites {
		k := shapeOf(s.args)
		if _, ok := groups[k]; !ok {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	var list []Variant
	for _, k := range order {
		g := groups[k]
		slices.SortFunc(g, func(a, b Site) int { return int(int64(a.Offset) - int64(b.Offset)) })
		list = append(list, newVariant(g, bufs))
	}
	// Where one tells the function, all do.
	names := map[string]bool{}
	for _, s := range sites {
		names[s.Func] = true
	}
	for i := range list {
		list[i].numbered = len(names) > 1
	}
	return list
}

// shapeOf is equal for sites that can share an event: names, types, what can be had
// and which of it is read from memory.
func shapeOf(list []fetch.Arg) string {
	var b strings.Builder
	numbers := map[string]int{}
	for i := range list {
		a := &list[i]
		off, inner, deref := splitDeref(a.Expr)
		// So does which pointers lead to them.
		for _, expr := range pointers(a) {
			if _, ok := numbers[expr]; !ok {
				numbers[expr] = len(numbers)
			}
			fmt.Fprintf(&b, "%d>", numbers[expr])
		}
		fmt.Fprintf(&b, "%s:%s:%t:%t:", a.Name, a.Type, a.Null != "", a.Length != "")
		if deref {
			// Which fields are behind one pointer decides which are guarded.
			first := 0
			for j := range list[:i] {
				if _, in, ok := splitDeref(list[j].Expr); ok && in == inner {
					first = j + 1
					break
				}
			}
			fmt.Fprintf(&b, "%d:%d", first, off)
		}
		b.WriteByte(';')
	}
	return b.String()
}

// placeName is what comes behind the binary in the name of the event.
func (p *Probe) placeName(funcs []symbols.Func) string {
	s := p.Spec
	if s.HasAddr {
		return fmt.Sprintf("0x%x", s.Addr)
	}
	name := s.Func
	if len(funcs) == 1 && s.Quoted {
		name, _, _ = strings.Cut(name, "(")
	}
	if s.Offset != 0 {
		name += fmt.Sprintf("+0x%x", s.Offset)
	}
	return name
}

// functions finds the functions that are named.
func (r *Resolver) functions(p *Probe, b *binary) ([]symbols.Func, error) {
	s := p.Spec
	if s.HasAddr {
		fn, ok := b.At(s.Addr)
		if !ok {
			return nil, fmt.Errorf("no function that is known holds the address 0x%x of %s: whether an instruction begins there cannot be told, and a probe within one crashes the target", s.Addr, b.name)
		}
		return []symbols.Func{fn}, nil
	}
	funcs, err := b.Lookup(s.Func)
	var unknown *symbols.UnknownFunctionError
	if errors.As(err, &unknown) && !s.Quoted && strings.ContainsAny(s.Func, "*?[") {
		funcs, err = b.Glob(s.Func)
	}
	if err != nil {
		return nil, err
	}
	return r.indirect(p, b, funcs), nil
}

// indirect puts the implementations in the place of functions that the loader
// chooses one for (STT_GNU_IFUNC): a probe on those would hit the chooser, once.
func (r *Resolver) indirect(p *Probe, b *binary, funcs []symbols.Func) []symbols.Func {
	var out []symbols.Func
	var chosen, unknown []string
	for _, fn := range funcs {
		if !fn.IFunc {
			out = append(out, fn)
			continue
		}
		impl := b.Implementations(fn)
		if len(impl) == 0 {
			unknown = append(unknown, fn.Name)
			out = append(out, fn)
			continue
		}
		chosen = append(chosen, fn.Name)
		out = append(out, impl...)
	}
	if len(chosen) > 0 {
		p.warn("chosen by the loader (IFUNC) among several implementations, all of which are probed: %s", some(chosen, 6))
	}
	if len(unknown) > 0 {
		p.warn("chosen by the loader (IFUNC) among implementations that are not known, so that the probe fires when it chooses and not when they are called: %s; name an implementation, or install the debug symbols of %s that list them", some(unknown, 6), b.name)
	}
	return out
}

// some joins the first few of names.
func some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// retMode decides how returns are found.
func (r *Resolver) retMode(b *binary, funcs []symbols.Func) (RetMode, error) {
	goCode := false
	for _, fn := range funcs {
		goCode = goCode || isGo(b, fn)
	}
	switch {
	case r.opt.RetMode == RetTrampoline && goCode && !r.opt.UnsafeUretprobe:
		return 0, fmt.Errorf("%s is a Go program: it moves its stacks, and a return address that the kernel has replaced kills it; leave --ret-mode out (the RET instructions are probed then), or take the risk with --unsafe-uretprobe", b.name)
	case r.opt.RetMode != RetAuto:
		return r.opt.RetMode, nil
	case goCode || b.HasExceptTable():
		return RetSites, nil
	}
	return RetTrampoline, nil
}

// isGo reports whether a function was compiled by Go: not what a Go program has of C.
func isGo(b *binary, fn symbols.Func) bool {
	return b.IsGo() && fn.Lang == symbols.LangGo
}

// sites are the places of one function, with what is taken there.
func (r *Resolver) sites(p *Probe, b *binary, fn *symbols.Func) ([]Site, error) {
	s := p.Spec
	goFunc := isGo(b, *fn)
	if err := insn.Supported(b.Machine()); err != nil {
		return nil, err
	}
	var offsets []uint64 // from the function's start
	code, err := b.Code(*fn)
	if err != nil {
		return nil, err
	}
	offset := s.Offset
	if s.HasAddr {
		offset = s.Addr - fn.Addr
	}
	if s.Kind == Return && offset != 0 {
		return nil, fmt.Errorf("0x%x is 0x%x bytes into %s: a return has no offset, it is wherever the function returns; name %s, or 0x%x", s.Addr, offset, display(fn), display(fn), fn.Addr)
	}
	switch {
	case s.Kind == Return && p.Mode == RetSites:
		scan, err := insn.Scan(code)
		if err == nil && len(scan.Returns) == 0 {
			_, err = insn.Returns(code)
		}
		if err != nil {
			return nil, r.noSites(b, fn, goFunc, err)
		}
		if n := len(scan.TailCalls); n > 0 {
			p.jumpers, p.jumps = append(p.jumpers, display(fn)), p.jumps+n
		}
		offsets = scan.Returns
	case s.Kind == Return:
		if p.Mode == RetTrampoline && b.HasExceptTable() {
			p.warn("%s has C++ exceptions: one that passes a function whose return is probed by trampoline aborts the program", b.name)
		}
		offsets = []uint64{0}
	case offset != 0:
		if offset >= fn.Size && fn.Size > 0 {
			return nil, fmt.Errorf("offset 0x%x lies behind the end of %s, which has 0x%x bytes", offset, display(fn), fn.Size)
		}
		if err := insn.Boundary(code, offset); err != nil {
			return nil, fmt.Errorf("%s+0x%x: %w; a probe within an instruction crashes the target", display(fn), offset, err)
		}
		offsets = []uint64{offset}
	case goFunc:
		offsets = []uint64{insn.GoEntry(code)}
	default:
		offsets = []uint64{insn.EntryOffset(code)}
		if insn.Probeable(code, offsets[0]) != nil {
			offsets[0] = 0
		}
	}
	for _, off := range offsets {
		if err := insn.Probeable(code, off); err != nil {
			return nil, fmt.Errorf("%s: %w; name another place as %s+OFFSET", display(fn), err, display(fn))
		}
	}
	list, err := r.arguments(p, b, fn, goFunc, offset != 0)
	if err != nil {
		return nil, err
	}
	addrs := make([]uint64, 0, len(offsets))
	for _, off := range offsets {
		addrs = append(addrs, fn.Addr+off)
	}
	if s.Kind == Return && p.Mode == RetSites {
		addrs = append(addrs, r.coldReturns(p, b, fn)...)
	}
	var sites []Site
	for _, addr := range addrs {
		at, ok := b.FileOffset(addr)
		if !ok {
			return nil, fmt.Errorf("%s+0x%x is in no part of %s that is loaded", display(fn), addr-fn.Addr, b.name)
		}
		sites = append(sites, Site{Func: display(fn), Offset: at, args: list})
	}
	return sites, nil
}

// coldReturns are the addresses of the return instructions in the part of a function
// that the compiler moved away as rarely run: it returns from there as well.
func (r *Resolver) coldReturns(p *Probe, b *binary, fn *symbols.Func) []uint64 {
	parts, err := b.Lookup(fn.Name + ".cold")
	if err != nil {
		return nil // most functions have none
	}
	var addrs []uint64
	for _, part := range parts {
		code, err := b.Code(part)
		if err != nil {
			continue
		}
		scan, err := insn.Scan(code)
		if err != nil {
			p.warn("returns from %s are not seen: %v", part.Name, err)
			continue
		}
		for _, off := range scan.Returns {
			addrs = append(addrs, part.Addr+off)
		}
	}
	return addrs
}

// display is the name of a function that people read.
func display(fn *symbols.Func) string {
	if fn.Demangled != "" {
		return fn.Demangled
	}
	return fn.Name
}

// noSites says why a function's returns cannot be probed where they are.
func (r *Resolver) noSites(b *binary, fn *symbols.Func, goFunc bool, err error) error {
	if goFunc {
		return fmt.Errorf("returns of %s: %w", display(fn), err)
	}
	mend := "--ret-mode=trampoline probes them in another way"
	if b.HasExceptTable() {
		mend += ", which aborts the program where a C++ exception passes"
	}
	return fmt.Errorf("returns of %s: %w; %s", display(fn), err, mend)
}

// arguments says how the arguments of a probe are fetched in one function.
func (r *Resolver) arguments(p *Probe, b *binary, fn *symbols.Func, goFunc, inside bool) ([]fetch.Arg, error) {
	s := p.Spec
	f := args.Function{
		Name: display(fn), PC: fn.Addr, Go: goFunc, Clone: fn.Clone, Inside: inside && s.Kind == Entry,
		Return: s.Kind == Return, Sites: s.Kind == Return && p.Mode == RetSites,
	}
	want := wants(s.Args)
	if !s.HasArgs {
		if s.Kind != Return {
			return nil, nil
		}
		if want = r.implied(b, f); want == nil {
			return nil, nil
		}
	}
	if len(want) == 0 {
		return nil, nil
	}
	list, warnings, err := args.Resolve(b.debug(), f, want)
	if err != nil {
		if b.noDWARF != nil {
			return nil, fmt.Errorf("%w; %w", err, b.noDWARF)
		}
		return nil, err
	}
	for _, w := range warnings {
		p.warn("%s", w)
	}
	return list, nil
}

// implied is what a return probe takes that names nothing: the value, where there is one.
func (r *Resolver) implied(b *binary, f args.Function) []args.Want {
	switch some, known := args.Returns(b.debug(), f); {
	case !known:
		return []args.Want{{Base: "ret", Type: "s64"}}
	case !some:
		return nil
	}
	return []args.Want{{Base: "ret"}}
}

func wants(list []Arg) []args.Want {
	out := make([]args.Want, 0, len(list))
	for _, a := range list {
		w := args.Want{Name: a.Name, Base: a.Base, Type: a.Type, Len: a.Len}
		for _, st := range a.Path {
			w.Path = append(w.Path, args.Step{Kind: args.StepKind(st.Kind), Name: st.Name, Index: st.Index})
		}
		out = append(out, w)
	}
	return out
}
