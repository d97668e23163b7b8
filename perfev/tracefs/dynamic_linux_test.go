package tracefs

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// groups lists the groups of the probes that are defined.
func groups(t *testing.T, fs *FS) []string {
	t.Helper()
	list, err := fs.Uprobes()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, u := range list {
		out = append(out, u.Group)
	}
	return out
}

func TestLiveDefineAndSweep(t *testing.T) {
	fs := openLive(t)
	sh, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	entry := entryOf(t, sh)
	g, err := fs.NewGroup()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	line := fmt.Sprintf("p:%s/e0 %s:0x%x a=%%di:u64", g.Name(), sh, entry)
	if err := g.Define([]string{line}); err != nil {
		t.Fatal(err)
	}
	s, err := fs.Schema(g.Name(), "e0")
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Field("a"); f == nil || f.Size != 8 || f.Offset != 16 {
		t.Errorf("field a: got %+v", f)
	}

	// A refusal has the kernel's words and a caret.
	var de *DefineError
	err = g.Define([]string{fmt.Sprintf("p:%s/e1 %s:0x%x a=%%nosuch:u64", g.Name(), sh, entry)})
	if !errors.As(err, &de) || de.Text == "" || de.Pos < 0 || !strings.Contains(de.Line, "nosuch") {
		t.Errorf("a bad register: got %+v", err)
	}

	// What a dead process left goes, what others have stays.
	self, err := selfIdentity()
	if err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf("pp_%d_%d_%d_dead%02x", self.pid, self.start+1, self.namespace, os.Getpid()&0xff)
	foreign := fmt.Sprintf("ppforeign_%d", os.Getpid())
	for _, name := range []string{dead, foreign} {
		og := &Group{fs: fs, name: name}
		t.Cleanup(func() { og.Close() })
		if err := og.Define([]string{fmt.Sprintf("p:%s/e0 %s:0x%x", name, sh, entry)}); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := fs.DeadGroups(); err != nil || !slices.Contains(list, dead) || slices.Contains(list, foreign) || slices.Contains(list, g.Name()) {
		t.Errorf("DeadGroups: got %q, %v, want %s in it, and neither %s nor %s", list, err, dead, foreign, g.Name())
	}
	// Another perfpipe that starts now may have swept it already.
	if _, err := fs.SweepGroups(); err != nil {
		t.Errorf("SweepGroups: %v", err)
	}
	have := groups(t, fs)
	if slices.Contains(have, dead) {
		t.Error("the dead process's group is still there")
	}
	if !slices.Contains(have, foreign) || !slices.Contains(have, g.Name()) {
		t.Errorf("groups after the sweep: got %q, want %s and %s in it", have, foreign, g.Name())
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(groups(t, fs), g.Name()) {
		t.Error("the group is there after Close")
	}
	if err := g.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// entryOf is the offset of an ELF file's entry point: an instruction begins there.
func entryOf(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && f.Entry >= p.Vaddr && f.Entry < p.Vaddr+p.Filesz {
			return f.Entry - p.Vaddr + p.Off
		}
	}
	t.Fatalf("%s: the entry point is in no segment", path)
	return 0
}
