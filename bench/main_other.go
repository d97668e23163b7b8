//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr, "bench: %s has no perf events: run it on Linux\n", runtime.GOOS)
	os.Exit(1)
}
