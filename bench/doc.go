// Command bench measures perfpipe, by each of its engines, and its peers on this machine
// and writes what it finds into BENCHMARKS.md with two pictures and, round by round, into
// bench/results.
//
//	go run ./bench                  everything, about a quarter of an hour, as root, on a quiet machine
//	go run ./bench -smoke           a short run that shows that it works, and writes nothing
//	go run ./bench -only loop,rate  these sections alone; writes nothing (-json FILE keeps the raw figures)
//	go run ./bench -report F        BENCHMARKS.md and the pictures again, from the figures in F
//	go run ./bench -perfpipe BIN    of that program instead of one built from this tree
//
// The sections, in their order: loop, rate, stop, memory, stages, start, others, filters, probes.
// -help says what they are; -probes is -only probes.
//
// The load is a loop of getppid on a processor of its own, in a process of its own, which
// times itself. The recorder runs on another processor, so that what the loop loses is
// what recording costs it and not the recorder's time slices. Rounds are interleaved (the
// loop alone, perf record, trace-cmd, bpftrace, bare rings, perfpipe's engines, and again),
// and figures are medians over them with their smallest and largest.
//
// A tool that is not installed, and an engine that perfpipe refuses, is named with the
// reason, and the rest goes on. Nothing is left behind, also where SIGINT breaks the run off;
// tracefs instances of a run that was killed are removed by the next.
//
// Probes in user space have a loop of their own, a C program (bench/hit), and bpftrace
// beside perf where it is installed.
package main
