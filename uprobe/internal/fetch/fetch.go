// Package fetch says in the kernel's words what a uprobe takes from registers and
// memory: the argument part of a line for uprobe_events
// (Documentation/trace/uprobetracer.rst).
package fetch

import (
	"github.com/perfpipe/perfpipe"
)

// Arg is one argument as the kernel is asked for it, before the guards that tell
// whether memory could be read.
type Arg struct {
	// Name is that of the field and the column: a C identifier of at most 31 bytes.
	Name string
	// Expr is a fetch expression: "%di", "+8(%di)", "+0(+8(%di))", "$retval",
	// "$stack3", "\\-5", "@+0x4038". "" where there is no way: then Null says why.
	Expr string
	// Type is a fetch type: u8 to u64, s8 to s64, x8 to x64, string, b3@4/16, or an
	// array of integers as u8[16]; never ustring. Bitfields arrive shifted and unsigned.
	Type string
	// CType is the type in the words of the source language, "" where it is not known.
	CType string
	// Symbols are the names of an enumeration's values.
	Symbols []perfpipe.Symbol
	// Length is the expression of the number of bytes of a text whose end is no NUL:
	// Go's strings. Expr is then the text's first byte behind a pointer ("+0(%ax)")
	// and Type is string. The kernel reads such a text up to a NUL, and not at all where
	// none is within 4096 bytes, as behind the literals of Go and Rust: an array of x64
	// at the same Expr has no such need.
	Length string
	// Null says why there is never a value ("a double is in a vector register, which
	// a probe does not see"); "" where there is one.
	Null string
	// Float is 4 or 8 where the bits are those of an IEEE number in memory; 0 else.
	Float int
	// SignBits is the width in bits of a signed value that the kernel fetches as an
	// unsigned bitfield: the decoder extends the sign from there. 0 elsewhere.
	SignBits int
	// Bool: the value is a truth value, 0 or 1, of an unsigned Type.
	Bool bool
}
