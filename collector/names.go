package collector

import (
	"strconv"

	"github.com/perfpipe/perfpipe"
)

// names turns a field's values into the text that the kernel's own trace would
// show: __print_symbolic or __print_flags of its print format.
type names struct {
	byValue map[uint64]string
	symbols []perfpipe.Symbol
	delim   string
	mask    uint64
	flags   bool
}

func newNames(f *perfpipe.Field) *names {
	n := &names{symbols: f.Symbols, delim: f.FlagsDelim, flags: f.FlagsDelim != "", mask: ^uint64(0)}
	if f.Size < 8 {
		n.mask = 1<<(8*f.Size) - 1
	}
	n.byValue = make(map[uint64]string, len(f.Symbols))
	for _, s := range f.Symbols {
		if _, ok := n.byValue[s.Value&n.mask]; !ok {
			n.byValue[s.Value&n.mask] = s.Name
		}
	}
	return n
}

// append appends the name of v. As in the kernel, a value without a name is its
// number in hex, and so is the rest of a mask behind the names of its bits.
func (n *names) append(dst []byte, v uint64) []byte {
	v &= n.mask
	if name, ok := n.byValue[v]; ok {
		return append(dst, name...)
	}
	if n.flags {
		start := len(dst)
		for _, s := range n.symbols {
			m := s.Value & n.mask
			if m == 0 || v&m != m {
				continue
			}
			if len(dst) > start {
				dst = append(dst, n.delim...)
			}
			dst = append(dst, s.Name...)
			v &^= m
		}
		if v == 0 {
			return dst
		}
		if len(dst) > start {
			dst = append(dst, n.delim...)
		}
	}
	dst = append(dst, "0x"...)
	return strconv.AppendUint(dst, v, 16)
}
