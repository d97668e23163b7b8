// Package sinks opens the outputs of a run: a dataset of many tables, one file, or
// standard output, each in one of the formats registered here.
//
// A new format is a folder of its own that makes a form.Encoder, a line in
// formats, and sinktest.Run in its test.
package sinks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/arrowipc"
	"github.com/perfpipe/perfpipe/sinks/dataset"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
	"github.com/perfpipe/perfpipe/sinks/parquet"
	"github.com/perfpipe/perfpipe/sinks/text"
)

// memory is the default of Run.Memory: with the batches and the runtime it keeps
// the process below 150 MB.
const memory = 32 << 20

// names are the formats in the order in which messages list them.
func names() []string { return []string{"parquet", "arrow", "arrows", "csv", "ndjson", "txt"} }

// formatOf returns the format called name, set up as o says.
func formatOf(name string, o Output, threads int) (form.Format, error) {
	switch name {
	case "parquet":
		return parquetFormat(o, threads)
	case "arrow":
		return arrowFormat(o, arrowipc.File)
	case "arrows":
		return arrowFormat(o, arrowipc.Stream)
	case "csv", "ndjson", "txt":
		return textFormat(name, o)
	}
	return form.Format{}, fmt.Errorf("unknown format %q: use %s", name, strings.Join(names(), ", "))
}

func parquetFormat(o Output, threads int) (form.Format, error) {
	s, err := parquet.NewScratch(o.Compression, o.Level)
	if err == nil {
		err = s.Threads(threads)
	}
	if err != nil {
		return form.Format{}, err
	}
	return form.Format{
		Name: "parquet", Ending: ".parquet",
		New: func(w io.Writer, t *perfpipe.Table, meta map[string]string) (form.Encoder, error) {
			e, err := parquet.New(w, t, parquet.Options{Scratch: s, Meta: meta})
			if err != nil {
				return nil, err
			}
			return e, nil
		},
		Check: func(r io.ReaderAt, size, rows int64) error {
			n, err := parquet.RowCount(r, size)
			if err == nil && n != rows {
				err = fmt.Errorf("its footer says %d rows, %d were written", n, rows)
			}
			return err
		},
	}, nil
}

func arrowFormat(o Output, layout arrowipc.Layout) (form.Format, error) {
	if err := arrowipc.CheckCompression(o.Compression, o.Level); err != nil {
		return form.Format{}, err
	}
	f := form.Format{
		Name: "arrow", Ending: ".arrow",
		New: func(w io.Writer, t *perfpipe.Table, meta map[string]string) (form.Encoder, error) {
			e, err := arrowipc.New(w, t, arrowipc.Options{Layout: layout, Compression: o.Compression, Meta: meta})
			if err != nil {
				return nil, err
			}
			return e, nil
		},
		Check: func(r io.ReaderAt, size, rows int64) error {
			n, err := arrowipc.RowCount(r, size, layout)
			if err == nil && n != rows {
				err = fmt.Errorf("it holds %d rows, %d were written", n, rows)
			}
			return err
		},
	}
	if layout == arrowipc.Stream {
		f.Name, f.Ending, f.Stream = "arrows", ".arrows", true
	}
	return f, nil
}

func textFormat(name string, o Output) (form.Format, error) {
	if o.Compression != "" && o.Compression != "none" || o.Level != 0 {
		return form.Format{}, fmt.Errorf("%s is not compressed: leave the compression out, or pipe it through a compressor", name)
	}
	return form.Format{
		Name: name, Ending: "." + name, Stream: true,
		New: func(w io.Writer, t *perfpipe.Table, _ map[string]string) (form.Encoder, error) {
			e, err := text.New(w, t, name)
			if err != nil {
				return nil, err
			}
			return e, nil
		},
	}, nil
}

// ending returns the name of the format that path's ending stands for, "" for none.
func ending(path string) string {
	ext := strings.TrimPrefix(filepath.Ext(path), ".")
	for _, n := range names() {
		if n == ext {
			return n
		}
	}
	return ""
}

// OneTable reports whether o takes exactly one table (a file, standard output), so
// that several events have to be merged into one. A dataset takes any number.
func OneTable(o Output) bool { return o.Path == "-" || ending(o.Path) != "" }

// Open opens the output o of the run r. Nothing that is there already is
// overwritten: an existing file and a folder with something in it are errors, and
// so are symbolic links and folders that others may write (package durable has the
// rules). Files are 0600, folders 0700.
//
// An output of one table ignores the tables of perfpipe's own (_lost, _clock,
// _tasks): it has no room for them.
func Open(o Output, r Run) (perfpipe.Sink, error) {
	if o.Path == "" {
		return nil, errors.New("open output: its path is empty: name a file, a folder, or -")
	}
	if r.Memory <= 0 {
		r.Memory = memory
	}
	name := o.Format
	if name == "" {
		switch {
		case o.Path == "-" && terminal(r.Stdout):
			name = "txt"
		case o.Path == "-":
			name = "arrows"
		default:
			name = ending(o.Path)
		}
	}
	if name == "" {
		name = "parquet"
	}
	f, err := formatOf(name, o, r.Threads)
	if err != nil {
		return nil, fmt.Errorf("open output %s: %w", o.Path, err)
	}
	if o.Path == "-" {
		return openStream(f, r)
	}
	if OneTable(o) {
		return openFile(o.Path, f, r)
	}
	events := make([]dataset.Event, len(r.Events))
	for i, e := range r.Events {
		events[i] = dataset.Event(e)
	}
	return dataset.Open(o.Path, dataset.Options{
		Format: f, Meta: r.metadata(), Memory: r.Memory, MaxFiles: r.MaxFiles,
		Version: r.Version, Host: r.Host, Kernel: r.Kernel, Command: r.Command, Start: r.Start, Events: events,
	})
}

// terminal reports whether w is a terminal, or another character device.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}
