// Package collector is one run: it reads a source, filters its records, makes
// columns of them and hands batches to sinks, and accounts for everything that
// did not become a row.
//
//	source ──Record──► filter ──► encoder ──► Batch ──channel──► writer ──► sinks
//	        (views)   (raw bytes) (columns)      ▲                  │
//	                                             └───free batches───┘
//
// Two goroutines work: the caller's, which reads, filters and encodes, and one
// that writes. A batch is owned by one of them at a time. When no batch is free
// the reader waits, the kernel's ring fills, and the kernel counts what it drops.
// A third does the part of a source's work that can be done before Read, where there
// is one ([Ahead]): recorded files have it, the rings of a live run do not.
package collector
