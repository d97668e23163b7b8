package bpf

import (
	"slices"
	"testing"
)

func TestParseExpr(t *testing.T) {
	tests := []struct {
		text   string
		reg    int16
		value  int64
		derefs []int32
	}{
		{"%di", 112, 0, nil},
		{"%r15", 0, 0, nil},
		{"%flags", 144, 0, nil},
		{"$retval", 80, 0, nil},
		{"$stack", 152, 0, nil},
		{"$stack0", 152, 0, []int32{0}},
		{"$stack3", 152, 0, []int32{24}},
		{"+8(%di)", 112, 0, []int32{8}},
		{"-80(%bp)", 32, 0, []int32{-80}},
		{"+0x10(%sp)", 152, 0, []int32{16}},
		{"+0(+8(-16(%bx)))", 40, 0, []int32{-16, 8, 0}},
		{"+4($stack1)", 152, 0, []int32{8, 4}},
		{`\5`, -1, 5, nil},
		{`\-5`, -1, -5, nil},
		{`\0xffffffffffffffff`, -1, -1, nil},
	}
	for _, tt := range tests {
		e, err := parseExpr(tt.text)
		if err != nil || e.reg != tt.reg || e.value != tt.value || !slices.Equal(e.derefs, tt.derefs) {
			t.Errorf("%s: got %+v, %v, want %d, %d, %v", tt.text, e, err, tt.reg, tt.value, tt.derefs)
		}
		for n := range tt.text {
			// A shorter one is another expression or an error, never a panic.
			if e, err := parseExpr(tt.text[:n]); err == nil && e.reg < -1 {
				t.Errorf("%s: got %+v", tt.text[:n], e)
			}
		}
	}
	for _, bad := range []string{
		"", "%", "%eax", "%xmm0", "@+0x4038", "@0x1000", "$comm", "$stackx", "$stack99999", "+(%di)", "+8(%di", "8(%di)", "+8%di", "+u8(%di)",
		"+0x100000000(%di)", `\`, `\x`, `\"text"`, "+8()", "+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(+1(%di))))))))))))))))",
	} {
		if e, err := parseExpr(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, e)
		}
	}
}

func TestParseType(t *testing.T) {
	tests := []struct {
		text string
		want valueType
	}{
		{"u8", valueType{size: 1}}, {"s16", valueType{size: 2}}, {"x32", valueType{size: 4}}, {"u64", valueType{size: 8}},
		{"s32[4]", valueType{size: 4, count: 4}}, {"x64[64]", valueType{size: 8, count: 64}},
		{"b3@4/16", valueType{size: 2, bits: 3, shift: 4}}, {"b64@0/64", valueType{size: 8, bits: 64}},
		{"string", valueType{text: true}},
	}
	for _, tt := range tests {
		if got, err := parseType(tt.text); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
		for n := range tt.text {
			if got, err := parseType(tt.text[:n]); err == nil && got.bytes() > maxArray*8 {
				t.Errorf("%s: got %+v", tt.text[:n], got)
			}
		}
	}
	for _, bad := range []string{"", "u", "u7", "f64", "ustring", "symbol", "char", "u8[]", "u8[0]", "u8[65]", "u8[4", "u8]4[", "b0@0/8", "b5@4/8", "b3@4", "b3/8", "b3@0/8[2]", "b65@0/64", "[4]"} {
		if got, err := parseType(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, got)
		}
	}
}

// FuzzAssemble: whatever is described, the program is refused or whole: every jump
// leads forward to an instruction, and every field lies within the record.
func FuzzAssemble(f *testing.F) {
	for _, s := range [][2]string{{"+0(%si)", "string"}, {"%di", "s32"}, {"+8(+16(%di))", "b3@4/16"}, {"+0(%ax)", "x64[32]"}, {`\-5`, "u8"}, {"@+8", "u8"}, {"$stack2", "u64"}} {
		f.Add(s[0], s[1], 16, -1)
	}
	f.Fuzz(func(t *testing.T, expr, typ string, offset, check int) {
		p := &Probe{Type: 1500, PID: 4, IP: 8, Func: -1, Size: 512, Fields: []Field{{Expr: expr, Type: typ, Offset: offset, Check: check}, {Expr: "+0(%dx)", Type: "string", Offset: 500, Check: -1}}}
		code, err := Assemble(p, Maps{Rings: 3, Words: 4, CPUs: 2})
		if err != nil {
			return
		}
		v, err := parseType(typ)
		if err != nil || offset < 0 || offset+v.bytes() > p.Size {
			t.Fatalf("%q to %d: taken", typ, offset)
		}
		whole(t, code)
	})
}
