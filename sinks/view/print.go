package view

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/arrowipc"
	"github.com/perfpipe/perfpipe/sinks/text"
)

// Options say what Print prints.
type Options struct {
	// Format is txt (default), csv or ndjson. Files that are text already are
	// printed as they are, and refused where another format is asked for.
	Format string
	// Table is the one table of a dataset to print, by its name or its event's;
	// "" prints all events in the order of ts, and none of perfpipe's own tables.
	Table string
	// Rows ends the output after so many rows; 0 prints all.
	Rows int64
}

// ErrUsage marks errors of what was asked for, not of the files.
var ErrUsage = errors.New("usage")

// usage is such an error.
type usage struct{ s string }

func (u usage) Error() string        { return u.s }
func (u usage) Is(target error) bool { return target == ErrUsage }

func usagef(format string, args ...any) error { return usage{fmt.Sprintf(format, args...)} }

// printer is the way to the output.
type printer struct {
	w      *bufio.Writer
	format string
	left   int64 // rows, negative without a limit
	line   []byte
}

// Print writes the rows of path to w: a file, a dataset, or "-" for an Arrow
// stream on stdin, whose rows are printed as they arrive.
func Print(w io.Writer, stdin io.Reader, path string, o Options) error {
	p := &printer{w: bufio.NewWriterSize(w, 64<<10), format: o.Format, left: o.Rows}
	if p.left <= 0 {
		p.left = -1
	}
	switch p.format {
	case "":
		p.format = "txt"
	case "txt", "csv", "ndjson":
	default:
		return usagef("unknown format %q: use %s", o.Format, strings.Join(text.Names(), ", "))
	}
	err := p.print(stdin, path, o)
	if e := p.w.Flush(); err == nil || errors.Is(e, io.ErrShortWrite) {
		err = errors.Join(err, e)
	}
	return err
}

func (p *printer) print(stdin io.Reader, path string, o Options) error {
	if path == "-" {
		return p.stream(stdin)
	}
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	var sources map[string][]string
	switch {
	case st.IsDir():
		if sources, err = choose(path, o.Table); err != nil {
			return err
		}
	case o.Table != "":
		return usagef("--table %s: %s is one file, of one table", o.Table, path)
	default:
		sources = map[string][]string{"": {path}}
	}
	names := make([]string, 0, len(sources))
	for n := range sources {
		names = append(names, n)
	}
	sort.Strings(names)
	if ext := filepath.Ext(sources[names[0]][0]); ext == ".csv" || ext == ".ndjson" || ext == ".txt" {
		if len(names) > 1 {
			return usagef("%s holds text, which cannot be put in order: choose one with --table: %s", path, strings.Join(names, ", "))
		}
		return p.copyText(sources[names[0]], ext[1:], o.Format)
	}
	if len(names) > 1 && p.format == "csv" {
		return usagef("csv has one set of columns: choose a table with --table: %s", strings.Join(names, ", "))
	}
	var srcs []*source
	for _, n := range names {
		srcs = append(srcs, &source{paths: sources[n], p: p, label: len(names) > 1})
	}
	// A line of txt begins with its event anyway.
	for _, s := range srcs {
		s.label = s.label && p.format != "txt"
		defer s.close()
	}
	return p.merge(srcs)
}

// choose returns the tables of the dataset that are to be printed.
func choose(dir, table string) (map[string][]string, error) {
	all, err := tables(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if table == "" {
		events := make(map[string][]string)
		for n, parts := range all {
			if !perfpipe.OwnTable(n) {
				events[n] = parts
			}
		}
		if len(events) == 0 {
			return nil, usagef("%s holds no events: choose one of its own tables with --table: %s", dir, list(all))
		}
		return events, nil
	}
	name := strings.ReplaceAll(table, ":", ".")
	parts := all[name]
	if parts == nil {
		return nil, usagef("%s has no table %q: it has %s", dir, table, list(all))
	}
	return map[string][]string{name: parts}, nil
}

func list(m map[string][]string) string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// merge prints the rows of all sources, the one with the least ts first.
func (p *printer) merge(srcs []*source) error {
	live := srcs[:0:0]
	for _, s := range srcs {
		header := p.format == "csv"
		switch err := s.next(); {
		case errors.Is(err, io.EOF):
			if header {
				if err := p.emptyHeader(s); err != nil {
					return err
				}
			}
			continue
		case err != nil:
			return err
		}
		if len(srcs) > 1 && s.ts < 0 {
			return usagef("table %s has no ts to order its rows by: print it alone with --table", s.r.Table().Name)
		}
		if header {
			if err := s.header(p.w); err != nil {
				return err
			}
		}
		live = append(live, s)
	}
	for len(live) > 0 && p.left != 0 {
		k := 0
		for i, s := range live {
			if i > 0 && s.time() < live[k].time() {
				k = i
			}
		}
		s := live[k]
		if err := p.put(s); err != nil {
			return err
		}
		s.at++
		switch err := s.next(); {
		case errors.Is(err, io.EOF):
			live = append(live[:k], live[k+1:]...)
		case err != nil:
			return err
		}
	}
	return nil
}

// put prints the row that s has to come.
func (p *printer) put(s *source) error {
	p.line = s.append(p.line[:0])
	if p.left > 0 {
		p.left--
	}
	_, err := p.w.Write(p.line)
	return err
}

// header prints the columns' names as csv has them.
func (s *source) header(w io.Writer) error {
	e, err := text.New(w, s.b.Table, "csv")
	if err != nil {
		return err
	}
	return e.Flush()
}

// emptyHeader prints the header of a table without rows.
func (p *printer) emptyHeader(s *source) error {
	if s.last == nil {
		return nil
	}
	e, err := text.New(p.w, s.last, "csv")
	if err != nil {
		return err
	}
	return e.Flush()
}

// stream prints an Arrow stream as it arrives.
func (p *printer) stream(r io.Reader) error {
	rd, err := arrowipc.NewStreamReader(r)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	s := &source{p: p}
	if err := s.use(rd); err != nil {
		rd.Close()
		return err
	}
	defer s.close()
	if p.format == "csv" {
		if err := s.header(p.w); err != nil {
			return err
		}
	}
	for p.left != 0 {
		// Before waiting for more, show what there is.
		if s.at == s.b.Rows {
			if err := p.w.Flush(); err != nil {
				return err
			}
		}
		switch err := s.next(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("standard input: %w", err)
		}
		if err := p.put(s); err != nil {
			return err
		}
		s.at++
	}
	return nil
}

// copyText prints files that are text already; of csv, one header.
func (p *printer) copyText(paths []string, is, want string) error {
	if want != "" && want != is {
		return usagef("%s is %s and has no types to make %s of: record to parquet or arrow for that", paths[0], is, want)
	}
	for i, path := range paths {
		if err := p.copyFile(path, is == "csv", i > 0); err != nil {
			return err
		}
	}
	return nil
}

func (p *printer) copyFile(path string, header, again bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	r := bufio.NewReaderSize(f, 64<<10)
	if p.left < 0 && !again {
		_, err := io.Copy(p.w, r)
		return err
	}
	quotes := 0
	for first := header; p.left != 0; {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 && !(first && again) {
			if _, err := p.w.Write(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		// A field in quotes may hold the end of a line; the row goes on.
		if header {
			if quotes += bytes.Count(line, []byte{'"'}); quotes%2 != 0 {
				continue
			}
		}
		switch {
		case first:
			first = false
		case p.left > 0:
			p.left--
		}
	}
	return nil
}
