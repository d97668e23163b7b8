package perfdata

import (
	"bytes"
	_ "embed"
)

//go:embed testdata/sample.data
var sampleData string

// Sample returns a small recording made by perf record: a few hundred scheduler,
// interrupt, signal and task events of one idle machine that ran two commands. It
// is there to show the way of the data where the kernel may not be traced.
func Sample() (*Reader, error) {
	b := []byte(sampleData)
	return New(bytes.NewReader(b), int64(len(b)))
}
