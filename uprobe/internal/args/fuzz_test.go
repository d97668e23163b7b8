package args

import (
	"encoding/binary"
	"testing"
)

// fuzzWords are what steps and bases are made of; some are in the program, some not.
var fuzzWords = [...]string{
	"r", "s", "n", "c", "*", "arg0", "arg1", "arg7", "%di", "%bx", "ret", "u8", "sb5", "sb40", "inner", "deep", "y", "x", "anon_c",
	"ints", "grid", "text", "list", "next", "v", "pairs", "tight", "wide", "fn", "vp", "argv", "ipp", "un", "part", "", "_", "p", "f", "mid",
	"last", "common_pid", "\x00", "m", "d", "h", "w", "many",
}

var fuzzTypes = [...]string{"", "", "", "u8", "s64", "x16", "bool", "char", "ptr", "string", "buf", "buf[", "u", "\xff"}

var fuzzFuncs = [...]string{"handle", "byvalue", "floats", "hidden%return", "twowords%trampoline", "wide", "variadic", "nothing", "_start"}

// fuzzWants turns bytes into wants: a count of steps, then a word and a kind for each.
func fuzzWants(b []byte) []Want {
	next := func() int {
		if len(b) == 0 {
			return 0
		}
		c := b[0]
		b = b[1:]
		return int(c)
	}
	word := func() string { return fuzzWords[next()%len(fuzzWords)] }
	var list []Want
	for len(b) > 0 && len(list) < 200 {
		w := Want{Base: word(), Type: fuzzTypes[next()%len(fuzzTypes)], Len: next() * 3}
		if next()%4 == 0 {
			w.Name = word()
		}
		for range next() % 16 {
			st := Step{Kind: StepKind(next() % 5), Name: word()}
			if st.Kind == StepIndex {
				st.Index = int(int8(next()))
				if st.Index == 127 && len(b) >= 8 {
					st.Index = int(binary.LittleEndian.Uint64(b))
				}
			}
			w.Path = append(w.Path, st)
		}
		list = append(list, w)
	}
	return list
}

// FuzzResolve: whatever is wanted, the answer is an error or arguments that each have
// an expression or a reason, and names of their own that the kernel takes.
func FuzzResolve(f *testing.F) {
	p := build(f, "fields.c", "-g", "-O2")
	for i := range 24 {
		f.Add(uint8(i), i%2 == 0, []byte{byte(i), byte(i), 3, 1, byte(i % 4), 1, byte(i + 11), 0, byte(i + 13), 2, 5, 1})
	}
	f.Fuzz(func(t *testing.T, at uint8, withDWARF bool, b []byte) {
		fn := p.fn(t, fuzzFuncs[int(at)%len(fuzzFuncs)])
		fn.Go = at&0x40 != 0
		fn.Inside = at&0x80 != 0
		d := p.d
		if !withDWARF {
			d = nil
		}
		list, _, err := Resolve(d, fn, fuzzWants(b))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, a := range list {
			if (a.Expr == "") == (a.Null == "") {
				t.Errorf("%+v has not one of an expression and a reason", a)
			}
			if !identifier(a.Name) || seen[a.Name] {
				t.Errorf("%+v: the name is invalid or taken", a)
			}
			if a.Type == "" || len(a.Expr)+1+len(a.Type) > maxExpr {
				t.Errorf("%+v: the kernel will not take it", a)
			}
			seen[a.Name] = true
		}
	})
}
