package lifecycle

import (
	"fmt"

	"github.com/perfpipe/perfpipe"
)

// outcome is what became of a record.
type outcome uint8

const (
	// asRow: the row is built.
	asRow outcome = iota
	// asFact: it tells something that a later row needs, and is none itself.
	asFact
	// asCorrupt: its sizes contradict its format.
	asCorrupt
)

// decoder turns the records of one event into rows. fields are those that it asked for.
type decoder struct {
	fields [7]*perfpipe.Field
	decode func(b *builder, d *decoder, r *perfpipe.Record) outcome
	event  string
	// optional is how many of the last fields a kernel may lack.
	optional int
	names    []string
}

func decoders() []decoder {
	return []decoder{
		{event: evNewTask, names: []string{"pid", "clone_flags"}, decode: newTask},
		{event: evFork, names: []string{"child_pid"}, decode: forked},
		{event: evExec, names: []string{"filename", "pid", "old_pid"}, decode: execed},
		{event: evExecve, names: []string{"ret"}, decode: execReturned},
		{event: evExecveat, names: []string{"ret"}, decode: execReturned},
		{event: evExitGroup, names: []string{"error_code"}, decode: exitGroup},
		{event: evExitOne, names: []string{"error_code"}, decode: exitOne},
		{event: evExit, names: []string{"pid", "group_dead"}, optional: 1, decode: exited},
		{event: evGenerate, names: []string{"sig", "errno", "code", "comm", "pid", "group", "result"}, optional: 1, decode: generated},
		{event: evDeliver, names: []string{"sig", "errno", "code", "sa_handler"}, decode: delivered},
		{event: evRename, names: []string{"pid", "oldcomm", "newcomm"}, decode: renamed},
	}
}

// decoderOf returns the decoder of an event, nil where it is none of ours.
func decoderOf(s *perfpipe.Schema) (*decoder, error) {
	event := s.Event()
	for _, d := range decoders() {
		if d.event != event {
			continue
		}
		for i, name := range d.names {
			d.fields[i] = s.Field(name)
			if d.fields[i] == nil && i < len(d.names)-d.optional {
				return nil, fmt.Errorf("read event %s: this kernel's has no field %s", event, name)
			}
		}
		return &d, nil
	}
	return nil, nil
}

// builder holds what decoding needs.
type builder struct {
	*lives
	row *row
	// bad is set by a field that does not lie within its record.
	bad bool
}

func (b *builder) num(d *decoder, i int, r *perfpipe.Record) uint64 {
	v, ok := d.fields[i].Uint(r.Raw)
	b.bad = b.bad || !ok
	return v
}

func (b *builder) s32(d *decoder, i int, r *perfpipe.Record) int32 { return int32(b.num(d, i, r)) }

func (b *builder) text(d *decoder, i int, r *perfpipe.Record) []byte {
	s, _, _, ok := d.fields[i].Text(r.Raw)
	b.bad = b.bad || !ok
	return s
}

// cloneThread is CLONE_THREAD of include/uapi/linux/sched.h.
const cloneThread = 0x10000

func newTask(b *builder, d *decoder, r *perfpipe.Record) outcome {
	child, flags := b.s32(d, 0, r), b.num(d, 1, r)
	if b.bad {
		return asCorrupt
	}
	kind, pid := Fork, child
	if flags&cloneThread != 0 {
		kind, pid = Clone, group(r)
	}
	b.saw(r.TID, r.PID)
	b.born(child, pid)
	b.row.begin(kind, r.TID)
	if kind == Fork || r.PID >= 0 {
		b.row.s32(colChildPID, pid)
	}
	b.row.s32(colChildTID, child)
	b.row.u64(colCloneFlags, flags)
	return asRow
}

// forked stands in for newTask; the event does not tell threads from processes.
func forked(b *builder, d *decoder, r *perfpipe.Record) outcome {
	child := b.s32(d, 0, r)
	if b.bad {
		return asCorrupt
	}
	b.born(child, child)
	delete(b.lives.group, child)
	b.row.begin(Fork, r.TID)
	b.row.s32(colChildTID, child)
	return asRow
}

func execed(b *builder, d *decoder, r *perfpipe.Record) outcome {
	name, tid, old := b.text(d, 0, r), b.s32(d, 1, r), b.s32(d, 2, r)
	if b.bad {
		return asCorrupt
	}
	b.execed(tid, group(r), old)
	b.saw(tid, r.PID)
	b.row.begin(Exec, r.TID)
	b.row.text(colFilename, name)
	b.row.s32(colOldTID, old)
	return asRow
}

func execReturned(b *builder, d *decoder, r *perfpipe.Record) outcome {
	ret := int64(b.num(d, 0, r))
	switch {
	case b.bad:
		return asCorrupt
	case ret >= 0:
		return asFact
	}
	b.saw(r.TID, r.PID)
	b.row.begin(ExecFailure, r.TID)
	b.row.s32(colErrno, int32(-ret))
	return asRow
}

func exitGroup(b *builder, d *decoder, r *perfpipe.Record) outcome {
	code := b.s32(d, 0, r)
	if b.bad {
		return asCorrupt
	}
	b.exitGroup(r.TID, group(r), code)
	return asFact
}

func exitOne(b *builder, d *decoder, r *perfpipe.Record) outcome {
	code := b.s32(d, 0, r)
	if b.bad {
		return asCorrupt
	}
	b.exitOne(r.TID, code)
	return asFact
}

func exited(b *builder, d *decoder, r *perfpipe.Record) outcome {
	tid, dead := b.s32(d, 0, r), uint64(0)
	if d.fields[1] != nil {
		dead = b.num(d, 1, r)
	}
	if b.bad {
		return asCorrupt
	}
	b.row.begin(Exit, r.TID)
	if d.fields[1] != nil {
		b.row.u8(colGroupDead, uint8(min(dead, 1)))
	}
	switch e := b.ended(tid, group(r), dead != 0); {
	case e.signaled:
		b.row.s32(colSignal, e.code)
		core := uint8(0)
		if dumps(e.code) {
			core = 1
		}
		b.row.u8(colCore, core)
	case e.known:
		b.row.s32(colExitCode, e.code)
	}
	return asRow
}

// Results of sending that mean that the signal was sent: TRACE_SIGNAL_DELIVERED and
// TRACE_SIGNAL_LOSE_INFO of include/trace/events/signal.h.
const (
	resultDelivered = 0
	resultLoseInfo  = 4
)

func generated(b *builder, d *decoder, r *perfpipe.Record) outcome {
	b.row.begin(SignalSent, r.TID)
	sig, target := b.s32(d, 0, r), b.s32(d, 4, r)
	b.row.s32(colSignal, sig)
	b.row.s32(colErrno, b.s32(d, 1, r))
	b.row.s32(colSignalCode, b.s32(d, 2, r))
	b.row.comm(colTargetComm, b.text(d, 3, r))
	b.row.s32(colTarget, target)
	b.row.u8(colToGroup, uint8(min(b.num(d, 5, r), 1)))
	result := uint64(resultDelivered)
	if d.fields[6] != nil {
		result = b.num(d, 6, r)
		b.row.u8(colResult, uint8(min(result, 255)))
	}
	if b.bad {
		return asCorrupt
	}
	if result == resultDelivered || result == resultLoseInfo {
		b.generated(target, sig)
	}
	return asRow
}

func delivered(b *builder, d *decoder, r *perfpipe.Record) outcome {
	b.row.begin(SignalDelivered, r.TID)
	sig, handler := b.s32(d, 0, r), b.num(d, 3, r)
	b.row.s32(colSignal, sig)
	b.row.s32(colErrno, b.s32(d, 1, r))
	b.row.s32(colSignalCode, b.s32(d, 2, r))
	b.row.u64(colHandler, handler)
	if b.bad {
		return asCorrupt
	}
	b.saw(r.TID, r.PID)
	b.delivered(r.TID, group(r), sig, handler)
	return asRow
}

func renamed(b *builder, d *decoder, r *perfpipe.Record) outcome {
	b.saw(r.TID, r.PID)
	b.row.begin(Rename, r.TID)
	b.row.s32(colTarget, b.s32(d, 0, r))
	b.row.comm(colOldComm, b.text(d, 1, r))
	b.row.comm(colNewComm, b.text(d, 2, r))
	if b.bad {
		return asCorrupt
	}
	return asRow
}

// group is the thread group of the record's task, the thread itself where it is not known.
func group(r *perfpipe.Record) int32 {
	if r.PID < 0 {
		return r.TID
	}
	return r.PID
}
