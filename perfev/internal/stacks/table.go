package stacks

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/internal/maps"
)

const (
	// maxKnown bounds the chains that are remembered as told, and those whose number
	// is found without looking up their frames: some 60 MiB together.
	maxKnown = 1 << 20
	// maxFrames bounds the places that are remembered: some 60 MiB.
	maxFrames = 1 << 20
)

// Teller takes what is seen for the first time. [perfpipe.Visitor] is one.
type Teller interface {
	Stack(s *perfpipe.Stack)
	Frame(f perfpipe.Frame)
}

// Options are what a [Table] asks for.
type Options struct {
	// Maps places the addresses of processes; nil takes the process's part of every
	// chain for what no mapping holds.
	Maps *maps.Table
	// Module names the kernel's module at an address, "" where it is the kernel
	// itself. Nil is always that.
	Module func(addr uint64) string
	// MaxStacks and MaxFrames are the most remembered; 0 is 1048576 each.
	MaxStacks, MaxFrames int
}

// Table has the numbers of chains and frames. It belongs to one goroutine.
type Table struct {
	opt  Options
	seed maphash.Seed
	// ids is the number of a chain by the hash of its words and of what is mapped.
	ids map[uint64]entry
	// told are the chains that a Teller has had.
	told   map[uint64]struct{}
	frames map[frameKey]uint32
	last   uint32
	// retold counts how often what was told had to be forgotten.
	retold int
	// scratch
	ips   []ip
	words []byte
	stack perfpipe.Stack
}

// entry is a chain's number.
type entry struct {
	id uint64
	// pid is the process whose chain it is, where the addresses mean something
	// there alone; 0 is any.
	pid int32
}

// frameKey tells frames apart.
type frameKey struct {
	// offset is that in the file, else the address.
	offset uint64
	// file is the number of a [maps.File], 0 where there is none.
	file uint32
	// pid is the process, for what means something there alone.
	pid  int32
	kind perfpipe.FrameKind
}

// New returns an empty table.
func New(o Options) *Table {
	if o.MaxStacks <= 0 {
		o.MaxStacks = maxKnown
	}
	if o.MaxFrames <= 0 {
		o.MaxFrames = maxFrames
	}
	return &Table{opt: o, seed: maphash.MakeSeed(), ids: map[uint64]entry{}, told: map[uint64]struct{}{}, frames: map[frameKey]uint32{}}
}

// Retold returns how often the table was full and began anew: chains have been told
// again since, and when it was full of frames, under other numbers.
func (t *Table) Retold() int { return t.retold }

// ID returns the number of a chain: the words of PERF_SAMPLE_CALLCHAIN behind their
// count, of process pid at time now. 0 is a chain without an address. What was not
// seen before is told to v first. A chain that was seen before costs no allocation.
func (t *Table) ID(chain []byte, pid int32, now int64, v Teller) uint64 {
	if len(chain) < 16 {
		return 0 // a marker at most
	}
	var space *maps.Space
	var version uint64
	if t.opt.Maps != nil {
		space = t.opt.Maps.Of(pid, now)
		version = space.Version()
	}
	key := mix(maphash.Bytes(t.seed, chain) ^ mix(version))
	if e, ok := t.ids[key]; ok && (e.pid == 0 || e.pid == pid) {
		return e.id
	}
	return t.add(key, version, chain, pid, now, space, v)
}

// add is ID for what has no entry.
func (t *Table) add(key, version uint64, chain []byte, pid int32, now int64, space *maps.Space, v Teller) uint64 {
	t.ips = appendIPs(t.ips[:0], chain)
	id, e, sure := t.place(pid, now, space, v)
	if id == 0 || !sure || space != nil && space.Version() != version {
		return id
	}
	if len(t.ids) >= t.opt.MaxStacks {
		clear(t.ids)
	}
	t.ids[key] = e
	return id
}

// Placed is ID for addresses that were found another way than by the kernel: chain
// has the kernel's part alone, user the process's, the innermost first.
func (t *Table) Placed(chain []byte, user []uint64, pid int32, now int64, v Teller) uint64 {
	t.words = append(t.words[:0], chain...)
	t.words = binary.LittleEndian.AppendUint64(t.words, contextUser)
	for _, a := range user {
		t.words = binary.LittleEndian.AppendUint64(t.words, a)
	}
	return t.ID(t.words, pid, now, v)
}

// place looks up the frames of t.ips and tells of what is new. sure is false where
// the answer may be another one next time.
func (t *Table) place(pid int32, now int64, space *maps.Space, v Teller) (id uint64, e entry, sure bool) {
	if len(t.frames)+len(t.ips) > t.opt.MaxFrames {
		clear(t.frames)
		clear(t.ids)
		clear(t.told)
		t.retold++
	}
	st := &t.stack
	st.Frames, st.Addrs = st.Frames[:0], st.Addrs[:0]
	h, sure, innermost := uint64(0), true, true
	for _, p := range t.ips {
		k := frameKey{kind: perfpipe.FrameKernel, offset: p.look}
		var file *maps.File
		if p.user {
			m, ok := find(space, p.look)
			if !ok && innermost && t.opt.Maps != nil {
				// The process runs this very code: something was not told.
				space, _ = t.opt.Maps.Again(pid, now)
				m, ok = find(space, p.look)
				sure = ok
			}
			if !ok && !innermost {
				continue // garbage: there was no frame pointer to go by
			}
			innermost = false
			k = frameKey{kind: perfpipe.FrameUnknown, offset: p.look, pid: pid}
			if ok {
				file = t.opt.Maps.Resolve(pid, m)
				k.kind = file.Kind
				if file.Kind == perfpipe.FrameFile {
					k.offset, k.file, k.pid = p.look-m.Start+m.Offset, file.ID, 0
				}
			}
			if k.pid != 0 {
				e.pid = k.pid
			}
		}
		n := t.frame(k, file, pid, v)
		h = mix(h ^ uint64(n))
		st.Frames = append(st.Frames, n)
		st.Addrs = append(st.Addrs, p.addr)
	}
	if len(st.Frames) == 0 {
		return 0, e, false
	}
	e.id = max(h, 1)
	if _, ok := t.told[e.id]; !ok {
		if len(t.told) >= t.opt.MaxStacks {
			clear(t.told)
			clear(t.ids)
			t.retold++
		}
		t.told[e.id] = struct{}{}
		st.ID, st.PID = e.id, pid
		v.Stack(st)
	}
	return e.id, e, sure
}

func find(s *maps.Space, addr uint64) (*maps.Mapping, bool) {
	if s == nil {
		return nil, false
	}
	return s.Find(addr)
}

// frame returns the number of a frame, and tells of it where it is new.
func (t *Table) frame(k frameKey, file *maps.File, pid int32, v Teller) uint32 {
	if n, ok := t.frames[k]; ok {
		return n
	}
	t.last++
	t.frames[k] = t.last
	f := perfpipe.Frame{ID: t.last, Kind: k.kind, Offset: k.offset, PID: pid}
	switch {
	case k.kind == perfpipe.FrameKernel:
		f.PID, f.File = 0, "[kernel]"
		if t.opt.Module != nil {
			if m := t.opt.Module(k.offset); m != "" {
				f.File = "[" + m + "]"
			}
		}
	case file != nil:
		f.File, f.BuildID = file.Path, file.BuildID
	}
	v.Frame(f)
	return t.last
}

// mix spreads every bit of v over all others (the finalizer of MurmurHash3, as
// improved by David Stafford, variant 13): neighbours get unlike numbers.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
