//go:build unix

// Package part is one file of one table on its way: an encoder above a durable
// file, with the account of what went into it.
package part

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/sinks/durable"
	"github.com/perfpipe/perfpipe/sinks/internal/form"
)

// Part is a file that is being written. It is used by one goroutine.
type Part struct {
	file *durable.File
	enc  form.Encoder
	f    form.Format
	sum  hash.Hash
	rows int64
	// minTS and maxTS are the first and last ts of the batches that have rows.
	minTS, maxTS int64
	name         string
}

// Account is what a finished part came to.
type Account struct {
	// Name is the file's, in its folder.
	Name string
	Rows int64
	// MinTS and MaxTS are nanoseconds on CLOCK_MONOTONIC, 0 without rows or without ts.
	MinTS, MaxTS int64
	Bytes        int64
	// SHA256 is the hex digest of the file.
	SHA256 string
}

// New begins the file name in d, of t's rows.
func New(d *durable.Dir, name string, f form.Format, t *perfpipe.Table, meta map[string]string) (*Part, error) {
	file, err := d.Create(name)
	if err != nil {
		return nil, err
	}
	return Over(file, name, f, t, meta)
}

// Over begins the part in file, which it takes over: it is removed on an error.
func Over(file *durable.File, name string, f form.Format, t *perfpipe.Table, meta map[string]string) (*Part, error) {
	p := &Part{file: file, f: f, sum: sha256.New(), name: name}
	var err error
	guard(&err, func() error {
		var err error
		p.enc, err = f.New(p, t, meta)
		return err
	})
	if err != nil {
		err = p.fail("begin", err)
		file.Abort()
		return nil, err
	}
	return p, nil
}

// Write is what the encoder writes to.
func (p *Part) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.sum.Write(b[:n]) // a hash never fails
	return n, err
}

// guard turns a panic of an encoder into an error: libraries below some of them
// panic where a write fails, and a recording must end with its other files whole.
func guard(err *error, f func() error) {
	defer func() {
		if r := recover(); r != nil {
			*err = fmt.Errorf("encoder failed: %v", r)
		}
	}()
	*err = f()
}

// fail returns err as the sink reports it: the file's own error, which says it
// all, or what the encoder found wrong.
func (p *Part) fail(verb string, err error) error {
	if ferr := p.file.Err(); ferr != nil {
		return ferr
	}
	return fmt.Errorf("%s %s: %w", verb, p.file.Path(), err)
}

// Add takes the rows of b.
func (p *Part) Add(b *perfpipe.Batch) (err error) {
	guard(&err, func() error { return p.enc.Write(b) })
	if err != nil {
		return p.fail("write", err)
	}
	if b.Rows > 0 {
		if p.rows == 0 {
			p.minTS, p.maxTS = b.MinTime, b.MaxTime
		}
		p.minTS, p.maxTS = min(p.minTS, b.MinTime), max(p.maxTS, b.MaxTime)
	}
	p.rows += int64(b.Rows)
	return nil
}

// Flush makes rows visible to a reader of a stream.
func (p *Part) Flush() (err error) {
	guard(&err, p.enc.Flush)
	if err != nil {
		return p.fail("write", err)
	}
	return nil
}

// Rows returns the number of rows taken.
func (p *Part) Rows() int64 { return p.rows }

// Bytes returns how many bytes were written to the file.
func (p *Part) Bytes() int64 { return p.file.Bytes() }

// Buffered returns the bytes of rows held in memory.
func (p *Part) Buffered() int64 {
	if h, ok := p.enc.(form.Holder); ok {
		return h.Buffered()
	}
	return 0
}

// Release writes out the rows held in memory.
func (p *Part) Release() (err error) {
	h, ok := p.enc.(form.Holder)
	if !ok {
		return nil
	}
	guard(&err, h.Release)
	if err != nil {
		return p.fail("write", err)
	}
	return nil
}

// Commit ends the file, with more in its metadata, and gives it its name. On an
// error the file is gone.
func (p *Part) Commit(more map[string]string) (Account, error) {
	var err error
	guard(&err, func() error { return p.enc.Close(more) })
	if err != nil {
		err = p.fail("finish", err)
		p.file.Abort()
		return Account{}, err
	}
	var check func(io.ReaderAt, int64) error
	if p.f.Check != nil {
		check = func(r io.ReaderAt, size int64) (err error) {
			guard(&err, func() error { return p.f.Check(r, size, p.rows) })
			return err
		}
	}
	if err := p.file.Commit(check); err != nil {
		return Account{}, err
	}
	return Account{
		Name: p.name, Rows: p.rows, MinTS: p.minTS, MaxTS: p.maxTS,
		Bytes: p.file.Bytes(), SHA256: hex.EncodeToString(p.sum.Sum(nil)),
	}, nil
}

// Abort removes the file.
func (p *Part) Abort() {
	// The encoder is ended for what it holds besides memory; its bytes go nowhere.
	p.file.Abort()
	var err error
	guard(&err, func() error { return p.enc.Close(nil) })
}
