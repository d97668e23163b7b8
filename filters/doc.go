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
//	sample(m/n)                m of n records, chosen by a hash of their time, processor
//	                           and thread: always the same ones
//	delta(x) changed(x)        against what x was the last time that this place of the
//	                           text was reached: the difference (0 the first time),
//	                           whether it is another (true the first time)
//	rate(n, ms)                true at most n times in ms milliseconds of $time
//
// The last three keep state: see below. What && or || need not decide does not reach them.
//
// # Programs
//
// A filter that is more than an expression is a program:
//
//	program = { decl } ( expr | block | { clause } ) ;
//	decl    = ["percpu"] "state" type NAME ["=" const] ";"
//	        | "map" "<" ( "pid" | "tid" | "cpu" | type ) "," type ">" NAME "[" const "]" ";"
//	        | "const" NAME "=" const ";"
//	        | type NAME "(" [ type NAME { "," type NAME } ] ")" block ;
//	clause  = "on" event { "," event } block ;
//	event   = NAME ":" NAME | "lifecycle" | STRING ;
//	block   = "{" { stmt } "}" ;
//	stmt    = type NAME "=" expr ";"
//	        | target ( "=" | "+=" | "-=" | "&=" | "|=" | "^=" ) expr ";" | target "++" ";"
//	        | "if" "(" expr ")" body [ "else" body ]
//	        | "for" "(" NAME "=" expr ";" NAME "<" expr [ "max" const ] ";" NAME "++" ")" body
//	        | "break" ";" | "continue" ";" | "return" expr ";"
//	        | "emit" type NAME "=" expr ";" | "delete" NAME "[" expr "]" ";"
//	        | NAME "(" args ")" ";" | block ;
//	target  = NAME [ "[" expr "]" ] ;  body = block | stmt ;
//	type    = s8 s16 s32 s64 u8 u16 u32 u64 bool string ;
//
// The expression, or the block, decides a record: every way through a block ends with
// return, and true keeps the record. Names are those of the innermost block that
// declares them, then those declared outside, then the event's fields; a name that hides
// a field gets a warning. What begins with $ cannot be hidden.
//
// An on clause says what is done with the records of the events that it names; globs
// and probes stand in quotes. The clauses of one program share its state and its maps,
// and are asked for records in the order of their time ([ParseSet]). Fields, and
// functions that use them, mean in each clause what its event has.
//
//	map<pid, u64> woke[8192];
//	on sched:sched_wakeup { woke[pid] = $time; return false; }
//	on sched:sched_switch {
//	    if (!(next_pid in woke)) return false;
//	    emit u64 latency_ns = $time - woke[next_pid];
//	    delete woke[next_pid];
//	    return true;
//	}
//
// Types. A variable, a parameter, a result, an entry of a map hold what their type
// holds: an integer is cut to the low bits, as a cast cuts it; anything is false in a
// bool where it is 0. A constant that does not fit is an error. Reading gives s64 or u64
// again. Strings are in variables, parameters, results and columns; state and maps hold
// integers and bool: keep hash(s). A null is 0 or "" in a variable.
//
// State keeps its value from record to record. A state is one for all processors and
// depends on the order of their events, which the compiler warns of; a percpu state is
// one for each. Maps have the capacity that they are declared with, and a new key for a
// full map is a fault: nothing is ever thrown out. m[k] of a key that is not there is 0
// and does not make it; k in m asks; delete m[k] takes it away; m[k] += x makes it. Keys
// are pid and tid (s32), cpu (u32) or an integer type, and are cut to it.
//
// Functions have no recursion. Their arguments are computed from left to right, and all
// of them.
//
// Loops count an s64 that nothing else changes up to a bound, which is computed each
// time. Where the start and the bound are no constants, max says how often it may go
// round; to go on after that is a fault. min(n, 100) as the bound looks at the first 100.
//
// Columns. emit adds a column of its type to the event's table; of several values the
// last counts. The column is never null where every way to a return that keeps records
// comes through an emit of it, and the value cannot be null. Of two filters on one event
// that emit the same column, that counts which keeps the record. Emit stands in the
// block itself, not in functions.
//
// The budget. A program may use Options.Budget on one record; more is a fault.
// Predicates (comparisons and whatever else is true or false by itself, once decided),
// calls of declared functions, and the way back to the head of a loop cost 1 each.
// Constants, && || ! ?: and arithmetic cost nothing. It is counted in the intermediate
// form ([Program.IR]), and so the same in every tier.
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
// be read, a field that lies outside of the record, a full map, a loop beyond its max
// and an exceeded budget abort the whole filter, so that !(a/0 == 1) does not pass
// either. The record is then dropped, or passed, as Options.OnFault says, and the cause
// is counted ([Fault]). A record that passes so has no values in the columns of emit.
// What a program wrote to its state before the fault stays.
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
// with a sign are not pushed. Of a program those conditions are pushed that it asks
// before it reads or writes anything but the record: if (!(a)) return false; at its
// beginning, and the terms of an expression before the first that keeps state. State
// must see the same records with and without the kernel's help. Under Options.KernelCompat there are no nulls either.
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
// filter of plain predicates runs without registers ([Program.Match]). Up to four
// of them are all made, each one load, subtraction and comparison, and the verdict is
// looked up by which hold.
// A program becomes statements over such trees (irprogram.go), which the generator of
// exec.go's machine, and later that of eBPF, are made from.
package filters

//go:generate go run ./internal/gentables
