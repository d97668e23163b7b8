package filters

import (
	"strings"
	"testing"
)

type verdict struct {
	Event    string
	Filter   string
	Accepted bool
	Error    string
	Pos      *int `json:"error_log_pos"`
	Errno    int  `json:"perf_ioctl_errno"`
}

// kallsyms is a small table of the kernel's functions for tests.
type kallsyms struct{}

func (kallsyms) ByName(name string) (lo, hi uint64, ok bool) {
	if name == "vfs_read" {
		return 0xffffffff81500000, 0xffffffff81500400, true
	}
	return 0, 0, false
}

func (kallsyms) ByAddr(addr uint64) (lo, hi uint64, ok bool) {
	switch {
	case addr >= 0xffffffff81500000 && addr < 0xffffffff81500400:
		return 0xffffffff81500000, 0xffffffff81500400, true
	case addr>>12 == 0xffffffff81000:
		return 0xffffffff81000000, 0xffffffff81001000, true
	}
	return 0, 0, false
}

// rejections are the kernel's refusals with a position, from verdicts.json and
// fuzz_vectors.json.
func rejections(t *testing.T) []verdict {
	var list, out []verdict
	readJSON(t, "verdicts.json", &list)
	for _, v := range list {
		if !v.Accepted {
			out = append(out, v)
		}
	}
	for _, c := range kernelCases(t) {
		if !c.Accepted && c.Pos != nil {
			out = append(out, verdict{Filter: c.Filter, Error: *c.Error, Pos: c.Pos})
		}
	}
	return out
}

func TestKernelCompatVerdicts(t *testing.T) {
	var list []verdict
	readJSON(t, "verdicts.json", &list)
	for _, v := range list {
		_, err := Compile(v.Filter, formatOf(t, v.Event), Options{KernelCompat: true, CPUs: 2, Functions: kallsyms{}})
		if (err == nil) != v.Accepted {
			t.Errorf("%q: got %v, want accepted %v", v.Filter, err, v.Accepted)
		}
	}
}

// Where both refuse, both point at the same token.
func TestCarets(t *testing.T) {
	named := differences(t)
	for _, mode := range []Options{{KernelCompat: true, CPUs: 2, Functions: kallsyms{}}, {CPUs: 2, Functions: kallsyms{}}} {
		for _, v := range rejections(t) {
			s := uprobeSchema()
			if v.Event != "" {
				s = formatOf(t, v.Event)
			}
			_, err := Compile(v.Filter, s, mode)
			if err == nil {
				continue // the superset; TestDifferences names it
			}
			if v.Pos == nil {
				continue
			}
			from, to, ok := kernelCaret(v.Filter, v.Error, *v.Pos)
			if !ok {
				continue
			}
			e := asError(t, err)
			if !mode.KernelCompat && named[v.Filter] == "reads-on" {
				continue
			}
			if e.Pos < from || e.Pos >= to {
				t.Errorf("compat %v: %q: got caret %d, want %d to %d (%s)\n%v", mode.KernelCompat, v.Filter, e.Pos, from, to, v.Error, strings.SplitN(err.Error(), "\n  fields", 2)[0])
			}
		}
	}
}
