package perfpipe

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unicode/utf8"
)

func TestAppendText(t *testing.T) {
	tests := []struct {
		in, want string
		escaped  bool
	}{
		{"", "", false},
		{"bash", "bash", false},
		{"naïve 漢字", "naïve 漢字", false},
		{"a\nb\x1b", "a\nb\x1b", false},
		{"\xff", `\xff`, true},
		{"a\x80é", `a\x80é`, true},
		{`a\b`, `a\\b`, true},
		{`\xff`, `\\xff`, true},
		{"\xf0\x9f", `\xf0\x9f`, true},
	}
	for _, tt := range tests {
		got, escaped := AppendText([]byte("> "), []byte(tt.in))
		if string(got) != "> "+tt.want || escaped != tt.escaped {
			t.Errorf("AppendText(%q): got %q, %v, want %q, %v", tt.in, got, escaped, tt.want, tt.escaped)
		}
		if back := UnescapeText(tt.want); string(back) != tt.in {
			t.Errorf("UnescapeText(%q): got %q, want %q", tt.want, back, tt.in)
		}
	}
	for _, s := range []string{`\`, `a\q`, `\x4`, `\xzz`} {
		if got := UnescapeText(s); string(got) != s {
			t.Errorf("UnescapeText(%q): got %q, want it as it is", s, got)
		}
	}
}

// FuzzText: whatever the bytes, the text is UTF-8 and leads back to them.
func FuzzText(f *testing.F) {
	f.Add([]byte("bash"))
	f.Add([]byte("\xff\\\\x41\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, escaped := AppendText(nil, b)
		if !utf8.Valid(text) {
			t.Errorf("%q gives %q, which is not UTF-8", b, text)
		}
		if back := UnescapeText(string(text)); !bytes.Equal(back, b) {
			t.Errorf("%q gives %q, which leads back to %q", b, text, back)
		}
		if escaped == bytes.Equal(text, b) {
			t.Errorf("%q gives %q: escaped is %v", b, text, escaped)
		}
	})
}

func TestFieldBytes(t *testing.T) {
	raw := make([]byte, 24)
	binary.LittleEndian.PutUint32(raw[4:], 16|5<<16)  // 5 bytes at 16
	binary.LittleEndian.PutUint32(raw[8:], 4|3<<16)   // 3 bytes, 4 behind the end of this word
	binary.LittleEndian.PutUint32(raw[12:], 20|9<<16) // past the end
	copy(raw[16:], "abcdefgh")
	tests := []struct {
		name string
		f    Field
		want string
		ok   bool
	}{
		{"in place", Field{Offset: 16, Size: 4}, "abcd", true},
		{"to the end", Field{Offset: 16, Size: 8}, "abcdefgh", true},
		{"over the end", Field{Offset: 17, Size: 8}, "", false},
		{"data", Field{Offset: 4, Size: 4, Loc: LocData}, "abcde", true},
		{"relative", Field{Offset: 8, Size: 4, Loc: LocRel}, "abc", true},
		{"data over the end", Field{Offset: 12, Size: 4, Loc: LocData}, "", false},
		{"location over the end", Field{Offset: 22, Size: 4, Loc: LocData}, "", false},
	}
	for _, tt := range tests {
		got, ok := tt.f.Bytes(raw)
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.name, got, ok, tt.want, tt.ok)
		}
		// No prefix may be read past its end.
		for n := range raw {
			tt.f.Bytes(raw[:n])
			tt.f.Uint(raw[:n])
		}
	}
}

func TestLoadInt(t *testing.T) {
	b := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	tests := []struct {
		size   int
		signed bool
		want   uint64
		ok     bool
	}{
		{1, false, 0xfe, true}, {1, true, ^uint64(1), true},
		{2, false, 0xfffe, true}, {2, true, ^uint64(1), true},
		{4, false, 0xfffffffe, true}, {4, true, ^uint64(1), true},
		{8, false, ^uint64(1), true}, {8, true, ^uint64(1), true},
		{3, false, 0, false}, {0, true, 0, false},
	}
	for _, tt := range tests {
		if got, ok := LoadInt(b[:tt.size], tt.signed); got != tt.want || ok != tt.ok {
			t.Errorf("LoadInt of %d bytes, signed %v: got %#x, %v, want %#x, %v", tt.size, tt.signed, got, ok, tt.want, tt.ok)
		}
	}
}

func TestBatch(t *testing.T) {
	table := &Table{Name: "t", Columns: []ColumnDef{
		{Name: "a", Type: TypeInt16}, {Name: "b", Type: TypeUint64, Nullable: true},
		{Name: "s", Type: TypeString, Nullable: true}, {Name: "l", Type: TypeList, Elem: TypeInt32},
	}}
	b := NewBatch(table, 4)
	for round := range 2 {
		for i := range 20 {
			c := b.Columns
			c[0].AppendInt(uint64(-i))
			if i%3 == 0 {
				c[1].AppendNull()
				c[2].AppendNull()
			} else {
				c[1].AppendInt(^uint64(i))
				c[2].AppendString("row")
			}
			for range i % 3 {
				c[3].Child.AppendInt(uint64(i))
			}
			c[3].EndList()
			b.Rows++
		}
		for i := range 20 {
			c := b.Columns
			if got := int64(c[0].Int(i)); got != int64(-i) {
				t.Errorf("round %d, a[%d]: got %d, want %d", round, i, got, -i)
			}
			if null := i%3 == 0; c[1].IsNull(i) != null || c[2].IsNull(i) != null || c[0].IsNull(i) {
				t.Errorf("round %d, row %d: got nulls %v %v", round, i, c[1].IsNull(i), c[2].IsNull(i))
			} else if !null && (c[1].Int(i) != ^uint64(i) || string(c[2].Text(i)) != "row") {
				t.Errorf("round %d, row %d: got %d %q", round, i, c[1].Int(i), c[2].Text(i))
			}
			if n := int(c[3].Offsets[i+1] - c[3].Offsets[i]); n != i%3 {
				t.Errorf("round %d, l[%d]: got %d elements, want %d", round, i, n, i%3)
			}
		}
		if b.Size() == 0 {
			t.Error("a batch with rows has no size")
		}
		b.Reset()
		if b.Rows != 0 || b.Columns[3].Child.Len != 0 || len(b.Columns[2].Offsets) != 1 {
			t.Errorf("after Reset: got %d rows", b.Rows)
		}
	}
}

func TestTypes(t *testing.T) {
	for typ := TypeInt8; typ <= TypeList; typ++ {
		if s := typ.String(); s == "" || s[0] == 't' && typ != TypeTimestamp {
			t.Errorf("type %d has no name: %q", typ, s)
		}
	}
	if TypeInt64.Width() != 8 || TypeBool.Width() != 1 || TypeString.Width() != 0 || !TypeTimestamp.Signed() || TypeUint8.Signed() {
		t.Error("widths or signs are wrong")
	}
	s := &Schema{System: "sched", Name: "sched_switch", Common: []Field{{Name: "common_pid"}}, Fields: []Field{{Name: "pid"}}}
	if s.Event() != "sched:sched_switch" || s.Field("pid") != &s.Fields[0] || s.Field("common_pid") != &s.Common[0] || s.Field("x") != nil {
		t.Error("the schema finds the wrong fields")
	}
}

// A string that is longer than the kernel takes steals the room of one behind it: the
// head tells.
func TestFieldTextStolenRoom(t *testing.T) {
	f := Field{Name: "s", Kind: KindString, Loc: LocData, Offset: 8, Size: 4, ElemSize: 1, Probed: &Probed{Check: -1, Head: 16, HeadSize: 8, Length: -1}}
	raw := make([]byte, 32)
	raw[8], raw[10] = 24, 3 // two bytes of it and the NUL that the kernel put there
	copy(raw[16:], "abcdefgh")
	copy(raw[24:], "ab\x00")
	if data, present, cut, ok := f.Text(raw); string(data) != "abcdefgh" || !present || !cut || !ok {
		t.Errorf("stolen room: got %q %t %t %t", data, present, cut, ok)
	}
	copy(raw[16:], "ab\x00\x00\x00\x00\x00\x00")
	if data, present, cut, ok := f.Text(raw); string(data) != "ab" || !present || cut || !ok {
		t.Errorf("whole: got %q %t %t %t", data, present, cut, ok)
	}
}
