//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// fetched is an argument of a function of values.c, and its values in the order of
// the calls: as JSON, null where there is none.
type fetched struct{ fn, arg, want string }

var fetchedValues = []fetched{
	{"see", "r->u8", "255 1 0 null null"},
	{"see", "r->u16", "65535 256 0 null null"},
	{"see", "r->u32", "4294967295 65536 0 null null"},
	{"see", "r->u64", "18446744073709551615 9223372036854775808 0 null null"},
	{"see", "r->s8", "127 -128 0 null null"},
	{"see", "r->s16", "32767 -32768 0 null null"},
	{"see", "r->s32", "2147483647 -2147483648 0 null null"},
	{"see", "r->s64", "9223372036854775807 -9223372036854775808 0 null null"},
	{"see", "r->yes", "true false false null null"},
	{"see", "r->ch", "122 65 0 null null"},
	{"see", "r->sign", "2147483647 -3 0 null null"},
	{"see", "r->color", "4294967295 5 0 null null"},
	{"see", "r->b3", "7 4 0 null null"},
	{"see", "r->sb5", "15 -16 0 null null"},
	{"see", "r->sb1", "0 -1 0 null null"},
	{"see", "r->b40", "1099511627775 549755813888 0 null null"},
	{"see", "r->sb40", "549755813887 -549755813888 0 null null"},
	{"see", "r->bb", "true false false null null"},
	{"see", "r->ints", "[2147483647,1,2,3] [-2147483648,-1,-2,-3] [0,0,0,0] null null"},
	{"see", "r->ints[3]", "3 -3 0 null null"},
	{"see", "r->bytes", "[255,1,2,3,4,5,6,254] [0,0,0,0,0,0,0,1] [0,0,0,0,0,0,0,0] null null"},
	{"see", "r->longs", "[9223372036854775807,1] [-9223372036854775808,-1] [0,0] null null"},
	{"see", "r->text", `"eleven char" "a" "" null null`},
	{"see", "r->un.whole", "4294967295 2147483649 0 null null"},
	{"see", "r->un.part[1]", "65535 32768 0 null null"},
	{"see", "r->in.mid.deep", "32767 -32768 0 null null"},
	{"see", "r->anon", "2147483647 -2147483648 0 null null"},
	{"see", "r->list->next->v", "32767 -32768 0 null null"},
	{"see", "r->list->next->next->v", "null null null null null"},
	{"see", "**r->ipp", "2147483647 -2147483648 0 null null"},
	{"see", "r->names[1]", `"one" "-1" "" null null`},
	{"see", "*r->names", `"zero" "" "" null null`},
	{"see", "r->tight->wide", "1099511627775 1 0 null null"},
	{"see", "r->tight->b", "2147483647 -2147483648 0 null null"},
	{"see", "r->pairs[1].x", "2147483647 -2147483648 0 null null"},
	{"see", "r->pairs[1].y", "9223372036854775807 -9223372036854775808 0 null null"},
	{"see", "r->s32:x32", "2147483647 2147483648 0 null null"},
	{"see", "r->bytes:buf[3]", "[255,1,2] [0,0,0] [0,0,0] null null"},
	{"eleven", "a", "127 -128"}, {"eleven", "b", "255 0"}, {"eleven", "c", "32767 -32768"}, {"eleven", "d", "65535 0"},
	{"eleven", "e", "2147483647 -2147483648"}, {"eleven", "f", "4294967295 0"},
	{"eleven", "g", "9223372036854775807 -9223372036854775808"}, {"eleven", "h", "18446744073709551615 0"},
	{"eleven", "i", "127 -128"}, {"eleven", "j", "true false"}, {"eleven", "k", `"last" ""`},
	{"byvalue", "p.x", "2147483647 -2147483648"}, {"byvalue", "p.y", "9223372036854775807 -9223372036854775808"},
	{"byvalue", "f.lo", "7 0"}, {"byvalue", "f.mid", "15 -16"}, {"byvalue", "f.hi", "16777215 0"},
	{"byvalue", "l.a", "9223372036854775807 -9223372036854775808"}, {"byvalue", "l.c", "2 -2"}, {"byvalue", "last", "32767 -32768"},
	{"ret8%return", "ret", "127 -128"}, {"ret16%return", "ret", "65535 0"}, {"ret64%return", "ret", "9223372036854775807 -9223372036854775808"},
	{"retsign%return", "ret", "2147483647 -3"}, {"retbool%return", "ret", "true false"}, {"rettext%return", "ret", `"returned" null`},
}

// TestEveryTypeOfField records every type once and compares it with what the program
// has: without and with optimization, which moves everything but what is passed.
func TestEveryTypeOfField(t *testing.T) {
	testpriv.Need(t)
	for _, level := range []string{"-O0", "-O2"} {
		t.Run(level, func(t *testing.T) {
			prog := compile(t, "values.c", "-g", level, "-w")
			rows := recordRows(t, append(fetchAll(prog, fetchedValues), "--", prog)...)
			for i, f := range fetchedValues {
				if got := column(ofEvent(rows, ":values:"+strings.TrimSuffix(f.fn, "%return")), fmt.Sprintf("v%d", i)); got != f.want {
					t.Errorf("%s(%s): got %s, want %s", f.fn, f.arg, got, f.want)
				}
			}
		})
	}
}

// fetchAll makes a probe of each function with its arguments, the i-th of all named vi.
func fetchAll(prog string, list []fetched) []string {
	var fns []string
	args := map[string]string{}
	for i, f := range list {
		if args[f.fn] == "" {
			fns = append(fns, f.fn)
		} else {
			args[f.fn] += ", "
		}
		args[f.fn] += fmt.Sprintf("v%d=%s", i, f.arg)
	}
	var out []string
	for _, fn := range fns {
		out = append(out, "-e", fmt.Sprintf("uprobe:%s:%s(%s)", prog, fn, args[fn]))
	}
	return out
}
