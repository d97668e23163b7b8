package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// FilterError is the kernel's own verdict on a filter.
type FilterError struct {
	// Event and Filter are what was tried.
	Event, Filter string
	// Text is the kernel's reason, "Field not found"; "" where it gave none.
	Text string
	// Pos is the byte in Filter that the kernel's caret points at, -1 without one.
	Pos int
	// Err is the errno of the write.
	Err error
}

func (e *FilterError) Error() string {
	text := e.Text
	if text == "" {
		text = e.Err.Error()
	}
	if e.Pos < 0 {
		return fmt.Sprintf("filter %q of %s: %s", e.Filter, e.Event, text)
	}
	return fmt.Sprintf("filter of %s: %s\n  %s\n  %*s^", e.Event, text, e.Filter, e.Pos, "")
}

func (e *FilterError) Unwrap() error { return e.Err }

// DryRun asks the kernel whether it takes filter for the event, in an instance of
// our own that Close removes, and in which the event is never switched on. A
// refusal is a *FilterError with the kernel's text.
//
// Only text that perfpipe generated may be tried: some kernels take a dangling
// && for a filter, or log a warning with a stack trace.
func (t *FS) DryRun(event, filter string) error {
	system, name, ok := strings.Cut(event, ":")
	if !ok || !validHalf(system) || !validHalf(name) {
		return &UnknownEventError{Event: event}
	}
	if strings.ContainsAny(filter, "\n\x00") || strings.TrimSpace(filter) == "" || filter == "0" {
		return &FilterError{Event: event, Filter: filter, Pos: -1, Text: "no filter: it is empty, 0 or holds a line break", Err: syscall.EINVAL}
	}
	// One at a time: they share the instance's error log.
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.private == nil {
		in, err := t.NewInstance()
		if err != nil {
			return err
		}
		t.private = in
	}
	dir := t.private.Name()
	// Truncating empties the log, so that what is read is about this filter.
	// Kernels before 5.2 have none.
	if err := t.WriteFile(dir+"/error_log", "", os.O_TRUNC); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file := dir + "/events/" + system + "/" + name + "/filter"
	err := t.WriteFile(file, filter, 0)
	if err == nil {
		return t.WriteFile(file, "0", 0)
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) || errors.Is(err, ErrStuck) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := t.stat(file); errors.Is(e, fs.ErrNotExist) {
			return &UnknownEventError{Event: event}
		}
	}
	e := &FilterError{Event: event, Filter: filter, Pos: -1, Err: errno}
	if log, err := t.ReadFile(dir + "/error_log"); err == nil {
		if text, pos, ok := parseErrorLog(string(log)); ok {
			e.Text = text
			if pos <= len(filter) {
				e.Pos = pos
			}
		}
	}
	return e
}

// parseErrorLog reads the last entry of an error_log (kernel/trace/trace.c,
// tracing_err_log_seq_show):
//
//	[  163.4] event filter parse error: error: Field not found
//	  Command: foo == 1
//	           ^
//
// pos is the caret's place in the command, -1 where there is none.
func parseErrorLog(log string) (text string, pos int, ok bool) {
	const command = "  Command: "
	pos = -1
	seen := false
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "["):
			_, t, found := strings.Cut(line, "error: error: ")
			if !found {
				_, t, found = strings.Cut(line, "error: ")
			}
			if found {
				text, pos, ok, seen = strings.TrimSpace(t), -1, true, false
			}
		case strings.HasPrefix(line, command):
			seen = true
		case seen && strings.TrimLeft(line, " ") == "^" && len(line) > len(command):
			pos = len(line) - 1 - len(command)
		}
	}
	return text, pos, ok
}
