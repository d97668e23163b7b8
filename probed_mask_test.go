package perfpipe_test

import (
	"encoding/binary"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// TestProbedMask reads fields whose presence is a bit of a mask in the record.
func TestProbedMask(t *testing.T) {
	probed := func(bit uint8) *perfpipe.Probed {
		return &perfpipe.Probed{Check: -1, Head: -1, Length: -1, Mask: 8, Bit: bit}
	}
	number := perfpipe.Field{Name: "n", Offset: 12, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint, Probed: probed(31)}
	fixed := perfpipe.Field{Name: "c", Offset: 16, Size: 4, ElemSize: 1, Count: 4, Kind: perfpipe.KindString, Probed: probed(0)}
	dynamic := perfpipe.Field{Name: "s", Offset: 20, Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData, Probed: probed(1)}
	raw := make([]byte, 27)
	copy(raw[16:], "abc\x00")
	binary.LittleEndian.PutUint32(raw[20:], 3<<16|24)
	copy(raw[24:], "de\x00")
	for _, tt := range []struct {
		name     string
		mask     uint32
		n, c, s  bool
		cut      int // bytes of raw that are there
		complete bool
	}{
		{"none", 0, false, false, false, 27, true},
		{"all", 1<<31 | 3, true, true, true, 27, true},
		{"number", 1 << 31, true, false, false, 27, true},
		{"text in place", 1, false, true, false, 27, true},
		{"text behind", 2, false, false, true, 27, true},
		{"no mask", 3, false, false, false, 11, false},
		{"text behind is cut", 2, false, false, false, 26, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			binary.LittleEndian.PutUint32(raw[8:], tt.mask)
			b := raw[:tt.cut:tt.cut]
			if got, ok := number.Present(b); got != tt.n || ok != (tt.cut > 11) {
				t.Errorf("number: got %v, %v, want %v", got, ok, tt.n)
			}
			if got, present, cut, ok := fixed.Text(b); present != tt.c || cut || ok != (tt.cut > 11) || present && string(got) != "abc" {
				t.Errorf("text in place: got %q, %v, %v, %v, want present %v", got, present, cut, ok, tt.c)
			}
			if got, present, cut, ok := dynamic.Text(b); present != tt.s || cut || ok != tt.complete || present && string(got) != "de" {
				t.Errorf("text behind: got %q, %v, %v, %v, want present %v", got, present, cut, ok, tt.s)
			}
		})
	}
	// An empty text is one, where its bit is set.
	binary.LittleEndian.PutUint32(raw[8:], 1)
	clear(raw[16:20])
	if got, present, _, ok := fixed.Text(raw); !present || !ok || len(got) != 0 {
		t.Errorf("empty text: got %q, %v, %v, want it to be there", got, present, ok)
	}
}
