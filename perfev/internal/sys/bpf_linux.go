//go:build linux

package sys

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BPFRing is a BPF ring buffer mapped for reading (kernel/bpf/ringbuf.c): a page with
// the reader's position, a page with the writers', then the data, mapped twice one
// behind the other, so that no record goes over the end.
type BPFRing struct {
	// Data is the data area, twice. Programs write to what lies outside of what was
	// committed and not given back.
	Data     []byte
	own, all []byte
	tail     *uint64
	head     *uint64
}

// MapBPFRing maps the BPF ring fd, whose data area has size bytes, a power of two of
// pages. The mapping lives until Unmap, also after fd is closed.
func MapBPFRing(fd, size int) (*BPFRing, error) {
	page := os.Getpagesize()
	if size < page || size&(size-1) != 0 {
		return nil, fmt.Errorf("map bpf ring: size %d is not a power of two of pages", size)
	}
	own, err := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	all, err := unix.Mmap(fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Munmap(own) // of a mapping that was just made
		return nil, os.NewSyscallError("mmap", err)
	}
	// Both mappings are at least a page long and page aligned, and a position is the
	// first word of its page.
	tail := (*uint64)(unsafe.Pointer(&own[0]))
	head := (*uint64)(unsafe.Pointer(&all[0]))
	return &BPFRing{Data: all[page:], own: own, all: all, tail: tail, head: head}, nil
}

// Head returns up to where records are reserved (smp_load_acquire of producer_pos).
func (r *BPFRing) Head() uint64 { return atomic.LoadUint64(r.head) }

// SetTail gives everything before t back (smp_store_release of consumer_pos).
func (r *BPFRing) SetTail(t uint64) { atomic.StoreUint64(r.tail, t) }

// Word returns the first word of the header at an offset in the first copy of Data, a
// multiple of 8. A record that it says is committed is whole: the load orders the
// reads after it, and the kernel sets the word by an exchange.
func (r *BPFRing) Word(at uint64) uint32 {
	// The index is checked, and an aligned word does not go over the end of a page.
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.Data[at&^7])))
}

// Unmap gives the mappings back. Data must not be read afterwards.
func (r *BPFRing) Unmap() error {
	if r.all == nil {
		return nil
	}
	own, all := r.own, r.all
	r.own, r.all, r.Data = nil, nil, nil
	err := os.NewSyscallError("munmap", unix.Munmap(all))
	if e := os.NewSyscallError("munmap", unix.Munmap(own)); err == nil {
		err = e
	}
	return err
}

// Words is memory that programs share with their reader: the value of an array map
// that was made with BPF_F_MMAPABLE.
type Words struct {
	mem []byte
}

// MapWords maps size bytes of the map fd.
func MapWords(fd, size int) (*Words, error) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(fd, 0, (size+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Words{mem: mem}, nil
}

// Load returns the u64 at an offset that is a multiple of 8.
func (w *Words) Load(at int) uint64 {
	// The index is checked, and the mapping is page aligned.
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&w.mem[at&^7])))
}

// Store sets the u32 at an offset that is a multiple of 4. What the caller reads
// afterwards is read after programs can see it.
func (w *Words) Store(at int, v uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&w.mem[at&^3])), v)
}

// Unmap gives the mapping back.
func (w *Words) Unmap() error {
	if w.mem == nil {
		return nil
	}
	mem := w.mem
	w.mem = nil
	return os.NewSyscallError("munmap", unix.Munmap(mem))
}

// SetBPF attaches the program to the event fd (PERF_EVENT_IOC_SET_BPF): it runs at
// every hit of the event, whoever opened it, until fd is closed.
func SetBPF(fd, program int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_SET_BPF", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, program))
}
