//go:build linux

package main

import (
	"bytes"
	"io"
	"testing"
)

func TestMixture(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		err  string
	}{
		{"one number", []string{"-calls", "10000"}, ""},
		{"two numbers", []string{"-calls", "10000", "-every", "100", "-rare", "1000001"}, ""},
		{"no divisor", []string{"-calls", "10000", "-every", "3"}, "one call in 3 of another number"},
		{"less than none", []string{"-every", "-1"}, "one call in -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := runLoad(append(tt.args, "-cpu", "0"), &out)
			if !says(err, tt.err) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			l, err := decodeLoad(out.Bytes())
			if err != nil || l.Calls != 10_000 {
				t.Errorf("got %d calls, %v, want 10000", l.Calls, err)
			}
		})
	}
}

func TestPredicates(t *testing.T) {
	const want = "tracepoint:raw_syscalls:sys_enter /args->id == 999/ { @ = count(); }"
	if got := countIf("id == 999"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgramID(t *testing.T) {
	if got := programID("pos:\t0\nprog_type:\t26\nprog_id:\t4711\n"); got != 4711 {
		t.Errorf("got %d, want 4711", got)
	}
	if got := programID("pos:\t0\n"); got != 0 {
		t.Errorf("no program: got %d, want 0", got)
	}
}

func TestCompileArguments(t *testing.T) {
	if err := runCompile(nil, io.Discard); !says(err, "file of a program") {
		t.Errorf("got %v, want an error", err)
	}
}
