package perfev

import (
	"slices"
	"strings"
)

// cgroupMounts takes from the text of /proc/self/mountinfo (proc_pid_mountinfo(5))
// where the hierarchies are mounted that perf may follow: v1's perf_event, then v2's.
func cgroupMounts(text string) []string {
	var v1, v2 []string
	for line := range strings.Lines(text) {
		// id parent major:minor root mountpoint options optional... - type source options
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		at := unescape(f[4])
		switch {
		case g[0] == "cgroup2":
			v2 = append(v2, at)
		case g[0] == "cgroup" && slices.Contains(strings.Split(g[2], ","), "perf_event"):
			v1 = append(v1, at)
		}
	}
	return append(v1, v2...)
}

// unescape undoes what the kernel writes for blanks and backslashes in a path.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
