package filters

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

// probedSchema is randomSchema with some fields as a probe has them: each may be null.
func probedSchema() *perfpipe.Schema {
	s := randomSchema()
	none := perfpipe.Probed{Check: -1, Head: -1, Length: -1}
	off := s.Size
	hidden := func(size int) int {
		off += size
		return off - size
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		p := none
		switch f.Name {
		case "s8", "u32", "s64", "a", "b4", "arr4", "saddr", "saddr6":
			p.Check = hidden(4)
		case "u16":
		case "str":
			p.Head, p.HeadSize = hidden(8), 8
		case "tag":
			p.Length, p.Check = hidden(8), hidden(4)
		default:
			continue
		}
		f.Probed = &p
	}
	add := func(f perfpipe.Field) {
		f.Offset = hidden(f.Size)
		s.Fields = append(s.Fields, f)
	}
	headless, never := none, none
	never.Never = true
	add(perfpipe.Field{Name: "str2", CType: "__data_loc char[]", Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData, Signed: true, Probed: &headless})
	add(perfpipe.Field{Name: "bits3", CType: "int", Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt, Signed: true, SignBits: 3})
	s.Fields = append(s.Fields,
		perfpipe.Field{Name: "never", CType: "double", Offset: -1, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindBytes, Probed: &never},
		perfpipe.Field{Name: "nevers", CType: "char *", Offset: -1, Kind: perfpipe.KindString, Probed: &never})
	s.Size = off
	return s
}

// unread is what the kernel makes of memory that cannot be read: zeroes, and strings
// of length 0.
func (w *writer) unread(s *perfpipe.Schema, raw []byte) []byte {
	for i := range s.Fields {
		f := &s.Fields[i]
		p := f.Probed
		if p == nil || p.Never {
			continue
		}
		null := w.r.IntN(2) == 0
		check := uint32(len(raw))
		if !null {
			check |= uint32(1+w.r.IntN(9)) << 16
		}
		if p.Check >= 0 {
			binary.LittleEndian.PutUint32(raw[p.Check:], check)
		}
		switch {
		case p.Length >= 0:
			binary.LittleEndian.PutUint64(raw[p.Length:], uint64(w.r.IntN(f.Size+3)))
			if null {
				clear(raw[f.Offset : f.Offset+f.Size])
			}
		case f.Kind == perfpipe.KindString:
			var head [8]byte
			text := w.pick(texts...)
			if null {
				binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw)))
				if p.Head >= 0 && w.r.IntN(2) == 0 { // too long: the head alone
					copy(head[:], "bash/sh ")
				}
				raw = append(raw, w.pick(texts...)...) // what lies there
				raw = append(raw, 0)
			} else {
				copy(head[:], text)
				binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw))|uint32(len(text)+1)<<16)
				raw = append(append(raw, text...), 0)
			}
			if p.Head >= 0 {
				copy(raw[p.Head:p.Head+p.HeadSize], head[:])
			}
		case null && p.Check >= 0:
			clear(raw[f.Offset : f.Offset+f.Size])
		}
	}
	return raw
}

func (w *writer) record(s *perfpipe.Schema) *perfpipe.Record {
	r := w.plainRecord(s)
	for i := range s.Fields {
		if s.Fields[i].Probed != nil {
			r.Raw = w.unread(s, r.Raw)
			break
		}
	}
	return r
}

func probedWriter(seed uint64) *writer {
	ints := append([]intInfo{{"bits3", 3, true}, {"never", 32, true}}, intFields...)
	return &writer{r: rand.New(rand.NewPCG(seed, 2)), faulty: true, ints: ints, strs: []string{"str", "str", "str2", "str2", "tag", "next_comm", "nevers", "COMM"}}
}

// No record is true for the whole filter and false for what the kernel was given, nulls
// and texts that the kernel could not take included; and instructions and tree agree.
func TestPushOfProbesIsSound(t *testing.T) {
	s := probedSchema()
	for _, o := range []Options{{CPUs: 2}, {CPUs: 2, OnFault: Pass}} {
		exact, weaker := 0, 0
		programsOf(t, probedWriter(3), s, 4000, o, func(w *writer, p *Program) {
			for range 6 {
				r := w.record(s)
				e := treeEval{r: r}
				want, wantFault := e.decide(p.root, o.OnFault == Pass)
				if got, fault := p.Match(r); got != want || fault != wantFault {
					t.Fatalf("%s: got %v %v, the tree says %v %v", p.Source(), got, fault, want, wantFault)
				}
			}
			x, k := checkPushed(t, w, p, p.Push(newKernel), 12)
			exact += x
			weaker += k
		})
		if exact < 200 || weaker < 300 {
			t.Errorf("on-fault %v: got %d exact and %d weaker pushes: the test tests nothing", o.OnFault, exact, weaker)
		}
	}
}

func TestNulls(t *testing.T) {
	s := probedSchema()
	// nulls is a record in which all that may be null is, values one in which nothing is.
	make1 := func(null bool) *perfpipe.Record {
		raw := make([]byte, s.Size)
		for i := range s.Fields {
			f := &s.Fields[i]
			p := f.Probed
			if f.Loc != perfpipe.LocStatic {
				binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw)))
				if p == nil || !null {
					binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(raw))|8<<16)
					raw = append(raw, "bash\x00\x00\x00\x00"...)
				}
			}
			if p == nil || p.Never || null {
				continue
			}
			if p.Check >= 0 {
				binary.LittleEndian.PutUint32(raw[p.Check:], uint32(len(raw))|1<<16)
			}
			if p.Length >= 0 {
				copy(raw[f.Offset:], "bashes")
				binary.LittleEndian.PutUint64(raw[p.Length:], 4)
			}
		}
		if null { // a length without its text
			binary.LittleEndian.PutUint64(raw[s.Field("tag").Probed.Length:], 4)
		}
		binary.LittleEndian.PutUint32(raw[s.Field("bits3").Offset:], 6)
		return &perfpipe.Record{Raw: raw, Comm: "bash"}
	}
	nulls, values := make1(true), make1(false)
	for _, tt := range []struct {
		src         string
		null, value bool
	}{
		{`a == 0`, false, true},
		{`a != 0`, false, false},
		{`a != 1`, false, true},
		{`!(a == 1)`, true, true},
		{`!(a != 1)`, true, false},
		{`a >= 0 || a < 0`, false, true},
		{`u32 >= 0`, false, true},
		{`u32 <= 0xffffffff`, false, true},
		{`s8 in {-128..127}`, false, true},
		{`a < 1`, false, true},
		{`a`, false, false},
		{`!a`, true, true},
		{`!(a & 1)`, true, true},
		{`(a & 1) == 0`, false, true},
		{`a in {0}`, false, true},
		{`a + 1 == 1`, false, true},
		{`a == b`, false, true},
		{`abs(a) == 0`, false, true},
		{`has_flag(a, 1)`, false, false},
		{`(bool)a == 0`, true, true}, // (bool)a is a predicate of its own
		{`(a == 1) + 1 == 1`, true, true},
		{`(isnull(a) ? 7 : a) == 7`, true, false},
		{`(isnull(a) ? a : 7) == 7`, false, true},
		{`a == 0 ? b == 0 : b == 1`, false, true},
		{`isnull(a)`, true, false},
		{`!isnull(a)`, false, true},
		{`isnull(b)`, false, false},
		{`isnull(u16)`, false, false},
		{`isnull(a) || a == 1`, true, false},
		{`has(a) && a == 0`, false, true},
		{`str == "bash"`, false, true},
		{`str != "bash"`, false, false},
		{`str != "x"`, false, true},
		{`!(str == "x")`, true, true},
		{`str == ""`, false, false},
		{`str ~ "*"`, false, true},
		{`str ~ "!x*"`, false, true},
		{`str in {"a", "bash"}`, false, true},
		{`str == str2`, false, true},
		{`strlen(str) == 0`, false, false},
		{`strlen(str) >= 0`, false, true},
		{`startswith(str, "ba")`, false, true},
		{`contains(str, str2)`, false, true},
		{`str[0] == 'b'`, false, true},
		{`hash(str) == hash(str2)`, false, true},
		{`isnull(str)`, true, false},
		{`tag == "bash"`, false, true}, // of "bashes" its length says 4
		{`tag[3] == 'h'`, false, true},
		{`isnull(tag)`, true, false},
		{`arr4[1] == 0`, false, true},
		{`b4 == 0`, false, true},
		{`cidr(saddr, "0.0.0.0/0")`, false, true},
		{`cidr(saddr6, "::/0")`, false, true},
		{`ip(saddr) == 0`, false, true},
		{`a & CPUS{0}`, false, true},
		{`bits3 == -2`, true, true},
		{`bits3 < 0`, true, true},
		{`bits3 == 6`, false, false},
		{`bits3 & 4`, true, true},
		{`isnull(never)`, true, true},
		{`never == 0 || never != 0 || never`, false, false},
		{`!(never == 0)`, true, true},
		{`nevers == "" || nevers != "x"`, false, false},
		{`isnull(nevers)`, true, true},
	} {
		p, err := Compile(tt.src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		for r, want := range map[*perfpipe.Record]bool{nulls: tt.null, values: tt.value} {
			if got, fault := p.Match(r); got != want || fault != 0 {
				t.Errorf("%s, of nulls %v: got %v, fault %v, want %v", tt.src, r == nulls, got, fault, want)
			}
		}
	}
	for src, want := range map[string]string{
		"isnull(nothing) == 1": `unknown field "nothing"`,
		"isnull(a + 1)":        "takes the name of a field",
		"isnull()":             "takes one argument",
	} {
		if _, err := Compile(src, s, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", src, err, want)
		}
	}
	// A fault behind a null does not happen: the predicate is false before it.
	p, err := Compile("1 / a == 1", s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if ok, fault := p.Match(nulls); ok || fault != 0 {
		t.Errorf("1 / null: got %v, fault %v", ok, fault)
	}
	if ok, fault := p.Match(values); ok || fault != FaultDivision {
		t.Errorf("1 / 0: got %v, fault %v", ok, fault)
	}
	// Short records are faults, wherever they end.
	for n := range values.Raw {
		r := *values
		r.Raw = values.Raw[:n]
		for _, src := range []string{"isnull(a) || a == 0", `tag == "bash"`, `str == "x" || str2[1] == 'a'`} {
			p, err := Compile(src, s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			p.Match(&r)
		}
	}
	if n := testing.AllocsPerRun(100, func() { p.Match(nulls) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func TestPushTextOfProbes(t *testing.T) {
	s := probedSchema()
	s.Fields = append(s.Fields, perfpipe.Field{Name: "kind", CType: "name", Offset: s.Size, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint, Symbols: []perfpipe.Symbol{{Name: "FORK", Value: 3}}})
	s.Size += 4
	for _, tt := range []struct {
		src, want string
		exact     bool
	}{
		{`a == 1`, `a == 1`, false},
		{`a != 1`, `a != 1`, false},
		{`!(a == 1)`, ``, false},
		{`!(a != 1)`, ``, false},
		{`a == 1 || b == 1`, `a == 1 || b == 1`, false},
		{`a == 1 && b == 1`, `a == 1 && b == 1`, false},
		{`(a & 6) == 2`, `!a & 4 && a & 2`, false},
		{`u16 == 1`, `u16 == 1`, false},
		{`isnull(a)`, ``, false},
		{`!isnull(a) && b == 2`, `b == 2`, false},
		{`str == "bash"`, `str == "bash"`, false},
		{`str == "8 bytes."`, ``, false},
		{`str != "bash"`, ``, false},
		{`str ~ "b*"`, ``, false},
		{`str2 != "bash"`, `str2 != "bash"`, false},
		{`str2 ~ "b*"`, `str2 ~ "b*"`, false},
		{`!(str2 ~ "b*")`, ``, false},
		{`tag == "x"`, ``, false},
		{`b4 == 1`, ``, false},
		{`bits3 == 1`, ``, false},
		{`never == 1`, `common_type & 0`, true},
		{`kind == FORK`, `kind == 3`, true},
	} {
		p, err := Compile(tt.src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		push := p.Push(newKernel)
		if push.Text != tt.want || push.Exact != tt.exact {
			t.Errorf("%s: got %q exact %v, want %q %v", tt.src, push.Text, push.Exact, tt.want, tt.exact)
		}
		if want := strings.Count(tt.src, " && ") + 1; len(push.Parts) != want || !push.Exact && push.Parts[0].Reason == "" {
			t.Errorf("%s: got the parts %+v, want %d with reasons", tt.src, push.Parts, want)
		}
	}
}
