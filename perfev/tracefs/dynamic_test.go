package tracefs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestParseUprobe(t *testing.T) {
	tests := []struct {
		line string
		want Uprobe
	}{
		{"p:ppt/e0 /bin/bash:0x00000000000a1b90", Uprobe{Group: "ppt", Event: "e0", Path: "/bin/bash", Offset: 0xa1b90}},
		{"r:g/ret /tmp/a:0x0000000000001179 ret=$retval:s32", Uprobe{Group: "g", Event: "ret", Path: "/tmp/a", Offset: 0x1179}},
		{"p:grp/req /tmp/t:0x0000000000001273(0x3032) id=%bx:s32 v=\\-5:s32", Uprobe{Group: "grp", Event: "req", Path: "/tmp/t", Offset: 0x1273, RefCtr: 0x3032}},
		{"p:g/e /tmp/a:0x10%return", Uprobe{Group: "g", Event: "e", Path: "/tmp/a", Offset: 0x10}},
	}
	for _, tt := range tests {
		got, ok := parseUprobe(tt.line)
		if !ok || got != tt.want {
			t.Errorf("parseUprobe(%q): got %+v %t, want %+v", tt.line, got, ok, tt.want)
		}
		for n := range len(tt.line) {
			parseUprobe(tt.line[:n])
		}
	}
	for _, line := range []string{"", "p", "p:", "p:e /a:0x1", "p:g/e", "p:g/e /a", "p:g/e /a:0x", "p:g/e /a:0xzz", "p:g/e /a:0x1(y)"} {
		if u, ok := parseUprobe(line); ok {
			t.Errorf("parseUprobe(%q): got %+v, want none", line, u)
		}
	}
}

// fakeTracefs is a folder that has what definitions are written to.
func fakeTracefs(t *testing.T) *FS {
	dir := t.TempDir()
	for _, name := range []string{"uprobe_events", "error_log"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "events"), 0o700); err != nil {
		t.Fatal(err)
	}
	fs, err := Open(Options{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestDefineAppends(t *testing.T) {
	fs := fakeTracefs(t)
	file := filepath.Join(fs.Path(), "uprobe_events")
	if err := os.WriteFile(file, []byte("p:others/e /bin/sh:0x10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := fs.NewGroup()
	if err != nil {
		t.Skip(err)
	}
	var lines []string
	for range 200 {
		lines = append(lines, "p:"+g.Name()+"/e0 /bin/sh:0x20 a=%di:u64")
	}
	if err := g.Define(lines); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(file)
	if want := "p:others/e /bin/sh:0x10\n" + strings.Join(lines, "\n") + "\n"; string(b) != want {
		t.Errorf("uprobe_events: got %d bytes, want the foreign line and 200 of ours", len(b))
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	b, _ = os.ReadFile(file)
	if !strings.HasSuffix(string(b), "-:"+g.Name()+"/\n") {
		t.Errorf("Close: the group is not removed: %q", b[len(b)-60:])
	}
	if err := g.Define(lines); err == nil {
		t.Error("Define after Close: got no error")
	}
}

func TestDefineRefusesLines(t *testing.T) {
	g := &Group{fs: fakeTracefs(t), name: "pp_1_1_1_aa"}
	for _, l := range []string{strings.Repeat("x", maxWrite+1), "p:g/e /a:0x1\n-:x/", "p:g/e /a#b:0x1"} {
		var de *DefineError
		if err := g.Define([]string{l}); !errors.As(err, &de) || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("Define(%.20q): got %v", l, err)
		}
	}
}

func TestGroupNames(t *testing.T) {
	g, err := fakeTracefs(t).NewGroup()
	if err != nil {
		t.Skip(err)
	}
	id, ok := parseGroup(g.Name())
	if !ok || !id.alive() || id.pid != os.Getpid() {
		t.Errorf("parseGroup(%q): got %+v %t", g.Name(), id, ok)
	}
	if n := len(g.Name()); n > 55 {
		t.Errorf("the group's name has %d bytes; with an event it must stay below 64", n)
	}
	for _, s := range []string{"pp_", "pp_1_2_3", "pp_x_2_3_aa", "pp_1_2_3_zz", "probes", "perfpipe_1_2_3_0"} {
		if id, ok := parseGroup(s); ok {
			t.Errorf("parseGroup(%q): got %+v", s, id)
		}
	}
}

func TestLastCommand(t *testing.T) {
	log := "[   12.1] trace_uprobe: error: Invalid register name\n  Command: p:a/b /x:0x1 v=%zz\n                          ^\n" +
		"[   13.4] trace_uprobe: error: Failed to find symbol\n  Command: p:g/e /bin/sh:0x10 a=%foo:u64\n                              ^\n"
	line, text, pos := lastCommand(log)
	if line != "p:g/e /bin/sh:0x10 a=%foo:u64" || text != "Failed to find symbol" || line[pos] != '%' && line[pos] != 'f' && pos != 19 {
		t.Errorf("got %q %q %d", line, text, pos)
	}
	if line, _, _ := lastCommand("nothing"); line != "" {
		t.Errorf("got %q", line)
	}
}

// FuzzUprobes holds that what is read from a line is in it.
func FuzzUprobes(f *testing.F) {
	f.Add("p:grp/req /tmp/t:0x0000000000001273(0x3032) id=%bx:s32")
	f.Add("r:g/ret /tmp/a b:0x10%return")
	f.Fuzz(func(t *testing.T, line string) {
		u, ok := parseUprobe(line)
		if !ok {
			return
		}
		if !strings.Contains(line, u.Group+"/"+u.Event) || !strings.Contains(line, u.Path) {
			t.Fatalf("parseUprobe(%q): %+v", line, u)
		}
	})
}
