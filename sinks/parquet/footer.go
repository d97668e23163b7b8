package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// RowCount returns the number of rows that the footer of the file r of size bytes
// says it has. It reads the footer alone, and checks it against its row groups.
func RowCount(r io.ReaderAt, size int64) (int64, error) {
	f, err := readFooter(r, size)
	if err != nil {
		return 0, err
	}
	rows := int64(0)
	for i := range f.RowGroups {
		rows += f.RowGroups[i].NumRows
	}
	if rows != f.NumRows {
		return 0, fmt.Errorf("read Parquet footer: %d rows, but %d in its row groups", f.NumRows, rows)
	}
	return rows, nil
}

func readFooter(r io.ReaderAt, size int64) (*format.FileMetaData, error) {
	const tail = 8
	if size < int64(len(magic))+tail {
		return nil, fmt.Errorf("read Parquet footer: %d bytes are too few for a file", size)
	}
	var end [tail]byte
	if _, err := r.ReadAt(end[:], size-tail); err != nil {
		return nil, fmt.Errorf("read Parquet footer: %w", err)
	}
	if string(end[4:]) != magic {
		return nil, fmt.Errorf("read Parquet footer: the file does not end in %s: it is cut short or of another format", magic)
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > size-tail-int64(len(magic)) {
		return nil, fmt.Errorf("read Parquet footer: its length %d is more than the file", n)
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, size-tail-n); err != nil {
		return nil, fmt.Errorf("read Parquet footer: %w", err)
	}
	f := new(format.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b, f); err != nil {
		return nil, fmt.Errorf("read Parquet footer: %w", err)
	}
	return f, nil
}
