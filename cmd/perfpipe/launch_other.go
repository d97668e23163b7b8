//go:build !linux

package main

const launchWord = "__launch"

// launcher has nothing to launch where nothing can be recorded.
func launcher([]string) int { return exitRuntime }
