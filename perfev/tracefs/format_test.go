package tracefs

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
)

var update = flag.Bool("update", false, "write the golden files")

// fixtures are format files by name SYSTEM.EVENT: most of a 6.18 kernel, some made by hand.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/format/*")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d fixtures, %v", len(paths), err)
	}
	m := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(p)] = b
	}
	return m
}

func TestParseFormatGolden(t *testing.T) {
	got := map[string]*perfpipe.Schema{}
	for name, b := range fixtures(t) {
		system, _, _ := strings.Cut(name, ".")
		s, err := ParseFormat(system, b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.System+"."+s.Name != name {
			t.Errorf("%s: parsed as %s", name, s.Event())
		}
		checkSchema(t, s)
		got[name] = s
	}
	for _, s := range got {
		s.Print = "" // it stands in the fixture as it is
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/schemas.json"
	if *update {
		if err := os.WriteFile(golden, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text)+"\n" {
		t.Errorf("schemas differ from %s; see the difference with -update and git diff", golden)
	}
}

// checkSchema holds what is true of every schema.
func checkSchema(t testing.TB, s *perfpipe.Schema) {
	t.Helper()
	end := 0
	for _, list := range [][]perfpipe.Field{s.Common, s.Fields} {
		for i := range list {
			f := &list[i]
			bad := func(why string) { t.Errorf("%s.%s (%s): %s: %+v", s.Event(), f.Name, f.CType, why, *f) }
			end = max(end, f.Offset+f.Size)
			if f.Name == "" || f.CType == "" || f.Offset < 0 || f.Size < 0 || f.ElemSize < 0 {
				bad("empty or negative")
			}
			if f.Loc != perfpipe.LocStatic && f.Size != 4 {
				bad("a dynamic field's place has 4 bytes")
			}
			if !f.Array && f.Count != 1 {
				bad("a single value counts 1")
			}
			switch {
			case f.Loc != perfpipe.LocStatic:
				if f.Array && f.Count != 0 {
					bad("a dynamic array has no count")
				}
			case f.Kind == perfpipe.KindString:
				if f.ElemSize != 1 || f.Array {
					bad("text has elements of 1 byte and is no array")
				}
			case f.Kind == perfpipe.KindCPUMask:
				if f.Size%f.ElemSize != 0 {
					bad("a cpumask is of whole words")
				}
			case f.ElemSize*f.Count != f.Size:
				bad("elements do not make up the field")
			}
			switch f.Kind {
			case perfpipe.KindInt, perfpipe.KindUint, perfpipe.KindPointer:
				if n := f.ElemSize; n != 1 && n != 2 && n != 4 && n != 8 {
					bad("an integer of an odd size")
				}
				if (f.Kind == perfpipe.KindInt) != f.Signed && f.Kind != perfpipe.KindPointer {
					bad("sign and kind differ")
				}
			case perfpipe.KindBool:
				if f.ElemSize != 1 {
					bad("a bool of more than a byte")
				}
			}
			if (f.FlagsDelim != "") && len(f.Symbols) == 0 {
				bad("a delimiter without flags")
			}
			for _, y := range f.Symbols {
				if y.Name == "" {
					bad("a symbol without a name")
				}
			}
		}
	}
	if end != s.Size {
		t.Errorf("%s: size %d, fields end at %d", s.Event(), s.Size, end)
	}
	for i := range s.Common {
		if !strings.HasPrefix(s.Common[i].Name, "common_") {
			t.Errorf("%s: common field %s", s.Event(), s.Common[i].Name)
		}
	}
}

func TestParseFormatFields(t *testing.T) {
	files := fixtures(t)
	for _, tt := range []struct {
		file, field string
		want        perfpipe.Field // Offset and Signed are the golden file's matter
	}{
		{"made.odd_types", "on", perfpipe.Field{CType: "bool", Size: 1, ElemSize: 1, Count: 1, Kind: perfpipe.KindBool}},
		{"made.odd_types", "t3", perfpipe.Field{CType: "struct three", Size: 3, ElemSize: 3, Count: 1, Kind: perfpipe.KindBytes}},
		{"made.odd_types", "u8b", perfpipe.Field{CType: "union addr", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindUint}},
		{"made.odd_types", "u16b", perfpipe.Field{CType: "union addr", Size: 16, ElemSize: 16, Count: 1, Kind: perfpipe.KindBytes}},
		{"made.odd_types", "tiny", perfpipe.Field{CType: "s8", Size: 1, ElemSize: 1, Count: 1, Kind: perfpipe.KindInt}},
		{"made.odd_types", "rel", perfpipe.Field{CType: "__rel_loc char[]", Size: 4, ElemSize: 1, Count: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocRel}},
		{"made.odd_types", "rels", perfpipe.Field{CType: "__rel_loc u32[]", Size: 4, ElemSize: 4, Kind: perfpipe.KindUint, Loc: perfpipe.LocRel, Array: true}},
		{"made.odd_types", "cpus", perfpipe.Field{CType: "__rel_loc cpumask_t", Size: 4, ElemSize: 8, Count: 1, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocRel}},
		{"made.odd_types", "things", perfpipe.Field{CType: "__data_loc struct odd[]", Size: 4, ElemSize: 1, Kind: perfpipe.KindUint, Loc: perfpipe.LocData, Array: true}},
		{"made.odd_types", "mask", perfpipe.Field{CType: "__data_loc unsigned long[]", Size: 4, ElemSize: 8, Count: 1, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocData}},
		{"made.odd_types", "shorts", perfpipe.Field{CType: "__data_loc s16[]", Size: 4, ElemSize: 2, Kind: perfpipe.KindInt, Loc: perfpipe.LocData, Array: true}},
		{"made.odd_types", "frames", perfpipe.Field{CType: "__data_loc void *[]", Size: 4, ElemSize: 8, Kind: perfpipe.KindPointer, Loc: perfpipe.LocData, Array: true}},
		{"made.odd_types", "here", perfpipe.Field{CType: "cpumask_t", Size: 16, ElemSize: 8, Count: 1, Kind: perfpipe.KindCPUMask}},
		{"made.odd_types", "fn", perfpipe.Field{CType: "void (*)(struct work_struct *)", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindPointer}},
		{"made.odd_types", "handler", perfpipe.Field{CType: "void (*)(int)", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindPointer}},
		{"made.odd_types", "p", perfpipe.Field{CType: "const void*", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindPointer}},
		{"made.odd_types", "name", perfpipe.Field{CType: "char[TASK_COMM_LEN]", Size: 16, ElemSize: 1, Count: 1, Kind: perfpipe.KindString}},
		{"made.odd_types", "words", perfpipe.Field{CType: "u32[sizeof(struct foo) / sizeof(u32)]", Size: 12, ElemSize: 4, Count: 3, Kind: perfpipe.KindUint, Array: true}},
		{"made.odd_types", "blob", perfpipe.Field{CType: "foo_t[BLOB_LEN]", Size: 7, ElemSize: 1, Count: 7, Kind: perfpipe.KindUint, Array: true}},
		{"made.odd_types", "arr", perfpipe.Field{CType: "s32[]", Size: 16, ElemSize: 4, Count: 4, Kind: perfpipe.KindInt, Array: true}},
		{"made.odd_types", "grid", perfpipe.Field{CType: "u8[2][3]", Size: 6, ElemSize: 1, Count: 6, Kind: perfpipe.KindUint, Array: true}},
		{"made.odd_types", "foos", perfpipe.Field{CType: "xfs_foo_t[4]", Size: 8, ElemSize: 2, Count: 4, Kind: perfpipe.KindUint, Array: true}},
		{"made.odd_types", "args", perfpipe.Field{CType: "unsigned long[]", ElemSize: 8, Kind: perfpipe.KindUint, Array: true}},
		{"rt.sched_wakeup", "comm", perfpipe.Field{CType: "char[16]", Size: 16, ElemSize: 1, Count: 1, Kind: perfpipe.KindString}},
		{"syscalls.sys_enter_openat", "filename", perfpipe.Field{CType: "const char *", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindPointer}},
		{"syscalls.sys_enter_openat", "dfd", perfpipe.Field{CType: "int", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindUint}},
		{"raw_syscalls.sys_enter", "args", perfpipe.Field{CType: "unsigned long[6]", Size: 48, ElemSize: 8, Count: 6, Kind: perfpipe.KindUint, Array: true}},
		{"ipi.ipi_send_cpumask", "cpumask", perfpipe.Field{CType: "__data_loc cpumask_t", Size: 4, ElemSize: 8, Count: 1, Kind: perfpipe.KindCPUMask, Loc: perfpipe.LocData}},
		{"irq.irq_handler_entry", "name", perfpipe.Field{CType: "__data_loc char[]", Size: 4, ElemSize: 1, Count: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData}},
		{"sock.inet_sock_set_state", "saddr", perfpipe.Field{CType: "__u8[4]", Size: 4, ElemSize: 1, Count: 4, Kind: perfpipe.KindUint, Array: true}},
		{"made.old_kernel", "value", perfpipe.Field{CType: "int", Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindInt}},
		{"made.old_kernel", "ip", perfpipe.Field{CType: "unsigned long", Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindUint}},
	} {
		t.Run(tt.file+"/"+tt.field, func(t *testing.T) {
			s, err := ParseFormat("x", files[tt.file])
			if err != nil {
				t.Fatal(err)
			}
			f := s.Field(tt.field)
			if f == nil {
				t.Fatalf("no such field")
			}
			got := *f
			tt.want.Name, got.Offset, got.Signed, got.Symbols, got.FlagsDelim = tt.field, 0, false, nil, ""
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(tt.want)
			if string(a) != string(b) {
				t.Errorf("got  %s\nwant %s", a, b)
			}
		})
	}
}

func TestParseFormatCommon(t *testing.T) {
	files := fixtures(t)
	for file, want := range map[string]int{"rt.sched_wakeup": 6, "sched.sched_switch": 4, "made.old_kernel": 5} {
		s, err := ParseFormat("x", files[file])
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Common) != want {
			t.Errorf("%s: %d common fields, want %d", file, len(s.Common), want)
		}
	}
	// Behind the blank line a name does not make a field common.
	s, err := ParseFormat("x", []byte("name: n\nformat:\n\tfield:int common_pid;\toffset:0;\tsize:4;\n\n\tfield:int common_x;\toffset:4;\tsize:4;\n"))
	if err != nil || len(s.Common) != 1 || len(s.Fields) != 1 || !s.Fields[0].Signed {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestParseFormatErrors(t *testing.T) {
	const head = "name: n\nID: 1\nformat:\n"
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "no format section"},
		{"junk", "\x00\xff\x00", "line 1"},
		{"no name", "ID: 1\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\n", "no name"},
		{"empty name", "name:\n", "line 1: name is empty"},
		{"two names", "name: a\nname: b\n", "line 2: a second name"},
		{"two ids", "name: a\nID: 1\nID: 2\n", "line 3: a second ID"},
		{"id", "name: a\nID: x\n", "line 2: ID"},
		{"no format", "name: a\nID: 1\n", "no format section"},
		{"print first", "name: a\nprint fmt: \"\"\n", "line 2: print fmt before format"},
		{"no field", head + "\tfeld:int a;\n", "line 4: want a field"},
		{"no semicolon", head + "\tfield:int a\n", "line 4: field \"int a\" has no offset"},
		{"no offset", head + "\tfield:int a;\tsize:4;\n", "no offset or no size"},
		{"offset", head + "\tfield:int a;\toffset:-1;\tsize:4;\n", "offset is \"-1\""},
		{"size", head + "\tfield:int a;\toffset:0;\tsize:99999999999;\n", "size is"},
		{"end", head + "\tfield:int a;\toffset:65536;\tsize:4;\n", "behind the largest record"},
		{"no field name", head + "\tfield:;\toffset:0;\tsize:4;\n", "has no name"},
		{"no type", head + "\tfield:a;\toffset:0;\tsize:4;\n", "field a has no type"},
		{"brackets", head + "\tfield:int a];\toffset:0;\tsize:4;\n", "brackets do not match"},
		{"data_loc size", head + "\tfield:__data_loc char[] a;\toffset:0;\tsize:8;\n", "__data_loc char[] of 8 bytes, want 4"},
		{"large", strings.Repeat("x", maxFormat+1), "more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseFormat("sys", []byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "parse format of sys") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseFormatPrefixes(t *testing.T) {
	for name, b := range fixtures(t) {
		step := max(1, len(b)/700)
		for n := 0; n < len(b); n += step {
			s, err := ParseFormat("x", b[:n])
			if err == nil {
				checkSchema(t, s)
			}
			if err == nil && n < 20 {
				t.Errorf("%s: a prefix of %d bytes was taken", name, n)
			}
		}
	}
}

func TestSymbols(t *testing.T) {
	s, err := ParseFormat("made", fixtures(t)["made.names"])
	if err != nil {
		t.Fatal(err)
	}
	sym := func(name string, v uint64) perfpipe.Symbol { return perfpipe.Symbol{Name: name, Value: v} }
	neg := func(v int64) uint64 { return uint64(v) }
	for _, tt := range []struct {
		field, delim string
		want         []perfpipe.Symbol
	}{
		{"vec", "", []perfpipe.Symbol{sym("ZERO", 0), sym("SIXTEEN", 16), sym("EIGHT", 8), sym("FOUR", 4), sym("CEE", 'C')}},
		{"state", "|", []perfpipe.Symbol{sym("S", 1), sym("D", 2)}},
		{"prio", "", nil},
		{"flags", "|", []perfpipe.Symbol{sym("TOP", 1<<63), sym("NONE", 0), sym("TWO", 24)}},
		{"err", "", []perfpipe.Symbol{sym("EAGAIN", neg(-11)), sym("NINE", neg(-9)), sym("ALL", neg(-1))}},
		{"kind", "", []perfpipe.Symbol{sym("ab", 1), sym("say \"x\"\n", 2)}},
		{"both", "", nil},
		{"joined", " ", []perfpipe.Symbol{sym("HIGH", 1<<31)}},
		{"gfp", "|", []perfpipe.Symbol{sym("MOVABLE", 8), sym("KSWAPD", 2048)}},
	} {
		f := s.Field(tt.field)
		a, _ := json.Marshal(f.Symbols)
		b, _ := json.Marshal(tt.want)
		if string(a) != string(b) || f.FlagsDelim != tt.delim {
			t.Errorf("%s: got %q %s\nwant %q %s", tt.field, f.FlagsDelim, a, tt.delim, b)
		}
	}
}

func TestEvalC(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"1 + 2 * 3", 7, true},
		{"(1 + 2) * 3", 9, true},
		{"7 - 2 - 1", 4, true},
		{"1 << 2 + 1", 8, true},
		{"1 | 2 ^ 3 & 1", 3, true},
		{"1 == 1 && 2 < 3 || 0", 1, true},
		{"!5 == 0", 1, true},
		{"-7 / 2", -3, true},
		{"-7 % 3", -1, true},
		{"~0", -1, true},
		{"~0U", 0xffffffff, true},
		{"~0UL", -1, true},
		{"-1 < 0U", 0, true},
		{"-1 < 0L", 1, true},
		{"1 << 31", 1 << 31, true},
		{"1 << 32", 0, false},
		{"1UL << 63", -1 << 63, true},
		{"(unsigned char)300", 44, true},
		{"(s8)255", -1, true},
		{"(int)0xffffffff", -1, true},
		{"( gfp_t)1 << 4", 16, true},
		{"( gfp_t)0", 0, true},
		{"(foo)(1 << 2)", 4, true},
		{"0x7fffffff + 1L", 1 << 31, true},
		{"4294967296", 1 << 32, true},
		{"0b101", 5, true},
		{"0777", 511, true},
		{"'A'", 'A', true},
		{"1 ? 2 : 3 ? 4 : 5", 2, true},
		{"0 ? 2 : 0 ? 4 : 5", 5, true},
		{"1 / 0", 0, false},
		{"1 % 0", 0, false},
		{"-9223372036854775807L / -1", 9223372036854775807, true},
		{"", 0, false},
		{"1 +", 0, false},
		{"(1", 0, false},
		{"1)", 0, false},
		{"NAME", 0, false},
		{"sizeof(int)", 0, false},
		{"08", 0, false},
		{"0x", 0, false},
		{"1x", 0, false},
		{"99999999999999999999", 0, false},
		{"REC->a", 0, false},
		{strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500), 0, false},
		{strings.Repeat("-", 500) + "1", 0, false},
	} {
		v, ok := evalC(tt.in, nil)
		if ok != tt.ok || ok && int64(v.v) != tt.want {
			t.Errorf("%.40s = %d, %v; want %d, %v", tt.in, int64(v.v), ok, tt.want, tt.ok)
		}
	}
}

// FuzzParseFormat: what is taken holds the invariants, and its fields can be read
// from any record without leaving it.
func FuzzParseFormat(f *testing.F) {
	for _, b := range fixtures(f) {
		f.Add(b)
	}
	raw := make([]byte, 300)
	for i := range raw {
		raw[i] = byte(i * 7)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseFormat("x", b)
		if err != nil {
			return
		}
		checkSchema(t, s)
		for i := range s.Fields {
			f := &s.Fields[i]
			if d, ok := f.Bytes(raw); ok && len(d) > len(raw) {
				t.Fatalf("%s: %d bytes of a record of %d", f.Name, len(d), len(raw))
			}
			f.Uint(raw)
		}
		again, err := ParseFormat("x", b)
		if err != nil || again.FormatSHA256 != s.FormatSHA256 || again.Size != s.Size {
			t.Fatalf("parsed twice: %v", err)
		}
	})
}

// The time for a format file is bounded, whatever stands in its print format.
func TestParseFormatHostilePrint(t *testing.T) {
	const head = "name: n\nID: 1\nformat:\n\tfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n\nprint fmt: "
	for name, part := range map[string]string{
		"open lists":     "__print_flags(",
		"nested lists":   "__print_flags(REC->a, {",
		"open strings":   `"`,
		"open brackets":  "__print_symbolic(((((",
		"many operators": "__print_symbolic(REC->a+REC->a, ",
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{maxPrint - 100, maxFormat - len(head) - 100} {
				begin := time.Now()
				if _, err := ParseFormat("x", []byte(head+strings.Repeat(part, size/len(part)))); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(begin); d > 20*time.Second {
					t.Errorf("%d bytes took %v", size, d)
				}
			}
		})
	}
}
