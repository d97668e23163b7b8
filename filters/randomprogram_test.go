package filters

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// progWriter writes random typed programs.
type progWriter struct {
	*writer
	b      strings.Builder
	fields int // of writer.ints, those that are the record's
	names  int
	maps   []string
	states []string
	funcs  []string
	strFns []string
	loops  int
	inFunc string // the type that return gives, "" in the block
}

var declTypes = []string{"s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"}

func (w *progWriter) fresh(prefix string) string {
	w.names++
	return prefix + strconv.Itoa(w.names)
}

func (w *progWriter) line(depth int, format string, args ...any) {
	w.b.WriteString(strings.Repeat("\t", depth))
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

// expr is an integer expression that may read what the program declares.
func (w *progWriter) expr() string {
	switch w.r.IntN(9) {
	case 0:
		if len(w.maps) > 0 {
			return w.pick(w.maps...) + "[" + w.value(1) + "]"
		}
	case 1:
		if len(w.funcs) > 0 && w.numbers {
			return w.pick(w.funcs...) + "(" + w.value(1) + ")"
		}
		if len(w.funcs) > 0 {
			return w.pick(w.funcs...) + "(" + w.value(1) + ", " + w.pick("str", "next_comm", `"abc"`, "$comm") + ")"
		}
	case 2:
		return "delta(" + w.value(1) + ")"
	case 3:
		if len(w.states) > 0 {
			return w.pick(w.states...) + " + (" + w.value(1) + ")"
		}
	case 4:
		if len(w.maps) > 0 {
			return "(s32)" + w.pick(w.maps...) + "[" + w.pick("a", "b", "$tid", "u8") + "] - (" + w.value(0) + ")"
		}
	}
	return w.value(2)
}

// test is a condition that may.
func (w *progWriter) test() string {
	switch w.r.IntN(10) {
	case 0:
		if len(w.maps) > 0 {
			return w.pick("", "!") + "((" + w.value(1) + ") in " + w.pick(w.maps...) + ")"
		}
	case 1:
		if w.numbers {
			return "changed(" + w.value(1) + ")"
		}
		return "changed(" + w.pick("a", "u8", "next_comm", "$cpu") + ")"
	case 2:
		return fmt.Sprintf("rate(%d, %d)", 1+w.r.IntN(3), 1+w.r.IntN(5))
	case 3:
		return fmt.Sprintf("sample(%d/%d)", 1+w.r.IntN(2), 2+w.r.IntN(3))
	case 4:
		if len(w.states) > 0 {
			return w.pick(w.states...) + " " + w.pick("<", ">=", "==", "!=") + " " + w.expr()
		}
	case 5:
		if len(w.strFns) > 0 {
			return w.pick(w.strFns...) + "(" + w.value(0) + ") " + w.pick("==", "!=") + " " + w.pick("str", `"bash"`, "next_comm")
		}
	case 6:
		return "(" + w.expr() + ") " + w.pick("<", "<=", "==", "!=", ">") + " (" + w.expr() + ")"
	case 7:
		return "(" + w.test() + ") " + w.pick("&&", "||") + " (" + w.test() + ")"
	}
	return w.cond(1)
}

func (w *progWriter) block(depth, size int) {
	known, strs := len(w.ints), len(w.strs)
	for i := 0; i < size; i++ {
		w.stmt(depth)
	}
	w.ints, w.strs = w.ints[:known:known], w.strs[:strs:strs]
}

func (w *progWriter) stmt(depth int) {
	switch w.r.IntN(13) {
	case 0, 1:
		t := declTypes[w.r.IntN(len(declTypes))]
		x := w.expr()
		v := w.fresh("v")
		w.line(depth, "%s %s = (%s)(%s);", t, v, t, x)
		bits, _ := castWidth(t)
		w.ints = append(w.ints, intInfo{v, int(bits), t[0] == 's'})
	case 2:
		if len(w.ints) > w.fields {
			v := w.ints[w.fields+w.r.IntN(len(w.ints)-w.fields)].name
			if strings.HasPrefix(v, "v") {
				if w.r.IntN(4) == 0 {
					w.line(depth, "%s++;", v)
				} else {
					w.line(depth, "%s %s (s64)(%s);", v, w.pick("+=", "-=", "&=", "|=", "^="), w.expr())
				}
				return
			}
		}
		w.line(depth, "if (%s) return %s;", w.test(), w.result())
	case 3:
		if len(w.states) > 0 {
			w.line(depth, "%s %s %s;", w.pick(w.states...), w.pick("+=", "-=", "^="), w.pick("1", "2", "3"))
			return
		}
		fallthrough
	case 4:
		if len(w.maps) > 0 {
			switch m := w.pick(w.maps...); w.r.IntN(4) {
			case 0:
				w.line(depth, "delete %s[%s];", m, w.value(1))
			case 1:
				w.line(depth, "%s[%s]++;", m, w.pick("a", "u8", "$tid"))
			case 2:
				w.line(depth, "%s[%s] %s (u8)(%s);", m, w.pick("a", "u8", "$cpu"), w.pick("=", "+=", "|=", "&=", "-="), w.expr())
			default:
				w.line(depth, "%s[%s] = (s8)(%s);", m, w.value(1), w.expr())
			}
			return
		}
		fallthrough
	case 5, 6:
		if depth > 4 {
			return
		}
		w.line(depth, "if (%s) {", w.test())
		w.block(depth+1, 1+w.r.IntN(2))
		if w.r.IntN(2) == 0 {
			w.line(depth, "} else {")
			w.block(depth+1, 1+w.r.IntN(2))
		}
		w.line(depth, "}")
	case 7:
		if depth > 3 {
			return
		}
		i := w.fresh("i")
		if w.r.IntN(2) == 0 {
			w.line(depth, "for (%s = 0; %s < %d; %s++) {", i, i, w.r.IntN(6), i)
		} else {
			w.line(depth, "for (%s = %s; %s < %s max %d; %s++) {", i, w.pick("0", "-2", "a", "b"), i, w.bound(), 1+w.r.IntN(5), i)
		}
		known := len(w.ints)
		w.ints = append(w.ints, intInfo{i, 64, true})
		w.loops++
		w.block(depth+1, 1+w.r.IntN(2))
		w.loops--
		w.ints = w.ints[:known:known]
		w.line(depth, "}")
	case 8:
		if w.loops > 0 {
			w.line(depth, "if (%s) %s;", w.test(), w.pick("break", "continue"))
		}
	case 9:
		w.line(depth, "if (%s) return %s;", w.test(), w.result())
	case 10:
		if w.inFunc != "" {
			return
		}
		if i := w.r.IntN(3); i == 0 && !w.numbers {
			w.line(depth, "emit string es = %s;", w.pick(w.strs...))
		} else {
			t := []string{"u8", "s64", "bool"}[w.r.IntN(3)]
			x := "(" + t + ")(" + w.expr() + ")"
			w.line(depth, "emit %s e_%s = %s;", t, t, x)
		}
	case 11:
		if w.numbers {
			return
		}
		s := w.fresh("t")
		w.line(depth, "string %s = (%s) ? %s : %s;", s, w.cond(0), w.pick(w.strs...), w.pick(w.strs...))
		w.strs = append(w.strs, s)
	default:
		w.line(depth, "{")
		w.block(depth+1, 1)
		w.line(depth, "}")
	}
}

// bound is what a loop runs up to.
func (w *progWriter) bound() string {
	if w.numbers {
		return w.pick("u8", "b", "4")
	}
	return w.pick("u8", "b", "strlen(str)", "4")
}

func (w *progWriter) result() string {
	switch w.inFunc {
	case "":
		return w.test()
	case "string":
		return w.pick(w.strs...)
	case "bool":
		return w.test()
	}
	return "(" + w.inFunc + ")(" + w.expr() + ")"
}

func (w *progWriter) fun() {
	ret := w.pick("s64", "u8", "s16", "bool", "string")
	if w.numbers {
		ret = w.pick("s64", "u8", "s16", "bool")
	}
	name, a, b := w.fresh("f"), w.fresh("v"), w.fresh("p")
	w.line(0, "%s %s(s32 %s%s) {", ret, name, a, map[bool]string{true: "", false: ", string " + b}[ret == "string" || w.numbers])
	ints, strs := w.ints, w.strs
	w.ints = append(append([]intInfo(nil), w.ints...), intInfo{a, 32, true})
	if ret != "string" && !w.numbers {
		w.strs = append(append([]string(nil), w.strs...), b)
	}
	w.inFunc = ret
	w.block(1, 1+w.r.IntN(3))
	w.line(1, "return %s;", w.result())
	w.inFunc = ""
	w.ints, w.strs = ints, strs
	w.line(0, "}")
	if ret == "string" {
		w.strFns = append(w.strFns, name)
	} else {
		w.funcs = append(w.funcs, name)
	}
}

func (w *progWriter) program() string {
	w.b.Reset()
	w.names, w.maps, w.states, w.funcs, w.strFns, w.loops = 0, nil, nil, nil, nil, 0
	for n := w.r.IntN(3); n > 0; n-- {
		s := w.fresh("st")
		t := declTypes[w.r.IntN(len(declTypes))]
		w.line(0, "%sstate %s %s = %d;", w.pick("", "percpu "), t, s, w.r.IntN(100))
		w.states = append(w.states, s)
	}
	for n := w.r.IntN(3); n > 0; n-- {
		m := w.fresh("m")
		w.line(0, "map<%s, %s> %s[%d];", w.pick("pid", "tid", "cpu", "u8", "s64"), declTypes[w.r.IntN(len(declTypes))], m, 1+w.r.IntN(6))
		w.maps = append(w.maps, m)
	}
	for n := w.r.IntN(3); n > 0; n-- {
		w.fun()
	}
	w.line(0, "{")
	// What a program drops at once is what the kernel can drop before it.
	for w.r.IntN(3) == 0 {
		w.line(1, "if (%s) return false;", w.cond(1))
	}
	w.block(1, 2+w.r.IntN(6))
	w.line(1, "return %s;", w.test())
	w.line(0, "}")
	return w.b.String()
}

// Random programs: what the instructions make of a stream of records is what walking
// the statements makes of it, in verdict, fault, budget and columns; what is pushed of
// one is never false where it lets a record through, and what it drops the program
// need not have seen: what it keeps from record to record is the same; and printed and parsed again it is
// the same.
func comparePrograms(t *testing.T, seed uint64, n int) {
	s := randomSchema()
	w := &progWriter{writer: &writer{r: rand.New(rand.NewPCG(seed, 7)), faulty: true}}
	pushes, dropped := 0, 0
	compiled, kept, faults := 0, 0, map[Fault]int{}
	for i := 0; i < n; i++ {
		w.ints, w.strs = append([]intInfo(nil), intFields...), []string{"str", "next_comm", "tag", "$comm"}
		w.faulty = w.r.IntN(3) == 0
		w.fields = len(w.ints)
		src := w.program()
		o := Options{Budget: []int{0, 0, 7, 40, 1 + w.r.IntN(60)}[w.r.IntN(5)]}
		if w.r.IntN(3) == 0 {
			o.OnFault = Pass
		}
		p, err := Compile(src, s, o)
		if err != nil {
			continue // shifts by constants out of range and the like
		}
		compiled++
		file, serr := syntax.Parse(src)
		if serr != nil {
			t.Fatal(serr)
		}
		printed := syntax.PrintFile(file)
		again, serr := syntax.Parse(printed)
		if serr != nil || syntax.PrintFile(again) != printed {
			t.Fatalf("printed and parsed again it is not the same: %v\n%s", serr, printed)
		}
		ref := newProgEval(p)
		push := p.Push(KernelFeatures{Function: true, CPUS: true, CPUCount: 4})
		var kernel *Program
		if push.Text != "" {
			pushes++
			kernel = mustCompile(t, push.Text, s, Options{KernelCompat: true, CPUs: 4})
		}
		behind := mustCompile(t, src, s, o) // sees what the kernel lets through
		for j := 0; j < 12; j++ {
			r := w.plainRecord(s)
			r.Time = int64(j)*1_500_000 + int64(w.r.IntN(1000))
			// What is cut off is so behind the kernel's filter.
			whole := w.r.IntN(20) != 0
			if !whole {
				r.Raw = r.Raw[:w.r.IntN(len(r.Raw))]
			}
			pushed := true
			if kernel != nil && whole {
				pushed, _ = kernel.Match(r)
			}
			wantOK, wantFault := ref.decide(r, p.onFault)
			ok, fault := p.Match(r)
			if ok != wantOK || fault != wantFault || p.Used() != p.budget-ref.left {
				t.Fatalf("seed %d, %s\n%s\nrecord %d: got %v, %v, %d used; want %v, %v, %d used", seed, src, p.IR(), j, ok, fault, p.Used(), wantOK, wantFault, p.budget-ref.left)
			}
			if ok && !pushed {
				t.Fatalf("%s\n%s\nrecord %d passes (%v, %+v), and the pushed part is false for it: %s", src, p.IR(), j, fault, o, push.Text)
			}
			if !pushed {
				dropped++
			} else if bOK, bFault := behind.Match(r); bOK != ok || bFault != fault || behind.Used() != p.Used() {
				t.Fatalf("%s\nrecord %d, behind the pushed %s: got %v, %v, %d used; want %v, %v, %d used", src, j, push.Text, bOK, bFault, behind.Used(), ok, fault, p.Used())
			}
			faults[fault]++
			if ok {
				kept++
			}
			for k, e := range p.Emits() {
				want := ref.emits[k]
				var got any
				if e.vtype.typ == tStr {
					if b, has := p.EmittedText(k); has {
						got = string(b)
					}
				} else if v, has := p.EmittedInt(k); has {
					got = ofUint(v, e.vtype.typ)
				}
				if b, is := want.(*big.Int); is && got != nil && ofUint(b.Uint64(), e.vtype.typ).Cmp(got.(*big.Int)) == 0 {
					continue
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%s\nrecord %d, column %s: got %v, want %v", src, j, e.Name, got, want)
				}
				if ok && got == nil && !e.Nullable {
					t.Fatalf("%s\nrecord %d passes without a value of %s, which is never null", src, j, e.Name)
				}
			}
		}
	}
	t.Logf("%d of %d programs compiled, %d pushed in part, %d records dropped by that, %d kept, faults %v", compiled, n, pushes, dropped, kept, faults)
	if compiled < n/3 || kept == 0 || pushes < n/50 || dropped < n/10 {
		t.Errorf("%d of %d programs compiled, %d pushed, %d records dropped by that, %d kept: the test tests nothing", compiled, n, pushes, dropped, kept)
	}
}

func TestRandomPrograms(t *testing.T) {
	n := 3000
	if v, err := strconv.Atoi(os.Getenv("PERFPIPE_LONG")); err == nil {
		n = v
	}
	comparePrograms(t, 1, n)
}
