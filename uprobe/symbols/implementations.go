package symbols

import (
	"slices"
	"strings"
)

// variants are the words by which implementations for one processor are told from
// other functions that begin alike: __memcpy_avx_unaligned is one, __memcpy_chk is not.
var variants = [...]string{
	"sse", "ssse", "avx", "evex", "erms", "fma", "generic", "default", "c", "i386", "i586", "i686", "nehalem", "slow", // x86
	"sve", "neon", "mops", "thunderx", "falkor", "a64fx", "oryon", "kunpeng", "simd", "nosimd", "mte", "emag", "mopsx", // arm
	"lasx", "lsx", "aligned", "unaligned", // loongarch
	"power", "ppc", "z13", "z15", "z196", "z10", "z900", "vx", "rvv", "noalignment", // power, s390, riscv
}

// Implementations returns the functions among which the resolver fn (see
// [Func.IFunc]) chooses, by glibc's convention of names: __memcpy_avx_unaligned for
// memcpy. .symtab or a debug file has them; without either there are none, nor for a
// function that is no resolver.
func (f *File) Implementations(fn Func) []Func {
	if !fn.IFunc {
		return nil
	}
	names := []string{strings.TrimLeft(fn.Name, "_")}
	for _, a := range fn.Aliases {
		plain, _, _ := splitVersion(a)
		for _, p := range []string{"__GI_", "__new_", "__libc_", "__"} {
			plain = strings.TrimPrefix(plain, p)
		}
		if n := strings.TrimLeft(plain, "_"); n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	var hits []hit
	f.each(func(t *table, i int, s sym) bool {
		if !s.ifunc() && isVariant(string(t.str(s.name)), names) {
			hits = append(hits, hit{t, s, i})
		}
		return true
	})
	return f.group(hits)
}

// isVariant reports whether sym is NAME_VARIANT, with or without underscores before.
func isVariant(sym string, names []string) bool {
	if _, clone := splitClone(sym); clone != "" {
		return false
	}
	sym = strings.TrimLeft(sym, "_")
	for _, n := range names {
		rest, ok := strings.CutPrefix(sym, n+"_")
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(rest, "_")
		if slices.Contains(variants[:], strings.TrimRight(word, "0123456789")) || slices.Contains(variants[:], word) {
			return true
		}
	}
	return false
}
