package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perfpipe/perfpipe"
)

// DefaultTimeout is how long a file of tracefs may take to open and read. The
// slowest of a healthy machine (adding an instance) takes a tenth of a second.
const DefaultTimeout = 10 * time.Second

// ErrStuck says that the kernel did not answer within [Options.Timeout].
var ErrStuck = errors.New("the kernel's tracing lock does not answer")

// ErrNotMounted says that no tracing file system is mounted.
var ErrNotMounted = errors.New("tracefs is not mounted")

// Options are how [Open] finds the tracing file system. The zero value is right
// for a live system.
type Options struct {
	// Path is where it is mounted; "" looks at the usual places, then into
	// /proc/self/mountinfo. A copied tree will do.
	Path string
	// Timeout is for each file, 0 is DefaultTimeout.
	Timeout time.Duration
	// NoMount leaves it alone where it is not mounted.
	NoMount bool
}

// FS is a mounted tracing file system. Its methods may be called by several
// goroutines. What was read is kept: an event that was added or changed later is
// seen after Refresh.
type FS struct {
	path    string
	timeout time.Duration

	mu      sync.Mutex
	events  []string
	schemas map[string]*perfpipe.Schema
	private *Instance
}

// Open finds the tracing file system, and mounts it at /sys/kernel/tracing where
// it is not mounted and the caller may. Errors say which file or call failed and
// the smallest mend; errors.Is tells fs.ErrPermission, ErrNotMounted and ErrStuck.
func Open(o Options) (*FS, error) {
	t := &FS{path: o.Path, timeout: o.Timeout, schemas: map[string]*perfpipe.Schema{}}
	if t.timeout <= 0 {
		t.timeout = DefaultTimeout
	}
	if t.path == "" {
		path, err := t.find(o.NoMount)
		if err != nil {
			return nil, err
		}
		t.path = path
	}
	if _, err := t.stat("events"); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open tracefs at %s: there is no events folder in it: %w", t.path, ErrNotMounted)
		}
		return nil, err
	}
	return t, nil
}

// Path returns where the file system is mounted.
func (t *FS) Path() string { return t.path }

// Refresh forgets what was read, so that events added since are seen.
func (t *FS) Refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = nil
	clear(t.schemas)
}

// Close removes the private instance, where one was made. It may be called twice.
func (t *FS) Close() error {
	t.mu.Lock()
	in := t.private
	t.private = nil
	t.mu.Unlock()
	if in == nil {
		return nil
	}
	return in.Close()
}

// Events returns "system:name" of every event that can be recorded, sorted. The
// slice is the caller's.
func (t *FS) Events() ([]string, error) {
	list, err := t.list()
	return slices.Clone(list), err
}

func (t *FS) list() ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.events != nil {
		return t.events, nil
	}
	b, err := t.ReadFile("available_events")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); strings.Contains(line, ":") {
			list = append(list, line)
		}
	}
	slices.Sort(list)
	t.events = slices.Compact(list)
	return t.events, nil
}

// Schema reads and parses the format file of an event. The schema is kept and
// shared: it is read-only. An event that does not exist is an *UnknownEventError.
func (t *FS) Schema(system, name string) (*perfpipe.Schema, error) {
	event := system + ":" + name
	if !validHalf(system) || !validHalf(name) {
		return nil, &UnknownEventError{Event: event}
	}
	t.mu.Lock()
	s := t.schemas[event]
	t.mu.Unlock()
	if s != nil {
		return s, nil
	}
	b, err := t.ReadFile("events/" + system + "/" + name + "/format")
	if errors.Is(err, fs.ErrNotExist) {
		list, _ := t.list()
		return nil, &UnknownEventError{Event: event, Nearest: nearest(event, list)}
	}
	if err != nil {
		return nil, err
	}
	if s, err = ParseFormat(system, b); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.schemas[event] = s
	t.mu.Unlock()
	return s, nil
}

// SchemaOf is Schema for "system:name", with or without "tracepoint:" before it.
func (t *FS) SchemaOf(event string) (*perfpipe.Schema, error) {
	system, name, ok := strings.Cut(strings.TrimPrefix(event, "tracepoint:"), ":")
	if !ok {
		list, err := t.list()
		if err != nil {
			return nil, err
		}
		return nil, &UnknownEventError{Event: event, Nearest: nearest(event, list)}
	}
	return t.Schema(system, name)
}

// validHalf keeps names from being paths.
func validHalf(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}

// ReadFile reads the file name below the mount point within the timeout.
func (t *FS) ReadFile(name string) ([]byte, error) {
	path := filepath.Join(t.path, filepath.FromSlash(name))
	return within(t, "read", path, func() ([]byte, error) { return os.ReadFile(path) })
}

// WriteFile writes text to the file name below the mount point, in one write,
// within the timeout. The file must exist. flag is added to os.O_WRONLY:
// os.O_TRUNC or os.O_APPEND.
func (t *FS) WriteFile(name, text string, flag int) error {
	path := filepath.Join(t.path, filepath.FromSlash(name))
	_, err := within(t, "write", path, func() (struct{}, error) {
		f, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
		if err != nil {
			return struct{}{}, err
		}
		_, err = f.WriteString(text)
		if e := f.Close(); err == nil {
			err = e
		}
		return struct{}{}, err
	})
	return err
}

func (t *FS) stat(name string) (fs.FileInfo, error) {
	path := filepath.Join(t.path, filepath.FromSlash(name))
	return within(t, "stat", path, func() (fs.FileInfo, error) { return os.Stat(path) })
}

// within runs op, which touches path, and gives up on it after the timeout. An op
// that is given up stays behind in its goroutine: nothing wakes a thread that
// waits for a lock of the kernel.
func within[T any](t *FS, verb, path string, op func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := op()
		done <- result{v, err}
	}()
	timer := time.NewTimer(t.timeout)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.v, explain(verb, path, r.err)
	case <-timer.C:
		var none T
		return none, fmt.Errorf("%s %s: no answer within %v: %w; see dmesg for an oops, a reboot frees it", verb, path, t.timeout, ErrStuck)
	}
}

// explain adds the file's mode and the mend to an error of permission.
func explain(verb, path string, err error) error {
	if err == nil {
		return nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
	capability := "CAP_DAC_READ_SEARCH"
	if verb == "write" {
		capability = "CAP_DAC_OVERRIDE"
	}
	return fmt.Errorf("%s %s: %w%s; run perfpipe as root (sudo), or give it %s beside CAP_PERFMON", verb, path, err, closed(path), capability)
}

// closed says which folder or file on the way to path does not let the caller in.
func closed(path string) string {
	for p := path; ; p = filepath.Dir(p) {
		if fi, err := os.Stat(p); err == nil {
			return fmt.Sprintf(" (%s has mode %04o%s)", p, fi.Mode().Perm(), owner(fi))
		}
		if p == filepath.Dir(p) {
			return ""
		}
	}
}
