// Package pages reads the sub-buffers of the kernel's trace ring, as reading
// trace_pipe_raw returns them: kernel/trace/ring_buffer.c and
// include/linux/ring_buffer.h. It is given bytes and makes no system call.
//
// A page begins with a header:
//
//	u64 time; long commit; char data[];
//
// and what was written to it follows in data, each with a word of 5 bits type_len
// and 27 bits time_delta before it:
//
//	type_len  0       u32 length, which counts itself; the record
//	          1..28   the record, of 4*type_len bytes
//	          29      padding: to the end of the page where time_delta is 0, else
//	                  a record that was discarded, of u32 length
//	          30      time extend: the delta goes on in the next word
//	          31      time stamp: so does a time of 59 bits
//
// Only 64-bit kernels of little-endian machines lay it out so: see [Check].
package pages
