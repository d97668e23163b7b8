package perfdata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/tasks"
)

// Types of records (enum perf_event_type; from 64 on those of perf itself,
// enum perf_user_event_type in tools/lib/perf/include/perf/event.h).
const (
	recordLost          = 2
	recordComm          = 3
	recordExit          = 4
	recordFork          = 7
	recordSample        = 9
	recordLostSamples   = 13
	recordFinishedRound = 68
	recordAuxtrace      = 71
	recordCompressed    = 81
	recordCompressed2   = 83

	// recordBad stands for a record of the file that cannot be read; its attr is that
	// of its event, or noEvent.
	recordBad = 0
	noEvent   = -1

	recordHeader = 8 // struct perf_event_header: u32 type, u16 misc, u16 size

	miscCommExec = 1 << 13
	// miscLostBPF marks samples that a BPF filter dropped on purpose.
	miscLostBPF = 1 << 15
)

var errCompressed = errors.New("read recording: it is compressed; record again without -z")

// Reader is a recording as a source. It is used by one goroutine at a time; Stop
// may be called from another, and what [Reader.Ahead] returns runs on one of its own.
type Reader struct {
	file    io.Closer
	info    Info
	attrs   []attr
	byID    map[uint64]int32
	idWord  int
	hasID   bool
	schemas []*perfpipe.Schema
	// events is the index into schemas of each attr, -1 for foreign ones.
	events []int32
	// pidAt is where common_pid stands in each schema's data, -1 where it does not.
	pidAt []int

	from  io.ReaderAt
	start uint64 // start and end of the data section
	end   uint64

	// What makes rounds of the file, ahead of Read or within it.
	in    io.Reader
	pos   uint64 // of the next record in the file
	queue queue
	// lastAttr is that of lastID, the id of the sample before, where it is known.
	known    bool
	lastID   uint64
	lastAttr int32
	// failed ends the reading of the file: io.EOF at its end.
	failed  error
	stopped atomic.Bool

	// What hands them out.
	cur   *round
	ahead *ahead
	tasks *tasks.Table
	visit perfpipe.Visitor
	rec   perfpipe.Record
	// lost is what PERF_RECORD_LOST told, exact what perf added up from
	// PERF_FORMAT_LOST: the same losses, counted twice.
	lost, exact uint64
	// over ends Read, with ended.
	over  bool
	ended error
}

var _ perfpipe.Source = (*Reader)(nil)

// Open opens the recording at path. Errors name the file, and where it is of a
// kind that is not read, what to do.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = errors.New("a folder (perf record --threads); record again without --threads")
	}
	var r *Reader
	if err == nil {
		r, err = New(f, fi.Size())
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	r.file = f
	return r, nil
}

// New reads a recording of size bytes from f, which must hold until Close and is
// not closed.
func New(f io.ReaderAt, size int64) (*Reader, error) {
	file := fileReader{f, uint64(max(size, 0))}
	h, err := readHeader(file)
	if err != nil {
		return nil, err
	}
	r := &Reader{from: f, pos: h.data.offset, start: h.data.offset, end: h.data.offset + h.data.size}
	if r.attrs, err = readAttrs(file, h); err != nil {
		return nil, err
	}
	var tracing []byte
	if r.info, tracing, err = readFeatures(file, h); err != nil {
		return nil, err
	}
	if err := r.addEvents(tracing); err != nil {
		return nil, err
	}
	if h.has(featCompressed) && r.compressed() {
		return nil, errCompressed
	}
	r.in = io.NewSectionReader(f, int64(h.data.offset), int64(h.data.size))
	r.queue.start()
	r.queue.limit = defaultBuffer
	r.tasks = tasks.New(tasks.Options{Done: func(t perfpipe.Task) { r.visit.Task(t) }})
	return r, nil
}

// addEvents finds the schema of every tracepoint, and how records tell their event.
func (r *Reader) addEvents(tracing []byte) error {
	var formats map[int]rawFormat
	if tracing != nil {
		var err error
		if formats, err = parseTracing(tracing); err != nil {
			return err
		}
	}
	r.byID = map[uint64]int32{}
	r.info.ClockID = -1
	known := map[uint64]int32{}
	for i := range r.attrs {
		a := &r.attrs[i]
		for _, id := range a.ids {
			r.byID[id] = int32(i)
		}
		if a.typ != typeTracepoint {
			r.events = append(r.events, -1)
			if a.sampleType&sampleRaw != 0 || a.typ != typeSoftware || a.config != configDummy {
				r.info.Foreign++
			}
			continue
		}
		if a.useClockID {
			r.info.ClockID = int(a.clockID)
		}
		if n, ok := known[a.config]; ok {
			r.events = append(r.events, n)
			continue
		}
		s, err := r.schema(a, formats)
		if err != nil {
			return err
		}
		n := int32(len(r.schemas))
		known[a.config] = n
		r.schemas, r.events = append(r.schemas, s), append(r.events, n)
		pid := -1
		if f := s.Field("common_pid"); f != nil && f.Size == 4 {
			pid = f.Offset
		}
		r.pidAt = append(r.pidAt, pid)
	}
	if len(r.schemas) == 0 {
		return errors.New("no tracepoint is recorded in it, and perfpipe reads tracepoints only: perf record -e SYSTEM:NAME")
	}
	return r.checkIDs()
}

const (
	typeSoftware = 1
	configDummy  = 9
)

func (r *Reader) schema(a *attr, formats map[int]rawFormat) (*perfpipe.Schema, error) {
	const retry = "record again with perf record -R -T --sample-cpu"
	if a.config > math.MaxInt32 {
		return nil, fmt.Errorf("event id %d: no such number: the file is damaged", a.config)
	}
	raw, ok := formats[int(a.config)]
	if !ok {
		return nil, fmt.Errorf("event id %d: the file has no format for it: perf could not read tracefs, or the file is damaged; record again as root", a.config)
	}
	s, err := raw.parse()
	if err != nil {
		return nil, err
	}
	for _, need := range []struct {
		bit  uint64
		what string
	}{{sampleRaw, "the event's data"}, {sampleTime, "the time"}, {sampleCPU, "the processor"}} {
		if a.sampleType&need.bit == 0 {
			return nil, fmt.Errorf("event %s: its samples bear not %s; %s", s.Event(), need.what, retry)
		}
	}
	return s, nil
}

// checkIDs finds where a sample says of which event it is. perf sees to it that
// this is the same for all events of a file.
func (r *Reader) checkIDs() error {
	if len(r.attrs) == 1 {
		return nil
	}
	for i := range r.attrs {
		word, ok := r.attrs[i].idAt()
		if !ok {
			return errors.New("several events, and their samples do not say of which they are; record again with a newer perf")
		}
		if i > 0 && word != r.idWord {
			return errors.New("samples of different events bear their ids in different places; record again with a newer perf")
		}
		r.idWord = word
	}
	r.hasID = true
	return nil
}

// Info returns what the recording says of itself.
func (r *Reader) Info() Info { return r.info }

// Late returns how many records were handed out after newer ones, so far: a file
// without perf's rounds is larger than what may wait.
func (r *Reader) Late() uint64 { return r.queue.late }

// Schemas returns the tracepoints of the recording, in its order.
func (r *Reader) Schemas() []*perfpipe.Schema { return r.schemas }

// Stop leaves the rest of the file unread.
func (r *Reader) Stop() error {
	r.stopped.Store(true)
	return nil
}

// Close closes the file, where Open opened it.
func (r *Reader) Close() error {
	f := r.file
	r.file = nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// Read hands out the next round. It never waits longer than the file takes. After a
// record whose length cannot be true nothing behind it can be found: everything before
// is handed out, then a loss of one (at least), then the error.
func (r *Reader) Read(_ time.Duration, v perfpipe.Visitor) error {
	if r.over {
		return r.ended
	}
	r.visit = v
	defer func() { r.visit = nil }()
	rd := r.next()
	for i := range rd.items {
		r.emit(&rd.items[i], rd.body(&rd.items[i]))
	}
	if r.ended = rd.end; r.ended == nil {
		return nil
	}
	r.over = true
	if r.exact > r.lost {
		v.Lost(perfpipe.Loss{Event: r.only(), CPU: -1, Count: r.exact - r.lost, Reason: perfpipe.LostRing})
	}
	if !errors.Is(r.ended, io.EOF) && !errors.Is(r.ended, errCompressed) {
		v.Lost(perfpipe.Loss{CPU: -1, Count: 1, Reason: perfpipe.LostCorrupt})
	}
	r.tasks.Close()
	return r.ended
}

// only is the name of the one event of the file, "" where there are several.
func (r *Reader) only() string {
	if len(r.schemas) == 1 {
		return r.schemas[0].Event()
	}
	return ""
}

// one reads one record and lets it wait for its turn.
// It reports whether the record ends a round.
func (r *Reader) one() (round bool) {
	if r.pos == r.end {
		r.failed = io.EOF
		return false
	}
	head, ok := r.queue.peek(r.in, recordHeader)
	if !ok {
		r.failed = r.broken("its header is cut off")
		return false
	}
	kind, misc, size := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint16(head[4:]), int(binary.LittleEndian.Uint16(head[6:]))
	if size < recordHeader {
		r.failed = r.broken(fmt.Sprintf("its size is %d, less than its header", size))
		return false
	}
	rec, ok := r.queue.peek(r.in, size)
	if !ok {
		r.failed = r.broken(fmt.Sprintf("its size is %d, %d bytes are left", size, r.end-r.pos))
		return false
	}
	body := rec[recordHeader:]
	more := uint64(0)
	switch kind {
	case recordCompressed, recordCompressed2:
		r.failed = errCompressed
		return false
	case recordAuxtrace:
		// The trace data follows the record, its length is the first field.
		if len(body) >= 8 {
			more = binary.LittleEndian.Uint64(body)
			if more > r.end-r.pos-uint64(size) {
				r.failed = r.broken(fmt.Sprintf("%d bytes of hardware trace follow it", more))
				return false
			}
		}
	case recordSample:
		r.takeSample(body)
	case recordLost, recordComm, recordExit, recordFork, recordLostSamples:
		r.take(item{kind: uint16(kind), misc: misc}, body)
	}
	r.queue.pos += size
	r.pos += uint64(size)
	if more > 0 {
		r.pos += more
		if !r.queue.skip(r.in, int64(more)) {
			r.failed = r.broken("its hardware trace is cut off")
		}
	}
	return kind == recordFinishedRound
}

func (r *Reader) broken(why string) error {
	return fmt.Errorf("read recording: record at byte %d: %s: the file is damaged", r.pos, why)
}

// takeSample finds the event and the time of a sample and lets it wait.
func (r *Reader) takeSample(body []byte) {
	attr, ok := r.sampleAttr(body)
	if !ok {
		r.bad(noEvent)
		return
	}
	if r.events[attr] < 0 {
		return
	}
	s, ok := r.attrs[attr].parseSample(body)
	if !ok || s.time > math.MaxInt64 || s.cpu > math.MaxUint16 {
		r.bad(attr)
		return
	}
	it := item{kind: recordSample, time: s.time, attr: attr, pid: s.pid, tid: s.tid, cpu: uint16(s.cpu)}
	r.queue.push(it, recordHeader+s.rawAt, len(s.raw))
}

// take finds the time of another record and lets it wait.
func (r *Reader) take(it item, body []byte) {
	// perf gives the same sample_type bits for the trailer to every event.
	tr, ok := r.attrs[0].parseTrailer(body)
	if !ok || tr.time > math.MaxInt64 && tr.time != math.MaxUint64 {
		r.bad(noEvent)
		return
	}
	if it.time = tr.time; it.time == math.MaxUint64 {
		it.time = 0
	}
	if it.time == 0 {
		r.queue.at(it, recordHeader, len(body))
		return
	}
	r.queue.push(it, recordHeader, len(body))
}

// bad has a record of attr counted that cannot be read.
func (r *Reader) bad(attr int32) { r.queue.at(item{kind: recordBad, attr: attr}, 0, 0) }

// sampleAttr returns the attr of a sample.
func (r *Reader) sampleAttr(body []byte) (int32, bool) {
	if !r.hasID {
		return 0, true
	}
	if len(body) < 8*(r.idWord+1) {
		return 0, false
	}
	id := binary.LittleEndian.Uint64(body[8*r.idWord:])
	if r.known && id == r.lastID {
		return r.lastAttr, true
	}
	n, ok := r.byID[id]
	r.known, r.lastID, r.lastAttr = ok, id, n
	return n, ok
}

func (r *Reader) corrupt(event string) {
	r.visit.Lost(perfpipe.Loss{Event: event, CPU: -1, Count: 1, Reason: perfpipe.LostCorrupt})
}

// emit hands out one record, or lets it change what is known of tasks.
// b is its body, or a sample's raw data.
func (r *Reader) emit(it *item, b []byte) {
	now := int64(it.time)
	switch it.kind {
	case recordSample:
		r.emitSample(it, b)
	case recordComm:
		// struct { u32 pid, tid; char comm[]; }
		if len(b) < 8 {
			r.corrupt("")
			return
		}
		pid, tid, name := int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])), b[8:]
		if it.misc&miscCommExec != 0 {
			r.tasks.Exec(now, pid, tid, name)
		} else {
			r.tasks.Comm(now, pid, tid, name)
		}
	case recordFork, recordExit:
		// struct { u32 pid, ppid; u32 tid, ptid; u64 time; }
		if len(b) < 24 {
			r.corrupt("")
			return
		}
		pid, ppid := int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:]))
		tid, ptid := int32(binary.LittleEndian.Uint32(b[8:])), int32(binary.LittleEndian.Uint32(b[12:]))
		if it.kind == recordFork {
			r.tasks.Fork(now, pid, ppid, tid, ptid)
		} else {
			r.tasks.Exit(now, pid, tid)
		}
	case recordLost, recordLostSamples:
		r.emitLost(it, b)
	case recordBad:
		name := ""
		if it.attr != noEvent {
			name = r.schemas[r.events[it.attr]].Event()
		}
		r.corrupt(name)
	}
}

func (r *Reader) emitSample(it *item, raw []byte) {
	event := r.events[it.attr]
	schema := r.schemas[event]
	if len(raw) < schema.Size {
		r.visit.Lost(perfpipe.Loss{Event: schema.Event(), CPU: int32(it.cpu), From: int64(it.time), To: int64(it.time), Count: 1, Reason: perfpipe.LostCorrupt})
		return
	}
	// A task that is past its exit has no number any more for perf: -1.
	tid := it.tid
	if at := r.pidAt[event]; tid < 0 && at >= 0 {
		tid = int32(binary.LittleEndian.Uint32(raw[at:]))
	}
	pid, comm := r.tasks.Lookup(tid, it.cpu)
	if it.pid >= 0 {
		pid = it.pid
	}
	r.rec = perfpipe.Record{Time: int64(it.time), Raw: raw, Comm: comm, Event: int(event), PID: pid, TID: tid, CPU: it.cpu}
	r.visit.Record(&r.rec)
}

// emitLost reports the losses that a record tells of. perf record adds up
// PERF_FORMAT_LOST of each event at the end of the file, in LOST_SAMPLES without a
// time: those count what PERF_RECORD_LOST has told already.
func (r *Reader) emitLost(it *item, b []byte) {
	at := 0
	if it.kind == recordLost {
		// struct { u64 id; u64 lost; }
		at = 8
	}
	if len(b) < at+8 {
		r.corrupt("")
		return
	}
	n := binary.LittleEndian.Uint64(b[at:])
	if n == 0 || it.misc&miscLostBPF != 0 {
		return
	}
	tr, _ := r.attrs[0].parseTrailer(b)
	l := perfpipe.Loss{Event: r.only(), CPU: tr.cpu, From: int64(it.time), To: int64(it.time), Count: n, Reason: perfpipe.LostRing}
	if it.kind == recordLostSamples {
		if it.time == 0 {
			r.exact += n
			return
		}
		l.Reason = perfpipe.LostSamples
	} else {
		r.lost += n
	}
	r.visit.Lost(l)
}
