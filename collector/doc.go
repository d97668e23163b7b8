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
package collector
