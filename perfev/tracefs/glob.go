package tracefs

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// UnknownEventError names an event that this kernel does not have.
type UnknownEventError struct {
	// Event is what was asked for.
	Event string
	// Nearest are names like it, the likeliest first; empty where nothing is near.
	Nearest []string
	// Glob is true where Event is a pattern that matched nothing.
	Glob bool
}

func (e *UnknownEventError) Error() string {
	var b strings.Builder
	if e.Glob {
		fmt.Fprintf(&b, "no event matches %q", e.Event)
	} else {
		fmt.Fprintf(&b, "unknown event %q", e.Event)
	}
	if len(e.Nearest) > 0 {
		fmt.Fprintf(&b, "; did you mean %s?", strings.Join(e.Nearest, " or "))
	} else {
		b.WriteString("; 'perfpipe list' shows what there is")
	}
	return b.String()
}

// Select returns the events, each once, that patterns choose: names and globs
// ("sched:*", "*:sched_sw*", [a-z], [!a-z]) in the order given, the names of one
// glob sorted. A pattern that begins with "!" takes its events away, as all of
// exclude do, wherever it stands. "tracepoint:" before a name is accepted, and
// several may stand in one pattern, separated by commas.
//
// A name that does not exist, and a glob that matches nothing, is an
// *UnknownEventError, also in exclude for names.
func (t *FS) Select(patterns, exclude []string) ([]string, error) {
	list, err := t.list()
	if err != nil {
		return nil, err
	}
	return Select(list, patterns, exclude)
}

// Select is [FS.Select] over events, which is sorted.
func Select(events, patterns, exclude []string) ([]string, error) {
	var take, drop []string
	for _, p := range splitAll(patterns) {
		if rest, ok := strings.CutPrefix(p, "!"); ok {
			drop = append(drop, rest)
		} else {
			take = append(take, p)
		}
	}
	for _, p := range splitAll(exclude) {
		drop = append(drop, strings.TrimPrefix(p, "!"))
	}
	if len(take) == 0 {
		return nil, errors.New("select events: none is named")
	}
	gone := map[string]bool{}
	for _, p := range drop {
		names, err := match(events, p)
		var unknown *UnknownEventError
		if err != nil && !(errors.As(err, &unknown) && unknown.Glob) {
			return nil, err
		}
		for _, n := range names {
			gone[n] = true
		}
	}
	var out []string
	seen := map[string]bool{}
	for _, p := range take {
		names, err := match(events, p)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if !seen[n] && !gone[n] {
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("select events: all that %s selects is excluded by %s", strings.Join(take, ","), strings.Join(drop, ","))
	}
	return out, nil
}

// splitAll splits at the commas outside brackets and drops what is empty.
func splitAll(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		depth, start := 0, 0
		add := func(end int) {
			if s := strings.TrimSpace(p[start:end]); s != "" {
				out = append(out, s)
			}
		}
		for i := 0; i < len(p); i++ {
			switch p[i] {
			case '[':
				depth = 1
			case ']':
				depth = 0
			case ',':
				if depth == 0 {
					add(i)
					start = i + 1
				}
			}
		}
		add(len(p))
	}
	return out
}

// match returns the events that one name or glob chooses.
func match(events []string, pattern string) ([]string, error) {
	p := strings.TrimPrefix(pattern, "tracepoint:")
	system, name, ok := strings.Cut(p, ":")
	if !ok || !strings.ContainsAny(p, "*?[") {
		if _, found := slices.BinarySearch(events, p); found {
			return []string{p}, nil
		}
		return nil, &UnknownEventError{Event: pattern, Nearest: nearest(p, events), Glob: strings.ContainsAny(p, "*?[")}
	}
	system, name = strings.ReplaceAll(system, "[!", "[^"), strings.ReplaceAll(name, "[!", "[^")
	var out []string
	for _, e := range events {
		es, en, _ := strings.Cut(e, ":")
		a, err := path.Match(system, es)
		b, err2 := path.Match(name, en)
		if err != nil || err2 != nil {
			return nil, fmt.Errorf("select events: %q is no pattern: a bracket does not close", pattern)
		}
		if a && b {
			out = append(out, e)
		}
	}
	if len(out) == 0 {
		return nil, &UnknownEventError{Event: pattern, Nearest: nearest(p, events), Glob: true}
	}
	return out, nil
}
