// Package filters is perfpipe's filter language: a superset of the Linux kernel's
// event filters, compiled for the records of one event, evaluated over their raw
// bytes, and pushed down to the kernel as far as the kernel can say it.
//
// # The kernel's part
//
//	irq==18 || irq==19
//	!(prev_pid == 0) && next_comm ~ "kworker*"
//	ret < 0 && id == 257
//
// A predicate is field OP value; predicates are joined by &&, || and !, and grouped
// by parentheses. Operators are == != < <= > >=, & (true where any bit is common)
// and ~ (a glob of * ? [a-z] [!a-z] and \ ; a leading ! inverts it). Numbers are
// decimal, 0x hexadecimal or octal with a leading 0, and may be negative. Strings
// stand in "..." or '...' without escapes, and may hold the other quote.
//
// Integers go by the size and sign of the event's format file, not by the C type.
// && and || are decided from left to right, and what need not be evaluated is not.
// ! takes the whole comparison behind it: !a == 1 is !(a == 1), unlike in C, and
// gets a warning.
//
// CPU, cpu, common_cpu and COMM, comm are the processor and the task's name, unless
// the event has fields of these names. f & CPUS{0-3,8} is true where the processor
// f, or one of the cpumask f, is in the list; == and != compare with exactly the
// list. f.function == vfs_read is true where the address f lies in that function.
// f.ustring compares text of user space behind the pointer f, which the kernel
// alone can read: such a filter works only where all of it can be pushed.
//
// # The superset
//
// Expressions are C's, on integers of 64 bits: ?: || && | ^ & == != < <= > >= << >>
// + - * / % ~ - and the casts (s8) to (u64) and (bool). Fields are compared with
// fields, and anything with anything:
//
//	next_prio < prev_prio && (flags & 0x41) == 0x41
//	(ret < 0 ? -ret : ret) % 4096 == EAGAIN
//	args[1] > 2 * args[2]
//
// An integer is true where it is not 0. Comparisons are exact by value: a negative
// s64 is less than every u64. Arithmetic wraps modulo 2^64; a result is u64 where an
// operand is, and a shift has the type of its left side. Where C is misread, the
// filter is an error rather than a surprise: comparisons beside & | ^ or each other
// need parentheses, and so does ! behind an operator.
//
//	f in {1, 5..9, 0x20}       sets of constants and ranges; strings as well
//	v[2], comm[0]              elements of arrays, bytes of strings
//	'x'                        text beside a string, a character beside an integer
//	c"a\tb"                    a string with C's escapes
//	$cpu $pid $tid $comm $time $event
//	                           what is known beside the fields; $time is CLOCK_MONOTONIC in ns
//	NET_RX, EAGAIN, SIGKILL, openat
//	                           the event's own names of values, then errno and signals;
//	                           system calls beside id, nr and __syscall_nr
//	func ~ "mem*"              a field whose column shows a name (func of a probe's
//	                           glob, kind of lifecycle), compared with the name
//	// and /* */               comments
//
// # Functions
//
//	abs(x) min(x, y, ...) max(x, y, ...) clamp(x, lo, hi)
//	popcount(x) log2(x)        bits set; number of the highest one, 0 for 0
//	ntohs(x) ntohl(x) bswap(x) the low 2, the low 4, all 8 bytes in the opposite order
//	has_flag(x, m) any_flag(x, m)
//	                           all bits of m, any bit of m
//	strlen(s) startswith(s, t) endswith(s, t) contains(s, t)
//	ip(addr) cidr(addr, "10.0.0.0/8")
//	                           addresses in network order: u8[4], u8[16], __be32
//	hash(x)                    64 well-mixed bits of an integer or a string
//	has(field)                 whether the event has the field; it is known when
//	                           compiling, and what it guards is then not checked:
//	                           has(dfd) && dfd == 3 serves events without dfd
//	isnull(field)              whether the field has no value, see below
//
// # Nulls
//
// A field of a probe has no value where the memory that it stands for could not be
// read, or is a string behind NULL; "" is a value. A predicate that reads such a field
// is false, whichever its operator: s == "x", s != "x", s ~ "!x*", n in {0}, n < 0,
// n + 1 == 1, startswith(s, "x") and n alone are all false for a null. ! is what it is
// elsewhere: !(s == "x") is true for a null, s != "x" is not. isnull(s) asks for it.
// Of ?: only what is chosen is read: (isnull(n) ? 7 : n) == 7. A predicate is false
// before it faults: 1/n == 1 is no division by zero where n is null.
//
// Of a string that is longer than a probe can take, the filter sees the beginning,
// which is what the column shows: strlen(s) and == are those of the beginning.
//
// # Faults
//
// Division by zero, a shift by 64 or more, an index out of range, text that cannot
// be read, and a field that lies outside of the record abort the whole filter, so
// that !(a/0 == 1) does not pass either. The record is then dropped, or passed, as
// Options.OnFault says, and the cause is counted ([Fault]).
//
// # Push-down
//
// [Program.Push] writes what the kernel can decide in the kernel's language, term by
// term; the text is always generated, never the user's. What cannot be said is
// weakened: each record that the filter passes passes the text. Sets become ||,
// (f & m) == m becomes one & for each bit, endswith(comm, "sh") becomes "*\sh".
//
// The kernel knows no nulls: it sees zeroes, and of a string without a value whatever
// lies behind it. Predicates over fields of probes are therefore pushed only where they
// must be true, never beneath a !, and the filter decides again. Of a string whose
// beginning may be all there is, == alone is pushed. Arrays of probes and bitfields
// with a sign are not pushed. Under Options.KernelCompat there are no nulls either.
//
// # Differences from the kernel
//
// With Options.KernelCompat the kernel's engine (6.18) is followed to the letter.
// Without it, these differ on purpose. Filters that the kernel takes:
//
//   - constant-range: a constant that the field cannot hold (u8 == 256) is an error
//     with a hint; the kernel cuts it to the field's size and finds something else.
//   - array: an array of a size other than 1, 2, 4 or 8 bytes as a whole is an error;
//     the kernel finds every comparison of it false. Compare its elements.
//   - stack-trace: comparing stacktrace is an error; the kernel finds it false.
//   - cpumask-number: comparing a cpumask with a number is an error; the kernel
//     compares the place where the mask is stored. Use CPUS{}.
//   - cpu-mask: CPU & 3 asks for bits of the processor's number; the kernel finds it false.
//   - glob-suffix: "*sh" on a char[N] asks for the end of the text; the kernel looks
//     at the end of the array. ("bash" matches here and not there.)
//   - glob-digit: "1*" is a pattern like all others; the kernel takes a pattern that
//     begins with a digit for the text itself.
//   - ustring-number: .ustring compared with a number is an error.
//   - zero: 0 alone takes a filter away when written to tracefs; here it is an error.
//   - dangling-operator: a && or || at the end is an error; 6.18 forgives some of
//     these, older and newer kernels do not.
//
// Filters that the kernel refuses, and that mean something here:
//
//   - arithmetic: prev_pid % 2, prev_pid == 1+1, prev_pid == ~0.
//   - field-to-field: bytes_alloc > bytes_req.
//   - symbol: family == AF_INET, ret == -EAGAIN.
//   - character: state == 'a'.
//   - pointer-number: a char * compared with a number.
//   - ternary: prev_pid == 1 ? 1 : 0.
//   - comment: comments of both kinds.
//   - long-operand: strings of 256 bytes and more.
//   - long-filter: filters of 4096 bytes and more, up to 64 KiB.
//
// And where both refuse, the caret stands at the same token but for one reason:
//
//   - reads-on: where the kernel stops at an operator that it does not know, C's
//     grammar reads on (&& is one token, | goes on with an expression), and the
//     caret stands at what is wrong in that reading.
//
// # How it is made
//
// Package syntax scans and parses; the checker resolves names, types and constants
// into a typed tree, in which a comparison with a constant is a set of ranges; the
// generator turns that into instructions with two jump targets each, so that a
// filter of plain predicates runs without registers ([Program.Match]).
// Declarations, functions, loops and state belong to a later version: the parser
// knows them and says so.
package filters

//go:generate go run ./internal/gentables
