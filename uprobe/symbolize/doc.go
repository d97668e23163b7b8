// Package symbolize gives frames of call chains their names: function, offset, and
// source line. It takes what it needs of a process while the process lives (Load), and
// names at the end (Symbolize), as each of 50,000 frames has to be named once and not
// each of 20 million addresses.
//
//	kernel   /proc/kallsyms, modules included
//	file     the file's symbols (see package symbols); lines by DWARF or Go's tables
//	[vdso]   the kernel's own, out of this process's memory
//	anon     /tmp/perf-PID.map, which node --perf-basic-prof, the JVM's
//	         -XX:+DumpPerfMapAtExit and others write
//
// A return address is the instruction behind the call: frames other than the innermost
// should be asked for with an offset that is one less.
package symbolize
