//go:build unix

package sinks

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/durable"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
	"github.com/perfpipe/perfpipe/sinks/internal/part"
)

// file is a sink of one table in one file, or in numbered ones under rotation.
type file struct {
	path   string // as given
	f      form.Format
	r      Run
	dir    *durable.Dir
	next   int
	ahead  *durable.File // made by Open, before the table is known
	table  *perfpipe.Table
	open   *part.Part
	kept   []string // finished files, the oldest first
	total  int      // of finished files, removed ones as well
	bytes  int64
	err    error
	closed bool
}

func openFile(path string, f form.Format, r Run) (perfpipe.Sink, error) {
	dir, err := durable.OpenDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	s := &file{path: path, f: f, r: r, dir: dir}
	// Made now, so that a folder that cannot be written is known before the run begins.
	if s.ahead, err = dir.Create(s.name()); err != nil {
		dir.Close()
		return nil, err
	}
	return s, nil
}

// name returns the name of the next file: the path's own, or with a number before
// its ending under rotation.
func (s *file) name() string {
	base := filepath.Base(s.path)
	if !s.r.Rotate {
		return base
	}
	ext := filepath.Ext(base)
	return fmt.Sprintf("%s-%06d%s", strings.TrimSuffix(base, ext), s.next, ext)
}

func (s *file) Write(b *perfpipe.Batch) error {
	if s.err != nil {
		return s.err
	}
	if s.closed {
		return fmt.Errorf("write %s: it is closed", s.path)
	}
	if perfpipe.OwnTable(b.Table.Name) {
		return nil
	}
	s.err = s.write(b)
	return s.err
}

func (s *file) write(b *perfpipe.Batch) error {
	if s.table == nil {
		s.table = b.Table
	}
	if b.Table != s.table {
		return fmt.Errorf("write %s: it takes one table, and got %s after %s", s.path, b.Table.Name, s.table.Name)
	}
	if s.open == nil {
		if b.Rows == 0 && s.total > 0 {
			return nil
		}
		f, name := s.ahead, s.name()
		s.ahead = nil
		if f == nil {
			var err error
			if f, err = s.dir.Create(name); err != nil {
				return err
			}
		}
		var err error
		if s.open, err = part.Over(f, name, s.f, b.Table, s.r.metadata()); err != nil {
			return err
		}
	}
	if err := s.open.Add(b); err != nil {
		return err
	}
	if s.open.Buffered() > s.r.Memory {
		return s.open.Release()
	}
	return nil
}

func (s *file) Sync(op perfpipe.SyncOp) error {
	if s.err != nil || s.closed || s.open == nil {
		return s.err
	}
	switch op {
	case perfpipe.SyncFlush:
		s.err = s.open.Flush()
	case perfpipe.SyncRotate:
		if s.open.Rows() == 0 {
			return nil
		}
		if !s.r.Rotate {
			s.err = fmt.Errorf("rotate %s: the output was not opened for rotation", s.path)
			return s.err
		}
		s.err = s.finish(nil)
	}
	return s.err
}

// finish commits the open file.
func (s *file) finish(more map[string]string) error {
	p := s.open
	s.open = nil
	a, err := p.Commit(more)
	s.bytes += p.Bytes()
	if err != nil {
		return err
	}
	s.next++
	s.total++
	s.kept = append(s.kept, a.Name)
	if n := s.r.MaxFiles; n > 0 && len(s.kept) > n {
		if err := s.dir.Remove(s.kept[0]); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		s.kept = s.kept[1:]
	}
	return nil
}

func (s *file) Bytes() int64 {
	if s.open != nil {
		return s.bytes + s.open.Bytes()
	}
	return s.bytes
}

func (s *file) Close(sum perfpipe.Summary) error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.dir.Close()
	if s.ahead != nil {
		s.ahead.Abort()
	}
	if s.open == nil {
		return nil
	}
	if s.err != nil || s.open.Rows() == 0 && s.total > 0 {
		s.open.Abort()
		s.open = nil
		return nil
	}
	return s.finish(form.Lost(s.table, sum))
}
