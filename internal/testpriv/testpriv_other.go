//go:build !linux

package testpriv

import (
	"fmt"
	"runtime"
)

func privilege() error {
	return fmt.Errorf("trace the kernel: %s has no Linux trace events; run the tests on Linux", runtime.GOOS)
}
