package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// recordLoad records n getppid calls of the test binary into the folder out.
func recordLoad(t *testing.T, dir string, n int, args ...string) result {
	t.Helper()
	t.Setenv(loadEnv, fmt.Sprint(n))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	res := runIn(t, dir, append(append([]string{"record", "-v", "-m", "16M", "-o", "out"}, args...), "--", self)...)
	res.want(t, exitOK)
	return res
}

// TestTiersSameRows: the same calls become the same rows, wherever the filter decides.
func TestTiersSameRows(t *testing.T) {
	testpriv.Need(t)
	const n = 2000
	for _, tt := range []struct {
		filter string
		tiers  map[string]string
	}{
		{"id == getppid", map[string]string{"auto": "bpf", "kernel": "kernel", "bpf": "bpf", "process": "process"}},
		{"id == getppid && common_pid * 2 > 3", map[string]string{"auto": "bpf", "bpf": "bpf", "process": "process"}},
	} {
		for tier, want := range tt.tiers {
			dir := t.TempDir()
			res := recordLoad(t, dir, n, "--tier", tier, "-e", "raw_syscalls:sys_enter", "--filter", tt.filter)
			res.want(t, exitOK, "event raw_syscalls:sys_enter: tier: "+want, "(0 lost)")
			if rows := rowsOf(t, dir, "raw_syscalls.sys_enter"); len(rows) != n {
				t.Errorf("--tier %s: got %d rows, want %d", tier, len(rows), n)
			}
		}
	}
}

// TestTiersSameValues: a program that remembers emits the same values in a program of the
// kernel as in process.
func TestTiersSameValues(t *testing.T) {
	testpriv.Need(t)
	const n = 3000
	const text = `map<pid, u64> calls[1024];
on raw_syscalls:sys_enter {
    if (id != getppid) return false;
    calls[$pid]++;
    return false;
}
on raw_syscalls:sys_exit {
    if (id != getppid) return false;
    u64 k = calls[$pid];
    emit u64 nth = k;
    emit u64 at = $time;
    emit s16 minus = -k;
    if (k % 5 == 0) { emit bool fifth = true; }
    return k % 3 == 0;
}`
	for _, tier := range []string{tierProcess, tierBPF} {
		dir := t.TempDir()
		res := recordLoad(t, dir, n, "--tier", tier, "--program", text)
		res.want(t, exitOK, "event raw_syscalls:sys_exit: tier: "+tier, "(0 lost)")
		rows := rowsOf(t, dir, "raw_syscalls.sys_exit")
		if len(rows) != n/3 {
			t.Fatalf("--tier %s: got %d rows, want %d", tier, len(rows), n/3)
		}
		for i, r := range rows {
			k := float64(3 * (i + 1))
			fifth, has := r["fifth"]
			if r["nth"] != k || r["minus"] != -k || r["at"] != r["ts"] || (int(k)%5 == 0) != (has && fifth == true) {
				t.Fatalf("--tier %s: row %d: got %v", tier, i, r)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "out", "raw_syscalls.sys_enter")); !os.IsNotExist(err) {
			t.Errorf("--tier %s: an event whose clause keeps nothing has a table: %v", tier, err)
		}
	}
}

// TestTiersSameFaults: faults are counted alike in the closing line, the manifest and
// _lost, and the verdict on them is the same.
func TestTiersSameFaults(t *testing.T) {
	testpriv.Need(t)
	const n = 1000
	const text = "map<pid, u64> calls[64]; { if (id != getppid) return false; calls[$pid]++; u64 k = calls[$pid]; emit u64 nth = k; return 10 / (k % 2) == 10; }"
	for _, tier := range []string{tierProcess, tierBPF} {
		for onFault, rows := range map[string]int{"drop": n / 2, "pass": n} {
			dir := t.TempDir()
			res := recordLoad(t, dir, n, "--tier", tier, "--on-fault", onFault, "-e", "raw_syscalls:sys_enter", "--filter", text)
			res.want(t, exitOK, "tier: "+tier, fmt.Sprintf("the filter faulted on %d records: division by zero", n/2))
			got := rowsOf(t, dir, "raw_syscalls.sys_enter")
			if len(got) != rows {
				t.Errorf("--tier %s --on-fault %s: got %d rows, want %d", tier, onFault, len(got), rows)
			}
			nulls := 0
			for _, r := range got {
				if r["nth"] == nil {
					nulls++
				}
			}
			if want := rows - n/2; nulls != want {
				t.Errorf("--tier %s --on-fault %s: got %d rows without a value, want the %d that faulted", tier, onFault, nulls, want)
			}
			var m struct {
				Faults []struct {
					Event, Cause string
					Count        uint64
				} `json:"filter_faults"`
			}
			if err := json.Unmarshal([]byte(readFile(t, filepath.Join(dir, "out", "manifest.json"))), &m); err != nil {
				t.Fatal(err)
			}
			if len(m.Faults) != 1 || m.Faults[0].Cause != "division by zero" || m.Faults[0].Count != n/2 || m.Faults[0].Event != "raw_syscalls:sys_enter" {
				t.Errorf("--tier %s: got %v in the manifest", tier, m.Faults)
			}
			lost := 0.0
			for _, r := range rowsOf(t, dir, "_lost") {
				if r["reason"] == perfpipe.LostFilterFault {
					lost += r["count"].(float64)
				}
			}
			if want := float64(n - rows); lost != want {
				t.Errorf("--tier %s --on-fault %s: got %v lost, want %v", tier, onFault, lost, want)
			}
		}
	}
}

// TestTierRefused: what no program can decide is said in one line, and decided otherwise
// under auto.
func TestTierRefused(t *testing.T) {
	testpriv.Need(t)
	// More ways through it than the verifier follows: each of 24 bits makes two of one.
	var endless strings.Builder
	endless.WriteString("map<tid, u64> n[64]; on raw_syscalls:sys_enter { n[$tid]++; return false; } on raw_syscalls:sys_exit { if (id != getppid) return false; u64 x = n[$tid]; u64 c = 0;\n")
	for k := range 24 {
		fmt.Fprintf(&endless, "if (((x >> %d) & 1) == 1) { c = c + %d; }\n", k, 1<<k)
	}
	endless.WriteString("return c > 5000 && c < 6000 || c == 12345 || true; }")
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"the verifier", "the kernel does not take", []string{"--program", endless.String()}},
		{"stacks", "call chains are taken by perf", []string{"-g", "-e", "raw_syscalls:sys_enter", "--filter", "id == getppid"}},
		{"the engine", "the engine is perf", []string{"--engine", "perf", "-e", "raw_syscalls:sys_enter", "--filter", "id == getppid"}},
		{"what no program knows", "common_preempt_count", []string{"-e", "raw_syscalls:sys_enter", "--filter", "id == getppid && common_preempt_count < 200"}},
		{"lifecycle", "lifecycle", []string{"-e", "lifecycle", "-e", "sched:sched_process_exit", "--filter", "pid > 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// It takes the verifier seconds to give up: once is enough.
			if tt.name != "the verifier" {
				r := invoke(t, append(append([]string{"record", "--tier", "bpf", "-o", "out"}, tt.args...), "--", "true")...)
				r.want(t, exitUsage, "--tier bpf: ", tt.want)
				if n := strings.Count(strings.TrimSpace(r.stderr), "\n"); n > 0 {
					t.Errorf("got %d lines more than one:\n%s", n, r.stderr)
				}
			}
			const n = 50
			res := recordLoad(t, t.TempDir(), n, append([]string{"--tier", "auto"}, tt.args...)...)
			res.want(t, exitOK, "not bpf: ", tt.want)
			if tt.name != "lifecycle" && !strings.Contains(res.stderr, fmt.Sprintf("wrote %d rows in 1 table", n)) {
				t.Errorf("want %d rows:\n%s", n, res.stderr)
			}
			if tt.name == "the verifier" {
				res.want(t, exitOK, "it shares what it keeps with raw_syscalls:sys_exit")
			}
		})
	}
}

// TestGiveCode: of a program that keeps something all events have code, or none.
func TestGiveCode(t *testing.T) {
	c := configs.Capture{Programs: []string{"map<tid, u8> m[16]; on a:b { m[y] = 1; return false; } on a:c { return y in m; }"}}
	plan, err := makePlan(&c, newMadeEvents(t, 0), nil, filters.KernelFeatures{})
	if err != nil {
		t.Fatal(err)
	}
	if err := placeFilters(plan, &c); err != nil {
		t.Fatal(err)
	}
	if plan[0].code == nil || plan[1].code == nil {
		t.Fatal("the program has no code: the test tests nothing")
	}
	known := &bpf.Probe{}
	cfg := perfev.Config{Events: []perfev.Event{{Schema: plan[0].schema, Program: known}, {Schema: plan[1].schema, Program: known}}}
	giveCode(&cfg, plan)
	if cfg.Events[0].Code == nil || cfg.Events[1].Code == nil {
		t.Errorf("got no code: %s, %s", plan[0].noCode, plan[1].noCode)
	}
	cfg.Events[1].Program = nil
	giveCode(&cfg, plan)
	if cfg.Events[0].Code != nil || cfg.Events[1].Code != nil {
		t.Error("got code for an event that shares what it keeps with one that no program records")
	}
	if !strings.Contains(plan[0].noCode, "shares what it keeps with a:c") || !strings.Contains(plan[1].noCode, "no program of ours") {
		t.Errorf("got %q and %q", plan[0].noCode, plan[1].noCode)
	}
}

// TestTierNothingStays: what a filter in the kernel keeps is gone with perfpipe, also
// when that is killed.
func TestTierNothingStays(t *testing.T) {
	testpriv.Need(t)
	testpriv.NeedTool(t, "bpftool")
	testpriv.Lock(t)
	const text = `map<tid, u64> n[1024]; percpu state u64 all;
on raw_syscalls:sys_enter { n[$tid]++; return false; }
on raw_syscalls:sys_exit { all++; emit u64 nth = n[$tid]; return 10 / (all % 100) >= 0; }`
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		r := start(t, "record", "-q", "--tier", "bpf", "--program", text, "-a", "-o", "-", "--format", "ndjson")
		eventually(t, "a row", func() bool { r.alive(); return r.out.String() != "" })
		pid := r.cmd.Process.Pid
		f := footprintOf(t, pid)
		if !slices.ContainsFunc(f.IDs["map"], func(id int) bool { return id > 0 }) || len(f.IDs["prog"])+len(f.IDs["link"]) == 0 {
			t.Errorf("while it records: got %+v", f)
		}
		if how == syscall.SIGKILL {
			r.over = true
			_ = r.cmd.Process.Kill()
			<-r.done
		} else {
			if err := r.cmd.Process.Signal(how); err != nil {
				t.Fatal(err)
			}
			r.wait()
		}
		f.stays(t, "after "+how.String(), pid)
	}
}

// TestExplainCode: explain shows the tier, the code, and what the verifier says.
func TestExplainCode(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
		not  string
	}{
		{"code", []string{"id == 39 && args[0] % 2 == 0", "--ir", "--bpf"}, exitOK, []string{"tier:    bpf: ", "ir:\n", "bpf:     ", " instructions, before the record has its place", "JNEImm dst: r0", "verifier: takes it, in "}, ""},
		{"late", []string{"map<tid, u64> n[10]; percpu state u64 c = 3; { n[$tid] = $time; c++; u64 k = n[$tid] + c; emit u64 k = k; return k > $cpu + $pid; }", "--bpf"}, exitOK, []string{"tier:    bpf: ", "on the record in the ring", "verifier: takes it"}, ""},
		{"not asked", []string{"id == 39"}, exitOK, []string{"tier:    bpf: "}, "verifier"},
		{"ordered", []string{"state u64 n; { n++; return n > 3; }", "--bpf"}, exitOK, []string{"tier:    process\n  not bpf: it keeps what the records of all processors change", "verifier: takes it"}, ""},
		{"asked for all the same", []string{"state u64 n; { n++; return n > 3; }", "--tier", "bpf"}, exitOK, []string{"tier:    bpf: "}, ""},
		{"in process", []string{"id == 39", "--tier", "process"}, exitOK, []string{"tier:    process\n"}, ""},
		{"in the kernel", []string{"id == 39", "--tier", "kernel"}, exitOK, []string{"tier:    kernel\n", "engine:  ftrace"}, ""},
		{"not in the kernel", []string{"id % 2 == 1", "--tier", "kernel"}, exitUsage, []string{"no arithmetic"}, "tier:    "},
		{"no code", []string{"{ emit string who = $comm; return true; }", "--bpf"}, exitOK, []string{"tier:    process\n", "bpf:     none: "}, "verifier"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := filterCommand(t, "", append([]string{"explain", "-e", "raw_syscalls:sys_enter"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("got status %d, want %d: %s", code, tt.code, errs)
			}
			for _, w := range tt.want {
				if !strings.Contains(out+errs, w) {
					t.Errorf("%q is not in\n%s%s", w, out, errs)
				}
			}
			if tt.not != "" && strings.Contains(out, tt.not) {
				t.Errorf("%q is in\n%s", tt.not, out)
			}
		})
	}
}

// TestTextBehindPointers: what of it the kernel's own filter can say is the kernel's,
// which takes text that cannot be read for another; the rest is code's.
func TestTextBehindPointers(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct{ filter, want string }{
		{`filename.ustring ~ "/proc*"`, "tier:    kernel"},
		{`!(filename.ustring ~ "/proc*")`, "tier:    bpf"},
	} {
		if code, out, errs := filterCommand(t, "", "explain", "-e", "syscalls:sys_enter_openat", tt.filter); code != exitOK || !strings.Contains(out, tt.want) {
			t.Errorf("%s: status %d, got %s%s, want %s", tt.filter, code, out, errs, tt.want)
		}
	}
}
