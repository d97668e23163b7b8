package symbols

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// maxNotes bounds what is read of notes: node's, with its USDT probes, are 100 KB.
const maxNotes = 1 << 20

// noteGNUBuildID is NT_GNU_BUILD_ID of include/elf/common.h (binutils).
const noteGNUBuildID = 3

// buildID returns the GNU build id, from the segments (which strip cannot remove),
// else from the sections, as debug files keep their notes in those alone.
func buildID(e *elf.File) string {
	for _, p := range e.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		if id := buildIDIn(p.Open(), p.Filesz, p.Align, e.ByteOrder); id != "" {
			return id
		}
	}
	for _, s := range e.Sections {
		if s.Type != elf.SHT_NOTE || s.Flags&elf.SHF_COMPRESSED != 0 {
			continue
		}
		if id := buildIDIn(s.Open(), s.FileSize, s.Addralign, e.ByteOrder); id != "" {
			return id
		}
	}
	return ""
}

func buildIDIn(r io.Reader, size, align uint64, order binary.ByteOrder) string {
	b, _ := io.ReadAll(io.LimitReader(r, int64(min(size, maxNotes))))
	return hex.EncodeToString(parseBuildID(b, align, order))
}

// parseBuildID finds the build id among notes (Elf64_Nhdr of elf.h), nil where there
// is none. align is what names and descriptions are padded to: 4, or 8 in segments
// that say so.
func parseBuildID(b []byte, align uint64, order binary.ByteOrder) []byte {
	if align != 8 {
		align = 4
	}
	for len(b) >= 12 {
		namesz, descsz := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		typ := order.Uint32(b[8:])
		// Offsets are rounded from the note's beginning (gABI, "Note Section").
		desc := (12 + namesz + align - 1) &^ (align - 1)
		end := desc + descsz
		if end > uint64(len(b)) {
			return nil
		}
		if typ == noteGNUBuildID && namesz == 4 && string(b[12:16]) == "GNU\x00" {
			return b[desc:end]
		}
		b = b[min((end+align-1)&^(align-1), uint64(len(b))):]
	}
	return nil
}
