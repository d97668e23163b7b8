package perfdata

import "encoding/binary"

// Bits of perf_event_attr.sample_type that stand before the raw data, or are in
// the trailer of other records (enum perf_event_sample_format).
const (
	sampleIP         = 1 << 0
	sampleTID        = 1 << 1
	sampleTime       = 1 << 2
	sampleAddr       = 1 << 3
	sampleRead       = 1 << 4
	sampleCallchain  = 1 << 5
	sampleID         = 1 << 6
	sampleCPU        = 1 << 7
	samplePeriod     = 1 << 8
	sampleStreamID   = 1 << 9
	sampleRaw        = 1 << 10
	sampleIdentifier = 1 << 16
)

// Bits of perf_event_attr.read_format.
const (
	readEnabled = 1 << 0
	readRunning = 1 << 1
	readID      = 1 << 2
	readGroup   = 1 << 3
	readLost    = 1 << 4
)

// sample is what is taken from a PERF_RECORD_SAMPLE.
type sample struct {
	raw []byte
	// rawAt is where it stands in the body.
	rawAt    int
	time     uint64
	pid, tid int32
	cpu      uint32
}

// cut takes the next 8 bytes off b.
func cut(b *[]byte) (uint64, bool) {
	if len(*b) < 8 {
		return 0, false
	}
	v := binary.LittleEndian.Uint64(*b)
	*b = (*b)[8:]
	return v, true
}

// skip takes n words of 8 bytes off b.
func skip(b *[]byte, n uint64) bool {
	if n > uint64(len(*b))/8 {
		return false
	}
	*b = (*b)[8*n:]
	return true
}

// parseSample reads the body of a sample (behind its header) up to its raw data.
// ok is false where a part does not lie within it.
func (a *attr) parseSample(b []byte) (s sample, ok bool) {
	t, whole := a.sampleType, len(b)
	s.pid, s.tid = -1, -1
	if t&sampleIdentifier != 0 && !skip(&b, 1) || t&sampleIP != 0 && !skip(&b, 1) {
		return s, false
	}
	var v uint64
	if t&sampleTID != 0 {
		if v, ok = cut(&b); !ok {
			return s, false
		}
		s.pid, s.tid = int32(uint32(v)), int32(v>>32)
	}
	if t&sampleTime != 0 {
		if s.time, ok = cut(&b); !ok {
			return s, false
		}
	}
	for _, bit := range [...]uint64{sampleAddr, sampleID, sampleStreamID} {
		if t&bit != 0 && !skip(&b, 1) {
			return s, false
		}
	}
	if t&sampleCPU != 0 {
		if v, ok = cut(&b); !ok {
			return s, false
		}
		s.cpu = uint32(v)
	}
	if t&samplePeriod != 0 && !skip(&b, 1) || t&sampleRead != 0 && !a.skipRead(&b) {
		return s, false
	}
	if t&sampleCallchain != 0 {
		n, ok := cut(&b)
		if !ok || !skip(&b, n) {
			return s, false
		}
	}
	if t&sampleRaw != 0 {
		if len(b) < 4 {
			return s, false
		}
		n := binary.LittleEndian.Uint32(b)
		if b = b[4:]; uint64(n) > uint64(len(b)) {
			return s, false
		}
		s.raw, s.rawAt = b[:n:n], whole-len(b)
	}
	return s, true
}

// skipRead takes struct read_format off b.
func (a *attr) skipRead(b *[]byte) bool {
	f := a.readFormat
	each := uint64(1)
	if f&readID != 0 {
		each++
	}
	if f&readLost != 0 {
		each++
	}
	times := uint64(0)
	if f&readEnabled != 0 {
		times++
	}
	if f&readRunning != 0 {
		times++
	}
	if f&readGroup == 0 {
		return skip(b, each+times)
	}
	n, ok := cut(b)
	if !ok || !skip(b, times) || n > uint64(len(*b))/8 {
		return false
	}
	return skip(b, n*each)
}

// idAt returns where in a sample's body the id of the event stands, in words; ok
// is false where it bears none.
func (a *attr) idAt() (word int, ok bool) {
	t := a.sampleType
	if t&sampleIdentifier != 0 {
		return 0, true
	}
	for _, bit := range [...]uint64{sampleIP, sampleTID, sampleTime, sampleAddr} {
		if t&bit != 0 {
			word++
		}
	}
	return word, t&sampleID != 0
}

// trailer is the end that every record but samples bears with sample_id_all
// (struct sample_id).
type trailer struct {
	time, id uint64
	cpu      int32
	hasID    bool
}

// parseTrailer reads the trailer of the record's body b. It is read from the end,
// as what precedes it differs from record to record.
func (a *attr) parseTrailer(b []byte) (tr trailer, ok bool) {
	tr.cpu = -1
	if !a.sampleIDAll {
		return tr, true
	}
	t := a.sampleType
	take := func() uint64 {
		if len(b) < 8 {
			ok = false
			return 0
		}
		v := binary.LittleEndian.Uint64(b[len(b)-8:])
		b = b[:len(b)-8]
		return v
	}
	ok = true
	if t&sampleIdentifier != 0 {
		tr.id, tr.hasID = take(), true
	}
	if t&sampleCPU != 0 {
		tr.cpu = int32(uint32(take()))
	}
	if t&sampleStreamID != 0 {
		take()
	}
	if t&sampleID != 0 {
		tr.id, tr.hasID = take(), true
	}
	if t&sampleTime != 0 {
		tr.time = take()
	}
	if t&sampleTID != 0 {
		take()
	}
	return tr, ok
}
