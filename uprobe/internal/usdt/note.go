package usdt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// noteType is NT_STAPSDT, noteOwner the name that such notes bear.
const (
	noteType  = 3
	noteOwner = "stapsdt"
)

// maxNotes is the size in bytes of the notes of one section that are read. libjvm,
// the richest known, has 50 KB.
const maxNotes = 64 << 20

// note is one stapsdt note as it stands in the file.
type note struct {
	pc, base, semaphore  uint64
	provider, name, args string
}

// rebase moves the note's addresses to where the file has them: prelink moves a file
// without touching its notes, and .stapsdt.base tells by how much.
func (n *note) rebase(base uint64) {
	d := base - n.base
	n.pc += d
	if n.semaphore != 0 {
		n.semaphore += d
	}
}

// readNotes returns the stapsdt notes of f's sections, as many as could be read.
func readNotes(f *elf.File) ([]note, error) {
	var notes []note
	var errs []error
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOTE {
			continue
		}
		if s.Size > maxNotes {
			errs = append(errs, fmt.Errorf("read notes of %s: %d bytes are more than %d", s.Name, s.Size, maxNotes))
			continue
		}
		b, err := s.Data()
		if err != nil {
			errs = append(errs, fmt.Errorf("read notes of %s: %w", s.Name, err))
			continue
		}
		got, err := parseNotes(b, f.ByteOrder, addressSize(f.Class))
		if err != nil {
			errs = append(errs, fmt.Errorf("read notes of %s: %w", s.Name, err))
		}
		notes = append(notes, got...)
	}
	return notes, errors.Join(errs...)
}

func addressSize(c elf.Class) int {
	if c == elf.ELFCLASS32 {
		return 4
	}
	return 8
}

// parseNotes reads a section of notes: Elf64_Nhdr, the owner, the description, both
// padded to 4 bytes. Notes of other owners are passed over. It returns the notes that
// it read before one that does not fit.
func parseNotes(b []byte, order binary.ByteOrder, size int) ([]note, error) {
	const header = 12
	var notes []note
	for off := 0; off < len(b); {
		rest := b[off:]
		if len(rest) < header {
			if isZero(rest) {
				return notes, nil
			}
			return notes, fmt.Errorf("note at %#x is cut short: %d of %d bytes of its header", off, len(rest), header)
		}
		owner, desc := uint64(order.Uint32(rest)), uint64(order.Uint32(rest[4:]))
		from := header + align4(owner)
		if from+desc > uint64(len(rest)) {
			return notes, fmt.Errorf("note at %#x is cut short: %d of %d bytes", off, len(rest), from+desc)
		}
		if order.Uint32(rest[8:]) == noteType && cstring(rest[header:header+owner]) == noteOwner {
			n, err := parseNote(rest[from:from+desc], order, size)
			if err != nil {
				return notes, fmt.Errorf("note at %#x: %w", off, err)
			}
			notes = append(notes, n)
		}
		// The last one's padding may be missing.
		off += int(min(from+align4(desc), uint64(len(rest))))
	}
	return notes, nil
}

// parseNote reads the description of one: three addresses and three strings.
func parseNote(b []byte, order binary.ByteOrder, size int) (note, error) {
	if len(b) < 3*size {
		return note{}, fmt.Errorf("%d bytes hold no three addresses of %d", len(b), size)
	}
	address := func(i int) uint64 {
		if size == 4 {
			return uint64(order.Uint32(b[4*i:]))
		}
		return order.Uint64(b[8*i:])
	}
	n := note{pc: address(0), base: address(1), semaphore: address(2)}
	rest := b[3*size:]
	for i, to := range []*string{&n.provider, &n.name, &n.args} {
		s, after, ended := bytes.Cut(rest, []byte{0})
		if !ended {
			return note{}, fmt.Errorf("string %d of 3 does not end", i+1)
		}
		*to, rest = string(s), after
	}
	if n.provider == "" || n.name == "" {
		return note{}, fmt.Errorf("probe %q of provider %q has no name", n.name, n.provider)
	}
	return n, nil
}

func align4(n uint64) uint64 { return (n + 3) &^ 3 }

func cstring(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
