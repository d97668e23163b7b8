package perfev

import (
	"bytes"
	"encoding/binary"
	"maps"
	"testing"
)

func TestAreasOf(t *testing.T) {
	const maps = `55d0-55e0 r-xp 00000000 fe:00 1 /bin/app
7f00-7f10 rw-p 00000000 00:00 0 [stack]
bad
7fff1000-7fff2000 --xp 00000000 00:00 0                          [uprobes]
`
	areas, tramp := areasOf(maps)
	if len(areas) != 3 || tramp != 0x7fff1000 || areas[1] != (area{0x7f00, 0x7f10}) {
		t.Errorf("got %x, trampoline 0x%x", areas, tramp)
	}
	if _, tramp := areasOf("55d0-55e0 r-xp 0 fe:00 1 /bin/[uprobes]x\n"); tramp != 0 {
		t.Errorf("a file of that name: trampoline 0x%x", tramp)
	}
}

func TestStackPointer(t *testing.T) {
	tests := []struct {
		text    string
		sp      uint64
		running bool
	}{
		{"0 0x0 0x7ffe 0x400 0x0 0x0 0x0 0x7ffd1230 0x7f01\n", 0x7ffd1230, false},
		{"-1 0x7ffd1238 0x55d1\n", 0x7ffd1238, false},
		{"running\n", 0, true},
		{"", 0, false},
		{"1 2", 0, false},
		{"0 zz 0x1", 0, false},
	}
	for _, tt := range tests {
		if sp, running := stackPointer(tt.text); sp != tt.sp || running != tt.running {
			t.Errorf("stackPointer(%q): got 0x%x %t, want 0x%x %t", tt.text, sp, running, tt.sp, tt.running)
		}
	}
}

func TestCountWords(t *testing.T) {
	mem := make([]byte, 200<<10)
	const word = 0x7fff1000
	for _, at := range []int{0, 8, 64 << 10, 64<<10 - 8, 200<<10 - 8} {
		binary.LittleEndian.PutUint64(mem[at:], word)
	}
	binary.LittleEndian.PutUint64(mem[20:], word) // not aligned
	r := bytes.NewReader(mem)
	if n := countWords(r, 0, uint64(len(mem)), word); n != 5 {
		t.Errorf("got %d, want 5", n)
	}
	if n := countWords(r, 8, 16, word); n != 1 {
		t.Errorf("a part: got %d, want 1", n)
	}
	if n := countWords(r, 0, 1<<30, word); n != 5 {
		t.Errorf("beyond what is there: got %d, want 5", n)
	}
}

func TestSettle(t *testing.T) {
	tests := []struct {
		name     string
		unseen   map[int]int64
		pending  uint64
		lost     map[int]uint64
		underWay uint64
	}{
		{"none", map[int]int64{0: 0, 1: -1}, 0, map[int]uint64{}, 0},
		{"all under way", map[int]int64{0: 2}, 3, map[int]uint64{}, 2},
		{"deep nesting", map[int]int64{0: 37}, 0, map[int]uint64{0: 37}, 0},
		{"one under way beside deep nesting", map[int]int64{0: 37, 1: 1}, 1, map[int]uint64{0: 37}, 1},
		{"more than are under way", map[int]int64{0: 5, 1: 5}, 7, map[int]uint64{1: 3}, 7},
	}
	for _, tt := range tests {
		lost, underWay := settle(tt.unseen, tt.pending)
		if !maps.Equal(lost, tt.lost) || underWay != tt.underWay {
			t.Errorf("%s: got %v, %d under way; want %v, %d", tt.name, lost, underWay, tt.lost, tt.underWay)
		}
	}
}

func TestHasFile(t *testing.T) {
	const maps = "55d0-55e0 r-xp 00000000 fe:00 42 /bin/app\n7f00-7f10 rw-p 00000000 00:00 0 [stack]\nbad\n"
	for _, tt := range []struct {
		files map[uint64]bool
		want  bool
	}{{nil, true}, {map[uint64]bool{}, false}, {map[uint64]bool{42: true}, true}, {map[uint64]bool{4: true}, false}} {
		if got := hasFile(maps, tt.files); got != tt.want {
			t.Errorf("hasFile(%v): got %t, want %t", tt.files, got, tt.want)
		}
	}
}
