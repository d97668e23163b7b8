//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestRustNames runs where there is a rustc, which few machines have: the names
// themselves are tested by golden symbols in uprobe/symbols. The optimizer passes none
// of the arguments that are the same in all calls.
func TestRustNames(t *testing.T) {
	testpriv.Need(t)
	rustc, err := exec.LookPath("rustc")
	if err != nil {
		t.Log("without rustc, nothing is recorded")
		return
	}
	methods := map[string]string{"v0": "<shop::shop::Order>::add", "legacy": "shop::shop::Order::add"}
	for mangling, method := range methods {
		t.Run(mangling, func(t *testing.T) {
			prog := filepath.Join(t.TempDir(), "shop")
			cmd := exec.Command(rustc, "-g", "-O", "-A", "warnings", "-Z", "unstable-options", "-C", "symbol-mangling-version="+mangling,
				"-o", prog, filepath.Join("testdata", "probes", "shop.rs"))
			cmd.Env = append(os.Environ(), "RUSTC_BOOTSTRAP=1") // for the older of the two
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", cmd, err, out)
			}
			tests := []struct {
				probe string
				want  columns
			}{
				{"shop::shop::area(a, b)", columns{"a": "-6", "b": "7"}},
				{"shop::shop::area%return", columns{"ret": "-42"}},
				{method + "(self->id, self->count, n)", columns{"id": "41", "count": "7", "n": "5"}},
				{"*shop::twice*(v)", columns{"v": "3 null", "v_uint64": "null 4"}},
			}
			for _, tt := range tests {
				tt.want.check(t, recordRows(t, "-e", "uprobe:"+prog+":"+tt.probe, "--", prog))
			}
		})
	}
}

// TestParametersThatAreConstants: the compiler makes a clone that is passed one
// parameter of three.
func TestParametersThatAreConstants(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "constants.c", "-g", "-O2")
	columns{"factor": "10 10", "minus": "-3 -3"}.check(t,
		recordRows(t, "-e", "uprobe:"+prog+":scaled.constprop.0(factor, minus)", "--", prog))
	recordProbes(t, "-e", "uprobe:"+prog+":scaled.constprop.0(a)", "--", prog).want(t, 2, "the compiler's clone .constprop.0")
	recordProbes(t, "-e", "uprobe:"+prog+":scaled(a)", "--", prog).want(t, 2, "did you mean scaled.constprop.0?")
}
