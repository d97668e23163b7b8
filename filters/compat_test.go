package filters

import (
	"errors"
	"testing"
)

// In kernel-compat mode the kernel's result holds, always.
func TestKernelCompat(t *testing.T) {
	bad := 0
	for _, c := range kernelCases(t) {
		s := semanticsSchema(t, &c)
		p, err := Compile(c.Filter, s, Options{KernelCompat: true, CPUs: 2})
		if (err == nil) != c.Accepted {
			t.Errorf("%q: got %v, want accepted %v", c.Filter, err, c.Accepted)
			bad++
			continue
		}
		if err != nil {
			continue
		}
		if got := c.verdicts(t, p, s); got != c.want() {
			t.Errorf("%q: got %s, want %s", c.Filter, got, c.want())
		}
	}
	if bad > 0 {
		t.Logf("%d disagree on what a filter is", bad)
	}
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %T, want *Error: %v", err, err)
	}
	return e
}
