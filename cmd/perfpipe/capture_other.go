//go:build !linux

package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/perfpipe/perfpipe/configs"
)

// runCapture says that there is nothing to record here.
func runCapture(context.Context, streams, *configs.Capture, captureOptions) error {
	return fmt.Errorf("recording a live kernel needs Linux, this is %s; 'perfpipe convert' and 'perfpipe cat' read files recorded elsewhere", runtime.GOOS)
}
