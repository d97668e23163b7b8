package insn

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// ErrNoReturn is what [Returns] gives for a function that has no return instruction:
// it never returns, or leaves by jumps to other functions alone.
var ErrNoReturn = errors.New("no return instruction")

// TailCall is a jump to a place outside of the function.
type TailCall struct {
	// Off is the offset of the jump.
	Off uint64
	// Target is where it goes, relative to the function's beginning. Compilers' .cold
	// parts of the function are outside too.
	Target int64
	// Conditional: the jump may not be taken.
	Conditional bool
}

// Scanned is what [Scan] finds in a function. Offsets ascend, and are relative to the
// function's beginning.
type Scanned struct {
	// Returns are the offsets of return instructions, prefixes included.
	Returns []uint64
	// TailCalls are the direct jumps that leave the function: it returns by another
	// one's return.
	TailCalls []TailCall
	// Indirect are the offsets of jumps by register or memory: jump tables, and tail
	// calls by pointer, which cannot be told apart.
	Indirect []uint64
	// Entry is what [EntryOffset] says.
	Entry uint64
	// Instructions is their number.
	Instructions int
}

// UndecodedError says where a function could not be decoded.
type UndecodedError struct {
	// Off is the offset of the first instruction that is not known.
	Off uint64
	// Bytes are the first of it.
	Bytes []byte
	// Cause says what is wrong with it.
	Cause error
}

func (e *UndecodedError) Error() string {
	return fmt.Sprintf("decode the instruction at +0x%x (%s): %v", e.Off, hex.EncodeToString(e.Bytes), e.Cause)
}

// Unwrap returns the cause.
func (e *UndecodedError) Unwrap() error { return e.Cause }

// each decodes code from its beginning, and calls yield with each instruction until
// it returns false.
func each(code []byte, yield func(off uint64, in inst) bool) error {
	for off := 0; off < len(code); {
		in, err := decode(code[off:])
		if err != nil {
			return &UndecodedError{uint64(off), code[off:min(len(code), off+maxLen)], err}
		}
		if !yield(uint64(off), in) {
			return nil
		}
		off += in.len
	}
	return nil
}

// Scan decodes the whole of a function.
func Scan(code []byte) (Scanned, error) {
	s := Scanned{Entry: EntryOffset(code)}
	err := each(code, func(off uint64, in inst) bool {
		s.Instructions++
		switch in.kind {
		case ret:
			s.Returns = append(s.Returns, off)
		case jumpFar:
			s.Indirect = append(s.Indirect, off)
		case jump, branch:
			target := int64(off) + int64(in.len) + in.rel
			if target < 0 || target >= int64(len(code)) {
				s.TailCalls = append(s.TailCalls, TailCall{off, target, in.kind == branch})
			}
		}
		return true
	})
	return s, err
}

// Returns gives the offsets of a function's return instructions (ret, rep ret, bnd
// ret, ret imm16), ascending. The error is an [*UndecodedError], beside which there
// are no offsets, or [ErrNoReturn].
func Returns(code []byte) ([]uint64, error) {
	s, err := Scan(code)
	if err != nil {
		return nil, err
	}
	if len(s.Returns) > 0 {
		return s.Returns, nil
	}
	if n := len(s.TailCalls) + len(s.Indirect); n > 0 {
		return nil, fmt.Errorf("%w: the function leaves by %d jumps", ErrNoReturn, n)
	}
	return nil, fmt.Errorf("%w: the function never returns", ErrNoReturn)
}

// BoundaryError says that no instruction begins at an offset: a breakpoint there
// would change the instruction that it is in.
type BoundaryError struct {
	// Off is the offset, Before and After are the nearest ones at which instructions
	// begin; After is the end of the code for the last instruction.
	Off, Before, After uint64
}

func (e *BoundaryError) Error() string {
	return fmt.Sprintf("no instruction begins at +0x%x: the nearest begin at +0x%x and +0x%x", e.Off, e.Before, e.After)
}

// Boundary returns nil where an instruction begins at off, decoding from the
// function's beginning; else a [*BoundaryError], an [*UndecodedError] where that
// cannot be told, or an error that says that off is not in the function.
func Boundary(code []byte, off uint64) error {
	if off >= uint64(len(code)) {
		return fmt.Errorf("offset +0x%x is beyond the function, which has %d bytes (0x%x)", off, len(code), len(code))
	}
	var bad error
	err := each(code, func(at uint64, in inst) bool {
		if end := at + uint64(in.len); at < off && off < end {
			bad = &BoundaryError{off, at, end}
		}
		return at+uint64(in.len) <= off
	})
	if bad != nil {
		return bad
	}
	if err == nil {
		return nil
	}
	return err
}

// endbr64 marks places that indirect calls may reach.
var endbr64 = [...]byte{0xf3, 0x0f, 0x1e, 0xfa}

// EntryOffset returns where in a function an entry probe costs least: behind endbr64,
// which the kernel has to single-step, while it emulates the push or nop that follows
// (arch/x86/kernel/uprobes.c). 4 there, else 0. Where endbr64 is all, it is 0.
func EntryOffset(code []byte) uint64 {
	if len(code) > len(endbr64) && slices.Equal(code[:len(endbr64)], endbr64[:]) {
		return uint64(len(endbr64))
	}
	return 0
}
