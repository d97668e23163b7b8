package configs

import (
	"errors"
	"fmt"
	"strings"
)

// IsProbe reports whether a selection is a probe of user space (uprobe:, uretprobe:,
// usdt:, or bpftrace's short u:, ur:, U:) or lifecycle, and not the name or glob of a tracepoint. A "!" before it is
// taken for a part of neither.
func IsProbe(s string) bool {
	s = strings.TrimPrefix(s, "!")
	return s == "lifecycle" || probeKind(s) != ""
}

// probeKind returns the word with its colon that a probe begins with, "" for others.
func probeKind(s string) string {
	for _, k := range [...]string{"uprobe:", "uretprobe:", "usdt:", "u:", "ur:", "U:"} {
		if strings.HasPrefix(s, k) {
			return k
		}
	}
	return ""
}

// SplitSelection takes a list of names, globs and probes apart at its commas: those
// outside of parentheses, brackets and quotes.
func SplitSelection(s string) []string {
	var list []string
	var quote byte
	parens, start := 0, 0
	bracket := false
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ',' && parens == 0 && !bracket && quote == 0 {
			list = append(list, strings.TrimSpace(s[start:i]))
			start = i + 1
			continue
		}
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == ']':
			bracket = false
		case bracket:
		case c == '[':
			bracket = true
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			parens++
		case c == ')':
			parens = max(0, parens-1)
		}
	}
	return list
}

// checkSelection returns what is wrong with the form of a name, a glob or a probe.
func checkSelection(s string) error {
	p := strings.TrimPrefix(s, "!")
	if IsProbe(p) {
		return checkProbe(p)
	}
	p = strings.TrimPrefix(p, "tracepoint:")
	system, name, ok := strings.Cut(p, ":")
	switch {
	case s == "":
		return errors.New("a name is missing beside a comma")
	case strings.ContainsAny(p, " \t\n\r"):
		return fmt.Errorf("%q holds a blank; each event is an entry of its own", s)
	case !ok:
		return fmt.Errorf("%q has no system; events are named system:name, such as sched:sched_switch or 'irq:*'", s)
	case system == "" || name == "":
		return fmt.Errorf("%q is half a name; events are named system:name", s)
	case strings.Count(p, "[") != strings.Count(p, "]"):
		return fmt.Errorf("%q has a bracket that does not close", s)
	}
	return nil
}

// checkProbe returns what is wrong with the form of a probe. The rest is for those
// who can parse one.
func checkProbe(p string) error {
	kind := probeKind(p)
	rest := p[len(kind):]
	switch {
	case p == "lifecycle":
		return nil
	case strings.Trim(rest, ": ") == "":
		return fmt.Errorf("%q names no function; a probe looks like %s/bin/bash:readline", p, kind)
	case strings.Count(rest, "(") != strings.Count(rest, ")"):
		return fmt.Errorf("%q has a parenthesis that does not close", p)
	case strings.Count(rest, `"`)%2 != 0:
		return fmt.Errorf("%q has a quote that does not close", p)
	}
	return nil
}

// probeOf is the probe that a function's name beside a binary stands for:
// "func%return" is a uretprobe.
func probeOf(binary, function string) string {
	if f, ok := strings.CutSuffix(function, "%return"); ok {
		return "uretprobe:" + binary + ":" + f
	}
	return "uprobe:" + binary + ":" + function
}
