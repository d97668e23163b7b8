package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
)

// maxMini bounds what .gnu_debugdata may unpack to: Fedora's largest, of libraries
// with 100,000 functions, are about 10 MB.
const maxMini = 64 << 20

// miniTable unpacks .gnu_debugdata: an ELF file of its own, xz-packed, with the
// symbol table that strip took (gdb, "MiniDebugInfo").
func (f *File) miniTable() (*table, error) {
	s := f.elf.Section(".gnu_debugdata")
	if s == nil {
		return nil, errNoTable
	}
	b, err := sectionData(s)
	if err != nil {
		return nil, err
	}
	plain, err := unpackXZ(b)
	if err != nil {
		return nil, err
	}
	e, err := elf.NewFile(bytes.NewReader(plain))
	if err != nil {
		return nil, err
	}
	return readTable(e, elf.SHT_SYMTAB, SourceMini)
}

// unpackXZ unpacks one xz stream, after a look at what memory it asks for: a header
// of 24 bytes may ask for gigabytes.
func unpackXZ(b []byte) ([]byte, error) {
	// Sections may be padded.
	for len(b) >= 4 && len(b)%4 == 0 && binary.LittleEndian.Uint32(b[len(b)-4:]) == 0 {
		b = b[:len(b)-4]
	}
	size, err := checkXZ(b)
	if err != nil {
		return nil, err
	}
	r, err := xz.ReaderConfig{SingleStream: true}.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if _, err := io.Copy(&out, io.LimitReader(r, int64(size)+1)); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if uint64(out.Len()) != size {
		return nil, fmt.Errorf("unpack: %d bytes where its index says %d", out.Len(), size)
	}
	return out.Bytes(), nil
}

var errXZ = errors.New("damaged xz data")

// checkXZ reads the headers of an xz stream of one block (xz-file-format.txt), and
// returns how much it unpacks to.
func checkXZ(b []byte) (uint64, error) {
	if len(b) < 32 || string(b[:6]) != "\xfd7zXZ\x00" || string(b[len(b)-2:]) != "YZ" {
		return 0, errXZ
	}
	dict, err := dictSize(b[12:])
	if err != nil {
		return 0, err
	}
	back := (uint64(binary.LittleEndian.Uint32(b[len(b)-8:])) + 1) * 4
	if back > uint64(len(b)-24) {
		return 0, errXZ
	}
	index := b[uint64(len(b)-12)-back : len(b)-12]
	at := 1
	var nums [3]uint64 // records, unpadded size, uncompressed size
	for i := range nums {
		v, n := binary.Uvarint(index[at:])
		if n <= 0 {
			return 0, errXZ
		}
		nums[i] = v
		at += n
	}
	if nums[0] != 1 {
		return 0, fmt.Errorf("%d xz blocks, where one is expected", nums[0])
	}
	// The block must fill all up to the index, or another one with a header of its
	// own would hide there.
	if index[0] != 0 || nums[1] > uint64(len(b)) || 12+(nums[1]+3)&^3 != uint64(len(b)-12)-back {
		return 0, errXZ
	}
	if nums[2] > maxMini || dict > maxMini {
		return 0, fmt.Errorf("it asks for more than %d MB", maxMini>>20)
	}
	return nums[2], nil
}

// dictSize reads the size of the dictionary that a block needs, from its header.
func dictSize(b []byte) (uint64, error) {
	end := (int(b[0]) + 1) * 4
	if b[0] == 0 || end > len(b) {
		return 0, errXZ
	}
	flags, at := b[1], 2
	for _, bit := range []byte{0x40, 0x80} {
		if flags&bit == 0 {
			continue
		}
		_, n := binary.Uvarint(b[at:end])
		if n <= 0 {
			return 0, errXZ
		}
		at += n
	}
	// One filter, LZMA2 (0x21), with one byte of properties.
	if flags&3 != 0 || at+3 > end || b[at] != 0x21 || b[at+1] != 1 || b[at+2] > 40 {
		return 0, errors.New("xz data with filters that are not known here")
	}
	d := b[at+2]
	return uint64(2|d&1) << (d/2 + 11), nil
}
