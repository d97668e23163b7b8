package symbols

import (
	"cmp"
	"slices"
	"strings"
)

// hit is a symbol that a name or a glob matched.
type hit struct {
	t *table
	s sym
	i int
}

// Lookup returns the functions that name means, by address: more than one where
// several static functions, or C++ overloads, have it. The package comment has the
// forms. The error is an [*UnknownFunctionError] or an [*AmbiguousFunctionError].
func (f *File) Lookup(name string) ([]Func, error) {
	plain, version, at := splitVersion(name)
	hits := f.rawHits(plain)
	hits = f.ofVersion(hits, version, at == "@@")
	if len(hits) > 0 {
		return f.group(hits), nil
	}
	hits, err := f.demangledHits(name)
	if err != nil {
		return nil, err
	}
	if len(hits) == 0 {
		return nil, f.unknown(name)
	}
	return f.group(hits), nil
}

// splitVersion splits "name@VER" and "name@@VER".
func splitVersion(s string) (name, version, at string) {
	i := strings.IndexByte(s, '@')
	if i <= 0 || strings.ContainsAny(s[i:], "/ ") {
		return s, "", ""
	}
	if strings.HasPrefix(s[i:], "@@") {
		return s[:i], s[i+2:], "@@"
	}
	return s[:i], s[i+1:], "@"
}

// rawHits finds the symbols that are name.
func (f *File) rawHits(name string) []hit {
	var hits []hit
	f.each(func(t *table, i int, s sym) bool {
		if t.is(s.name, name) {
			hits = append(hits, hit{t, s, i})
		}
		return true
	})
	return hits
}

// versionOf returns the version of a symbol: of its table, else of its name, as
// linkers write name@VER into .symtab.
func (h hit) versionOf() (string, bool) {
	if v, def := h.t.version(h.i); v != "" {
		return v, def
	}
	_, v, at := splitVersion(string(h.t.str(h.s.name)))
	return v, at == "@@"
}

// ofVersion keeps the hits of a version, or those that a name without one means: the
// default version where there is one. An address counts whole, as .symtab may lack
// the versions that .dynsym has.
func (f *File) ofVersion(hits []hit, version string, needDefault bool) []hit {
	type verdict struct{ want, unwanted bool }
	byAddr := make(map[uint64]verdict)
	anyDefault := false
	for _, h := range hits {
		v, def := h.versionOf()
		anyDefault = anyDefault || def
		d := byAddr[h.s.addr]
		if version == "" {
			d.want = d.want || def
			d.unwanted = d.unwanted || v != "" && !def
		} else {
			d.want = d.want || v == version && (def || !needDefault)
		}
		byAddr[h.s.addr] = d
	}
	return slices.DeleteFunc(hits, func(h hit) bool {
		d := byAddr[h.s.addr]
		if version != "" {
			return !d.want
		}
		return anyDefault && d.unwanted && !d.want
	})
}

// demangledHits finds the symbols whose demangled name is name: in full, else
// without parameters, else without template arguments.
func (f *File) demangledHits(name string) ([]hit, error) {
	want := squeeze(name)
	params := hasParams(want)
	filter := needle(name)
	var best []hit
	var bases []string // full names or bases of best, where template arguments were left out
	level := bareName + 1
	f.each(func(t *table, i int, s sym) bool {
		raw := t.str(s.name)
		if !mayMatch(raw, filter) {
			return true
		}
		sym, _, _ := splitVersion(string(raw))
		sym, clone := splitClone(sym)
		if clone != "" {
			return true
		}
		l, base, ok := matchDemangled(sym, want, params)
		if !ok || l > level {
			return true
		}
		if l < level {
			level, best, bases = l, nil, nil
		}
		best = append(best, hit{t, s, i})
		if l >= bareFull && !slices.Contains(bases, base) {
			bases = append(bases, base)
		}
		return true
	})
	if len(bases) > 1 {
		slices.Sort(bases)
		return nil, &AmbiguousFunctionError{Name: name, Path: f.path, Candidates: bases}
	}
	return best, nil
}

// matchDemangled reports how closely a mangled symbol is the wanted name, the
// closest being the smallest.
func matchDemangled(sym, want string, params bool) (level detail, base string, ok bool) {
	base, ok = demangled(sym, baseName)
	if !ok {
		return 0, "", false
	}
	if !params {
		if squeeze(base) == want {
			return baseName, base, true
		}
		bare, _ := demangled(sym, bareName)
		return bareName, base, squeeze(bare) == want
	}
	full, _ := demangled(sym, fullName)
	if sameCall(full, base, want) {
		return fullName, full, true
	}
	if squeeze(base) == want {
		return baseName, base, true
	}
	bare, _ := demangled(sym, bareName)
	whole, _ := demangled(sym, bareFull)
	return bareFull, full, sameCall(whole, bare, want)
}

// sameCall compares with a whole name, the return type that templates' names begin
// with and what follows the parameters (const) left out if want leaves them out.
func sameCall(full, base, want string) bool {
	if squeeze(full) == want {
		return true
	}
	if i := strings.Index(full, base+"("); i >= 0 && base != "" {
		full = full[i:]
	}
	if squeeze(full) == want {
		return true
	}
	return strings.HasSuffix(full, " const") && squeeze(strings.TrimSuffix(full, " const")) == want
}

// group makes functions of hits: one for each address, the first hit's name first,
// every other symbol at the address an alias.
func (f *File) group(hits []hit) []Func {
	byAddr := make(map[uint64][]hit, len(hits))
	matched := make(map[uint64]int, len(hits))
	for _, h := range hits {
		byAddr[h.s.addr] = append(byAddr[h.s.addr], h)
		matched[h.s.addr]++
	}
	f.each(func(t *table, i int, s sym) bool {
		if hs, ok := byAddr[s.addr]; ok {
			byAddr[s.addr] = append(hs, hit{t, s, i})
		}
		return true
	})
	funcs := make([]Func, 0, len(byAddr))
	for addr, hs := range byAddr {
		n := matched[addr]
		slices.SortStableFunc(hs[:n], preferred)
		slices.SortStableFunc(hs[n:], preferred)
		funcs = append(funcs, f.merge(hs))
	}
	slices.SortFunc(funcs, func(a, b Func) int { return cmp.Compare(a.Addr, b.Addr) })
	return funcs
}

// merge makes one function of the symbols at one address, the first being its name.
func (f *File) merge(hs []hit) Func {
	first := hs[0]
	fn := f.newFunc(first)
	seen := map[string]bool{fn.Name: true}
	for _, h := range hs {
		name, version, at := splitVersion(string(h.t.str(h.s.name)))
		if v, def := h.t.version(h.i); v != "" {
			version, at = v, "@"
			if def {
				at = "@@"
			}
		}
		if fn.Size == 0 {
			fn.Size = h.s.size
		}
		fn.IFunc = fn.IFunc || h.s.ifunc()
		if name == fn.Name && fn.Version == "" {
			fn.Version, fn.Default = version, at == "@@"
		}
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		fn.Aliases = append(fn.Aliases, versioned(name, version, at == "@@"))
	}
	return fn
}

// newFunc makes a function of one symbol.
func (f *File) newFunc(h hit) Func {
	name, version, at := splitVersion(string(h.t.str(h.s.name)))
	if v, def := h.t.version(h.i); v != "" {
		version, at = v, "@"
		if def {
			at = "@@"
		}
	}
	fn := Func{
		Name: name, Version: version, Default: at == "@@", Source: h.t.source,
		Addr: h.s.addr, Size: h.s.size, IFunc: h.s.ifunc(),
	}
	fn.Offset, _ = f.FileOffset(h.s.addr)
	base, clone := splitClone(name)
	fn.Clone = clone
	switch d, ok := demangled(base, fullName); {
	case ok:
		fn.Lang = langOf(base)
		if fn.Demangled = d; clone != "" {
			fn.Demangled += " [clone " + clone + "]"
		}
	case h.t.source == SourcePclntab, f.IsGo() && strings.ContainsRune(name, '.'):
		fn.Lang = LangGo
	}
	return fn
}

// preferred orders the symbols at one address, the name most likely meant first: as
// perf's choose_best_symbol (tools/perf/util/symbol.c) does, then the shorter one.
func preferred(a, b hit) int {
	ra, rb := a.rank(), b.rank()
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	na, nb := a.t.str(a.s.name), b.t.str(b.s.name)
	if len(na) != len(nb) {
		return cmp.Compare(len(na), len(nb))
	}
	return slices.Compare(na, nb)
}

func (h hit) rank() int {
	r := 0
	if h.s.size == 0 {
		r += 64
	}
	switch h.s.info >> 4 {
	case 1: // STB_GLOBAL
	case 2: // STB_WEAK
		r += 8
	default:
		r += 16
	}
	name := h.t.str(h.s.name)
	for i := 0; i < len(name) && i < 4 && name[i] == '_'; i++ {
		r++
	}
	return r
}
