package lifecycle

import (
	"encoding/binary"

	"github.com/perfpipe/perfpipe"
)

// row builds a raw record of [Schema] in memory of its own, again and again.
type row struct {
	offsets [columns]int
	size    int
	raw     []byte
}

func newRow(s *perfpipe.Schema) *row {
	w := &row{size: s.Size, raw: make([]byte, s.Size, s.Size+256)}
	for i := range s.Fields {
		w.offsets[i] = s.Fields[i].Offset
	}
	return w
}

// begin empties the row.
func (w *row) begin(k Kind, tid int32) {
	w.raw = w.raw[:w.size]
	clear(w.raw)
	binary.LittleEndian.PutUint32(w.raw[4:], uint32(tid))
	w.raw[w.offsets[colKind]] = byte(k)
	w.set(colKind)
}

// set says that the column has a value.
func (w *row) set(c column) {
	mask := binary.LittleEndian.Uint32(w.raw[maskOffset:])
	binary.LittleEndian.PutUint32(w.raw[maskOffset:], mask|1<<c)
}

func (w *row) s32(c column, v int32) {
	binary.LittleEndian.PutUint32(w.raw[w.offsets[c]:], uint32(v))
	w.set(c)
}

func (w *row) u64(c column, v uint64) {
	binary.LittleEndian.PutUint64(w.raw[w.offsets[c]:], v)
	w.set(c)
}

func (w *row) u8(c column, v uint8) {
	w.raw[w.offsets[c]] = v
	w.set(c)
}

// comm writes a task's name, at most 16 bytes.
func (w *row) comm(c column, name []byte) {
	off := w.offsets[c]
	copy(w.raw[off:off+commSize], name)
	w.set(c)
}

// text writes a string behind the fields; PATH_MAX is well below the 16 bits of its length.
func (w *row) text(c column, s []byte) {
	s = s[:min(len(s), 1<<15)]
	at := len(w.raw)
	w.raw = append(append(w.raw, s...), 0)
	binary.LittleEndian.PutUint32(w.raw[w.offsets[c]:], uint32(len(s)+1)<<16|uint32(at))
	w.set(c)
}
