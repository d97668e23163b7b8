package filters

import (
	"encoding/binary"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// switchRecords are 256 raw sched_switch records of a made-up, mixed load.
func switchRecords(tb testing.TB, s *perfpipe.Schema) []perfpipe.Record {
	tb.Helper()
	names := []string{"bash", "kworker/0:1", "swapper/1", "node", "kworker/u8:3", "postgres", "ksoftirqd/0", "sh"}
	put := func(raw []byte, field string, v uint64) {
		f := s.Field(field)
		putInt(raw[f.Offset:f.Offset+f.Size], v)
	}
	out := make([]perfpipe.Record, 256)
	x := uint32(1)
	for i := range out {
		x = x*1664525 + 1013904223
		raw := make([]byte, (s.Size+7)&^7)
		put(raw, "prev_pid", uint64(x>>16&3)*uint64(x>>20&1023))
		put(raw, "next_pid", uint64(x>>8&4095))
		put(raw, "prev_prio", 120)
		put(raw, "next_prio", 90+uint64(x>>24&31))
		copy(raw[s.Field("prev_comm").Offset:], names[x>>10&7])
		copy(raw[s.Field("next_comm").Offset:], names[x>>13&7])
		binary.LittleEndian.PutUint16(raw, 300)
		out[i] = perfpipe.Record{Raw: raw, CPU: uint16(i & 3), Comm: names[x>>10&7]}
	}
	return out
}

func BenchmarkMatch(b *testing.B) {
	s := formatOf(b, "sched/sched_switch")
	recs := switchRecords(b, s)
	for _, bm := range []struct{ name, filter string }{
		{"three", `prev_pid == 0 && next_prio < 100 || next_comm ~ "kworker*"`},
		{"one", `next_prio < 100`},
		{"suffix", `next_comm ~ "*sh"`},
		{"set", `next_pid in {1, 5..9, 100, 1000..2000, 3000, 4000}`},
		{"arithmetic", `next_prio - prev_prio > 10 || next_pid % 7 == 3`},
		{"strings", `strlen(next_comm) > 6 && prev_comm != next_comm`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, err := Compile(bm.filter, s, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(recs[0].Raw)))
			b.ReportAllocs()
			n := 0
			for i := 0; b.Loop(); i++ {
				if ok, _ := p.Match(&recs[i&255]); ok {
					n++
				}
			}
			if n == 0 {
				b.Fatal("nothing matched: the benchmark measures nothing")
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	s := formatOf(b, "sched/sched_switch")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(`prev_pid == 0 && next_prio < 100 || next_comm ~ "kworker*"`, s, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	recs := switchRecords(t, s)
	for _, filter := range []string{
		`prev_pid == 0 && next_prio < 100 || next_comm ~ "kworker*"`,
		`next_comm ~ "*[s]h" || COMM ~ "*o*" || $comm == prev_comm`,
		`next_pid in {1, 5..9, 100, 1000..2000, 3000, 4000} || CPU & CPUS{1-2}`,
		`(next_pid > 100 ? prev_comm : next_comm) == "sh" || hash(next_comm) % 3 == 1`,
		`next_pid / prev_pid > 3`,
		`next_comm[next_pid] == 's'`,
	} {
		for _, o := range []Options{{}, {OnFault: Pass}} {
			p, err := Compile(filter, s, o)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(10, func() {
				for i := range recs {
					p.Match(&recs[i])
				}
			}); n != 0 {
				t.Errorf("%s: got %v allocations, want 0", filter, n)
			}
		}
	}
}
