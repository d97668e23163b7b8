//go:build linux

package perfev_test

import (
	"os"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev"
)

func TestTraceEveryCallOfThisProcess(t *testing.T) {
	testpriv.Need(t)
	cfg := perfev.Config{
		Events: []perfev.Event{{Schema: schema(t, "syscalls:sys_enter_getppid")}}, KeepSelf: true, Engine: perfev.EngineFtrace,
		Target: perfev.Target{PIDs: []int{os.Getpid()}},
	}
	c := capture(t, cfg, func() { calls(5000) })
	if len(c.records) != 5000 || c.lost != 0 {
		t.Errorf("got %d records, %d lost, want 5000, 0", len(c.records), c.lost)
	}
	for _, r := range c.records {
		if r.PID != int32(os.Getpid()) {
			t.Fatalf("pid: got %d, want %d", r.PID, os.Getpid())
		}
	}
	cfg.KeepSelf = false
	if c := capture(t, cfg, func() { calls(100) }); len(c.records) != 0 {
		t.Errorf("own records: got %d, want none", len(c.records))
	}
}
