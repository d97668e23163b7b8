// Package maps knows what lies where in the memory of each process, as far as code
// goes: fed in time order by the kernel's MMAP2, FORK, COMM and EXIT records and,
// live, by /proc/PID/maps.
package maps

import (
	"slices"
	"sort"
)

// Mapping is a range of a process's addresses that may be executed.
type Mapping struct {
	// File is what is mapped there.
	File *File
	// Start is the first address, End the one behind the last.
	Start, End uint64
	// Offset is the place of Start in the file, in bytes.
	Offset uint64
}

// Space is the code of one process, or of several that were forked and have mapped
// nothing since. It belongs to its [Table].
type Space struct {
	// list is in order of addresses and has no overlaps.
	list []Mapping
	// version tells this state of the list from every other, 0 is the empty one.
	version uint64
	// users is how many processes have it.
	users int
	// read is when /proc told of it, in the time of the caller.
	read int64
}

// Version is a number that no other state of this or another space has; 0 is that
// of all empty ones. Equal versions place every address alike.
func (s *Space) Version() uint64 { return s.version }

// Find returns the mapping that holds addr.
func (s *Space) Find(addr uint64) (*Mapping, bool) {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].End > addr })
	if i == len(s.list) || s.list[i].Start > addr {
		return nil, false
	}
	return &s.list[i], true
}

// has reports whether m, file and all, is what lies there already.
func (s *Space) has(m Mapping) bool {
	o, ok := s.Find(m.Start)
	return ok && m.End <= o.End && o.File == m.File && o.Offset+(m.Start-o.Start) == m.Offset
}

// put lays m over what is there: the ends of older mappings that stand out stay.
func (s *Space) put(m Mapping) {
	// list[i:j] overlaps m.
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].End > m.Start })
	j := i + sort.Search(len(s.list)-i, func(k int) bool { return s.list[i+k].Start >= m.End })
	with := make([]Mapping, 0, 3)
	if i < j && s.list[i].Start < m.Start {
		left := s.list[i]
		left.End = m.Start
		with = append(with, left)
	}
	with = append(with, m)
	if i < j && s.list[j-1].End > m.End {
		right := s.list[j-1]
		right.Offset += m.End - right.Start
		right.Start = m.End
		with = append(with, right)
	}
	s.list = slices.Replace(s.list, i, j, with...)
}
