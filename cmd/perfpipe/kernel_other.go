//go:build !linux

package main

// kernelRelease names no kernel where nothing is recorded.
func kernelRelease() string { return "" }
