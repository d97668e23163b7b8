package sinks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks"
	"github.com/perfpipe/perfpipe/sinks/sinktest"
	"github.com/perfpipe/perfpipe/sinks/view"
)

// TestConformance runs the suite on every format, as a file, in a dataset and on
// standard output.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		format, compression string
		stream, eyes        bool
	}{
		{format: "parquet"},
		{format: "parquet", compression: "snappy"},
		{format: "parquet", compression: "gzip"},
		{format: "parquet", compression: "none"},
		{format: "arrow"},
		{format: "arrow", compression: "zstd"},
		{format: "arrows", stream: true},
		{format: "arrows", compression: "zstd", stream: true},
		{format: "csv", stream: true},
		{format: "ndjson", stream: true},
		{format: "txt", stream: true, eyes: true},
	} {
		name := c.format + "/" + c.compression
		read := func(path func(dir string, t *perfpipe.Table) string) func(string, *sinktest.Writer, *perfpipe.Table) ([]sinktest.Row, error) {
			if c.eyes {
				return nil
			}
			return func(dir string, w *sinktest.Writer, t *perfpipe.Table) ([]sinktest.Row, error) {
				data := w.Data
				if path != nil {
					var err error
					if data, err = os.ReadFile(path(dir, t)); err != nil {
						return nil, err
					}
				}
				return readRows(data, c.format, t)
			}
		}
		t.Run(name+"/file", func(t *testing.T) {
			sinktest.Run(t, sinktest.Sink{
				Open: func(dir string, _ *sinktest.Writer) (perfpipe.Sink, error) {
					return sinks.Open(sinks.Output{Path: filepath.Join(dir, "out."+c.format), Compression: c.compression}, sinks.Run{Version: "v1", Host: "h"})
				},
				Read: read(func(dir string, _ *perfpipe.Table) string { return filepath.Join(dir, "out."+c.format) }),
			})
		})
		t.Run(name+"/dataset", func(t *testing.T) {
			sinktest.Run(t, sinktest.Sink{
				Many: true,
				Open: func(dir string, _ *sinktest.Writer) (perfpipe.Sink, error) {
					return sinks.Open(sinks.Output{Path: filepath.Join(dir, "ds"), Format: c.format, Compression: c.compression}, sinks.Run{Version: "v1", Host: "h"})
				},
				Read: read(func(dir string, t *perfpipe.Table) string {
					return filepath.Join(dir, "ds", t.Name, "part-000000."+c.format)
				}),
			})
		})
		if !c.stream {
			continue
		}
		t.Run(name+"/stream", func(t *testing.T) {
			sinktest.Run(t, sinktest.Sink{
				Stream: true,
				Open: func(_ string, w *sinktest.Writer) (perfpipe.Sink, error) {
					return sinks.Open(sinks.Output{Path: "-", Format: c.format, Compression: c.compression}, sinks.Run{Stdout: w})
				},
				Read: read(nil),
			})
		})
	}
}

// readRows reads back what a format wrote of t.
func readRows(data []byte, format string, t *perfpipe.Table) ([]sinktest.Row, error) {
	switch format {
	case "csv":
		return readCSV(string(data), t)
	case "ndjson":
		return readJSON(data, t)
	}
	r, err := view.NewReader(bytes.NewReader(data), int64(len(data)), "out."+format)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	got := r.Table()
	if got.Name != t.Name || len(got.Columns) != len(t.Columns) {
		return nil, fmt.Errorf("table: got %s with %d columns, want %s with %d", got.Name, len(got.Columns), t.Name, len(t.Columns))
	}
	for i, d := range t.Columns {
		g := got.Columns[i]
		if g.Name != d.Name || g.Type != d.Type || g.Elem != d.Elem || g.Nullable != d.Nullable {
			return nil, fmt.Errorf("column %d: got %+v, want %+v", i, g, d)
		}
	}
	var rows []sinktest.Row
	b := perfpipe.NewBatch(got, 0)
	for {
		switch err := r.Read(b); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		}
		rows = append(rows, sinktest.Canon(b)...)
	}
}

func readJSON(data []byte, t *perfpipe.Table) ([]sinktest.Row, error) {
	var rows []sinktest.Row
	for line := range bytes.Lines(data) {
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		nullable := 0
		for _, c := range t.Columns {
			if _, ok := m[c.Name]; !ok && !c.Nullable {
				return nil, fmt.Errorf("line %q: lacks %s", line, c.Name)
			} else if !ok {
				nullable++ // nulls are left out
			}
		}
		if len(m)+nullable != len(t.Columns) {
			return nil, fmt.Errorf("line %q: got %d keys and %d nulls, want %d together", line, len(m), nullable, len(t.Columns))
		}
		row := make(sinktest.Row, len(t.Columns))
		for i, c := range t.Columns {
			typ := c.Type
			if typ == perfpipe.TypeList {
				typ = c.Elem
			}
			var err error
			if row[i], err = wordOf(m[c.Name], typ); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func wordOf(v any, typ perfpipe.Type) (string, error) {
	switch v := v.(type) {
	case nil:
		return sinktest.Null, nil
	case []any:
		words := make([]string, len(v))
		for i := range v {
			w, err := wordOf(v[i], typ)
			if err != nil {
				return "", err
			}
			words[i] = w
		}
		return "[" + strings.Join(words, " ") + "]", nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	case string:
		if typ != perfpipe.TypeTimestamp {
			return strconv.Quote(v), nil
		}
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return "", err
		}
		return strconv.FormatInt(at.UnixMicro(), 10), nil
	}
	return "", fmt.Errorf("value %v is of no JSON type", v)
}

// readCSV reads RFC 4180, and tells an empty string ("") from a null.
func readCSV(s string, t *perfpipe.Table) ([]sinktest.Row, error) {
	var rows []sinktest.Row
	var fields []string // quoted ones begin with a quote
	for len(s) > 0 {
		var f string
		if s[0] == '"' {
			f = `"`
			s = s[1:]
			for {
				i := strings.IndexByte(s, '"')
				if i < 0 {
					return nil, errors.New("a quote is not closed")
				}
				f, s = f+s[:i], s[i+1:]
				if !strings.HasPrefix(s, `"`) {
					break
				}
				f, s = f+`"`, s[1:]
			}
		} else {
			i := strings.IndexAny(s, ",\r")
			if i < 0 {
				return nil, errors.New("a row does not end")
			}
			f, s = s[:i], s[i:]
		}
		fields = append(fields, f)
		if strings.HasPrefix(s, ",") {
			s = s[1:]
			continue
		}
		if !strings.HasPrefix(s, "\r\n") {
			return nil, fmt.Errorf("a field is followed by %q", s[:min(len(s), 5)])
		}
		s = s[2:]
		if len(fields) != len(t.Columns) {
			return nil, fmt.Errorf("row of %d fields, want %d", len(fields), len(t.Columns))
		}
		row := make(sinktest.Row, len(fields))
		for i, f := range fields {
			w, err := csvWord(f, &t.Columns[i])
			if err != nil {
				return nil, err
			}
			row[i] = w
		}
		if rows == nil && strings.TrimPrefix(fields[0], `"`) == t.Columns[0].Name {
			rows = []sinktest.Row{}
		} else {
			rows = append(rows, row)
		}
		fields = nil
	}
	if rows == nil {
		return nil, errors.New("there is no header")
	}
	return rows, nil
}

func csvWord(f string, d *perfpipe.ColumnDef) (string, error) {
	if f == "" {
		return sinktest.Null, nil
	}
	f = strings.TrimPrefix(f, `"`)
	switch d.Type {
	case perfpipe.TypeString:
		return strconv.Quote(f), nil
	case perfpipe.TypeList:
		dec := json.NewDecoder(strings.NewReader(f))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			if f == d.Name {
				return "", nil // the header
			}
			return "", err
		}
		return wordOf(v, d.Elem)
	case perfpipe.TypeTimestamp:
		if f == d.Name {
			return "", nil
		}
		return wordOf(f, d.Type)
	}
	return f, nil
}
