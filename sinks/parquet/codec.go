package parquet

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// Scratch is what the encoders of one sink share: the compressor and the memory
// in which a page is put together. An encoder needs it only while one of its
// methods runs, so that a hundred open tables cost one compressor. It is used by
// one goroutine at a time; with [Scratch.Threads] the encoders start others, which
// end before the method that started them returns.
type Scratch struct {
	level int
	// team are the scratches of the goroutines that encode a batch, this one first;
	// nil for one goroutine. defers is set while they do.
	team   []*Scratch
	defers bool
	free   [][]byte

	codec format.CompressionCodec
	zstd  *zstd.Encoder
	gzip  *gzip.Writer
	gzbuf bytes.Buffer

	i32  []int32
	i64  []int64
	ids  []int32
	rep  []byte // levels of lists
	def  []byte
	enc  []byte // encoded values or levels
	body []byte // a whole page before compression
	out  []byte // the page as it is stored
	head bytes.Buffer
}

// Codecs are the names of the compressions that NewScratch takes, the default
// first. LZ4, LZO and Brotli are left out: some reader of the six that the
// files are made for cannot read them.
func Codecs() []string { return []string{"zstd", "snappy", "gzip", "none"} }

// NewScratch returns a scratch that compresses with the codec of that name; ""
// is zstd. Level is the codec's own (zstd 1 to 22, gzip 1 to 9), 0 its default:
// 1 for zstd and for gzip. Snappy and none have no levels.
func NewScratch(codec string, level int) (*Scratch, error) {
	s := &Scratch{level: level}
	switch codec {
	case "", "zstd":
		if level < 0 || level > 22 {
			return nil, fmt.Errorf("set zstd level %d: the levels are 1 to 22", level)
		}
		if level == 0 {
			level = 1
		}
		// Pages are at most a few megabytes and compressed whole: a window beyond 1 MiB
		// would only cost memory.
		e, err := zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
			zstd.WithWindowSize(1<<20),
			zstd.WithZeroFrames(true),
			zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, fmt.Errorf("set up zstd: %w", err)
		}
		s.codec, s.zstd = format.Zstd, e
	case "gzip":
		if level < 0 || level > 9 {
			return nil, fmt.Errorf("set gzip level %d: the levels are 1 to 9", level)
		}
		if level == 0 {
			level = 1
		}
		w, err := gzip.NewWriterLevel(nil, level)
		if err != nil {
			return nil, fmt.Errorf("set up gzip: %w", err)
		}
		s.codec, s.gzip = format.Gzip, w
	case "snappy", "none":
		if level != 0 {
			return nil, fmt.Errorf("set %s level %d: %s has no levels", codec, level, codec)
		}
		s.codec = format.Snappy
		if codec == "none" {
			s.codec = format.Uncompressed
		}
	default:
		return nil, fmt.Errorf("unknown Parquet compression %q: use zstd, snappy, gzip or none", codec)
	}
	return s, nil
}

// Threads has n goroutines encode a batch, the caller's among them. One is enough where
// n is less than 2.
func (s *Scratch) Threads(n int) error {
	s.team = nil
	for i := 1; i < n; i++ {
		if s.team == nil {
			s.team = []*Scratch{s}
		}
		more, err := NewScratch(codecName(s.codec), s.level)
		if err != nil {
			return err
		}
		s.team = append(s.team, more)
	}
	return nil
}

func codecName(c format.CompressionCodec) string {
	switch c {
	case format.Zstd:
		return "zstd"
	case format.Snappy:
		return "snappy"
	case format.Gzip:
		return "gzip"
	}
	return "none"
}

// compress returns page as it is stored. The result belongs to s until the next call.
func (s *Scratch) compress(page []byte) ([]byte, error) {
	switch s.codec {
	case format.Zstd:
		s.out = s.zstd.EncodeAll(page, s.out[:0])
	case format.Snappy:
		if n := snappy.MaxEncodedLen(len(page)); cap(s.out) < n {
			s.out = make([]byte, n)
		}
		s.out = snappy.Encode(s.out[:cap(s.out)], page)
	case format.Gzip:
		s.gzbuf.Reset()
		s.gzip.Reset(&s.gzbuf)
		if _, err := s.gzip.Write(page); err != nil {
			return nil, fmt.Errorf("compress page: %w", err)
		}
		if err := s.gzip.Close(); err != nil {
			return nil, fmt.Errorf("compress page: %w", err)
		}
		return s.gzbuf.Bytes(), nil
	default:
		return page, nil
	}
	return s.out, nil
}
