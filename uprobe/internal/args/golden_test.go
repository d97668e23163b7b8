package args

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

var update = flag.Bool("update", false, "write the golden files anew")

// describeArg is an argument on one line.
func describeArg(a fetch.Arg) string {
	s := fmt.Sprintf("%s=%s:%s", a.Name, a.Expr, a.Type)
	if a.Length != "" {
		s += " length " + a.Length
	}
	if a.SignBits > 0 {
		s += fmt.Sprintf(" sign %d", a.SignBits)
	}
	if a.Float > 0 {
		s += fmt.Sprintf(" float %d", a.Float)
	}
	if a.Bool {
		s += " bool"
	}
	for _, n := range a.Symbols {
		s += fmt.Sprintf(" %s=%d", n.Name, int64(n.Value))
	}
	if a.Null != "" {
		s += " null: " + a.Null
	}
	return s + " (" + a.CType + ")"
}

// TestGolden compares the expressions, which the live test shows to be right, and the
// refusals with the files in testdata. The places are the same at -O0 and -O2 and in
// every version of DWARF.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		src, golden string
		flags       [][]string
		samples     []sample
		refused     []sample
	}{
		{"fields.c", "fields.golden", [][]string{
			{"-g", "-O2"}, {"-g", "-O0"}, {"-gdwarf-4", "-O2"}, {"-gdwarf-2", "-gstrict-dwarf", "-O2"},
		}, fieldSamples, fieldRefusals},
		{"methods.cc", "methods.golden", [][]string{{"-g", "-O2"}, {"-g", "-O0"}}, methodSamples, methodRefusals},
		{"goprog/main.go", "goprog.golden", [][]string{nil, {"-gcflags=-N -l"}}, goSamples, goRefusals},
	} {
		for i, flags := range tc.flags {
			t.Run(tc.src+" "+strings.Join(flags, " "), func(t *testing.T) {
				got := resolved(t, build(t, tc.src, flags...), append(tc.samples, tc.refused...))
				path := filepath.Join("testdata", tc.golden)
				if *update && i == 0 {
					if err := os.WriteFile(path, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				compareLines(t, got, want)
			})
		}
	}
}

func compareLines(t *testing.T, got, want []byte) {
	t.Helper()
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	if len(g) != len(w) {
		t.Errorf("got %d lines, want %d", len(g), len(w))
	}
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			t.Errorf("line %d: got %s\nwant %s", i+1, g[i], w[i])
		}
	}
}

func resolved(t *testing.T, p *program, samples []sample) []byte {
	var b bytes.Buffer
	for _, s := range samples {
		fmt.Fprintf(&b, "%s(%s)\n", s.fn, s.want)
		list, warnings, err := Resolve(p.d, p.fn(t, s.fn), parseWants(t, s.want))
		for _, a := range list {
			fmt.Fprintf(&b, "\t%s\n", describeArg(a))
		}
		for _, w := range warnings {
			fmt.Fprintf(&b, "\twarning: %s\n", w)
		}
		if err != nil {
			fmt.Fprintf(&b, "\terror: %v\n", err)
		}
	}
	return b.Bytes()
}

// The refusals and warnings; their values are in the golden files alone.
var fieldRefusals = []sample{
	{fn: "handle", want: "*"}, {fn: "handle", want: "q"}, {fn: "handle", want: "r->uu8"}, {fn: "handle", want: "r.u8"},
	{fn: "handle", want: "n->x"}, {fn: "handle", want: "r->inner->x"}, {fn: "handle", want: "r->inner"}, {fn: "handle", want: "r->many"},
	{fn: "handle", want: "r->ints[4]"}, {fn: "handle", want: "r->vp[1]"}, {fn: "handle", want: "*r->vp"}, {fn: "handle", want: "r->b3.x"},
	{fn: "handle", want: "s:buf[100]"}, {fn: "handle", want: "s:buf[520]"}, {fn: "handle", want: "n:strng"}, {fn: "handle", want: "r->inner:string"},
	{fn: "handle", want: "%rdi"}, {fn: "handle", want: "arg4"}, {fn: "handle", want: "ret"}, {fn: "handle", want: "1x=n"},
	{fn: "handle", want: "r->list->next->next->next->next->next->next->next->next->next->next->v"},
	{fn: "handle", want: "r->list->next->next->next->next->next->next->next->next->next->next->next->v"},
	{fn: "handle", want: "r->list->next->next->next->next->next->next->next->next->next->next->next->next->v"},
	{fn: "handle", want: "n, s, n, r->list->v, s[3], n=c, r->list->next->v"},
	{fn: "byvalue", want: "*"}, {fn: "byvalue", want: "p->x"}, {fn: "byvalue", want: "p:string"}, {fn: "byvalue", want: "p:buf[8]"},
	{fn: "floats", want: "*"}, {fn: "floats", want: "d"}, {fn: "floats", want: "m.d"}, {fn: "floats", want: "ld"}, {fn: "floats", want: "d:u64"},
	{fn: "floats%return", want: "ret"}, {fn: "floats%return", want: "a"}, {fn: "wide", want: "w"}, {fn: "hidden%return", want: "ret"},
	{fn: "nothing", want: "*"}, {fn: "nothing", want: "a"}, {fn: "nothing%return", want: "*"}, {fn: "nothing%return", want: "ret"},
	{fn: "variadic", want: "arg7"}, {fn: "_start", want: "a"}, {fn: "_start", want: "arg0:string, arg6:u32"},
}

var methodRefusals = []sample{
	{fn: orderAdd, want: "*"}, {fn: orderAdd, want: "p->x"}, {fn: orderFixed, want: "*"}, {fn: orderTitle, want: "this.count"},
	{fn: orderFixed, want: "by"}, {fn: orderSelf, want: "*"}, {fn: sumOf, want: "*"}, {fn: orderSelf + "%return", want: "*"},
}

var goRefusals = []sample{
	{fn: method, want: "*"}, {fn: method + "%return", want: "*"}, {fn: method + "%return", want: "ret"}, {fn: method + "%return", want: "n"},
	{fn: method + "%return", want: "e=ret1"}, {fn: method + "%return", want: "ret:u64"}, {fn: "main.many", want: "*"},
	{fn: "main.byval", want: "*"}, {fn: "main.byval", want: "one"}, {fn: "main.byval", want: "fl"}, {fn: "main.byval", want: "e.tab"},
	{fn: "main.large", want: "*"}, {fn: "main.large", want: "t.nme"}, {fn: "main.large%return", want: "*"},
	{fn: "main.plain%trampoline", want: "ret"},
}
