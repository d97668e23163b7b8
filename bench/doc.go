// Command bench measures perfpipe against perf record on this machine and writes
// what it finds into BENCHMARKS.md and, round by round, into bench/results.
//
//	go run ./bench            everything, about ten minutes, as root
//	go run ./bench -smoke     a short run that shows that it works, and writes nothing
//	go run ./bench -probes    the figures of probes in user space alone; writes nothing
//	go run ./bench -report F  BENCHMARKS.md again, from the rounds in F
//
// The load is a loop of getppid on a processor of its own, in a process of its
// own, which times itself. The recorder, perf or perfpipe, runs on another
// processor, so that what the loop loses is what recording costs it and not the
// recorder's time slices. Rounds are interleaved (untraced, perf, perfpipe,
// untraced, ...), and figures are medians over them with their smallest and largest.
//
// Probes in user space have a loop of their own, a C program (bench/hit), and bpftrace
// beside perf where it is installed.
package main
