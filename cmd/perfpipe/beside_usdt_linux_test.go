//go:build linux

package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// staticSource is a program with static probes whose operands are of all kinds. It
// prints how often the branch ran that is on only while somebody listens.
const staticSource = `
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#include <stdint.h>
#include <stdio.h>
unsigned short demo_gated_semaphore __attribute__((section(".probes"), used));
unsigned short demo_kinds_semaphore __attribute__((section(".probes"), used));
unsigned short demo_sites_semaphore __attribute__((section(".probes"), used));

__attribute__((noinline)) static void gated(long n, const char *s) {
	STAP_PROBE2(demo, gated, n, s);
}

__attribute__((noinline)) static void kinds(int8_t b, uint8_t u, int16_t h, int32_t w, uint64_t q, double d, const char *s) {
	STAP_PROBE8(demo, kinds, b, u, h, w, q, d, -42, s);
}

/* One probe, three places: a byte, a wide number in memory, a constant. */
__attribute__((noinline)) static void narrow(int8_t v) { STAP_PROBE1(demo, sites, v); }
__attribute__((noinline)) static void wide(volatile int64_t *v) { STAP_PROBE1(demo, sites, *v); }
__attribute__((noinline)) static void fixed(void) { STAP_PROBE1(demo, sites, 7); }

int main(void) {
	int on = 0;
	for (int i = 0; i < 5; i++) {
		if (demo_gated_semaphore) { on++; gated(i, "gate"); }
	}
	kinds(-3, 250, -1000, -70000, 18446744073709551615ull, 1.5, "kinds");
	int64_t v = -5000000000;
	narrow(-7);
	wide(&v);
	fixed();
	return on;
}
`

func TestStaticProbes(t *testing.T) {
	testpriv.Need(t)
	needHeader(t, "sys/sdt.h", "systemtap-sdt-dev")
	for _, opt := range []string{"-O0", "-O2"} {
		t.Run(opt, func(t *testing.T) {
			path := compileC(t, "static", staticSource, opt)
			t.Run("semaphore", func(t *testing.T) {
				// The target's exit status is how often it found the probe turned on.
				r := invoke(t, "record", "-q", "-e", "usdt:"+path+":demo:gated(n=arg0, s=arg1:string)", "-o", "-", "--format", "ndjson", "--", path)
				r.want(t, 5)
				rows := readRows(t, r.stdout)
				wantNumbers(t, rows, 0, 5)
				for _, w := range rows {
					if w.text("s") != "gate" {
						t.Errorf("got %v, want s gate", w)
					}
				}
				// Nobody listens to that one here.
				invoke(t, "record", "-q", "-e", "usdt:"+path+":demo:kinds", "-o", "-", "--format", "ndjson", "--", path).want(t, 0)
			})
			t.Run("operands", func(t *testing.T) {
				r := invoke(t, "record", "-e", "usdt:"+path+":demo:kinds(b=arg0, u=arg1, h=arg2, w=arg3, q=arg4:u64, d=arg5, c=arg6, s=arg7:string)", "-o", "-", "--format", "ndjson", "--", path)
				r.want(t, 0)
				rows := readRows(t, r.stdout)
				if len(rows) != 1 {
					t.Fatalf("got %d rows, want 1\n%s", len(rows), r.stderr)
				}
				w := rows[0]
				for name, want := range map[string]int64{"b": -3, "u": 250, "h": -1000, "w": -70000, "q": -1, "c": -42} {
					if got := w.num(name); got != want {
						t.Errorf("%s: got %d, want %d", name, got, want)
					}
				}
				if w.text("s") != "kinds" {
					t.Errorf("s: got %q", w.text("s"))
				}
				// At -O0 the double is in memory, and its bits are what is seen; at -O2 it is
				// an assembler's constant that no symbol table names.
				switch _, has := w["d"]; {
				case opt == "-O0" && uint64(w.num("d")) != math.Float64bits(1.5):
					t.Errorf("d: got %v, want the bits of 1.5", w["d"])
				case opt == "-O2" && (has || !strings.Contains(r.stderr, "d is always null")):
					t.Errorf("d: got %v, want null and a warning\n%s", w["d"], r.stderr)
				}
			})
			t.Run("sites of differing types", func(t *testing.T) {
				dir := t.TempDir()
				runIn(t, dir, "record", "-e", "usdt:"+path+":demo:sites(n=arg0)", "-o", "set", "-o", "x.ndjson", "--", path).want(t, 0)
				var got []int64
				for _, w := range readRows(t, readFile(t, filepath.Join(dir, "x.ndjson"))) {
					got = append(got, w.num("n"))
				}
				if want := []int64{-7, -5000000000, 7}; !slices.Equal(got, want) {
					t.Errorf("got %v, want %v in the order of time", got, want)
				}
				tables, err := filepath.Glob(filepath.Join(dir, "set", "usdt.*"))
				if err != nil || len(tables) != 1 || filepath.Base(tables[0]) != "usdt.demo.sites" {
					t.Errorf("got the tables %v, %v, want usdt.demo.sites alone", tables, err)
				}
			})
		})
	}
}

// needHeader skips or fails the test where gcc has no such header.
func needHeader(t *testing.T, name, debianPackage string) {
	t.Helper()
	for _, dir := range []string{"/usr/include/", "/usr/include/x86_64-linux-gnu/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return
		}
	}
	if testpriv.Required() {
		t.Fatalf("no %s; install it (Debian: apt-get install %s)", name, debianPackage)
	}
	t.Skipf("no %s; install it (Debian: apt-get install %s)", name, debianPackage)
}
