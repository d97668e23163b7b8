// Package args goes from the arguments that a person wrote behind a function's
// name, "r->id, s, arg2:u32", to fetch expressions of the kernel.
//
//	Want ──place──► registers or memory ──steps──► a value in it ──read──► fetch.Arg
//	       (the ABI)                     (DWARF's types)
//
// Names and types are DWARF's; places are those of the calling convention at the
// function's entry, where DWARF's own locations do not hold yet: the System V ABI's
// for C, C++ and Rust (psABI for x86-64, section 3.2.3), ABIInternal's for Go
// (src/cmd/compile/abi-internal.md). Without DWARF an argument is said by its
// position and type, or by the register.
//
// It reads text and files, needs no privilege and runs on every operating system.
// The registers are those of x86-64.
package args
