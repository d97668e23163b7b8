package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/perfpipe/perfpipe"
)

// liner writes rows in the manner of perf script:
//
//	bash 1234/1235 [003] 52721.123456: sched:sched_switch: prev_comm=bash prev_pid=1235 ...
//
// Tables that have no such head (_lost, _tasks) begin with their name instead.
// Seconds are those of CLOCK_MONOTONIC. Every row is one line, and nothing in it
// can move a terminal's cursor: control characters are shown as \xNN.
type liner struct {
	name                           string
	ts, cpu, pid, tid, comm, event int // columns, -1 where there are none
	rest                           []int
	keys                           []string
	hex                            []bool // addresses
}

func newLiner(t *perfpipe.Table) *liner {
	l := &liner{name: t.Meta["event"], ts: -1, cpu: -1, pid: -1, tid: -1, comm: -1, event: -1}
	if l.name == "" {
		l.name = t.Name
	}
	at := map[string]*int{"ts": &l.ts, "cpu": &l.cpu, "pid": &l.pid, "tid": &l.tid, "comm": &l.comm}
	for i := range t.Columns {
		if p := at[t.Columns[i].Name]; p != nil {
			*p = i
		}
	}
	whole := l.ts >= 0 && l.cpu >= 0 && l.pid >= 0 && l.tid >= 0 && l.comm >= 0
	if !whole {
		l.ts, l.cpu, l.pid, l.tid, l.comm = -1, -1, -1, -1, -1
	}
	for i := range t.Columns {
		d := &t.Columns[i]
		if whole {
			if at[d.Name] != nil || d.Name == "time" {
				continue
			}
			if d.Name == "event" && d.Type == perfpipe.TypeString {
				l.event = i
				continue
			}
		}
		l.rest = append(l.rest, i)
		l.keys = append(l.keys, string(appendShown(nil, []byte(d.Name)))+"=")
		l.hex = append(l.hex, strings.Contains(d.CType, "*"))
	}
	return l
}

func (l *liner) row(dst []byte, b *perfpipe.Batch, i int) []byte {
	c := b.Columns
	if l.ts >= 0 {
		at := len(dst)
		dst = appendShown(dst, c[l.comm].Text(i))
		for n := utf8.RuneCount(dst[at:]); n < 15; n++ { // TASK_COMM_LEN - 1
			dst = append(dst, ' ')
		}
		dst = append(dst, ' ')
		dst = appendScalar(dst, &c[l.pid], i)
		dst = append(dst, '/')
		dst = appendScalar(dst, &c[l.tid], i)
		dst = append(dst, ' ', '[')
		dst = appendPadded(dst, c[l.cpu].Int(i), 3)
		dst = append(dst, ']', ' ')
		dst = appendSeconds(dst, int64(c[l.ts].Int(i)))
		dst = append(dst, ':', ' ')
	}
	if l.event >= 0 && !c[l.event].IsNull(i) {
		dst = appendShown(dst, c[l.event].Text(i))
	} else {
		dst = append(dst, l.name...)
	}
	dst = append(dst, ':')
	for k, col := range l.rest {
		v := &c[col]
		if v.IsNull(i) {
			continue
		}
		dst = append(dst, ' ')
		dst = append(dst, l.keys[k]...)
		dst = l.value(dst, v, i, l.hex[k])
	}
	return append(dst, '\n')
}

func (l *liner) value(dst []byte, c *perfpipe.Column, i int, address bool) []byte {
	switch {
	case c.Type == perfpipe.TypeString:
		return appendWord(dst, c.Text(i))
	case c.Type == perfpipe.TypeList:
		dst = append(dst, '[')
		for j := int(c.Offsets[i]); j < int(c.Offsets[i+1]); j++ {
			if j > int(c.Offsets[i]) {
				dst = append(dst, ',')
			}
			dst = l.value(dst, c.Child, j, address)
		}
		return append(dst, ']')
	case address && !c.Type.Signed():
		return strconv.AppendUint(append(dst, '0', 'x'), c.Int(i), 16)
	}
	return appendScalar(dst, c, i)
}

// appendSeconds appends nanoseconds as seconds with six places, cut and not
// rounded, as perf script does.
func appendSeconds(dst []byte, ns int64) []byte {
	u := uint64(ns)
	if ns < 0 {
		dst = append(dst, '-')
		u = -u
	}
	dst = strconv.AppendUint(dst, u/1e9, 10)
	dst = append(dst, '.')
	return appendPadded(dst, u%1e9/1000, 6)
}

func appendPadded(dst []byte, v uint64, width int) []byte {
	for w, lim := 1, uint64(10); w < width; w, lim = w+1, lim*10 {
		if v < lim {
			dst = append(dst, '0')
		}
	}
	return strconv.AppendUint(dst, v, 10)
}

// appendWord appends a string so that it is one word: in quotes where it is empty
// or holds a space, a quote, a comma or an equals sign.
func appendWord(dst, s []byte) []byte {
	plain := len(s) > 0
	for _, b := range s {
		if b == ' ' || b == '"' || b == '=' || b == ',' {
			plain = false
			break
		}
	}
	if plain {
		return appendShown(dst, s)
	}
	dst = append(dst, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] != '"' {
			n++
		}
		dst = appendShown(dst, s[:n])
		if n < len(s) {
			dst = append(dst, '\\', '"')
			n++
		}
		s = s[n:]
	}
	return append(dst, '"')
}

// appendShown appends text with what is not printable as \xNN, byte by byte.
func appendShown(dst, s []byte) []byte {
	for len(s) > 0 {
		if s[0] >= ' ' && s[0] < 0x7f {
			dst = append(dst, s[0])
			s = s[1:]
			continue
		}
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			for _, b := range s[:n] {
				dst = append(dst, '\\', 'x', hex[b>>4], hex[b&15])
			}
		} else {
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	return dst
}
