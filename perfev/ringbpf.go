package perfev

import "encoding/binary"

// recordProgram is the kind of what programs write: no number of the kernel's.
const recordProgram = 1 << 31

// Bits in the first word of a record's header, beside its length: BPF_RINGBUF_BUSY_BIT
// and BPF_RINGBUF_DISCARD_BIT, include/uapi/linux/bpf.h. The header has 8 bytes, of
// which the kernel uses the others.
const (
	busyBit    = 1 << 31
	discardBit = 1 << 30
	// bpfHeader is BPF_RINGBUF_HDR_SZ.
	bpfHeader = 8
)

// findCommitted is find for a BPF ring up to position stop. Its records follow each
// other, aligned to 8 bytes:
//
//	u32 len, with busyBit and discardBit; u32; u64 time; char raw[];
//
// A record that is reserved and not committed ends the round: what is behind it is
// not given back either way. Where pass is set, it counts as given up.
func (r *ring) findCommitted(stop uint64) (more bool) {
	mask := r.mem.size() - 1
	r.busy = false
	for r.next < stop {
		at := r.next & mask
		w := r.mem.word(at)
		if w&busyBit != 0 && !r.pass {
			r.busy = true
			return false
		}
		n := uint64(w &^ (busyBit | discardBit))
		size := (n + bpfHeader + 7) &^ 7
		if r.next+size > r.end || w&(busyBit|discardBit) == 0 && n < 8 {
			r.corrupt++
			r.next = r.end
			break
		}
		if w&(busyBit|discardBit) == 0 {
			r.insert(int64(binary.LittleEndian.Uint64(r.mem.data[at+bpfHeader:])))
		}
		r.next += size
	}
	return r.next < r.end
}

// committed returns the record at offset at: the time and what follows it.
func (r *ring) committed(at uint64) (h header, rec []byte) {
	n := uint64(r.mem.word(at) &^ (busyBit | discardBit))
	from := at + bpfHeader
	return header{kind: recordProgram}, r.mem.data[from : from+n : from+n]
}
