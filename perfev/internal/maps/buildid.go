package maps

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// maxNotes bounds what is read of a segment of notes, in bytes; those of real
// binaries have some hundred.
const maxNotes = 1 << 16

// ReadBuildID returns the GNU build id of an ELF file in lower-case hex, "" where
// the file has none or is no ELF file.
func ReadBuildID(r io.ReaderAt) string {
	f, err := elf.NewFile(r)
	if err != nil {
		return ""
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz == 0 || p.Filesz > maxNotes {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			continue
		}
		if id := noteBuildID(b, f.ByteOrder, p.Align); id != "" {
			return id
		}
	}
	return ""
}

// noteBuildID finds NT_GNU_BUILD_ID among notes: { u32 namesz, descsz, type; name;
// desc }, each part padded to align bytes, 4 in all but a few segments (elf(5)).
func noteBuildID(b []byte, order binary.ByteOrder, align uint64) string {
	const typeBuildID = 3
	if align != 8 {
		align = 4
	}
	for len(b) >= 12 {
		name, desc, typ := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:])), order.Uint32(b[8:])
		at := (12 + name + align - 1) &^ (align - 1)
		end := at + desc
		if end > uint64(len(b)) {
			return ""
		}
		if typ == typeBuildID && string(b[12:12+name]) == "GNU\x00" && desc > 0 && desc <= 64 {
			return hex.EncodeToString(b[at:end])
		}
		b = b[min((end+align-1)&^(align-1), uint64(len(b))):]
	}
	return ""
}
