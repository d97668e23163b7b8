//go:build linux

package main

import (
	"io"
	"slices"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	tests := []struct {
		name string
		args []string
		err  string
		// check is what must hold of the options.
		check func(*options) bool
	}{
		{"all", nil, "", func(o *options) bool {
			return len(o.only) == 0 && o.rounds == 7 && o.wants("loop") && o.wants("probes")
		}},
		{"sections", []string{"-only", "rate,stop"}, "", func(o *options) bool { return o.wants("rate") && o.wants("stop") && !o.wants("loop") }},
		{"probes", []string{"-probes"}, "", func(o *options) bool { return slices.Equal(o.only, []string{"probes"}) }},
		{"sections and probes", []string{"-probes", "-only", "rate"}, "", func(o *options) bool { return slices.Equal(o.only, []string{"rate", "probes"}) }},
		{"smoke", []string{"-smoke"}, "", func(o *options) bool { return o.rounds == 1 && o.calls == 200_000 && o.sustained == time.Second }},
		{"smoke, some calls", []string{"-smoke", "-calls", "7", "-rounds", "2"}, "", func(o *options) bool { return o.rounds == 2 && o.calls == 7 }},
		{"no such section", []string{"-only", "rate,speed"}, `no section "speed": they are loop, rate, stop, memory, stages, start, others, filters, probes`, nil},
		{"no rounds", []string{"-rounds", "0"}, "at least 1", nil},
		{"an argument", []string{"loop"}, `unexpected argument "loop"`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseOptions(tt.args, io.Discard)
			if !says(err, tt.err) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if err == nil && !tt.check(&o) {
				t.Errorf("got %+v", o)
			}
		})
	}
}
