// Command gentables writes names_gen.go of package filters: the numbers of errno,
// signal and system call names, out of the sources of golang.org/x/sys/unix that
// go.mod pins. Run it with go generate in package filters.
package main

import (
	"fmt"
	"os"
)

func main() {
	src, err := Generate()
	if err == nil {
		err = os.WriteFile("names_gen.go", src, 0o644)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "gentables: %v\n", err)
		os.Exit(1)
	}
}
