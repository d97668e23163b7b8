package insn

import (
	"errors"
	"testing"
)

func TestProbeable(t *testing.T) {
	tests := []struct {
		name string
		code []byte
		ok   bool
	}{
		{"push", []byte{0x55}, true},
		{"endbr64", []byte{0xf3, 0x0f, 0x1e, 0xfa}, true},
		{"mov", []byte{0x48, 0x89, 0xf8}, true},
		{"vzeroupper", []byte{0xc5, 0xf8, 0x77}, true},
		{"vmovaps", []byte{0xc5, 0xf8, 0x28, 0xc1}, true},
		{"vmovd", []byte{0xc5, 0xf9, 0x6e, 0xc6}, false},
		{"vpxor with C4", []byte{0xc4, 0x41, 0x01, 0xef, 0xff}, false},
		{"vmovdqu64", []byte{0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x06}, false},
		{"lock cmpxchg", []byte{0xf0, 0x0f, 0xb1, 0x0f}, false},
		{"int3", []byte{0xcc}, false},
		{"cut", []byte{0xc5, 0xf9}, true},
		{"empty", nil, true},
	}
	for _, tt := range tests {
		err := Probeable(tt.code, 0)
		var re *RefusedError
		if (err == nil) != tt.ok || err != nil && !errors.As(err, &re) {
			t.Errorf("%s: got %v, want ok %t", tt.name, err, tt.ok)
		}
	}
}
