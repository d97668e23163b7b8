package symbols

import (
	"cmp"
	"errors"
	"slices"
	"sort"
)

// index has the functions by address, the preferred symbol of each.
type index struct {
	entries []entry
	// maxEnd[i] is the greatest end of entries[:i+1]: where it is not beyond an
	// address, no earlier function holds it.
	maxEnd []uint64
	limits []uint64 // ends of sections and segments, ascending
}

type entry struct {
	addr, end uint64 // end is addr where the symbol says no size
	table     uint16
	sym       uint32
}

// byAddr builds the index once: 150,000 symbols take 5 MB.
func (f *File) byAddr() *index {
	if f.index != nil {
		return f.index
	}
	x := &index{}
	numbers := make(map[*table]uint16)
	f.load()
	for i, t := range f.tables {
		numbers[t] = uint16(i)
	}
	f.each(func(t *table, i int, s sym) bool {
		x.entries = append(x.entries, entry{s.addr, s.addr + s.size, numbers[t], uint32(i)})
		return true
	})
	slices.SortFunc(x.entries, func(a, b entry) int {
		switch {
		case a.addr < b.addr:
			return -1
		case a.addr > b.addr:
			return 1
		}
		if c := preferred(f.hitOf(a), f.hitOf(b)); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.sym, b.sym))
	})
	x.entries = slices.CompactFunc(x.entries, func(a, b entry) bool { return a.addr == b.addr })
	x.maxEnd = make([]uint64, len(x.entries))
	var end uint64
	for i, e := range x.entries {
		end = max(end, e.end)
		x.maxEnd[i] = end
	}
	x.limits = f.limits()
	f.index = x
	return x
}

func (f *File) hitOf(e entry) hit {
	t := f.tables[e.table]
	s, _ := t.at(int(e.sym))
	if end, ok := f.clip(s.addr); ok {
		s.size = min(s.size, end-s.addr)
	}
	return hit{t, s, int(e.sym)}
}

// limits are the addresses that no function without a size reaches beyond.
func (f *File) limits() []uint64 {
	var l []uint64
	for _, s := range f.exec {
		l = append(l, s.hi)
	}
	for _, s := range f.elf.Sections {
		if s.Addr != 0 && s.Addr+s.Size > s.Addr {
			l = append(l, s.Addr, s.Addr+s.Size)
		}
	}
	slices.Sort(l)
	return l
}

// find returns the entry that holds addr.
func (x *index) find(addr uint64) (int, bool) {
	i := sort.Search(len(x.entries), func(i int) bool { return x.entries[i].addr > addr }) - 1
	if i < 0 {
		return 0, false
	}
	if e := x.entries[i]; e.addr == e.end && addr < x.endOf(i) || addr < e.end {
		return i, true
	}
	// A function within another one ended before addr. Real files nest a few deep.
	for n := 0; i >= 0 && n < 64 && x.maxEnd[i] > addr; n++ {
		if addr < x.entries[i].end {
			return i, true
		}
		i--
	}
	return 0, false
}

// endOf returns where entry i ends: for one without a size, at the next function or
// at the end of its section.
func (x *index) endOf(i int) uint64 {
	e := x.entries[i]
	if e.end > e.addr {
		return e.end
	}
	end := e.addr
	if n := sort.Search(len(x.limits), func(j int) bool { return x.limits[j] > e.addr }); n < len(x.limits) {
		end = x.limits[n]
	}
	if i+1 < len(x.entries) {
		end = min(end, x.entries[i+1].addr)
	}
	return end
}

// At returns the function that holds the virtual address vaddr, without aliases; its
// Size is how far it reaches, even where the symbol does not say.
func (f *File) At(vaddr uint64) (Func, bool) {
	x := f.byAddr()
	i, ok := x.find(vaddr)
	if !ok {
		return Func{}, false
	}
	fn := f.newFunc(f.hitOf(x.entries[i]))
	fn.Size = x.endOf(i) - fn.Addr
	return fn, true
}

// extent returns how far a function without a size reaches.
func (f *File) extent(addr uint64) (uint64, error) {
	x := f.byAddr()
	i, ok := x.find(addr)
	if !ok || x.entries[i].addr != addr {
		return 0, errors.New("no symbol says where it ends")
	}
	return x.endOf(i) - addr, nil
}

// Funcs returns every function, clones too, by address. The error says that there
// are no symbols at all.
func (f *File) Funcs() ([]Func, error) {
	var hits []hit
	f.each(func(t *table, i int, s sym) bool {
		hits = append(hits, hit{t, s, i})
		return true
	})
	if len(hits) == 0 {
		e := f.unknown("at all")
		return nil, errors.New("no functions in " + f.path + noteText(e.Note))
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		if c := cmp.Compare(a.s.addr, b.s.addr); c != 0 {
			return c
		}
		return preferred(a, b)
	})
	var funcs []Func
	for len(hits) > 0 {
		n := 1
		for n < len(hits) && hits[n].s.addr == hits[0].s.addr {
			n++
		}
		funcs = append(funcs, f.merge(hits[:n]))
		hits = hits[n:]
	}
	return funcs, nil
}

func noteText(note string) string {
	if note == "" {
		return ""
	}
	return ": " + note
}

// Start returns where the function that holds vaddr begins. It is [File.At] without
// the name, which for C++ costs a hundred times as much.
func (f *File) Start(vaddr uint64) (uint64, bool) {
	x := f.byAddr()
	i, ok := x.find(vaddr)
	if !ok {
		return 0, false
	}
	return x.entries[i].addr, true
}
