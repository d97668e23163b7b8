package filters

import (
	"slices"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// The fast way through a program of plain tests and the general one are the same;
// so is the tree itself, decided by an interpreter that shares no code with either.
func TestMatchAgrees(t *testing.T) {
	fast, flat := 0, 0
	for _, o := range []Options{{CPUs: 2}, {CPUs: 2, OnFault: Pass}} {
		randomPrograms(t, 11, 3000, true, o, func(w *writer, p *Program) {
			if p.simple {
				fast++
			}
			if p.flat.n > 0 {
				flat++
			}
			for i := 0; i < 8; i++ {
				r := w.record(p.schema)
				ok, fault := p.Match(r)
				if ok2, fault2 := p.runSmallOrLarge(r); ok != ok2 || fault != fault2 {
					t.Fatalf("%s: Match says %v %v, the general way %v %v", p.source, ok, fault, ok2, fault2)
				}
				want, wf := (&treeEval{r: r}).decide(p.root, p.onFault)
				if ok != want || fault != wf {
					t.Fatalf("%s: got %v %v, the tree says %v %v\n%x", p.source, ok, fault, want, wf, r.Raw)
				}
			}
		})
	}
	if fast < 1000 || flat < 300 {
		t.Errorf("only %d programs took the fast way, %d of them without a jump", fast, flat)
	}
}

func (p *Program) runSmallOrLarge(r *perfpipe.Record) (bool, Fault) {
	if p.regs <= smallRegs {
		return p.runSmall(r, nil)
	}
	return p.runLarge(r, nil)
}

// A record that is cut off gives the fault, or the same verdict where what is
// missing was not needed; never a panic.
func TestTruncatedRecords(t *testing.T) {
	faults := 0
	randomPrograms(t, 13, 1500, true, Options{CPUs: 2}, func(w *writer, p *Program) {
		r := w.record(p.schema)
		whole, wholeFault := p.Match(r)
		raw := r.Raw
		for n := 0; n < len(raw); n += 1 + w.r.IntN(5) {
			cut := *r
			cut.Raw = raw[:n:n]
			ok, fault := p.Match(&cut)
			if fault == FaultTruncated {
				faults++
				if ok {
					t.Fatalf("%s: a fault that passes", p.source)
				}
				continue
			}
			if ok != whole || fault != wholeFault {
				t.Fatalf("%s: %d of %d bytes give %v %v, all give %v %v", p.source, n, len(raw), ok, fault, whole, wholeFault)
			}
			if p.root.isConst() {
				break
			}
		}
	})
	if faults < 1000 {
		t.Errorf("got %d faults: the test tests nothing", faults)
	}
}

func TestVisited(t *testing.T) {
	s := randomSchema()
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"a == 0 && b == 0 || c == 0", []string{"a", "b"}},
		{"a == 1 && b == 0 || c == 0", []string{"a", "c"}},
		{"c == 0 || a == 0", []string{"c"}},
		{"a == 1 || a == 0 || b == 1", []string{"a"}},
		{"CPU == 3 || $tid == 9 || $comm == \"x\" || COMM ~ \"y\"", []string{"CPU", "$tid", "$comm", "COMM"}},
		{"a + b * c > 100", []string{"a", "b", "c"}},
		{"a ? b == 1 : c == 1", []string{"a", "c"}},
		{"arr4[a] == 1 || str == \"\"", []string{"a", "arr4", "str"}},
		{"strlen(str) > 5 || str ~ \"*x\"", []string{"str"}},
		{"1 / a == 1 || b == 0", []string{"a"}},
		{"a in {1, 2, 4, 6, 8, 10} || saddr[1] == 4", []string{"a", "saddr"}},
		{"has(a) && mask & CPUS{1}", []string{"mask"}},
	} {
		p, err := Compile(tt.filter, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		raw := make([]byte, s.Size+16)
		for _, f := range []string{"str", "mask"} {
			putInt(raw[s.Field(f).Offset:][:4], uint64(s.Size)|8<<16)
		}
		got, _, _ := p.Visited(&perfpipe.Record{Raw: raw}, nil)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.filter, got, tt.want)
		}
	}
}

// A fault aborts the whole filter.
func TestFaults(t *testing.T) {
	s := randomSchema()
	raw := make([]byte, s.Size+8)
	putInt(raw[s.Field("str").Offset:][:4], uint64(s.Size)|2<<16)
	raw[s.Size] = 'x'
	putInt(raw[s.Field("dyn").Offset:][:4], uint64(s.Size+2)|4<<16)
	for _, tt := range []struct {
		filter string
		ok     bool
		want   Fault
	}{
		{"b/a == 1", false, FaultDivision},
		{"!(b/a == 1)", false, FaultDivision},
		{"b % a == 1 || c == 0", false, FaultDivision},
		{"c == 0 || b % a == 1", true, 0},
		{"c == 1 && b % a == 1", false, 0},
		{"1 << (a - 1) == 0", false, FaultShift},
		{"1 << (a + 63) != 0", true, 0},
		{"1 >> (a + 64) == 0", false, FaultShift},
		{"arr4[a + 4] == 0", false, FaultIndex},
		{"arr4[a + 3] == 0", true, 0},
		{"arr4[a - 1] == 0", false, FaultIndex},
		{"dyn[a + 1] == 0", true, 0},
		{"dyn[a + 2] == 0", false, FaultIndex},
		{"str[0] == 'x'", true, 0},
		{"str[a + 2] == 'x'", false, FaultIndex},
		{"strlen(str) == 1", true, 0},
		{"-9223372036854775808 / (a - 1) == -9223372036854775808", true, 0},
		{"-9223372036854775808 % (a - 1) == 0", true, 0},
		{"(b/a == 1) ? 1 : 1", false, FaultDivision},
		{"0 * (b/a) == 0", false, FaultDivision},
		{"b/a in {1..5}", false, FaultDivision},
		{"(u8)(b/a) < 256", false, FaultDivision},
	} {
		for _, onFault := range []Verdict{Drop, Pass} {
			p, err := Compile(tt.filter, s, Options{OnFault: onFault})
			if err != nil {
				t.Errorf("%s: %v", tt.filter, err)
				continue
			}
			want := tt.ok || tt.want != 0 && onFault == Pass
			if ok, fault := p.Match(&perfpipe.Record{Raw: raw}); ok != want || fault != tt.want {
				t.Errorf("%s: got %v %v, want %v %v", tt.filter, ok, fault, want, tt.want)
			}
		}
	}
}

func TestValues(t *testing.T) {
	s := randomSchema()
	raw := make([]byte, s.Size+16)
	set := func(name string, v uint64) { putInt(raw[s.Field(name).Offset:][:s.Field(name).Size], v) }
	set("s64", 1<<63)
	set("u64", 1<<63)
	set("s8", 0xff)
	set("u32", 0xffffffff)
	set("a", 0xfffffffb) // -5
	copy(raw[s.Field("saddr").Offset:], []byte{10, 1, 2, 3})
	copy(raw[s.Field("saddr6").Offset:], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	copy(raw[s.Field("next_comm").Offset:], "bash\x00zsh")
	putInt(raw[s.Field("str").Offset:][:4], uint64(s.Size)|5<<16)
	copy(raw[s.Size:], "b*\\[\x00")
	putInt(raw[s.Field("mask").Offset:][:4], uint64(s.Size+8)|8<<16)
	raw[s.Size+8] = 0b110
	r := &perfpipe.Record{Raw: raw, CPU: 3, PID: 41, TID: 42, Comm: "kworker/0:1", Time: 1_000_000_007}
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{"s64 < u64", true}, {"s64 == u64", false}, {"s64 != u64", true}, {"u64 > s64", true}, {"s64 >= u64", false},
		{"(u64)s64 == u64", true}, {"s8 < u32", true}, {"s8 == -1", true}, {"s8 + u32 == 0xfffffffe", true},
		{"a / 2 == -2", true}, {"a % 2 == -1", true}, {"a >> 1 == -3", true}, {"(u64)a >> 1 == 0x7ffffffffffffffd", true},
		{"-a == 5", true}, {"~a == 4", true}, {"u64 * 2 == 0", true}, {"u32 + 1 == 0x100000000", true},
		{"(u8)a == 251", true}, {"(s8)(u8)a == -5", true}, {"(bool)a + 1 == 2", true}, {"(a == -5) + (a < 0) == 2", true},
		{"a in {-7..-3}", true}, {"a in {1, 2}", false}, {"u32 in {0xffffffff}", true}, {"$time / 1000000000 == 1", true},
		{"next_comm == \"bash\"", true}, {"next_comm ~ \"*sh\"", true}, {"next_comm ~ \"*zsh\"", false}, {"next_comm in {\"sh\", 'bash'}", true},
		{"strlen(next_comm) == 4", true}, {"startswith(next_comm, \"ba\")", true}, {"endswith(next_comm, \"ash\")", true}, {"contains(next_comm, \"as\")", true},
		{"contains(next_comm, \"zs\")", false}, {"str == \"b*\\[\"", true}, {"startswith(str, \"b*\")", true}, {"endswith(str, \"\\[\")", true}, {"str == c\"b*\\\\[\"", true},
		{"next_comm[1] == 'a'", true}, {"startswith(next_comm, (a < 0 ? \"ba\" : \"zz\"))", true}, {"(a < 0 ? next_comm : str) == \"bash\"", true},
		{"startswith(next_comm, ($comm != next_comm ? \"ba\" : \"zz\"))", true},
		{"ip(saddr) == ip(\"10.1.2.3\")", true}, {"cidr(saddr, \"10.0.0.0/8\")", true}, {"cidr(saddr, \"10.128.0.0/9\")", false}, {"cidr(saddr6, \"fe80::/10\")", true}, {"cidr(saddr6, \"fec0::/10\")", false},
		{"saddr == 0x0302010a", true}, {"saddr[0] == 10", true},
		{"popcount(u32) == 32", true}, {"log2(u32) == 31", true}, {"log2(0) == 0", true}, {"ntohs(0x1234) == 0x3412", true}, {"ntohl(0x12345678) == 0x78563412", true}, {"bswap(1) == 0x100000000000000", true},
		{"abs(a) == 5", true}, {"abs(s64) == -9223372036854775808", true}, {"min(a, 3, -9) == -9", true}, {"max(u32, 5) == 0xffffffff", true}, {"clamp(a, -3, 3) == -3", true},
		{"has_flag(u32, 0x81)", true}, {"has_flag(s8, 0x81)", true}, {"any_flag(a, 4)", false}, {"any_flag(a, 3)", true}, {"hash(a) == hash(-5)", true}, {"hash(next_comm) == hash(\"bash\")", true},
		{"has(a) && !has(nosuch)", true}, {"has(nosuch) && nosuch == 5", false}, {"!has(nosuch) || nosuch == 5", true}, {"has(nosuch) ? nosuch == 1 : a == -5", true},
		{"$cpu == 3 && $pid == 41 && $tid == 42 && $comm ~ \"kworker*\" && CPU & 2 && COMM == \"kworker/0:1\"", true}, {"$event == \"test:random\"", true},
		{"mask & CPUS{1}", true}, {"mask & CPUS{0,3-7}", false}, {"mask == CPUS{1-2}", true}, {"mask != CPUS{1-2}", false}, {"mask == CPUS{1}", false}, {"mask == CPUS{2}", false}, {"mask == CPUS{1-3}", false},
		{"(s64)(a + strlen((a * 2 + b == -10 ? next_comm : str))) == -1", true}, {"(s64)(a * 3 + strlen((strlen(str) + b == 4 ? next_comm : $comm))) == -11", true}, {"strlen((b + 1 > a * 1 ? next_comm : str)) - a == 9", true},
		{"a == -EINTR + -1", true}, {"s8 + 'x' == 'w'", true}, {"a < 0 && true", true}, {"a < 0 && false", false},
	} {
		p, err := Compile(tt.filter, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if ok, fault := p.Match(r); ok != tt.want || fault != 0 {
			t.Errorf("%s: got %v %v, want %v", tt.filter, ok, fault, tt.want)
		}
		got, ok, fault := p.Visited(r, []string{"kept"})
		if ok != tt.want || fault != 0 || got[0] != "kept" {
			t.Errorf("%s traced: got %v %v %v, want %v", tt.filter, got, ok, fault, tt.want)
		}
	}
}
