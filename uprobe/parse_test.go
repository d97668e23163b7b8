package uprobe

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	arrow := func(n string) Step { return Step{Kind: StepArrow, Name: n} }
	member := func(n string) Step { return Step{Kind: StepMember, Name: n} }
	tests := []struct {
		text string
		want Spec
	}{
		{"uprobe:/bin/bash:readline", Spec{Binary: "/bin/bash", Func: "readline"}},
		{"u:bash:readline", Spec{Binary: "bash", Func: "readline"}},
		{"uprobe::main", Spec{Func: "main"}},
		{"uprobe:./a:f+0x4", Spec{Binary: "./a", Func: "f", Offset: 4}},
		{"uprobe:./a:f+12", Spec{Binary: "./a", Func: "f", Offset: 12}},
		{"uprobe:./a:0x1179", Spec{Binary: "./a", Addr: 0x1179, HasAddr: true}},
		{"uprobe:a:f()", Spec{Binary: "a", Func: "f", HasArgs: true}},
		{"uprobe:a:f(r->id, s, n)", Spec{Binary: "a", Func: "f", HasArgs: true, Args: []Arg{
			{Base: "r", Path: []Step{arrow("id")}, Pos: 11}, {Base: "s", Pos: 18}, {Base: "n", Pos: 21}}}},
		{"uprobe:a:f(arg0:u64, arg1:string,arg2:buf[64])", Spec{Binary: "a", Func: "f", HasArgs: true, Args: []Arg{
			{Base: "arg0", Type: "u64", Pos: 11}, {Base: "arg1", Type: "string", Pos: 21}, {Base: "arg2", Type: "buf", Len: 64, Pos: 33}}}},
		{"uprobe:a:f(x = *p, y=p[3].q : s32)", Spec{Binary: "a", Func: "f", HasArgs: true, Args: []Arg{
			{Name: "x", Base: "p", Path: []Step{{Kind: StepDeref}}, Pos: 11},
			{Name: "y", Base: "p", Path: []Step{{Kind: StepIndex, Index: 3}, member("q")}, Type: "s32", Pos: 19}}}},
		{"uprobe:a:f(%di:u32, *)", Spec{Binary: "a", Func: "f", HasArgs: true, Args: []Arg{
			{Base: "%di", Type: "u32", Pos: 11}, {Base: "*", Pos: 20}}}},
		{"uretprobe:a:f(ret:string)", Spec{Kind: Return, Binary: "a", Func: "f", HasArgs: true, Args: []Arg{{Base: "ret", Type: "string", Pos: 14}}}},
		{"uprobe:a:f%return", Spec{Kind: Return, Binary: "a", Func: "f"}},
		{"uprobe:libc.so.6:memcpy@GLIBC_2.2.5", Spec{Binary: "libc.so.6", Func: "memcpy@GLIBC_2.2.5"}},
		{"uprobe:libc.so.6:mem*", Spec{Binary: "libc.so.6", Func: "mem*"}},
		{"uprobe:a:ns::C::f", Spec{Binary: "a", Func: "ns::C::f"}},
		{"uprobe:a:ns::f(int)", Spec{Binary: "a", Func: "ns::f(int)"}},
		{"uprobe:a:ns::f(int, char const*)", Spec{Binary: "a", Func: "ns::f(int, char const*)"}},
		{"uprobe:a:ns::f(std::string const&)(x)", Spec{Binary: "a", Func: "ns::f(std::string const&)", HasArgs: true, Args: []Arg{{Base: "x", Pos: 35}}}},
		{`uprobe:"/opt/my app":"ns::f(int)"(x)`, Spec{Binary: "/opt/my app", Func: "ns::f(int)", Quoted: true, HasArgs: true, Args: []Arg{{Base: "x", Pos: 34}}}},
		{`uprobe:a:'operator+'+0x8`, Spec{Binary: "a", Func: "operator+", Quoted: true, Offset: 8}},
		{"uprobe:a:main.(*T).Method", Spec{Binary: "a", Func: "main.(*T).Method"}},
		{"uprobe:a:main.(*T).Method(x)", Spec{Binary: "a", Func: "main.(*T).Method", HasArgs: true, Args: []Arg{{Base: "x", Pos: 26}}}},
		{"usdt:/usr/bin/pg:postgresql:query__start", Spec{Kind: USDT, Binary: "/usr/bin/pg", Provider: "postgresql", Name: "query__start"}},
		{"usdt:pg:query__*(arg0:string)", Spec{Kind: USDT, Binary: "pg", Provider: "*", Name: "query__*", HasArgs: true, Args: []Arg{{Base: "arg0", Type: "string", Pos: 17}}}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		tt.want.Text = tt.text
		if !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("Parse(%q):\n got %+v\nwant %+v", tt.text, *got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ text, msg string }{
		{"sched:sched_switch", "want uprobe:"},
		{"uprobe:bash", "want ':' and a function"},
		{"uprobe:bash:", "no function is named"},
		{`uprobe:"bash:f`, "a quote that does not close"},
		{`uprobe:"bash"f`, "want ':' and a function"},
		{"uprobe:a:f(", "a parenthesis that does not close"},
		{"uprobe:a:f(x, g(y)", "a parenthesis that does not close"},
		{"uprobe:a:f((*p)->x)", "is p[0]->id"},
		{"uprobe:a:f%return+4", "a return has no offset"},
		{"uprobe:a:f(x y)", "unexpected"},
		{"uprobe:a:f(x,)", "an argument is missing"},
		{"uprobe:a:f(x:u7)", `"u7" is no type`},
		{"uprobe:a:f(x:buf[0])", "a buffer has 1 to 512 bytes"},
		{"uprobe:a:f(x:buf[513])", "a buffer has 1 to 512 bytes"},
		{"uprobe:a:f(1x=y)", "no name for a column"},
		{"uprobe:a:f(x->)", "want the name of a member"},
		{"uprobe:a:f(x[)", "a bracket that does not close"},
		{"uprobe:a:f(x[-1])", "is no index"},
		{"uprobe:a:f(0)", "by position it is arg0"},
		{"uprobe:a:f(a=*)", "* is all parameters"},
		{"uprobe:a:0xzz", "is no address"},
		{"uretprobe:a:f+4", "a return has no offset"},
		{"uprobe:a:f\n", "a NUL byte or a line break"},
		{`uprobe:a:"f"x`, "behind the quoted name"},
		{"usdt:a:", "no probe is named"},
		{"usdt:a:p:", "no probe is named"},
		{"usdt:a:p:n(x", "want ')'"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.text)
		var se *SyntaxError
		if !errors.As(err, &se) || !strings.Contains(se.Msg, tt.msg) {
			t.Errorf("Parse(%q): got %v, want %q", tt.text, err, tt.msg)
			continue
		}
		if se.Pos < 0 || se.Pos > len(tt.text) {
			t.Errorf("Parse(%q): caret at %d", tt.text, se.Pos)
		}
	}
}

func TestParseIn(t *testing.T) {
	tests := []struct {
		text string
		want Spec
	}{
		{"malloc", Spec{Func: "malloc"}},
		{"malloc%return", Spec{Kind: Return, Func: "malloc"}},
		{"malloc+4(size)", Spec{Func: "malloc", Offset: 4, HasArgs: true, Args: []Arg{{Base: "size", Pos: 9}}}},
		{"sdt_libc:setjmp", Spec{Kind: USDT, Provider: "libc", Name: "setjmp"}},
		{"uretprobe::malloc", Spec{Kind: Return, Func: "malloc"}},
	}
	for _, tt := range tests {
		got, err := ParseIn("/lib/libc.so.6", tt.text)
		if err != nil {
			t.Errorf("ParseIn(%q): %v", tt.text, err)
			continue
		}
		tt.want.Text, tt.want.Binary = tt.text, "/lib/libc.so.6"
		if !reflect.DeepEqual(*got, tt.want) {
			t.Errorf("ParseIn(%q):\n got %+v\nwant %+v", tt.text, *got, tt.want)
		}
	}
}

func TestSplitList(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"a:b", []string{"a:b"}},
		{"a:b, c:d", []string{"a:b", "c:d"}},
		{"uprobe:a:f(x, y),sched:*", []string{"uprobe:a:f(x, y)", "sched:*"}},
		{`uprobe:a:"f<int, char>"(x),b:c`, []string{`uprobe:a:"f<int, char>"(x)`, "b:c"}},
		{"sched:sched_[sw,wa]*", []string{"sched:sched_[sw,wa]*"}},
		{"a:b,,c:d", []string{"a:b", "", "c:d"}},
		{"", []string{""}},
	}
	for _, tt := range tests {
		if got := SplitList(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("SplitList(%q): got %q, want %q", tt.text, got, tt.want)
		}
	}
}

// FuzzParse holds that a probe which reads has a place, that its arguments lie in
// the text, and that an error's caret does.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"uprobe:/bin/bash:readline", "uretprobe:a:f(ret:string)", "usdt:pg:postgresql:query__start(arg0:string)",
		`uprobe:"/opt/my app":"ns::f(int)"(x)`, "uprobe:a:f(r->id, id=*p, %di:u8, p[3].q:buf[64])+4", "uprobe:a:main.(*T).M+0x4%return",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || se.Pos < 0 || se.Pos > len(text) || se.Msg == "" {
				t.Fatalf("Parse(%q): %#v", text, err)
			}
			return
		}
		if (s.Func != "") == s.HasAddr && s.Kind != USDT {
			t.Fatalf("Parse(%q): no place or two: %+v", text, s)
		}
		if s.Kind == USDT && (s.Name == "" || s.Provider == "") {
			t.Fatalf("Parse(%q): no static probe: %+v", text, s)
		}
		if !s.HasArgs && len(s.Args) > 0 || len(s.Args) > maxArgs {
			t.Fatalf("Parse(%q): arguments %+v", text, s.Args)
		}
		for _, a := range s.Args {
			if a.Base == "" || a.Pos < 0 || a.Pos >= len(text) || a.Name != "" && !identifier(a.Name) {
				t.Fatalf("Parse(%q): argument %+v", text, a)
			}
		}
		// What reads in a list of its own reads in any.
		if !strings.ContainsAny(text, "\"'()[]{},") {
			if got := SplitList("a:b," + text); len(got) != 2 || got[1] != strings.TrimSpace(text) {
				t.Fatalf("SplitList of %q: %q", text, got)
			}
		}
	})
}
