package filters

import (
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func TestSymbolicNames(t *testing.T) {
	for _, tt := range []struct {
		event, arch, filter, want string
	}{
		{"irq/softirq_entry", "", "vec == NET_RX", "vec == 3"},
		{"irq/softirq_entry", "", "vec in {HI, NET_RX}", "vec == 0 || vec == 3"},
		{"raw_syscalls/sys_exit", "amd64", "id == openat", "id == 257"},
		{"raw_syscalls/sys_exit", "arm64", "id == openat", "id == 56"},
		{"raw_syscalls/sys_exit", "amd64", "ret == -EAGAIN", "ret == -11"},
		{"signal/signal_generate", "", "sig == SIGKILL", "sig == 9"},
		{"sock/inet_sock_set_state", "", "newstate == TCP_ESTABLISHED", "newstate == 1"},
		{"sock/inet_sock_set_state", "", "family == AF_INET", "family == 2"},
	} {
		p, err := Compile(tt.filter, formatOf(t, tt.event), Options{Arch: tt.arch})
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := p.Push(KernelFeatures{}).Text; got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.filter, got, tt.want)
		}
	}
	// A system call is no number beside anything else.
	if _, err := Compile("prev_pid == openat", formatOf(t, "sched/sched_switch"), Options{}); err == nil {
		t.Error("prev_pid == openat: got no error")
	}
}

// Errors say where, why, what is near, and how to mend it.
func TestErrors(t *testing.T) {
	s := formatOf(t, "sched/sched_switch")
	for _, tt := range []struct {
		filter string
		col    int
		want   []string
	}{
		{"prevpid == 1", 1, []string{`unknown field "prevpid"`, "did you mean prev_pid?", "prev_pid s32", "next_comm char[16]"}},
		{"prev_pid == 1 &&\n  nextpid == 2", 3, []string{"line 2, column 3", "did you mean next_pid?"}},
		{"pid == 1", 1, []string{"write $pid"}},
		{"prev_comm == bash", 14, []string{`unknown field "bash"`}},
		{"prev_comm == 5", 14, []string{"expected a string", `quote it: "5"`}},
		{"prev_pid == \"x\"", 13, []string{"expected an integer"}},
		{"prev_comm < \"x\"", 13, []string{"no order"}},
		{"prev_pid ~ \"x\"", 12, []string{"expected an integer"}},
		{"prev_prio == 5000000000", 14, []string{"never in prev_prio", "-2147483648 to 2147483647", "705032704"}},
		{"common_flags & 0x100", 16, []string{"never in common_flags"}},
		{"common_flags == -1", 17, []string{"negative", "0xff"}},
		{"prev_pid & 4 == 4", 14, []string{"side by side", "parentheses"}},
		{"prev_pid / 0 == 1", 12, []string{"division by zero"}},
		{"prev_pid << 64 == 1", 13, []string{"shift by 64"}},
		{"prev_comm[16] == 'x'", 11, []string{"out of range", "0 to 15"}},
		{"prev_pid[0] == 1", 1, []string{"only arrays and strings"}},
		{"prev_pid == 08", 13, []string{"octal", "write 8"}},
		{"prev_pid == 1e3", 13, []string{"no number"}},
		{"prev_pid == 0b1", 13, []string{"hexadecimal"}},
		{"prev_state == 18446744073709551616", 15, []string{"64 bits"}},
		{"prev_comm", 1, []string{"no condition"}},
		{"5", 1, []string{"no condition"}},
		{"prev_pid = 5", 10, []string{"write =="}},
		{"prev_comm !~ \"x\"", 11, []string{"write !("}},
		{"prev_pid == 1 and next_pid == 2", 15, []string{"write &&"}},
		{"nosuch(prev_pid) == 1", 1, []string{"unknown function"}},
		{"strlan(prev_comm) == 1", 1, []string{"did you mean strlen?"}},
		{"strlen(prev_pid) == 1", 8, []string{"needs a string"}},
		{"strlen() == 1", 1, []string{"one argument", "strlen(s)"}},
		{"sample(prev_pid)", 8, []string{"fraction", "sample(1/100)"}},
		{"$foo == 1", 1, []string{"unknown $foo", "$cpu"}},
		{"min(prev_pid, (u64)next_pid) == 1", 15, []string{"mixed"}},
		{"prev_pid in {1, next_pid}", 17, []string{"constant"}},
		{"prev_pid in {5..1}", 14, []string{"empty"}},
		{"prev_comm in {1}", 15, []string{"string"}},
		{"prev_comm ~ next_comm", 13, []string{"literal"}},
		{"CPU & CPUS{9-1}", 7, []string{"no list of processors"}},
		{"CPU > CPUS{1}", 7, []string{"does not go with"}},
		{"next_comm.function == x", 23, []string{"needs an address"}},
		{"prev_state.function == vfs_read", 24, []string{"not known here"}},
		{"cidr(prev_pid, \"10.0.0.0/40\")", 16, []string{"no network"}},
		{"has(5)", 5, []string{"name of a field"}},
		{"(string)prev_pid == \"x\"", 1, []string{"cannot be made a string"}},
		{"(prev_pid == 1 ? prev_comm : 5) == \"x\"", 30, []string{"string and s64"}},
		{"prev_pid == 1 && nosuch == 1 && alsonot == 2", 18, []string{"unknown field", "also: unknown field \"alsonot\""}},
		{"prev_pid == \t5 &&", 18, []string{"ends"}},
	} {
		_, err := Compile(tt.filter, s, Options{})
		if err == nil {
			t.Errorf("%s: got no error", tt.filter)
			continue
		}
		e := asError(t, err)
		if e.Col != tt.col {
			t.Errorf("%s: got column %d, want %d\n%v", tt.filter, e.Col, tt.col, err)
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in\n%v", tt.filter, w, err)
			}
		}
	}
}

func TestErrorRendering(t *testing.T) {
	_, err := Compile("a == 1 && prev_pidd == 0", &perfpipe.Schema{System: "x", Name: "y", Fields: []perfpipe.Field{intField("a", "int", 8, 4, true), intField("prev_pid", "int", 12, 4, true)}}, Options{})
	const want = "filter of x:y: unknown field \"prev_pidd\"\n" +
		"  a == 1 && prev_pidd == 0\n" +
		"            ^~~~~~~~~\n" +
		"  did you mean prev_pid?\n" +
		"  fields: a s32, prev_pid s32"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	long := strings.Repeat("a == 1 && ", 100) + "zz == 1" + strings.Repeat(" && a == 2", 100)
	_, err = Compile(long, &perfpipe.Schema{Fields: []perfpipe.Field{intField("a", "int", 8, 4, true)}}, Options{})
	e := asError(t, err)
	lines := strings.Split(e.Caret(), "\n")
	if len(lines[0]) > 200 || lines[0][strings.IndexByte(lines[1], '^'):][:2] != "zz" {
		t.Errorf("got\n%s", e.Caret())
	}
}

// A hostile filter is refused, or compiled, within a second.
func TestCompileLimits(t *testing.T) {
	s := randomSchema()
	for _, tt := range []struct{ name, src string }{
		{"megabyte", strings.Repeat("a == 1 && ", 100_000) + "a == 1"},
		{"parentheses", strings.Repeat("(", 10_000) + "a == 1" + strings.Repeat(")", 10_000)},
		{"right sums", strings.Repeat("a+(", 2000) + "1" + strings.Repeat(")", 2000) + " == 1"},
		{"nested ?:", strings.Repeat("(a ? b : ", 2000) + "c" + strings.Repeat(")", 2000) + " == 1"},
		{"conditions", strings.Repeat("((a == 1 ? b : c) == 1 ? ", 1000) + "a" + strings.Repeat(" : c)", 1000) + " == 1"},
	} {
		if _, err := Compile(tt.src, s, Options{}); err == nil && tt.name != "nested ?:" && tt.name != "conditions" {
			t.Errorf("%s: got no error", tt.name)
		}
		if _, err := Compile(tt.src, s, Options{KernelCompat: true}); err == nil {
			t.Errorf("%s: the kernel's language takes it", tt.name)
		}
	}
	for _, src := range []string{strings.Repeat("a||", 20_000) + "a", strings.Repeat("a+", 20_000) + "a == 1", strings.Repeat("!a == 1||", 7000) + "a", strings.Repeat("(a==1 ? b : c) + ", 3000) + "1 == 1"} {
		p, err := Compile(src, s, Options{})
		if err != nil {
			t.Errorf("%.20s...: %v", src, err)
			continue
		}
		p.Match(&perfpipe.Record{Raw: make([]byte, s.Size)})
		p.Push(newKernel)
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		filter string
		n      int
	}{
		{"!a == 1", 1}, {"!(a == 1)", 0}, {"!a", 0}, {"!(a == 1) && b == 1", 0}, {"b4 == 5", 1}, {"!str ~ \"x\" || !b == 1", 2},
	} {
		p, err := Compile(tt.filter, uprobeSchema(), Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := len(p.Warnings()); got != tt.n {
			t.Errorf("%s: got %d warnings, want %d", tt.filter, got, tt.n)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, c := range kernelCases(f) {
		f.Add(c.Filter)
	}
	for _, s := range []string{`(a ? next_comm : str) == "x"`, `a/b == 1`, `cidr(saddr, "1.2.3.4/8")`, `has(x) && x`, `u8 in {1..3}`, `str ~ "[!a"`, `c"\x41" == str`} {
		f.Add(s)
	}
	s := randomSchema()
	w := &writer{r: newRand()}
	recs := []*perfpipe.Record{w.record(s), w.record(s), {Raw: nil}}
	f.Fuzz(func(t *testing.T, src string) {
		for _, o := range []Options{{CPUs: 2}, {CPUs: 2, KernelCompat: true}} {
			p, err := Compile(src, s, o)
			if err != nil {
				if e := asError(t, err); e.Reason == "" || e.Pos > len(src) || err.Error() == "" {
					t.Fatalf("%q: %+v", src, e)
				}
				continue
			}
			push := p.Push(newKernel)
			if push.Err == nil && !p.NeedsKernel() {
				checkPushed(t, w, p, push, 3)
			}
			for _, r := range recs {
				ok, fault := p.Match(r)
				if _, ok2, fault2 := p.Visited(r, nil); ok != ok2 || fault != fault2 {
					t.Fatalf("%q: Match says %v %v, Visited %v %v", src, ok, fault, ok2, fault2)
				}
			}
		}
	})
}
