package perfev

import "encoding/binary"

// Types of records in the ring: enum perf_event_type, include/uapi/linux/perf_event.h.
const (
	recordLost        = 2
	recordComm        = 3
	recordExit        = 4
	recordFork        = 7
	recordSample      = 9
	recordMMAP2       = 10
	recordLostSamples = 13
)

// miscCommExec is PERF_RECORD_MISC_COMM_EXEC: the name came with an execve.
const miscCommExec = 1 << 13

// headerSize is that of struct perf_event_header: u32 type, u16 misc, u16 size.
const headerSize = 8

// header is struct perf_event_header, include/uapi/linux/perf_event.h.
type header struct {
	kind uint32
	misc uint16
	size uint16
}

func decodeHeader(b uint64) header {
	return header{kind: uint32(b), misc: uint16(b >> 32), size: uint16(b >> 48)}
}

// sampleHead is what stands before the raw data of our samples (sample_type TIME|RAW):
// header, u64 time, u32 size.
const sampleHead = headerSize + 8 + 4

// sampleRaw returns the raw data of a whole sample record, or nil where the sizes
// contradict each other.
func sampleRaw(rec []byte) []byte {
	if len(rec) < sampleHead {
		return nil
	}
	n := int(binary.LittleEndian.Uint32(rec[headerSize+8:]))
	if n > len(rec)-sampleHead {
		return nil
	}
	return rec[sampleHead : sampleHead+n : sampleHead+n]
}

// taskRecord is what PERF_RECORD_FORK and PERF_RECORD_EXIT say.
type taskRecord struct {
	pid, ppid, tid, ptid int32
}

// decodeTask reads { u32 pid, ppid; u32 tid, ptid; u64 time; sample_id }.
func decodeTask(rec []byte) (t taskRecord, ok bool) {
	if len(rec) < headerSize+24 {
		return t, false
	}
	b := rec[headerSize:]
	return taskRecord{
		pid:  int32(binary.LittleEndian.Uint32(b)),
		ppid: int32(binary.LittleEndian.Uint32(b[4:])),
		tid:  int32(binary.LittleEndian.Uint32(b[8:])),
		ptid: int32(binary.LittleEndian.Uint32(b[12:])),
	}, true
}

// decodeComm reads { u32 pid, tid; char comm[]; sample_id } of PERF_RECORD_COMM;
// sample_id is the time alone. name has no NUL and belongs to the ring.
func decodeComm(rec []byte) (pid, tid int32, name []byte, ok bool) {
	const trailer = 8
	if len(rec) < headerSize+8+trailer {
		return 0, 0, nil, false
	}
	b := rec[headerSize : len(rec)-trailer]
	name = b[8:]
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])), name, true
}
