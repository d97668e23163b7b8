package perfdata

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Bits of the header's feature bitmap (enum HEADER_*, tools/perf/util/header.h).
const (
	featTracingData = 1
	featHostname    = 3
	featOSRelease   = 4
	featVersion     = 5
	featArch        = 6
	featNRCPUs      = 7
	featCmdline     = 11
	featSampleTime  = 21
	featDirFormat   = 24
	featCompressed  = 27
	featClockData   = 29
	featBits        = 256
)

const (
	magic        = "PERFILE2"
	magicSwapped = "2ELIFREP"
	magicOld     = "PERFFILE"
	headerSize   = 104
	pipeSize     = 16
	attrMin      = 64 // PERF_ATTR_SIZE_VER0
	sectionSize  = 16
	// Bounds on what is read at once: hundreds of CPUs times thousands of events
	// stay well below.
	maxSection = 256 << 20
	maxAttrs   = 1 << 16
)

// section is struct perf_file_section: a stretch of the file.
type section struct{ offset, size uint64 }

// fileHeader is struct perf_file_header.
type fileHeader struct {
	attrSize    uint64
	attrs, data section
	features    [featBits / 8]byte
}

func (h *fileHeader) has(feat int) bool { return h.features[feat/8]>>(feat%8)&1 != 0 }

// Info is what a recording says of itself. Fields that it does not say are zero.
type Info struct {
	// Hostname, OSRelease and Arch are of the machine that recorded; PerfVersion
	// is of its perf.
	Hostname, OSRelease, Arch, PerfVersion string
	// Cmdline is perf record's command line.
	Cmdline []string
	// CPUsOnline and CPUs are the processors that were online, and all there were.
	CPUsOnline, CPUs int
	// ClockID is the clock of the records' times (clock_gettime(2)), -1 for perf's
	// own: times are then no CLOCK_MONOTONIC, though close to it.
	ClockID int
	// ClockTime and RealTime are one moment on that clock and on CLOCK_REALTIME, in
	// nanoseconds; both 0 where the file bears no such pair (perf before 5.8).
	ClockTime, RealTime int64
	// LastTime is when the last sample was made, on that clock; perf writes it after it
	// looked through the file for build ids.
	LastTime int64
	// Foreign is the number of events in the file that are no tracepoints; their
	// samples are left out.
	Foreign int
}

// reader reads stretches of the file that lie within it.
type fileReader struct {
	r    io.ReaderAt
	size uint64
}

func (f fileReader) section(what string, s section) ([]byte, error) {
	if s.offset > f.size || s.size > f.size-s.offset {
		return nil, fmt.Errorf("read %s: bytes %d to %d of a file of %d: the file is cut off or damaged", what, s.offset, s.offset+s.size, f.size)
	}
	if s.size > maxSection {
		return nil, fmt.Errorf("read %s: %d bytes, more than %d: the file is damaged", what, s.size, maxSection)
	}
	b := make([]byte, s.size)
	if _, err := f.r.ReadAt(b, int64(s.offset)); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return b, nil
}

func parseSection(b []byte) section {
	return section{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// readHeader reads the header and refuses what this package does not read.
func readHeader(f fileReader) (*fileHeader, error) {
	if f.size < pipeSize {
		return nil, fmt.Errorf("read header: %d bytes are no perf.data", f.size)
	}
	b, err := f.section("header", section{0, min(f.size, headerSize)})
	if err != nil {
		return nil, err
	}
	switch string(b[:8]) {
	case magic:
	case magicSwapped:
		return nil, fmt.Errorf("read header: recorded on a big-endian machine; convert it on a machine of that kind")
	case magicOld:
		return nil, fmt.Errorf("read header: the format of perf before 2.6.36; record again with a newer perf")
	default:
		return nil, fmt.Errorf("read header: it begins with %q, not %q: no perf.data", b[:8], magic)
	}
	size := binary.LittleEndian.Uint64(b[8:])
	if size == pipeSize {
		return nil, fmt.Errorf("read header: written to a pipe (perf record -o -), without what a file has at its end; record again with perf record -o FILE")
	}
	if size < headerSize || len(b) < headerSize {
		return nil, fmt.Errorf("read header: %d bytes of %d, want %d: the file is cut off or damaged", len(b), size, headerSize)
	}
	h := &fileHeader{attrSize: binary.LittleEndian.Uint64(b[16:]), attrs: parseSection(b[24:]), data: parseSection(b[40:])}
	copy(h.features[:], b[72:])
	if h.has(featDirFormat) {
		return nil, fmt.Errorf("read header: part of a folder of files (perf record --threads); record again without --threads")
	}
	if h.data.size == 0 {
		return nil, fmt.Errorf("read header: the length of the data is 0: perf was killed before it finished the file; record again and end perf with SIGINT")
	}
	if h.data.offset > f.size || h.data.size > f.size-h.data.offset {
		return nil, fmt.Errorf("read header: data to byte %d of a file of %d: the file is cut off", h.data.offset+h.data.size, f.size)
	}
	return h, nil
}

// attr is what matters here of struct perf_event_attr.
type attr struct {
	config, sampleType, readFormat uint64
	typ                            uint32
	clockID                        int32
	sampleIDAll, useClockID        bool
	ids                            []uint64
}

const (
	typeTracepoint  = 2
	flagSampleIDAll = 1 << 18
	flagUseClockID  = 1 << 25
)

// readAttrs reads the attr section: an attr and the place of its ids, each.
func readAttrs(f fileReader, h *fileHeader) ([]attr, error) {
	if h.attrSize < attrMin+sectionSize || h.attrSize > 4096 {
		return nil, fmt.Errorf("read attrs: size of one is %d, want %d to 4096: the file is damaged", h.attrSize, attrMin+sectionSize)
	}
	b, err := f.section("attrs", h.attrs)
	if err != nil {
		return nil, err
	}
	n := uint64(len(b)) / h.attrSize
	if n == 0 || n > maxAttrs || uint64(len(b))%h.attrSize != 0 {
		return nil, fmt.Errorf("read attrs: %d bytes are no 1 to %d attrs of %d: the file is damaged", len(b), maxAttrs, h.attrSize)
	}
	list := make([]attr, 0, n)
	total := uint64(0)
	for ; len(b) > 0; b = b[h.attrSize:] {
		one := b[:h.attrSize]
		a := parseAttr(one[:h.attrSize-sectionSize])
		ids := parseSection(one[h.attrSize-sectionSize:])
		// A damaged file could name one stretch for every attr.
		if total += ids.size; total > maxSection {
			return nil, fmt.Errorf("read ids: more than %d bytes of them: the file is damaged", maxSection)
		}
		raw, err := f.section("ids", ids)
		if err != nil {
			return nil, err
		}
		for ; len(raw) >= 8; raw = raw[8:] {
			a.ids = append(a.ids, binary.LittleEndian.Uint64(raw))
		}
		list = append(list, a)
	}
	return list, nil
}

// parseAttr reads b, at least attrMin bytes.
func parseAttr(b []byte) attr {
	flags := binary.LittleEndian.Uint64(b[40:])
	a := attr{
		typ:         binary.LittleEndian.Uint32(b),
		config:      binary.LittleEndian.Uint64(b[8:]),
		sampleType:  binary.LittleEndian.Uint64(b[24:]),
		readFormat:  binary.LittleEndian.Uint64(b[32:]),
		sampleIDAll: flags&flagSampleIDAll != 0,
		useClockID:  flags&flagUseClockID != 0,
	}
	const clockIDAt = 92
	if len(b) >= clockIDAt+4 {
		a.clockID = int32(binary.LittleEndian.Uint32(b[clockIDAt:]))
	}
	return a
}

// readFeatures reads the sections behind the data: the event formats, and what
// the recording says of itself.
func readFeatures(f fileReader, h *fileHeader) (info Info, tracing []byte, err error) {
	n := uint64(0)
	for bit := range featBits {
		if h.has(bit) {
			n++
		}
	}
	table, err := f.section("feature table", section{h.data.offset + h.data.size, n * sectionSize})
	if err != nil {
		return info, nil, err
	}
	for bit := range featBits {
		if !h.has(bit) {
			continue
		}
		s := parseSection(table)
		table = table[sectionSize:]
		switch bit {
		case featTracingData, featHostname, featOSRelease, featVersion, featArch, featNRCPUs, featCmdline, featSampleTime, featClockData:
		default:
			continue
		}
		b, err := f.section(fmt.Sprintf("feature %d", bit), s)
		if err != nil {
			return info, nil, err
		}
		if bit == featTracingData {
			tracing = b
			continue
		}
		info.feature(bit, b)
	}
	return info, tracing, nil
}

// feature takes one section. What is too short for its kind is left out: nothing
// of it is needed to read records.
func (i *Info) feature(bit int, b []byte) {
	switch bit {
	case featHostname:
		i.Hostname, _ = headerString(&b)
	case featOSRelease:
		i.OSRelease, _ = headerString(&b)
	case featVersion:
		i.PerfVersion, _ = headerString(&b)
	case featArch:
		i.Arch, _ = headerString(&b)
	case featNRCPUs:
		if len(b) >= 8 {
			i.CPUs = int(binary.LittleEndian.Uint32(b))
			i.CPUsOnline = int(binary.LittleEndian.Uint32(b[4:]))
		}
	case featCmdline:
		if len(b) < 4 {
			return
		}
		n := binary.LittleEndian.Uint32(b)
		b = b[4:]
		for ; n > 0; n-- {
			s, ok := headerString(&b)
			if !ok {
				return
			}
			i.Cmdline = append(i.Cmdline, s)
		}
	case featSampleTime:
		// u64 first, u64 last.
		if len(b) >= 16 {
			first, last := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
			if first <= last && last <= math.MaxInt64 {
				i.LastTime = int64(last)
			}
		}
	case featClockData:
		// u32 version, u32 clockid, u64 wall clock, u64 clock.
		if len(b) >= 24 && binary.LittleEndian.Uint32(b) == 1 {
			i.RealTime = int64(binary.LittleEndian.Uint64(b[8:]))
			i.ClockTime = int64(binary.LittleEndian.Uint64(b[16:]))
		}
	}
}

// headerString takes a struct perf_header_string off b: a padded length, then
// text that ends at a NUL.
func headerString(b *[]byte) (string, bool) {
	if len(*b) < 4 {
		return "", false
	}
	n := binary.LittleEndian.Uint32(*b)
	rest := (*b)[4:]
	if uint64(n) > uint64(len(rest)) {
		return "", false
	}
	*b = rest[n:]
	return cstring(rest[:n]), true
}

// cstring is b up to its first NUL.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
