package filters

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// Records whose texts lie behind the fields need a place as long as the whole record:
// compareBPF takes the longest. What a shorter record has behind its end is zeroes.

// textRecords are records with texts of all kinds.
func textRecords(s *perfpipe.Schema, n int) []*perfpipe.Record {
	w := &writer{r: rand.New(rand.NewPCG(9, 9))}
	var list []*perfpipe.Record
	for range n {
		r := w.plainRecord(s)
		r.CPU = uint16(w.r.IntN(4))
		list = append(list, r)
	}
	return list
}

// withText is a record whose str has the bytes of text, without more of a NUL.
func withText(s *perfpipe.Schema, text string) *perfpipe.Record {
	r := textRecords(s, 1)[0]
	raw := r.Raw[:s.Size:s.Size]
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Loc == perfpipe.LocData {
			putInt(raw[f.Offset:f.Offset+4], uint64(s.Size))
		}
	}
	f := s.Field("str")
	putInt(raw[f.Offset:f.Offset+4], uint64(s.Size)|uint64(len(text))<<16)
	r.Raw = append(raw, text...)
	return r
}

func TestBPFTextSameAsInProcess(t *testing.T) {
	testpriv.Need(t)
	s := randomSchema()
	records := textRecords(s, 60)
	for _, text := range []string{"", "a", "abc\x00def", "\x00", "abc", "xxbash", "bash", "acb", strings.Repeat("ab", 2000) + "c\x00"} {
		records = append(records, withText(s, text))
	}
	// A text that is not within its record.
	far := withText(s, "abc\x00")
	f := s.Field("str")
	putInt(far.Raw[f.Offset+2:f.Offset+4], 60000)
	records = append(records, far)
	// The longest record: its end is that of the memory, as far as the verifier knows.
	records = append(records, withText(s, strings.Repeat("ab", 2)+strings.Repeat("\x00", maxTextMemory-4-s.Size)))
	for _, src := range []string{
		`next_comm == "bash"`, `next_comm != "bash"`, `next_comm == ""`, `next_comm == "0123456789abcde"`, `next_comm == "0123456789abcdef0"`,
		`tag == "abcdef"`, `tag == "abc"`, `tag == "abcdefgh"`, `tag ~ "abcdef*"`, `tag ~ "*"`,
		`$comm == "bash"`, `COMM ~ "k*"`, `$comm == "0123456789abcde"`, `$comm ~ "*sh"`, `$comm ~ "*a*"`,
		`str == "bash"`, `str == ""`, `str == "abc"`, `str != "abc"`, `str ~ "ba*"`, `startswith(str, "xx")`,
		`str ~ "*sh"`, `str ~ "*"`, `str ~ "*a*"`, `contains(str, "bc")`, `endswith(str, "c")`, `endswith(str, "babc")`,
		`str ~ "a*b"`, `str ~ "?sh"`, `str ~ "[ab]*"`, `str ~ "[!a]*"`, `str ~ "b*[st]h"`, `str ~ "*a*b*"`, `str ~ "*b*b*c"`, `str ~ "a*a*b"`, `str ~ "[a"`, `str ~ "abc\\"`, `str ~ "a?c"`, `str ~ "?"`, `str ~ "[a-c]?[!x]"`, `str ~ "\*"`,
		`next_comm ~ "*sh"`, `next_comm ~ "*a*"`, `tag ~ "*f"`, `tag ~ "?b*"`, `tag ~ "*e?"`, `next_comm ~ "*1*"`, `next_comm ~ "b?*[!x]"`,
		`strlen(str) == 3`, `strlen(next_comm) > 3`, `strlen(tag) == 6`, `strlen($comm) < 4`, `strlen(str) == 4001`,
		`hash(str) & 1`, `hash(next_comm) & 2`, `hash(tag) % 3 == 1`, `hash($comm) % 3 == 1`,
		`str == next_comm`, `str == $comm`, `tag != next_comm`, `str == str`, `startswith(str, tag)`, `endswith(str, next_comm)`, `contains(str, next_comm)`, `contains("xxbash", $comm)`, `startswith("abcdefgh", tag)`, `contains(str, str)`,
		`(a > b ? str : next_comm) == "bash"`, `(a > b ? str : "bash") ~ "*sh"`, `strlen((u8 & 1 ? str : tag)) > 2`, `(a > b ? str : tag) == (u8 & 1 ? $comm : next_comm)`,
		`str in {"bash", "abc", ""}`, `!(str == "bash") && tag ~ "a*"`,
		`dyn[0] == 0`, `dyn[u8 & 3] == 0`, `dyn[a] < 9`, `str[0] == 'b'`, `str[u8] > 'a'`, `next_comm[1] == 'a'`, `tag[2] == 'c'`,
		`cidr(saddr, "10.0.0.0/8")`, `cidr(saddr6, "fe80::/10")`, `cidr(saddr6, "0101::/13") || cidr(saddr6, "::/0")`, `cidr(saddr6, "ff00::/7")`,
		`mask == CPUS{0}`, `mask != CPUS{0}`, `mask & CPUS{1}`, `mask == CPUS{0-1}`, `mask & CPUS{70}`, `mask == CPUS{1,64}`,
		"{ string s = str; if (a > b) s = next_comm; return s == \"bash\"; }",
		"{ string s = tag; for (i = 0; i < 3; i++) { if (s == \"abc\") return true; s = i == 1 ? str : $comm; } return s ~ \"*sh\"; }",
		"string f(string s, s32 x) { if (x > 0) return s; return \"abc\"; } { return f(str, a) == f(tag, b); }",
		"bool f(string s) { return s ~ \"*a*\" && s != \"abc\"; } { return f(str) || f(next_comm) || f($comm) || f(\"kworker/0:1\"); }",
		"{ u64 n = 0; for (i = 0; i < 4; i++) { n += strlen(str) + hash(tag) % 7; if (str ~ \"*b*\") n++; } emit u64 total = n; return n > 9; }",
		"u64 f(string s) { return strlen(s) * 2; } { emit u64 x = f(str) + f(next_comm); return f(tag) > 5; }",
		"{ string s = str; return strlen(s) == f(s); } ",
	} {
		p, err := Compile(src, s, Options{CPUs: 128})
		if err != nil {
			if !strings.Contains(src, "f(s); } ") {
				t.Errorf("%s: %v", src, err)
			}
			continue
		}
		if err := compareBPF(t, p, records); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// The kernel's own rules for texts.
func TestBPFKernelTextSameAsInProcess(t *testing.T) {
	testpriv.Need(t)
	s := randomSchema()
	records := textRecords(s, 80)
	for _, text := range []string{"", "ab", "abc\x00def\x00", "\x00", "abc\x00", "xbash\x00", "a*b\x00"} {
		records = append(records, withText(s, text))
	}
	var list []string
	for _, name := range []string{"str", "next_comm", "tag", "COMM"} {
		for _, pat := range []string{"bash", "", "abc", "abcdef", "abcdefgh", "b*", "*sh", "*f", "*a*", "*b*", "1*", "[ab]*", "a?c", "b*h", "*", "!a*", "*def*", "0123456789abcdefg*", "*0123456789abcdefg*"} {
			list = append(list, name+` ~ "`+pat+`"`)
		}
		list = append(list, name+` == "abc"`, name+` != "abcdef"`, name+` == "abcdefgh"`, name+` == ""`)
	}
	for _, src := range list {
		p, err := Compile(src, s, Options{KernelCompat: true})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if err := compareBPF(t, p, records); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

// random texts against random patterns.
func TestBPFRandomGlobs(t *testing.T) {
	testpriv.Need(t)
	s := randomSchema()
	r := rand.New(rand.NewPCG(3, 4))
	word := func(letters string, most int) string {
		b := make([]byte, r.IntN(most))
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	refused := 0
	for range 150 {
		op := []string{"~", "==", "startswith", "endswith", "contains"}[r.IntN(5)]
		field := []string{"str", "next_comm", "tag", "$comm"}[r.IntN(4)]
		src := field + ` ~ "` + word(`aab*?[]!-\c`, 9) + `"`
		switch op {
		case "~":
		case "==":
			src = field + ` == "` + word("ab", 4) + `"`
		default:
			src = op + "(" + field + ", " + []string{`"` + word("ab", 4) + `"`, "tag", "str"}[r.IntN(3)] + ")"
		}
		p, err := Compile(src, s, Options{})
		if err != nil {
			refused++
			continue
		}
		var list []*perfpipe.Record
		for range 25 {
			k := withText(s, word("aab*?[]!-\\c\x00", 12))
			f := s.Field("next_comm")
			copy(k.Raw[f.Offset:f.Offset+f.Size], append([]byte(word("aabc", 15)), 0))
			f = s.Field("tag")
			copy(k.Raw[f.Offset:f.Offset+f.Size], bytes.Repeat([]byte(word("ab", 5)+"\x00"), 2))
			k.Comm = word("aabc", 15)
			list = append(list, k)
		}
		if err := compareBPF(t, p, list); err != nil {
			t.Fatalf("%s: %v", src, err)
		}
	}
	if refused > 75 {
		t.Errorf("%d of 150 patterns are refused", refused)
	}
}

// Fields of probes, which may have no value, and elements of them.
func TestBPFProbedSameAsInProcess(t *testing.T) {
	testpriv.Need(t)
	s := probedSchema()
	check := func(w *writer, p *Program) {
		var list []*perfpipe.Record
		for range 20 {
			list = append(list, w.record(s))
		}
		if err := compareBPF(t, p, list); err != nil {
			t.Errorf("%s: %v", p.Source(), err)
		}
	}
	w := probedWriter(11)
	for _, src := range []string{
		`isnull(str)`, `isnull(str2)`, `isnull(tag)`, `isnull(nevers)`, `isnull(b4)`, `isnull(s8)`, `isnull(s64)`, `isnull(arr4)`,
		`str == "bash/sh "`, `str ~ "*sh*"`, `str2 == "abc"`, `tag == "abc"`, `strlen(tag) == 6`, `strlen(tag) > 2`, `hash(tag) & 1`, `hash(str) & 1`, `tag == str`, `contains(tag, str2)`,
		`strlen(nevers) == 0`, `nevers == ""`, `str[u16 & 7] == 'b'`, `b4[u16 & 3] > 1`, `arr4[u16 & 3] > 1`, `cidr(saddr6, "::/1")`,
		`{ string k = str; if (u16 & 1) k = tag; return k == str2 || strlen(k) > 4; }`,
	} {
		p, err := Compile(src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		check(w, p)
	}
	programsOf(t, w, s, 300, Options{CPUs: 2}, check)
}

// Text of a process: the test reads its own.
func TestBPFTextOfAProcess(t *testing.T) {
	testpriv.Need(t)
	s := randomSchema()
	f := s.Field("xx")
	f.CType, f.Kind = "const char *", perfpipe.KindPointer
	for _, tt := range []struct {
		src, text string
		want      bool
	}{
		{`xx.ustring == "bash"`, "bash", true},
		{`xx.ustring == "bash"`, "bas", false},
		{`xx.ustring != "bash"`, "bas", true},
		{`xx.ustring ~ "*sh"`, "bash", true},
		{`xx.ustring ~ "*as*"`, "bash", true},
		{`xx.ustring ~ "b*[!x]"`, "bash", true},
		{`xx.ustring ~ "b*"`, "", false},
		{`xx.ustring == ""`, "", true},
		{`xx.ustring == ""`, "a", false},
		{`xx == "bash"`, "bash", false}, // that is memory of a process
		{`xx.ustring ~ "a*b"`, strings.Repeat("a", userTextMemory-2) + "b", true},
		// The kernel looks at no more.
		{`xx.ustring ~ "a*b"`, strings.Repeat("a", userTextMemory-1) + "b", false},
		{`xx.ustring == "bash"`, unreadableText, false},
		{`xx.ustring != "bash"`, unreadableText, false},
		{`xx.ustring ~ "*"`, unreadableText, false},
		{`xx.ustring == "bash" || u8 == 7`, unreadableText, true},
	} {
		for _, compat := range []bool{false, true} {
			p, err := Compile(tt.src, s, Options{KernelCompat: compat})
			if err != nil {
				t.Errorf("%s: %v", tt.src, err)
				continue
			}
			r := textRecords(s, 1)[0]
			b := append([]byte(tt.text), 0)
			at := uint64(reflect.ValueOf(&b[0]).Pointer())
			if tt.text == unreadableText {
				at = 8
			}
			putInt(r.Raw[f.Offset:f.Offset+8], at)
			putInt(r.Raw[s.Field("u8").Offset:][:1], 7)
			got, err := runBPF(t, p, r)
			runtime.KeepAlive(&b[0])
			if err != nil {
				t.Errorf("%s: %v", tt.src, err)
				continue
			}
			if got.ok != tt.want || got.fault != 0 {
				t.Errorf("%s (kernel's own rules: %v) of %d bytes: got %v, fault %v, want %v", tt.src, compat, len(tt.text), got.ok, got.fault, tt.want)
			}
		}
	}
}

// unreadableText stands for a pointer that leads nowhere.
const unreadableText = "(nothing)"

// runBPF is what the program in the kernel says of one record.
func runBPF(t *testing.T, p *Program, r *perfpipe.Record) (outcome, error) {
	t.Helper()
	f, err := p.BPF()
	if err != nil {
		return outcome{}, err
	}
	mem, err := newBPFMemory(f.Memory, f.Text)
	defer mem.close()
	if err != nil {
		return outcome{}, err
	}
	b, err := newBPFTrial(t, f, mem, len(r.Raw), trialMode{left: true})
	if err != nil {
		return outcome{}, err
	}
	defer b.close()
	return b.run(p, r)
}
