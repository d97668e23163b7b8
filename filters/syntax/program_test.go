package syntax

import (
	"strings"
	"testing"
)

// programs are of every kind of declaration and statement.
var programs = []string{
	"state u64 n = 3; n > 1",
	"percpu state s8 n; { n += 1; return n > 1; }",
	"map<tid, u64> m[10]; a in m && m[a] > 1",
	"const N = 1 << 4; const M = N; a == N",
	"u64 f(u64 x, string s) { return x; } f(a, \"x\") == 1",
	"bool g() { return true; } g()",
	"{ if (a == 1) return false; else if (b) { return true; } else return c; }",
	"{ for (i = 0; i < n max 10; i++) { if (i == 2) continue; break; } return !(a == 1); }",
	"{ u8 x = 1; x++; x |= 2; { x ^= 3; } m[x] = 4; m[x]++; delete m[x]; f(x); return x == - -1; }",
	"{ emit u64 d = $time - m[tid]; emit string s = comm; return true; }",
	"on sched:sched_switch, lifecycle { return true; } const N = 1; on \"uprobe:a:b(c:u8)\" { return false; }",
	"on 'x' { return a ? b : c; }",
}

func TestProgramsPrintTheSame(t *testing.T) {
	for _, src := range programs {
		f, err := Parse(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		printed := PrintFile(f)
		again, err := Parse(printed)
		if err != nil {
			t.Errorf("%s: printed as\n%s\nit does not parse: %v", src, printed, err)
			continue
		}
		if got := PrintFile(again); got != printed {
			t.Errorf("%s: got\n%s\nwant\n%s", src, got, printed)
		}
		for n := range len(src) {
			Parse(src[:n])
		}
	}
}

func TestProgramErrors(t *testing.T) {
	for _, tc := range []struct {
		src  string
		pos  int
		want string
	}{
		{"{ return true; ", 0, "never closed"},
		{"{ return true }", 13, `";" is missing`},
		{"{ return; }", 8, "return needs a value"},
		{"{ while (1) {} }", 2, "there is no while"},
		{"{ int x = 1; return x; }", 2, `unknown type "int"`},
		{"{ u8 x; return x; }", 6, "needs a value from the start"},
		{"{ u8 if = 1; }", 5, "is a word of the language"},
		{"{ x *= 2; }", 4, "there is no *="},
		{"{ x ~ 2; }", 4, "of an assignment"},
		{"{ else { } }", 2, "belongs to no if"},
		{"{ for (u8 i = 0; i < 3; i++) {} }", 7, "needs no type"},
		{"{ for (i = 0; j < 3; i++) {} }", 14, `expected "i"`},
		{"{ for (i = 0; i <= 3; i++) {} }", 16, "counts up to a bound"},
		{"{ state u8 x; }", 2, "outside of blocks"},
		{"{ if (a) u8 x = 1; }", 9, "where nothing can use it"},
		{"{ return true; } a", 17, "the block is the whole filter"},
		{"u64 n = 1; a", 6, "declared outside of a block"},
		{"percpu u64 n; a", 7, "stands before state"},
		{"state int n; a", 6, "unknown type"},
		{"map<string2, u8> m[1]; a", 4, "type of key"},
		{"map<u8, u8> m; a", 13, "capacity in brackets"},
		{"const N; a", 7, `"=" and a value`},
		{"on sched: { }", 10, "is missing"},
		{"on a:b return true;", 7, `"{"`},
		{"on a:b { return true; } x == 1", 24, "on EVENT { ... }"},
		{"const N = 1;", 12, "an expression, a block"},
		{"{ delete x; }", 10, "key of an element"},
		{"u8 f(u8 x { return x; } a", 4, "never closed"},
		{"u8 f(x) { return x; } a", 5, "unknown type"},
		{strings.Repeat("{", 3000), MaxDepth, "nested deeper"},
		{"{ x = \x01; }", 6, "unexpected"},
	} {
		_, err := Parse(tc.src)
		src := tc.src[:min(len(tc.src), 60)]
		if err == nil {
			t.Errorf("%q: got no error, want %q", src, tc.want)
			continue
		}
		if err.Pos != tc.pos || !strings.Contains(err.Msg, tc.want) {
			t.Errorf("%q: got %d %q, want %d %q", src, err.Pos, err.Msg, tc.pos, tc.want)
		}
	}
}

// FuzzProgram: no text makes the parser panic, and what parses prints as what parses
// to the same.
func FuzzProgram(f *testing.F) {
	for _, src := range programs {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Parse(src)
		if err != nil {
			if err.Pos < 0 || err.End < err.Pos || err.End > len(src) {
				t.Errorf("%q: the error is at %d to %d", src, err.Pos, err.End)
			}
			return
		}
		printed := PrintFile(file)
		if len(printed) > MaxSource {
			return
		}
		again, err := Parse(printed)
		if err != nil {
			t.Fatalf("%q: printed as %q it does not parse: %v", src, printed, err)
		}
		if got := PrintFile(again); got != printed {
			t.Fatalf("%q: got %q, want %q", src, got, printed)
		}
	})
}
