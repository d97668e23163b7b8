package filters

import "testing"

func TestReads(t *testing.T) {
	s := formatOf(t, "syscalls/sys_enter_openat")
	for src, want := range map[string]bool{
		"common_flags & 1":                         true,
		"dfd == 3 && common_flags in {1, 2}":       true,
		"!(common_preempt_count > 0 || dfd == 1)":  false,
		"dfd + common_flags * 2 == 7 || mode == 0": true,
		"dfd == 3":        false,
		"common_pid == 1": false,
	} {
		p, err := Compile(src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := p.Reads("common_flags"); got != want {
			t.Errorf("%s: got %v, want %v", src, got, want)
		}
	}
}
