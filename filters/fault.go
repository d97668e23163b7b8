package filters

import "fmt"

// Fault is why a filter could not be decided for a record; 0 is none. A fault
// ends the evaluation of the whole filter, so that !(a/0 == 1) does not pass.
type Fault uint8

// Faults.
const (
	// FaultNone: the filter was decided.
	FaultNone Fault = iota
	// FaultTruncated: a field's bytes lie outside the record.
	FaultTruncated
	// FaultDivision: x/0 or x%0.
	FaultDivision
	// FaultShift: a shift by 64 or more, or by less than 0.
	FaultShift
	// FaultIndex: an index outside of the array or string.
	FaultIndex
	// FaultUnreadable: a string of user space or behind a pointer, which only the
	// kernel can read while the event happens.
	FaultUnreadable
	// FaultBudget: more predicates, calls and rounds of loops than Options.Budget.
	FaultBudget
	// FaultLoop: a loop would go round more often than its max.
	FaultLoop
	// FaultMapFull: a new key for a map that holds as many as it can.
	FaultMapFull
)

var faultNames = [...]string{"none", "truncated record", "division by zero", "shift out of range", "index out of range", "unreadable string", "budget exceeded", "loop longer than its max", "map full"}

// String returns the cause: "division by zero".
func (f Fault) String() string {
	if int(f) < len(faultNames) {
		return faultNames[f]
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

// Verdict is what becomes of a record whose filter faults.
type Verdict uint8

const (
	// Drop rejects the record.
	Drop Verdict = iota
	// Pass lets it through.
	Pass
)
