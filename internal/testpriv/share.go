package testpriv

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// shared is this process's part of the machine: tests and their subtests that use it
// hold one lock together, as a second one of the same process could wait for ever
// behind somebody who waits for the first.
var shared struct {
	sync.Mutex
	users  int
	unlock func()
}

// share keeps [Alone] of other processes waiting until the test has ended.
func share(t testing.TB) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.users == 0 {
		// Who wants the machine alone holds the gate while it waits for those within.
		leave, err := lockFile(lockPath("gate"), lockShared)
		if err != nil {
			t.Fatalf("lock the machine: %v", err)
		}
		shared.unlock, err = lockFile(lockPath("machine"), lockShared)
		leave()
		if err != nil {
			t.Fatalf("lock the machine: %v", err)
		}
	}
	shared.users++
	t.Cleanup(func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.users--; shared.users == 0 {
			shared.unlock()
		}
	})
}

// Alone is [Need] and [Lock] for a test that disturbs all others: one that takes a
// processor offline or sets the clock. It waits until no test of any process that called
// Need is running, and keeps later ones waiting until the test has ended. A test that
// called Need must not call it.
func Alone(t testing.TB) {
	t.Helper()
	if err := privilege(); err != nil {
		unmet(t, err)
		return
	}
	shared.Lock()
	users := shared.users
	shared.Unlock()
	if users > 0 {
		t.Fatal("the test called Need before Alone, which would wait for it for ever")
	}
	for _, name := range []string{"gate", "machine", ""} {
		unlock, err := lockFile(lockPath(name), lockAlone)
		if err != nil {
			t.Fatalf("lock the machine: %v", err)
		}
		t.Cleanup(unlock)
	}
}

// lockPath is the file of the lock of that name, "" is [Lock]'s.
func lockPath(name string) string {
	if name != "" {
		name = "-" + name
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("perfpipe-test-%d%s.lock", os.Getuid(), name))
}
