package view

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/text"
)

// source is one table on its way to the output: its parts one after another.
type source struct {
	paths []string
	r     Reader
	b     *perfpipe.Batch
	at    int // the row to come
	ts    int // column, -1 without
	enc   *text.Encoder
	p     *printer
	label bool            // an event column goes before the others
	named *perfpipe.Batch // b with that column
	last  *perfpipe.Table // of the part that was read last
}

// next makes s.b hold the row s.at; io.EOF after the last.
func (s *source) next() error {
	for s.b == nil || s.at == s.b.Rows {
		if s.r == nil {
			if len(s.paths) == 0 {
				return io.EOF
			}
			r, err := Open(s.paths[0])
			if err != nil {
				return err
			}
			s.paths = s.paths[1:]
			if err := s.use(r); err != nil {
				r.Close()
				return err
			}
		}
		s.at = 0
		if err := s.r.Read(s.b); errors.Is(err, io.EOF) {
			s.r.Close()
			s.r, s.b, s.at = nil, nil, 0
		} else if err != nil {
			return err
		} else if s.label {
			s.fillLabel()
		}
	}
	return nil
}

// use takes r as the part that is read now.
func (s *source) use(r Reader) error {
	t := r.Table()
	s.b = perfpipe.NewBatch(t, 0)
	s.ts = -1
	for i := range t.Columns {
		if t.Columns[i].Name == "ts" && t.Columns[i].Type == perfpipe.TypeInt64 {
			s.ts = i
		}
	}
	shown := t
	if s.label {
		if s.ts < 0 {
			return fmt.Errorf("table %s has no ts to order its rows by: print it alone with --table", t.Name)
		}
		for i := range t.Columns {
			if t.Columns[i].Name == "event" {
				s.label = false // it says so itself
			}
		}
	}
	if s.label {
		c := *t
		c.Columns = append([]perfpipe.ColumnDef{{Name: "event", Type: perfpipe.TypeString}}, t.Columns...)
		shown = &c
		s.named = perfpipe.NewBatch(shown, 0)
	}
	enc, err := text.New(io.Discard, shown, s.p.format)
	if err != nil {
		return err
	}
	s.r, s.enc, s.at, s.last = r, enc, 0, t
	return nil
}

// fillLabel lays the event's name beside the rows of s.b.
func (s *source) fillLabel() {
	l := s.named
	c := &l.Columns[0]
	*c = perfpipe.Column{Type: perfpipe.TypeString, Offsets: append(c.Offsets[:0], 0), Data: c.Data[:0]}
	name := s.r.Table().Meta["event"]
	if name == "" {
		name = s.r.Table().Name
	}
	for range s.b.Rows {
		c.AppendString(name)
	}
	copy(l.Columns[1:], s.b.Columns)
	l.Rows = s.b.Rows
}

// append appends the row to come as text.
func (s *source) append(dst []byte) []byte {
	b := s.b
	if s.label {
		b = s.named
	}
	return s.enc.AppendRow(dst, b, s.at)
}

// time returns the ts of the row to come.
func (s *source) time() int64 { return int64(s.b.Columns[s.ts].Int(s.at)) }

func (s *source) close() {
	if s.r != nil {
		s.r.Close()
		s.r = nil
	}
}

// tables returns the tables of the dataset dir and the paths of each one's parts,
// in the order of their names, which is that of time.
func tables(dir string) (map[string][]string, error) {
	out := make(map[string][]string)
	top, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range top {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		var parts []string
		err := filepath.WalkDir(filepath.Join(dir, e.Name()), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			// A name that begins with "." is a file that is still being written.
			if d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") {
				parts = append(parts, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		sort.Strings(parts)
		if len(parts) > 0 {
			out[e.Name()] = parts
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the folder holds no tables: it is no dataset, or nothing of it is finished yet")
	}
	return out, nil
}
