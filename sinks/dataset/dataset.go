//go:build unix

// Package dataset writes many tables into one folder: a folder a table, parts in
// it, and manifest.json, which says what there is and what was lost.
//
//	DIR/sched.sched_switch/part-000000.parquet
//	DIR/_lost/part-000000.parquet
//	DIR/manifest.json
//
// A part appears when it is whole, the manifest last of all. A run that failed half
// way leaves the parts that were whole before, and a manifest with "complete":
// false that lists these and nothing else; where there are none, it leaves neither
// a manifest nor a folder that it made.
package dataset

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/durable"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
	"github.com/perfpipe/perfpipe/sinks/internal/part"
)

// Options say what a dataset is made of.
type Options struct {
	// Format is that of the parts.
	Format form.Format
	// Meta goes into every part's metadata.
	Meta map[string]string
	// Memory bounds the rows held for open row groups, all tables together, in bytes.
	Memory int64
	// MaxFiles keeps the newest so many parts of a table, 0 keeps all.
	MaxFiles int
	// Version, Host, Kernel, Command, Start and Events go into the manifest.
	Version, Host, Kernel string
	Command               []string
	Start                 perfpipe.Clock
	Events                []Event
}

// Dataset is a sink of any number of tables.
type Dataset struct {
	path   string
	o      Options
	dir    *durable.Dir
	parent *durable.Dir // where this run made the folder, nil where it was there
	tables map[string]*table
	order  []*table
	bytes  int64 // of parts that are finished or removed
	gone   Removed
	err    error
	closed bool
}

var _ perfpipe.Sink = (*Dataset)(nil)

// table is one folder of the dataset.
type table struct {
	def   *perfpipe.Table
	dir   *durable.Dir
	open  *part.Part // nil after a rotation until the next row
	next  int        // number of the next part
	parts []part.Account
	held  int64 // bytes that open holds
}

// Open makes the folder path, or takes an empty one.
func Open(path string, o Options) (*Dataset, error) {
	path = filepath.Clean(path)
	dir, made, err := durable.NewDir(path)
	if err != nil {
		return nil, err
	}
	d := &Dataset{path: path, o: o, dir: dir, tables: make(map[string]*table)}
	if made {
		if d.parent, err = durable.OpenDir(filepath.Dir(path)); err != nil {
			dir.Close()
			return nil, err
		}
	}
	return d, nil
}

// Write takes the rows of b into the folder of its table.
func (d *Dataset) Write(b *perfpipe.Batch) error {
	if d.err != nil {
		return d.err
	}
	if d.closed {
		return fmt.Errorf("write dataset %s: it is closed", d.path)
	}
	if err := d.write(b); err != nil {
		d.err = err
	}
	return d.err
}

func (d *Dataset) write(b *perfpipe.Batch) error {
	t, err := d.table(b.Table)
	if err != nil {
		return err
	}
	if t.open == nil {
		if b.Rows == 0 && t.next > 0 {
			return nil // the table is there already
		}
		name := fmt.Sprintf("part-%06d%s", t.next, d.o.Format.Ending)
		if t.open, err = part.New(t.dir, name, d.o.Format, b.Table, d.o.Meta); err != nil {
			return err
		}
		t.next++
	}
	if err := t.open.Add(b); err != nil {
		return err
	}
	t.held = t.open.Buffered()
	return d.relieve()
}

// table returns the table's entry and makes its folder where it is new.
func (d *Dataset) table(def *perfpipe.Table) (*table, error) {
	if t := d.tables[def.Name]; t != nil {
		return t, nil
	}
	if def.Name == "" || strings.HasPrefix(def.Name, ".") || strings.ContainsAny(def.Name, "/\x00") || def.Name == manifestName {
		return nil, fmt.Errorf("write dataset %s: table %q: it cannot be the name of a folder", d.path, def.Name)
	}
	dir, err := d.dir.Sub(def.Name)
	if err != nil {
		return nil, err
	}
	t := &table{def: def, dir: dir}
	d.tables[def.Name] = t
	d.order = append(d.order, t)
	return t, nil
}

// relieve ends the largest open row groups until all of them hold less than the
// budget again.
func (d *Dataset) relieve() error {
	sum := int64(0)
	for _, t := range d.order {
		sum += t.held
	}
	for sum > d.o.Memory {
		big := d.order[0]
		for _, t := range d.order {
			if t.held > big.held {
				big = t
			}
		}
		before := big.held
		if err := big.open.Release(); err != nil {
			return err
		}
		big.held = big.open.Buffered()
		if big.held >= before {
			return nil // nothing more to give
		}
		sum -= before - big.held
	}
	return nil
}

// Sync makes rows visible (SyncFlush, in formats that can be read before they
// end), or finishes the parts that have rows (SyncRotate).
func (d *Dataset) Sync(op perfpipe.SyncOp) error {
	if d.err != nil || d.closed {
		return d.err
	}
	for _, t := range d.order {
		if t.open == nil {
			continue
		}
		switch op {
		case perfpipe.SyncFlush:
			d.err = t.open.Flush()
		case perfpipe.SyncRotate:
			if t.open.Rows() > 0 {
				d.err = d.finish(t, nil)
			}
		}
		if d.err != nil {
			return d.err
		}
	}
	return nil
}

// finish commits t's open part.
func (d *Dataset) finish(t *table, more map[string]string) error {
	p := t.open
	t.open, t.held = nil, 0
	a, err := p.Commit(more)
	d.bytes += p.Bytes()
	if err != nil {
		return err
	}
	t.parts = append(t.parts, a)
	for d.o.MaxFiles > 0 && !lasting(t.def.Name) && len(t.parts) > d.o.MaxFiles {
		old := t.parts[0]
		if err := t.dir.Remove(old.Name); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		d.gone.Files++
		if !perfpipe.OwnTable(t.def.Name) {
			d.gone.Rows += old.Rows
		}
		d.gone.Bytes += old.Bytes
		t.parts = t.parts[1:]
	}
	return nil
}

// lasting reports whether rows of every part of the table refer to it: rotation must
// not take its old parts away.
func lasting(name string) bool { return name == "_stacks" || name == "_frames" }

// Bytes returns what was written to all parts, those that rotation removed as well.
func (d *Dataset) Bytes() int64 {
	n := d.bytes
	for _, t := range d.order {
		if t.open != nil {
			n += t.open.Bytes()
		}
	}
	return n
}

// Close finishes every part and writes the manifest. After an error it removes the
// parts that were open. A second call does nothing.
func (d *Dataset) Close(s perfpipe.Summary) error {
	if d.closed {
		return nil
	}
	d.closed = true
	failed := d.err != nil
	var errs []error
	for _, t := range d.order {
		if t.open == nil {
			continue
		}
		if failed || t.open.Rows() == 0 && len(t.parts) > 0 {
			t.open.Abort()
			t.open = nil
			continue
		}
		if err := d.finish(t, form.Lost(t.def, s)); err != nil {
			errs = append(errs, err)
		}
	}
	complete := s.Complete && !failed && len(errs) == 0
	if err := d.conclude(s, complete); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// conclude writes the manifest of what is there, or clears away what was made for nothing.
func (d *Dataset) conclude(s perfpipe.Summary, complete bool) error {
	defer d.dir.Close()
	parts := 0
	for _, t := range d.order {
		parts += len(t.parts)
		t.dir.Close()
		if len(t.parts) == 0 {
			d.dir.Prune(t.def.Name)
		}
	}
	var err error
	if parts > 0 || complete {
		err = d.writeManifest(s, complete)
	}
	if d.parent != nil {
		if parts == 0 && !complete {
			d.parent.Prune(filepath.Base(d.path))
		} else if e := d.parent.Sync(); err == nil {
			err = e
		}
		d.parent.Close()
	}
	return err
}
