//go:build linux

package args

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

const tracefs = "/sys/kernel/tracing"

// TestLive asks the kernel for every sample and compares what it printed with what
// the program passed.
func TestLive(t *testing.T) {
	testpriv.Need(t)
	testpriv.Lock(t)
	for _, tc := range []struct {
		name, src string
		flags     []string
		samples   []sample
	}{
		{"C -O0", "fields.c", []string{"-g", "-O0"}, fieldSamples},
		{"C -O2", "fields.c", []string{"-g", "-O2"}, fieldSamples},
		{"C -O2 DWARF 2", "fields.c", []string{"-gdwarf-2", "-gstrict-dwarf", "-O2"}, fieldSamples},
		{"C++ -O0", "methods.cc", []string{"-g", "-O0"}, methodSamples},
		{"C++ -O2", "methods.cc", []string{"-g", "-O2"}, methodSamples},
		{"Go", "goprog/main.go", nil, goSamples},
		{"Go PIE", "goprog/main.go", []string{"-buildmode=pie"}, goSamples},
		{"Rust -O0", "shapes.rs", []string{"-g"}, rustSamples},
		{"Rust -O2", "shapes.rs", []string{"-g", "-O"}, rustSamples},
	} {
		t.Run(tc.name, func(t *testing.T) { live(t, build(t, tc.src, tc.flags...), tc.samples) })
	}
}

// group is the samples that one event fetches.
type group struct {
	fn      string
	samples []sample
	args    []fetch.Arg
}

// grouped puts the samples of a function into one event, but each text of Go or Rust into
// one of its own: as they go on to the next NUL, several make a record that is larger
// than the kernel's page, and it drops that without a word.
func grouped(p *program, samples []sample) []*group {
	var list []*group
	at := map[string]*group{}
	for _, s := range samples {
		g := at[s.fn]
		if text := (p.lang == "go" || p.lang == "rust") && s.value[0] == '"'; g == nil || text {
			g = &group{fn: s.fn}
			list = append(list, g)
			if !text {
				at[s.fn] = g
			}
		}
		g.samples = append(g.samples, s)
	}
	return list
}

func live(t *testing.T, p *program, samples []sample) {
	list := grouped(p, samples)
	tr := newTracer(t, p)
	for i, g := range list {
		var wants []Want
		for j, s := range g.samples {
			w := parseWant(t, s.want)
			w.Name = fmt.Sprintf("v%d", j)
			wants = append(wants, w)
		}
		var err error
		if g.args, _, err = Resolve(p.d, p.fn(t, g.fn), wants); err != nil {
			t.Fatal(err)
		}
		tr.define(t, fmt.Sprintf("e%d", i), g.fn, g.args)
	}
	lines := tr.run(t)
	for i, g := range list {
		line, ok := lines[fmt.Sprintf("e%d", i)]
		if !ok {
			t.Errorf("%s: never hit", g.fn)
			continue
		}
		values := parseValues(line, g.args)
		for j, s := range g.samples {
			got := decoded(g.args[j], values)
			if start, ok := strings.CutSuffix(s.value, "*}"); ok && strings.HasPrefix(got, start) {
				continue
			}
			if got != s.value {
				t.Errorf("%s(%s) as %s:%s got %s, want %s", g.fn, s.want, g.args[j].Expr, g.args[j].Type, got, s.value)
			}
		}
	}
}

// decoded does what the decoder will do beyond the kernel's own text.
func decoded(a fetch.Arg, values map[string]string) string {
	v := values[a.Name]
	if a.SignBits > 0 {
		n, _ := strconv.ParseUint(v, 0, 64)
		return strconv.FormatInt(int64(n<<(64-a.SignBits))>>(64-a.SignBits), 10)
	}
	if n, err := strconv.Atoi(values[a.Name+"_n"]); err == nil && a.Length != "" && len(v) > n {
		return v[:n+1] + `"`
	}
	return v
}

// parseValues cuts a line at the fields' names. Go's texts go on to the next NUL,
// through whatever lies behind them.
func parseValues(s string, list []fetch.Arg) map[string]string {
	var names []string
	for _, a := range list {
		if a.Length != "" {
			names = append(names, a.Name+"_n")
		}
		names = append(names, a.Name)
	}
	m := map[string]string{}
	s = " " + s
	for i, n := range names {
		_, s, _ = strings.Cut(s, " "+n+"=")
		m[n] = s
		if i+1 < len(names) {
			m[n], _, _ = strings.Cut(s, " "+names[i+1]+"=")
		}
	}
	return m
}

// tracer is a private instance of tracefs with events of its own.
type tracer struct {
	p     *program
	f     *elf.File
	group string
	dir   string
}

func newTracer(t *testing.T, p *program) *tracer {
	t.Helper()
	tr := &tracer{p: p, group: fmt.Sprintf("pptest_%d", os.Getpid())}
	tr.dir = filepath.Join(tracefs, "instances", tr.group)
	var err error
	if tr.f, err = elf.Open(p.path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tr.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = tr.f.Close()
		_ = os.WriteFile(filepath.Join(tr.dir, "events", tr.group, "enable"), []byte("0"), 0)
		if err := os.Remove(tr.dir); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(tracefs, "events", tr.group)); err == nil {
			if err := tr.append("-:" + tr.group + "/"); err != nil {
				t.Error(err)
			}
		}
	})
	return tr
}

func (tr *tracer) append(line string) error {
	f, err := os.OpenFile(filepath.Join(tracefs, "uprobe_events"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// define makes an event at the function's entry, its return, or its RET instructions.
func (tr *tracer) define(t *testing.T, event, fn string, list []fetch.Arg) {
	t.Helper()
	args := ""
	for _, a := range list {
		if a.Length != "" {
			args += fmt.Sprintf(" %s_n=%s:u64", a.Name, a.Length)
		}
		args += fmt.Sprintf(" %s=%s:%s", a.Name, a.Expr, a.Type)
	}
	fn, how, _ := strings.Cut(fn, "%")
	at := []uint64{tr.p.syms[fn]}
	letter := "p"
	switch how {
	case "trampoline":
		letter = "r"
	case "return":
		at = tr.rets(t, fn)
	}
	for _, pc := range at {
		line := fmt.Sprintf("%s:%s/%s %s:%#x%s", letter, tr.group, event, tr.p.path, tr.offset(t, pc), args)
		if err := tr.append(line); err != nil {
			log, _ := os.ReadFile(filepath.Join(tracefs, "error_log"))
			t.Fatalf("%s: %v\n%s", line, err, log[max(0, len(log)-600):])
		}
	}
}

func (tr *tracer) offset(t *testing.T, pc uint64) uint64 {
	t.Helper()
	for _, p := range tr.f.Progs {
		if p.Type == elf.PT_LOAD && pc >= p.Vaddr && pc < p.Vaddr+p.Filesz {
			return pc - p.Vaddr + p.Off
		}
	}
	t.Fatalf("%#x is in no segment", pc)
	return 0
}

// rets returns the addresses of a function's RET instructions.
func (tr *tracer) rets(t *testing.T, fn string) []uint64 {
	t.Helper()
	syms, err := tr.f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var out []uint64
	for _, s := range syms {
		if s.Name != fn {
			continue
		}
		code := make([]byte, s.Size)
		sec := tr.f.Sections[s.Section]
		if _, err := sec.ReadAt(code, int64(s.Value-sec.Addr)); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(code); {
			n := 4 // endbr64 is beyond the decoder
			if !strings.HasPrefix(string(code[at:]), "\xf3\x0f\x1e\xfa") {
				in, err := x86asm.Decode(code[at:], 64)
				if err != nil {
					t.Fatalf("decode %s+%#x: %v", fn, at, err)
				}
				if in.Op == x86asm.RET {
					out = append(out, s.Value+uint64(at))
				}
				n = in.Len
			}
			at += n
		}
		break
	}
	if len(out) == 0 {
		t.Fatalf("%s has no RET", fn)
	}
	return out
}

// run runs the program with all events on, and returns each event's first line behind
// its address.
func (tr *tracer) run(t *testing.T) map[string]string {
	t.Helper()
	enable := filepath.Join(tr.dir, "events", tr.group, "enable")
	if err := os.WriteFile(enable, []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command(tr.p.path).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", tr.p.path, err, b)
	}
	if err := os.WriteFile(enable, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(tr.dir, "trace"))
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(`(?m)^ *\S+-\d+ +\[\d+\].*: (e\d+): \([^)]*\) `)
	lines := map[string]string{}
	at := re.FindAllStringSubmatchIndex(string(b), -1)
	for i, m := range at {
		end := len(b)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if event := string(b[m[2]:m[3]]); lines[event] == "" {
			lines[event] = strings.TrimSuffix(string(b[m[1]:end]), "\n")
		}
	}
	return lines
}
