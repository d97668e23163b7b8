package filters

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// randomSchema has a field of every kind that filters know.
func randomSchema() *perfpipe.Schema {
	s := uprobeSchema()
	s.System, s.Name = "test", "random"
	off := s.Size
	add := func(f perfpipe.Field) {
		f.Offset = off
		off += f.Size
		s.Fields = append(s.Fields, f)
	}
	add(perfpipe.Field{Name: "next_comm", CType: "char[16]", Size: 16, ElemSize: 1, Count: 1, Kind: perfpipe.KindString})
	add(perfpipe.Field{Name: "tag", CType: "char[6]", Size: 6, ElemSize: 1, Count: 1, Kind: perfpipe.KindString})
	add(perfpipe.Field{Name: "saddr", CType: "__u8[4]", Size: 4, ElemSize: 1, Count: 4, Kind: perfpipe.KindUint, Array: true})
	add(perfpipe.Field{Name: "saddr6", CType: "__u8[16]", Size: 16, ElemSize: 1, Count: 16, Kind: perfpipe.KindUint, Array: true})
	add(perfpipe.Field{Name: "mask", CType: "__data_loc cpumask_t", Size: 4, ElemSize: 8, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocData})
	add(perfpipe.Field{Name: "dyn", CType: "__data_loc u16[]", Size: 4, ElemSize: 2, Kind: perfpipe.KindUint, Loc: perfpipe.LocData, Array: true})
	s.Size = off
	return s
}

// writer writes random filters.
type writer struct {
	r *rand.Rand
	// faulty allows what can fault, plain only the kernel's language and what
	// becomes of it.
	faulty bool
	// numbers writes nothing of strings, nor of what lies where the record says.
	numbers bool
	// ints and strs are the fields that filters are written of.
	ints []intInfo
	strs []string
}

func (w *writer) pick(list ...string) string { return list[w.r.IntN(len(list))] }

type intInfo struct {
	name   string
	bits   int
	signed bool
}

var intFields = []intInfo{{"s8", 8, true}, {"u8", 8, false}, {"s16", 16, true}, {"u16", 16, false}, {"s32", 32, true}, {"u32", 32, false}, {"s64", 64, true}, {"u64", 64, false}, {"a", 32, true}, {"b", 32, true}, {"ch", 8, false}, {"common_pid", 32, true}, {"common_flags", 8, false}}

// constant is one that the field holds.
func (w *writer) constant(f intInfo) string {
	v := w.r.Uint64()
	switch w.r.IntN(4) {
	case 0:
		v = uint64(w.r.IntN(5))
	case 1:
		v = uint64(int64(-1 - w.r.IntN(4)))
	case 2:
		v = 1 << w.r.IntN(64)
	}
	s := 64 - f.bits
	if f.signed {
		n := int64(v<<s) >> s
		return strconv.FormatInt(n, 10)
	}
	v = v << s >> s
	if w.r.IntN(3) == 0 {
		return fmt.Sprintf("%#x", v)
	}
	return strconv.FormatUint(v, 10)
}

var texts = []string{"bash", "sh", "zsh", "kworker/0:1", "", "a", "abc", "1abc", "a*b", "[x]", `a\b`, "!a", "abcdef", "abcdefgh", "0123456789abcde", "it's"}

func (w *writer) quoted(s string) string {
	if strings.Contains(s, `"`) {
		return "'" + s + "'"
	}
	return `"` + s + `"`
}

func (w *writer) globText() string {
	if w.r.IntN(2) == 0 {
		return w.pick("", "*") + w.pick(texts...) + w.pick("", "*")
	}
	return w.pick("b*h", "*[s]h", "?sh", "*", "**", "[ab]*", "[!a]*", "!a*", "!*sh", "1*", "*1*", "[a", `\*`, "a?c", "*a*b*", "***c", "?", "!", "!!a", "abc\\", "*sh", "k*", "[^a]*")
}

func (w *writer) str() string {
	return w.pick(w.strs...)
}

// cond writes a condition of at most depth levels.
func (w *writer) cond(depth int) string {
	if depth <= 0 {
		return w.atom()
	}
	switch w.r.IntN(9) {
	case 0, 1, 2:
		return w.cond(depth-1) + " && " + w.cond(depth-1)
	case 3, 4:
		return w.cond(depth-1) + " || " + w.cond(depth-1)
	case 5:
		return "!(" + w.cond(depth-1) + ")"
	case 6:
		return "(" + w.cond(depth-1) + ")"
	case 7:
		return "((" + w.cond(depth-1) + ") ? (" + w.cond(depth-1) + ") : (" + w.cond(depth-1) + "))"
	}
	return w.atom()
}

func (w *writer) atom() string {
	f := w.ints[w.r.IntN(len(w.ints))]
	cmp := w.pick("==", "!=", "<", "<=", ">", ">=")
	kind := w.r.IntN(16)
	if w.numbers && (kind >= 6 && kind <= 10 || kind == 12) {
		kind = 15
	}
	switch kind {
	case 0, 1, 2:
		return f.name + " " + cmp + " " + w.constant(f)
	case 3:
		return f.name + " & " + w.constant(f)
	case 4:
		m := w.constant(f)
		return "(" + f.name + " & " + m + ") " + w.pick("==", "!=") + " " + w.pick(m, "0", w.constant(f))
	case 5:
		set := w.constant(f)
		for w.r.IntN(3) > 0 {
			set += ", " + w.constant(f)
		}
		return f.name + " in {" + set + "}"
	case 6, 7:
		return w.str() + " " + w.pick("==", "!=") + " " + w.quoted(w.pick(texts...))
	case 8, 9:
		return w.str() + " ~ " + w.quoted(w.globText())
	case 10:
		return w.pick("startswith", "endswith", "contains") + "(" + w.str() + ", " + w.quoted(w.pick(texts...)) + ")"
	case 11:
		return w.pick("CPU", "$cpu", "$tid") + " " + cmp + " " + w.pick("0", "1", "2", "-1", "100", "70000")
	case 12:
		return w.pick("CPU", "u32", "s8", "mask") + w.pick(" & ", " == ", " != ") + "CPUS{" + w.pick("0", "1", "0-1", "0,1") + "}"
	case 13:
		return "has_flag(" + f.name + ", " + w.constant(f) + ")"
	case 14:
		if w.numbers {
			return w.pick(`ip(saddr) == ip("127.0.0.1")`, "arr4[1] == 1", "b4[3] > 100", "tag[0] == 'a'")
		}
		return w.pick(`cidr(saddr, "10.0.0.0/8")`, `ip(saddr) == ip("127.0.0.1")`, `cidr(saddr6, "fe80::/10")`, "arr4[1] == 1", "b4[3] > 100", "saddr != 0", "b4 & 0x80", "tag[0] == 'a'")
	}
	return "(" + w.value(2) + ") " + cmp + " (" + w.value(2) + ")"
}

// value writes an integer expression.
func (w *writer) value(depth int) string {
	if depth <= 0 {
		f := w.ints[w.r.IntN(len(w.ints))]
		if w.numbers {
			return w.pick(f.name, f.name, f.name, strconv.Itoa(w.r.IntN(9)), "-"+strconv.Itoa(1+w.r.IntN(9)), "0xffffffffffffffff", "$time", "$cpu", "arr4[2]", "9223372036854775807")
		}
		return w.pick(f.name, f.name, strconv.Itoa(w.r.IntN(9)), "-"+strconv.Itoa(1+w.r.IntN(9)), "0xffffffffffffffff", "$time", "strlen("+w.str()+")", "arr4[2]", "9223372036854775807", "strlen(("+w.cond(0)+" ? "+w.str()+" : "+w.str()+"))")
	}
	a, b := w.value(depth-1), w.value(depth-1)
	switch w.r.IntN(9) {
	case 0:
		if w.faulty {
			return "(" + a + ") " + w.pick("/", "%") + " (" + b + ")"
		}
		return "(" + a + ") " + w.pick("/", "%") + " " + w.pick("3", "-7", "1000")
	case 1:
		if w.faulty && w.numbers {
			return "(" + a + ") " + w.pick("<<", ">>") + " ((" + b + w.pick(") + 0 * a)", ") & 67)")
		}
		if w.faulty {
			return "(" + a + ") " + w.pick("<<", ">>") + " (" + b + ")"
		}
		return "(" + a + ") " + w.pick("<<", ">>") + " " + strconv.Itoa(w.r.IntN(64))
	case 2:
		return w.pick("-", "~") + "(" + a + ")"
	case 3:
		return "(" + w.pick("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64") + ")(" + a + ")"
	case 4:
		return "((" + w.cond(0) + ") ? (" + a + ") : (" + b + "))"
	case 5:
		if w.faulty && w.numbers {
			return w.pick("arr4", "b4", "saddr6") + "[(" + a + w.pick(") + 0 * a]", ") & 7]")
		}
		if w.faulty {
			return w.pick("arr4", "b4", "dyn", "str", "next_comm") + "[" + a + "]"
		}
		return w.pick("popcount", "log2", "ntohs", "ntohl", "bswap", "abs", "hash") + "(" + a + ")"
	}
	if w.numbers && w.r.IntN(8) == 0 {
		return w.pick("min((s64)(", "max((s64)(") + a + "), (s64)(" + b + "))"
	}
	return "(" + a + ") " + w.pick("+", "-", "*", "&", "|", "^") + " (" + b + ")"
}

// plainRecord makes a record as the kernel would: strings end with a NUL; those of
// char[6] may be cut off.
func (w *writer) plainRecord(s *perfpipe.Schema) *perfpipe.Record {
	raw := make([]byte, s.Size)
	for i := range raw {
		raw[i] = byte([]int{0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff, w.r.IntN(256)}[w.r.IntN(9)])
	}
	comm := w.pick(texts...)
	comm = comm[:min(15, len(comm))]
	tid := int32(w.r.IntN(5))
	for i := range s.Fields {
		f := &s.Fields[i]
		var data []byte
		switch {
		case f.Offset < 0:
			continue
		case f.Kind == perfpipe.KindString && f.Loc == perfpipe.LocStatic:
			b := raw[f.Offset : f.Offset+f.Size]
			text := w.pick(texts...)
			if f.Size == 16 && len(text) > 15 {
				text = text[:15]
			}
			if n := copy(b, text); n < f.Size {
				b[n] = 0 // what stands behind it is anything
			}
			continue
		case f.Kind == perfpipe.KindString:
			data = append([]byte(w.pick(texts...)), 0)
		case f.Kind == perfpipe.KindCPUMask:
			data = make([]byte, 8)
			data[0] = byte(w.r.IntN(4))
		case f.Loc == perfpipe.LocData:
			data = make([]byte, 2*w.r.IntN(4))
		default:
			continue
		}
		putInt(raw[f.Offset:f.Offset+4], uint64(len(raw))|uint64(len(data))<<16)
		raw = append(raw, data...)
	}
	putInt(raw[4:8], uint64(uint32(tid)))
	return &perfpipe.Record{Raw: raw, Comm: comm, CPU: uint16(w.r.IntN(3)), TID: tid, PID: tid, Time: int64(w.r.Uint64() >> 1)}
}

// randomPrograms calls f for n filters that compile.
func randomPrograms(t testing.TB, seed uint64, n int, faulty bool, o Options, f func(w *writer, p *Program)) {
	t.Helper()
	w := &writer{r: rand.New(rand.NewPCG(seed, 1)), faulty: faulty, ints: intFields, strs: []string{"str", "next_comm", "tag", "COMM", "$comm"}}
	programsOf(t, w, randomSchema(), n, o, f)
}

// programsOf is randomPrograms on the events of s.
func programsOf(t testing.TB, w *writer, s *perfpipe.Schema, n int, o Options, f func(w *writer, p *Program)) {
	t.Helper()
	refused := 0
	for i := 0; i < n; i++ {
		src := w.cond(w.r.IntN(4))
		p, err := Compile(src, s, o)
		if err != nil {
			// Some constants, shifts and divisions are refused; most must not be.
			if refused++; refused > n/2 {
				t.Fatalf("%d of %d random filters are refused, the last: %v", refused, i+1, err)
			}
			continue
		}
		f(w, p)
	}
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(5, 5)) }
