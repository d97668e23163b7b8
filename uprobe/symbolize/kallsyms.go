package symbolize

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// kallsyms are the kernel's functions by address. The names stay in the text that they
// were read from: 250,000 strings of their own would take three times as much.
type kallsyms struct {
	text  []byte
	funcs []kernelFunc
}

type kernelFunc struct {
	addr     uint64
	name     uint32 // offset in text
	nameLen  uint16
	addedLen uint16 // of " [module]" behind the name, 0 for the kernel proper
}

// parseKallsyms reads lines like "ffffffff81000000 T _stext" and
// "ffffffffc0001000 t f\t[module]". It returns nil where there are no functions with
// an address: without privilege every one is 0. It keeps b.
func parseKallsyms(b []byte) *kallsyms {
	k := &kallsyms{text: b}
	for at := 0; at < len(b); {
		end := len(b)
		if n := bytes.IndexByte(b[at:], '\n'); n >= 0 {
			end = at + n
		}
		if f, ok := parseKernelFunc(b, at, end); ok {
			k.funcs = append(k.funcs, f)
		}
		at = end + 1
	}
	if len(k.funcs) == 0 {
		return nil
	}
	// Stable: of several names for an address the first one counts, as in the kernel.
	slices.SortStableFunc(k.funcs, func(a, b kernelFunc) int { return cmp.Compare(a.addr, b.addr) })
	k.funcs = slices.Clip(slices.CompactFunc(k.funcs, func(a, b kernelFunc) bool { return a.addr == b.addr }))
	return k
}

// parseKernelFunc reads the line b[at:end].
func parseKernelFunc(b []byte, at, end int) (kernelFunc, bool) {
	addr, n := parseHex(b[at:end])
	at += n
	if n == 0 || addr == 0 || end-at < 4 || b[at] != ' ' || b[at+2] != ' ' || !bytes.ContainsRune([]byte("tTwW"), rune(b[at+1])) {
		return kernelFunc{}, false
	}
	at += 3
	nameEnd := end
	if n := bytes.IndexAny(b[at:end], " \t"); n >= 0 {
		nameEnd = at + n
	}
	if nameEnd == at || end-at > 1<<15 {
		return kernelFunc{}, false
	}
	return kernelFunc{addr, uint32(at), uint16(nameEnd - at), uint16(end - nameEnd)}, true
}

// parseHex reads hex digits, and returns how many there are: 0 where they are no
// number of 64 bits.
func parseHex(b []byte) (v uint64, n int) {
	for n < len(b) {
		d := b[n]
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'f':
			d -= 'a' - 10
		case d >= 'A' && d <= 'F':
			d -= 'A' - 10
		default:
			return v, n
		}
		if v>>60 != 0 {
			return 0, 0
		}
		v = v<<4 | uint64(d)
		n++
	}
	return v, n
}

// find names an address. A function ends where the next one begins.
func (k *kallsyms) find(addr uint64) (Symbol, bool) {
	if k == nil {
		return Symbol{}, false
	}
	i := sort.Search(len(k.funcs), func(i int) bool { return k.funcs[i].addr > addr }) - 1
	// Behind the last function may be anything.
	if i < 0 || i == len(k.funcs)-1 && addr-k.funcs[i].addr > 1<<20 {
		return Symbol{}, false
	}
	f := k.funcs[i]
	end := f.name + uint32(f.nameLen)
	module := bytes.TrimSpace(k.text[end : end+uint32(f.addedLen)])
	return Symbol{Name: string(k.text[f.name:end]), File: string(module), Offset: addr - f.addr}, true
}
