package perfpipe

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// putLoc writes a __data_loc of n bytes at data, at off of raw.
func putLoc(raw []byte, off, data, n int) {
	binary.LittleEndian.PutUint32(raw[off:], uint32(data)|uint32(n)<<16)
}

func TestFieldPresent(t *testing.T) {
	at := func(v uint32, check int) []byte {
		raw := make([]byte, 32)
		binary.LittleEndian.PutUint32(raw[16:], v)
		putLoc(raw, 20, 32, check)
		return raw
	}
	p := Probed{Check: 20, Head: -1, Length: -1}
	f := Field{Name: "id", Offset: 16, Size: 4, ElemSize: 4, Count: 1, Kind: KindInt, Signed: true, Probed: &p}
	array := f
	array.Array, array.ElemSize, array.Count = true, 1, 4
	unchecked, plain, never, led := f, f, f, f
	led.Probed = &Probed{Check: -1, Head: -1, Length: -1, Through: []int{24}}
	behind := func(pointer uint64) []byte {
		raw := at(7, 5)
		binary.LittleEndian.PutUint64(raw[24:], pointer)
		return raw
	}
	unchecked.Probed, plain.Probed = &Probed{Check: -1, Head: -1, Length: -1}, nil
	never.Probed, never.Offset = &Probed{Check: -1, Head: -1, Length: -1, Never: true}, -1
	tests := []struct {
		name        string
		f           Field
		raw         []byte
		present, ok bool
	}{
		{"a value", f, at(7, 5), true, true},
		{"a zero that was read", f, at(0, 1), true, true},
		{"a fault", f, at(0, 0), false, true},
		{"a value where the check is too long to fetch", f, at(7, 0), true, true},
		{"an array", array, at(1<<24, 0), true, true},
		{"an array that faults", array, at(0, 0), false, true},
		{"nothing to check", unchecked, at(0, 0), true, true},
		{"no probe", plain, at(0, 0), true, true},
		{"never", never, nil, false, true},
		{"behind a pointer", led, behind(1 << 40), true, true},
		{"left by an earlier record, behind NULL", led, behind(0), false, true},
		{"the pointer cut off", led, behind(1)[:31], false, false},
		{"short", f, at(7, 5)[:19], false, false},
		{"the check cut off", f, at(7, 5)[:23], false, false},
	}
	for _, tt := range tests {
		if present, ok := tt.f.Present(tt.raw); present != tt.present || ok != tt.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, present, ok, tt.present, tt.ok)
		}
		for n := range tt.raw {
			tt.f.Present(tt.raw[:n])
		}
	}
}

func TestFieldText(t *testing.T) {
	// A location at 16, a check at 20, a length at 24, eight bytes of a head at 32, eight
	// in place at 40, data from 48 on.
	record := func(s string, n int, length int64, head, place string) []byte {
		raw := append(make([]byte, 48), s...)
		putLoc(raw, 16, 48, n)
		putLoc(raw, 20, 48, n)
		binary.LittleEndian.PutUint64(raw[24:], uint64(length))
		copy(raw[32:40], head)
		copy(raw[40:48], place)
		return raw
	}
	led := Field{Name: "s", CType: "char *", Offset: 16, Size: 4, ElemSize: 1, Kind: KindString, Loc: LocData, Probed: &Probed{Check: -1, Head: 32, HeadSize: 8, Length: -1, Through: []int{24}}}
	str := Field{Name: "s", CType: "char *", Offset: 16, Size: 4, ElemSize: 1, Kind: KindString, Loc: LocData, Probed: &Probed{Check: -1, Head: 32, HeadSize: 8, Length: -1}}
	headless, plain, never, static, golang := str, str, str, str, str
	headless.Probed = &Probed{Check: -1, Head: -1, Length: -1}
	plain.Probed = nil
	never.Probed, never.Offset = &Probed{Check: -1, Head: -1, Length: -1, Never: true}, -1
	static.Offset, static.Size, static.Loc, static.Probed = 40, 8, LocStatic, &Probed{Check: 20, Head: -1, Length: -1}
	golang.Offset, golang.Size, golang.Loc, golang.Probed = 40, 8, LocStatic, &Probed{Check: 20, Head: -1, Length: 24}
	full := func(header int, loc int) []byte {
		raw := make([]byte, header+4096)
		for i := 48; i < len(raw)-1; i++ {
			raw[i] = 'x'
		}
		putLoc(raw, 16, 48, loc)
		return raw
	}
	// A program says by one byte more than the NUL that there is more of the text.
	ofProgram := func(n int) []byte {
		raw := append(make([]byte, 48), bytes.Repeat([]byte("x"), 4096)...)
		raw = append(raw, 0, 0)
		putLoc(raw, 16, 48, n)
		return raw
	}
	noRoom := make([]byte, 4112)
	putLoc(noRoom, 16, 4112, 0)
	tests := []struct {
		name             string
		f                Field
		raw              []byte
		want             string
		present, cut, ok bool
	}{
		{"text", str, record("bash\x00", 5, 0, "bash", ""), "bash", true, false, true},
		{"the empty string", str, record("\x00", 1, 0, "", ""), "", true, false, true},
		{"behind a pointer", led, record("bash\x00", 5, 1, "bash", ""), "bash", true, false, true},
		{"left by an earlier record, behind NULL", led, record("bash\x00", 5, 0, "bash", ""), "", false, false, true},
		{"beyond the record, behind NULL", led, record("", 900, 0, "bash", ""), "", false, false, true},
		{"NULL", str, record("", 0, 0, "", ""), "", false, false, true},
		{"too long", str, record("", 0, 0, "abcdefgh", ""), "abcdefgh", true, true, true},
		{"too long, of which a part could be read", str, record("", 0, 0, "abc", ""), "abc", true, true, true},
		{"no head, NULL or too long", headless, record("", 0, 0, "abcdefgh", ""), "", false, false, true},
		{"no probe", plain, record("", 0, 0, "abcdefgh", ""), "", true, false, true},
		{"never", never, nil, "", false, false, true},
		{"cut by the page of an entry probe", str, full(16, 4112-48), strings.Repeat("x", 4112-49), true, true, true},
		{"cut by the page of a return probe", str, full(24, 4120-48), strings.Repeat("x", 4120-49), true, true, true},
		{"one byte less", str, full(16, 4111-48), strings.Repeat("x", 4111-48), true, false, true},
		{"of a program, as long as there is", str, ofProgram(4097), strings.Repeat("x", 4096), true, false, true},
		{"of a program, longer", str, ofProgram(4098), strings.Repeat("x", 4096), true, true, true},
		{"no room", headless, noRoom, "", false, true, true},
		{"in place", static, record("", 1, 0, "", "abc"), "abc", true, false, true},
		{"in place, all of it", static, record("", 1, 0, "", "abcdefgh"), "abcdefgh", true, true, true},
		{"in place, empty", static, record("", 1, 0, "", ""), "", true, false, true},
		{"in place, a fault", static, record("", 0, 0, "", ""), "", false, false, true},
		{"counted", golang, record("", 9, 3, "", "abcdefgh"), "abc", true, false, true},
		{"counted, with a NUL", golang, record("", 9, 3, "", "a\x00cd"), "a\x00c", true, false, true},
		{"counted, as long as there is room", golang, record("", 9, 8, "", "abcdefgh"), "abcdefgh", true, false, true},
		{"counted, longer", golang, record("", 9, 9, "", "abcdefgh"), "abcdefgh", true, true, true},
		{"counted, empty behind nil", golang, record("", 0, 0, "", ""), "", true, false, true},
		{"counted, a fault", golang, record("", 0, 3, "", ""), "", false, false, true},
		{"counted, zeroes", golang, record("", 1, 2, "", ""), "\x00\x00", true, false, true},
		{"counted, no length at all", golang, record("", 1, -1, "", "abc"), "", false, false, true},
		{"counted, as long as a number can be", golang, record("", 1, 1<<62, "", "abc"), "abc\x00\x00\x00\x00\x00", true, true, true},
		{"outside", str, record("abc", 9, 0, "", ""), "", false, false, false},
	}
	for _, tt := range tests {
		got, present, cut, ok := tt.f.Text(tt.raw)
		if string(got) != tt.want || present != tt.present || cut != tt.cut || ok != tt.ok {
			t.Errorf("%s: got %.20q (%d bytes), present %v, cut %v, ok %v, want %.20q (%d bytes), %v, %v, %v", tt.name, got, len(got), present, cut, ok, tt.want, len(tt.want), tt.present, tt.cut, tt.ok)
		}
		for n := range min(len(tt.raw), 64) {
			tt.f.Text(tt.raw[:n])
		}
	}
}

func TestFieldSignBits(t *testing.T) {
	for _, tt := range []struct {
		bits   int
		signed bool
		in     uint32
		want   uint64
	}{
		{3, true, 7, ^uint64(0)}, {3, true, 4, ^uint64(3)}, {3, true, 3, 3}, {3, false, 7, 7},
		{1, true, 1, ^uint64(0)}, {0, true, 7, 7}, {32, true, 1 << 31, ^uint64(1<<31 - 1)}, {64, true, 7, 7}, {-1, true, 7, 7},
	} {
		raw := binary.LittleEndian.AppendUint32(nil, tt.in)
		f := Field{Size: 4, ElemSize: 4, Count: 1, Kind: KindInt, Signed: tt.signed, SignBits: tt.bits}
		if got, ok := f.Uint(raw); got != tt.want || !ok {
			t.Errorf("%d of %d bits, signed %v: got %#x, want %#x", tt.in, tt.bits, tt.signed, got, tt.want)
		}
	}
}

// FuzzProbed: whatever a record holds and wherever a field is said to be, nothing
// panics, and what comes back is a part of the record.
func FuzzProbed(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x20\x00\x05\x00\x20\x00\x05\x00bash\x00\x00\x00\x00bash\x00"), 16, 4, uint8(1), 20, 24, 8, -1)
	f.Add([]byte("0123456789abcdefgh"), -8, 1<<62, uint8(2), 1<<62, -1, -7, 1<<61)
	f.Add([]byte("0123456789abcdefgh"), 2, 4, uint8(0), -1, -1, 0, 8)
	f.Fuzz(func(t *testing.T, raw []byte, off, size int, loc uint8, check, head, headSize, length int) {
		d := Field{Offset: off, Size: size, Kind: KindString, Loc: Loc(loc % 3), Probed: &Probed{Check: check, Head: head, HeadSize: headSize, Length: length}}
		text, present, cut, ok := d.Text(raw)
		if !bytes.Contains(raw, text) || !ok && (present || cut) || !present && len(text) > 0 {
			t.Errorf("got %q, present %v, cut %v, ok %v", text, present, cut, ok)
		}
		if present, ok := d.Present(raw); present && !ok {
			t.Error("a value that is not there is present")
		}
		d.Uint(raw)
		d.Probed = nil
		d.Text(raw)
	})
}
