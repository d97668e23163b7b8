//go:build linux

package main

import (
	"context"
	"errors"
	"testing"
)

func TestAgain(t *testing.T) {
	bad := errors.New("bad")
	tests := []struct {
		name string
		// fails is how often it does before it succeeds.
		fails, calls int
		err          error
	}{
		{"at once", 0, 1, nil},
		{"the last time", tries - 1, tries, nil},
		{"never", tries, tries, bad},
	}
	b := &bench{log: t.Output()}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls := 0
			err := b.again(t.Context(), "a peer", func() error {
				if calls++; calls <= tt.fails {
					return bad
				}
				return nil
			})
			if calls != tt.calls || !errors.Is(err, tt.err) {
				t.Errorf("got %v after %d calls, want %v after %d", err, calls, tt.err, tt.calls)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := b.again(ctx, "a peer", func() error {
		calls++
		cancel()
		return bad
	})
	if calls != 1 || !errors.Is(err, bad) {
		t.Errorf("broken off: got %v after %d calls, want %v after 1", err, calls, bad)
	}
}
