package configs

import "embed"

//go:embed *.yaml
var sampleFiles embed.FS

// Sample is one of the job files that come with perfpipe.
type Sample struct {
	// Name is that of the file in configs/, "irq.yaml".
	Name string
	// Text is the file.
	Text []byte
}

// Samples returns the job files of this folder, by name. The caller owns them.
func Samples() []Sample {
	entries, err := sampleFiles.ReadDir(".")
	if err != nil {
		return nil // the folder is part of the program: it is there
	}
	var list []Sample
	for _, e := range entries {
		b, err := sampleFiles.ReadFile(e.Name())
		if err == nil {
			list = append(list, Sample{Name: e.Name(), Text: b})
		}
	}
	return list
}
