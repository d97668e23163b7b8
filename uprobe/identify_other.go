//go:build !unix

package uprobe

// fileID is a file, by whatever name.
type fileID struct{}

func identify(string) (fileID, bool) { return fileID{}, false }
