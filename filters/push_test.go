package filters

import (
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

var newKernel = KernelFeatures{Function: true, CPUS: true, CPUCount: 2}

// checkPushed wants the pushed text, as the kernel's engine decides it, to be
// never false where the filter is true, and to be the filter where it is exact;
// and the rest to decide what the text lets through.
func checkPushed(t *testing.T, w *writer, p *Program, push Pushed, records int) (exact, weaker int) {
	t.Helper()
	var kernel *Program
	if push.Text != "" {
		var err error
		if kernel, err = Compile(push.Text, p.Schema(), Options{KernelCompat: true, CPUs: 2, Functions: kallsyms{}}); err != nil {
			t.Fatalf("%s\npushed: %v", p.Source(), err)
		}
	}
	for i := 0; i < records; i++ {
		r := w.record(p.Schema())
		ok, fault := p.Match(r)
		in := true
		if kernel != nil {
			var f Fault
			if in, f = kernel.Match(r); f != 0 {
				t.Fatalf("%s\npushed %s: fault %v", p.Source(), push.Text, f)
			}
		}
		switch {
		case ok && !in:
			t.Fatalf("%s\npushed %s: the filter is true and the pushed text false\n%x comm %q cpu %d", p.Source(), push.Text, r.Raw, r.Comm, r.CPU)
		case push.Exact && in != ok:
			t.Fatalf("%s\npushed %s as exact: got %v, want %v (%v)\n%x comm %q", p.Source(), push.Text, in, ok, fault, r.Raw, r.Comm)
		case !push.Exact && in:
			if rest, f := push.Rest.Match(r); rest != ok || f != fault {
				t.Fatalf("%s\npushed %s: the rest says %v %v, want %v %v", p.Source(), push.Text, rest, f, ok, fault)
			}
		}
	}
	if push.Exact {
		return 1, 0
	}
	if push.Text != "" {
		return 0, 1
	}
	return 0, 0
}

// No record is true for the whole filter and false for the pushed part.
func TestPushIsSound(t *testing.T) {
	for _, o := range []Options{{CPUs: 2}, {CPUs: 2, OnFault: Pass}} {
		exact, weaker := 0, 0
		randomPrograms(t, 7, 4000, true, o, func(w *writer, p *Program) {
			for _, k := range []KernelFeatures{{}, newKernel} {
				e, k := checkPushed(t, w, p, p.Push(k), 12)
				exact += e
				weaker += k
			}
		})
		if exact < 500 || weaker < 500 {
			t.Errorf("on-fault %v: got %d exact and %d weaker pushes: the test tests nothing", o.OnFault, exact, weaker)
		}
	}
}

// What was pushed of a kernel filter is the same filter.
func TestPushKernelFilters(t *testing.T) {
	for _, c := range kernelCases(t) {
		s := semanticsSchema(t, &c)
		p, err := Compile(c.Filter, s, Options{KernelCompat: true, CPUs: 2})
		if err != nil {
			continue
		}
		push := p.Push(KernelFeatures{CPUS: true, CPUCount: 2})
		if push.Text == "" {
			continue // always true, or never
		}
		if !push.Exact {
			t.Errorf("%q: pushed %q is not exact: %s", c.Filter, push.Text, push.Parts[0].Reason)
			continue
		}
		q, err := Compile(push.Text, s, Options{KernelCompat: true, CPUs: 2})
		if err != nil {
			t.Errorf("%q: pushed %q: %v", c.Filter, push.Text, err)
			continue
		}
		if got := c.verdicts(t, q, s); got != c.want() {
			t.Errorf("%q: pushed %q: got %s, want %s", c.Filter, push.Text, got, c.want())
		}
	}
}

func TestPushText(t *testing.T) {
	s := randomSchema()
	s.Fields = append(s.Fields, perfpipe.Field{Name: "filename", CType: "const char *", Offset: s.Size, Size: 8, ElemSize: 8, Count: 1, Kind: perfpipe.KindPointer})
	s.Size += 8
	for _, tt := range []struct {
		src, want string
		exact     bool
	}{
		{`a == 1`, `a == 1`, true},
		{`!a == 1`, `a != 1`, true},
		{`!(a == 1 || b < 5)`, `a != 1 && b > 4`, true},
		{`a in {1, 5..9}`, `a == 1 || a >= 5 && a <= 9`, true},
		{`(a & 6) == 6`, `a & 2 && a & 4`, true},
		{`(a & 6) == 2`, `!a & 4 && a & 2`, true},
		{`(a & 6) == 0`, `!a & 6`, true},
		{`has_flag(u32, 0x81)`, `u32 & 0x1 && u32 & 0x80`, true},
		{`a + 1 == 2 && b == 3`, `b == 3`, false},
		{`a + 1 == 2 || b == 3`, ``, false},
		{`a == b`, ``, false},
		{`next_comm ~ "*sh"`, `next_comm ~ "*\sh"`, true},
		{`next_comm ~ "*sh*"`, `next_comm ~ "*\sh*"`, true},
		{`startswith(str, "1*")`, `str ~ "\1\**"`, true},
		{`str ~ "1*"`, `str ~ "\1*"`, true},
		{`tag ~ "*sh"`, `tag ~ "*sh*"`, false},
		{`!(tag ~ "*sh")`, ``, false},
		{`str ~ "[!a]*"`, ``, false},
		{`str == "a'b"`, `str == "a'b"`, true},
		{`str == 'a"b'`, `str == 'a"b'`, true},
		{`str == c"a\"'b"`, ``, false},
		{`$comm == "bash"`, `COMM == "bash"`, true},
		{`$tid == 7`, `common_pid == 7`, true},
		{`$pid == 7`, ``, false},
		{`CPU & 1`, ``, false},
		{`CPU & CPUS{0-1}`, `CPU <= 1`, true},
		{`mask & CPUS{0-1}`, `mask & CPUS{0-1}`, true},
		{`mask & CPUS{5}`, ``, false},
		{`xx.function == vfs_read`, `xx.function == vfs_read `, true},
		{`filename.ustring == "/etc/passwd"`, `filename.ustring == "/etc/passwd"`, true},
		{`!(filename ~ "/etc/*")`, ``, false},
		{`b4[0] == 1`, ``, false},
	} {
		p, err := Compile(tt.src, s, Options{Functions: kallsyms{}})
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		push := p.Push(newKernel)
		if push.Text != tt.want || push.Exact != tt.exact {
			t.Errorf("%s: got %q exact %v, want %q %v", tt.src, push.Text, push.Exact, tt.want, tt.exact)
		}
		if !push.Exact && push.Parts[0].Reason == "" && push.Parts[len(push.Parts)-1].Reason == "" {
			t.Errorf("%s: no reason", tt.src)
		}
	}
}

// A filter that the kernel alone can decide and that cannot be pushed is an error.
func TestPushNeedsKernel(t *testing.T) {
	s := formatOf(t, "syscalls/sys_enter_openat")
	for _, tt := range []struct {
		src string
		bad bool
	}{
		{`filename.ustring ~ "*passwd*"`, false},
		{`filename.ustring ~ "*passwd*" && (flags & 3) + 1 == 2`, false},
		{`filename.ustring ~ "*passwd*" || (flags & 3) + 1 == 2`, true},
		{`!(filename.ustring ~ "*passwd*")`, true},
	} {
		p, err := Compile(tt.src, s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !p.NeedsKernel() {
			t.Errorf("%s: does not need the kernel", tt.src)
		}
		push := p.Push(newKernel)
		if (push.Err != nil) != tt.bad {
			t.Errorf("%s: got %v, want an error: %v", tt.src, push.Err, tt.bad)
		}
		if !tt.bad && push.Rest != nil && push.Rest.NeedsKernel() {
			t.Errorf("%s: the rest needs the kernel", tt.src)
		}
	}
}

func TestPushIsAtMostAPage(t *testing.T) {
	s := randomSchema()
	p, err := Compile(strings.Repeat("a != 123456 || ", 500)+"b == 1 && c == 5", s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if push := p.Push(newKernel); len(push.Text) > maxKernelText || push.Exact {
		t.Errorf("got %d bytes, exact %v", len(push.Text), push.Exact)
	}
	p, err = Compile("("+strings.Repeat("a == 123456 || ", 500)+"b == 1) && c == 5", s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if push := p.Push(newKernel); push.Text != "c == 5" || push.Exact {
		t.Errorf("got %q, want c == 5", push.Text)
	}
}
