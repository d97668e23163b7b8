package filters

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// against runs the program and the reference, which walks its statements, on the records.
func against(t *testing.T, src string, s *perfpipe.Schema, o Options, recs []perfpipe.Record) {
	t.Helper()
	p := mustCompile(t, src, s, o)
	ref := newProgEval(p)
	for i := range recs {
		want, wantFault := ref.decide(&recs[i], p.onFault)
		ok, fault := p.Match(&recs[i])
		if used := p.budget - ref.left; ok != want || fault != wantFault || p.Used() != used {
			t.Fatalf("%s\nbudget %d, record %d of %d bytes: got %v, %v, %d used; want %v, %v, %d used",
				src, p.budget, i, len(recs[i].Raw), ok, fault, p.Used(), want, wantFault, used)
		}
	}
}

// The count of the budget is exact wherever it runs out, though charges are put together.
func TestEveryBudget(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	recs := switchRecords(t, s)
	for i := range recs {
		recs[i].Time = int64(i) * 400_000
	}
	programs := []string{
		fifty,
		`map<pid, u32> n[8]; bool low(s32 p) { return p >= 0 && p < 100; }
		{ n[prev_pid] += 1; if (low(next_prio) || low(prev_prio)) { delete n[prev_pid]; } for (i = 0; i < 3; i++) { if (i > 1 && next_pid > 100 * i) break; n[next_pid] += 1; } return next_pid in n; }`,
		`state u32 st; u64 both(u64 a, u64 b) { if (a > b) return a; a += 1; return a; }
		{ u64 x = both((u64)next_pid, both((u64)prev_pid, 7)); st += 3; for (i = 0; i < x % 30 max 25; i++) { if (i == 20) { st = 0; continue; } st++; } return st % 4 == 1 && x > 3; }`,
		`percpu state u8 k; { for (i = -1; i < 3; i++) { for (j = i; j < 2 max 4; j++) { k += 9; if (k > 200 - i) return j == 1; } } return k < 100; }`,
	}
	for _, src := range programs {
		for budget := 1; budget < 70; budget++ {
			for _, v := range []Verdict{Drop, Pass} {
				against(t, src, s, Options{Budget: budget, OnFault: v}, recs)
			}
		}
	}
}

// Records that are cut off fault where they did when nothing was kept in registers.
func TestCutRecordsInPrograms(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	whole := switchRecords(t, s)
	for _, src := range []string{fifty,
		`{ bool sh = next_comm ~ "*sh" || prev_comm ~ "*sh"; if (sh && prev_pid > 3 || next_pid > 5) return next_pid > prev_pid; return prev_pid > 4; }`,
	} {
		var recs []perfpipe.Record
		for n := range len(whole[0].Raw) {
			for i := range 3 {
				r := whole[(3*n+i)%len(whole)]
				r.Raw, r.Time = r.Raw[:n:n], int64(n)*100_000
				recs = append(recs, r)
			}
		}
		against(t, src, s, Options{}, recs)
	}
}

// What was read of a map is not read again, unless it may be another by then.
func TestElementsKept(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	recs := switchRecords(t, s)
	for _, body := range []string{
		`if (next_pid in m) { m[next_pid] = 5; return m[next_pid] == 5; } m[next_pid] += 2; return false;`,
		`m[next_pid] += 1; u32 x = m[next_pid]; m[prev_pid] += 1; return x != m[next_pid];`,
		`m[next_pid] += 1; return m[next_pid] + more(next_pid) != m[next_pid] * 2;`,
		`m[next_pid] += 1; return twice(next_pid, m[next_pid]) % 3 == 1;`,
		`m[next_pid] += 1; if (prev_pid > 100) { delete m[next_pid]; } return m[next_pid] > 0;`,
		`m[next_pid] += 1; for (i = 0; i < 20; i++) { if (m[next_pid] > 4) return true; delete m[next_pid]; } return false;`,
		`if (next_pid > 2000 && !(next_pid in m)) return false; if (m[next_pid] > 1) return true; m[next_pid] += 1; m[next_pid & 2047] += 1; return false;`,
		`for (i = 0; i < 3; i++) { if (next_pid in m) m[next_pid] += 7; else m[next_pid] = 1; } return m[next_pid] % 5 == 1;`,
		`if (0 in m && m[0] > 3 || next_pid in m) { m[0] += 1; return m[0] > 10; } m[next_pid] += 1; m[0] += 1; return false;`,
		`if (next_pid in m || prev_pid in m) { return m[next_pid] == m[prev_pid]; } m[next_pid] = 1; m[prev_pid] += 1; return true;`,
	} {
		against(t, `map<pid, u32> m[4096];
			u32 more(s32 p) { m[p] += 1; return m[p]; }
			u32 twice(s32 p, u32 n) { m[p] += n; return m[p] + n; }
			{ `+body+` }`, s, Options{}, recs)
	}
}

// A program that needs nearly all registers has none left to keep things in.
func TestFewRegisters(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	recs := switchRecords(t, s)
	spare := 0
	for n := 110; n < 130; n++ {
		src := "{ if (next_pid > prev_pid) return next_pid + prev_pid + next_prio > 1000; " + manyVariables(n) + " return next_prio > 100 && x0 == 1; }"
		p, err := Compile(src, s, Options{})
		if err != nil {
			break
		}
		if p.sparing {
			spare++
		}
		against(t, src, s, Options{}, recs)
	}
	if spare == 0 {
		t.Error("no program was short of registers: the test tests nothing")
	}
}

// Suffixes of names are found in place, whatever their length and what is behind the NUL.
func TestSuffixInPrograms(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	f := s.Field("next_comm")
	raw := []byte(strings.Repeat("abc", s.Size))[:s.Size] // before the field, too
	for n := 0; n <= f.Size; n++ {
		for k := range f.Size {
			raw[f.Offset+k] = "abc"[(f.Offset+k)%3]
		}
		if n < f.Size {
			raw[f.Offset+n] = 0
		}
		text := string(raw[f.Offset : f.Offset+n])
		for _, tail := range []string{"a", "b", "ab", "abc", "cabc", "bcabcab", "abcabcab", "abcabcabc", "\xff", "x\x80b"} {
			p := mustCompile(t, fmt.Sprintf(`{ return next_comm ~ "*%s"; }`, tail), s, Options{})
			if ok, fault := p.Match(&perfpipe.Record{Raw: raw}); ok != strings.HasSuffix(text, tail) || fault != 0 {
				t.Errorf("%q ends with %q: got %v, %v", text, tail, ok, fault)
			}
		}
	}
}
