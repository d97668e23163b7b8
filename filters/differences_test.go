package filters

import (
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// differences reads testdata/differences.txt: the name of each deliberate
// difference from the kernel by filter.
func differences(t *testing.T) map[string]string {
	b, err := os.ReadFile("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, quoted, ok := strings.Cut(line, "\t")
		filter, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("testdata/differences.txt: %q: %v", line, err)
		}
		out[filter] = name
	}
	return out
}

// The normal mode takes what the kernel takes and gives its result, refuses what
// it refuses, and differs only where doc.go has a name for it.
func TestDifferences(t *testing.T) {
	named := differences(t)
	used := map[string]bool{}
	check := func(filter, what string) {
		if named[filter] == "" {
			t.Errorf("%q: %s; no name in testdata/differences.txt", filter, what)
		}
		used[filter] = true
	}
	var list []verdict
	readJSON(t, "verdicts.json", &list)
	for _, v := range list {
		_, err := Compile(v.Filter, formatOf(t, v.Event), Options{CPUs: 2, Functions: kallsyms{}})
		if (err == nil) != v.Accepted {
			check(v.Filter, "accepted is the kernel's "+strconv.FormatBool(v.Accepted))
		}
	}
	for _, c := range kernelCases(t) {
		s := semanticsSchema(t, &c)
		p, err := Compile(c.Filter, s, Options{CPUs: 2})
		switch {
		case (err == nil) != c.Accepted:
			check(c.Filter, "accepted is the kernel's "+strconv.FormatBool(c.Accepted))
		case err == nil && c.verdicts(t, p, s) != c.want():
			check(c.Filter, "got "+c.verdicts(t, p, s)+", want "+c.want())
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for filter, name := range named {
		if !used[filter] && name != "reads-on" {
			t.Errorf("%q: %s is no longer a difference", filter, name)
		}
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		if (i == 0 || names[i-1] != name) && !strings.Contains(string(doc), "//   - "+name+": ") {
			t.Errorf("doc.go does not explain %q", name)
		}
	}
}
