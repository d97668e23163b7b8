package maps

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func TestParseMaps(t *testing.T) {
	const text = "55d0a1000000-55d0a1001000 r--p 00000000 fe:01 77                         /usr/bin/x y\n" +
		"55d0a1001000-55d0a1002000 r-xp 00001000 fe:01 77                         /usr/bin/x y\n" +
		"7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n" +
		"7f1000000000-7f1000002000 r-xp 00003000 103:02 9                         /a\\012b (deleted)\n" +
		"7fff00000000-7fff00002000 r-xp 00000000 00:00 0                          [vdso]\n" +
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n" +
		"7f1-7f0 r-xp 0 0:0 0\njunk\nzz-7f r-xp 0 0:0 0 x\n\n"
	want := []Region{
		{Path: "/usr/bin/x y", Dev: Dev(0xfe, 1), Inode: 77, Start: 0x55d0a1001000, Size: 0x1000, Offset: 0x1000},
		{Start: 0x7f0000000000, Size: 0x1000},
		{Path: "/a\nb (deleted)", Dev: Dev(0x103, 2), Inode: 9, Start: 0x7f1000000000, Size: 0x2000, Offset: 0x3000},
		{Path: "[vdso]", Start: 0x7fff00000000, Size: 0x2000},
		{Path: "[vsyscall]", Start: 0xffffffffff600000, Size: 0x1000},
	}
	if got := ParseMaps(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for i := range text {
		ParseMaps(text[:i])
	}
}

// mmap2 makes the body of a record.
func mmap2(pid uint32, start, size, offset uint64, build []byte, path string) []byte {
	le := binary.LittleEndian
	b := make([]byte, 64)
	le.PutUint32(b, pid)
	le.PutUint64(b[8:], start)
	le.PutUint64(b[16:], size)
	le.PutUint64(b[24:], offset)
	if build != nil {
		b[32] = byte(len(build))
		copy(b[36:], build)
	} else {
		le.PutUint32(b[32:], 8)
		le.PutUint32(b[36:], 1)
		le.PutUint64(b[40:], 42)
	}
	return append(append(b, path...), make([]byte, 8-len(path)%8)...)
}

func TestDecodeMMAP2(t *testing.T) {
	tests := []struct {
		name string
		body []byte
		misc uint16
		want Region
	}{
		{"inode", mmap2(7, 0x1000, 0x2000, 0x3000, nil, "/lib/a"), 0, Region{Path: "/lib/a", Dev: Dev(8, 1), Inode: 42, Start: 0x1000, Size: 0x2000, Offset: 0x3000}},
		{"build id", mmap2(7, 1, 2, 3, []byte{0xab, 1, 0xff}, "[vdso]"), miscBuildID, Region{Path: "[vdso]", BuildID: "ab01ff", Start: 1, Size: 2, Offset: 3}},
		{"build id that is too long", append(append(make([]byte, 32), 255), make([]byte, 31)...), miscBuildID, Region{BuildID: "0000000000000000000000000000000000000000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pid, got, ok := DecodeMMAP2(tt.body, tt.misc)
			if !ok || got != tt.want || pid != int32(binary.LittleEndian.Uint32(tt.body)) {
				t.Errorf("got %d %+v %v, want %+v", pid, got, ok, tt.want)
			}
			for i := range 64 {
				if _, _, ok := DecodeMMAP2(tt.body[:i], tt.misc); ok {
					t.Errorf("%d bytes were taken", i)
				}
			}
		})
	}
}

func TestNoteBuildID(t *testing.T) {
	note := func(typ uint32, name string, desc []byte, align int) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
		b = append(binary.LittleEndian.AppendUint32(b, typ), name...)
		for len(b)%align != 0 {
			b = append(b, 0)
		}
		b = append(b, desc...)
		for len(b)%align != 0 {
			b = append(b, 0)
		}
		return b
	}
	id := []byte{1, 2, 3, 4, 5}
	tests := []struct {
		name  string
		in    []byte
		align uint64
		want  string
	}{
		{"alone", note(3, "GNU\x00", id, 4), 4, "0102030405"},
		{"second", append(note(1, "GNU\x00", []byte{9, 9, 9}, 4), note(3, "GNU\x00", id, 4)...), 4, "0102030405"},
		{"align 8", append(note(5, "GNU\x00", make([]byte, 12), 8), note(3, "GNU\x00", id, 8)...), 8, "0102030405"},
		{"Go's", note(4, "Go\x00\x00", id, 4), 4, ""},
		{"none", nil, 4, ""},
		{"sizes that wrap", []byte{255, 255, 255, 255, 255, 255, 255, 255, 3, 0, 0, 0}, 4, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := noteBuildID(tt.in, binary.LittleEndian, tt.align); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for i := range tt.in {
				noteBuildID(tt.in[:i], binary.LittleEndian, tt.align)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	for path, want := range map[string]perfpipe.FrameKind{
		"/bin/sh": perfpipe.FrameFile, "[vdso]": perfpipe.FrameFile, "": perfpipe.FrameAnon, "//anon": perfpipe.FrameAnon,
		"[heap]": perfpipe.FrameAnon, "/memfd:jit (deleted)": perfpipe.FrameAnon, "/dev/zero (deleted)": perfpipe.FrameAnon,
	} {
		if got := kindOf(path); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

func region(path string, start, size, offset uint64) Region {
	return Region{Path: path, Dev: 1, Inode: uint64(len(path)), Start: start, Size: size, Offset: offset}
}

// at names what a process has at an address.
func at(tab *Table, pid int32, addr uint64) (path string, offset uint64) {
	m, ok := tab.Of(pid, 0).Find(addr)
	if !ok {
		return "-", 0
	}
	return m.File.Path, addr - m.Start + m.Offset
}

func TestLifeOfAProcess(t *testing.T) {
	reads := 0
	tab := New(Options{Read: func(pid int32) []Region {
		reads++
		if pid == 1 {
			return []Region{region("/a", 0x1000, 0x1000, 0)}
		}
		return nil
	}})
	check := func(pid int32, addr uint64, path string, offset uint64) {
		t.Helper()
		if p, o := at(tab, pid, addr); p != path || o != offset {
			t.Errorf("process %d at %#x: got %s+%#x, want %s+%#x", pid, addr, p, o, path, offset)
		}
	}
	check(1, 0x1800, "/a", 0x800)
	check(1, 0x2000, "-", 0)
	tab.Fork(2, 1, 0)
	check(2, 0x1800, "/a", 0x800)
	v := tab.Of(1, 0).Version()
	if w := tab.Of(2, 0).Version(); w != v {
		t.Errorf("after a fork: version %d, want the parent's %d", w, v)
	}
	// Over the middle: both ends stay.
	tab.Map(2, region("/bb", 0x1400, 0x400, 0x9000), 0)
	check(2, 0x1401, "/bb", 0x9001)
	check(2, 0x13ff, "/a", 0x3ff)
	check(2, 0x1800, "/a", 0x800)
	check(1, 0x1401, "/a", 0x401)
	if tab.Of(1, 0).Version() != v || tab.Of(2, 0).Version() == v {
		t.Error("versions: want the child's alone to have changed")
	}
	v = tab.Of(2, 0).Version()
	tab.Map(2, region("/bb", 0x1500, 0x100, 0x9100), 0)
	if tab.Of(2, 0).Version() != v {
		t.Error("mapping what is there has changed the version")
	}
	tab.Exit(2)
	check(2, 0x1401, "/bb", 0x9001)
	tab.Exec(1, 0)
	check(1, 0x1800, "-", 0)
	if tab.Of(1, 0).Version() != 0 {
		t.Error("an empty space has a version")
	}
	for range 3 {
		tab.Of(3, 0)
	}
	if reads != 2 {
		t.Errorf("read %d times, want once for each process that was not known", reads)
	}
	if _, read := tab.Again(1, rereadEvery-1); read {
		t.Error("read again within a second")
	}
	if _, read := tab.Again(1, rereadEvery); !read {
		t.Error("not read again after a second")
	}
	check(1, 0x1800, "/a", 0x800)
	for pid := int32(100); pid < 100+2*keepEnded; pid++ {
		tab.Fork(pid, 1, 0)
		tab.Exit(pid)
	}
	if tab.Len() > keepEnded+3 {
		t.Errorf("got %d processes, want the ended ones dropped", tab.Len())
	}
	if u := tab.Of(1, 0).users; u != keepEnded+1 && u != keepEnded {
		t.Errorf("users: got %d, want those that are kept", u)
	}
}

func TestUnknownProcess(t *testing.T) {
	tab := New(Options{Read: func(pid int32) []Region {
		t.Errorf("asked for process %d", pid)
		return nil
	}})
	for _, pid := range []int32{-1, 0, -1} {
		if s := tab.Of(pid, 0); s == nil || s.Version() != 0 {
			t.Errorf("process %d: got %+v, want nothing mapped", pid, s)
		}
		tab.Map(pid, region("/a", 1, 2, 3), 0)
		tab.Exec(pid, 0)
		tab.Exit(pid)
	}
}

func TestResolve(t *testing.T) {
	asked := 0
	tab := New(Options{BuildID: func(int32, Mapping) string { asked++; return "ab" }})
	tab.Map(1, Region{Path: "/x", Dev: 1, Inode: 2, Start: 0x1000, Size: 0x1000}, 0)
	tab.Map(1, Region{Path: "/y", BuildID: "ab", Start: 0x3000, Size: 0x1000}, 0)
	tab.Map(1, Region{Path: VDSO, Start: 0x5000, Size: 0x1000, Offset: 7}, 0)
	s := tab.Of(1, 0)
	var files []*File
	for _, a := range []uint64{0x1000, 0x1001, 0x3000, 0x5000} {
		m, _ := s.Find(a)
		files = append(files, tab.Resolve(1, m))
	}
	if files[0] != files[1] || files[0] != files[2] || files[0].BuildID != "ab" || asked != 1 {
		t.Errorf("got %v, asked %d times; want one file of a build id, asked once", files, asked)
	}
	if m, _ := s.Find(0x5000); m.Offset != 0 || files[3].BuildID != "" {
		t.Errorf("vdso: got %+v in %+v, want offset 0 and no build id", m, files[3])
	}
}

// naive is a process's code address by address.
type naive map[uint64]struct {
	path   string
	offset uint64
}

// FuzzTable: after any records, each address is where a model without ranges,
// sharing or order has it.
func FuzzTable(f *testing.F) {
	f.Add(uint64(1), uint8(20))
	f.Add(uint64(99), uint8(200))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		rng := rand.New(rand.NewPCG(seed, 7))
		tab := New(Options{})
		model := map[int32]naive{}
		paths := []string{"/a", "/bb", "/ccc", "", VDSO}
		const span = 64
		for range steps {
			pid := int32(1 + rng.IntN(4))
			switch rng.IntN(8) {
			case 0:
				child := int32(1 + rng.IntN(4))
				tab.Fork(child, pid, 0)
				if child != pid {
					c := naive{}
					for k, v := range model[pid] {
						c[k] = v
					}
					model[child] = c
				}
			case 1:
				tab.Exec(pid, 0)
				model[pid] = naive{}
			case 2:
				tab.Exit(pid)
			default:
				r := region(paths[rng.IntN(len(paths))], uint64(rng.IntN(span)), uint64(rng.IntN(16)), uint64(rng.IntN(4))*8)
				tab.Map(pid, r, 0)
				if model[pid] == nil {
					model[pid] = naive{}
				}
				for a := r.Start; a < r.Start+r.Size; a++ {
					o := r.Offset + a - r.Start
					switch r.Path {
					case "":
						o = a
					case VDSO:
						o = a - r.Start
					}
					model[pid][a] = struct {
						path   string
						offset uint64
					}{r.Path, o}
				}
			}
		}
		seen := map[uint64]*Space{}
		for pid := int32(1); pid <= 4; pid++ {
			s := tab.Of(pid, 0)
			if o := seen[s.Version()]; o != nil && !reflect.DeepEqual(o.list, s.list) && len(o.list)+len(s.list) > 0 {
				t.Errorf("two states of version %d", s.Version())
			}
			seen[s.Version()] = s
			for a := range uint64(span + 16) {
				want, ok := model[pid][a]
				if !ok {
					want.path = "-"
				}
				if p, o := at(tab, pid, a); p != want.path || o != want.offset {
					t.Fatalf("process %d at %d: got %s+%d, want %s+%d", pid, a, p, o, want.path, want.offset)
				}
			}
		}
	})
}

// FuzzParse: whatever the text or record, what is taken is a range of addresses.
func FuzzParse(f *testing.F) {
	f.Add([]byte("7f0000000000-7f0000001000 rwxp 00000000 00:00 0 \n"), uint16(0))
	f.Add(mmap2(1, 2, 3, 4, []byte{5}, "/x"), uint16(miscBuildID))
	f.Fuzz(func(t *testing.T, b []byte, misc uint16) {
		for _, r := range ParseMaps(string(b)) {
			if r.Size == 0 || r.Start+r.Size < r.Start {
				t.Errorf("region %+v", r)
			}
		}
		tab := New(Options{})
		if pid, r, ok := DecodeMMAP2(b, misc); ok {
			tab.Map(pid, r, 0)
			if s := tab.Of(pid, 0); pid > 0 && r.Size > 0 && r.Start+r.Size > r.Start {
				if _, ok := s.Find(r.Start); !ok {
					t.Errorf("%+v is not found", r)
				}
			}
		}
	})
}
