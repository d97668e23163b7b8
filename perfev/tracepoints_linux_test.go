package perfev

import (
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// mapped are the events that programs of ours know the arguments of, where the kernel
// has them.
func mapped(t *testing.T) []Event {
	t.Helper()
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fs.Close(); err != nil {
			t.Error(err)
		}
	}()
	names, err := fs.Select([]string{"sched:*", "raw_syscalls:*", "irq:*", "irq_vectors:*", "timer:*", "kmem:*", "signal:*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []Event
	for _, n := range names {
		s, err := fs.SchemaOf(n)
		if err != nil {
			t.Fatal(err)
		}
		if bpf.Knows(s) {
			list = append(list, Event{Schema: s})
		}
	}
	return list
}

// TestEveryMapping: the verifier takes the program of every event that is known, and on
// a kernel as this one, none is refused.
func TestEveryMapping(t *testing.T) {
	testpriv.Need(t)
	k, err := bpf.LoadKernel()
	if err != nil {
		t.Fatal(err)
	}
	events := mapped(t)
	if len(events) < 40 {
		t.Errorf("got %d events that are known, want 40 at least", len(events))
	}
	for _, ev := range events {
		if _, err := bpf.MapTrace(ev.Schema, k, kernelRelease()); err != nil {
			t.Errorf("%s: %v", ev.Schema.Event(), err)
		}
		s, err := Open(Config{Engine: EngineBPF, Events: []Event{ev}, RingBytes: 64 << 10})
		if err != nil {
			t.Errorf("%s: %v", ev.Schema.Event(), err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
