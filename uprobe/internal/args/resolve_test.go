package args

import (
	"debug/dwarf"
	"fmt"
	"strings"
	"testing"
)

// TestPositions is the way without DWARF: positions, registers and given types.
func TestPositions(t *testing.T) {
	c, g := Function{Name: "f"}, Function{Name: "main.f", Go: true}
	abi0 := Function{Name: "main.f.abi0", Go: true}
	for _, tc := range []struct {
		fn         Function
		want, line string
	}{
		{c, "arg0", "arg0=%di:x64 ()"}, {c, "arg1:u32", "arg1=%si:u32 (u32)"}, {c, "arg5:s8", "arg5=%r9:s8 (s8)"},
		{c, "arg6:ptr", "arg6=+8(%sp):x64 (void *)"}, {c, "arg7:string", "arg7=+0(+16(%sp)):string (char *)"},
		{c, "arg2:buf[64]", "arg2=+0(%dx):u8[64] (buf[64])"}, {c, "arg2:buf[128]", "arg2=+0(%dx):x64[16] (buf[128])"},
		{c, "*arg0:u16", "arg0=+0(%di):u16 (u16)"}, {c, "**arg0:u16", "arg0=+0(+0(%di)):u16 (u16)"}, {c, "*arg1", "arg1=+0(%si):x64 ()"},
		{c, "arg3:bool", "arg3=%cx:u8 bool (bool)"}, {c, "arg3:char", "arg3=%cx:s8 (char)"}, {c, "n=%flags:x32", "n=%flags:x32 (x32)"},
		{g, "arg0:string", "arg0=+0(%ax):string length %bx (string)"}, {g, "arg8:u64", "arg8=%r11:u64 (u64)"},
		{g, "arg9:u64", "arg9=+8(%sp):u64 (u64)"}, {g, "arg8:string", "arg8=+0(%r11):string length +8(%sp) (string)"},
		{abi0, "arg0:u64", "arg0=+8(%sp):u64 (u64)"}, {abi0, "arg2:u64", "arg2=+24(%sp):u64 (u64)"},
		{Function{Name: "f", Return: true}, "ret:s32", "ret=$retval:s32 (s32)"},
		{Function{Name: "f", Return: true, Sites: true}, "retval:string", "ret=+0(%ax):string (char *)"},
		{Function{Name: "f", Return: true, Sites: true}, "%dx:u8", "dx=%dx:u8 (u8)"},
		{Function{Name: "f.isra.0", Clone: ".isra.0"}, "arg1:u8", "arg1=%si:u8 (u8)"},
		{Function{Name: "f", Inside: true}, "%si:u8", "si=%si:u8 (u8)"},
	} {
		list, _, err := Resolve(nil, tc.fn, parseWants(t, tc.want))
		if err != nil || len(list) != 1 || describeArg(list[0]) != tc.line {
			t.Errorf("%s(%s): got %v, %v, want %s", tc.fn.Name, tc.want, list, err, tc.line)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := build(t, "fields.c", "-g", "-O2")
	at := p.fn(t, "handle")
	inside, clone, ret := at, at, at
	inside.Inside = true
	clone.Clone = ".constprop.0"
	ret.Return = true
	for _, tc := range []struct {
		name string
		d    *dwarf.Data
		fn   Function
		want string
		says string
	}{
		{"name without DWARF", nil, at, "r", "no debug information"},
		{"star without DWARF", nil, at, "*", "(arg0:ptr, arg1:u64)"},
		{"member without DWARF", nil, at, "arg0->x", "there are no members"},
		{"inside by name", p.d, inside, "r->u8", "behind the function's entry"},
		{"inside by position", p.d, inside, "arg0", "behind the function's entry"},
		{"inside, all", p.d, inside, "*", "behind the function's entry"},
		{"clone by name", p.d, clone, "r->u8", ".constprop.0"},
		{"clone, all", p.d, clone, "*", "clone"},
		{"parameter at return", p.d, ret, "r", "probe the entry as well"},
		{"position at return", nil, ret, "arg0", "knows ret alone"},
		{"all with a type", p.d, at, "*:u8", "* stands for all parameters"},
		{"register", nil, at, "%xmm0", "di si dx cx r8 r9 ax bx"},
		{"index", p.d, at, "s[99999999]", "too large"},
		{"negative index of an array", p.d, at, "r->ints[-1]", "from 0 to 3"},
		{"name of a column", p.d, at, "common_pid=n", "no name for a column"},
		{"long name", p.d, at, strings.Repeat("x", 32) + "=n", "at most 31"},
		{"no type", p.d, at, "n:u24", `unknown type "u24"`},
		{"negative length", p.d, at, "s:buf[-1]", "buf[-1] cannot be fetched"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list, _, err := Resolve(tc.d, tc.fn, parseWants(t, tc.want))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, %v, want an error with %q", list, err, tc.says)
			}
		})
	}
}

// TestElsewhere: types that are not read are not guessed at.
func TestElsewhere(t *testing.T) {
	for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
		p := build(t, "fields.c", version, "-O2", "-fdebug-types-section")
		list, _, err := Resolve(p.d, p.fn(t, "handle"), parseWants(t, "n, r, s"))
		if err != nil || len(list) != 3 || list[1].Expr != "%di" || list[0].Expr != "%dx" {
			t.Errorf("%s: pointers and numbers: got %v, %v", version, list, err)
		}
		for _, tc := range []struct{ fn, want string }{{"handle", "r->u8"}, {"byvalue", "p.x"}, {"byvalue", "last"}} {
			list, _, err = Resolve(p.d, p.fn(t, tc.fn), parseWants(t, tc.want))
			if err == nil || !strings.Contains(err.Error(), "type unit") {
				t.Errorf("%s: %s(%s): got %v, %v", version, tc.fn, tc.want, list, err)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	p := build(t, "fields.c", "-g", "-O2")
	many := func(n int, s string) []Want {
		var list []Want
		for range n {
			list = append(list, parseWant(t, s))
		}
		return list
	}
	if list, _, err := Resolve(p.d, p.fn(t, "handle"), many(128, "n")); err != nil || len(list) != 128 {
		t.Errorf("128 arguments: got %d, %v", len(list), err)
	}
	if _, _, err := Resolve(p.d, p.fn(t, "handle"), many(129, "n")); err == nil || !strings.Contains(err.Error(), "at most 128") {
		t.Errorf("129 arguments: got %v", err)
	}
	long := many(110, "r->list->next->next->next->v")
	if _, _, err := Resolve(p.d, p.fn(t, "handle"), long); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a long line: got %v", err)
	}
	// Ten dereferences with offsets of four digits: few enough, but too long a text.
	deep := parseWant(t, "r->list")
	for range 9 {
		deep.Path = append(deep.Path, Step{Kind: StepIndex, Index: 99}, Step{Kind: StepMember, Name: "next"})
	}
	if _, _, err := Resolve(p.d, p.fn(t, "handle"), []Want{deep}); err == nil || !strings.Contains(err.Error(), "at most 63") {
		t.Errorf("a long expression: got %v", err)
	}
}

func TestParams(t *testing.T) {
	for _, tc := range []struct {
		src, fn, want string
	}{
		{"fields.c", "handle", "r struct req *; s const char *; n int; c unsigned char -> ret long int"},
		{"fields.c", "floats", "d double!; a int; f float!; m struct mixed!; h struct half!; ld long double!; b int -> ret double!"},
		{"fields.c", "nothing", ""},
		{"goprog/main.go", method, "t *main.thing; s string; n int; b []uint8; arg4 int; z bool -> ret (int, error)"},
		{"goprog/main.go", "main.many", "a int8; b int8; c int8; d int8; e int8; f int8; g int8; h int8; i string; j uint16; k uint16 -> ret (x int, y string)"},
	} {
		flags := []string{"-g", "-O2"}
		if strings.HasSuffix(tc.src, ".go") {
			flags = nil
		}
		p := build(t, tc.src, flags...)
		list, ret, err := Params(p.d, p.fn(t, tc.fn))
		if err != nil {
			t.Fatal(err)
		}
		show := func(p Param) string {
			s := p.Name + " " + p.CType
			if p.Why != "" {
				s += "!"
			}
			return s
		}
		var out []string
		for _, p := range list {
			out = append(out, show(p))
		}
		got := strings.Join(out, "; ")
		if ret != nil {
			got += " -> " + show(*ret)
		}
		if got != tc.want {
			t.Errorf("%s: got %s\nwant %s", tc.fn, got, tc.want)
		}
	}
	if _, _, err := Params(nil, Function{Name: "f"}); err == nil || !strings.Contains(err.Error(), "arg0:ptr") {
		t.Errorf("without DWARF: got %v", err)
	}
}

func TestNames(t *testing.T) {
	taken := map[string]bool{}
	for _, tc := range []struct{ in, want string }{
		{"id", "id"}, {"id", "id_2"}, {"id", "id_3"}, {"%di", "di"}, {"args#0", "args_0"}, {"3x", "a_3x"}, {"", "a_"},
		{"common_pid", "a_common_pid"}, {"__probe_ip", "a___probe_ip"}, {"größe", "gr____e"},
		{strings.Repeat("n", 40), strings.Repeat("n", 31)}, {strings.Repeat("n", 40), strings.Repeat("n", 29) + "_2"},
	} {
		got := unique(clean(tc.in), taken)
		taken[got] = true
		if got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestPlusUconst(t *testing.T) {
	for _, tc := range []struct {
		in   []byte
		want int64
		ok   bool
	}{
		{[]byte{0x23, 8}, 8, true}, {[]byte{0x23, 0x80, 1}, 128, true}, {[]byte{0x23, 0xff, 0xff, 0xff, 0xff, 0x0f}, 1<<32 - 1, true},
		{nil, 0, false}, {[]byte{0x23}, 0, false}, {[]byte{0x23, 0x80}, 0, false}, {[]byte{0x06, 8}, 0, false},
		{[]byte{0x23, 8, 8}, 8, false}, {[]byte{0x23, 0x80, 0x80, 0x80, 0x80, 0x80, 1}, 0, false},
	} {
		if got, ok := plusUconst(tc.in); ok != tc.ok || ok && got != tc.want {
			t.Errorf("%x: got %d, %v, want %d, %v", tc.in, got, ok, tc.want, tc.ok)
		}
	}
}

func TestMeant(t *testing.T) {
	for _, tc := range []struct{ name, list, want string }{
		{"idd", "id name", "id"}, {"nmae", "id name", "name"}, {"zzz", "id name", ""}, {"x", "y", ""}, {"", "a b", ""},
	} {
		got := meant(tc.name, strings.Fields(tc.list))
		want := ""
		if tc.want != "" {
			want = fmt.Sprintf(" (did you mean %s?)", tc.want)
		}
		if got != want {
			t.Errorf("%s of %s: got %q, want %q", tc.name, tc.list, got, want)
		}
	}
}
