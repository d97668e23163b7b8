package perfev

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// parts are those of a sample, nil and zero for what it does not have.
type parts struct {
	chain  []uint64
	raw    []byte
	abi    uint64
	regs   []uint64
	stack  []byte
	dyn    uint64
	cgroup uint64
}

// full makes a sample of layout l as the kernel does.
func full(l layout, p parts) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(nil, 0)
	b = le.AppendUint64(b, 9) // the time
	if l.chain {
		b = le.AppendUint64(b, uint64(len(p.chain)))
		for _, a := range p.chain {
			b = le.AppendUint64(b, a)
		}
	}
	size := (len(p.raw)+4+7)&^7 - 4
	b = le.AppendUint32(b, uint32(size))
	b = append(append(b, p.raw...), make([]byte, size-len(p.raw))...)
	if l.regs > 0 {
		b = le.AppendUint64(b, p.abi)
		if p.abi != 0 {
			for _, r := range p.regs {
				b = le.AppendUint64(b, r)
			}
		}
		b = le.AppendUint64(b, uint64(len(p.stack)))
		if len(p.stack) > 0 {
			b = le.AppendUint64(append(b, p.stack...), p.dyn)
		}
	}
	if l.cgroup {
		b = le.AppendUint64(b, p.cgroup)
	}
	le.PutUint32(b, recordSample)
	le.PutUint16(b[6:], uint16(len(b)))
	return b
}

func TestLayout(t *testing.T) {
	raw := []byte("0123456789ab") // with its size a multiple of 8
	chain := []uint64{1, 2, 3}
	var words []byte
	for _, a := range chain {
		words = binary.LittleEndian.AppendUint64(words, a)
	}
	tests := []struct {
		name string
		l    layout
		p    parts
		want sampleView
	}{
		{"chain", layout{chain: true}, parts{chain: chain, raw: raw}, sampleView{chain: words, raw: raw}},
		{"empty chain", layout{chain: true}, parts{raw: raw}, sampleView{chain: []byte{}, raw: raw}},
		{"cgroup", layout{cgroup: true}, parts{raw: raw, cgroup: 77}, sampleView{raw: raw, cgroup: 77}},
		{"both", layout{chain: true, cgroup: true}, parts{chain: chain, raw: raw, cgroup: 77}, sampleView{chain: words, raw: raw, cgroup: 77}},
		{"stack", layout{regs: 3, cgroup: true}, parts{raw: raw, abi: 2, regs: chain, stack: words, dyn: 16, cgroup: 5},
			sampleView{raw: raw, abi: 2, regs: words, stack: words[:16], cgroup: 5}},
		{"kernel thread", layout{chain: true, regs: 3}, parts{chain: chain, raw: raw}, sampleView{chain: words, raw: raw}},
		{"registers without a stack", layout{regs: 3}, parts{raw: raw, abi: 1, regs: chain}, sampleView{raw: raw, abi: 1, regs: words}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := full(tt.l, tt.p)
			got, ok := tt.l.decode(rec)
			if !ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v %v, want %+v", got, ok, tt.want)
			}
			for i := range rec {
				if v, ok := tt.l.decode(rec[:i]); ok {
					t.Errorf("%d of %d bytes were taken: %+v", i, len(rec), v)
				}
			}
		})
	}
	l := layout{chain: true, regs: 3}
	for name, change := range map[string]func(b []byte){
		"more addresses than there are":   func(b []byte) { b[16] = 200 },
		"an absurd number of addresses":   func(b []byte) { b[23] = 0x80 },
		"more raw data than there is":     func(b []byte) { b[49] = 200 },
		"a larger stack than there is":    func(b []byte) { b[97] = 200 },
		"more of the stack than its size": func(b []byte) { b[len(b)-1] = 1 },
	} {
		rec := full(l, parts{chain: chain, raw: raw, abi: 2, regs: chain, stack: words, dyn: 16})
		change(rec)
		if v, ok := l.decode(rec); ok {
			t.Errorf("%s: got %+v", name, v)
		}
	}
}

// FuzzLayout: whatever a record holds, its parts lie within it and do not overlap.
func FuzzLayout(f *testing.F) {
	l := layout{chain: true, cgroup: true, regs: 2}
	f.Add(full(l, parts{chain: []uint64{1}, raw: []byte("abcd"), abi: 2, regs: []uint64{1, 2}, stack: make([]byte, 8), dyn: 8, cgroup: 7}), uint8(7))
	f.Add(full(layout{}, parts{raw: []byte("abcd")}), uint8(0))
	f.Fuzz(func(t *testing.T, rec []byte, kind uint8) {
		l := layout{chain: kind&1 != 0, cgroup: kind&2 != 0}
		if kind&4 != 0 {
			l.regs = 2
		}
		v, ok := l.decode(rec)
		if !ok {
			return
		}
		if n := len(v.chain) + len(v.raw) + len(v.regs) + len(v.stack); n > len(rec) || len(v.chain)%8 != 0 || !l.chain && v.chain != nil {
			t.Errorf("%d bytes of parts in a record of %d: %+v", n, len(rec), v)
		}
		for _, part := range [][]byte{v.chain, v.raw, v.stack} {
			if len(part) > 0 && !bytes.Contains(rec, part) {
				t.Errorf("%x is not in the record", part)
			}
		}
	})
}

func TestCgroupMounts(t *testing.T) {
	const text = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
42 31 0:39 / /mnt/a\040b rw - cgroup none rw,perf_event,net
43 31
junk - cgroup2
`
	if got, want := cgroupMounts(text), []string{"/mnt/a b", "/sys/fs/cgroup/unified"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range text {
		cgroupMounts(text[:i])
	}
}

func TestCounters(t *testing.T) {
	ev := func(name string, id int) *perfpipe.Schema { return &perfpipe.Schema{System: "g", Name: name, ID: id} }
	c := Config{
		Events:  []Event{{Schema: ev("r0", 1)}, {Schema: ev("x", 2)}, {Schema: ev("r2", 3)}},
		Entries: []Entry{{Schema: ev("e0", 4), Of: 0}, {Schema: ev("e2", 5), Of: 2}, {Schema: ev("e2b", 6), Of: 2}},
	}
	want := []counter{{"g:r0", 1, 0, -1}, {"g:r2", 3, 2, -1}, {"g:e0", 4, 0, 1}, {"g:e2", 5, 2, 1}, {"g:e2b", 6, 2, 1}}
	if got := c.counters(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
