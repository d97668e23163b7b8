//go:build linux

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stressEnv makes the test binary a load of other kinds: "TIME" calls getppid for so
// long and writes to the file of stressCountEnv how often that was, "NxM" has N
// processes call it M times each.
const (
	stressEnv      = "PERFPIPE_TEST_STRESS"
	stressCountEnv = "PERFPIPE_TEST_STRESS_COUNT"
)

// stressEngines are the engines that the tests of what must hold under stress are run
// with.
var stressEngines = [...]string{"perf", "ftrace", "bpf"}

// stressLoad is the load that the environment asks for, false where it asks for none.
func stressLoad() bool {
	word := os.Getenv(stressEnv)
	if word == "" {
		return false
	}
	if n, m, ok := strings.Cut(word, "x"); ok {
		stressMany(n, m)
		return true
	}
	d, err := time.ParseDuration(word)
	if err != nil {
		panic(err)
	}
	n := 0
	// The clock is read without a system call.
	for end := time.Now().Add(d); time.Now().Before(end); {
		for range 1000 {
			syscall.Getppid()
		}
		n += 1000
	}
	// The file is there when it is whole.
	file := os.Getenv(stressCountEnv)
	if err := os.WriteFile(file+"~", []byte(strconv.Itoa(n)), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		panic(err)
	}
	return true
}

// stressMany starts n processes that call getppid m times each, all at once.
func stressMany(n, m string) {
	num, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	var cmds []*exec.Cmd
	for range num {
		c := exec.Command(self)
		c.Env = []string{loadEnv + "=" + m}
		if err := c.Start(); err != nil {
			panic(err)
		}
		cmds = append(cmds, c)
	}
	for _, c := range cmds {
		if err := c.Wait(); err != nil {
			panic(err)
		}
	}
}

// stressCommand returns the words of a load, a time or "NxM", that writes to the file
// count.
func stressCommand(t *testing.T, word, count string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", stressEnv + "=" + word, stressCountEnv + "=" + count, self}
}

// eachEngine runs f with every engine.
func eachEngine(t *testing.T, f func(t *testing.T, engine string)) {
	t.Helper()
	for _, e := range stressEngines {
		t.Run(e, func(t *testing.T) { f(t, e) })
	}
}
