package filters

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	code "github.com/perfpipe/perfpipe/filters/bpf"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// loopPrograms go round often. Followed round by round the verifier gives several of
// them up, after a million instructions or more than a minute.
func loopPrograms() []string {
	return []string{
		"{ u64 n = 0; for (i = 0; i < 64; i++) { n += u8; } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < 4000; i++) { n += u8; } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < u16 max 4000; i++) { if ((u64 >> (i & 63)) & 1) { n += u8; } } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < u16 max 60; i++) { for (j = 0; j < u8 max 60; j++) { if (((u64 >> (i & 63)) & 1) == ((s64 >> (j & 63)) & 1)) { n += u8; if (n > 1000) break; } } } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < 60; i++) { if (n > 5 && u8 > i) { n = n * 3 + i; } else { n++; } if (n == 9) continue; n ^= arr4[i & 3]; } return n > 3; }",
		"map<s64, u64> m[8]; { u64 n = 0; for (i = 0; i < u16 max 1000; i++) { m[i & 7] += n; n++; if (m[i & 3] > 100) return true; } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < u16 max 100000; i++) { n += u8; } return n > 3; }",
		"u64 f(u64 x) { u64 n = 0; for (i = 0; i < x max 16; i++) { if (x & (s64)1 << i) n += 1; } return n; } { u64 n = 0; for (i = 0; i < u16 max 200; i++) { n += f(n + i); } return n > 3; }",
		"{ u64 n = 0; for (i = 0; i < 4; i++) { for (j = 0; j < 4; j++) { for (k = 0; k < 4; k++) { for (l = 0; l < 16; l++) { n += u8 * l + j; if (n & 0x100) n -= k; } } } } return n > 3; }",
	}
}

// Large loops are loaded, and go round as often as in process, to the end of the budget.
func TestBPFLoops(t *testing.T) {
	testpriv.Need(t)
	c := &code.Code{}
	c.Add(asm.Mov.Imm(asm.R0, 0))
	c.MayGoto("end")
	c.Mark("end")
	c.Add(asm.Return())
	probe, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, Instructions: c.Out, License: "GPL"})
	if err != nil {
		t.Skipf("this kernel has no may_goto, which Linux 6.9 brought: %v", err)
	}
	if err := probe.Close(); err != nil {
		t.Error(err)
	}
	s := randomSchema()
	for _, src := range loopPrograms() {
		for _, budget := range []int{300, DefaultBudget, 10_000} {
			p, err := Compile(src, s, Options{Budget: budget})
			if err != nil {
				t.Errorf("%s: %v", src, err)
				continue
			}
			w := &writer{r: rand.New(rand.NewPCG(7, 7)), numbers: true}
			var list []*perfpipe.Record
			for range 8 {
				list = append(list, w.plainRecord(s))
			}
			for _, left := range []bool{true, false} {
				if err := compareBPFAs(t, p, list, trialMode{left: left}); err != nil {
					t.Errorf("%s: %v", src, bpfReason(err))
				}
			}
		}
	}
}

// The exit that loops have is one that they never take: what could is refused.
func TestBPFLoopsWithLargeBudget(t *testing.T) {
	s := randomSchema()
	const src = "{ u64 n = 0; for (i = 0; i < u16 max 100000; i++) { n += u8; } return n > 3; }"
	for budget, want := range map[int]string{32766: "", 32767: "budget of 32767", MaxBudget: "at most 32766"} {
		p, err := Compile(src, s, Options{Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.BPF(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("budget %d: got %v, want %q", budget, err, want)
		}
	}
}

// Where the kernel has no may_goto, what it would have to follow too long is refused.
func TestBPFLoopsFollowed(t *testing.T) {
	s := randomSchema()
	for src, want := range map[string]bool{
		"{ u64 n = 0; for (i = 0; i < 4096; i++) { n += u8; } return n > 3; }":                                                                            true,
		"{ u64 n = 0; for (i = 0; i < 4097; i++) { n += u8; } return n > 3; }":                                                                            false,
		"{ u64 n = 0; for (i = 0; i < 64; i++) { for (j = 0; j < 65; j++) { n += u8; } } return n > 3; }":                                                 false,
		"u64 f() { for (i = 0; i < 100; i++) { if (i == u8) return 1; } return 0; } { for (i = 0; i < 50; i++) { if (f()) return true; } return false; }": false,
	} {
		p, err := Compile(src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		f, err := p.BPF()
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		place := trialPlace(p, f)
		place.Follow = true
		list, err := f.Write(place)
		if (err == nil) != want {
			t.Errorf("%s: got %v, want code %v", src, err, want)
		}
		for _, in := range list {
			if in.OpCode == mayGoto() {
				t.Errorf("%s: got may_goto", src)
			}
		}
	}
}

func mayGoto() asm.OpCode {
	var c code.Code
	c.MayGoto("x")
	return c.Out[0].OpCode
}
