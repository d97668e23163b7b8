// Package testpriv lets a test say what it needs of the machine: the right to
// trace, the machine's tracing to itself, or another program.
//
// Where the need is not met the test is skipped with the reason. With
// PERFPIPE_REQUIRE_PRIVILEGE=1 in the environment, which .ci/run sets, it fails
// instead, so that a run meant to test everything cannot pass by testing nothing.
package testpriv

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// RequireEnv is the environment variable that, set to "1", turns skips into failures.
const RequireEnv = "PERFPIPE_REQUIRE_PRIVILEGE"

// Required reports whether an unmet need is a failure.
func Required() bool { return os.Getenv(RequireEnv) == "1" }

// Need ends the test, as the package comment says, unless it may trace the kernel:
// on Linux, as root, with tracefs mounted. Where only the mount is missing it mounts
// tracefs at /sys/kernel/tracing and leaves it there. Until the test has ended, no
// test of another process has the machine alone.
func Need(t testing.TB) {
	t.Helper()
	if err := privilege(); err != nil {
		unmet(t, err)
		return
	}
	share(t)
}

// NeedTool ends the test, as the package comment says, unless name is an
// executable of the PATH, and returns its path. It is for the peers that
// a test compares with or builds its targets by: perf, gcc, node.
func NeedTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		unmet(t, fmt.Errorf("find %s: not in PATH; install it (Debian: apt-get install %s)", name, debianPackage(name)))
		return ""
	}
	return path
}

// Lock takes the machine's one lock on tracing until the test and its subtests
// have ended, and waits for it while another process or test holds it. Tests that
// would disturb each other take it: those that count what a busy CPU lost, watch
// tracefs for leftovers, or change limits of the whole machine. It is a lock on a
// file in [os.TempDir], so it works between the test binaries of several packages.
// A test that holds it must not take it again.
func Lock(t testing.TB) {
	t.Helper()
	unlock, err := lockFile(lockPath(""), lockAlone)
	if err != nil {
		t.Fatalf("lock tracing: %v", err)
	}
	t.Cleanup(unlock)
}

// debianPackage returns the package that has the program of that name.
func debianPackage(program string) string {
	switch program {
	case "perf":
		return "linux-perf"
	case "node":
		return "nodejs"
	}
	return program
}

// lockMode is who else may hold a lock.
type lockMode uint8

const (
	// lockAlone: nobody; lockShared: others that share it.
	lockAlone lockMode = iota
	lockShared
)

func unmet(t testing.TB, reason error) {
	t.Helper()
	if Required() {
		t.Fatalf("%s=1, but the test cannot run: %v", RequireEnv, reason)
		return
	}
	t.Skipf("cannot run here: %v", reason)
}
