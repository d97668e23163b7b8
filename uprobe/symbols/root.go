package symbols

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxLinks is as many symbolic links as Linux follows in one path (MAXSYMLINKS,
// include/linux/namei.h).
const maxLinks = 40

// resolve returns where path is, with every symbolic link followed below root: the
// kernel would follow an absolute link in /proc/PID/root from this process's own root.
// A relative path is relative to the working directory and has no root.
func resolve(root, name string) (string, error) {
	if name == "" {
		return "", errors.New("no path")
	}
	if root == "" || root == "/" || !path.IsAbs(name) {
		return name, nil
	}
	todo := strings.Split(name, "/")
	at := "/"
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			// No link, or not there: opening it tells.
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("more than %d symbolic links", maxLinks)
		}
		if path.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return filepath.Join(root, at), nil
}
