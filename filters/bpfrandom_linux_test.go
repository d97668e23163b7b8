package filters

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// bpfTally counts what became of random programs.
type bpfTally struct {
	slowest                      time.Duration
	refused                      int // by the verifier
	slow                         string
	compiled, ran, records, kept int
	faults                       map[Fault]int
	reasons                      map[string]int
}

func (y *bpfTally) log(t *testing.T) {
	t.Helper()
	t.Logf("%d compiled, %d of them ran in the kernel on %d records, of which %d were kept, faults %v", y.compiled, y.ran, y.records, y.kept, y.faults)
	t.Logf("the slowest took %v:\n%s", y.slowest, y.slow)
	for _, k := range slices.SortedFunc(maps.Keys(y.reasons), func(a, b string) int { return y.reasons[b] - y.reasons[a] }) {
		t.Logf("%7d  %s", y.reasons[k], k)
	}
}

// bpfReason is err without what differs from program to program.
func bpfReason(err error) string {
	if v, ok := errors.AsType[*ebpf.VerifierError](err); ok {
		why := v.Cause.Error()
		for _, line := range slices.Backward(v.Log) {
			if !strings.HasPrefix(line, "processed ") && !strings.HasPrefix(line, "stack depth") && !strings.HasPrefix(line, "verification time") {
				why = line
				break
			}
		}
		return "the verifier: " + why
	}
	s := err.Error()
	if strings.HasPrefix(s, "it is ") {
		return "too many instructions"
	}
	if strings.Contains(s, "its loops lie ") {
		return "loops deep within each other"
	}
	if i := strings.Index(s, ":\n"); i > 0 {
		s = s[:i]
	}
	return s
}

// compareRandomBPF runs a program in the kernel and in process.
func compareRandomBPF(t *testing.T, w *writer, p *Program, y *bpfTally) {
	t.Helper()
	y.compiled++
	list := make([]*perfpipe.Record, 16)
	for i := range list {
		list[i] = w.plainRecord(p.schema)
		list[i].Time = int64(i)*1_500_000 + int64(w.r.IntN(1000))
	}
	mode := trialMode{left: w.r.IntN(2) == 0, seen: func(o outcome) {
		y.records++
		y.faults[o.fault]++
		if o.ok && o.fault == 0 {
			y.kept++
		}
	}}
	start := time.Now()
	err := compareBPFAs(t, p, list, mode)
	if d := time.Since(start); d > y.slowest {
		y.slowest, y.slow = d, p.source
	}
	if err == nil {
		y.ran++
		return
	}
	reason := bpfReason(err)
	y.reasons[reason]++
	if strings.Contains(err.Error(), "load: load program") {
		// A few loops are too much for it.
		if y.refused++; y.refused > 1+y.compiled/500 {
			t.Errorf("the verifier refused %d of %d, the last:\n%s\n%s\n%v", y.refused, y.compiled, p.source, p.IR(), err)
		}
	}
}

// longRun is how many the environment asks for, n where it does not.
func longRun(n int) int {
	if v, err := strconv.Atoi(os.Getenv("PERFPIPE_LONG")); err == nil {
		return v
	}
	return n
}

// seedOf is the seed that the environment asks for.
func seedOf(seed uint64) uint64 {
	if v, err := strconv.ParseUint(os.Getenv("PERFPIPE_SEED"), 10, 64); err == nil {
		return v
	}
	return seed
}

// What the code of random programs makes of records in the kernel is what the program
// makes of them in process: verdict, fault, budget and columns, one record after the
// other with the state that they leave. The program in process is compared with a walk
// over its statements by TestRandomPrograms.
func TestBPFRandomPrograms(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		name    string
		numbers bool
		share   int // least percentage that has code
	}{
		{"numbers", true, 80},
		{"strings", false, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, done := longRun(800), 0
			s := randomSchema()
			w := &progWriter{writer: &writer{r: rand.New(rand.NewPCG(seedOf(1), 9)), numbers: tt.numbers}}
			y := &bpfTally{faults: make(map[Fault]int), reasons: make(map[string]int)}
			start := time.Now()
			end, limited := t.Deadline()
			for ; done < n && (!limited || time.Until(end) > 20*time.Second); done++ {
				w.ints, w.strs = append([]intInfo(nil), intFields...), []string{"str", "next_comm", "tag", "$comm"}
				w.faulty = w.r.IntN(3) == 0
				w.fields = len(w.ints)
				src := w.program()
				o := Options{Budget: []int{0, 0, 7, 40}[w.r.IntN(4)]}
				if w.r.IntN(3) == 0 {
					o.OnFault = Pass
				}
				p, err := Compile(src, s, o)
				if err != nil {
					continue // shifts by constants out of range and the like
				}
				compareRandomBPF(t, w.writer, p, y)
			}
			t.Logf("%d programs in %v", done, time.Since(start).Round(time.Millisecond))
			y.log(t)
			if y.ran*100 < y.compiled*tt.share || y.compiled < done/3 {
				t.Errorf("%d of %d programs have code: the test tests nothing", y.ran, y.compiled)
			}
		})
	}
}

// The same for random expressions. What they mean in process is compared with a C
// compiler by TestAgainstC, so that through it the code for eBPF is too.
func TestBPFRandomExpressions(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		name    string
		numbers bool
		share   int
	}{
		{"numbers", true, 80},
		{"strings", false, 80},
	} {
		t.Run(tt.name, func(t *testing.T) {
			y := &bpfTally{faults: make(map[Fault]int), reasons: make(map[string]int)}
			w := &writer{r: rand.New(rand.NewPCG(seedOf(2), 9)), faulty: true, numbers: tt.numbers, ints: intFields, strs: []string{"str", "next_comm", "tag", "COMM", "$comm"}}
			programsOf(t, w, randomSchema(), longRun(800), Options{}, func(w *writer, p *Program) { compareRandomBPF(t, w, p, y) })
			y.log(t)
			if y.ran*100 < y.compiled*tt.share {
				t.Errorf("%d of %d expressions have code: the test tests nothing", y.ran, y.compiled)
			}
		})
	}
}
