package uprobe

import (
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

// laid lays one site's arguments out.
func laid(t *testing.T, mode RetMode, funcs []string, list []fetch.Arg, bufs map[string]int) (*Probe, *perfpipe.Schema) {
	t.Helper()
	p := &Probe{Spec: &Spec{Text: "x"}, System: "uprobe", Name: "a:f", Table: "uprobe.a.f", Mode: mode}
	var sites []Site
	for i, f := range funcs {
		sites = append(sites, Site{Func: f, Offset: uint64(0x1000 + 16*i), args: list})
	}
	p.Variants = variants(sites, bufs)
	if len(p.Variants) != 1 {
		t.Fatalf("got %d variants, want 1", len(p.Variants))
	}
	v := &p.Variants[0]
	v.Schema = v.schema(p, standardCommon())
	return p, v.Schema
}

func TestLines(t *testing.T) {
	tests := []struct {
		name  string
		mode  RetMode
		funcs []string
		args  []fetch.Arg
		want  []string
	}{
		{"no arguments", RetAuto, []string{"f"}, nil, []string{"p:g/e0 /a:0x1000"}},
		{"trampoline", RetTrampoline, []string{"f"}, []fetch.Arg{{Name: "ret", Expr: "$retval", Type: "s32"}}, []string{"r:g/e0 /a:0x1000 ret=$retval:s32"}},
		{"several functions", RetAuto, []string{"f", "g", "f"}, nil, []string{
			"p:g/e0 /a:0x1000 func=\\0:u32", "p:g/e0 /a:0x1010 func=\\1:u32", "p:g/e0 /a:0x1020 func=\\0:u32"}},
		{"registers need no guard", RetAuto, []string{"f"}, []fetch.Arg{{Name: "n", Expr: "%di", Type: "s32"}}, []string{"p:g/e0 /a:0x1000 n=%di:s32"}},
		{"a string has a head", RetAuto, []string{"f"}, []fetch.Arg{{Name: "s", Expr: "+0(%si)", Type: "string"}}, []string{
			"p:g/e0 /a:0x1000 s=+0(%si):string s__h=+0(%si):x64"}},
		{"one check a pointer, at the lowest offset, first", RetAuto, []string{"f"}, []fetch.Arg{
			{Name: "v", Expr: "+8(%di)", Type: "s32"}, {Name: "id", Expr: "+4(%di)", Type: "s32"}, {Name: "q", Expr: "+0(+16(%di))", Type: "u64"}}, []string{
			"p:g/e0 /a:0x1000 id__c=+4(%di):string q__c=+0(+16(%di)):string v=+8(%di):s32 id=+4(%di):s32 q=+0(+16(%di)):u64 q__0=+16(%di):u64"}},
		{"every pointer on the way, once", RetAuto, []string{"f"}, []fetch.Arg{
			{Name: "s", Expr: "+0(+8(+16(%di)))", Type: "string"}, {Name: "n", Expr: "+4(+16(%di))", Type: "s32"}}, []string{
			"p:g/e0 /a:0x1000 n__c=+4(+16(%di)):string s=+0(+8(+16(%di))):string n=+4(+16(%di)):s32 s__0=+8(+16(%di)):u64 s__1=+16(%di):u64 s__h=+0(+8(+16(%di))):x64"}},
		{"a counted text in memory", RetAuto, []string{"f"}, []fetch.Arg{{Name: "s", Expr: "+0(+8(%ax))", Type: "string", Length: "+16(%ax)"}}, []string{
			"p:g/e0 /a:0x1000 s=+0(+8(%ax)):x64[32] s__0=%ax:u64 s__n=+16(%ax):s64"}},
		{"a counted text on the stack", RetAuto, []string{"f"}, []fetch.Arg{{Name: "s", Expr: "+0(+8(%sp))", Type: "string", Length: "+16(%sp)"}}, []string{
			"p:g/e0 /a:0x1000 s=+0(+8(%sp)):x64[32] s__n=+16(%sp):s64"}},
		{"a counted text", RetAuto, []string{"f"}, []fetch.Arg{{Name: "s", Expr: "+0(%ax)", Type: "string", Length: "%bx"}}, []string{
			"p:g/e0 /a:0x1000 s=+0(%ax):x64[32] s__n=%bx:s64"}},
		{"what is never there is not fetched", RetAuto, []string{"f"}, []fetch.Arg{{Name: "d", Null: "a double"}, {Name: "n", Expr: "%di", Type: "u8"}}, []string{
			"p:g/e0 /a:0x1000 n=%di:u8"}},
	}
	for _, tt := range tests {
		p, s := laid(t, tt.mode, tt.funcs, tt.args, nil)
		if got := p.lines(0, "g", "e0", "/a"); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
		checkLayout(t, tt.name, s)
	}
}

// checkLayout holds that fields lie in the record and that those shown do not overlap.
func checkLayout(t *testing.T, name string, s *perfpipe.Schema) {
	t.Helper()
	used := make([]string, s.Size)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Probed != nil && f.Probed.Never {
			continue
		}
		if f.Offset < 8 || f.Offset+f.Size > s.Size {
			t.Errorf("%s: field %s at %d, %d bytes, of %d", name, f.Name, f.Offset, f.Size, s.Size)
			continue
		}
		for j := f.Offset; j < f.Offset+f.Size; j++ {
			if used[j] != "" {
				t.Errorf("%s: fields %s and %s overlap", name, used[j], f.Name)
			}
			used[j] = f.Name
		}
		if strings.Contains(f.Name, "__") && !strings.HasPrefix(f.Name, "__probe") {
			t.Errorf("%s: the hidden field %s is shown", name, f.Name)
		}
	}
}

func TestSchemaFields(t *testing.T) {
	_, s := laid(t, RetAuto, []string{"f", "g"}, []fetch.Arg{
		{Name: "n", Expr: "%di", Type: "s32", CType: "int"},
		{Name: "id", Expr: "+4(%di)", Type: "u8", Bool: true},
		{Name: "s", Expr: "+0(%si)", Type: "string", CType: "const char *"},
		{Name: "b", Expr: "+0(%si)", Type: "x64[2]"},
		{Name: "f", Expr: "+8(%di)", Type: "b3@4/16", SignBits: 3},
		{Name: "d", Null: "a double"},
		{Name: "go", Expr: "+0(%ax)", Type: "string", Length: "%bx"},
	}, map[string]int{"b": 16})
	want := []struct {
		name   string
		offset int
		size   int
		kind   perfpipe.Kind
		loc    perfpipe.Loc
		array  bool
	}{
		{"__probe_ip", 8, 8, perfpipe.KindUint, 0, false},
		{"func", 16, 4, perfpipe.KindUint, 0, false},
		{"n", 28, 4, perfpipe.KindInt, 0, false},
		{"id", 32, 1, perfpipe.KindBool, 0, false},
		{"s", 33, 4, perfpipe.KindString, perfpipe.LocData, false},
		{"b", 37, 16, perfpipe.KindUint, 0, true},
		{"f", 53, 2, perfpipe.KindInt, 0, false},
		{"d", 0, 8, perfpipe.KindInt, 0, false},
		{"go", 55, 256, perfpipe.KindString, 0, false},
	}
	if len(s.Fields) != len(want) {
		t.Fatalf("got %d fields, want %d", len(s.Fields), len(want))
	}
	for i, w := range want {
		f := &s.Fields[i]
		if f.Name != w.name || f.Offset != w.offset || f.Size != w.size || f.Kind != w.kind || f.Loc != w.loc || f.Array != w.array {
			t.Errorf("field %d: got %s at %d, %d bytes, kind %d loc %d array %t; want %+v", i, f.Name, f.Offset, f.Size, f.Kind, f.Loc, f.Array, w)
		}
	}
	if f := s.Fields[5]; f.Count != 16 || f.ElemSize != 1 {
		t.Errorf("buf: got %d of %d bytes", f.Count, f.ElemSize)
	}
	if f := s.Fields[6]; f.SignBits != 3 || !f.Signed {
		t.Errorf("bitfield: got %d bits, signed %t", f.SignBits, f.Signed)
	}
	if p := s.Fields[3].Probed; p == nil || p.Check != 20 {
		t.Errorf("check of id: got %+v, want it at 20", p)
	}
	if p := s.Fields[7].Probed; p == nil || !p.Never {
		t.Errorf("double: got %+v", p)
	}
}

// TestPointersOnTheWay: a field has the offsets of the pointers that lead to it.
func TestPointersOnTheWay(t *testing.T) {
	_, s := laid(t, RetAuto, []string{"f"}, []fetch.Arg{
		{Name: "s", Expr: "+0(+8(+16(%di)))", Type: "string"}, {Name: "n", Expr: "+4(+16(%di))", Type: "s32"}, {Name: "r", Expr: "+0(%di)", Type: "u64"},
	}, nil)
	// __probe_ip, two checks, s, n and r stand before the pointers.
	const first = 16 + 4 + 4 + 4 + 4 + 8
	for name, want := range map[string][]int{"s": {first, first + 8}, "n": {first + 8}, "r": nil} {
		if got := s.Field(name).Probed.Through; !slices.Equal(got, want) {
			t.Errorf("%s: got pointers at %v, want %v", name, got, want)
		}
	}
}

// Sites whose arguments have other types, or are read behind other pointers, are
// events of their own.
func TestVariants(t *testing.T) {
	at := func(off uint64, list ...fetch.Arg) Site { return Site{Func: "p:n", Offset: off, args: list} }
	sites := []Site{
		at(0x30, fetch.Arg{Name: "a", Expr: "%di", Type: "s32"}),
		at(0x10, fetch.Arg{Name: "a", Expr: "%bx", Type: "s32"}),
		at(0x20, fetch.Arg{Name: "a", Expr: "%di", Type: "u64"}),
		at(0x40, fetch.Arg{Name: "a", Expr: "-8(%bp)", Type: "s32"}),
		at(0x50, fetch.Arg{Name: "a", Null: "an index"}),
	}
	list := variants(sites, nil)
	var got [][]uint64
	for i := range list {
		var offs []uint64
		for _, s := range list[i].Sites {
			offs = append(offs, s.Offset)
		}
		got = append(got, offs)
		if list[i].numbered {
			t.Errorf("variant %d tells the function of one", i)
		}
	}
	want := [][]uint64{{0x10, 0x30}, {0x20}, {0x40}, {0x50}}
	if !slices.EqualFunc(got, want, slices.Equal[[]uint64]) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestSplitDeref(t *testing.T) {
	tests := []struct {
		expr  string
		off   int64
		inner string
		ok    bool
	}{
		{"+0(%di)", 0, "%di", true}, {"-8(%bp)", -8, "%bp", true}, {"+0x10(+8(%di))", 16, "+8(%di)", true},
		{"@+0x4038", 0, "@+0x4038", true}, {"%di", 0, "", false}, {"$retval", 0, "", false}, {`\-5`, 0, "", false}, {"", 0, "", false}, {"+(", 0, "", false}, {"+x(%di)", 0, "", false},
	}
	for _, tt := range tests {
		if off, inner, ok := splitDeref(tt.expr); off != tt.off || inner != tt.inner || ok != tt.ok {
			t.Errorf("splitDeref(%q): got %d %q %t", tt.expr, off, inner, ok)
		}
	}
}

func TestCleanName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"uprobe.bash:readline", "uprobe.bash.readline"},
		{"uprobe.libc.so.6:mem*", "uprobe.libc.so.6.mem_"},
		{"uprobe.a:ns::f(int, char)", "uprobe.a.ns.f_int__char_"},
		{"uprobe.a:../../etc", "uprobe.a..._.._etc"},
		{"uprobe.a:f#2", "uprobe.a.f_2"},
		{strings.Repeat("x", 200), strings.Repeat("x", 120)},
	}
	for _, tt := range tests {
		got := cleanName(tt.in)
		if got != tt.want {
			t.Errorf("cleanName(%q): got %q, want %q", tt.in, got, tt.want)
		}
		if strings.ContainsAny(got, "/*?[") {
			t.Errorf("cleanName(%q): %q is no plain name", tt.in, got)
		}
	}
}
