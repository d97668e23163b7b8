//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestIndirectFunction: the loader chooses one of several memcpy, and the probe is on
// all of them, whichever this processor gets.
func TestIndirectFunction(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "copy.c", "-O1", "-fno-builtin", "-static")
	r := recordProbes(t, "-e", "uprobe:"+prog+":memcpy(n=arg2:u64)", "--filter", "n >= 1000 && n < 1100", "-o", "-", "--format", "ndjson", "--", prog, "1")
	r.want(t, 0, "chosen by the loader (IFUNC)", "(0 lost)")
	rows := readRows(t, r.stdout)
	// A choice may hand on to another, so that a call is seen twice.
	seen := map[int64]bool{}
	for _, row := range rows {
		seen[row.num("n")] = true
		if !strings.Contains(row.text("func"), "mem") {
			t.Fatalf("func: got %q", row.text("func"))
		}
	}
	if len(seen) != 100 {
		t.Errorf("got %d different lengths in %d rows, want 100", len(seen), len(rows))
	}
}

// TestVersionsOfASymbol: each version is probed for itself. Where the C library has no
// list of its implementations (Debian's libc6-dbg has), an IFUNC's cannot be found, and
// that is said.
func TestVersionsOfASymbol(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		version string
		flags   []string
	}{
		{"memcpy@GLIBC_2.2.5", []string{"-O1", "-fno-builtin", "-DOLD"}},
		{"memcpy@@GLIBC_2.14", []string{"-O1", "-fno-builtin"}},
		{"memcpy", []string{"-O1", "-fno-builtin"}},
	} {
		t.Run(tt.version, func(t *testing.T) {
			prog := compile(t, "copy.c", tt.flags...)
			r := recordProbes(t, "-e", "uprobe:libc.so.6:"+tt.version+"(n=arg2:u64)", "--filter", "n >= 1000 && n < 1100",
				"-o", "-", "--format", "ndjson", "--", prog, "1")
			r.want(t, 0, "(0 lost)")
			seen := map[int64]bool{}
			for _, row := range readRows(t, r.stdout) {
				seen[row.num("n")] = true
			}
			said := strings.Contains(r.stderr, "the probe fires when it chooses, not when it is called")
			if len(seen) != 100 && !said {
				t.Errorf("got %d different lengths, want 100\n%s", len(seen), r.stderr)
			}
			if len(seen) == 100 && said {
				t.Errorf("every call was seen, and yet: %s", r.stderr)
			}
		})
	}
	invoke(t, "record", "--dry-run", "-e", "uprobe:libc.so.6:memcpy@GLIBC_1.0", "true").want(t, 2, "no function memcpy@GLIBC_1.0", "did you mean memcpy")
}
