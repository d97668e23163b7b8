package usdt

import (
	"regexp"
	"strings"
	"testing"
)

// symbols is a made-up symbol table.
func symbols(name string) (uint64, bool) {
	v, ok := map[string]uint64{"NBuffers": 0x4010, "CheckpointStats": 0x5000, "fl": 0x10}[name]
	return v, ok
}

// operandCases are the forms that postgres, libjvm, python, libstdc++ and programs of
// gcc at -O0 and -O2 have, then those that compilers might make.
var operandCases = []struct {
	text   string
	size   int
	sign   string // "s", "u", "f"
	expr   string
	reason string // part of it
}{
	{"8@%rax", 8, "u", "%ax", ""},
	{"-4@%edx", 4, "s", "%dx", ""},
	{"1@%dil", 1, "u", "%di", ""},
	{"-2@%cx", 2, "s", "%cx", ""},
	{"1@%r8b", 1, "u", "%r8", ""},
	{"-2@%r9w", 2, "s", "%r9", ""},
	{"4@%r14d", 4, "u", "%r14", ""},
	{"-8@%r12", 8, "s", "%r12", ""},
	{"1@%spl", 1, "u", "%sp", ""},
	{"4@(%rdi)", 4, "u", "+0(%di)", ""},
	{"8@-80(%rbx)", 8, "u", "-80(%bx)", ""},
	{"4@-4(%rbp)", 4, "u", "-4(%bp)", ""},
	{"-4@0x10(%r13)", 4, "s", "+16(%r13)", ""},
	{"8@8+8(%rsp)", 8, "u", "+16(%sp)", ""},
	{"8@-8-8(%rsp)", 8, "u", "-16(%sp)", ""},
	{"-4@$1", 4, "s", `\1`, ""},
	{"-4@$-5", 4, "s", `\-5`, ""},
	{"1@$-1", 1, "u", `\255`, ""},
	{"-1@$255", 1, "s", `\-1`, ""},
	{"8@$-1", 8, "u", `\18446744073709551615`, ""},
	{"8@$0xffffffffffffffff", 8, "u", `\18446744073709551615`, ""},
	{"-4@$010", 4, "s", `\8`, ""},
	{"8f@%r13", 8, "f", "%r13", ""},
	{"8f@-24(%rbp)", 8, "f", "-24(%bp)", ""},
	{"4f@%eax", 4, "f", "%ax", ""},
	{"4f@fl(%rip)", 4, "f", "@+0x10", ""},
	{"8f@%xmm0", 8, "f", "", "vector register %xmm0"},
	{"8f@%ymm15", 8, "f", "", "vector register"},
	{"8f@%st(1)", 8, "f", "", "vector register"},
	{"16f@(%rax)", 8, "f", "", "16 bytes"},
	{"16@(%rax)", 8, "u", "", "16 bytes"},
	{"2f@%ax", 2, "f", "", "2 bytes"},
	{"4f@%al", 1, "f", "", "too small"},
	{"-4@NBuffers(%rip)", 4, "s", "@+0x4010", ""},
	{"8@NBuffers+16(%rip)", 8, "u", "@+0x4020", ""},
	{"-4@52+CheckpointStats(%rip)", 4, "s", "@+0x5034", ""},
	{"-4@CheckpointStats-4(%rip)", 4, "s", "@+0x4ffc", ""},
	{"-4@fl-64(%rip)", 4, "s", "", "before the file's beginning"},
	{"-4@gone(%rip)", 4, "s", "", "symbol gone is not found"},
	{"8@NBuffers@GOTPCREL(%rip)", 8, "u", "", "dynamic linker"},
	{"8@16(%rip)", 8, "u", "", "no symbol"},
	{"8@(%rip)", 8, "u", "", "no symbol"},
	{"8@(%rax,%rbx,8)", 8, "u", "", "scaled index"},
	{"-4@table(,%rax,4)", 4, "s", "", "scaled index"},
	{"-8@-8(%rbp, %rax)", 8, "s", "", "scaled index"},
	{"8@%fs:0x28", 8, "u", "", "segment"},
	{"8@%fs:counter@tpoff", 8, "u", "", "segment"},
	{"4@%gs:(%rax)", 4, "u", "", "segment"},
	{"8@table(%rax)", 8, "u", "", "plus a register"},
	{"8@(%eax)", 8, "u", "", "64-bit register"},
	{"8@(%xmm0)", 8, "u", "", "64-bit register"},
	{"8@()", 8, "u", "", "64-bit register"},
	{"8@(%)", 8, "u", "", "64-bit register"},
	{"8@$NBuffers", 8, "u", "", "address of a symbol"},
	{"8@$", 8, "u", "", "address of a symbol"},
	{"8@NBuffers", 8, "u", "", "no operand"},
	{"8@%rzx", 8, "u", "", "none that a probe sees"},
	{"8@%rip", 8, "u", "", "none that a probe sees"},
	{"8@", 8, "u", "", "empty"},
	{"8@a*b(%rip)", 8, "u", "", "displacement"},
	{"8@-NBuffers(%rip)", 8, "u", "", "displacement"},
	{"8@a+b(%rip)", 8, "u", "", "displacement"},
	{"3@%eax", 8, "u", "", "3 bytes"},
	{"0@%eax", 8, "u", "", "0 bytes"},
	// A size beyond the register's: what the register holds.
	{"8@%eax", 4, "u", "%ax", ""},
	{"-4@%al", 1, "s", "%ax", ""},
	// The second byte of a register.
	{"1@%ah", 1, "u", "%ax", ""},
	{"1@%dh", 1, "u", "%dx", ""},
	{"4@%bh", 1, "u", "%bx", ""},
	{"-1@%ch", 1, "s", "", "bits 8 to 15"},
	// Without a size.
	{"%rax", 8, "u", "%ax", ""},
	{"%edx", 4, "u", "%dx", ""},
	{"-8(%rbp)", 8, "u", "-8(%bp)", ""},
	{"$-5", 8, "s", `\-5`, ""},
	{"NBuffers(%rip)", 8, "u", "@+0x4010", ""},
}

func TestParseOperands(t *testing.T) {
	var all []string
	for _, tt := range operandCases {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseOperands(tt.text, symbols)
			if err != nil || len(got) != 1 {
				t.Fatalf("got %v, %v, want one operand", got, err)
			}
			checkOperand(t, got[0], tt.text, tt.size, tt.sign, tt.expr, tt.reason)
		})
		all = append(all, tt.text)
	}
	got, err := ParseOperands(" "+strings.Join(all[:60], "  ")+" ", symbols)
	if err != nil || len(got) != 60 {
		t.Fatalf("all in one: got %d, %v, want 60", len(got), err)
	}
	for i, o := range got {
		tt := operandCases[i]
		checkOperand(t, o, tt.text, tt.size, tt.sign, tt.expr, tt.reason)
	}
}

func checkOperand(t *testing.T, o Operand, text string, size int, sign, expr, reason string) {
	t.Helper()
	gotSign := "u"
	switch {
	case o.Float:
		gotSign = "f"
	case o.Signed:
		gotSign = "s"
	}
	if o.Text != text || o.Size != size || gotSign != sign || o.Expr != expr {
		t.Errorf("%s: got size %d %s %q (%s), want size %d %s %q", o.Text, o.Size, gotSign, o.Expr, o.Reason, size, sign, expr)
	}
	if (reason == "") != (o.Reason == "") || !strings.Contains(o.Reason, reason) {
		t.Errorf("%s: reason: got %q, want %q in it", text, o.Reason, reason)
	}
}

func TestParseOperandsRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"never closed", "8@(%rax 4@%edx", "not closed"},
		{"closed twice", "8@(%rax)) 4@%edx", "not open"},
		{"too many", strings.Repeat("8@%rax ", 65), "more than 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseOperands(tt.text, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error with %q", got, err, tt.want)
			}
		})
	}
	for _, s := range []string{"", " ", "\t "} {
		if got, err := ParseOperands(s, nil); err != nil || len(got) != 0 {
			t.Errorf("%q: got %v, %v, want no operands", s, got, err)
		}
	}
	got, err := ParseOperands("-4@NBuffers(%rip)", nil)
	if err != nil || len(got) != 1 || got[0].Expr != "" || !strings.Contains(got[0].Reason, "stripped") {
		t.Errorf("without symbols: got %+v, %v", got, err)
	}
}

func TestFetch(t *testing.T) {
	tests := []struct {
		operand, typ string
		n            int
		expr, ktype  string
		ctype        string
		float        int
		err          string
	}{
		{operand: "8@%rax", expr: "%ax", ktype: "u64"},
		{operand: "-4@%edx", expr: "%dx", ktype: "s32"},
		{operand: "-1@%dil", expr: "%di", ktype: "s8"},
		{operand: "1@%ah", expr: "%ax", ktype: "b8@8/64"},
		{operand: "1@%ah", typ: "u8", expr: "%ax", ktype: "b8@8/64"},
		{operand: "1@%ah", typ: "s8", expr: "", ktype: "b8@8/64"},
		{operand: "8@(%rax,%rbx,8)", expr: "", ktype: "u64"},
		{operand: "8@(%rax,%rbx,8)", typ: "string", expr: "", ktype: "string"},
		{operand: "8f@%xmm3", expr: "", ktype: "u64", ctype: "double", float: 8},
		{operand: "8f@%r13", expr: "%r13", ktype: "u64", ctype: "double", float: 8},
		{operand: "4f@fl(%rip)", expr: "@+0x10", ktype: "u32", ctype: "float", float: 4},
		{operand: "8@%rax", typ: "string", expr: "+0(%ax)", ktype: "string"},
		{operand: "8@-80(%rbx)", typ: "string", expr: "+0(-80(%bx))", ktype: "string"},
		{operand: "8@NBuffers+8(%rip)", typ: "string", expr: "+0(@+0x4018)", ktype: "string"},
		{operand: "8@%rax", typ: "buf", n: 16, expr: "+0(%ax)", ktype: "u8[16]"},
		{operand: "8@%rax", typ: "buf", n: 65, err: "buf[64]"},
		{operand: "8@%rax", typ: "buf", n: 0, err: "1 to 64"},
		{operand: "4@%eax", typ: "string", err: "pointer of 8 bytes"},
		{operand: "8f@%rax", typ: "string", err: "pointer of 8 bytes"},
		{operand: "8@$5", typ: "string", err: "constant"},
		{operand: "8@%rax", typ: "ptr", expr: "%ax", ktype: "x64"},
		{operand: "8@%rax", typ: "u32", expr: "%ax", ktype: "u32"},
		{operand: "8@%rax", typ: "s16", expr: "%ax", ktype: "s16"},
		{operand: "8@%rax", typ: "x8", expr: "%ax", ktype: "x8"},
		{operand: "1@%al", typ: "bool", expr: "%ax", ktype: "u8", ctype: "bool"},
		{operand: "-4@(%rdi)", typ: "char", expr: "+0(%di)", ktype: "s8", ctype: "char"},
		{operand: "-4@%edx", typ: "u32", expr: "%dx", ktype: "u32"},
		{operand: "-4@%edx", typ: "u64", err: "u32"},
		{operand: "4@%edx", typ: "ptr", err: "wider than the 4 bytes"},
		{operand: "-4@$-5", typ: "u8", expr: `\251`, ktype: "u8"},
		{operand: "-4@$-5", expr: `\-5`, ktype: "s32"},
		{operand: "4@$200", typ: "s8", expr: `\-56`, ktype: "s8"},
		{operand: "8@%rax", typ: "int", err: "none of"},
		{operand: "8@%rax", typ: "u7", err: "none of"},
		{operand: "8@%rax", typ: "u", err: "none of"},
		{operand: "8@%rax", typ: "ustring", err: "none of"},
	}
	for _, tt := range tests {
		t.Run(tt.operand+" "+tt.typ, func(t *testing.T) {
			ops, err := ParseOperands(tt.operand, symbols)
			if err != nil || len(ops) != 1 {
				t.Fatalf("operands: got %v, %v", ops, err)
			}
			a, err := ops[0].Fetch("x", tt.typ, tt.n)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %+v, error %v, want an error with %q", a, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Name != "x" || a.Expr != tt.expr || a.Type != tt.ktype || a.CType != tt.ctype || a.Float != tt.float {
				t.Errorf("got %+v, want %+v", a, tt)
			}
			if (a.Null == "") != (a.Expr != "") {
				t.Errorf("null: got %q with expression %q", a.Null, a.Expr)
			}
		})
	}
}

var (
	exprShape = regexp.MustCompile(`^(%[a-z0-9]+|[+-][0-9]+\(%[a-z0-9]+\)|@\+0x[0-9a-f]+|\\-?[0-9]+)$`)
	argShape  = regexp.MustCompile(`^(\+0\()?(%[a-z0-9]+|[+-][0-9]+\(%[a-z0-9]+\)|@\+0x[0-9a-f]+|\\-?[0-9]+)\)?$`)
	typeShape = regexp.MustCompile(`^([usx](8|16|32|64)|string|u8\[[0-9]+\]|b8@8/64)$`)
)

// FuzzParseOperands holds that whatever is handed to the kernel has one of the few
// shapes that the kernel knows, whatever stands in the file.
func FuzzParseOperands(f *testing.F) {
	for _, tt := range operandCases {
		f.Add(tt.text, "")
	}
	f.Add("8@%rax -4@$1 8f@%r13", "string")
	f.Add("8@(%rax 4@%edx", "u8")
	f.Fuzz(func(t *testing.T, s, typ string) {
		ops, err := ParseOperands(s, symbols)
		if err != nil {
			return
		}
		if strings.Trim(s, " \t") == "" && len(ops) != 0 {
			t.Fatalf("%q: got %d operands", s, len(ops))
		}
		for _, o := range ops {
			if !strings.Contains(s, o.Text) || o.Text == "" {
				t.Fatalf("%q: operand %q is no part of it", s, o.Text)
			}
			if o.Size != 1 && o.Size != 2 && o.Size != 4 && o.Size != 8 {
				t.Fatalf("%q: size %d", o.Text, o.Size)
			}
			if (o.Expr == "") == (o.Reason == "") {
				t.Fatalf("%q: got expression %q and reason %q, want one", o.Text, o.Expr, o.Reason)
			}
			if o.Expr != "" && !exprShape.MatchString(o.Expr) {
				t.Fatalf("%q: expression %q", o.Text, o.Expr)
			}
			for _, typ := range []string{"", "string", "buf", "s8", "u64", typ} {
				a, err := o.Fetch("x", typ, 8)
				if err != nil {
					continue
				}
				if !typeShape.MatchString(a.Type) || a.Expr != "" && !argShape.MatchString(a.Expr) || (a.Expr == "") == (a.Null == "") {
					t.Fatalf("%q as %q: got %+v", o.Text, typ, a)
				}
			}
		}
	})
}
