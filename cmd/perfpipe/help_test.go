package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/uprobe"
)

// runHere runs perfpipe in this process, with nothing on standard input.
func runHere(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), status
}

// shellWords splits a line as a shell does, as far as examples need: quotes, a
// comment, pipes and redirections. Each pipe begins a new command.
func shellWords(line string) (commands [][]string, err error) {
	var words []string
	var word strings.Builder
	in := false
	end := func() {
		if in {
			words = append(words, word.String())
		}
		word.Reset()
		in = false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '\'', '"':
			j := strings.IndexByte(line[i+1:], c)
			if j < 0 {
				return nil, fmt.Errorf("%q: a quote does not close", line)
			}
			word.WriteString(line[i+1 : i+1+j])
			i += j + 1
			in = true
		case ' ':
			end()
		case '|':
			end()
			commands, words = append(commands, words), nil
		case '<', '>':
			end()
			// The next word is a file.
			rest := strings.TrimLeft(line[i+1:], " ")
			n := strings.IndexByte(rest+" ", ' ')
			i = len(line) - len(rest) + n - 1
		case '#':
			if !in {
				return append(commands, words), nil
			}
			word.WriteByte(c)
		default:
			word.WriteByte(c)
			in = true
		}
	}
	end()
	return append(commands, words), nil
}

func TestShellWords(t *testing.T) {
	got, err := shellWords(`sudo perfpipe record --filter 'a || b' -o - | perfpipe cat - < in.txt > out # why`)
	want := `[["sudo" "perfpipe" "record" "--filter" "a || b" "-o" "-"] ["perfpipe" "cat" "-"]]`
	if s := fmt.Sprintf("%q", got); err != nil || s != want {
		t.Errorf("got %s, %v, want %s", s, err, want)
	}
}

// every visits cmd and all commands below it.
func every(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		every(c, visit)
	}
}

// parseExample has cobra parse a command of an example: its name, flags and arguments.
func parseExample(words []string) error {
	for len(words) > 0 && (words[0] == "sudo" || strings.Contains(words[0], "=")) {
		words = words[1:]
	}
	if len(words) == 0 || strings.TrimPrefix(words[0], "./") != "perfpipe" {
		return nil
	}
	root := newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	cmd, rest, err := root.Find(words[1:])
	if err != nil {
		return err
	}
	if cmd == root {
		return fmt.Errorf("%q is no command", words[1:])
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	if err := parseProbes(words); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}

// parseProbes parses the probes among the words of a command, no matter whether their
// binaries are on this machine.
func parseProbes(words []string) error {
	binary := ""
	for i, w := range words {
		before := ""
		if i > 0 {
			before = words[i-1]
		}
		switch {
		case before == "-x":
			binary = w
		case before != "-e" && !uprobe.IsSpec(w):
		default:
			for _, p := range uprobe.SplitList(w) {
				if !uprobe.IsSpec(p) && (binary == "" || isEventName(p)) {
					continue
				}
				if _, err := uprobe.ParseIn(binary, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func TestExamplesParse(t *testing.T) {
	examples := 0
	every(newRoot(streams{}), func(cmd *cobra.Command) {
		if cmd.Example == "" && cmd.Name() != "version" && cmd.Name() != "help" && !cmd.Hidden {
			t.Errorf("%s: its help has no examples", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			commands, err := shellWords(line)
			if err != nil {
				t.Errorf("%s: %v", cmd.CommandPath(), err)
			}
			for _, words := range commands {
				if err := parseExample(words); err != nil {
					t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
				}
				examples++
			}
		}
	})
	if examples < 10 {
		t.Errorf("only %d examples were found", examples)
	}
	if err := parseExample([]string{"perfpipe", "record", "--no-such-flag"}); err == nil {
		t.Error("an example with an unknown flag passes")
	}
	for _, bad := range [][]string{{"-e", "uprobe:bash"}, {"-x", "bash", "-e", "readline(a:b)"}} {
		if err := parseExample(append([]string{"perfpipe", "record"}, bad...)); err == nil {
			t.Errorf("an example with %q passes", bad)
		}
	}
	if err := parseExample([]string{"perfpipe", "recrod"}); err == nil {
		t.Error("an example with an unknown command passes")
	}
}

// TestDocumentsParse: the command lines of the documents are ones that perfpipe
// takes, and docs/command-line.md has a section and a row for every command.
func TestDocumentsParse(t *testing.T) {
	for path, least := range map[string]int{"../../docs/command-line.md": 24, "../../docs/probes.md": 8, "../../README.md": 6} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for i, block := range strings.Split(string(b), "\n```") {
			block, isShell := strings.CutPrefix(block, "sh\n")
			if i%2 == 0 || !isShell {
				continue
			}
			for line := range strings.Lines(block) {
				commands, err := shellWords(strings.ReplaceAll(strings.TrimSpace(line), "&&", "|"))
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				for _, words := range commands {
					if err := parseExample(words); err != nil {
						t.Errorf("%s: %q: %v", path, strings.TrimSpace(line), err)
					}
					if len(words) > 0 && strings.TrimPrefix(words[0], "./") == "perfpipe" {
						found++
					}
				}
			}
		}
		if found < least {
			t.Errorf("%s: only %d command lines were found, want %d", path, found, least)
		}
	}
	b, err := os.ReadFile("../../docs/command-line.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range newRoot(streams{}).Commands() {
		if cmd.Hidden || cmd.Name() == "help" {
			continue
		}
		for _, want := range []string{"\n## perfpipe " + cmd.Name() + "\n", "\n| [`" + cmd.Name() + "`](#perfpipe-" + cmd.Name() + ") |"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("docs/command-line.md lacks %q", strings.TrimSpace(want))
			}
		}
	}
	for _, code := range []int{exitOK, exitRuntime, exitUsage, exitLoss, exitPermission, exitJob} {
		if !strings.Contains(string(b), fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/command-line.md lacks status %d", code)
		}
	}
}

// TestHelpNamesStatuses: the table in the help of perfpipe has every status that there is.
func TestHelpNamesStatuses(t *testing.T) {
	out, _, status := runHere(t, "--help")
	if status != exitOK {
		t.Fatalf("--help: status %d", status)
	}
	for _, code := range []int{exitOK, exitRuntime, exitUsage, exitLoss, exitPermission, exitJob, 126} {
		if !strings.Contains(out, fmt.Sprintf("\n  %-4d ", code)) {
			t.Errorf("the help lacks status %d", code)
		}
	}
	if !strings.Contains(out, "128+N") {
		t.Error("the help lacks 128+N")
	}
}

// TestUsageErrors: what is wrong with a command line ends with 2 and says what.
func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"check"}, "no job file is named"},
		{[]string{"run"}, "one job file"},
		{[]string{"run", "a.yaml", "b.yaml"}, "one job file"},
		{[]string{"run", "a.yaml", "--duration", "10"}, "write 10s"},
		{[]string{"doctor", "now"}, "no arguments"},
		{[]string{"doctor", "--yaml"}, "unknown flag"},
		{[]string{"frobnicate"}, "unknown command"},
		{[]string{"check", "/nonexistent/job.yaml"}, "no such file"},
	} {
		out, errs, status := runHere(t, tt.args...)
		if status != exitUsage || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: got %d, %q, %q, want %d and %q", tt.args, status, out, errs, exitUsage, tt.want)
		}
	}
}
