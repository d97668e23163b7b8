package configs

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzLoad: whatever the bytes, Load returns captures or faults within the file;
// captures survive being written and read again.
func FuzzLoad(f *testing.F) {
	for _, s := range Samples() {
		f.Add(string(s.Text))
	}
	for _, s := range []string{
		"", "events: a:b", "events: [{event: a:b, filter: |\n  x == BAD\n}]", "jobs:\n- {name: a, events: a:b}\n- *a",
		"events: a:b\nduration: 1d2h\nring: 4 pages\ntarget: {command: [a, '']}\noutputs: [x, {path: y, level: 3}]",
		"? [a]\n: b", "--- \n--- \n", "events: !!str a:b", "a: &a [*a]", "events: a:b\nname: \"\\x41\"", "%YAML 1.2\n---\nevents: a:b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		jobs, err := Load("f", []byte(in), testCheck())
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || jobs != nil {
				t.Fatalf("got %v and %#v, want faults alone", jobs, err)
			}
			lines := newSourceText([]byte(in)).starts
			last := Fault{}
			for _, x := range faults {
				// The end of a file whose last line ends counts as one more line.
				if x.Line < 1 || x.Line > len(lines)+1+strings.Count(in, "\u0085")+strings.Count(in, "\u2028")+strings.Count(in, "\u2029") || x.Column < 0 || x.Text == "" || x.Line < last.Line {
					t.Fatalf("fault %+v after %+v in %d lines", x, last, len(lines))
				}
				last = x
			}
			return
		}
		if len(jobs) == 0 {
			t.Fatal("neither jobs nor faults")
		}
		b, err := Marshal(jobs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load("again", b, testCheck())
		if err != nil || !reflect.DeepEqual(again, jobs) {
			t.Fatalf("after Marshal got %+v, %v\nwant %+v, from\n%s", again, err, jobs, b)
		}
	})
}

// TestLoadPrefixes: a file that was cut off anywhere gives captures or faults, not a panic.
func TestLoadPrefixes(t *testing.T) {
	for _, s := range Samples() {
		if _, err := Load(s.Name, s.Text, testCheck()); err != nil {
			t.Fatal(err)
		}
		for n := range s.Text {
			jobs, err := Load(s.Name, s.Text[:n], testCheck())
			if (err == nil) == (len(jobs) == 0) {
				t.Fatalf("%s[:%d]: got %v and %v", s.Name, n, jobs, err)
			}
		}
	}
}
