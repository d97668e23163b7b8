//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestStrangePaths: what the kernel's own language of probes has no way to write.
func TestStrangePaths(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	b := readFile(t, prog)
	dir, tmp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for _, name := range []string{"with blanks in it", "a:colon", "a,comma", "f(x)", "hash#", `back\slash`, "per%cent", "quo'te", "ünïcode", "tab\there", "+0x10"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name, "in "+name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(b), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"-e", `uprobe:"` + path + `":left(n)`},
				{"-x", path, "-e", "left(n)"},
				{"-e", "uprobe::left(n)"}, // of the command
			} {
				if rows := recordRows(t, append(args, "--", path)...); len(rows) != 60 || rows[0].num("n") != -10 {
					t.Errorf("%q: got %d rows, want 60", args, len(rows))
				}
			}
			// The links that such files are given to the kernel by are gone.
			links, err := filepath.Glob(filepath.Join(tmp, "perfpipe-probe-*"))
			if err != nil || len(links) != 0 {
				t.Errorf("left behind: %v, %v", links, err)
			}
		})
	}
}

// TestProbeThroughALink: a link's probe fires in the file that it leads to.
func TestProbeThroughALink(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(prog, link); err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{link, prog} {
		if got := len(recordRows(t, "-e", "uprobe:"+link+":left", "--", run)); got != 60 {
			t.Errorf("%s: got %d rows, want 60", run, got)
		}
	}
}

// TestDeletedBinary: what runs goes on to be seen when its file is gone, and is found
// by the process even then.
func TestDeletedBinary(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "words.c", "-g", "-O2")
	p := background(t, prog, "on")
	// The recording's command deletes it, and the process is seen before and after.
	script := fmt.Sprintf("sleep 0.3; rm %q; sleep 0.5", prog)
	before := recordRows(t, "-a", "-e", "uprobe:"+prog+":tick(n)", "-e", "syscalls:sys_exit_unlinkat", "--", "sh", "-c", script)
	gone, after := false, 0
	for _, r := range before {
		switch {
		case strings.HasPrefix(r.text("event"), "syscalls:") && r.text("comm") == "rm":
			gone = true
		case gone && r.num("pid") == int64(p.Pid):
			after++
		}
	}
	if after == 0 {
		t.Errorf("no row after the deletion (seen: %v) of %d", gone, len(before))
	}
	rows := recordRows(t, "-p", fmt.Sprint(p.Pid), "-e", "uprobe::tick(n)", "--duration", "500ms")
	if len(rows) == 0 {
		t.Error("no row of a process whose binary was deleted")
	}
	recordProbes(t, "-p", fmt.Sprint(p.Pid), "-e", "uprobe:"+prog+":tick", "--duration", "100ms").want(t, 2, "no such file or directory")
}
