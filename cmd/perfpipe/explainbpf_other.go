//go:build !linux

package main

import (
	"fmt"
	"io"
)

// verify says that only Linux has a verifier.
func (t *codeTrial) verify(w io.Writer) error {
	fmt.Fprintf(w, "  verifier: not asked: this is not Linux\n")
	return nil
}
