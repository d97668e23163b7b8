package filters

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// pair is one expression in our language and in C, with the type that our rules
// give it: they are stated here once more, independently of the checker.
type pair struct {
	ours, c  string
	unsigned bool
}

// cTypes are the fields, by name.
var cTypes = []intInfo{{"s8", 8, true}, {"u8", 8, false}, {"s16", 16, true}, {"u16", 16, false}, {"s32", 32, true}, {"u32", 32, false}, {"s64", 64, true}, {"u64", 64, false}}

// cPrelude has what C leaves undefined: faults leave by longjmp.
const cPrelude = `#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
typedef int64_t s64; typedef uint64_t u64; typedef __int128 wide;
struct rec { int8_t s8; uint8_t u8; int16_t s16; uint16_t u16; int32_t s32; uint32_t u32; int64_t s64v; uint64_t u64v; };
static jmp_buf out;
static s64 sdiv(s64 a, s64 b) { if (!b) longjmp(out, 1); return b == -1 ? (s64)(0 - (u64)a) : a / b; }
static s64 smod(s64 a, s64 b) { if (!b) longjmp(out, 1); return b == -1 ? 0 : a % b; }
static u64 udiv(u64 a, u64 b) { if (!b) longjmp(out, 1); return a / b; }
static u64 umod(u64 a, u64 b) { if (!b) longjmp(out, 1); return a % b; }
static unsigned sh(wide n) { if (n < 0 || n > 63) longjmp(out, 2); return (unsigned)n; }
`

type cWriter struct{ r *rand.Rand }

func (w *cWriter) leaf() pair {
	f := cTypes[w.r.IntN(len(cTypes))]
	switch w.r.IntN(6) {
	case 0:
		n := w.r.Uint64()
		if w.r.IntN(2) == 0 {
			n &= 63
		}
		s := strconv.FormatUint(n, 10)
		if n >= 1<<63 {
			return pair{s, "((u64)" + s + "u)", true}
		}
		return pair{s, "((s64)" + s + ")", false}
	case 1:
		s := strconv.FormatInt(-1-int64(w.r.Uint64()>>(1+w.r.IntN(62))), 10)
		return pair{"(" + s + ")", "((s64)((wide)" + strings.TrimPrefix(s, "-") + "u * -1))", false}
	}
	c := "r->" + f.name
	if f.bits == 64 {
		c += "v"
	}
	if f.signed {
		return pair{f.name, "((s64)" + c + ")", false}
	}
	return pair{f.name, "((u64)" + c + ")", true}
}

func typeName(unsigned bool) string {
	if unsigned {
		return "u64"
	}
	return "s64"
}

func (w *cWriter) expr(depth int) pair {
	if depth <= 0 {
		return w.leaf()
	}
	a, b := w.expr(depth-1), w.expr(depth-1)
	u := a.unsigned || b.unsigned
	t := typeName(u)
	both := func(op string) pair {
		return pair{"(" + a.ours + " " + op + " " + b.ours + ")", "((" + t + ")((u64)" + a.c + " " + op + " (u64)" + b.c + "))", u}
	}
	switch w.r.IntN(12) {
	case 0:
		return both("+")
	case 1:
		return both("-")
	case 2:
		return both("*")
	case 3:
		return both([]string{"&", "|", "^"}[w.r.IntN(3)])
	case 4, 5:
		op, fn := "/", "div"
		if w.r.IntN(2) == 0 {
			op, fn = "%", "mod"
		}
		return pair{"(" + a.ours + " " + op + " " + b.ours + ")", t[:1] + fn + "((" + t + ")" + a.c + ", (" + t + ")" + b.c + ")", u}
	case 6:
		return pair{"(" + a.ours + " << " + b.ours + ")", "((" + typeName(a.unsigned) + ")((u64)" + a.c + " << sh((wide)" + b.c + ")))", a.unsigned}
	case 7:
		return pair{"(" + a.ours + " >> " + b.ours + ")", "(" + a.c + " >> sh((wide)" + b.c + "))", a.unsigned}
	case 8:
		f := cTypes[w.r.IntN(len(cTypes))]
		c := "int" + strconv.Itoa(f.bits) + "_t"
		if !f.signed {
			c = "u" + c
		}
		return pair{"((" + f.name + ")" + a.ours + ")", "((" + typeName(!f.signed) + ")(" + c + ")" + a.c + ")", !f.signed}
	case 9:
		if w.r.IntN(2) == 0 {
			return pair{"(-" + a.ours + ")", "((" + typeName(a.unsigned) + ")(0 - (u64)" + a.c + "))", a.unsigned}
		}
		return pair{"(~" + a.ours + ")", "(~" + a.c + ")", a.unsigned}
	case 10:
		k := w.cond(depth - 1)
		return pair{"(" + k.ours + " ? " + a.ours + " : " + b.ours + ")", "(" + k.c + " ? (" + t + ")" + a.c + " : (" + t + ")" + b.c + ")", u}
	}
	k := w.cond(depth - 1)
	return pair{"(" + k.ours + ")", "((s64)" + k.c + ")", false}
}

func (w *cWriter) cond(depth int) pair {
	a, b := w.expr(depth-1), w.expr(depth-1)
	switch w.r.IntN(6) {
	case 0:
		x, y := w.cond0(a, b), w.cond0(b, a)
		op := []string{"&&", "||"}[w.r.IntN(2)]
		return pair{ours: "(" + x.ours + " " + op + " " + y.ours + ")", c: "(" + x.c + " " + op + " " + y.c + ")"}
	case 1:
		x := w.cond0(a, b)
		return pair{ours: "(!(" + x.ours + "))", c: "(!" + x.c + ")"}
	}
	return w.cond0(a, b)
}

func (w *cWriter) cond0(a, b pair) pair {
	op := []string{"==", "!=", "<", "<=", ">", ">="}[w.r.IntN(6)]
	return pair{ours: "(" + a.ours + " " + op + " " + b.ours + ")", c: "((wide)" + a.c + " " + op + " (wide)" + b.c + ")"}
}

// Conditions over random expressions have the value that a C compiler gives them
// with explicit casts, comparisons of 128 bits, and guarded shifts and divisions.
func TestAgainstC(t *testing.T) {
	cc := testpriv.NeedTool(t, "gcc")
	const exprs, inputs = 400, 24
	w := &cWriter{r: rand.New(rand.NewPCG(3, 3))}
	s := uprobeSchema()
	var progs []*Program
	var src bytes.Buffer
	src.WriteString(cPrelude)
	for tries := 0; len(progs) < exprs; tries++ {
		if tries > 20*exprs {
			t.Fatalf("only %d of %d expressions compile", len(progs), tries)
		}
		p := w.cond(3)
		prog, err := Compile(p.ours, s, Options{})
		if err != nil {
			continue // a constant division by zero, a constant that no field holds
		}
		fmt.Fprintf(&src, "static int f%d(const struct rec *r) { return !!%s; }\n", len(progs), p.c)
		progs = append(progs, prog)
	}
	src.WriteString("static int (*const fs[])(const struct rec *) = {")
	for i := range progs {
		fmt.Fprintf(&src, "f%d,", i)
	}
	src.WriteString("};\nstatic const struct rec rs[] = {\n")
	var recs []perfpipe.Record
	for i := 0; i < inputs; i++ {
		raw := make([]byte, s.Size)
		src.WriteString("{")
		for _, f := range cTypes {
			v := w.r.Uint64()
			switch w.r.IntN(4) {
			case 0:
				v = uint64(w.r.IntN(4))
			case 1:
				v = []uint64{1 << 63, 1<<63 - 1, 1<<64 - 1, 1 << 31, 63, 64}[w.r.IntN(6)]
			}
			field := s.Field(f.name)
			putInt(raw[field.Offset:field.Offset+field.Size], v)
			n, _ := field.Uint(raw)
			fmt.Fprintf(&src, "%du,", n)
		}
		src.WriteString("},\n")
		recs = append(recs, perfpipe.Record{Raw: raw})
	}
	fmt.Fprintf(&src, `};
int main(void) {
	for (int i = 0; i < %d; i++)
		for (int j = 0; j < %d; j++) {
			volatile int v;
			int fault = setjmp(out);
			if (fault) { puts("fault"); continue; }
			v = fs[i](&rs[j]);
			puts(v ? "true" : "false");
		}
	return 0;
}
`, len(progs), inputs)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "e.c"), src.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, cc, "-w", "-O1", "-fwrapv", "-o", filepath.Join(dir, "e"), filepath.Join(dir, "e.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "e")).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != len(progs)*inputs {
		t.Fatalf("got %d results, want %d", len(lines), len(progs)*inputs)
	}
	count := map[string]int{}
	bad := 0
	for i, p := range progs {
		for j := range recs {
			ok, fault := p.Match(&recs[j])
			got := strconv.FormatBool(ok)
			if fault != 0 {
				got = "fault"
			}
			want := lines[i*inputs+j]
			count[want]++
			if got != want {
				if bad++; bad < 5 {
					t.Errorf("%s: got %s, want %s (record %x)", p.Source(), got, want, recs[j].Raw)
				}
			}
		}
	}
	for _, k := range []string{"true", "false", "fault"} {
		if count[k] < 200 {
			t.Errorf("C said %s %d times only: the test tests little", k, count[k])
		}
	}
}
