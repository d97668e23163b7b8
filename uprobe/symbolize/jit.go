package symbolize

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// maxMap bounds a JIT map: V8's and the JVM's largest have some 10 MB.
const maxMap = 256 << 20

// jitMap is a /tmp/perf-PID.map (tools/perf/Documentation/jit-interface.txt).
type jitMap struct {
	file *os.File // nil once it is read
	text []byte
	code []jitCode
	// maxEnd[i] is the greatest end of code[:i+1].
	maxEnd []uint64
}

// jitCode is one piece of generated code.
type jitCode struct {
	addr, end uint64
	name, len uint32 // in text
	seq       uint32 // the line's number
}

// jit returns the map of a process, nil where it has none.
func (s *Symbolizer) jit(pid int32) *jitMap {
	if m, ok := s.maps[pid]; ok {
		return m
	}
	s.maps[pid] = nil
	p := s.process(pid)
	for _, name := range []string{
		// In a container the process knows itself by another number.
		filepath.Join(p.root, "tmp", fmt.Sprintf("perf-%d.map", p.nsPID)),
		filepath.Join("/tmp", fmt.Sprintf("perf-%d.map", pid)),
	} {
		st, err := os.Lstat(name)
		// Anyone may write to /tmp: no links, no pipes.
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		if f, err := os.Open(name); err == nil {
			s.maps[pid] = &jitMap{file: f}
			break
		}
	}
	return s.maps[pid]
}

func (m *jitMap) close() error {
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file = nil
	return err
}

// read reads the map as late as can be: it grows as long as the process runs.
func (m *jitMap) read() {
	if m.file == nil {
		return
	}
	b, err := io.ReadAll(io.LimitReader(m.file, maxMap))
	_ = m.close() // only read from
	if err == nil {
		m.parse(b)
	}
}

// parse reads lines "START SIZE NAME", both numbers in hex, the name up to the end of
// the line. Others are left out. It keeps b.
func (m *jitMap) parse(b []byte) {
	m.text = b
	for at, seq := 0, uint32(0); at < len(b); seq++ {
		end := len(b)
		if n := bytes.IndexByte(b[at:], '\n'); n >= 0 {
			end = at + n
		}
		if c, ok := parseJITCode(b, at, end); ok {
			c.seq = seq
			m.code = append(m.code, c)
		}
		at = end + 1
	}
	slices.SortFunc(m.code, func(a, b jitCode) int {
		return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.seq, b.seq))
	})
	// Generated anew at the same address: the last one counts.
	m.code = slices.Clip(keepLast(m.code))
	m.maxEnd = make([]uint64, len(m.code))
	var end uint64
	for i, c := range m.code {
		end = max(end, c.end)
		m.maxEnd[i] = end
	}
}

func keepLast(code []jitCode) []jitCode {
	n := 0
	for i, c := range code {
		if i+1 < len(code) && code[i+1].addr == c.addr {
			continue
		}
		code[n] = c
		n++
	}
	return code[:n]
}

func parseJITCode(b []byte, at, end int) (jitCode, bool) {
	addr, at, ok := hexField(b, at, end)
	if !ok {
		return jitCode{}, false
	}
	size, at, ok := hexField(b, at, end)
	if !ok || size == 0 || addr+size < addr || at == end {
		return jitCode{}, false
	}
	return jitCode{addr: addr, end: addr + size, name: uint32(at), len: uint32(end - at)}, true
}

// hexField reads a hex number and the spaces behind it.
func hexField(b []byte, at, end int) (v uint64, next int, ok bool) {
	if end-at > 2 && b[at] == '0' && b[at+1]|0x20 == 'x' {
		at += 2
	}
	v, n := parseHex(b[at:end])
	at += n
	if n == 0 || at == end || b[at] != ' ' {
		return 0, 0, false
	}
	for at < end && b[at] == ' ' {
		at++
	}
	return v, at, true
}

// find names an address: of several pieces of code that hold it, the one that was
// generated last.
func (m *jitMap) find(addr uint64) (Symbol, bool) {
	m.read()
	best := -1
	i := sort.Search(len(m.code), func(i int) bool { return m.code[i].addr > addr }) - 1
	for n := 0; i >= 0 && n < 64 && m.maxEnd[i] > addr; n++ {
		if m.code[i].end > addr && (best < 0 || m.code[i].seq > m.code[best].seq) {
			best = i
		}
		i--
	}
	if best < 0 {
		return Symbol{}, false
	}
	c := m.code[best]
	return Symbol{Name: strings.TrimRight(string(m.text[c.name:c.name+c.len]), "\r"), Offset: addr - c.addr}, true
}
