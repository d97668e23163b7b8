package filters

import "math/bits"

// memory is what programs keep from record to record. It belongs to one goroutine.
type memory struct {
	cells  []uint64
	cpus   [][]uint64 // by processor; nil where none was seen yet
	fresh  []uint64   // what a processor begins with
	tables []*hashTable
}

// grow gives m room for everything that l names, and keeps what it holds.
func (m *memory) grow(l *layout) {
	m.fresh = make([]uint64, l.perCPU)
	for _, k := range l.cells {
		if k.perCPU {
			m.fresh[k.at] = k.init
		} else if k.at == len(m.cells) {
			m.cells = append(m.cells, k.init)
		}
	}
	m.cpus = nil
	for _, t := range l.tables[len(m.tables):] {
		m.tables = append(m.tables, newHashTable(t.cap))
	}
}

// cpu returns the cells of a processor. It allocates the first time that one is seen.
func (m *memory) cpu(n uint16) []uint64 {
	if int(n) < len(m.cpus) && m.cpus[n] != nil {
		return m.cpus[n]
	}
	for int(n) >= len(m.cpus) {
		m.cpus = append(m.cpus, nil)
	}
	m.cpus[n] = append([]uint64(nil), m.fresh...)
	return m.cpus[n]
}

// hashTable is a map of fixed capacity: open addressing, linear probing, at most half full.
type hashTable struct {
	slots []hashSlot
	shift uint8
	n     int
	cap   int
}

type hashSlot struct {
	key, val uint64
	used     bool
}

func newHashTable(capacity int) *hashTable {
	size := 1 << bits.Len(uint(2*capacity-1))
	return &hashTable{slots: make([]hashSlot, size), shift: uint8(64 - bits.Len(uint(size-1))), cap: capacity}
}

// home is where key belongs: Fibonacci hashing, Knuth, The Art of Computer Programming, 6.4.
func (h *hashTable) home(key uint64) uint {
	return uint(key * 0x9e3779b97f4a7c15 >> h.shift)
}

// find returns the slot of key, nil where it is not there.
func (h *hashTable) find(key uint64) *hashSlot {
	slots := h.slots
	mask := uint(len(slots) - 1)
	for i := h.home(key); ; i++ {
		s := &slots[i&mask]
		if !s.used {
			return nil
		}
		if s.key == key {
			return s
		}
	}
}

// slot returns that of key, which it makes; nil where there is no room for it.
func (h *hashTable) slot(key uint64) *hashSlot {
	slots := h.slots
	mask := uint(len(slots) - 1)
	for i := h.home(key); ; i++ {
		s := &slots[i&mask]
		if s.used && s.key == key {
			return s
		}
		if !s.used {
			if h.n == h.cap {
				return nil
			}
			h.n++
			*s = hashSlot{key: key, used: true}
			return s
		}
	}
}

// removeAlone takes key away where nothing stands behind it that may have to move; false
// where that is not so.
func (h *hashTable) removeAlone(key uint64) bool {
	slots := h.slots
	mask := uint(len(slots) - 1)
	for i := h.home(key); ; i++ {
		s := &slots[i&mask]
		if !s.used {
			return true
		}
		if s.key != key {
			continue
		}
		if slots[(i+1)&mask].used {
			return false
		}
		h.n--
		*s = hashSlot{}
		return true
	}
}

// remove takes key away, and moves up what stood behind it for want of room.
func (h *hashTable) remove(key uint64) {
	s := h.find(key)
	if s == nil {
		return
	}
	h.n--
	mask := uint(len(h.slots) - 1)
	hole := h.home(key)
	for &h.slots[hole&mask] != s {
		hole++
	}
	hole &= mask
	for i := hole + 1; ; i++ {
		t := &h.slots[i&mask]
		if !t.used {
			break
		}
		// t may move where its home is not between the hole and it.
		if (i-h.home(t.key))&mask >= (i-hole)&mask {
			h.slots[hole] = *t
			hole = i & mask
		}
	}
	h.slots[hole] = hashSlot{}
}
