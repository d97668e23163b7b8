package stacks

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/maps"
)

// heard is what a table told.
type heard struct {
	stacks []perfpipe.Stack
	frames []perfpipe.Frame
}

func (h *heard) Stack(s *perfpipe.Stack) {
	k := *s
	k.Frames, k.Addrs = slices.Clone(s.Frames), slices.Clone(s.Addrs)
	h.stacks = append(h.stacks, k)
}
func (h *heard) Frame(f perfpipe.Frame) { h.frames = append(h.frames, f) }

func words(w ...uint64) []byte {
	var b []byte
	for _, v := range w {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

const kern, user = contextKernel, contextUser

// table has process 1 with /a at 0x1000, JIT code at 0x8000; 2 is its fork.
func table() *Table {
	m := maps.New(maps.Options{Read: func(pid int32) []maps.Region {
		if pid != 1 {
			return nil
		}
		return []maps.Region{
			{Path: "/a", BuildID: "aa", Start: 0x1000, Size: 0x1000, Offset: 0x400},
			{Path: "[vdso]", Start: 0x5000, Size: 0x1000},
			{Path: "//anon", Start: 0x8000, Size: 0x1000},
		}
	}})
	m.Fork(2, 1, 0)
	mods, err := ParseModules(strings.NewReader("ext4 4096 1 - Live 0xffffffffc0000000\njunk\nx 1 0 - Live 0x0\n"))
	if err != nil {
		panic(err)
	}
	return New(Options{Maps: m, Module: mods.At})
}

func TestFrames(t *testing.T) {
	k := uint64(0xffffffff81000000)
	tests := []struct {
		name  string
		chain []uint64
		want  []perfpipe.Frame
		addrs []uint64
	}{
		{"both parts", []uint64{kern, k, k + 9, 0xffffffffc0000010, user, 0x1010, 0x1020}, []perfpipe.Frame{
			{File: "[kernel]", Offset: k, Kind: perfpipe.FrameKernel},
			{File: "[kernel]", Offset: k + 8, Kind: perfpipe.FrameKernel},
			{File: "[ext4]", Offset: 0xffffffffc000000f, Kind: perfpipe.FrameKernel},
			{File: "/a", BuildID: "aa", Offset: 0x410, Kind: perfpipe.FrameFile, PID: 1},
			{File: "/a", BuildID: "aa", Offset: 0x41f, Kind: perfpipe.FrameFile, PID: 1},
		}, []uint64{k, k + 9, 0xffffffffc0000010, 0x1010, 0x1020}},
		{"garbage behind the first", []uint64{user, 0x1010, 0x77, 0x1fff, 0x2001, 0}, []perfpipe.Frame{
			{File: "/a", BuildID: "aa", Offset: 0x410, Kind: perfpipe.FrameFile, PID: 1},
			{File: "/a", BuildID: "aa", Offset: 0x13fe, Kind: perfpipe.FrameFile, PID: 1},
		}, []uint64{0x1010, 0x1fff}},
		{"the first is nowhere", []uint64{user, 0x77, 0x1010}, []perfpipe.Frame{
			{Offset: 0x77, Kind: perfpipe.FrameUnknown, PID: 1},
			{File: "/a", BuildID: "aa", Offset: 0x40f, Kind: perfpipe.FrameFile, PID: 1},
		}, []uint64{0x77, 0x1010}},
		{"vdso and JIT code", []uint64{user, 0x5008, 0x8008}, []perfpipe.Frame{
			{File: "[vdso]", Offset: 8, Kind: perfpipe.FrameFile, PID: 1},
			{Offset: 0x8007, Kind: perfpipe.FrameAnon, PID: 1},
		}, []uint64{0x5008, 0x8008}},
		{"a guest's", []uint64{^uint64(2048) + 1, 0x1010, user, 0x1010}, []perfpipe.Frame{
			{File: "/a", BuildID: "aa", Offset: 0x410, Kind: perfpipe.FrameFile, PID: 1},
		}, []uint64{0x1010}},
		{"no marker", []uint64{0x1010, 0x1020}, nil, nil},
		{"markers alone", []uint64{kern, user}, nil, nil},
		{"nothing", nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := &heard{}
			id := table().ID(words(tt.chain...), 1, 0, h)
			for i := range tt.want {
				tt.want[i].ID = uint32(i + 1)
			}
			if !reflect.DeepEqual(h.frames, tt.want) {
				t.Errorf("frames: got %+v\nwant %+v", h.frames, tt.want)
			}
			if tt.want == nil {
				if id != 0 || len(h.stacks) != 0 {
					t.Errorf("got stack %x %+v, want none", id, h.stacks)
				}
				return
			}
			if len(h.stacks) != 1 || h.stacks[0].ID != id || h.stacks[0].PID != 1 || !slices.Equal(h.stacks[0].Addrs, tt.addrs) || len(h.stacks[0].Frames) != len(tt.addrs) {
				t.Errorf("stack %x: got %+v, want addresses %x", id, h.stacks, tt.addrs)
			}
		})
	}
}

func TestSameAndOther(t *testing.T) {
	tab, h := table(), &heard{}
	file := words(kern, 0xffffffff81000000, user, 0x1010, 0x1020)
	jit := words(user, 0x8010)
	a, b := tab.ID(file, 1, 0, h), tab.ID(jit, 1, 0, h)
	if a == b || tab.ID(file, 1, 0, h) != a || tab.ID(jit, 1, 0, h) != b || len(h.stacks) != 2 {
		t.Errorf("one process: got %x %x, told %d, want two", a, b, len(h.stacks))
	}
	if got := tab.ID(file, 2, 0, h); got != a || len(h.stacks) != 2 {
		t.Errorf("the same file in a forked process: got %x, want %x", got, a)
	}
	if got := tab.ID(jit, 2, 0, h); got == b || len(h.stacks) != 3 {
		t.Errorf("made code of another process: got that of the first, %x", got)
	}
	if got := tab.ID(jit, 1, 0, h); got != b {
		t.Errorf("made code of the first again: got %x, want %x", got, b)
	}
	// The same place of the same file at another address.
	tab.opt.Maps.Exec(3, 0)
	tab.opt.Maps.Map(3, maps.Region{Path: "/b", BuildID: "aa", Start: 0x71000, Size: 0x1000, Offset: 0x400}, 0)
	moved := words(kern, 0xffffffff81000000, user, 0x71010, 0x71020)
	if got := tab.ID(moved, 3, 0, h); got != a || len(h.stacks) != 3 {
		t.Errorf("the same file elsewhere: got %x, want %x", got, a)
	}
	// Something else is mapped over it.
	tab.opt.Maps.Map(3, maps.Region{Path: "/c", BuildID: "cc", Start: 0x71000, Size: 0x1000}, 0)
	if got := tab.ID(moved, 3, 0, h); got == a {
		t.Error("another file at the same address: got the stack of the first")
	}
}

func TestBounds(t *testing.T) {
	tab, h := table(), &heard{}
	tab.opt.MaxStacks, tab.opt.MaxFrames = 10, 100
	first := tab.ID(words(user, 0x1001), 1, 0, h)
	for i := range uint64(50) {
		tab.ID(words(user, 0x1001+i), 1, 0, h)
	}
	if len(tab.ids) > 10 || len(tab.told) > 10 || tab.Retold() == 0 {
		t.Errorf("got %d and %d chains, retold %d; want 10 at most", len(tab.ids), len(tab.told), tab.Retold())
	}
	told := len(h.stacks)
	if got := tab.ID(words(user, 0x1001), 1, 0, h); got != first || len(h.stacks) != told+1 {
		t.Errorf("a forgotten chain: got %x, want %x, told again", got, first)
	}
	for i := range uint64(500) {
		tab.ID(words(user, 0x1001+i), 1, 0, h)
	}
	if len(tab.frames) > 100 {
		t.Errorf("got %d frames, want 100 at most", len(tab.frames))
	}
}

func TestPlaced(t *testing.T) {
	tab, h := table(), &heard{}
	a := tab.ID(words(kern, 0xffffffff81000000, user, 0x1010, 0x1020), 1, 0, h)
	b := tab.Placed(words(kern, 0xffffffff81000000), []uint64{0x1010, 0x1020}, 1, 0, h)
	if a != b || len(h.stacks) != 1 {
		t.Errorf("got %x, want %x", b, a)
	}
	if got := tab.Placed(nil, nil, 1, 0, h); got != 0 {
		t.Errorf("nothing: got %x, want 0", got)
	}
}

func TestKnownChainDoesNotAllocate(t *testing.T) {
	tab, h := table(), &heard{}
	chain := words(user, 0x1010, 0x1020)
	tab.ID(chain, 1, 0, h)
	if n := testing.AllocsPerRun(100, func() { tab.ID(chain, 1, 0, h) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

// FuzzID: whatever the words, the stack is what it was told to be, and the same
// words are the same stack, told once.
func FuzzID(f *testing.F) {
	f.Add(words(kern, 1, 2, user, 0x1010, 0x1020), true)
	f.Add(words(user, 0x8010, 7), false)
	f.Fuzz(func(t *testing.T, chain []byte, second bool) {
		tab, h := table(), &heard{}
		pid := int32(1)
		if second {
			pid = 2
		}
		id := tab.ID(chain, pid, 0, h)
		if (id == 0) != (len(h.stacks) == 0) {
			t.Fatalf("stack %x, told %d", id, len(h.stacks))
		}
		if id != 0 && (h.stacks[0].ID != id || len(h.stacks[0].Addrs) != len(h.stacks[0].Frames)) {
			t.Fatalf("stack %x: told %+v", id, h.stacks[0])
		}
		known := map[uint32]bool{}
		for _, fr := range h.frames {
			if fr.ID == 0 || known[fr.ID] {
				t.Fatalf("frame %+v", fr)
			}
			known[fr.ID] = true
		}
		for _, s := range h.stacks {
			for _, n := range s.Frames {
				if !known[n] {
					t.Fatalf("frame %d was not told", n)
				}
			}
		}
		n := len(h.stacks)
		if again := tab.ID(chain, pid, 0, h); again != id || len(h.stacks) != n {
			t.Fatalf("again: got %x, told %d, want %x, %d", again, len(h.stacks), id, n)
		}
	})
}

func BenchmarkID(b *testing.B) {
	for _, n := range []int{5, 20, 100} {
		b.Run(fmt.Sprintf("known/frames=%d", n), func(b *testing.B) {
			tab, h := table(), &heard{}
			var chains [][]byte
			for c := range uint64(64) {
				w := []uint64{kern}
				for i := range uint64(n / 2) {
					w = append(w, 0xffffffff81000000+c*4096+i*64)
				}
				w = append(w, user)
				for i := range uint64(n - n/2) {
					w = append(w, 0x1000+c*16+i*8)
				}
				chains = append(chains, words(w...))
				tab.ID(chains[c], 1, 0, h)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				tab.ID(chains[i&63], 1, 0, h)
				i++
			}
		})
	}
	b.Run("new/frames=20", func(b *testing.B) {
		tab, h := table(), quiet{}
		b.ReportAllocs()
		i := uint64(0)
		w := make([]uint64, 22)
		for b.Loop() {
			w[0], w[11] = kern, user
			for k := range uint64(10) {
				w[1+k] = 0xffffffff81000000 + k*64
				w[12+k] = 0x1000 + (i>>(8*k)&0xff)*4
			}
			i++
			tab.ID(words(w...), 1, 0, h)
		}
	})
}

type quiet struct{}

func (quiet) Stack(*perfpipe.Stack) {}
func (quiet) Frame(perfpipe.Frame)  {}
