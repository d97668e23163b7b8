package uprobe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// short is the file's name without its folders.
func (b *binary) short() string { return filepath.Base(b.name) }

// root is what goes before paths of the target's file system: "" for the caller's own.
func (r *Resolver) root() string {
	if r.opt.PID == 0 {
		return ""
	}
	root := fmt.Sprintf("/proc/%d/root", r.opt.PID)
	// In the same mount namespace the plain path says more to people, and goes on
	// to work when the process is gone.
	own, err := os.Readlink("/proc/self/ns/mnt")
	its, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", r.opt.PID))
	if err == nil && err2 == nil && own == its {
		if dir, err := os.Readlink(root); err == nil && dir == "/" {
			return ""
		}
	}
	return root
}

// symbolOptions are how files are opened.
func (r *Resolver) symbolOptions() symbols.Options {
	return symbols.Options{Root: r.root(), DebugDirs: r.opt.DebugDirs}
}

// open finds and opens the binary of a probe.
func (r *Resolver) open(s *Spec) (*binary, error) {
	if b := r.files[s.Binary]; b != nil {
		return b, nil
	}
	name, err := r.find(s.Binary)
	if err != nil {
		return nil, err
	}
	path, opt := name, r.symbolOptions()
	if kept, deleted := strings.CutSuffix(name, " (deleted)"); s.Binary == "" && (deleted || opt.Root != "") {
		// The file is there as long as the process is, and its name is one of this
		// process's file system, not of the target's.
		name, path, opt.Root = kept, fmt.Sprintf("/proc/%d/exe", r.opt.PID), ""
	}
	f, err := symbols.Open(path, opt)
	if err != nil {
		return nil, err
	}
	b := &binary{File: f, name: name, path: f.Opened()}
	if abs, err := filepath.Abs(b.path); err == nil {
		b.path = abs
	}
	r.files[s.Binary] = b
	return b, nil
}

// find returns the path, in the target's file system, of what a probe names.
func (r *Resolver) find(name string) (string, error) {
	if name == "" {
		if r.opt.PID == 0 {
			return "", errors.New("no binary is named: want uprobe:BINARY:FUNCTION, or -x BINARY, or -p PID for the executable of that process")
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", r.opt.PID))
		if err != nil {
			return "", fmt.Errorf("find the executable of process %d: %w", r.opt.PID, err)
		}
		return exe, nil
	}
	if strings.Contains(name, "/") {
		if r.root() == "" {
			return filepath.Abs(name)
		}
		return name, nil
	}
	if r.opt.PID != 0 {
		if path := mapped(r.opt.PID, name); path != "" {
			return path, nil
		}
	}
	path, err := symbols.FindCommand(name, r.symbolOptions())
	if err == nil {
		return path, nil
	}
	if path, err = symbols.FindLibrary(name, r.symbolOptions()); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("no folder of PATH has a command %s; %w; give a path", name, err)
}

// mapped returns the path of the file of that name, or of that library, which the
// process has mapped to run, "" where it has none.
func mapped(pid int, name string) string {
	for _, m := range mappings(pid) {
		base := filepath.Base(m.path)
		if base == name || strings.HasPrefix(base, name+".so") || strings.HasPrefix(base, "lib"+name+".so") {
			return m.path
		}
	}
	return ""
}
