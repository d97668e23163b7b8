package args

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

const (
	// maxName is the length of a field's name (MAX_ARG_NAME_LEN of
	// kernel/trace/trace_probe.h, less the NUL).
	maxName = 31
	// maxArgs is the number of arguments of an event (MAX_TRACE_ARGS, there as well).
	maxArgs = 128
	// maxLine is the number of bytes for the arguments of one line of uprobe_events. The
	// kernel takes 4096 for the whole (WRITE_BUFSIZE of kernel/trace/trace.h); the rest is
	// for the event's name and the path of the file.
	maxLine = 3584
)

// named is an argument whose name is not settled yet.
type named struct {
	arg fetch.Arg
	// given: the name was written, and is not one that follows.
	given bool
}

// settle settles the names: those that were written first.
func settle(list []named) []fetch.Arg {
	out := make([]fetch.Arg, len(list))
	taken := map[string]bool{}
	for _, given := range [...]bool{true, false} {
		for i, n := range list {
			if n.given != given {
				continue
			}
			n.arg.Name = unique(clean(n.arg.Name), taken)
			taken[n.arg.Name] = true
			out[i] = n.arg
		}
	}
	return out
}

// check holds the arguments against the kernel's limits for one event.
func check(list []fetch.Arg) error {
	n := 0
	for _, a := range list {
		n += len(" ") + len(a.Name) + len("=") + len(a.Expr) + len(":") + len(a.Type)
	}
	if len(list) > maxArgs {
		return fmt.Errorf("there are %d, and the kernel takes at most %d for an event", len(list), maxArgs)
	}
	if n > maxLine {
		return fmt.Errorf("they take %d bytes, and the kernel has room for %d: ask for fewer", n, maxLine)
	}
	return nil
}

// unique returns name, or name_2 and so on.
func unique(name string, taken map[string]bool) string {
	try := name
	for n := 2; taken[try]; n++ {
		end := "_" + strconv.Itoa(n)
		try = name[:min(len(name), maxName-len(end))] + end
	}
	return try
}

// clean makes a name one of C of at most 31 bytes that the kernel has not reserved.
func clean(name string) string {
	b := []byte(strings.TrimLeft(name, "%~"))
	for i, c := range b {
		if !letter(c) && (c < '0' || c > '9') {
			b[i] = '_'
		}
	}
	s := string(b)
	if s == "" || s[0] >= '0' && s[0] <= '9' || reserved(s) {
		s = "a_" + s
	}
	return s[:min(len(s), maxName)]
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// reserved reports whether the kernel, or the common fields, have the name
// (reserved_field_names of kernel/trace/trace_probe.c).
func reserved(s string) bool {
	return strings.HasPrefix(s, "common_") || strings.HasPrefix(s, "__probe")
}

func identifier(s string) bool { return s != "" && clean(s) == s && !strings.ContainsAny(s, "%~") }

// listed joins names for an error, the first of many.
func listed(list []string) string {
	const most = 24
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

// meant returns "; did you mean X?" where a name is near.
func meant(name string, list []string) string {
	best, at := max(2, len(name)/3)+1, ""
	for _, s := range list {
		if d := distance(strings.ToLower(name), strings.ToLower(s)); d < best && d < max(len(s), 1) {
			best, at = d, s
		}
	}
	if at == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", at)
}

// distance is Levenshtein's, for names of at most 64 bytes.
func distance(a, b string) int {
	const most = 64
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := left
			if a[i] != b[j] {
				d = 1 + min(left, row[j], row[j+1])
			}
			left, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
