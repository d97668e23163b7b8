package tracefs

import (
	"strings"
	"testing"
)

const statsText = `entries: 12
overrun: 3
commit overrun: 4
bytes: 480
oldest event ts: 15543.305366
now ts: 15546.397418
dropped events: 5
read events: 6
`

func TestParseStats(t *testing.T) {
	want := Stats{Entries: 12, Overrun: 3, CommitOverrun: 4, Dropped: 5, Read: 6, Oldest: 15543305366000}
	got, err := ParseStats([]byte(statsText))
	if err != nil || got != want || got.Lost() != 12 {
		t.Errorf("got %+v, %v, %d lost, want %+v, 12 lost", got, err, got.Lost(), want)
	}
	for n := range len(statsText) {
		// The last digit may be cut off with its line end: the number is there.
		if _, err := ParseStats([]byte(statsText[:n])); err == nil && n < len(statsText)-1 {
			t.Errorf("%q: no error", statsText[:n])
		}
	}
	for _, bad := range []string{"-3", "x", "", "99999999999999999999"} {
		if _, err := ParseStats([]byte(strings.Replace(statsText, "dropped events: 5", "dropped events: "+bad, 1))); err == nil {
			t.Errorf("dropped %q: no error", bad)
		}
	}
}

func FuzzParseStats(f *testing.F) {
	f.Add(statsText)
	f.Add("entries: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseStats([]byte(text))
		if err != nil {
			return
		}
		// What was read stands in the text.
		for _, key := range []string{"entries:", "overrun:", "commit overrun:", "dropped events:", "read events:"} {
			if !strings.Contains(text, key) && strings.Count(text, ":") < 5 {
				t.Errorf("%+v of %q", s, text)
			}
		}
	})
}

func TestCPUMask(t *testing.T) {
	for _, tt := range []struct {
		cpus []int
		want string
	}{
		{nil, "00000000"},
		{[]int{0}, "00000001"},
		{[]int{0, 5, 31}, "80000021"},
		{[]int{32}, "00000001,00000000"},
		{[]int{1, 100}, "00000010,00000000,00000000,00000002"},
	} {
		if got := cpuMask(tt.cpus); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.cpus, got, tt.want)
		}
	}
}
