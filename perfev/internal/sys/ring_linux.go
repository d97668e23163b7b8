//go:build linux

package sys

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a perf ring mapped for reading: one page of struct
// perf_event_mmap_page (include/uapi/linux/perf_event.h), then a power of two of
// data pages. The kernel writes at the head, the reader says with the tail how
// far it has read; both only grow, their place in Data is their value modulo len(Data).
type Ring struct {
	// Data is the mapped data area. The kernel writes to what lies outside tail..head.
	Data []byte
	mem  []byte
	head *uint64
	tail *uint64
}

// MapRing maps the ring of the perf event fd with a data area of size bytes, a
// power of two of pages. The mapping lives until Unmap, also after fd is closed.
func MapRing(fd, size int) (*Ring, error) {
	return mapRing(fd, size, unix.PROT_READ|unix.PROT_WRITE)
}

// MapFlight maps the ring of an event with write_backward for reading alone, by which
// the kernel knows that it may overwrite what was not read (rb->overwrite). SetTail
// must not be called on it.
func MapFlight(fd, size int) (*Ring, error) {
	return mapRing(fd, size, unix.PROT_READ)
}

func mapRing(fd, size, prot int) (*Ring, error) {
	page := os.Getpagesize()
	if size < page || size&(size-1) != 0 {
		return nil, fmt.Errorf("map perf ring: size %d is not a power of two of pages", size)
	}
	mem, err := unix.Mmap(fd, 0, page+size, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// The kernel fills the first page of a mapping that succeeded, and mem is at
	// least one page long and page aligned, so the header lies within it, aligned.
	meta := (*unix.PerfEventMmapPage)(unsafe.Pointer(&mem[0]))
	return &Ring{Data: mem[page:], mem: mem, head: &meta.Data_head, tail: &meta.Data_tail}, nil
}

// Head returns where the kernel will write next. Everything before it is whole:
// the load orders the reads of Data after it (smp_load_acquire of data_head).
func (r *Ring) Head() uint64 { return atomic.LoadUint64(r.head) }

// Tail returns what SetTail last set.
func (r *Ring) Tail() uint64 { return atomic.LoadUint64(r.tail) }

// SetTail gives everything before t back to the kernel (smp_store_release of data_tail).
func (r *Ring) SetTail(t uint64) { atomic.StoreUint64(r.tail, t) }

// Unmap gives the mapping back. Data must not be read afterwards.
func (r *Ring) Unmap() error {
	if r.mem == nil {
		return nil
	}
	mem := r.mem
	r.mem, r.Data = nil, nil
	return os.NewSyscallError("munmap", unix.Munmap(mem))
}
