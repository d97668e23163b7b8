package uprobe

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// Installed are probes that the kernel knows. They fire only where somebody opens
// their events.
type Installed struct {
	// Events are one for each variant of each probe, in their order.
	Events []Event
	group  *tracefs.Group
}

// Event is an installed variant of a probe.
type Event struct {
	// Schema is the variant's, with the ID that the kernel gave it.
	Schema *perfpipe.Schema
	// Entry is, for a return probe by trampoline, the event that fires when the
	// function is entered; nil otherwise. Entries without a return were lost.
	Entry *perfpipe.Schema
	// Program describes the program that can make its records, nil for none.
	Program *bpf.Probe
	// Probe and Variant are where it comes from.
	Probe   *Probe
	Variant int
}

// Install defines the probes in the kernel, all of them before any is opened, under
// a group of their own that Close removes; and removes first what dead processes of
// perfpipe left. Nothing is left behind where it fails.
func Install(t *tracefs.FS, probes []*Probe) (in *Installed, err error) {
	if _, err := t.SweepGroups(); err != nil {
		return nil, err
	}
	if err := checkCounters(t, probes); err != nil {
		return nil, err
	}
	g, err := t.NewGroup()
	if err != nil {
		return nil, err
	}
	in = &Installed{group: g}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Close())
			in = nil
		}
	}()
	names := make(map[string]string) // path to the name that the kernel is given
	defer func() {
		for _, n := range names {
			if e := unlink(n); e != nil && err == nil {
				err = e
			}
		}
	}()
	var lines []string
	for _, p := range probes {
		path, err := kernelPath(names, p.Path)
		if err != nil {
			return in, err
		}
		for i := range p.Variants {
			name := fmt.Sprintf("e%d", len(in.Events))
			lines = append(lines, p.lines(i, g.Name(), name, path)...)
			if p.Mode == RetTrampoline {
				lines = append(lines, p.entryLines(i, g.Name(), name+"n", path)...)
			}
			in.Events = append(in.Events, Event{Probe: p, Variant: i})
		}
	}
	if err := g.Define(lines); err != nil {
		return in, in.explain(err)
	}
	for n := range in.Events {
		if err := in.read(t, n); err != nil {
			return in, err
		}
	}
	return in, nil
}

// entryLines define the event that counts calls: the same places, nothing fetched.
func (p *Probe) entryLines(i int, group, event, path string) []string {
	var lines []string
	for _, s := range p.Variants[i].Sites {
		lines = append(lines, fmt.Sprintf("p:%s/%s %s:0x%x", group, event, path, s.Offset))
	}
	return lines
}

// read takes the numbers of event n from its format, which must be what was planned.
func (in *Installed) read(t *tracefs.FS, n int) error {
	ev := &in.Events[n]
	name := fmt.Sprintf("e%d", n)
	got, err := t.Schema(in.group.Name(), name)
	if err != nil {
		return err
	}
	s := *ev.Probe.Variants[ev.Variant].Schema
	if err := sameLayout(&s, got); err != nil {
		return fmt.Errorf("define probe %s: %w", ev.Probe.Event(), err)
	}
	s.ID, s.FormatSHA256, s.Print = got.ID, got.FormatSHA256, got.Print
	ev.Schema = &s
	ev.Program = ev.Probe.Variants[ev.Variant].program(ev.Probe, &s)
	if ev.Probe.Mode == RetTrampoline {
		ev.Entry, err = t.Schema(in.group.Name(), name+"n")
	}
	return err
}

// sameLayout compares what was planned with the kernel's format. Filters are
// compiled before the probe is defined, so that a difference cannot be taken over.
func sameLayout(want, got *perfpipe.Schema) error {
	for i := range want.Fields {
		f := &want.Fields[i]
		if f.Probed != nil && f.Probed.Never {
			continue
		}
		g := got.Field(f.Name)
		if g == nil {
			return fmt.Errorf("the kernel's format has no field %s: this release of perfpipe does not know this kernel", f.Name)
		}
		if g.Offset != f.Offset || g.Size != f.Size {
			return fmt.Errorf("the kernel has the field %s at byte %d with %d bytes, planned were byte %d and %d bytes: this release of perfpipe does not know this kernel", f.Name, g.Offset, g.Size, f.Offset, f.Size)
		}
	}
	for i := range want.Common {
		f := &want.Common[i]
		if g := got.Field(f.Name); g == nil || g.Offset != f.Offset || g.Size != f.Size {
			return fmt.Errorf("the kernel's common field %s stands elsewhere than in other events", f.Name)
		}
	}
	if want.Size != got.Size {
		return fmt.Errorf("the kernel's record has %d bytes, planned were %d", got.Size, want.Size)
	}
	return nil
}

// explain adds to the kernel's refusal what the user asked for.
func (in *Installed) explain(err error) error {
	var de *tracefs.DefineError
	if !errors.As(err, &de) {
		return err
	}
	for n := range in.Events {
		if strings.Contains(de.Line, fmt.Sprintf("%s/e%d ", in.group.Name(), n)) {
			return fmt.Errorf("%s: %w", in.Events[n].Probe.Spec.Text, err)
		}
	}
	return err
}

// Close removes the probes. The descriptors of their events have to be closed
// before. It may be called twice.
func (in *Installed) Close() error { return in.group.Close() }

// checkCounters refuses two probes at one place with different reference counters,
// which the kernel refuses with nothing but EINVAL.
func checkCounters(t *tracefs.FS, probes []*Probe) error {
	type place struct {
		file   fileID
		offset uint64
	}
	type owner struct {
		name string
		ref  uint64
	}
	seen := map[place]owner{}
	list, err := t.Uprobes()
	if err != nil {
		return err
	}
	for _, u := range list {
		if id, ok := identify(u.Path); ok {
			seen[place{id, u.Offset}] = owner{"the probe " + u.Group + ":" + u.Event + ", which is there already", u.RefCtr}
		}
	}
	for _, p := range probes {
		id, ok := identify(p.Path)
		if !ok {
			continue
		}
		for i := range p.Variants {
			for _, s := range p.Variants[i].Sites {
				at := place{id, s.Offset}
				if o, there := seen[at]; there && o.ref != s.RefCtr {
					return fmt.Errorf("probe %s: offset 0x%x of %s has %s, with another reference counter (0x%x, here 0x%x): the kernel allows one counter a place; record one of them at a time", p.Spec.Text, s.Offset, p.Binary, o.name, o.ref, s.RefCtr)
				}
				seen[at] = owner{"the probe " + p.Spec.Text, s.RefCtr}
			}
		}
	}
	return nil
}

// kernelPath returns a name of path that can stand in a definition: its own, or
// that of a link in a folder of its own, where it has blanks, colons or the like.
func kernelPath(names map[string]string, path string) (string, error) {
	if !strings.ContainsAny(path, " \t\n:#\\\"'(%") {
		return path, nil
	}
	if n, ok := names[path]; ok {
		return n, nil
	}
	dir, err := os.MkdirTemp("", "perfpipe-probe-")
	if err != nil {
		return "", fmt.Errorf("name the file %q for the kernel: %w", path, err)
	}
	link := dir + "/file"
	if err := os.Symlink(path, link); err != nil {
		return "", errors.Join(fmt.Errorf("name the file %q for the kernel: %w", path, err), os.Remove(dir))
	}
	names[path] = link
	return link, nil
}

// unlink takes away what kernelPath made: the kernel has the file itself by now.
func unlink(link string) error {
	return errors.Join(os.Remove(link), os.Remove(strings.TrimSuffix(link, "/file")))
}
