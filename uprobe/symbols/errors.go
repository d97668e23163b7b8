package symbols

import (
	"fmt"
	"strings"
)

// UnknownFunctionError says that no function has a name, and which ones are near.
type UnknownFunctionError struct {
	// Name is what was looked for, a name or a glob, in the file at Path.
	Name, Path string
	// Nearest are names like it, the nearest first; there may be none.
	Nearest []string
	// Note says why symbols may be missing, "" where the file has them all.
	Note string
	// Skipped are the clones (.cold) that a glob alone would have matched.
	Skipped int
}

func (e *UnknownFunctionError) Error() string {
	s := fmt.Sprintf("no function %s in %s", e.Name, e.Path)
	if e.Skipped > 0 {
		s += fmt.Sprintf(" (only %d parts and copies made by the compiler, such as .cold: name the suffix to have them)", e.Skipped)
	}
	if len(e.Nearest) > 0 {
		s += "; did you mean " + orList(e.Nearest) + "?"
	}
	if e.Note != "" {
		s += "; " + e.Note
	}
	return s
}

// AmbiguousFunctionError says that a name without template arguments means several
// instances.
type AmbiguousFunctionError struct {
	// Name is what was looked for, in the file at Path.
	Name, Path string
	// Candidates are the names that it may mean, sorted.
	Candidates []string
}

func (e *AmbiguousFunctionError) Error() string {
	c := e.Candidates
	more := ""
	if len(c) > maxNearest {
		more = fmt.Sprintf(" and %d more", len(c)-maxNearest)
		c = c[:maxNearest]
	}
	return fmt.Sprintf("%s in %s is a template with several instances: %s%s; name one, or use a glob", e.Name, e.Path, strings.Join(c, ", "), more)
}

func orList(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
