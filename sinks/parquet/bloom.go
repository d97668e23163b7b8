package parquet

import (
	"fmt"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/bloom/xxhash"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/perfpipe/perfpipe"
)

// bloomBits are the bits of a filter for each value that it holds: at 10, one in a
// hundred values that are not there seems to be.
const bloomBits = 10

// bloomFilter makes the filter of a row group's values, nil where there is none.
//
// Columns that are looked up by one value have one: numbers and texts, but for those
// that are sorted (their bounds say more) and lists. It is made of the dictionary, so
// that it costs a hash for each different value and not for each row; a chunk that has
// values besides its dictionary's has too many of them to be looked up among, and no filter.
func (c *column) bloomFilter() bloom.SplitBlockFilter {
	d := &c.dict
	if c.noBloom || c.maxRep > 0 || c.typ == perfpipe.TypeBool || c.dictPages == 0 || c.dictPages < c.valuePages() {
		return nil
	}
	f := make(bloom.SplitBlockFilter, max(1, bloom.NumSplitBlocksOf(int64(d.len()), bloomBits)))
	for id := range d.len() {
		switch {
		case c.typ == perfpipe.TypeString:
			f.Insert(xxhash.Sum64(d.entry(int32(id))))
		case c.phys == format.Int64:
			f.Insert(xxhash.Sum64Uint64(d.ints[id]))
		default:
			f.Insert(xxhash.Sum64Uint32(uint32(c.signed(d.ints[id]))))
		}
	}
	return f
}

// valuePages is the number of pages that have values.
func (c *column) valuePages() int {
	n := 0
	for i := range c.pages {
		if !c.pages[i].void {
			n++
		}
	}
	return n
}

// putBloom writes c's filter, if it has one, and notes in m where it is.
func (e *Encoder) putBloom(c *column, m *format.ColumnMetaData) error {
	f := c.bloomFilter()
	if f == nil {
		return nil
	}
	h, err := thrift.Marshal(new(thrift.CompactProtocol), &format.BloomFilterHeader{
		NumBytes:    int32(len(f.Bytes())),
		Algorithm:   format.BloomFilterAlgorithm{Value: &format.SplitBlockAlgorithm{}},
		Hash:        format.BloomFilterHash{Value: &format.XxHash{}},
		Compression: format.BloomFilterCompression{Value: &format.BloomFilterUncompressed{}},
	})
	if err != nil {
		return fmt.Errorf("encode bloom filter of column %s: %w", c.def.Name, err)
	}
	m.BloomFilterOffset, m.BloomFilterLength = e.offset, int32(len(h)+len(f.Bytes()))
	if err := e.put(h); err != nil {
		return err
	}
	return e.put(f.Bytes())
}
