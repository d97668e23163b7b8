//go:build readers

package readers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// probedSource hands work values of every kind that a probe's column may have, with
// pointers that lead nowhere among them.
const probedSource = `
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
enum colour { RED, GREEN = 7, BLUE = -3 };
struct part { int32_t weight; const char *label; };
struct thing {
	int8_t b; uint8_t ub; int16_t h; uint16_t uh; int32_t w; uint32_t uw; int64_t q; uint64_t uq;
	bool flag; enum colour colour; int bits : 5; unsigned ubits : 3; char text[12]; int32_t list[3]; struct part *part;
};
__attribute__((noinline, noclone)) int work(int n, struct thing *t, const char *s) { __asm__ volatile("" ::: "memory"); return n - 20; }
__attribute__((noinline, noclone)) int outer(int n, struct thing *t, const char *s) { int r = work(n, t, s); usleep(50); return r + 1; }
int main(void) {
	struct part part = { INT_MIN, "a label" };
	struct thing t = { -128, 255, -32768, 65535, INT_MIN, UINT_MAX, LLONG_MIN, ULLONG_MAX, true, BLUE, -16, 5, "twelve bytes", { 1, -2, INT_MAX }, &part };
	const char *texts[] = { "plain", "", 0, (char *)8, "caf\xc3\xa9 \xff\\\\", "'; --" };
	for (int n = 0; n < 60; n++) {
		t.part = n % 4 == 1 ? 0 : &part;
		t.b++; t.ub--; t.q += 1001; t.uq -= 7; t.bits = n % 32 - 16; t.flag = n % 3; t.list[1] = n;
		outer(n, n % 5 == 4 ? 0 : &t, texts[n % 6]);
	}
	return 0;
}
`

// TestRecordedProbes has all readers read and filter the tables of probes: nulls,
// lists, call chains as ids and as text, and the table of lives.
func TestRecordedProbes(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	src, prog := filepath.Join(dir, "p.c"), filepath.Join(dir, "probed")
	if err := os.WriteFile(src, []byte(probedSource), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, testpriv.NeedTool(t, "gcc"), "-g", "-O1", "-w", "-fno-omit-frame-pointer", "-o", prog, src)
	bin := build(t)
	work := "uprobe:" + prog + ":work(n, s, t, t->b, t->ub, t->h, t->uh, t->w, t->uw, t->q, t->uq, t->flag, t->colour, t->bits, t->ubits, t->text, t->list, " +
		"weight=t->part->weight, label=t->part->label, t->list[1])"
	tests := []struct {
		name string
		args []string
	}{
		{"call chains", []string{"-g", "--stack-inline", "--cgroup-id", "-e", work}},
		{"beside the kernel", []string{"-g", "--decode", "-e", work, "-e", "uretprobe:" + prog + ":work(ret)", "-e", "sched:sched_switch", "-e", "lifecycle"}},
		{"portable", []string{"-g", "--types", "portable", "--cgroup-id", "-e", work, "-e", "lifecycle"}},
		{"nothing happened", []string{"-g", "--stack-inline", "-e", work, "--filter", "n > 1000", "-e", "sched:sched_process_exit"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { recordAll(t, bin, append(tt.args, "--", prog)...) })
	}
}
