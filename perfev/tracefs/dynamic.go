package tracefs

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// groupPrefix begins the name of every group of dynamic events of perfpipe's:
// pp_<pid>_<start time of pid>_<pid namespace>_<random>.
const groupPrefix = "pp_"

// uprobeEvents is the file that defines uprobes. It is only ever appended to:
// opening it for truncation would delete everybody's.
const uprobeEvents = "uprobe_events"

// maxWrite is how much the kernel takes in one write of definitions before it
// splits it (WRITE_BUFSIZE, kernel/trace/trace.c, less the NUL). It is also the
// longest definition.
const maxWrite = 4094

// Group is a group of dynamic events of our own. Its events outlive the process
// unless the group is closed; SweepGroups removes those of the dead.
type Group struct {
	fs   *FS
	name string

	mu      sync.Mutex
	defined bool
	closed  bool
}

// DefineError is a definition that the kernel did not take.
type DefineError struct {
	// Line is the definition, Text the kernel's reason ("" where it gave none), Pos the
	// byte in Line that its caret points at, -1 without one.
	Line, Text string
	Pos        int
	// Err is the errno of the write.
	Err error
}

// Error implements error.
func (e *DefineError) Error() string {
	text := e.Text
	if text == "" {
		text = e.Err.Error()
	}
	if e.Pos < 0 {
		return fmt.Sprintf("define probe %q: %s", e.Line, text)
	}
	return fmt.Sprintf("define probe: %s\n  %s\n  %*s^", text, e.Line, e.Pos, "")
}

// Unwrap returns the errno.
func (e *DefineError) Unwrap() error { return e.Err }

// NewGroup makes the name of a group that nobody else has. Nothing of it exists
// in the kernel until Define.
func (t *FS) NewGroup() (*Group, error) {
	id, err := selfIdentity()
	if err != nil {
		return nil, fmt.Errorf("name a group of probes: %w", err)
	}
	var r [3]byte
	if _, err := rand.Read(r[:]); err != nil {
		return nil, fmt.Errorf("name a group of probes: %w", err)
	}
	return &Group{fs: t, name: fmt.Sprintf("%s%d_%d_%d_%s", groupPrefix, id.pid, id.start, id.namespace, hex.EncodeToString(r[:]))}, nil
}

// Name returns the name of the group: the SYSTEM of its events.
func (g *Group) Name() string { return g.name }

// Define appends definitions to uprobe_events, many to a write. All probes of an
// event have to be defined before it is opened anywhere: appending one to an event
// that is open in perf brings kernels down when it is closed. What was defined
// before a failure stays until Close. A refusal is a *DefineError.
func (g *Group) Define(lines []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errors.New("define probes: the group is closed")
	}
	var b strings.Builder
	flush := func() error {
		if b.Len() == 0 {
			return nil
		}
		g.defined = true
		err := g.fs.WriteFile(uprobeEvents, b.String(), os.O_APPEND)
		if err != nil {
			return g.refused(b.String(), err)
		}
		b.Reset()
		return nil
	}
	for _, l := range lines {
		if len(l) > maxWrite || strings.ContainsAny(l, "\n\x00#") {
			return &DefineError{Line: l, Pos: -1, Err: syscall.EINVAL, Text: fmt.Sprintf("%d bytes, or with a line break or '#' in it: the kernel takes %d without", len(l), maxWrite)}
		}
		if b.Len()+len(l)+1 > maxWrite {
			if err := flush(); err != nil {
				return err
			}
		}
		b.WriteString(l)
		b.WriteByte('\n')
	}
	return flush()
}

// refused makes a DefineError of a failed write, with what the kernel's log says
// of a definition that was in it.
func (g *Group) refused(written string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) || errors.Is(err, ErrStuck) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	first, _, _ := strings.Cut(written, "\n")
	e := &DefineError{Line: first, Pos: -1, Err: errno}
	if strings.Count(written, "\n") > 1 {
		e.Line += " ..."
	}
	log, rerr := g.fs.ReadFile("error_log")
	if rerr != nil {
		return e
	}
	line, text, pos := lastCommand(string(log))
	if line != "" && strings.Contains(written, strings.TrimSpace(line)) {
		e.Line, e.Text, e.Pos = line, text, pos
	}
	return e
}

// lastCommand is the last entry of an error_log: the command, the reason, the caret.
func lastCommand(log string) (line, text string, pos int) {
	const command = "  Command: "
	i := strings.LastIndex(log, command)
	if i < 0 {
		return "", "", -1
	}
	line, _, _ = strings.Cut(log[i+len(command):], "\n")
	text, pos, _ = parseErrorLog(log)
	if pos > len(line) {
		pos = -1
	}
	return line, text, pos
}

// Close removes the group's events. Descriptors of them have to be closed before:
// while one is open the kernel answers EBUSY. It may be called twice.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	if !g.defined {
		return nil
	}
	return g.fs.removeGroup(g.name)
}

// removeGroup deletes all events of a group. The kernel lets go of an event a
// moment after its last descriptor, so that it is tried for a while.
func (t *FS) removeGroup(name string) error {
	const tries, pause = 20, 50 * time.Millisecond
	var err error
	for range tries {
		err = t.WriteFile(uprobeEvents, "-:"+name+"/\n", os.O_APPEND)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		time.Sleep(pause)
	}
	if errors.Is(err, fs.ErrPermission) && !t.hasGroup(name) {
		return nil // who may not remove it could not make it
	}
	return fmt.Errorf("remove probes of group %s: %w", name, err)
}

// hasGroup reports whether the kernel may have events of the group.
func (t *FS) hasGroup(name string) bool {
	_, err := os.Stat(filepath.Join(t.Path(), "events", name))
	return !errors.Is(err, fs.ErrNotExist)
}

// SweepGroups removes the probes of perfpipe processes that are gone, and returns
// how many groups there were. Those of others, of living processes and of other
// pid namespaces are left alone, and so are events that somebody still has open.
func (t *FS) SweepGroups() (removed int, err error) {
	dead, err := t.DeadGroups()
	if err != nil {
		return 0, fmt.Errorf("sweep probes: %w", err)
	}
	var errs []error
	for _, group := range dead {
		err := t.WriteFile(uprobeEvents, "-:"+group+"/\n", os.O_APPEND)
		switch {
		case err == nil:
			removed++
		case errors.Is(err, syscall.EBUSY), errors.Is(err, fs.ErrNotExist):
		default:
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// DeadGroups lists the groups that SweepGroups would remove.
func (t *FS) DeadGroups() ([]string, error) {
	self, err := selfIdentity()
	if err != nil {
		return nil, err
	}
	list, err := t.Uprobes()
	if err != nil {
		return nil, err
	}
	var dead []string
	for _, u := range list {
		id, ok := parseGroup(u.Group)
		if ok && id.namespace == self.namespace && !id.alive() && !slices.Contains(dead, u.Group) {
			dead = append(dead, u.Group)
		}
	}
	return dead, nil
}

func parseGroup(name string) (id identity, ok bool) {
	rest, ok := strings.CutPrefix(name, groupPrefix)
	if !ok {
		return id, false
	}
	id, last, ok := parseIdentity(rest)
	if _, err := hex.DecodeString(last); err != nil {
		return id, false
	}
	return id, ok
}

// Uprobe is one line of uprobe_events: a probe that is defined, by whomever.
type Uprobe struct {
	// Group and Event are the two halves of the event's name, Path the file as the
	// kernel calls it.
	Group, Event, Path string
	// Offset is the place in the file, RefCtr that of a reference counter, 0 without one.
	Offset, RefCtr uint64
}

// Uprobes lists the uprobes that are defined. A kernel without them has none.
func (t *FS) Uprobes() ([]Uprobe, error) {
	b, err := t.ReadFile(uprobeEvents)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Uprobe
	for line := range strings.Lines(string(b)) {
		if u, ok := parseUprobe(strings.TrimRight(line, "\n")); ok {
			list = append(list, u)
		}
	}
	return list, nil
}

// parseUprobe reads "p:GROUP/EVENT PATH:0x0000000000001179(0x3032) args", as
// trace_uprobe_show in kernel/trace/trace_uprobe.c writes it.
func parseUprobe(line string) (u Uprobe, ok bool) {
	head, rest, ok := strings.Cut(line, " ")
	if !ok {
		return u, false
	}
	_, name, ok := strings.Cut(head, ":")
	if !ok {
		return u, false
	}
	if u.Group, u.Event, ok = strings.Cut(name, "/"); !ok {
		return u, false
	}
	at := strings.Index(rest, ":0x")
	if at < 0 {
		return u, false
	}
	u.Path = rest[:at]
	place, _, _ := strings.Cut(rest[at+1:], " ")
	if open := strings.IndexByte(place, '('); open >= 0 && strings.HasSuffix(place, ")") {
		ref, err := strconv.ParseUint(place[open+1:len(place)-1], 0, 64)
		if err != nil {
			return u, false
		}
		u.RefCtr, place = ref, place[:open]
	}
	place = strings.TrimSuffix(place, "%return")
	off, err := strconv.ParseUint(place, 0, 64)
	if err != nil {
		return u, false
	}
	u.Offset = off
	return u, true
}
