package parquet

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// What a column chunk of ours can hold at most: a row group ends at 32 MiB, so only
// a damaged file claims more. Bounds keep such a file from taking all memory.
const (
	maxChunkValues = 256 << 20
	maxPlainPage   = 512 << 20
)

// sane refuses metadata that contradicts itself or the file, or that is of kinds
// that are never written here.
func sane(m *format.FileMetaData, size int64) error {
	rows := int64(0)
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > maxChunkValues {
			return fmt.Errorf("read Parquet footer: row group %d has %d rows", i, g.NumRows)
		}
		rows += g.NumRows
		for j := range g.Columns {
			if why := saneChunk(&g.Columns[j].MetaData, size); why != "" {
				return fmt.Errorf("read Parquet footer: column %d of row group %d %s", j, i, why)
			}
		}
	}
	if rows != m.NumRows {
		return fmt.Errorf("read Parquet footer: %d rows, but %d in its row groups", m.NumRows, rows)
	}
	return nil
}

// chunkStart returns where the pages of a chunk begin.
func chunkStart(c *format.ColumnMetaData) int64 {
	if c.DictionaryPageOffset > 0 {
		return min(c.DataPageOffset, c.DictionaryPageOffset)
	}
	return c.DataPageOffset
}

func saneChunk(c *format.ColumnMetaData, size int64) string {
	start := chunkStart(c)
	switch {
	case start < int64(len(magic)) || c.TotalCompressedSize < 0 || start > size || c.TotalCompressedSize > size-start:
		return "lies outside the file"
	case c.NumValues < 0 || c.NumValues > maxChunkValues:
		return fmt.Sprintf("has %d values", c.NumValues)
	}
	switch c.Codec {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd:
		return ""
	}
	return fmt.Sprintf("is compressed with %v, which perfpipe does not write", c.Codec)
}

// checkPages goes over the headers of a chunk's pages: each must lie in the chunk,
// be of a kind that is written here, and together they must have the values that
// the footer says.
func checkPages(r io.ReaderAt, c *format.ColumnMetaData) error {
	section := io.NewSectionReader(r, chunkStart(c), c.TotalCompressedSize)
	values := int64(0)
	dict := false
	for at := int64(0); at < c.TotalCompressedSize; {
		if _, err := section.Seek(at, io.SeekStart); err != nil {
			return err
		}
		in := &position{r: bufio.NewReaderSize(section, 256)}
		var h format.PageHeader
		if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(in)).Decode(&h); err != nil {
			return fmt.Errorf("page at byte %d: %w", at, err)
		}
		at += in.n
		n := int64(h.CompressedPageSize)
		if n < 0 || n > c.TotalCompressedSize-at || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPlainPage {
			return fmt.Errorf("page at byte %d: its sizes are %d and %d bytes", at, n, h.UncompressedPageSize)
		}
		at += n
		switch {
		case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid && !dict && values == 0:
			// PLAIN: an entry takes at least four bytes, or one bit of a boolean.
			if k := h.DictionaryPageHeader.V.NumValues; k < 0 || k > 4*max(h.UncompressedPageSize, 1) {
				return fmt.Errorf("dictionary of %d entries in %d bytes", k, h.UncompressedPageSize)
			}
			dict = true
		case h.Type == format.DataPage && h.DataPageHeader.Valid:
			d := &h.DataPageHeader.V
			if d.NumValues < 0 || int64(d.NumValues) > c.NumValues-values {
				return fmt.Errorf("page of %d values, the chunk has %d", d.NumValues, c.NumValues)
			}
			values += int64(d.NumValues)
			switch d.Encoding {
			case format.Plain, format.DeltaBinaryPacked:
			case format.RLEDictionary:
				if !dict {
					return errors.New("a page refers to a dictionary that is not there")
				}
			default:
				return fmt.Errorf("a page is encoded as %v, which perfpipe does not write", d.Encoding)
			}
		default:
			return fmt.Errorf("a page of kind %v, which perfpipe does not write", h.Type)
		}
	}
	if values != c.NumValues {
		return fmt.Errorf("its pages have %d values, the footer says %d", values, c.NumValues)
	}
	return nil
}

// position counts the bytes that a decoder takes.
type position struct {
	r *bufio.Reader
	n int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

func (p *position) ReadByte() (byte, error) {
	b, err := p.r.ReadByte()
	if err == nil {
		p.n++
	}
	return b, err
}
