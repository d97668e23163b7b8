package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func TestExplain(t *testing.T) {
	format := filepath.Join("..", "..", "filters", "testdata", "formats", "sched.sched_switch")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"exact", []string{"prev_pid == 0", "--format", format}, 0, []string{"event:   sched_switch", "read as: prev_pid == 0", "tier:   kernel", "pushed:  prev_pid == 0", "nothing is left"}},
		{"split", []string{"prev_pid == 0 && next_prio % 2", "--format", format}, 0, []string{"tier:   kernel\n", "tier:   process", "no arithmetic", "pushed:  prev_pid == 0\n", "decides the rest"}},
		{"weaker", []string{"prev_pid == 0 || next_prio + 1 > 5 && next_pid == 3", "--format", format}, 0, []string{"tier:   kernel, then process", "pushed: prev_pid == 0 || next_pid == 3"}},
		{"warning", []string{"!prev_pid == 0", "--format", format}, 0, []string{"read as: !(prev_pid == 0)", "warning: ! takes the whole"}},
		{"fields", []string{"a * 2 > 8 && b == 1", "--fields", "a:u32,b:u8"}, 0, []string{"(a * 2) > 8", "pushed:  b == 1"}},
		{"kernel's language", []string{"b == 256", "--fields", "a:u32,b:u8", "--kernel-compat"}, 0, []string{"pushed:  b == 0"}},
		{"faults that pass", []string{"6 / a == 1 && b == 1", "--fields", "a:u32,b:u8", "--on-fault", "pass"}, 0, []string{"pushed:  (nothing)", "can fault"}},
		{"program", []string{"state u64 n; { if (!(prev_pid == 0)) return false; n++; emit u64 so_far = n; return n > 3; }", "--format", format, "--ir"}, 0,
			[]string{"column:  so_far u64\n", "pushed:  prev_pid == 0\n", "runs the program", "main, budget 1000", "state[0] = (+:u64 state[0] 1:s64)", "depends on the order"}},
		{"expression's form", []string{"prev_pid == 0 && next_prio % 2", "--format", format, "--ir"}, 0, []string{"return (and (in prev_pid@24:s32 0)"}},
		{"file that is not there", []string{"@/nonexistent/x.pf", "--format", format}, exitUsage, []string{"no such file"}},
		{"no filter", []string{"--format", format}, 0, []string{"prev_comm", "char[16]", "common_pid", "strlen(s)", "$time"}},
		{"bad filter", []string{"prevpid == 0", "--format", format}, exitUsage, []string{"did you mean prev_pid?", "^~~~~~~"}},
		{"two filters", []string{"a == 1", "b == 1", "--fields", "a:u32,b:u8"}, exitUsage, []string{"one filter"}},
		{"no shape", []string{"a == 1"}, exitUsage, []string{"--fields"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := filterCommand(t, "", append([]string{"explain"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("got status %d, want %d: %s", code, tt.code, errs)
			}
			for _, w := range tt.want {
				if !strings.Contains(out+errs, w) {
					t.Errorf("%q is not in\n%s%s", w, out, errs)
				}
			}
		})
	}
}

func TestExplainAsksTheKernel(t *testing.T) {
	testpriv.Need(t)
	code, out, errs := filterCommand(t, "", "explain", `prev_pid == 0 && next_comm ~ "*sh"`, "-e", "sched:sched_switch")
	if code != 0 || !strings.Contains(out, "kernel:  takes the pushed text") {
		t.Errorf("got %d\n%s%s", code, out, errs)
	}
	code, _, errs = filterCommand(t, "", "explain", "a == 1", "-e", "shed:sched_switch")
	if code != exitUsage || !strings.Contains(errs, "sched:sched_switch") {
		t.Errorf("got %d %s", code, errs)
	}
	code, out, errs = filterCommand(t, "", "match", "prev_pid == 7", "-e", "sched:sched_switch")
	if code != 0 || out != "" {
		t.Errorf("got %d %s %s", code, out, errs)
	}
	code, out, errs = filterCommand(t, `{"prev_pid":7,"prev_comm":"x"}`, "match", "prev_pid == 7 && prev_comm == \"x\"", "--event", "sched:sched_switch")
	if code != 0 || strings.TrimSpace(out) != `{"match":true}` {
		t.Errorf("got %d %s %s", code, out, errs)
	}
}
