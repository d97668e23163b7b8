//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestRefusals: what cannot be done is said before anything is, with the reason and
// what there is instead.
func TestRefusals(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "values.c", "-g", "-O2", "-w")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		args  []string // PROG is the program
		texts []string
	}{
		{"an offset within an instruction", []string{"-e", "uprobe:PROG:eleven+0x1"}, []string{"no instruction begins at +0x1: the nearest begin at +0x0 and +0x", "a probe within an instruction crashes the target"}},
		{"an offset past the end", []string{"-e", "uprobe:PROG:eleven+0x10000"}, []string{"offset 0x10000 lies behind the end of eleven, which has 0x"}},
		{"an address in no function", []string{"-e", "uprobe:PROG:0x1"}, []string{"no function that is known holds the address 0x1"}},
		{"an unknown function", []string{"-e", "uprobe:PROG:elven"}, []string{"no function elven in ", "did you mean eleven?"}},
		{"an unknown function of -x", []string{"-x", "PROG", "-e", "see", "-e", "byvalu"}, []string{"no function byvalu in ", "did you mean byvalue?"}},
		{"a glob without a match", []string{"-e", "uprobe:PROG:zz*"}, []string{"no function zz*"}},
		{"an unknown parameter", []string{"-e", "uprobe:PROG:eleven(z)"}, []string{"there is no parameter z", "the parameters are a, b, c, d, e, f, g, h, i, j, k"}},
		{"a position that is none", []string{"-e", "uprobe:PROG:see(arg1:u64)"}, []string{"the function has 1 parameters, of which arg0 is the first"}},
		{"an unknown member", []string{"-e", "uprobe:PROG:see(r->u9)"}, []string{"struct rec has no member u9 (did you mean u8?): it has u8, u16, u32, u64, s8"}},
		{"a dot for an arrow", []string{"-e", "uprobe:PROG:see(r.u8)"}, []string{"r is a pointer: write r->u8"}},
		{"a member of a number", []string{"-e", "uprobe:PROG:eleven(a->b)"}, []string{"a is an int8_t and no pointer"}},
		{"a whole structure", []string{"-e", "uprobe:PROG:see(r->in)"}, []string{"take a member; it has mid"}},
		{"an unknown register", []string{"-e", "uprobe:PROG:see(%zz:u64)"}, []string{"%zz is no register of the kernel's probes: they are di si dx cx r8 r9 ax bx"}},
		{"an unknown type", []string{"-e", "uprobe:PROG:see(r:u7)"}, []string{`"u7" is no type: want u8 u16 u32`, "^"}},
		{"a filter on an array", []string{"-e", "uprobe:PROG:see(r->ints)", "--filter", "ints == 1"}, []string{"ints is an array", "compare an element of it, as in ints[0]"}},
		{"a filter on what is not fetched", []string{"-e", "uprobe:PROG:see(r->u8)", "--filter", "u9 == 1"}, []string{`unknown field "u9"`, "did you mean u8?"}},
		{"an unknown binary", []string{"-e", "uprobe:./no/such/file:f"}, []string{"no/such/file", "no such file or directory"}},
		{"an unknown command", []string{"-e", "uprobe:no-such-command:f"}, []string{"no folder of PATH has a command no-such-command", "neither in the loader's cache nor in the usual folders"}},
		{"no ELF file", []string{"-e", "uprobe:" + text + ":f"}, []string{"not an ELF file"}},
		{"a folder", []string{"-e", "uprobe:/tmp:f"}, []string{"a folder, not an ELF file"}},
		{"no static probes", []string{"-e", "usdt:PROG:app:query"}, []string{"has no static probes"}},
		{"no binary", []string{"-e", "uprobe:see"}, []string{"want ':' and a function behind the binary"}},
		{"a return with an offset", []string{"-e", "uprobe:PROG:see%return+4"}, []string{"a return has no offset"}},
		{"a parameter when it returns", []string{"-e", "uretprobe:PROG:eleven(a)"}, []string{"a return probe knows ret alone"}},
		{"a return value at the entry", []string{"-e", "uprobe:PROG:ret8(ret)"}, []string{"what is returned is known only when the function returns"}},
		{"an unknown mode of returns", []string{"-e", "uretprobe:PROG:ret8", "--ret-mode=magic"}, []string{"--ret-mode", "magic", "sites", "trampoline"}},
		{"no function", []string{"-e", "uprobe:PROG:"}, []string{"no function is named", "perfpipe probes -x"}},
		{"an open parenthesis", []string{"-e", "uprobe:PROG:see(r"}, []string{"a parenthesis that does not close"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"record", "-o", filepath.Join(t.TempDir(), "d")}
			for _, a := range tt.args {
				args = append(args, strings.ReplaceAll(a, "PROG", prog))
			}
			r := invoke(t, append(args, "--", prog)...)
			r.want(t, 2, tt.texts...)
			noProbesLeft(t, r.pid)
		})
	}
}

// TestUnknownStaticProbe asks the C++ library, which has some.
func TestUnknownStaticProbe(t *testing.T) {
	testpriv.Need(t)
	r := recordProbes(t, "-e", "usdt:libstdc++.so.6:libstdcxx:thow", "true")
	r.want(t, 2, "has no static probe libstdcxx:thow", "it has libstdcxx:throw")
}

// TestFloatsAreNull: they are passed where a probe does not see them, which is said.
func TestFloatsAreNull(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "floats.c", "-g", "-O2", "-w")
	r := recordProbes(t, "-e", "uprobe:"+prog+":mixed(d, n, f)", "-e", "uretprobe:"+prog+":mixed", "-o", "-", "--format", "ndjson", "--", prog)
	r.want(t, 0, "argument d of mixed is always null: a double is in a vector register, which a probe does not see",
		"argument f of mixed is always null: a float is in a vector register", "argument ret of mixed is always null")
	rows := readRows(t, r.stdout)
	columns{"d": "null", "n": "7", "f": "null"}.check(t, ofEvent(rows, "uprobe:floats:mixed"))
	columns{"ret": "null"}.check(t, ofEvent(rows, "uretprobe:floats:mixed"))
}

// TestProbesWithoutPrivilege: an ordinary user is told which file and which capability,
// and nothing is left of what was begun.
func TestProbesWithoutPrivilege(t *testing.T) {
	testpriv.Need(t)
	setpriv := testpriv.NeedTool(t, "setpriv")
	prog := public(t, binary)
	for _, tt := range []struct {
		name, caps string
		texts      []string
	}{
		{"none", "-all", []string{"permission denied", "tracing", "run perfpipe as root", "CAP_"}},
		{"to read alone", "+dac_read_search,+perfmon", []string{"write /sys/kernel/tracing/uprobe_events: permission denied", "run perfpipe as root", "CAP_DAC_OVERRIDE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps="+tt.caps, "--ambient-caps="+tt.caps,
				prog, "record", "-e", "uprobe:"+prog+":main.main", "-o", "-", "true")
			cmd.Dir = "/"
			out, _ := cmd.CombinedOutput()
			r := result{stderr: string(out), status: cmd.ProcessState.ExitCode()}
			r.want(t, exitPermission, tt.texts...)
			if strings.Contains(r.stderr, "remove probes") {
				t.Errorf("nothing was made, and yet:\n%s", r.stderr)
			}
		})
	}
}

// public copies a program to where everybody may run it.
func public(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}
