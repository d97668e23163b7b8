package args

import (
	"debug/dwarf"
	"debug/elf"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// program is a test program that was built.
type program struct {
	d    *dwarf.Data
	syms map[string]uint64
	path string
	lang string
}

// build compiles a source of testdata with flags.
func build(t testing.TB, src string, flags ...string) *program {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the test programs are ELF files of x86-64, built by the machine's own compiler")
	}
	out := filepath.Join(t.TempDir(), "prog")
	p := &program{path: out, syms: map[string]uint64{}, lang: "c"}
	cmd := []string{"gcc"}
	switch {
	case strings.HasSuffix(src, ".cc"):
		cmd, p.lang = []string{"g++", "-std=c++17"}, "c++"
	case strings.HasSuffix(src, ".go"):
		cmd, p.lang = []string{"go", "build"}, "go"
	case strings.HasSuffix(src, ".rs"):
		cmd, p.lang = []string{"rustc"}, "rust"
		if _, err := exec.LookPath("rustc"); err != nil {
			t.Skip("rustc is missing, which not every machine for tests has")
		}
	}
	cmd = append(cmd, flags...)
	cmd = append(cmd, "-o", out, filepath.Join("testdata", src))
	if b, err := exec.Command(testpriv.NeedTool(t, cmd[0]), cmd[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd, " "), err, b)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if p.d, err = Load(f); err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value != 0 {
			p.syms[s.Name] = s.Value
		}
	}
	return p
}

// fn returns the function of that symbol; "%return" behind it asks for RET sites, and
// "%trampoline" for the kernel's own return probe.
func (p *program) fn(t testing.TB, name string) Function {
	t.Helper()
	name, how, _ := strings.Cut(name, "%")
	pc, ok := p.syms[name]
	if !ok {
		t.Fatalf("no symbol %s in %s", name, p.path)
	}
	return Function{Name: name, PC: pc, Go: p.lang == "go", Return: how != "", Sites: how == "return"}
}

var stepRE = regexp.MustCompile(`^(->|\.)([A-Za-z_]\w*)|^\[(-?\d+)\]`)

// parseWant reads one argument: name=**base->member.member[1]:type.
func parseWant(t testing.TB, s string) Want {
	t.Helper()
	var w Want
	if name, rest, ok := strings.Cut(s, "="); ok {
		w.Name, s = name, rest
	}
	s, w.Type, _ = strings.Cut(s, ":")
	if n, ok := strings.CutPrefix(w.Type, "buf["); ok {
		w.Type = "buf"
		w.Len, _ = strconv.Atoi(strings.TrimSuffix(n, "]"))
	}
	stars := 0
	for len(s) > 1 && s[0] == '*' {
		stars, s = stars+1, s[1:]
	}
	end := strings.IndexAny(s, "-.[")
	if end < 0 {
		end = len(s)
	}
	w.Base, s = s[:end], s[end:]
	for s != "" {
		m := stepRE.FindStringSubmatch(s)
		if m == nil {
			t.Fatalf("cannot read the steps %q", s)
		}
		st := Step{Name: m[2]}
		switch {
		case m[1] == "->":
			st.Kind = StepArrow
		case m[1] == "":
			st.Kind = StepIndex
			st.Index, _ = strconv.Atoi(m[3])
		}
		w.Path, s = append(w.Path, st), s[len(m[0]):]
	}
	for range stars {
		w.Path = append(w.Path, Step{Kind: StepDeref})
	}
	return w
}

// parseWants reads arguments separated by commas.
func parseWants(t testing.TB, s string) []Want {
	t.Helper()
	var list []Want
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f != "" {
			list = append(list, parseWant(t, f))
		}
	}
	return list
}
