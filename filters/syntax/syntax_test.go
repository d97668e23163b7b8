package syntax

import (
	"strings"
	"testing"
)

// exprs are filters of every construct; they seed the fuzzer as well.
var exprs = []string{
	`irq==18 || irq==19`, `!(prev_pid == 0) && next_comm ~ "kworker*"`, `!!a == 1`, `! ~a == 1`, `- -a`, `-(-a)`, `~-~a`,
	`a & 4`, `(a & 4) == 4`, `a|b^c&d<<2>>1`, `a + b * c % d / e - f`, `a ? b : c ? d : e`, `(a ? b : c) ? d : e`,
	`x in {1, 2..5, -3, EAGAIN}`, `s in {"a", 'b"'}`, `(u8)a == (s64)-b`, `(u8) == 1`, `(u8) - 1 == 2`, `v[i + 1][2]`,
	`f.ustring ~ "x"`, `f.function == vfs_read`, `CPU & CPUS{0-3,8}`, `$cpu == 1 && $time > 0x10`, `min(a, b, c) > strlen(s)`,
	`has(x) && x == 010`, `c"a\"\x41\n\\" == s`, `a // comment` + "\n== 1", `a /* c */ == 1`, `"a" == s`, `a == 'x'`, "a\t==\n1",
}

func TestPrintParse(t *testing.T) {
	for _, src := range exprs {
		f, err := Parse(src)
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		checkPrint(t, src, f)
		// Grouped text is another way to write the same filter.
		if _, err := Parse(PrintGrouped(f.Expr)); err != nil {
			t.Errorf("%q: grouped %q: %v", src, PrintGrouped(f.Expr), err)
		}
	}
}

// checkPrint wants the text of a tree to parse to the same text and grouping.
func checkPrint(t *testing.T, src string, f *File) {
	t.Helper()
	one := Print(f.Expr)
	g, err := Parse(one)
	if err != nil {
		t.Fatalf("%q printed as %q: %v", src, one, err)
	}
	if two := Print(g.Expr); two != one {
		t.Fatalf("%q: got %q, want %q", src, two, one)
	}
	if a, b := PrintGrouped(f.Expr), PrintGrouped(g.Expr); a != b {
		t.Fatalf("%q: printing regroups: got %q, want %q", src, b, a)
	}
}

func TestGrouping(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"!a == 1 && b", "(!(a == 1)) && b"},
		{"a && b || c && d", "(a && b) || (c && d)"},
		{"a && b && c", "a && b && c"},
		{"a + b * c == d << 1 + 2", "(a + (b * c)) == (d << (1 + 2))"},
		{"a - b - c", "(a - b) - c"},
		{"a ? b : c ? d : e", "a ? b : (c ? d : e)"},
		{"a | b ^ c & d", "a | (b ^ (c & d))"},
		{"-a * b", "(-a) * b"},
		{"(u8)a + 1", "((u8)a) + 1"},
		{"a < b == 1", ""},
	} {
		f, err := Parse(tt.src)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q: got %q, want an error", tt.src, PrintGrouped(f.Expr))
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := PrintGrouped(f.Expr); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.src, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		src  string
		pos  int
		want string
	}{
		{"", 0, "ends"},
		{"a ==", 4, "ends"},
		{"a == 1 b", 7, "unexpected"},
		{"a = 1", 2, "unexpected"},
		{`a == "x`, 5, "does not end"},
		{`a == c"x\"`, 5, "does not end"},
		{"a == 1 /* x", 7, "does not end"},
		{"(a == 1", 0, "never closed"},
		{"a == 1)", 6, "closes nothing"},
		{"a == 1 == 2", 7, "comparison behind"},
		{"a in 1", 2, "set"},
		{"a in {1, 2", 10, "ends"},
		{"a in {}", 6, "unexpected"},
		{"a == !b", 5, "unexpected"},
		{"a == -", 5, "without an operand"},
		{"CPU & CPUS 0", 11, "CPUS needs {"},
		{"CPU & CPUS{0", 6, "does not end"},
		{"f(1", 1, "never closed"},
		{"f(1,)", 4, "unexpected"},
		{"v[1", 3, "ends"},
		{"$ == 1", 0, "without a name"},
		{"a == 1 # b", 7, "unexpected"},
		{"a == \xff", 5, "unexpected"},
		{`c"\q" == s`, 2, "unknown escape"},
		{`c"\x" == s`, 2, "hexadecimal"},
		{"a.b == 1", 1, "unexpected"},
		{"emit u64 x = 1;", 0, "stands in a block"},
	} {
		_, err := Parse(tt.src)
		if err == nil {
			t.Errorf("%q: got no error, want %q", tt.src, tt.want)
			continue
		}
		if err.Pos != tt.pos || !strings.Contains(err.Msg, tt.want) {
			t.Errorf("%q: got %d %q, want %d %q", tt.src, err.Pos, err.Msg, tt.pos, tt.want)
		}
	}
	// These begin like declarations and are none.
	for _, src := range []string{"state == 1", "map < 5", "const & 1", "u64 > 3", "on == 1", "emit ~ \"x\"", "map < a && b"} {
		if _, err := Parse(src); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"a megabyte", strings.Repeat("a == 1 && ", 100_000) + "a == 1", "the limit is 65536"},
		{"10,000 parentheses", strings.Repeat("(", 10_000) + "a" + strings.Repeat(")", 10_000), "nested deeper"},
		{"10,000 !", strings.Repeat("!", 10_000) + "a", "nested deeper"},
		{"10,000 minuses", strings.Repeat("- ", 10_000) + "a", "nested deeper"},
		{"10,000 ?:", strings.Repeat("a?b:", 10_000) + "c", "nested deeper"},
		{"10,000 casts", strings.Repeat("(u8)", 10_000) + "a", "nested deeper"},
		{"10,000 calls", strings.Repeat("f(", 10_000) + "a" + strings.Repeat(")", 10_000), "nested deeper"},
		{"10,000 brackets", strings.Repeat("v[", 10_000) + "a" + strings.Repeat("]", 10_000), "nested deeper"},
		{"10,000 suffixes", "v" + strings.Repeat("[1]", 10_000), "more than 8"},
	} {
		_, err := Parse(tt.src)
		if err == nil || !strings.Contains(err.Msg, tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
	// What the kernel takes in parentheses, we take.
	if _, err := Parse(strings.Repeat("(", 2000) + "a == 1" + strings.Repeat(")", 2000)); err != nil {
		t.Error(err)
	}
	// A chain is not nesting.
	if _, err := Parse(strings.Repeat("a||", 20_000) + "a"); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range exprs {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, err := Parse(src)
		if err != nil {
			if err.Pos < 0 || err.End < err.Pos || err.End > len(src) && len(src) <= MaxSource || err.Msg == "" {
				t.Fatalf("%q: error %+v lies outside of the text", src, err)
			}
			return
		}
		pos, end := file.Expr.Span()
		if pos < 0 || end > len(src) || pos >= end {
			t.Fatalf("%q: span %d to %d", src, pos, end)
		}
		checkPrint(t, src, file)
	})
}
