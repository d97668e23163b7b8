package perfev_test

import (
	"bufio"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// program is a compiled C program.
type program struct {
	path string
	syms map[string]elf.Symbol
	file *elf.File
}

// compile builds a C program with gcc.
func compile(t *testing.T, source string, flags ...string) *program {
	t.Helper()
	gcc := testpriv.NeedTool(t, "gcc")
	dir := t.TempDir()
	src, bin := filepath.Join(dir, "target.c"), filepath.Join(dir, "target")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, append(flags, "-o", bin, src)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	list, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{path: bin, file: f, syms: map[string]elf.Symbol{}}
	for _, s := range list {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			p.syms[s.Name] = s
		}
	}
	return p
}

// offset is where an address of the program is in its file.
func (p *program) offset(addr uint64) uint64 {
	for _, g := range p.file.Progs {
		if g.Type == elf.PT_LOAD && addr >= g.Vaddr && addr < g.Vaddr+g.Filesz {
			return addr - g.Vaddr + g.Off
		}
	}
	return 0
}

// function names the function at an offset in the file, "?" where there is none.
func (p *program) function(offset uint64) string {
	for name, s := range p.syms {
		if o := p.offset(s.Value); s.Size > 0 && offset >= o && offset < o+s.Size {
			return name
		}
	}
	return "?"
}

// running is a started program that waits for lines on its standard input.
type running struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs the program until the end of the test.
func (p *program) start(t *testing.T, args ...string) *running {
	t.Helper()
	cmd := exec.Command(p.path, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return r
}

// line reads a line of what the program says.
func (r *running) line(t *testing.T) string {
	s, err := r.out.ReadString('\n')
	if err != nil {
		t.Errorf("read from the program: %v", err)
	}
	return strings.TrimSpace(s)
}

// goOn sends a line and waits for one.
func (r *running) goOn(t *testing.T) string {
	if _, err := io.WriteString(r.in, "go\n"); err != nil {
		t.Errorf("write to the program: %v", err)
	}
	return r.line(t)
}

// rest waits until every thread of the program waits for something: a thread that runs
// may be in a call, and is taken to be.
func (r *running) rest(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", r.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		busy := false
		for _, name := range list {
			b, err := os.ReadFile(name)
			busy = busy || err == nil && strings.HasPrefix(string(b), "running")
		}
		if !busy {
			return
		}
	}
	t.Fatal("the program does not come to rest")
}

// probe defines uprobe events, removed when the test has ended, and returns their
// schemas. A definition is "p NAME SYMBOL ARGS" or "r NAME SYMBOL ARGS".
func (p *program) probe(t *testing.T, defs ...string) []*perfpipe.Schema {
	t.Helper()
	testpriv.Need(t)
	const events = "/sys/kernel/tracing/uprobe_events"
	write := func(line string) error {
		f, err := os.OpenFile(events, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = io.WriteString(f, line)
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	}
	group := fmt.Sprintf("pptest_%d", os.Getpid())
	var names []string
	for _, d := range defs {
		f := strings.SplitN(d, " ", 4)
		args := ""
		if len(f) > 3 {
			args = " " + f[3]
		}
		line := fmt.Sprintf("%s:%s/%s %s:0x%x%s", f[0], group, f[1], p.path, p.offset(p.syms[f[2]].Value), args)
		if err := write(line + "\n"); err != nil {
			t.Fatalf("define %q: %v", line, err)
		}
		names = append(names, f[1])
		t.Cleanup(func() {
			if err := write("-:" + group + "/" + f[1] + "\n"); err != nil {
				t.Errorf("remove probe: %v", err)
			}
		})
	}
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fs.Close() }()
	var list []*perfpipe.Schema
	for _, n := range names {
		s, err := fs.SchemaOf(group + ":" + n)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// events makes events without a filter.
func events(list ...*perfpipe.Schema) []perfev.Event {
	var evs []perfev.Event
	for _, s := range list {
		evs = append(evs, perfev.Event{Schema: s})
	}
	return evs
}
