//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// cookbookLoad does something of most of what the programs of the manual look for.
const cookbookLoad = "for i in 1 2 3 4 5 6; do cat /etc/passwd > copy; cat missing 2> /dev/null; (sh -c :); done; sync; rm copy"

// TestCookbookRuns: every program of the manual records on the running kernel, without a
// fault. What the kernel has no event for is said.
func TestCookbookRuns(t *testing.T) {
	testpriv.Need(t)
	for _, r := range recipes(t) {
		t.Run(r.title, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.pf"), []byte(r.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if dry := runIn(t, dir, "record", "--program", "p.pf", "--dry-run"); dry.status != exitOK {
				if strings.Contains(dry.stderr, "unknown event") {
					t.Skipf("this kernel has not the events: %s", dry.stderr)
				}
				t.Fatalf("got status %d: %s", dry.status, dry.stderr)
			}
			res := runIn(t, dir, "record", "--program", "p.pf", "-a", "-o", "out", "--", "sh", "-c", cookbookLoad)
			if res.status != exitOK {
				t.Fatalf("got status %d: %s", res.status, res.stderr)
			}
			if strings.Contains(res.stderr, "faulted") {
				t.Errorf("a program of the manual faults: %s", res.stderr)
			}
		})
	}
}

// rowsOf are the rows of a table of a dataset.
func rowsOf(t *testing.T, dir, table string) (rows []map[string]any) {
	t.Helper()
	out := runIn(t, dir, "cat", "--format", "ndjson", "--table", table, "out")
	if out.status != exitOK {
		t.Fatalf("cat: status %d: %s", out.status, out.stderr)
	}
	return jsonLines(t, out.stdout)
}

// TestCookbookInPrograms: those programs of the manual that have code for the kernel run
// there, without a fault, and the verifier takes them.
func TestCookbookInPrograms(t *testing.T) {
	testpriv.Need(t)
	ran := 0
	for _, r := range recipes(t) {
		t.Run(r.title, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.pf"), []byte(r.text), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"record", "--tier", "bpf", "--engine", "bpf", "-v", "-m", "16M", "--program", "p.pf"}
			if dry := runIn(t, dir, append(args, "--dry-run")...); dry.status != exitOK {
				if strings.Contains(dry.stderr, "unknown event") || strings.Contains(dry.stderr, "no program in the kernel can decide its filter") {
					t.Skip(strings.TrimSpace(dry.stderr))
				}
				t.Fatalf("got status %d: %s", dry.status, dry.stderr)
			}
			res := runIn(t, dir, append(args, "-a", "-o", "out", "--", "sh", "-c", cookbookLoad)...)
			if res.status != exitOK {
				t.Fatalf("got status %d: %s", res.status, res.stderr)
			}
			ran++
			if strings.Contains(res.stderr, "faulted") || !strings.Contains(res.stderr, "tier: bpf") {
				t.Errorf("got %s", res.stderr)
			}
		})
	}
	if ran < 10 {
		t.Errorf("%d programs of the manual ran in the kernel, want most of them", ran)
	}
}

// TestProgramPairsEvents: what two clauses share is what happened. Each call of the
// command that fails is there once, with a latency that its times allow.
func TestProgramPairsEvents(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	const text = `map<tid, u64> entered[4096];
on raw_syscalls:sys_enter { if (id != getppid) return false; entered[$tid] = $time; return false; }
on raw_syscalls:sys_exit {
    if (!($tid in entered)) return false;
    emit u64 latency_ns = $time - entered[$tid];
    emit string who = $comm;
    delete entered[$tid];
    return true;
}`
	t.Setenv(loadEnv, "500")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	res := runIn(t, dir, "record", "--program", text, "-o", "out", "--", self)
	if res.status != exitOK {
		t.Fatalf("got status %d: %s", res.status, res.stderr)
	}
	rows := rowsOf(t, dir, "raw_syscalls.sys_exit")
	if len(rows) != 500 && !strings.Contains(res.stderr, "lost") {
		t.Errorf("got %d rows, want 500: %s", len(rows), res.stderr)
	}
	for _, r := range rows {
		if ns, ok := r["latency_ns"].(float64); !ok || ns <= 0 || r["who"] != r["comm"] {
			t.Fatalf("got %v", r)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out", "raw_syscalls.sys_enter")); !os.IsNotExist(err) {
		t.Errorf("an event whose clause keeps nothing has a table: %v", err)
	}
}

// TestProgramFaultsAreCounted: by cause in the closing lines and the manifest, and as
// losses in _lost.
func TestProgramFaultsAreCounted(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	t.Setenv(loadEnv, "50")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const text = "state u64 n; map<u64, u8> seen[10]; { if (id != getppid) return false; n++; seen[n] = 1; return true; }"
	res := runIn(t, dir, "record", "-e", "raw_syscalls:sys_enter", "--filter", text, "-o", "out", "--", self)
	if res.status != exitOK {
		t.Fatalf("got status %d: %s", res.status, res.stderr)
	}
	if rows := rowsOf(t, dir, "raw_syscalls.sys_enter"); len(rows) != 10 {
		t.Errorf("got %d rows, want the 10 that the map has room for", len(rows))
	}
	if !strings.Contains(res.stderr, "faulted on 40 records: map full") {
		t.Errorf("got %q", res.stderr)
	}
	b, err := os.ReadFile(filepath.Join(dir, "out", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Faults []struct {
			Event, Cause string
			Count        uint64
		} `json:"filter_faults"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if len(m.Faults) != 1 || m.Faults[0].Cause != "map full" || m.Faults[0].Count != 40 || m.Faults[0].Event != "raw_syscalls:sys_enter" {
		t.Errorf("got %v", m.Faults)
	}
	lost := rowsOf(t, dir, "_lost")
	sum := 0.0
	for _, r := range lost {
		if r["reason"] == "filter_fault" {
			sum += r["count"].(float64)
		}
	}
	if sum != 40 {
		t.Errorf("got %v lost by filter_fault, want 40", sum)
	}
}
