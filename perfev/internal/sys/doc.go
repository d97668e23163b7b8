// Package sys is the room where perfpipe touches memory that the kernel shares
// with it: perf rings and the ioctls that take pointers. It is the only package
// that imports unsafe.
package sys
