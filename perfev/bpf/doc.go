// Package bpf writes the eBPF programs that make the records of user-space probes. A
// [Probe] says what a record holds and how each value is fetched, [Assemble] makes the
// program's instructions of it. Nothing here touches the kernel.
package bpf
