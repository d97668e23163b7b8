//go:build linux

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestBudgets: whatever is left out, rows and losses are together what there was.
func TestBudgets(t *testing.T) {
	testpriv.Need(t)
	const n = 1_000_000
	for _, tt := range []struct {
		name   string
		flags  []string
		reason string
		rate   uint64
	}{
		{"rate", []string{"--max-rate", "10k"}, perfpipe.LostRate, 10_000},
		{"rate, by event", []string{"--max-rate", "10k/s", "--over", "events"}, perfpipe.LostRate, 10_000},
		{"rate, threads", []string{"--max-rate", "10k", "--over", "threads"}, perfpipe.LostRate, 10_000},
		{"processor time", []string{"--max-cpu", "1%"}, perfpipe.LostCPU, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "d")
			args := append([]string{"record", "-e", "raw_syscalls:sys_enter", "--filter", "id == 110", "-m", "64M", "-o", out}, tt.flags...)
			r := invoke(t, append(append(args, "--"), load(t, n)...)...)
			r.want(t, 0)
			m := readManifest(t, out)
			if m.Totals.Rows+m.Lost.Total != n {
				t.Errorf("%d rows and %d lost, want %d together\n%s", m.Totals.Rows, m.Lost.Total, n, r.stderr)
			}
			rows := readRows(t, invoke(t, "cat", "--table", "raw_syscalls.sys_enter", "--format", "ndjson", out).stdout)
			lost := readRows(t, invoke(t, "cat", "--table", "_lost", "--format", "ndjson", out).stdout)
			var sum uint64
			from, to := int64(1)<<62, int64(0)
			for _, l := range lost {
				// A machine that stalls may fill the ring as well.
				if l.text("reason") == tt.reason {
					sum += uint64(l.num("count"))
				}
				from, to = min(from, l.num("from_ts")), max(to, l.num("to_ts"))
			}
			if sum == 0 {
				// Where the load takes less than the first measurement, there is no bound yet.
				if tt.rate > 0 {
					t.Errorf("nothing was over the budget: the test shows nothing\n%s", r.stderr)
				}
				return
			}
			if !strings.Contains(r.stderr, tt.reason) {
				t.Errorf("the closing lines do not tell of it:\n%s", r.stderr)
			}
			for _, x := range rows {
				from, to = min(from, x.num("ts")), max(to, x.num("ts"))
			}
			if tt.rate == 0 {
				return
			}
			if most := tt.rate/10 + uint64(float64(to-from)/1e9*float64(tt.rate)) + 1; uint64(len(rows)) > most {
				t.Errorf("got %d rows within %d ms, want at most %d", len(rows), (to-from)/1e6, most)
			}
		})
	}
	out := filepath.Join(t.TempDir(), "d")
	args := []string{"record", "-q", "--fail-on-loss", "-e", "raw_syscalls:sys_enter", "--filter", "id == 110", "--max-rate", "100", "-o", out, "--"}
	invoke(t, append(args, load(t, 100_000)...)...).want(t, exitLoss)
}

func TestBudgetUsage(t *testing.T) {
	testpriv.Need(t)
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--max-rate", "many"}, "no number of rows"},
		{[]string{"--max-cpu", "0"}, "nothing"},
		{[]string{"--max-rate", "5", "--over", "all"}, "none of sample, threads and events"},
		{[]string{"--over", "events"}, "add --max-rate or --max-cpu"},
	} {
		invoke(t, append(append([]string{"record", "-e", "sched:sched_switch"}, tt.flags...), "true")...).want(t, exitUsage, tt.want)
	}
	r := invoke(t, "record", "--dry-run", "-e", "sched:sched_switch", "--max-rate", "50k", "--max-cpu", "12.5", "--over", "threads", "true")
	r.want(t, 0, "budget: at most 50,000 rows a second and 12.5% of a processor; beyond, one in 2^k threads is kept")
}
