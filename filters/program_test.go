package filters

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// fifty is a program of fifty lines, as people write them.
const fifty = `// Wake-ups of busy tasks: how long each waited, how deep it is in its burst.
const SLOW = 1000000;
const IDLE = 0;
map<pid, u64> woke[8192];
map<pid, u32> bursts[8192];
percpu state u64 last_switch;
percpu state u32 switches;
u64 capped(u64 x, u64 most) {
    if (x > most) return most;
    return x;
}
bool boring(s32 prio) {
    return prio >= 100 && prio < 120;
}
{
    if (prev_pid == IDLE && next_pid == IDLE) return false;
    u64 since = $time - last_switch;
    last_switch = $time;
    switches++;
    if (prev_state == 0) {
        woke[prev_pid] = $time;
    } else {
        delete bursts[prev_pid];
    }
    if (!(next_pid in woke)) return false;
    u64 waited = $time - woke[next_pid];
    delete woke[next_pid];
    u32 weight = 0;
    for (i = 0; i < 4; i++) {
        if (waited > SLOW >> i) {
            weight += 4 - i;
        }
    }
    if (weight == 0) {
        return false;
    }
    bursts[next_pid] += 1;
    u32 depth = bursts[next_pid];
    bool named = next_comm ~ "kworker*" || next_comm ~ "*sh";
    emit u64 waited_ns = capped(waited, 10 * SLOW);
    emit u32 depth = depth;
    emit u32 weight = weight;
    emit u64 since_ns = since;
    if (boring(next_prio) && named) {
        return depth > 3;
    }
    if (switches % 2 == 1 && waited < 10) {
        return false;
    }
    return waited >= 100 || weight > 2;
}`

func mustCompile(t testing.TB, src string, s *perfpipe.Schema, o Options) *Program {
	t.Helper()
	p, err := Compile(src, s, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// BenchmarkProgram50 runs the program on a stream in which it leaves early as often as
// it does, and on one in which every task was woken by the record before, so that each
// record goes through all of it and four rounds of the loop.
func BenchmarkProgram50(b *testing.B) {
	s := formatOf(b, "sched/sched_switch")
	for _, deep := range []bool{false, true} {
		name, step := "stream", int64(700)
		recs := switchRecords(b, s)
		if deep {
			name, step = "deep", 2_000_000
			put := func(i int, field string, v uint64) {
				f := s.Field(field)
				putInt(recs[i].Raw[f.Offset:f.Offset+f.Size], v)
			}
			for i := range recs {
				put(i, "prev_pid", uint64(i+1))
				put(i, "next_pid", uint64((i+len(recs)-1)%len(recs)+1))
				put(i, "prev_state", 0)
			}
		}
		b.Run(name, func(b *testing.B) {
			p := mustCompile(b, fifty, s, Options{})
			kept, used, at := 0, 0, int64(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := &recs[i&255]
				at += step
				r.Time = at
				if ok, fault := p.Match(r); ok {
					kept++
				} else if fault != 0 {
					b.Fatal(fault)
				}
				used += p.Used()
			}
			b.ReportMetric(float64(kept)/float64(b.N), "kept/op")
			b.ReportMetric(float64(used)/float64(b.N), "budget/op")
		})
	}
}

func TestProgramErrors(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	for _, tc := range []struct{ name, src, at, want string }{
		{"no verdict", "{ u8 x = 1; }", "}", "can end without a verdict"},
		{"no verdict on one way", "{ if (prev_pid == 0) { return true; } }", "", "can end without a verdict"},
		{"function ends", "u8 f(u8 x) { if (x == 0) return 1; } f(1) == 1", "} f", "f() can end without return"},
		{"unknown", "{ return prev_pidd == 1; }", "prev_pidd", "unknown field"},
		{"unknown variable", "{ x = 1; return true; }", "x = 1", "unknown variable"},
		{"unknown function", "{ g(1); return true; }", "g(1", "unknown function"},
		{"field assigned", "{ prev_pid = 1; return true; }", "prev_pid = 1", "which nothing changes"},
		{"constant assigned", "const N = 1; { N = 2; return true; }", "N = 2", "is no variable"},
		{"loop variable assigned", "{ for (i = 0; i < 3; i++) { i = 2; } return true; }", "i = 2", "counts the loop"},
		{"constant too large", "{ u8 x = 256; return x == 1; }", "256", "does not fit in u8"},
		{"negative", "{ u64 x = -1; return x == 1; }", "-1", "does not fit in u64"},
		{"string for integer", "{ u8 x = next_comm; return x == 1; }", "next_comm", "x is u8, this is a string"},
		{"integer for string", "{ string x = 1; return x == \"\"; }", "1", "x is a string"},
		{"twice", "{ u8 x = 1; u8 x = 2; return true; }", "x = 2", "declared already"},
		{"declared twice", "state u8 x; const x = 1; true", "x;", "declared already"},
		{"builtin", "u8 abs(u8 x) { return x; } abs(1) == 1", "abs", "is built in"},
		{"recursion", "u8 f(u8 x) { return f(x); } f(1) == 1", "f(x)", "no recursion"},
		{"mutual recursion", "u8 f(u8 x) { return g(x); } u8 g(u8 x) { return f(x); } f(1) == 1", "f(x);", "no recursion"},
		{"arguments", "u8 f(u8 x) { return x; } f(1, 2) == 1", "f(1", "takes 1 arguments"},
		{"break", "{ break; }", "break", "outside of a loop"},
		{"unbounded", "{ for (i = 0; i < next_pid; i++) { } return true; }", "next_pid", "not constant"},
		{"unbounded start", "{ for (i = next_pid; i < 5; i++) { } return true; }", "next_pid", "not constant"},
		{"max", "{ for (i = 0; i < next_pid max prev_pid; i++) { } return true; }", "prev_pid", "max is a constant"},
		{"max zero", "{ for (i = 0; i < next_pid max 0; i++) { } return true; }", "0; i++", "max is 1 to"},
		{"map as value", "map<u8, u8> m[3]; m == 1", "m == 1", "m is a map"},
		{"map size", "map<u8, u8> m[2147483648]; m[1] == 1", "2147483648", "a map of 2147483648 entries"},
		{"map of nothing", "map<u8, u8> m[0]; m[1] == 1", "0", "a map of 0 entries"},
		{"map of variable size", "map<u8, u8> m[prev_pid]; m[1] == 1", "prev_pid", "is a constant"},
		{"map of strings", "map<u8, string> m[3]; m[1] == 1", "map", "no strings"},
		{"map key", "map<u8, u8> m[3]; m[next_comm] == 1", "next_comm", "the key of m is u8"},
		{"state string", "state string s; s == \"\"", "state", "no strings"},
		{"state variable", "state u8 s = prev_pid; s == 1", "prev_pid", "begins with a constant"},
		{"in nothing", "{ return prev_pid in x; }", "in", "needs a set"},
		{"delete", "{ delete prev_comm[1]; return true; }", "prev_comm", "this is none"},
		{"element of a field", "{ prev_comm[1] = 2; return true; }", "prev_comm", "this is no map"},
		{"emit in function", "u8 f() { emit u8 x = 1; return 1; } f() == 1", "emit u8 x", "in a function"},
		{"emit taken", "{ emit u8 prev_pid = 1; return true; }", "prev_pid", "has a column prev_pid already"},
		{"emit reserved", "{ emit u8 comm = 1; return true; }", "comm", "has a column comm already"},
		{"emit types", "{ emit u8 x = 1; emit u16 x = 2; return true; }", "emit u16 x", "is u8 already"},
		{"constant of itself", "const N = N + 1; prev_pid == N", "N", "made of itself"},
		{"no constant", "const N = prev_pid; prev_pid == N", "prev_pid", "is no constant"},
		{"division", "{ u8 x = 1; return x / 0 == 1; }", "0 == 1", "division by zero"},
		{"value unused", "{ abs(1); return true; }", "abs(1)", "does nothing but give a value"},
		{"sample", "sample(2) && prev_pid == 1", "2", "fraction"},
		{"rate", "rate(prev_pid, 10)", "prev_pid", "two constants"},
		{"bool arithmetic", "{ bool b = true; b += 1; return b; }", "+=", "is for integers"},
		{"no clause", "on irq:softirq_raise { return true; }", "on irq:softirq_raise", "no clause for sched:sched_switch"},
		{"function is no value", "u8 f() { return 1; } f == 1", "f == 1", "f is a function"},
		{"registers", "{ " + manyVariables(300) + " return x0 == 1; }", "", "more variables"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := Compile(tc.src, s, Options{})
			if err == nil {
				t.Fatalf("got no error and\n%s\nwant %q", p.IR(), tc.want)
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %T, want an *Error", err)
			}
			if !strings.Contains(e.Reason, tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if tc.at != "" && !strings.HasPrefix(tc.src[e.Pos:], tc.at) {
				t.Errorf("the caret is at %q, want %q", tc.src[e.Pos:], tc.at)
			}
		})
	}
}

func manyVariables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "u64 x%d = $time + %d;\n", i, i)
	}
	return b.String()
}

// stream runs a program on records whose prev_pid are pids, at steps of a millisecond.
func stream(t *testing.T, p *Program, pids []uint64) (out []string) {
	t.Helper()
	s := p.Schema()
	f := s.Field("prev_pid")
	for i, pid := range pids {
		raw := make([]byte, s.Size)
		putInt(raw[f.Offset:f.Offset+f.Size], pid)
		ok, fault := p.Match(&perfpipe.Record{Raw: raw, Time: int64(i) * 1_000_000, CPU: uint16(i % 2), TID: int32(pid)})
		word := map[bool]string{true: "yes", false: "no"}[ok]
		if fault != 0 {
			word += " " + fault.String()
		}
		for k := range p.Emits() {
			if v, has := p.EmittedInt(k); has && ok {
				word += fmt.Sprintf(" %d", v)
			}
		}
		out = append(out, word)
	}
	return out
}

func TestPrograms(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	pids := []uint64{1, 2, 2, 3, 1}
	for _, tc := range []struct {
		name, src string
		o         Options
		want      string
	}{
		{"state", "state u64 n; { n++; return n > 3; }", Options{}, "no no no yes yes"},
		{"state begins", "state s8 n = -3; { n += 1; return n == 0; }", Options{}, "no no yes no no"},
		{"state wraps", "state u8 n = 254; { n++; emit u8 v = n; return true; }", Options{}, "yes 255,yes 0,yes 1,yes 2,yes 3"},
		{"percpu", "percpu state u64 n; { n++; return n == 2; }", Options{}, "no no yes yes no"},
		{"map", "map<pid, u64> seen[8]; { seen[prev_pid]++; return seen[prev_pid] == 2; }", Options{}, "no no yes no yes"},
		{"map in", "map<pid, bool> seen[8]; { if (prev_pid in seen) return true; seen[prev_pid] = true; return false; }", Options{}, "no no yes no yes"},
		{"map full", "map<pid, bool> m[2]; { m[prev_pid] = true; return true; }", Options{}, "yes yes yes,no map full,yes"},
		{"map full, pass", "map<pid, bool> m[2]; { m[prev_pid] = true; return true; }", Options{OnFault: Pass}, "yes yes yes,yes map full,yes"},
		{"delete", "map<pid, bool> m[1]; { m[prev_pid] = true; delete m[prev_pid]; return true; }", Options{}, "yes yes yes yes yes"},
		{"missing is 0", "map<pid, s32> m[1]; m[prev_pid] == 0", Options{}, "yes yes yes yes yes"},
		{"delta", "delta(prev_pid) != 0", Options{}, "no yes no yes yes"},
		{"changed", "changed(prev_pid)", Options{}, "yes yes no yes yes"},
		{"rate", "rate(2, 3)", Options{}, "yes yes no yes yes"},
		{"short circuit", "prev_pid == 2 && delta(prev_pid) == 0", Options{}, "no yes yes no no"},
		{"loop", "{ u64 n = 0; for (i = 0; i < prev_pid max 5; i++) { if (i == 1) continue; n += i; } emit u64 n2 = n; return true; }", Options{}, "yes 0,yes 0,yes 0,yes 2,yes 0"},
		{"break", "{ s64 at = -1; for (i = 0; i < 9; i++) { if (i * i >= prev_pid) { at = i; break; } } emit s64 root = at; return true; }", Options{}, "yes 1,yes 2,yes 2,yes 2,yes 1"},
		{"loop too long", "{ for (i = 0; i < prev_pid max 2; i++) { } return true; }", Options{}, "yes yes yes,no loop longer than its max,yes"},
		{"budget", "{ for (i = 0; i < prev_pid max 100; i++) { } return true; }", Options{Budget: 6}, "yes yes yes,no budget exceeded,yes"},
		{"function", "u64 twice(u64 x) { return 2 * x; } u64 four(u64 x) { return twice(twice(x)); } four(prev_pid) + twice(1) == 10", Options{}, "no yes yes no no"},
		{"const", "const TWO = 1 + 1; prev_pid == TWO", Options{}, "no yes yes no no"},
		{"fault", "{ if (prev_pid == 2) return 1 / (prev_pid - 2) == 0; return true; }", Options{}, "yes,no division by zero,no division by zero,yes,yes"},
		{"has", "{ if (has(nothing)) { return nothing == 1; } return prev_pid == 1; }", Options{}, "yes no no no yes"},
		{"where", "state u64 n; { n++; return n == 2; }", Options{Where: "prev_pid != 2"}, "no no no yes no"},
		{"clause", "on irq:softirq_raise { return false; } on sched:sched_switch { return prev_pid == 3; }", Options{}, "no no no yes no"},
		{"null column", "{ if (prev_pid == 2) { emit u8 x = 7; } return true; }", Options{}, "yes,yes 7,yes 7,yes,yes"},
		{"shadow", "{ u8 x = 1; { u8 x = 2; } return prev_pid == x; }", Options{}, "yes no no no yes"},
		{"string", "string which(s32 p) { if (p == 2) return \"two\"; return \"other\"; } which(prev_pid) == \"two\"", Options{}, "no yes yes no no"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := mustCompile(t, tc.src, s, tc.o)
			var want []string
			if strings.Contains(tc.want, ",") {
				for _, w := range strings.Split(tc.want, ",") {
					if !strings.Contains(w, "map") && !strings.Contains(w, "loop") && !strings.Contains(w, "budget") && !strings.Contains(w, "division") && len(w) > 8 {
						want = append(want, strings.Fields(w)...)
						continue
					}
					want = append(want, w)
				}
			} else {
				want = strings.Fields(tc.want)
			}
			if got := stream(t, p, pids); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestProgramPush(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	for _, tc := range []struct{ src, want string }{
		{"{ if (!(prev_pid == 0)) return false; return next_prio % 2; }", "prev_pid == 0"},
		{"{ if (prev_pid == 0 || next_pid == 0) return false; return true; }", "prev_pid != 0 && next_pid != 0"},
		{"{ return prev_pid == 0 && next_pid == 1; }", "prev_pid == 0 && next_pid == 1"},
		{"state u64 n; { if (prev_pid == 0) return false; n++; if (next_pid == 0) return false; return true; }", "prev_pid != 0"},
		{"state u64 n; { n++; if (prev_pid == 0) return false; return true; }", ""},
		{"prev_pid == 0 && delta(next_pid) == 1 && next_prio == 1", "prev_pid == 0"},
		{"delta(next_pid) == 1 && next_prio == 1", ""},
		{"{ u64 x = next_pid; if (prev_pid == 0) return false; return x == 1; }", "prev_pid != 0"},
		{"bool f() { return prev_pid == 0; } { if (f()) return false; return true; }", ""},
		{"{ if (prev_pid == 0) { return false; } else { return true; } }", ""},
	} {
		p := mustCompile(t, tc.src, s, Options{})
		push := p.Push(KernelFeatures{})
		if push.Text != tc.want || push.Exact || push.Rest != p {
			t.Errorf("%s: got %q, exact %v, want %q", tc.src, push.Text, push.Exact, tc.want)
		}
	}
}

func TestSampleIsTheSame(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	p := mustCompile(t, "sample(1/8)", s, Options{})
	q := mustCompile(t, "{ return sample(1/8); }", s, Options{})
	kept := 0
	for i := range 8000 {
		r := &perfpipe.Record{Raw: make([]byte, s.Size), Time: int64(i) * 1234, CPU: uint16(i % 3), TID: int32(i % 100)}
		a, _ := p.Match(r)
		if b, _ := q.Match(r); a != b {
			t.Fatalf("record %d: the expression says %v, the program %v", i, a, b)
		}
		if a {
			kept++
		}
	}
	if kept < 800 || kept > 1200 {
		t.Errorf("got %d of 8000, want about 1000", kept)
	}
}

func TestSetSharesState(t *testing.T) {
	set, err := ParseSet("map<tid, u64> at[10]; u64 now() { return $time; }\non sched:sched_wakeup { at[pid] = now(); return false; }\non sched:sched_switch { emit u64 waited = now() - at[next_pid]; return next_pid in at; }")
	if err != nil {
		t.Fatal(err)
	}
	wake := formatOf(t, "sched/sched_wakeup")
	swtch := formatOf(t, "sched/sched_switch")
	a, err := set.Compile(set.For("sched:sched_wakeup"), wake, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := set.Compile(set.For("sched:sched_switch"), swtch, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Passes() || !b.Passes() {
		t.Errorf("got passes %v and %v, want false and true", a.Passes(), b.Passes())
	}
	record := func(s *perfpipe.Schema, field string, pid uint64, at int64) *perfpipe.Record {
		raw := make([]byte, s.Size)
		f := s.Field(field)
		putInt(raw[f.Offset:f.Offset+f.Size], pid)
		return &perfpipe.Record{Raw: raw, Time: at}
	}
	a.Match(record(wake, "pid", 7, 100))
	if ok, _ := b.Match(record(swtch, "next_pid", 8, 150)); ok {
		t.Errorf("a task that nobody woke passes")
	}
	ok, fault := b.Match(record(swtch, "next_pid", 7, 150))
	if v, has := b.EmittedInt(0); !ok || fault != 0 || !has || v != 50 {
		t.Errorf("got %v, %v, %d, %v; want a row that waited 50", ok, fault, v, has)
	}
}

func TestProgramAllocatesNothing(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	recs := switchRecords(t, s)
	p := mustCompile(t, fifty, s, Options{})
	n := 0
	if got := testing.AllocsPerRun(20, func() {
		for i := range recs {
			recs[i].Time += 1_000_000
			if ok, _ := p.Match(&recs[i]); ok {
				n++
			}
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
	if n == 0 {
		t.Error("nothing passed: the test tests nothing")
	}
}

func TestVisitedOfProgram(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	p := mustCompile(t, "{ if (prev_pid == 1) return next_comm == \"x\"; return next_prio > 3; }", s, Options{})
	r := &perfpipe.Record{Raw: make([]byte, s.Size)}
	got, _, _ := p.Visited(r, nil)
	if want := []string{"prev_pid", "next_prio"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzCompileProgram: no text makes the checker or the generator panic, and what
// compiles decides any record.
func FuzzCompileProgram(f *testing.F) {
	f.Add(fifty, []byte{1, 2, 3})
	w := &progWriter{writer: &writer{r: newRand(), faulty: true}}
	for range 10 {
		w.ints, w.strs = append([]intInfo(nil), intFields...), []string{"str", "next_comm"}
		w.fields = len(w.ints)
		f.Add(w.program(), []byte("abc"))
	}
	s := randomSchema()
	f.Fuzz(func(t *testing.T, src string, raw []byte) {
		p, err := Compile(src, s, Options{})
		if err != nil {
			return
		}
		r := &perfpipe.Record{Raw: raw}
		ok, fault := p.Match(r)
		if fault != 0 && ok {
			t.Errorf("%q: a fault passes", src)
		}
		if p.body == nil {
			return
		}
		_ = p.IR()
		q, err := Compile(p.Parsed(), s, Options{})
		if err != nil {
			t.Fatalf("%q: printed as %q it does not compile: %v", src, p.Parsed(), err)
		}
		if ok2, fault2 := q.Match(r); ok2 != ok || fault2 != fault || q.Used() != p.Used() {
			t.Errorf("%q: got %v %v, printed %v %v", src, ok, fault, ok2, fault2)
		}
	})
}
