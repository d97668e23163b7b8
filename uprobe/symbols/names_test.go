package symbols

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const cppText = `
#include <stdexcept>
#include <vector>
#define KEEP __attribute__((noinline, used))
namespace ns {
struct C {
	C();
	~C();
	KEEP int method(int x) { return x; }
	KEEP int method(const char *s, int n) { return *s + n; }
	KEEP int get() const { return 1; }
	KEEP int operator()(int x) { return x; }
};
KEEP C::C() {}
KEEP C::~C() {}
KEEP int f(int x) { return x; }
KEEP int f(double x) { return int(x); }
}
template <class T> struct vec { KEEP void push(T x) { v = x; } KEEP void pop() { v = 0; } T v; };
template <class T> struct lone { KEEP void only(T x) { v = x; } T v; };
template <class T> KEEP T twice(T x) { return x + x; }
namespace { KEEP int inner(int x) { return x + 1; } }
int main() {
	ns::C c; vec<int> a; vec<long> b; lone<int> l;
	a.push(1); b.push(2); a.pop(); l.only(3);
	try { if (c.get() == 2) throw std::runtime_error("x"); } catch (...) { return 1; }
	return c.method(1) + c.method("x", 2) + c(3) + ns::f(1) + ns::f(2.0) + twice(3) + inner(4);
}
`

func TestCPP(t *testing.T) {
	needELF(t)
	dir := t.TempDir()
	prog := filepath.Join(dir, "prog")
	run(t, "g++", "-O1", "-o", prog, write(t, filepath.Join(dir, "p.cc"), cppText))
	f := mustOpen(t, prog, Options{})
	if !f.HasExceptTable() {
		t.Error("got no exception table")
	}
	tests := []struct {
		name string
		want []string // demangled
	}{
		{"ns::C::method", []string{"ns::C::method(int)", "ns::C::method(char const*, int)"}},
		{"ns::C::method(int)", []string{"ns::C::method(int)"}},
		{"ns::C::method( char const *,int )", []string{"ns::C::method(char const*, int)"}},
		{"_ZN2ns1C6methodEi", []string{"ns::C::method(int)"}},
		{"ns::C::get", []string{"ns::C::get() const"}},
		{"ns::C::get()", []string{"ns::C::get() const"}},
		{"ns::C::get() const", []string{"ns::C::get() const"}},
		{"ns::C::operator()", []string{"ns::C::operator()(int)"}},
		{"ns::C::operator()(int)", []string{"ns::C::operator()(int)"}},
		{"ns::C::C", []string{"ns::C::C()"}},
		{"ns::C::~C()", []string{"ns::C::~C()"}},
		{"ns::f(int)", []string{"ns::f(int)"}},
		{"vec<int>::push", []string{"vec<int>::push(int)"}},
		{"vec<long>::push(long)", []string{"vec<long>::push(long)"}},
		{"lone::only(int)", []string{"lone<int>::only(int)"}},
		{"twice<int>(int)", []string{"int twice<int>(int)"}},
		{"int twice<int>(int)", []string{"int twice<int>(int)"}},
		{"twice", []string{"int twice<int>(int)"}},
		{"(anonymous namespace)::inner", []string{"(anonymous namespace)::inner(int)"}},
		{"(anonymous namespace)::inner(int)", []string{"(anonymous namespace)::inner(int)"}},
	}
	for _, tt := range tests {
		fns, err := f.Lookup(tt.name)
		var got []string
		for _, fn := range fns {
			got = append(got, fn.Demangled)
			if fn.Lang != LangCPP {
				t.Errorf("%s: got language %v", tt.name, fn.Lang)
			}
		}
		if err != nil || !sameSet(got, tt.want) {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	var many *AmbiguousFunctionError
	if _, err := f.Lookup("vec::push"); !errors.As(err, &many) || !sameSet(many.Candidates, []string{"vec<int>::push", "vec<long>::push"}) {
		t.Errorf("got %v", err)
	}
	var unknown *UnknownFunctionError
	if _, err := f.Lookup("ns::C::methud"); !errors.As(err, &unknown) || len(unknown.Nearest) == 0 || unknown.Nearest[0] != "ns::C::method" {
		t.Errorf("got %v", err)
	}
	if _, err := f.Lookup("ns::f(long)"); !errors.As(err, &unknown) || len(unknown.Nearest) == 0 || unknown.Nearest[0] != "ns::f" {
		t.Errorf("got %v", err)
	}
	for pattern, want := range map[string]int{
		"ns::C::*": 6, "ns::C::method*": 2, "vec<*>::push": 2, "vec<int>*": 2, "*push*": 2, "_ZN2ns1C6method*": 2, "ns::?": 2, "ns::f(double)": 1,
	} {
		fns, err := f.Glob(pattern)
		if err != nil || len(fns) != want {
			t.Errorf("%s: got %v, %v, want %d", pattern, fns, err, want)
		}
	}
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	have := make(map[string]int)
	for _, s := range a {
		have[s]++
	}
	for _, s := range b {
		have[s]--
		if have[s] < 0 {
			return false
		}
	}
	return true
}

// Symbols of rustc 1.95, legacy and v0.
func TestMatchDemangled(t *testing.T) {
	const (
		legacy   = "_ZN4core3fmt5write17h0123456789abcdefE"
		llvm     = "_ZN4core3fmt5write17h0123456789abcdefE.llvm.123456"
		impl     = "_ZN53_$LT$core..fmt..Error$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE"
		v0       = "_RNvCs4fqI2P2rA04_5crate3foo"
		v0Method = "_RNvMNtCs4fqI2P2rA04_4core3strs_e3len"
		generic  = "_RINvNtCs4fqI2P2rA04_4core3ptr13drop_in_placeNtNtCs4fqI2P2rA04_5alloc6string6StringECs4fqI2P2rA04_5crate"
	)
	tests := []struct {
		sym, want string
		ok        bool
		level     detail
		lang      Lang
	}{
		{legacy, "core::fmt::write", true, baseName, LangRust},
		{legacy, "core::fmt::write::h0123456789abcdef", true, baseName, LangRust},
		{llvm, "core::fmt::write", true, baseName, LangRust},
		{legacy, "core::fmt::writ", false, 0, LangRust},
		{impl, "<core::fmt::Error as core::fmt::Debug>::fmt", true, baseName, LangRust},
		{v0, "crate::foo", true, baseName, LangRust},
		{generic, "core::ptr::drop_in_place::<alloc::string::String>", true, baseName, LangRust},
		{generic, "core::ptr::drop_in_place", true, bareName, LangRust},
		{"_ZN2ns1C6methodEi", "ns::C::method", true, baseName, LangCPP},
		{"_ZN2ns1C6methodEi", "ns::C::method(int)", true, fullName, LangCPP},
		{"readline", "readline", false, 0, LangCPP},
		{"_Zgarbage", "_Zgarbage", false, 0, LangCPP},
	}
	for _, tt := range tests {
		want := squeeze(tt.want)
		level, _, ok := matchDemangled(tt.sym, want, hasParams(want))
		if ok != tt.ok || ok && level != tt.level {
			t.Errorf("%s, %s: got %v, level %v, want %v, %v", tt.sym, tt.want, ok, level, tt.ok, tt.level)
		}
		if got := langOf(tt.sym); got != tt.lang {
			t.Errorf("%s: got %v, want %v", tt.sym, got, tt.lang)
		}
		if n := needle(tt.want); ok && !mayMatch([]byte(tt.sym), n) {
			t.Errorf("%s: the prefilter looks for %q", tt.sym, n)
		}
	}
}

// Where the prefilter says no, demangling must not find the name.
func TestNeedle(t *testing.T) {
	for name, want := range map[string]string{
		"ns::C::method": "method", "operator new(unsigned long)": "", "std::string::append": "append", "v8::*::CollectG*": "CollectG",
		"*tring*": "", "f<42>": "f", "(anonymous namespace)::g": "g", "main.(*T).Run": "main", "x[abc]longer": "longer", "größe::f": "f",
	} {
		if got := needle(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestSplitClone(t *testing.T) {
	for name, want := range map[string][2]string{
		"f.cold": {"f", ".cold"}, "f.part.0": {"f", ".part.0"}, "f.isra.0.cold": {"f", ".isra.0.cold"}, "f.constprop.12": {"f", ".constprop.12"},
		"f": {"f", ""}, "f.coldest": {"f.coldest", ""}, ".cold": {".cold", ""}, "main.parts.x": {"main.parts.x", ""}, "f.part.x": {"f.part.x", ""},
		"f.llvm.12": {"f.llvm.12", ""},
	} {
		if base, clone := splitClone(name); base != want[0] || clone != want[1] {
			t.Errorf("%s: got %q, %q, want %q", name, base, clone, want)
		}
	}
}

func TestClones(t *testing.T) {
	root := t.TempDir()
	path, addrs := buildC(t, root)
	if addrs["splits.cold"] == 0 {
		t.Skip("this compiler does not split functions")
	}
	f := mustOpen(t, path, Options{Root: root})
	m, err := f.Match("split*")
	if err != nil || len(m.Funcs) != 1 || m.Skipped != 1 {
		t.Errorf("got %+v, %v, want one function and one clone", m, err)
	}
	m, err = f.Match("split*.cold")
	if err != nil || len(m.Funcs) != 1 || m.Funcs[0].Clone != ".cold" {
		t.Errorf("got %+v, %v, want the clone", m, err)
	}
	if fn := one(t, f, "splits.cold"); fn.Clone != ".cold" || fn.Addr != addrs["splits.cold"] {
		t.Errorf("got %+v", fn)
	}
	var unknown *UnknownFunctionError
	if _, err := f.Match("splits?c*"); !errors.As(err, &unknown) || unknown.Skipped != 1 {
		t.Errorf("got %v", err)
	}
}

const versionText = `
int old_f(int x) { return x; }
int new_f(int x) { return x + 1; }
__asm__(".symver old_f,f@V1");
__asm__(".symver new_f,f@@V2");
int plain(int x) { return x + 2; }
`

func TestVersions(t *testing.T) {
	needELF(t)
	dir := t.TempDir()
	lib := filepath.Join(dir, "libv.so")
	src := write(t, filepath.Join(dir, "v.c"), versionText)
	script := write(t, filepath.Join(dir, "v.map"), "V1 { global: f; local: *; };\nV2 { global: f; plain; } V1;\n")
	run(t, "gcc", "-O2", "-shared", "-fPIC", "-o", lib, src, "-Wl,--version-script="+script)
	addrs := nm(t, lib)
	for _, stripped := range []string{"", "stripped"} {
		if stripped != "" {
			run(t, "strip", lib)
		}
		f := mustOpen(t, lib, Options{})
		for name, want := range map[string]string{"f": "new_f", "f@V1": "old_f", "f@V2": "new_f", "f@@V2": "new_f", "plain@V2": "plain", "plain": "plain"} {
			fn := one(t, f, name)
			version := "V2"
			if want == "old_f" {
				version = "V1"
			}
			if fn.Addr != addrs[want] || fn.Version != version || fn.Default != (version == "V2") {
				t.Errorf("%s %s: got %+v, want %s at %#x", stripped, name, fn, version, addrs[want])
			}
		}
		var unknown *UnknownFunctionError
		if _, err := f.Lookup("f@V3"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "f@V1") {
			t.Errorf("got %v", err)
		}
		if _, err := f.Lookup("f@@V1"); !errors.As(err, &unknown) {
			t.Errorf("got %v", err)
		}
		if fns, err := f.Glob("f@V*"); err == nil {
			t.Errorf("got %v for a version with a wildcard", fns)
		}
	}
}

func TestGlobMatch(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"mem*", "memcpy", true}, {"mem*", "mem", true}, {"mem*", "xmem", false}, {"*cpy", "memcpy", true}, {"m*c*y", "memcpy", true},
		{"m?mcpy", "memcpy", true}, {"m?", "m", false}, {"[a-m]*", "memcpy", true}, {"[!a-m]*", "memcpy", false}, {"[^x]emcpy", "memcpy", true},
		{"[]x]", "]", true}, {"[x", "[x", true}, {`\*`, "*", true}, {`\*`, "x", false}, {"", "", true}, {"", "x", false}, {"*", "", true},
		{"**a**b", "xxaxxb", true}, {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false}, {"[a-", "[a-", true}, {"f[int]", "fi", true},
	}
	for _, tt := range tests {
		if got := globMatch(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q, %q: got %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

const rustText = `
mod shapes {
    pub struct Square(pub u64);
    pub trait Area { fn area(&self) -> u64; }
    impl Area for Square { #[inline(never)] fn area(&self) -> u64 { self.0 * self.0 } }
    impl Square { #[inline(never)] pub fn grow(&mut self, by: u64) { self.0 += by } }
    #[inline(never)] pub fn twice<T: std::ops::Add<Output = T> + Copy>(x: T) -> T { x + x }
}
use shapes::Area;
fn main() {
    let mut s = shapes::Square(std::env::args().count() as u64);
    s.grow(2);
    println!("{} {}", s.area(), shapes::twice(s.0));
}
`

func TestRust(t *testing.T) {
	needELF(t)
	if _, err := exec.LookPath("rustc"); err != nil {
		t.Skip(err)
	}
	for _, mangling := range []string{"legacy", "v0"} {
		t.Run(mangling, func(t *testing.T) {
			dir := t.TempDir()
			prog := filepath.Join(dir, "prog")
			cmd := exec.Command("rustc", "-O", "-Z", "unstable-options", "-C", "symbol-mangling-version="+mangling, "-o", prog, write(t, filepath.Join(dir, "prog.rs"), rustText))
			// Legacy names are an unstable option since v0 is the default (1.95).
			cmd.Env = append(os.Environ(), "RUSTC_BOOTSTRAP=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Skipf("this rustc does not compile it: %s", out)
			}
			f := mustOpen(t, prog, Options{})
			names := []string{"prog::main", "prog::shapes::Square::grow", "<prog::shapes::Square as prog::shapes::Area>::area", "prog::shapes::twice"}
			if mangling == "v0" {
				names = append(names, "<prog::shapes::Square>::grow")
			}
			for _, name := range names {
				if fn := one(t, f, name); fn.Lang != LangRust || !strings.HasPrefix(squeeze(fn.Demangled), squeeze(name)) {
					t.Errorf("got %+v, want %s", fn, name)
				}
			}
			if fns, err := f.Glob("*prog::shapes::*"); err != nil || len(fns) != 3 {
				t.Errorf("got %v, %v, want 3 functions", fns, err)
			}
		})
	}
}

func TestSqueeze(t *testing.T) {
	for s, want := range map[string]string{
		"f(int, int)": "f(int,int)", "unsigned  long": "unsigned long", "std::vector<int, A<int> >::f": "std::vector<int,A<int>>::f", "<a::T>::f": "a::T::f",
		"<a::T<u8> as b::U>::f": "<a::T<u8>as b::U>::f", "<a::T<u8>>::f": "a::T<u8>::f", "<": "<", "<a": "<a", "<a>": "<a>", "f::h0123456789abcdef": "f", "f::hello": "f::hello", "": "",
	} {
		if got := squeeze(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
