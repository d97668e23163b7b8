package main

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEventWords(t *testing.T) {
	events := []string{"irq:irq_handler_entry", "irq:irq_handler_exit", "sched:sched_switch", "sched:sched_wakeup"}
	for _, tt := range []struct {
		word    string
		want    []string
		noSpace bool
	}{
		{"", []string{"irq:", "sched:"}, true},
		{"i", []string{"irq:"}, true},
		{"irq:", []string{"irq:irq_handler_entry", "irq:irq_handler_exit", "irq:*"}, false},
		{"sched:sched_s", []string{"sched:sched_switch"}, false},
		{"irq:*,sched:sched_w", []string{"irq:*,sched:sched_wakeup"}, false},
		{"irq:*,!sc", []string{"irq:*,!sched:"}, true},
		{"tracepoint:sched:sched_w", []string{"tracepoint:sched:sched_wakeup"}, false},
		{"x", nil, true},
	} {
		got, directive := eventWords(events, tt.word)
		if !slices.Equal(got, tt.want) || directive&cobra.ShellCompDirectiveNoSpace != 0 != tt.noSpace || directive&cobra.ShellCompDirectiveNoFileComp == 0 {
			t.Errorf("eventWords(%q) = %q, %d, want %q, no space %v", tt.word, got, directive, tt.want, tt.noSpace)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_perfpipe", "zsh": "#compdef perfpipe", "fish": "complete -c perfpipe"} {
		out, errs, status := runHere(t, "completion", shell)
		if status != exitOK || !strings.Contains(out, want) || errs != "" {
			t.Errorf("completion %s: status %d, %d bytes, stderr %q; want %q in it", shell, status, len(out), errs, want)
		}
	}
	if out, errs, status := runHere(t, "completion", "csh"); status != exitUsage || out != "" || !strings.Contains(errs, "bash, zsh, fish") {
		t.Errorf("completion csh: got %d, %q, %q", status, out, errs)
	}
	if _, _, status := runHere(t, "completion"); status != exitUsage {
		t.Errorf("completion: got %d, want %d", status, exitUsage)
	}
}

func TestCompletionOfJobFiles(t *testing.T) {
	for _, command := range []string{"run", "check"} {
		out, _, status := runHere(t, "__complete", command, "")
		if want := "yaml\nyml\n:8\n"; status != exitOK || out != want {
			t.Errorf("__complete %s: got %d, %q, want %q", command, status, out, want)
		}
	}
}

// TestCompletionOfProbes: functions of a binary that is there, this test's own.
func TestCompletionOfProbes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this test's binary is no ELF file")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	full := "github.com/perfpipe/perfpipe/cmd/perfpipe.TestCompletionOfProbes"
	prefix := strings.TrimSuffix(full, "es")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"behind uprobe:", []string{"record", "-e", "uprobe:" + exe + ":" + prefix}, "uprobe:" + exe + ":" + full},
		{"behind ur: in a list", []string{"record", "-e", "sched:*,ur:" + exe + ":" + prefix}, "sched:*,ur:" + exe + ":" + full},
		{"behind -x", []string{"record", "-x", exe, "-e", prefix}, full},
		{"of explain", []string{"explain", "-e", "u:" + exe + ":" + prefix}, "u:" + exe + ":" + full},
		{"the glob of probes", []string{"probes", "-x", exe, prefix}, full},
		{"the word itself", []string{"record", "-e", "ur"}, "uretprobe:"},
		{"lifecycle", []string{"record", "-e", "sched:*,li"}, "sched:*,lifecycle"},
	} {
		out, _, status := runHere(t, append([]string{"__complete"}, tt.args...)...)
		if status != exitOK || !slices.Contains(strings.Split(out, "\n"), tt.want) {
			t.Errorf("%s: got %d, %q, want %q", tt.name, status, out, tt.want)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"files behind -x", []string{"record", "-x", ""}, ":0\n"},
		{"no files for the glob of probes", []string{"probes", ""}, ":4\n"},
		{"no such binary", []string{"record", "-e", "uprobe:/nonexistent:f"}, ":6\n"},
		{"nothing in arguments", []string{"record", "-e", "uprobe:" + exe + ":f(a"}, ":6\n"},
		{"a static probe of none", []string{"record", "-e", "usdt:" + exe + ":a"}, ":6\n"},
	} {
		if out, _, status := runHere(t, append([]string{"__complete"}, tt.args...)...); status != exitOK || out != tt.want {
			t.Errorf("%s: got %d, %q, want %q", tt.name, status, out, tt.want)
		}
	}
}
