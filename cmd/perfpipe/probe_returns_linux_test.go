//go:build linux

package main

import (
	"path/filepath"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestExceptionsPassAProbe: every third call of a function whose returns are probed
// ends in an exception, which a trampoline would turn into an abort.
func TestExceptionsPassAProbe(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "throw.cc", "-g", "-O2")
	rows := recordRows(t, "-e", "uretprobe:"+prog+":middle,uretprobe:"+prog+":deep,uprobe:"+prog+":middle(n)", "--", prog)
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.text("event")]++
	}
	for event, want := range map[string]int{"uretprobe:throw:middle": 20, "uretprobe:throw:deep": 20, "uprobe:throw:middle": 30} {
		if counts[event] != want {
			t.Errorf("%s: got %d rows, want %d", event, counts[event], want)
		}
	}
}

// TestReturnsOfARecursion: at the RET instructions all of them are seen. The kernel
// keeps 64 return addresses of a thread, so that by trampoline the rest is counted.
func TestReturnsOfARecursion(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "recurse.c", "-g", "-O2")
	for _, tt := range []struct {
		mode string
		rows int
		lost uint64
		line string
	}{
		{"sites", 101, 0, "wrote 101 rows in 1 table"},
		{"trampoline", 64, 37, "(37 lost)"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "d")
			recordProbes(t, "-e", "uretprobe:"+prog+":down", "--ret-mode="+tt.mode, "-o", out, "--", prog).want(t, 0, tt.line)
			if got := tableRows(t, out, "uretprobe.recurse.down"); got != tt.rows {
				t.Errorf("got %d rows, want %d", got, tt.rows)
			}
			m := readManifest(t, out)
			if m.Lost.Total != tt.lost || tt.lost > 0 && (len(m.Lost.By) != 1 || m.Lost.By[0].Reason != "return_unseen") {
				t.Errorf("manifest: got lost %+v, want %d", m.Lost, tt.lost)
			}
			r := invoke(t, "cat", "--table", "_lost", "--format", "ndjson", out)
			r.want(t, 0)
			sum := uint64(0)
			for _, l := range readRows(t, r.stdout) {
				sum += uint64(l.num("count"))
				if l.text("reason") != "return_unseen" || l.text("event") != "uretprobe:recurse:down" {
					t.Errorf("_lost: got %v", l)
				}
			}
			if sum != tt.lost {
				t.Errorf("_lost: got %d, want %d", sum, tt.lost)
			}
		})
	}
}
