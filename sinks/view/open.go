// Package view reads back what the sinks wrote, one file or a whole dataset, and
// prints it as text. It needs no kernel and no privilege.
package view

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/arrowipc"
	"github.com/perfpipe/perfpipe/sinks/parquet"
)

// Reader hands out the rows of one table.
type Reader interface {
	// Table says what the columns are.
	Table() *perfpipe.Table
	// Read fills b, which must be of Table, with the next rows; io.EOF after the last.
	Read(b *perfpipe.Batch) error
	// Close frees what the reader holds.
	Close()
}

// kind is what a file is.
type kind uint8

const (
	kindUnknown kind = iota
	kindParquet
	kindArrow
	kindStream
	kindText // csv, ndjson, txt: printed as they are
)

// sniff tells a file's kind by its first bytes, and text by its ending.
func sniff(r io.ReaderAt, path string) kind {
	var head [6]byte
	n, _ := r.ReadAt(head[:], 0) // what is not there is not a magic
	switch s := string(head[:n]); {
	case strings.HasPrefix(s, "PAR1"):
		return kindParquet
	case s == "ARROW1":
		return kindArrow
	case strings.HasPrefix(s, "\xff\xff\xff\xff"):
		return kindStream
	}
	switch filepath.Ext(path) {
	case ".parquet":
		return kindParquet
	case ".arrow":
		return kindArrow
	case ".arrows":
		return kindStream
	case ".csv", ".ndjson", ".txt":
		return kindText
	}
	return kindUnknown
}

// file is a reader with the file below it.
type file struct {
	Reader
	f    *os.File
	path string
}

func (f *file) Close() {
	f.Reader.Close()
	_ = f.f.Close() // only read from
}

// Read names the file in errors.
func (f *file) Read(b *perfpipe.Batch) error {
	err := f.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", f.path, err)
	}
	return err
}

// errText is a file of text, which has rows but no types.
var errText = errors.New("it is text, and printed only as it is")

// Open opens a Parquet or Arrow file of ours.
func Open(path string) (Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := open(f, path)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &file{r, f, path}, nil
}

func open(f *os.File, path string) (Reader, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	return NewReader(f, st.Size(), path)
}

// NewReader reads a Parquet or Arrow file of size bytes; path helps to tell what
// it is where its first bytes do not.
func NewReader(r io.ReaderAt, size int64, path string) (Reader, error) {
	var out Reader
	var err error
	switch sniff(r, path) {
	case kindParquet:
		out, err = parquet.NewReader(r, size)
	case kindArrow:
		out, err = arrowipc.NewReader(r, size, arrowipc.File)
	case kindStream:
		out, err = arrowipc.NewReader(r, size, arrowipc.Stream)
	case kindText:
		return nil, errText
	default:
		return nil, errors.New("unknown kind of file: it is neither Parquet nor Arrow nor .csv, .ndjson or .txt")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}
